"""Heatmaps that remember, on disk: what a training writes epoch by epoch, and what app and engine look at meanwhile.

    results/heatmaps/
      header.json             what is whole; written last, by rename, after every epoch
      image_ids.npy           int64 (N,)       rising
      contents.npy            S64 (N,)         SHA-256 of each image's file when the run began; empty where not known
      labels.npy              int8 (N, L)      what the run was told: 1 there, 0 not there, -1 nothing
      maps_a.npy, maps_b.npy  uint8 (N, K, W, W)   running-average heatmaps; 255 is certainty
      slots_a.npy, slots_b.npy int16 (N, K)    only where not every class is kept: the class position of each map, or -1
      averages_a.npy, _b.npy  float32 (N, L)   running-average scores
      scores.npy              uint8 (E, N, L)  the score of each epoch as it was; 255 is 1
      key_0005.npy            uint8 (N, T, W, W), and key_slots_0005.npy int16 (N, T): what stood after epoch 5

The two sides ``a`` and ``b`` take turns: during an epoch the whole one is read and the other one written, so that a run
that was killed goes on exactly.  What a reader has opened stays as it is until the next epoch is whole (``is_newer``);
the epoch after that is written over it, row by row, so a reader opens them anew by then.

Space: N images, L classes, a grid of W = 14 take 2 N K W^2 bytes for the maps, K being L up to a class count
(``max_dense_classes``) and ``num_slots`` above it.  100,000 images of 80 classes: 3.1 GB and 64 MB of averages, 8 MB an
epoch of scores, and 235 MB a key frame of 12 maps an image.  With 1,000 classes and 24 slots: 0.9 GB, 0.8 GB, 100 MB.

Axes: N = images, L = classes, K = maps an image, W = side of a map, E = epochs, T = maps an image of a key frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, TooNew
from locstudio.domain.regions import Image
from locstudio.jobs.json_files import read_json

FOLDER = "heatmaps"
FORMAT_VERSION = 1
MAX_GRID = 64
MAX_CLASSES = 32_767
Side = Literal["a", "b"]


class HeatHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the folder holds.

    ``num_epochs`` were planned, ``epoch`` of them are done: 0 is what the memory began with.  ``side`` is whole.
    ``num_slots`` is K where only so many classes an image are kept, else 0.  ``key_epochs`` have a key frame.
    ``checkpoint_id`` is that of the newest checkpoint whose scores these are; empty before there is one.
    ``other_epoch`` is what the other side holds, -1 while it is written over; for a run that goes on.
    """

    format_version: int = FORMAT_VERSION
    run_id: str
    checkpoint_id: str = ""
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    grid: int
    num_images: int
    num_slots: int = 0
    num_epochs: int
    epoch: int = 0
    side: Side = "a"
    momentum: float
    key_epochs: tuple[int, ...] = ()
    other_epoch: int = -1

    @property
    def num_maps(self) -> int:
        """K: maps an image."""
        return self.num_slots or len(self.class_ids)


def heatmaps_folder(results: Path) -> Path:
    """Where the heatmaps of a run are, given its ``results`` folder."""
    return results / FOLDER


