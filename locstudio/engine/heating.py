"""Heat of classes in the images that are open in the engine, by a multi-label checkpoint.

Nothing is loaded before the first heat is asked for.  Axes: N = tokens, D = token width, L = classes, W = side of a
heatmap.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import Letterbox
from locstudio.jobs.engine_messages import MAX_HEATMAPS, Heated
from locstudio.jobs.token_cache import TokenCache, token_key
from locstudio.media.square import load_square, load_stretched
from locstudio.models.cloc import Cloc
from locstudio.models.consistency import Consistency, has_its_tokens
from locstudio.models.consistency_files import load_consistency

MAX_FOUND = 16
_MAX_MODELS = 2


@dataclass(frozen=True, slots=True, eq=False)
class FoundHeat:
    """What a multi-label model sees in one image: scores (L,) in [0, 1] and heatmaps (L, W, W), 255 is certainty."""

    checkpoint_id: str
    name: str
    class_names: tuple[str, ...]
    scores_L: NDArray[np.float32]
    maps_LWW: NDArray[np.uint8]

    def of_classes(self, names: Sequence[str]) -> "FoundHeat":
        """These classes alone, those it does not know left out; without names all, at most ``MAX_HEATMAPS`` and then
        those of the highest scores.
        """
        if names:
            places = {name: place for place, name in enumerate(self.class_names)}
            rows = [places[name] for name in dict.fromkeys(names) if name in places]
        else:
            rows = sorted(np.argsort(-self.scores_L, kind="stable")[:MAX_HEATMAPS].tolist())
        return FoundHeat(
            self.checkpoint_id,
            self.name,
            tuple(self.class_names[row] for row in rows),
            self.scores_L[rows],
            self.maps_LWW[rows],
        )


class Heating:
    """Multi-label models, and what they found lately.  For one thread.

    Args:
        model: The CLOC model of the session; a classifier on its tokens reads those that are there.
        cache: The folder under which every model has a folder of tokens, or None.
        max_cache_bytes: How much of the disk the tokens of one classifier may take.
    """

    def __init__(self, model: Cloc, cache: Path | None, *, max_cache_bytes: int) -> None:
        self._model = model
        self._cache = cache
        self._max_cache_bytes = max_cache_bytes
        self._classifiers: OrderedDict[tuple[Path, int, int], Consistency] = OrderedDict()
        self._found: OrderedDict[tuple[str, str], FoundHeat] = OrderedDict()
        self._tokens_ids: dict[str, str] = {}

    def heat(
        self,
        checkpoint: Path,
        *,
        path: Path,
        frame: Letterbox,
        tokens_ND: Callable[[], NDArray[np.float16]],
        sha256: str = "",
    ) -> FoundHeat:
        """Where each class of a checkpoint is in an image.

        Args:
            checkpoint: Its folder; one that was replaced is read again.
            path: The image file.
            frame: Its upright size.
            tokens_ND: Gives its tokens by the session's own model.
            sha256: Its content's hash, where that is known.

        Raises:
            BadInput: the checkpoint is missing, damaged, or its numbers end in none.
            CheckpointMismatch: it holds another kind of model.
            ImageProblem: nothing of the image can be decoded.
        """
        classifier = self._classifier(checkpoint)
        key = token_key(path, sha256)
        if (classifier.id, key) not in self._found:
            self._found[classifier.id, key] = self._find(classifier, path, key, frame, tokens_ND)
            while len(self._found) > MAX_FOUND:
                self._found.popitem(last=False)
        self._found.move_to_end((classifier.id, key))
        return self._found[classifier.id, key]

    def _classifier(self, checkpoint: Path) -> Consistency:
        try:
            status = (checkpoint / "manifest.json").stat()
        except OSError as error:
            raise BadInput(f"There is no checkpoint in {checkpoint}.") from error
        key = (checkpoint, status.st_ino, status.st_mtime_ns)
        if key not in self._classifiers:
            loaded = load_consistency(checkpoint, str(self._model.device))
            while len(self._classifiers) >= _MAX_MODELS:
                self._classifiers.popitem(last=False)
            self._classifiers[key] = loaded
        self._classifiers.move_to_end(key)
        return self._classifiers[key]

    @torch.inference_mode()
    def _find(
        self,
        classifier: Consistency,
        path: Path,
        key: str,
        frame: Letterbox,
        tokens_ND: Callable[[], NDArray[np.float16]],
    ) -> FoundHeat:
        config = classifier.config
        if config.trains == "all":
            square = load_stretched(path, config.input_px)
            cells = classifier.cells(classifier.preprocess(square)[None].to(classifier.device))
        else:
            tokens = tokens_ND() if has_its_tokens(self._model, config) else self._tokens(classifier, path, key)
            cells = classifier.cells_of_tokens(torch.from_numpy(tokens)[None])
        maps, scores = classifier.heat(cells, classifier.frame(frame.width, frame.height)[None])
        if not bool(torch.isfinite(maps).all()):
            raise BadInput(f"{config.name} finds no numbers in this image; the checkpoint may be damaged.")
        return FoundHeat(
            classifier.id,
            config.name,
            config.classes,
            scores[0].cpu().numpy(),
            maps[0].mul(255).round().to("cpu", torch.uint8).numpy(),
        )

    def _tokens(self, classifier: Consistency, path: Path, key: str) -> NDArray[np.float16]:
        """Tokens by the classifier's own backbone, half precision also when nothing was cached."""
        cache = None
        if self._cache is not None:
            if classifier.id not in self._tokens_ids:
                self._tokens_ids[classifier.id] = classifier.tokens_id  # all of its weights go into the name
            folder = self._cache / self._tokens_ids[classifier.id]
            cache = TokenCache(folder, classifier.tokens_shape, max_bytes=self._max_cache_bytes)
        tokens = cache.get(key) if cache else None
        if tokens is None:
            pixels = classifier.preprocess(load_square(path, classifier.input_px)[0])
            tokens = classifier.encode_image(pixels[None].to(classifier.device))[0].to("cpu", torch.float16).numpy()
            if cache and np.isfinite(tokens).all():
                cache.put(key, tokens)
        return tokens


def heat_reply(request_id: int, found: FoundHeat) -> Heated:
    """The message that carries heat."""
    return Heated(
        id=request_id,
        checkpoint_id=found.checkpoint_id,
        name=found.name,
        class_names=list(found.class_names),
        scores=found.scores_L.tolist(),
        grid=found.maps_LWW.shape[-1],
        maps=found.maps_LWW.tobytes(),
    )
