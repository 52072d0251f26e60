"""What a row of the index says, and the door through which values become rows."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locstudio.domain.geometry import BoxArray

REGION, PROPOSAL = 0, 1
ROW = np.dtype(
    [("region_id", "<i8"), ("image_id", "<i8"), ("box", "<f4", (4,)), ("kind", "u1"), ("reserved", "u1", (7,))]
)
_Array = TypeVar("_Array", bound=NDArray[Any])


@dataclass(frozen=True, slots=True)
class IndexRows:
    """What rows of the index are, each field with one entry a row.

    ``kinds`` is ``REGION`` or ``PROPOSAL``; ``region_ids`` is 0 for a proposal; ``boxes`` are in the ``unit`` frame.
    """

    rows: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    region_ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    boxes: BoxArray

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, positions: NDArray[np.int64]) -> "IndexRows":
        """Some of the rows, by position."""
        return IndexRows(
            rows=self.rows[positions],
            kinds=self.kinds[positions],
            region_ids=self.region_ids[positions],
            image_ids=self.image_ids[positions],
            boxes=self.boxes[positions],
        )


def records(kind: int, region_ids: NDArray[np.int64], image_ids: ArrayLike, boxes_R4: ArrayLike) -> NDArray[np.void]:
    """Records of ``ROW``.

    Raises:
        ValueError: the arguments differ in length, or a box has no area inside the image.
    """
    boxes = np.asarray(boxes_R4, np.float64).reshape(-1, 4)
    images = np.asarray(image_ids, np.int64).reshape(-1)
    if not len(region_ids) == len(images) == len(boxes):
        raise ValueError(f"{len(region_ids)} ids, {len(images)} images and {len(boxes)} boxes do not belong together")
    if not bool(((boxes >= 0) & (boxes <= 1)).all() and (boxes[:, :2] < boxes[:, 2:]).all()):
        raise ValueError("every box must have an area inside [0, 1]")
    rows = np.zeros(len(boxes), ROW)
    rows["kind"], rows["region_id"], rows["image_id"], rows["box"] = kind, region_ids, images, _single(boxes)
    return rows


def _single(boxes: NDArray[np.float64]) -> BoxArray:
    """Boxes in float32; a sliver that only float64 can tell from a line gets the next wider float32."""
    low, high = boxes[:, :2].astype(np.float32), boxes[:, 2:].astype(np.float32)
    is_flat = low == high
    high = np.where(is_flat & (low == 0), np.nextafter(high, np.float32(1)), high)
    low = np.where(is_flat & (low > 0), np.nextafter(low, np.float32(0)), low)
    return np.concatenate([low, high], axis=1)


def checked_vectors(vectors_RD: ArrayLike, num: int, dim: int) -> NDArray[np.float16]:
    """Vectors of length one, as they are stored.

    Raises:
        ValueError: the shape is not (num, dim), or a vector is zero or not finite.
    """
    vectors = np.asarray(vectors_RD, np.float32)
    if num == 0:
        vectors = vectors.reshape(0, dim)
    if vectors.shape != (num, dim):
        raise ValueError(f"{num} rows need vectors of shape {(num, dim)}, not {vectors.shape}")
    lengths = np.linalg.norm(vectors, axis=1)
    if not bool((np.isfinite(lengths) & (lengths > 0)).all()):
        raise ValueError("every vector must be finite and not zero")
    return (vectors / lengths[:, None]).astype(np.float16)


def grown(array: _Array, used: int, needed: int) -> _Array:
    """``array`` with room for ``needed`` entries; the first ``used`` are kept."""
    if needed <= len(array):
        return array
    larger = np.zeros((max(needed, 2 * len(array)), *array.shape[1:]), array.dtype)
    larger[:used] = array[:used]
    return larger  # type: ignore[return-value]  # same type as what came in
