"""Tiny-ImageNet in memory: photos of 64 px to learn from pixel by pixel, and the packaged tower's cells of them.

Axes: S = photos, B = photos of a batch, L = classes, C = numbers of a cell, F = its components, G = side of the grid.
"""

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from locstudio.models.backbones import Backbone
from locstudio.models.towers import LITE

SIDE = 64
NUM_HELD_OUT = 20
"""Photos of each class, the last by name, that nothing learns from: what a dense twin confuses is measured on them."""
NUM_TESTED = 5000
CELLS_A_CLASS = 50
CELLS_HELD_OUT = 10
CELLS_TESTED = 2500
CELLS_PX = 224
CELLS_GRID = 7
MAX_SHIFT = 6

_MEAN = (123.7, 116.3, 103.5)
_STD = (58.4, 57.1, 57.4)
_AT_ONCE = 8
_CELLS_SAMPLED = 40_000


class Source(Protocol):
    """Photos as a model takes them."""

    @property
    def labels_S(self) -> Tensor:
        """The class of each photo."""

    def __len__(self) -> int: ...

    def part(self, rows: NDArray[np.int64]) -> "Source":
        """Some photos alone."""

    def views(self, rows_B: Tensor, draw: torch.Generator) -> Tensor:
        """Inputs of photos as they are shown while learning, a little different every time."""

    def plain(self, rows_B: Tensor) -> Tensor:
        """Inputs of photos as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Photos, uint8 (S, 64, 64, 3), and their classes."""

    pixels_SHW3: Tensor
    labels_S: Tensor

    def __len__(self) -> int:
        return len(self.labels_S)

    def part(self, rows: NDArray[np.int64]) -> "Pixels":
        """Some photos alone."""
        return Pixels(self.pixels_SHW3[torch.from_numpy(rows)], self.labels_S[torch.from_numpy(rows)])

    def views(self, rows_B: Tensor, draw: torch.Generator) -> Tensor:
        """Shifted by up to ``MAX_SHIFT`` pixels, the border repeated, and half of them mirrored: (B, 3, 64, 64)."""
        side = self.pixels_SHW3.shape[1]
        places = torch.arange(side)
        shifts_2B1 = torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (2, len(rows_B), 1), generator=draw)
        across_BW = (places + shifts_2B1[0]).clamp(0, side - 1)
        down_BH = (places + shifts_2B1[1]).clamp(0, side - 1)
        is_mirrored_B1 = torch.rand(len(rows_B), 1, generator=draw) < 0.5
        across_BW = torch.where(is_mirrored_B1, across_BW.flip(1), across_BW)
        taken = self.pixels_SHW3[rows_B[:, None, None], down_BH[:, :, None], across_BW[:, None, :]]
        return _normalised(taken)

    def plain(self, rows_B: Tensor) -> Tensor:
        """(B, 3, 64, 64)."""
        return _normalised(self.pixels_SHW3[rows_B])


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """What a model reads of the frozen cells: normalised, then their principal components.

    ``weight_FC`` and ``shift_F`` are the linear map behind the normalisation; it can be folded into the linear map of a
    model's stem, so a model that has learnt from components reads whole cells.
    """

    weight_FC: Tensor
    shift_F: Tensor

    def of(self, cells_BNC: Tensor) -> Tensor:
        """Components (B, N, F) of cells in any precision."""
        normed = F.layer_norm(cells_BNC.float(), cells_BNC.shape[-1:])
        return F.linear(normed, self.weight_FC, self.shift_F)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Components of the frozen tower's cells, float16 (S, G * G, F), row by row, and the classes of the photos."""

    cells_SNF: Tensor
    labels_S: Tensor

    def __len__(self) -> int:
        return len(self.labels_S)

    def part(self, rows: NDArray[np.int64]) -> "Cells":
        """Some photos alone."""
        return Cells(self.cells_SNF[torch.from_numpy(rows)], self.labels_S[torch.from_numpy(rows)])

    def views(self, rows_B: Tensor, draw: torch.Generator) -> Tensor:
        """Half of them mirrored, (B, F, G, G): nearly what the tower would give of a mirrored photo."""
        is_mirrored_B = torch.rand(len(rows_B), generator=draw) < 0.5
        grid_BFGG = self.plain(rows_B)
        return torch.where(is_mirrored_B[:, None, None, None], grid_BFGG.flip(3), grid_BFGG)

    def plain(self, rows_B: Tensor) -> Tensor:
        """(B, F, G, G)."""
        side = round(self.cells_SNF.shape[1] ** 0.5)
        return self.cells_SNF[rows_B].transpose(1, 2).unflatten(2, (side, side)).float()


def class_names(data: Path) -> tuple[str, ...]:
    """The 200 classes by their first synonym, in the order of the labels; no two are called alike."""
    names = tuple(str(one["name"]) for one in _about(data)["classes"])
    assert len(set(names)) == len(names)
    return names


def training_photos(data: Path, per_class: int = 0) -> Pixels:
    """Photos of every class, the classes one after the other, in each by name; the first ones, or all."""
    places = _places(data)
    found: dict[str, list[tuple[str, bytes]]] = {wnid: [] for wnid in places}
    with tarfile.open(data / "tiny_imagenet.tar.gz") as archive:
        for name, content in _files(archive):
            found[name.split("/")[-2]].append((name, content))
    chosen = [one for files in found.values() for one in sorted(files)[: per_class or None]]
    return _pixels((content, places[name.split("/")[-2]]) for name, content in chosen)


