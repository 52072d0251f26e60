"""What arms of the multi-label classifier are compared by.

Axes: S = scenes, L = classes, W = side of a heatmap, F = side of the fine grid that overlaps are counted on, R = boxes.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray
from trainer.bundle.multilabel_scenes import LabelledScene
from trainer.class_precision import average_precisions

HOT = 0.5
"""A heatmap is cut at this share of its peak."""
_FINE = 4

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


def mean_precision(scores_SL: Floats, is_there_SL: Flags) -> float:
    """mAP: the mean of average precisions over the classes that occur."""
    return float(np.nanmean(average_precisions(scores_SL, is_there_SL.astype(np.int8))))


def localisation(scenes: Sequence[LabelledScene], maps_SLWW: Floats, wanted_SL: Flags) -> tuple[float, float]:
    """How well heatmaps of classes that are there know where: pointing accuracy, and mean overlap.

    Pointing: the cell of the peak touches a box of the class.  Overlap: what is hotter than half of the peak against
    the union of the class's boxes, intersection over union on a grid four times as fine.
    """
    hits, overlaps = [], []
    grid = maps_SLWW.shape[-1]
    for scene, maps_LWW, wanted_L in zip(scenes, maps_SLWW, wanted_SL, strict=True):
        classes = np.flatnonzero(wanted_L)
        if not len(classes):
            continue
        fine = F.interpolate(
            torch.from_numpy(maps_LWW[classes])[None], scale_factor=_FINE, mode="bilinear", align_corners=False
        )[0].numpy()
        of_class = np.array(scene.class_index)
        for one, fine_FF in zip(classes, fine, strict=True):
            boxes_R4 = scene.boxes_R4[of_class == one]
            row, column = divmod(int(maps_LWW[one].argmax()), grid)
            hits.append(_touches(boxes_R4, row, column, grid))
            is_true_FF = _union(boxes_R4, grid * _FINE)
            is_hot_FF = fine_FF >= HOT * fine_FF.max()
            overlaps.append(float((is_hot_FF & is_true_FF).sum() / max(1, (is_hot_FF | is_true_FF).sum())))
    return float(np.mean(hits)), float(np.mean(overlaps))


def coverage_of(scene: LabelledScene, class_index: int, grid: int) -> Floats:
    """How much of each cell (W, W) of a scene the boxes of a class cover."""
    boxes_R4 = scene.boxes_R4[np.array(scene.class_index) == class_index]
    union_FF = _union(boxes_R4, grid * _FINE)
    found: Floats = union_FF.reshape(grid, _FINE, grid, _FINE).mean(axis=(1, 3), dtype=np.float32)
    return found


def recovered(averages_SL: Floats, told_SL: NDArray[np.int8], present_SL: Flags, num_expected: int) -> float:
    """Share of the classes that are there and were not told which are among the expected ones.

    Expected are the ``num_expected`` highest running averages, the told class first.
    """
    likely_SL = np.where(told_SL == 1, np.inf, averages_SL)
    order_SL = np.argsort(-likely_SL, axis=1, kind="stable")
    is_expected_SL = np.zeros_like(present_SL)
    np.put_along_axis(is_expected_SL, order_SL[:, :num_expected], values=True, axis=1)
    is_hidden_SL = present_SL & (told_SL != 1)
    return float(is_expected_SL[is_hidden_SL].mean()) if is_hidden_SL.any() else 0.0


def expected_precision(
    averages_SL: Floats, told_SL: NDArray[np.int8], present_SL: Flags, limits: Sequence[int]
) -> dict[int, float]:
    """Of the first so many of the worklist (what is most expected and not told), the share that is really there."""
    asked = np.flatnonzero((told_SL == -1).ravel())
    first = asked[np.argsort(-averages_SL.ravel()[asked], kind="stable")]
    return {limit: float(present_SL.ravel()[first[:limit]].mean()) for limit in limits}


def _touches(boxes_R4: BoxArray, row: int, column: int, grid: int) -> bool:
    x0, y0, x1, y1 = (boxes_R4 * grid).T
    return bool(((x0 < column + 1) & (x1 > column) & (y0 < row + 1) & (y1 > row)).any())


def _union(boxes_R4: BoxArray, side: int) -> Flags:
    middle_F = (np.arange(side) + 0.5) / side
    x0, y0, x1, y1 = (boxes_R4.T)[..., None]
    inside_RF = (x0 <= middle_F) & (middle_F <= x1)
    down_RF = (y0 <= middle_F) & (middle_F <= y1)
    found: Flags = (down_RF[:, :, None] & inside_RF[:, None, :]).any(axis=0)
    return found
