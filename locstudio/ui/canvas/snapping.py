"""Edges that attract a dragged edge: the image's own and those of the other boxes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 6.0  # screen pixels


@dataclass(frozen=True, slots=True)
class Snapped:
    """A coordinate after snapping; ``guide`` is the edge it snapped to, or None."""

    value: float
    guide: float | None = None


@dataclass(frozen=True, slots=True)
class SnapEdges:
    """Sorted vertical (``xs``) and horizontal (``ys``) edges in image pixels."""

    xs: NDArray[np.float64]
    ys: NDArray[np.float64]

    @classmethod
    def of(cls, boxes_N4: NDArray[np.float64], width: int, height: int) -> "SnapEdges":
        """The edges of the image and of these boxes (image pixels, XYXY)."""
        return cls(
            np.unique(np.concatenate([boxes_N4[:, [0, 2]].ravel(), [0.0, float(width)]])),
            np.unique(np.concatenate([boxes_N4[:, [1, 3]].ravel(), [0.0, float(height)]])),
        )

    def snap_x(self, x: float, tolerance: float) -> Snapped:
        """``x``, or the nearest vertical edge within ``tolerance`` image pixels."""
        return _snap(self.xs, x, tolerance)

    def snap_y(self, y: float, tolerance: float) -> Snapped:
        """``y``, or the nearest horizontal edge within ``tolerance`` image pixels."""
        return _snap(self.ys, y, tolerance)


def _snap(edges: NDArray[np.float64], value: float, tolerance: float) -> Snapped:
    place = int(np.searchsorted(edges, value))
    near = edges[max(place - 1, 0) : place + 1]
    if near.size == 0:
        return Snapped(value)
    best = float(near[np.argmin(np.abs(near - value))])
    return Snapped(best, best) if abs(best - value) <= tolerance else Snapped(value)


def snap_shift(edges: NDArray[np.float64], low: float, high: float, tolerance: float) -> Snapped:
    """How far to shift the span [low, high] so that its nearer end meets an edge; ``value`` is 0 where none is near."""
    ends = [(end, _snap(edges, end, tolerance)) for end in (low, high)]
    near = [(snapped.value - end, snapped.guide) for end, snapped in ends if snapped.guide is not None]
    if not near:
        return Snapped(0.0)
    shift, guide = min(near, key=lambda pair: abs(pair[0]))
    return Snapped(shift, guide)
