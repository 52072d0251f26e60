"""What a person has shown on the heatmaps of an image: strokes, and the boxes of its regions.

A box of a class says where the class is, and where there is none, that it is not: like paint on the whole heatmap.
What was painted with a brush goes before it.  Not in the paper.

Axes: R = boxes of one class of one image, P = classes of an image that something is shown of, W = side of a heatmap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray
from locstudio.domain.heat_corrections import HeatCorrection, painted

Strokes = Mapping[int, Mapping[int, Sequence[HeatCorrection]]]
Boxes = Mapping[int, Mapping[int, BoxArray]]


@dataclass(frozen=True, slots=True, eq=False)
class PaintedImage:
    """Positions (P,) of classes, the value that each cell should have, and how far that is meant, (P, W, W)."""

    positions_P: NDArray[np.int64]
    value_PWW: NDArray[np.float32]
    weight_PWW: NDArray[np.float32]


class Paint:
    """What is shown of images, made when it is asked for.

    Args:
        strokes: Corrections by row of the image and position of the class.
        boxes: Boxes in the ``unit`` frame by row and position.
        sizes: Width and height of every image by row.
        grid: Side of the heatmaps.
        box_weight: How far boxes are meant, in [0, 1]; 0 for not at all.
    """

    def __init__(
        self,
        strokes: Strokes,
        boxes: Boxes,
        sizes: Sequence[tuple[int, int]],
        *,
        grid: int,
        box_weight: float,
    ) -> None:
        self._strokes = {
            row: {at: painted(found, grid, sizes[row]) for at, found in of_image.items()}
            for row, of_image in strokes.items()
        }
        self._boxes: Boxes = boxes if box_weight > 0 else {}
        self._grid = grid
        self._box_weight = np.float32(box_weight)

    def of(self, row: int) -> PaintedImage | None:
        """What is shown of the image of this row, or None."""
        strokes, boxes = self._strokes.get(row, {}), self._boxes.get(row, {})
        positions = sorted(strokes.keys() | boxes.keys())
        if not positions:
            return None
        value_PWW = np.zeros((len(positions), self._grid, self._grid), np.float32)
        weight_PWW = np.zeros_like(value_PWW)
        for at, position in enumerate(positions):
            if position in boxes:
                value_PWW[at], weight_PWW[at] = covered(boxes[position], self._grid), self._box_weight
            if position in strokes:
                value_WW, weight_WW = strokes[position]
                value_PWW[at] += (value_WW - value_PWW[at]) * weight_WW
                weight_PWW[at] += (1 - weight_PWW[at]) * weight_WW
        return PaintedImage(np.array(positions, np.int64), value_PWW, weight_PWW)


def covered(boxes_R4: BoxArray, grid: int) -> NDArray[np.float32]:
    """How much of each cell of a heatmap the box covers that covers most of it, float32 (W, W)."""
    edge_W = np.arange(grid, dtype=np.float32)
    low_R2, high_R2 = boxes_R4[:, :2] * grid, boxes_R4[:, 2:] * grid
    share_R2W = np.minimum(edge_W + 1, high_R2[..., None]) - np.maximum(edge_W, low_R2[..., None])
    share_R2W = np.clip(share_R2W, 0.0, 1.0)
    found_WW: NDArray[np.float32] = (share_R2W[:, 1, :, None] * share_R2W[:, 0, None, :]).max(axis=0)
    return found_WW.astype(np.float32)
