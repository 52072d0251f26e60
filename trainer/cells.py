"""Cells of images, computed once while the backbone is frozen, and kept in memory as far as they fit.

On disk there are tokens, those of the project's CLOC model where they are the same: no image goes through the tower
twice.  Cells pass through half precision in any case, so that no result depends on where they were found.

Axes: B = images, C = channels of a cell, S = side of the cells.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from locstudio.domain.errors import LocStudioError
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.json_files import read_json
from locstudio.jobs.token_cache import TokenCache
from locstudio.models.config import ClocConfig
from locstudio.models.consistency import Consistency
from locstudio.models.mask_segmenter import tokens_sha256
from locstudio.models.weights import read_weights
from trainer.encoding import Encoded, ImageFile, TokenSource

MAX_REMEMBERED_BYTES = 2 << 30


class CellSource:
    """Gives the cells of images by one model.

    Args:
        model: Its backbone and reduction learn nothing meanwhile.
        source: Tokens of images.
        max_remembered_bytes: How much of the cells is kept in memory.
    """

    def __init__(
        self, model: Consistency, source: TokenSource, *, max_remembered_bytes: int = MAX_REMEMBERED_BYTES
    ) -> None:
        self._model = model
        self._source = source
        self._bytes_left = max_remembered_bytes
        self._remembered: dict[int, NDArray[np.float16]] = {}

    def remember(self, image_id: int, encoded: Encoded) -> None:
        """Keep the cells of an image whose tokens are at hand, if there is room."""
        if image_id not in self._remembered:
            self._keep(image_id, self._cells(encoded.tokens))

    def of(self, file: ImageFile) -> NDArray[np.float16]:
        """The cells (S, S, C) of an image.

        Raises:
            BadInput: the image can no longer be read.
        """
        known = self._remembered.get(file.image.id)
        if known is not None:
            return known
        cells_SSC = self._cells(torch.from_numpy(self._source.tokens_of(file)))
        self._keep(file.image.id, cells_SSC)
        return cells_SSC

    def batch(self, files: Iterable[ImageFile]) -> Tensor:
        """Cells (B, C, S, S) in half precision, channels last in memory, on no device yet."""
        return torch.from_numpy(np.stack([self.of(file) for file in files])).permute(0, 3, 1, 2)

    def _cells(self, tokens_ND: Tensor) -> NDArray[np.float16]:
        with torch.no_grad():  # one at a time, so that what a batch holds makes no difference
            cells_1CSS = self._model.cells_of_tokens(tokens_ND[None].half())
        found: NDArray[np.float16] = np.ascontiguousarray(cells_1CSS[0].permute(1, 2, 0).half().cpu().numpy())
        return found

    def _keep(self, image_id: int, cells_SSC: NDArray[np.float16]) -> None:
        if cells_SSC.nbytes <= self._bytes_left:
            self._bytes_left -= cells_SSC.nbytes
            self._remembered[image_id] = cells_SSC


def cell_tokens(model: Consistency, cache: Path, runs: Path) -> TokenCache:
    """Where tokens of this model's backbone lie: those of a CLOC model that has the same ones, else its own.

    Args:
        model: The model.
        cache: The project's cache folder.
        runs: The project's runs, among whose checkpoints may be the CLOC model in use.
    """
    name = model.tokens_id
    if model.config.tower is not None:
        shared = (found for folder in _cloc_checkpoints(cache, runs) if (found := _shared_by(folder, model)))
        name = next(shared, name)
    return TokenCache(cache / "tokens" / name, model.tokens_shape, max_bytes=None)


def bytes_of_tokens(model: Consistency) -> int:
    """How much of the disk the tokens of one image take."""
    num_tokens, width = model.tokens_shape
    return 2 * num_tokens * width


def _cloc_checkpoints(cache: Path, runs: Path) -> list[Path]:
    """CLOC checkpoints, those that most images have tokens of first."""
    num_tokens: dict[Path, int] = {}
    for folder in (bundled_checkpoint(), *sorted(runs.glob("*-cloc-*/checkpoints/step_*"))):
        try:
            name = read_json(folder / "manifest.json", _Manifest).id
        except (OSError, msgspec.MsgspecError):
            continue
        tokens = cache / "tokens" / name
        num = sum(1 for _ in os.scandir(tokens)) if tokens.is_dir() else 0
        if num or folder == bundled_checkpoint():
            num_tokens[folder] = num
    return sorted(num_tokens, key=lambda folder: -num_tokens[folder])


class _Manifest(msgspec.Struct, frozen=True):
    id: str


def _shared_by(folder: Path, model: Consistency) -> str:
    """The id of a CLOC checkpoint whose tokens are this model's; empty if they are not, or if it cannot be read."""
    try:
        info = checkpoint_info(folder)
        if info.model != "cloc" or info.token_width != model.config.token_width:
            return ""
        tower = read_json(folder / "config.json", ClocConfig).tower
        state = read_weights(folder / "weights.safetensors")
        reduce = nn.Linear(tower.width, info.token_width)
        reduce.load_state_dict({name: state[f"reduce.{name}"] for name in ("weight", "bias")})
    except (LocStudioError, OSError, KeyError, RuntimeError, ValueError):
        return ""
    is_same = tower.is_packaged and tokens_sha256(reduce, tower) == model.config.tokens_sha256
    return info.id if is_same else ""