def validation_photos(data: Path, limit: int = 0) -> Pixels:
    """The photos to measure on, in the order of the archive; the first ones, or all."""
    places, known = _places(data), _about(data)["val"]
    with tarfile.open(data / "tiny_imagenet_val_a.tar") as archive:
        found = [
            (content, known[Path(name).name]["wnid"]) for name, content in _files(archive) if Path(name).name in known
        ]
    return _pixels((content, places[wnid]) for content, wnid in found[: limit or None])


def last_of_each(labels_S: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which photos are among the last ``count`` of their class."""
    is_last_S = np.zeros(len(labels_S), np.bool_)
    for label in np.unique(labels_S):
        is_last_S[np.flatnonzero(labels_S == label)[-count:]] = True
    return is_last_S


def tower_cells(photos: Pixels, path: Path, say: Callable[[str], None]) -> NDArray[np.float16]:
    """Cells (S, G * G, C) of enlarged photos by the packaged tower, computed once and mapped from disk afterwards."""
    if not path.exists():
        tower = Backbone(LITE, CELLS_PX).eval()
        partial = path.with_suffix(".partial.npy")
        made: NDArray[np.float16] | None = None
        begun = time.monotonic()
        for start in range(0, len(photos), _AT_ONCE):
            squares = [_enlarged(one) for one in photos.pixels_SHW3[start : start + _AT_ONCE].numpy()]
            with torch.inference_mode():
                maps = tower(torch.stack([tower.preprocess(square) for square in squares]))
                cells = F.adaptive_avg_pool2d(maps, CELLS_GRID).flatten(2).transpose(1, 2).half().numpy()
            if made is None:
                shape = (len(photos), *cells.shape[1:])
                made = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
            made[start : start + len(cells)] = cells
            if start % 800 == 0:
                say(f"{path.stem}: {start} of {len(photos)}, {time.monotonic() - begun:.0f} s")
        del made
        partial.rename(path)
    kept: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return kept


def fit_components(cells_SNC: NDArray[np.float16], num_components: int) -> Components:
    """Principal components of normalised cells, scaled so that a component's variance is one on average."""
    random = np.random.default_rng(0)
    rows = np.sort(
        random.choice(len(cells_SNC), max(1, min(len(cells_SNC), _CELLS_SAMPLED // cells_SNC.shape[1])), False)
    )
    sample = torch.from_numpy(np.asarray(cells_SNC[rows])).flatten(0, 1).float()
    normed = F.layer_norm(sample, sample.shape[-1:])
    mean_C = normed.mean(dim=0)
    centred = normed - mean_C
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    weight_FC = vectors[:, -num_components:].T.flip(0) / values[-num_components:].mean().sqrt()
    return Components(weight_FC.contiguous(), -(weight_FC @ mean_C))


def components_of(cells_SNC: NDArray[np.float16], labels_S: Tensor, components: Components) -> Cells:
    """All photos' components."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(cells_SNC), 256):
            parts.append(components.of(torch.from_numpy(np.array(cells_SNC[start : start + 256]))).half())
    return Cells(torch.cat(parts).clone(), labels_S)


def hierarchy_groups(data: Path, num_groups: int, max_size: int) -> list[int]:
    """Superclasses of WordNet for the classes, by number: of one ancestor, large ones split and small joined.

    A group larger than ``max_size`` is split by the ancestors one step further down, as far as they are known; then the
    two smallest are joined, of one ancestor where there are such, until there are ``num_groups``.
    """
    known = json.loads((data / "hierarchy.json").read_text(encoding="utf-8"))
    lines = [known["classes"][wnid]["super"] for wnid in _places(data)]
    path_of: list[tuple[str, ...]] = [(line["5"],) for line in lines]
    for depth in ("6", "7"):
        sizes = {path: path_of.count(path) for path in path_of}
        path_of = [
            (*path, line[depth]) if sizes[path] > max_size else path for path, line in zip(path_of, lines, strict=True)
        ]
    groups = {path: [row for row, one in enumerate(path_of) if one == path] for path in sorted(set(path_of))}
    while len(groups) > num_groups:
        by_size = sorted(groups, key=lambda path: (len(groups[path]), path))
        first = by_size[0]
        kin = [
            path for path in by_size[1:] if path[0] == first[0] and len(groups[path]) + len(groups[first]) <= max_size
        ]
        other = (kin or by_size[1:])[0]
        groups[other] = sorted(groups[other] + groups.pop(first))
    group_of = [0] * len(lines)
    for place, rows in enumerate(sorted(groups.values())):
        for row in rows:
            group_of[row] = place
    return group_of


def _normalised(pixels_BHW3: Tensor) -> Tensor:
    return ((pixels_BHW3.float() - torch.tensor(_MEAN)) / torch.tensor(_STD)).permute(0, 3, 1, 2)


def _enlarged(pixels_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(Image.fromarray(pixels_HW3).resize((CELLS_PX, CELLS_PX), Image.Resampling.BICUBIC))


def _pixels(found: Iterator[tuple[bytes, int]]) -> Pixels:
    pixels, labels = [], []
    for content, label in found:
        pixels.append(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
        labels.append(label)
    return Pixels(torch.from_numpy(np.stack(pixels)), torch.tensor(labels))


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        file = archive.extractfile(member) if member.isfile() else None
        if file is not None:
            yield member.name, file.read()


def _places(data: Path) -> dict[str, int]:
    return {str(one["wnid"]): place for place, one in enumerate(_about(data)["classes"])}


def _about(data: Path) -> Any:
    return json.loads((data / "tiny_imagenet.json").read_text(encoding="utf-8"))
