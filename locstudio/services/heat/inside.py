"""How hot classes are inside a box of an image.  Axis: W = side of a heatmap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import UnitBox
from locstudio.services.heat.shapes import Heat, percentile


@dataclass(frozen=True, slots=True)
class HeatInside:
    """The heat of one class inside a box; heat in [0, 1].

    Attributes:
        mean: Over the box, each cell by how much of it lies inside.
        peak: Of the cells that the box touches.
        around: The mean over the rest of the image; 0 where the box covers all of it.
        rank: The share of the image's cells that are no hotter than ``mean``, in percent.
    """

    mean: float
    peak: float
    around: float
    rank: float


def heat_inside(map_WW: Heat, box: UnitBox) -> HeatInside:
    """The heat of a class inside a box.

    Args:
        map_WW: Over the whole upright image, 255 being certainty.
        box: In the ``unit`` frame.
    """
    side = len(map_WW)
    heat_WW = np.asarray(map_WW, np.float64)
    covered_WW = np.outer(_covered(box.y0, box.y1, side), _covered(box.x0, box.x1, side))
    inside, rest = float(covered_WW.sum()), float((1 - covered_WW).sum())
    mean = float((heat_WW * covered_WW).sum()) / inside
    around = float((heat_WW * (1 - covered_WW)).sum()) / rest if rest > 1e-9 else 0.0
    return HeatInside(
        mean=mean / 255,
        peak=float(heat_WW[covered_WW > 0].max()) / 255,
        around=around / 255,
        rank=percentile(map_WW, mean),
    )


def _covered(low: float, high: float, side: int) -> NDArray[np.float64]:
    """How much of each cell along one axis lies between two places, (W,)."""
    edges = np.arange(side + 1) / side
    covered: NDArray[np.float64] = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * side
    if not covered.any():  # a box without extent on the grid of numbers
        covered[min(int(low * side), side - 1)] = 1e-6
    return covered
