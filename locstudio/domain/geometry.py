"""Boxes and the frames they live in.

Frames: ``unit`` is the upright image (after EXIF orientation) with both sides scaled to [0, 1]; ``px`` is the same
image in pixels; ``square`` is the padded square a model sees, both sides scaled to [0, 1].  Arrays of boxes are
float32 of shape (N, 4) in XYXY order.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BoxArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class UnitBox:
    """Axis-aligned box in the ``unit`` frame, corners in XYXY order.

    Raises:
        ValueError: a corner is not finite or outside [0, 1], or the box has no area.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        corners = (self.x0, self.y0, self.x1, self.y1)
        if not all(math.isfinite(c) and 0.0 <= c <= 1.0 for c in corners):
            raise ValueError(f"box corners must lie in [0, 1], not {corners}")
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise ValueError(f"box has no area: {corners}")

    @classmethod
    def from_pixels(cls, x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> "UnitBox":
        """Convert two opposite corners in pixels; any order is accepted, what lies outside the image is cut off.

        Raises:
            ValueError: nothing of the box lies inside the image, or a corner is not finite.
        """
        if not all(math.isfinite(c) for c in (x0, y0, x1, y1)):
            raise ValueError(f"box corners must be finite, not {(x0, y0, x1, y1)}")
        left, right = sorted((min(max(x0, 0.0), width), min(max(x1, 0.0), width)))
        top, bottom = sorted((min(max(y0, 0.0), height), min(max(y1, 0.0), height)))
        return cls(left / width, top / height, right / width, bottom / height)

    def to_pixels(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Corners in pixels of an image of this size."""
        return self.x0 * width, self.y0 * height, self.x1 * width, self.y1 * height

    @property
    def area(self) -> float:
        """Share of the image that the box covers."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def as_tuple(self) -> tuple[float, float, float, float]:
        """The corners, XYXY."""
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The map from an upright image to the padded square of a model: long side resized, short side centred.

    ``width`` and ``height`` are the upright image's, in pixels; only their ratio matters.

    Raises:
        ValueError: a side is not positive.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"image has no area: {self.width} x {self.height}")

    @property
    def _scale_offset(self) -> tuple[float, float, float, float]:
        longest = max(self.width, self.height)
        scale_x, scale_y = self.width / longest, self.height / longest
        return scale_x, scale_y, (1.0 - scale_x) / 2, (1.0 - scale_y) / 2

    def to_square(self, unit_N4: BoxArray) -> BoxArray:
        """Boxes of the ``unit`` frame in the ``square`` frame."""
        scale_x, scale_y, left, top = self._scale_offset
        scale = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        square_N4: BoxArray = np.asarray(unit_N4, np.float32) * scale + np.array([left, top, left, top], np.float32)
        return square_N4

    def to_unit(self, square_N4: BoxArray) -> BoxArray:
        """Boxes of the ``square`` frame in the ``unit`` frame, cut at the image's edges (some may lose all area)."""
        scale_x, scale_y, left, top = self._scale_offset
        offset = np.array([left, top, left, top], np.float32)
        scale = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        unit_N4: BoxArray = np.clip((np.asarray(square_N4, np.float32) - offset) / scale, 0.0, 1.0)
        return unit_N4

    def content(self, side: int) -> tuple[int, int, int, int]:
        """Pixel rectangle (left, top, right, bottom) of the image in a square of ``side`` pixels, at least 1 x 1."""
        scale_x, scale_y, left, top = self._scale_offset
        x0, y0 = min(round(left * side), side - 1), min(round(top * side), side - 1)
        return x0, y0, max(x0 + 1, round((left + scale_x) * side)), max(y0 + 1, round((top + scale_y) * side))


def iou_matrix(a_N4: BoxArray, b_M4: BoxArray) -> NDArray[np.float32]:
    """Intersection over union of every box of ``a`` with every box of ``b``, shape (N, M); 0 where both are empty."""
    top_left = np.maximum(a_N4[:, None, :2], b_M4[None, :, :2])
    bottom_right = np.minimum(a_N4[:, None, 2:], b_M4[None, :, 2:])
    overlap = np.clip(bottom_right - top_left, 0.0, None).prod(axis=2)
    area_a = np.clip(a_N4[:, 2:] - a_N4[:, :2], 0.0, None).prod(axis=1)
    area_b = np.clip(b_M4[:, 2:] - b_M4[:, :2], 0.0, None).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - overlap
    iou_NM: NDArray[np.float32] = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return iou_NM.astype(np.float32)


def iou_pairs(a_N4: BoxArray, b_N4: BoxArray) -> NDArray[np.float32]:
    """Intersection over union of every box of ``a`` with the box of ``b`` in the same row, shape (N,)."""
    sides_N2 = np.minimum(a_N4[:, 2:], b_N4[:, 2:]) - np.maximum(a_N4[:, :2], b_N4[:, :2])
    overlap_N = np.clip(sides_N2, 0.0, None).prod(axis=1)
    area_a = np.clip(a_N4[:, 2:] - a_N4[:, :2], 0.0, None).prod(axis=1)
    area_b = np.clip(b_N4[:, 2:] - b_N4[:, :2], 0.0, None).prod(axis=1)
    union_N = area_a + area_b - overlap_N
    iou_N: NDArray[np.float32] = np.divide(overlap_N, union_N, out=np.zeros_like(overlap_N), where=union_N > 0)
    return iou_N.astype(np.float32)


def smallest_containing(boxes_N4: BoxArray, x: float, y: float) -> int | None:
    """Position of the smallest box that contains the point, or None; the inner of nested boxes wins."""
    inside = (boxes_N4[:, 0] <= x) & (x <= boxes_N4[:, 2]) & (boxes_N4[:, 1] <= y) & (y <= boxes_N4[:, 3])
    rows = np.flatnonzero(inside)
    if rows.size == 0:
        return None
    sides = boxes_N4[rows, 2:] - boxes_N4[rows, :2]
    return int(rows[np.argmin(sides[:, 0] * sides[:, 1])])


def suppress_overlaps(
    boxes_N4: BoxArray, scores_N: NDArray[np.float32], max_iou: float, limit: int
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: rows to keep, best score first, at most ``limit``."""
    order = np.argsort(-scores_N, kind="stable")
    keep: list[int] = []
    while order.size and len(keep) < limit:
        best, rest = order[0], order[1:]
        keep.append(int(best))
        order = rest[iou_matrix(boxes_N4[best : best + 1], boxes_N4[rest])[0] <= max_iou]
    return np.array(keep, np.int64)
