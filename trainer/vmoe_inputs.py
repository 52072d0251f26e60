"""What a Mobile V-MoE takes of images: cells of a frozen backbone, or pixels.

Cells are computed once an image and lie in the project's cache, under the name of the backbone that made them; they
pass through half precision in any case, so that no result depends on where they were found.  Pixels are stretched
squares, kept in memory as far as they fit.

Axes: B = images, C = channels of a cell, S = side of the grid of cells, H, W = pixels.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.domain.errors import BadInput
from locstudio.jobs.token_cache import TokenCache
from locstudio.media.square import load_stretched
from locstudio.models.mobile_vmoe import MobileVmoe
from trainer.encoding import BATCH_ON_CPU, BATCH_ON_GPU
from trainer.images import Unreadable, batched, loaded_ahead
from trainer.recipes.class_lesson import ClassImage
from trainer.tokens import key_of

MAX_REMEMBERED_BYTES = 2 << 30
_Loaded = NDArray[np.float16] | NDArray[np.uint8] | Unreadable


class VmoeInputs:
    """Gives what one model takes of images.

    Args:
        model: On its device; only its stem is asked, if that is a frozen backbone.
        cache: The project's cache folder; None to keep cells in memory only.
        max_remembered_bytes: How much is kept in memory.
    """

    def __init__(
        self, model: MobileVmoe, cache: Path | None, *, max_remembered_bytes: int = MAX_REMEMBERED_BYTES
    ) -> None:
        self._model = model
        self.has_cells = model.config.stem == "backbone"
        self._squares: dict[int, NDArray[np.uint8]] = {}
        self._bytes_left = max_remembered_bytes
        side, width = model.config.grid, model.config.stem_width
        self._shape = (side, side, width)
        self._cells: TokenCache | None = None
        if self.has_cells and cache is not None:
            self._cells = TokenCache(
                cache / "tokens" / cells_name(model),
                (side * side, width),
                max_bytes=None,
                max_remembered_bytes=max_remembered_bytes,
            )
        self._own: dict[str, NDArray[np.float16]] = {}
        self.batch_size = BATCH_ON_GPU if model.device.type == "cuda" else BATCH_ON_CPU

    @property
    def bytes_of_image(self) -> int:
        """How much of the disk an image takes; nothing where no cells are kept."""
        return 2 * int(np.prod(self._shape)) if self._cells is not None else 0

    @property
    def bytes_in_memory(self) -> int:
        """How much of the memory an image takes, as far as there is room."""
        return 2 * int(np.prod(self._shape)) if self.has_cells else 3 * self._model.input_px**2

    def is_known(self, file: ClassImage) -> bool:
        """Whether the cells of an image are there, or its file is gone, so that nothing can be computed."""
        try:
            return self._cells is not None and self._cells.has(key_of(file.image, file.path))
        except OSError:
            return True

    def read(self, files: Iterable[ClassImage]) -> Iterator[tuple[ClassImage, Unreadable | None]]:
        """Make what can be made, in order; with each image why it cannot be read, or None."""
        for batch in batched(loaded_ahead(files, self._load), self.batch_size):
            self._compute([(file, got) for file, got in batch if not isinstance(got, Unreadable)])
            for file, got in batch:
                yield file, got if isinstance(got, Unreadable) else None

    def batch(self, files: Sequence[ClassImage]) -> Tensor:
        """Cells (B, C, S, S) in half precision, or pixels (B, 3, H, W) as the model takes them; on the CPU.

        Raises:
            BadInput: an image can no longer be read.
        """
        if self.has_cells:
            stacked = np.stack([self._cells_of(file).reshape(self._shape) for file in files])
            return torch.from_numpy(stacked).permute(0, 3, 1, 2)
        return torch.stack([self._model.preprocess(self._square_of(file)).cpu() for file in files])

    def forget(self) -> None:
        """Let go of pixels and of cells that are kept in memory only."""
        self._bytes_left += sum(each.nbytes for each in self._squares.values())
        self._bytes_left += sum(each.nbytes for each in self._own.values())
        self._squares.clear()
        self._own.clear()

    def _cells_of(self, file: ClassImage) -> NDArray[np.float16]:
        got = self._load(file)
        if isinstance(got, Unreadable):
            raise _gone(file)
        if got.dtype == np.float16:
            return got.astype(np.float16, copy=False)
        return self._compute([(file, got)])[0]

    def _square_of(self, file: ClassImage) -> NDArray[np.uint8]:
        got = self._load(file)
        if isinstance(got, Unreadable):
            raise _gone(file)
        return got.astype(np.uint8, copy=False)

    def _load(self, file: ClassImage) -> _Loaded:
        """Cells that are known, else the square."""
        try:
            if self.has_cells:
                known = self._known(key_of(file.image, file.path))
                if known is not None:
                    return known
            elif file.image.id in self._squares:
                return self._squares[file.image.id]
            square_HW3 = load_stretched(file.path, self._model.input_px)
        except BadInput as problem:
            return Unreadable(str(problem))
        except OSError as error:
            return Unreadable(f"{file.path.name} cannot be read: {error.strerror or error}.")
        if not self.has_cells and square_HW3.nbytes <= self._bytes_left:
            self._bytes_left -= square_HW3.nbytes
            self._squares[file.image.id] = square_HW3
        return square_HW3

    def _known(self, key: str) -> NDArray[np.float16] | None:
        return self._cells.get(key) if self._cells is not None else self._own.get(key)

    @torch.no_grad()
    def _compute(
        self, loaded: Sequence[tuple[ClassImage, NDArray[np.float16] | NDArray[np.uint8]]]
    ) -> list[NDArray[np.float16]]:
        """Cells of what is still a square, kept."""
        fresh = [(file, square) for file, square in loaded if self.has_cells and square.dtype == np.uint8]
        if not fresh:
            return []
        pixels_B3HW = torch.stack([self._model.preprocess(square.astype(np.uint8)) for _, square in fresh])
        cells_BCSS = self._model.cells(pixels_B3HW.to(self._model.device)).half()
        made = [np.ascontiguousarray(each) for each in cells_BCSS.permute(0, 2, 3, 1).flatten(1, 2).cpu().numpy()]
        for (file, _), cells_NC in zip(fresh, made, strict=True):
            self._keep(key_of(file.image, file.path), cells_NC)
        return made

    def _keep(self, key: str, cells_NC: NDArray[np.float16]) -> None:
        if self._cells is not None:
            self._cells.put(key, cells_NC)
        elif cells_NC.nbytes <= self._bytes_left:
            self._bytes_left -= cells_NC.nbytes
            self._own[key] = cells_NC


def cells_name(model: MobileVmoe) -> str:
    """Under what name the cells of a frozen backbone lie in a cache."""
    config = model.config
    return f"cells-{config.backbone}-{config.input_px}-{config.grid}"


def _gone(file: ClassImage) -> BadInput:
    return BadInput(f"{file.path.name} can no longer be read. The run needs it; put the file back and resume the run.")
