"""Images to tokens: from the cache where they lie, else through the tower.

Tokens pass through float16 in both cases, so that no result depends on what a cache happens to hold.
Axes: B = images of a batch, N = tokens, D = width, T = texts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Image
from locstudio.jobs.token_cache import TokenCache
from locstudio.models.cloc import Cloc
from locstudio.models.consistency import Consistency
from trainer import tokens as token_files
from trainer.images import Unreadable, batched, load_pixels, loaded_ahead
from trainer.tokens import key_of

# On one core the packaged tower takes 181 ms an image alone, 217 in pairs, 280 in fours: its maps outgrow the cache.
BATCH_ON_CPU = 1
BATCH_ON_GPU = 32
TEXT_BATCH = 64


class ImageFile(Protocol):
    """Something that is about one image file."""

    @property
    def image(self) -> Image: ...

    @property
    def path(self) -> Path: ...


_File = TypeVar("_File", bound=ImageFile)
_Loaded = NDArray[np.float16] | Tensor | Unreadable


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """An image's tokens (N, D), float32 on the model's device, and its pixels if the model crops."""

    tokens: Tensor
    pixels: Tensor | None = None


class TokenSource:
    """Gives the tokens of images by one model.

    Args:
        model: The model, on its device already.
        cache: Where tokens may lie, or None.
        keeps: Put what the tower computed into the cache.
    """

    def __init__(self, model: Cloc | Consistency, cache: TokenCache | None, *, keeps: bool) -> None:
        self._model = model
        self._needs_pixels = isinstance(model, Cloc) and model.config.prompter.extractor == "crop"
        self._cache = None if self._needs_pixels else cache
        self._keeps = keeps
        self.batch_size = BATCH_ON_GPU if model.device.type == "cuda" else BATCH_ON_CPU

    @property
    def keeps_tokens(self) -> bool:
        """True where an image is encoded once and its tokens are found again."""
        return self._cache is not None and self._keeps

    def stream(self, files: Iterable[_File]) -> Iterator[list[tuple[_File, Encoded | Unreadable]]]:
        """Batches of files with their tokens, decoded ahead and in order."""
        for batch in self.decoded(files):
            yield self.encode(batch)

    def decoded(self, files: Iterable[_File]) -> Iterator[list[tuple[_File, _Loaded]]]:
        """Batches of files as ``encode`` takes them: with cached tokens, else pixels, else why there are none."""
        yield from batched(loaded_ahead(files, self._load), self.batch_size)

    def encode(self, batch: Sequence[tuple[_File, _Loaded]]) -> list[tuple[_File, Encoded | Unreadable]]:
        """Run the tower over what of the batch is still pixels."""
        pixels = {at: got for at, (_, got) in enumerate(batch) if isinstance(got, Tensor)}
        fresh = dict(zip(pixels, self._through_tower(list(pixels.values())), strict=True)) if pixels else {}
        encoded: list[tuple[_File, Encoded | Unreadable]] = []
        for at, (file, got) in enumerate(batch):
            if isinstance(got, Unreadable):
                encoded.append((file, got))
            elif isinstance(got, Tensor):
                self._keep(file, fresh[at])
                encoded.append((file, Encoded(fresh[at].float(), got if self._needs_pixels else None)))
            else:
                encoded.append((file, Encoded(torch.from_numpy(got).to(self._model.device).float())))
        return encoded

    def tokens_of(self, file: ImageFile) -> NDArray[np.float16]:
        """The tokens of one image, as they lie in the cache; made again if someone has emptied it.

        Raises:
            BadInput: the image can no longer be read.
        """
        loaded = self._load(file)
        if isinstance(loaded, Unreadable):
            raise BadInput(f"{loaded.sentence} The run needs it; put the file back and resume the run.")
        if not isinstance(loaded, Tensor):
            return loaded
        tokens_ND = self._through_tower([loaded])[0]
        self._keep(file, tokens_ND)
        return tokens_ND.cpu().numpy()

    def _through_tower(self, pixels_3HW: list[Tensor]) -> Tensor:
        """Tokens of a batch; where the memory of the GPU is too small for it, of its halves."""
        tokens_BND = self._try_tower(pixels_3HW)
        if tokens_BND is not None:
            return tokens_BND
        torch.cuda.empty_cache()
        half = (len(pixels_3HW) + 1) // 2
        self.batch_size = min(self.batch_size, half)
        return torch.cat([self._through_tower(pixels_3HW[:half]), self._through_tower(pixels_3HW[half:])])

    @torch.inference_mode()
    def _try_tower(self, pixels_3HW: list[Tensor]) -> Tensor | None:
        """None if memory was too small for more than one image; the error is gone then, with what it holds on to."""
        try:
            return self._model.encode_image(torch.stack(pixels_3HW).to(self._model.device)).half()
        except torch.OutOfMemoryError:
            if len(pixels_3HW) == 1:
                raise
            return None

    def _keep(self, file: ImageFile, tokens_ND: Tensor) -> None:
        if self._cache is not None and self._keeps:
            self._cache.put(key_of(file.image, file.path), tokens_ND.cpu().numpy())

    def _load(self, file: ImageFile) -> _Loaded:
        try:
            known = self._cache.get(key_of(file.image, file.path)) if self._cache is not None else None
        except OSError as error:
            return Unreadable(f"{file.path.name} cannot be read: {error.strerror or error}.")
        if known is not None:
            return known
        square = load_pixels(file.path, self._model.input_px)
        return square if isinstance(square, Unreadable) else self._model.preprocess(square)


@torch.inference_mode()
def embed_texts(model: Cloc, texts: Sequence[str], alive: Callable[[], object] = lambda: None) -> Tensor:
    """Embeddings (T, D) of texts, float32 on the model's device; ``alive`` is called between batches."""
    parts = [torch.zeros(0, model.dim, device=model.device)]
    for start in range(0, len(texts), TEXT_BATCH):
        parts.append(model.embed_texts(list(texts[start : start + TEXT_BATCH])).float())
        alive()
    return torch.cat(parts)


def bytes_of_tokens(model: Cloc) -> int:
    """How much of the disk the tokens of one image take."""
    return 2 * model.config.tower.num_tokens * model.config.token_width


def cache_of(model: Cloc, cache: Path, *, checkpoint_id: str = "", remembers: bool = True) -> TokenCache:
    """The tokens of this model (or of the checkpoint it was made from) in the project's cache folder."""
    tower = model.config.tower
    shape = (tower.num_tokens, model.config.token_width)
    folder = cache / "tokens" / (checkpoint_id or model.id)
    remembered = token_files.MAX_REMEMBERED_BYTES if remembers else 0
    return TokenCache(folder, shape, max_bytes=None, max_remembered_bytes=remembered)
