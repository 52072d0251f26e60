"""Masks of the images that are open in the engine: the bundled mask head, or a person's Segment Anything checkpoint.

Nothing is loaded before the first mask is asked for.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.geometry import Letterbox, UnitBox
from locstudio.domain.masks import mask_as_runs, tight_box
from locstudio.jobs.assets import bundled_masks
from locstudio.jobs.engine_messages import Prompted, Segmented
from locstudio.jobs.token_cache import TokenCache, token_key
from locstudio.media.square import load_square
from locstudio.models.cloc import Cloc
from locstudio.models.mask_segmenter import HeadSegmenter, has_its_tokens, load_mask_model
from locstudio.models.sam import load_sam
from locstudio.models.segmenter import FoundMask, MaskPrompt, PointPrompt, Segmenter

MAX_PREPARED = 4
_MAX_SAMS = 1


class Segmenting:
    """Segmenters and the images prepared for them.  For one thread.

    Args:
        model: The CLOC model of the session; a mask head that was trained on its tokens reads those that are cached.
        cache: The folder under which every model has a folder of tokens, or None.
        max_cache_bytes: How much of the disk the tokens of one segmenter may take.
        bundled: The checkpoint folder of the mask head.
    """

    def __init__(self, model: Cloc, cache: Path | None, *, max_cache_bytes: int, bundled: Path | None = None) -> None:
        self._model = model
        self._cache = cache
        self._max_cache_bytes = max_cache_bytes
        self._bundled = bundled or bundled_masks()
        self._head: HeadSegmenter | None = None
        self._sams: OrderedDict[tuple[Path, int, int], Segmenter] = OrderedDict()
        self._prepared: OrderedDict[tuple[str, str, str], Any] = OrderedDict()

    def segmenter(self, sam: Path | None = None) -> Segmenter:
        """The model that makes masks: that of a Segment Anything file, else the bundled head.

        Raises:
            BadInput: the file or the bundled folder is not there, damaged, or something else.
            CheckpointMismatch: it holds another architecture than it says.
        """
        if sam is not None:
            return self._sam(sam)
        if self._head is None:
            if not self._bundled.is_dir():
                raise UserError("No mask model is installed. Choose a Segment Anything checkpoint to make masks.")
            device = str(self._model.device)
            masks, masks_id = load_mask_model(self._bundled, device)
            if has_its_tokens(self._model, masks):
                self._head = HeadSegmenter(masks, self._model.id, self._model.towers)
            else:
                self._head = HeadSegmenter(masks, masks_id)
        return self._head

    def segment(
        self,
        prompts: Sequence[MaskPrompt],
        *,
        path: Path,
        frame: Letterbox,
        tokens_NC: Callable[[], NDArray[np.float16]],
        sha256: str = "",
        sam: Path | None = None,
    ) -> list[FoundMask]:
        """One mask a prompt, over the pixels of the upright image.

        Args:
            prompts: What to mask.
            path: The image file.
            frame: Its upright size.
            tokens_NC: Gives its tokens by the session's own model.
            sha256: Its content's hash, where that is known.
            sam: A Segment Anything checkpoint to do it.

        Raises:
            BadInput: the checkpoint cannot be used.
            ImageProblem: nothing of the file can be decoded.
        """
        segmenter = self.segmenter(sam)
        key = token_key(path, sha256)
        place = (segmenter.name, segmenter.tokens_id, key)
        if place not in self._prepared:
            self._prepared[place] = self._prepare(segmenter, path, key, frame, tokens_NC)
            while len(self._prepared) > MAX_PREPARED:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(place)
        return segmenter.segment(self._prepared[place], prompts)

    def _sam(self, file: Path) -> Segmenter:
        try:
            status = file.stat()
        except OSError as error:
            raise BadInput(f"There is no weights file at {file}.") from error
        key = (file, status.st_size, status.st_mtime_ns)  # a file that was replaced is read again
        if key not in self._sams:
            loaded = load_sam(file, str(self._model.device))
            while len(self._sams) >= _MAX_SAMS:
                self._sams.popitem(last=False)
            self._sams[key] = loaded
        return self._sams[key]

    def _prepare(
        self,
        segmenter: Segmenter,
        path: Path,
        key: str,
        frame: Letterbox,
        tokens_NC: Callable[[], NDArray[np.float16]],
    ) -> Any:
        own = segmenter.tokens_id == self._model.id and self._model.id
        cache = None if own or self._cache is None else self._cache_of(segmenter, self._cache)
        tokens = tokens_NC() if own else cache.get(key) if cache else None
        square = None
        if tokens is None or segmenter.needs_pixels:
            square, _ = load_square(path, segmenter.input_px)
        if tokens is None:
            assert square is not None
            tokens = segmenter.encode(square, frame)
            if cache and np.isfinite(tokens).all():
                cache.put(key, tokens)
        return segmenter.prepare(tokens, square, frame)

    def _cache_of(self, segmenter: Segmenter, folder: Path) -> TokenCache:
        return TokenCache(folder / segmenter.tokens_id, segmenter.tokens_shape, max_bytes=self._max_cache_bytes)


def prompt_of(asked: Prompted) -> MaskPrompt:
    """The prompt of a message.

    Raises:
        ValueError: it is none.
    """
    box = UnitBox(*asked.box) if asked.box is not None else None
    return MaskPrompt(box, tuple(PointPrompt(x, y, is_inside) for x, y, is_inside in asked.points))


def reply_of(request_id: int, name: str, found: Sequence[FoundMask]) -> Segmented:
    """The message that carries masks."""
    boxes = [tight_box(one.mask_HW) for one in found]
    return Segmented(
        id=request_id,
        name=name,
        masks=[mask_as_runs(one.mask_HW) if box else "" for one, box in zip(found, boxes, strict=True)],
        boxes=[box.as_tuple() if box else None for box in boxes],
        scores=[one.expected_overlap for one in found],
    )