@dataclass(frozen=True, slots=True, eq=False)
class Heatmaps:
    """The heatmaps of one run as they were after its last whole epoch.  Arrays are memory-mapped and read-only.

    Attributes:
        rows: Row of each image by its id.
        slots_NK: Class position of each map, -1 for none; None where map ``k`` is class ``k``.
    """

    folder: Path
    header: HeatHeader
    image_ids: NDArray[np.int64]
    contents: NDArray[np.bytes_]
    labels_NL: NDArray[np.int8]
    maps_NKWW: NDArray[np.uint8]
    slots_NK: NDArray[np.int16] | None
    averages_NL: NDArray[np.float32]
    scores_ENL: NDArray[np.uint8]
    rows: Mapping[int, int]
    positions: Mapping[int, int]
    _keys: dict[int, tuple[NDArray[np.uint8], NDArray[np.int16]]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "Heatmaps":
        """Open what stands.

        Raises:
            BadInput: there are none, or a file is missing, cut off or of another shape than the header says.
            TooNew: a newer LocStudio wrote them.
        """
        header = read_header(folder)
        num_images, num_classes, grid = header.num_images, len(header.class_ids), header.grid
        side, maps = header.side, header.num_maps
        image_ids = np.array(_array(folder, "image_ids", np.int64, (num_images,)))
        slots = _array(folder, f"slots_{side}", np.int16, (num_images, maps)) if header.num_slots else None
        return cls(
            folder=folder,
            header=header,
            image_ids=image_ids,
            contents=_array(folder, "contents", np.dtype("S64"), (num_images,)),
            labels_NL=_array(folder, "labels", np.int8, (num_images, num_classes)),
            maps_NKWW=_array(folder, f"maps_{side}", np.uint8, (num_images, maps, grid, grid)),
            slots_NK=slots,
            averages_NL=_array(folder, f"averages_{side}", np.float32, (num_images, num_classes)),
            scores_ENL=_array(folder, "scores", np.uint8, (header.num_epochs, num_images, num_classes))[: header.epoch],
            rows={int(image_id): row for row, image_id in enumerate(image_ids)},
            positions={class_id: position for position, class_id in enumerate(header.class_ids)},
        )

    def is_newer(self) -> bool:
        """True if another epoch has been written since; then open them again."""
        try:
            header = read_header(self.folder)
        except (BadInput, TooNew):
            return False
        return (header.epoch, header.checkpoint_id) != (self.header.epoch, self.header.checkpoint_id)

    def is_stale(self, image: Image) -> bool:
        """True if the image's file is another one than the run has seen."""
        known = self.content_of(image.id)
        return bool(known and image.sha256 and known != image.sha256)

    def content_of(self, image_id: int) -> str:
        """SHA-256 of the image's file when the run began; empty where that is not known, or the run did not see it."""
        row = self.rows.get(image_id)
        return "" if row is None else self.contents[row].decode("ascii", "replace")

    def maps_of(self, image_id: int, epoch: int | None = None) -> dict[int, NDArray[np.uint8]]:
        """The heatmaps of an image by class id, each uint8 (W, W); none for an image that the run did not see.

        Args:
            image_id: The image.
            epoch: One of ``header.key_epochs``; None for the newest.

        Raises:
            BadInput: the key frame is damaged.
            LookupError: there is no key frame of this epoch.
        """
        row = self.rows.get(image_id)
        if row is None:
            return {}
        if epoch is None:
            maps_KWW, slots_K = self.maps_NKWW[row], None if self.slots_NK is None else self.slots_NK[row]
        else:
            maps_NTWW, slots_NT = self.key_frame(epoch)
            maps_KWW, slots_K = maps_NTWW[row], slots_NT[row]
        class_ids = self.header.class_ids
        if slots_K is None:
            return dict(zip(class_ids, maps_KWW, strict=True))
        num = len(class_ids)
        return {class_ids[slot]: one for slot, one in zip(slots_K, maps_KWW, strict=True) if 0 <= slot < num}

    def map_of(self, image_id: int, class_id: int, epoch: int | None = None) -> NDArray[np.uint8] | None:
        """The heatmap of one class, uint8 (W, W), or None where none is kept; see ``maps_of``."""
        if epoch is not None or self.slots_NK is not None:
            return self.maps_of(image_id, epoch).get(class_id)
        row, position = self.rows.get(image_id), self.positions.get(class_id)
        return None if row is None or position is None else self.maps_NKWW[row, position]

    def scores_of(self, image_id: int, class_id: int) -> NDArray[np.float32]:
        """The class's score in the image, epoch by epoch, float32 (E,); empty where the run did not see it."""
        row, position = self.rows.get(image_id), self.positions.get(class_id)
        if row is None or position is None:
            return np.zeros(0, np.float32)
        scores_E: NDArray[np.float32] = self.scores_ENL[:, row, position].astype(np.float32)
        return scores_E / np.float32(255)

    def key_frame(self, epoch: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        """What stood after an epoch: maps uint8 (N, T, W, W), and the class position of each (N, T), -1 for none.

        Raises:
            BadInput: the key frame is damaged.
            LookupError: there is none of this epoch.
        """
        if epoch not in self.header.key_epochs:
            raise LookupError(f"there is no key frame of epoch {epoch}, only of {self.header.key_epochs}")
        if epoch not in self._keys:
            slots = _array(self.folder, f"key_slots_{epoch:04d}", np.int16, (self.header.num_images, None))
            shape = (*slots.shape, self.header.grid, self.header.grid)
            self._keys[epoch] = (_array(self.folder, f"key_{epoch:04d}", np.uint8, shape), slots)
        return self._keys[epoch]


def read_header(folder: Path) -> HeatHeader:
    """What a folder of heatmaps holds, checked against absurd numbers.

    Raises:
        BadInput: there is no readable header.
        TooNew: a newer LocStudio wrote it.
    """
    try:
        version = read_json(folder / "header.json", _Version).format_version
        if version > FORMAT_VERSION:
            raise TooNew(
                f"The heatmaps in {folder} were written by a newer LocStudio (format {version}, this one knows "
                f"{FORMAT_VERSION}). Update LocStudio to see them."
            )
        header = read_json(folder / "header.json", HeatHeader)
    except FileNotFoundError as error:
        raise BadInput(f"There are no heatmaps in {folder}.") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"The heatmaps in {folder} cannot be read: {error}.") from error
    num_classes = len(header.class_ids)
    if (
        not 0 < header.grid <= MAX_GRID
        or not 0 < num_classes <= MAX_CLASSES
        or len(header.class_names) != num_classes
        or len(set(header.class_ids)) != num_classes
        or not 0 <= header.momentum <= 1
        or not 0 <= header.epoch <= header.num_epochs
        or not 0 <= header.num_slots <= num_classes
        or header.num_images < 0
    ):
        raise BadInput(f"The heatmaps in {folder} have a header that cannot be true.")
    return header


class _Version(msgspec.Struct, frozen=True):
    format_version: int


def _array(
    folder: Path, name: str, dtype: type[np.generic] | np.dtype[np.generic], shape: tuple[int | None, ...]
) -> Any:
    """A file of this type and shape, memory-mapped and read-only; None in the shape fits any length."""
    path = folder / f"{name}.npy"
    if 0 in shape:
        return np.zeros([length or 0 for length in shape], dtype)
    try:
        found: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"The heatmaps in {folder} are damaged: {path.name} cannot be read ({error}).") from error
    fits = len(found.shape) == len(shape) and all(
        wanted is None or length == wanted for length, wanted in zip(found.shape, shape, strict=True)
    )
    if found.dtype != np.dtype(dtype) or not fits:
        raise BadInput(f"The heatmaps in {folder} are damaged: {path.name} is {found.dtype} {found.shape}.")
    return found
