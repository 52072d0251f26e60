"""The model with the images that are open in it.  Axes: N = tokens, C = token width, R = boxes, T = texts, D = dim."""

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.domain.errors import UserError
from locstudio.domain.geometry import BoxArray, Letterbox, UnitBox
from locstudio.engine.heating import FoundHeat, Heating
from locstudio.engine.routing import Routing
from locstudio.engine.segmenting import Segmenting
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.engine_messages import Routed
from locstudio.jobs.token_cache import MAX_BYTES, TokenCache, token_key
from locstudio.media.decode import read_header
from locstudio.media.square import load_square
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import PreparedImage
from locstudio.models.segmenter import FoundMask, MaskPrompt

MAX_OPEN_IMAGES = 4
MAX_KNOWN_IMAGES = 1_024
MAX_KNOWN_TEXTS = 512
_SMALLEST_SIDE = 1e-3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenImage:
    """An image that boxes and texts can be asked of.  ``width`` and ``height`` are upright pixels."""

    key: str
    width: int
    height: int
    is_cached: bool


@dataclass(frozen=True, slots=True)
class _Ready:
    image: OpenImage
    letterbox: Letterbox
    prepared: PreparedImage


class EngineSession:
    """One checkpoint, ready to embed.  For one thread.

    Methods that take a ``key`` mean the image opened under it; without one, the image opened last.
    """

    def __init__(
        self,
        checkpoint: Path,
        *,
        cache: Path | None = None,
        device: str = "auto",
        max_cache_bytes: int = MAX_BYTES,
        on_loading: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Load a checkpoint.

        Args:
            checkpoint: Its folder.
            cache: The project's cache folder; None keeps no tokens on disk.
            device: "cpu", "cuda" or "auto".
            max_cache_bytes: How much of the disk the tokens of this checkpoint may take.
            on_loading: Told what is going on, in words a person reads.

        Raises:
            BadInput: the folder is damaged or incomplete.
            CheckpointMismatch: it holds another architecture than it says.
            TooNew: a newer LocStudio wrote it.
        """
        self.info = checkpoint_info(checkpoint)
        torch.set_num_threads(max(1, min(2, (os.cpu_count() or 1) - 1)))
        on_loading(f"Loading {self.info.name}")
        self._device, self.device_in_words = _choose_device(device)
        self._model = load_checkpoint(checkpoint, self._device)
        shape = (self._model.config.tower.num_tokens, self._model.config.token_width)
        folder = cache / "tokens" / self.info.id if cache else None
        self._cache = TokenCache(folder, shape, max_bytes=max_cache_bytes) if folder else None
        self._segmenting = Segmenting(self._model, cache / "tokens" if cache else None, max_cache_bytes=max_cache_bytes)
        self._heating = Heating(self._model, cache / "tokens" if cache else None, max_cache_bytes=max_cache_bytes)
        self._routing = Routing(self._device)
        self._known: OrderedDict[str, tuple[Path, str]] = OrderedDict()
        self._open: OrderedDict[str, _Ready] = OrderedDict()
        self._texts: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._current = ""

    @property
    def dim(self) -> int:
        """Width of every vector."""
        return self._model.dim

    def know_image(self, path: Path, key: str, sha256: str = "") -> None:
        """Remember where an image lies, without opening it yet."""
        if self._known.get(key) != (path, sha256):
            self._open.pop(key, None)
        self._known[key] = (path, sha256)
        self._known.move_to_end(key)
        while len(self._known) > MAX_KNOWN_IMAGES:
            self._open.pop(self._known.popitem(last=False)[0], None)

    def set_image(self, path: Path, *, key: str = "", sha256: str = "") -> OpenImage:
        """Open an image: from its cached tokens, or by running the tower.

        Raises:
            ImageProblem: nothing of the file can be decoded.
        """
        self.know_image(path, key, sha256)
        self._current = key
        return self._ready(key).image

    @torch.inference_mode()
    def encode_boxes(self, boxes: Sequence[UnitBox], *, key: str | None = None) -> NDArray[np.float32]:
        """Embeddings (R, D) of boxes of an open image, float32, L2-normalised.

        Raises:
            UserError: no image is open under this key.
            ImageProblem: its file has gone.
        """
        ready = self._ready(key)
        if not boxes:
            return np.empty((0, self.dim), np.float32)
        unit_R4 = np.array([box.as_tuple() for box in boxes], np.float32)
        square_R4 = torch.from_numpy(ready.letterbox.to_square(unit_R4))
        return _numbers(self._model.embed_boxes(ready.prepared, square_R4))

    @torch.inference_mode()
    def encode_image(self, *, key: str | None = None) -> NDArray[np.float32]:
        """Embedding (D,) of a whole open image; errors as ``encode_boxes``."""
        return _numbers(self._model.embed_image(self._ready(key).prepared))

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings (T, D) of sentences, float32, L2-normalised; texts asked for lately cost nothing."""
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if new:
            self._texts.update(zip(new, _numbers(self._model.embed_texts(new)), strict=True))
        vectors = [self._texts[text] for text in texts]
        for text in texts:
            self._texts.move_to_end(text)
        while len(self._texts) > MAX_KNOWN_TEXTS:
            self._texts.popitem(last=False)
        return np.stack(vectors) if vectors else np.empty((0, self.dim), np.float32)

    @torch.inference_mode()
    def ground_text(self, text: str, *, key: str | None = None) -> tuple[UnitBox, float]:
        """The box of a phrase in an open image, and the cosine of box and phrase; errors as ``encode_boxes``."""
        ready = self._ready(key)
        text_1D = torch.from_numpy(self.encode_texts([text])).to(self._device)
        boxes, scores = self._model.ground(ready.prepared, text_1D)
        unit_14 = ready.letterbox.to_unit(_numbers(boxes))
        return _as_box(unit_14[0]), float(scores[0])

    @torch.inference_mode()
    def propose(self, limit: int = 24, *, key: str | None = None) -> tuple[list[UnitBox], NDArray[np.float32]]:
        """Boxes where objects may be, and their objectness, best first; errors as ``encode_boxes``."""
        ready = self._ready(key)
        boxes, scores = self._model.propose(ready.prepared, limit)
        unit_P4 = ready.letterbox.to_unit(_numbers(boxes))
        has_area = (unit_P4[:, 2:] - unit_P4[:, :2] > _SMALLEST_SIDE).all(axis=1)
        return [_as_box(box) for box in unit_P4[has_area]], _numbers(scores)[has_area]

    def segment(
        self, prompts: Sequence[MaskPrompt], *, sam: Path | None = None, key: str | None = None
    ) -> list[FoundMask]:
        """One mask a prompt over the pixels of an open image, by the bundled head or a Segment Anything file.

        Raises:
            BadInput: the checkpoint of masks cannot be used.
            UserError: no image is open under this key, or there is no mask model.
            ImageProblem: its file has gone.
        """
        ready = self._ready(key)
        path, sha256 = self._known[ready.image.key]
        return self._segmenting.segment(
            prompts,
            path=path,
            frame=ready.letterbox,
            tokens_NC=lambda: ready.prepared.tokens_NC.to("cpu", torch.float16).numpy(),
            sha256=sha256,
            sam=sam,
        )

    def segmenter_name(self, sam: Path | None = None) -> str:
        """Who makes masks, in words; errors as ``segment``."""
        return self._segmenting.segmenter(sam).name

    def find_heat(self, checkpoint: Path, class_names: Sequence[str] = (), *, key: str | None = None) -> FoundHeat:
        """Where classes are in an open image, by a multi-label checkpoint; all of its classes without names.

        Raises:
            BadInput: the checkpoint is missing or damaged.
            CheckpointMismatch: it holds another kind of model.
            UserError: no image is open under this key.
            ImageProblem: its file has gone.
        """
        ready = self._ready(key)
        path, sha256 = self._known[ready.image.key]
        found = self._heating.heat(
            checkpoint,
            path=path,
            frame=ready.letterbox,
            tokens_ND=lambda: ready.prepared.tokens_NC.to("cpu", torch.float16).numpy(),
            sha256=sha256,
        )
        return found.of_classes(class_names)

    def find_routing(self, checkpoint: Path, box: UnitBox | None = None, *, key: str | None = None) -> Routed:
        """Which expert takes an open image, or a box of it, by a checkpoint with experts; the answer has the ``id`` 0.

        Raises:
            BadInput: the checkpoint is missing or damaged.
            CheckpointMismatch: it holds another kind of model, or one without experts.
            UserError: no image is open under this key.
            ImageProblem: its file has gone.
        """
        key = self._known_key(key)  # the session's own model has nothing to say here
        path, sha256 = self._known[key]
        return self._routing.route(checkpoint, path=path, box=box, sha256=sha256)

    def _known_key(self, key: str | None) -> str:
        key = self._current if key is None else key
        if key not in self._known:
            raise UserError("No image is open in the model. Open the image again.")
        return key

    def _ready(self, key: str | None) -> _Ready:
        key = self._known_key(key)
        if key not in self._open:
            self._open[key] = self._load(key, *self._known[key])
            while len(self._open) > MAX_OPEN_IMAGES:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]

    @torch.inference_mode()
    def _load(self, key: str, path: Path, sha256: str) -> _Ready:
        needs_pixels = self._model.crop_project is not None
        header = read_header(path)
        name = token_key(path, sha256)
        tokens = self._cache.get(name) if self._cache else None
        is_cached = tokens is not None
        pixels = None
        if tokens is None or needs_pixels:
            pixels = self._model.preprocess(load_square(path, self._model.input_px)[0]).to(self._device)
        if tokens is None:
            assert pixels is not None
            encoded = self._model.encode_image(pixels[None])[0]
            # Rounded to half precision also when nothing was cached, so that the first look equals all later ones.
            tokens = encoded.to("cpu", torch.float16).numpy()
            if self._cache and np.isfinite(tokens).all():
                self._cache.put(name, tokens)
        prepared = self._model.prepare(torch.from_numpy(tokens), pixels if needs_pixels else None)
        image = OpenImage(key, header.width, header.height, is_cached)
        return _Ready(image, Letterbox(header.width, header.height), prepared)


def _numbers(values: torch.Tensor) -> NDArray[np.float32]:
    return values.detach().to("cpu", torch.float32).numpy()


def _as_box(corners_4: BoxArray) -> UnitBox:
    """A box of the model, widened to the smallest side that can be seen where it has collapsed."""
    low = np.clip(corners_4[:2].astype(np.float64), 0.0, 1.0 - _SMALLEST_SIDE)
    high = np.clip(np.maximum(corners_4[2:], low + _SMALLEST_SIDE), 0.0, 1.0)
    return UnitBox(*low.tolist(), *high.tolist())


def _choose_device(wanted: str) -> tuple[str, str]:
    """The device, and its name in words; a GPU that is broken or absent means the CPU."""
    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        try:
            torch.ones(1, device="cuda").add_(1).item()
            return "cuda", torch.cuda.get_device_name()
        except RuntimeError as error:
            _log.warning("the GPU cannot be used: %s", error)
    return "cpu", f"CPU, {torch.get_num_threads()} threads" if torch.get_num_threads() > 1 else "CPU, 1 thread"
