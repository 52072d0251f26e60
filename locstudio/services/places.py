"""Which hits of an image stay, when several boxes show one place.  Axes: R = hits of one image, N and M = boxes.

A region that a person keeps always stays, and takes the place of proposals that overlap it.  A proposal stays only
where no better hit of its image shows the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray, iou_matrix

SAME_PLACE_IOU = 0.6
"""Above this, a proposal and a region are two drawings of one thing."""
CROWDED_IOU = 0.3
NESTED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class ImageHits:
    """The hits of one image, best first.

    ``nearest_region_R`` is the position of the region of the image that a proposal overlaps above ``SAME_PLACE_IOU``,
    counted among all regions of the image; -1 for none, and for hits that are regions themselves.
    """

    boxes_R4: BoxArray
    scores_R: NDArray[np.float32]
    is_proposal_R: NDArray[np.bool_]
    nearest_region_R: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Settled:
    """Positions of the hits that stay, and of the regions of the image that took the place of proposals."""

    hits: list[int]
    regions: list[int]


def settle(hits: ImageHits, similar: float, own_box_14: BoxArray | None = None) -> Settled:
    """Leave one hit for each place of an image.

    A proposal goes when a better hit overlaps it above ``CROWDED_IOU``, or when one of the two lies mostly inside the
    other and their scores differ by less than ``similar``: a part of the same thing.

    Args:
        hits: Of one image, best first.
        similar: The difference of scores, as cosines, below which nested boxes show the same.
        own_box_14: The box that the query was drawn as, in this image.  What lies there comes once: as the region that
            is there, else as the proposal that fits best.
    """
    boxes, scores = hits.boxes_R4, hits.scores_R
    if own_box_14 is not None:
        boxes = np.concatenate([own_box_14, boxes])
        scores = np.concatenate([np.ones(1, np.float32), scores])
    first = len(boxes) - len(hits.boxes_R4)
    iou, nested = iou_matrix(boxes, boxes), share_of_smaller(boxes, boxes) > NESTED_SHARE
    taken = np.zeros(len(boxes), bool)
    taken[:first] = True
    settled = Settled([], [])
    for position, is_proposal in enumerate(hits.is_proposal_R.tolist()):
        row, region = first + position, int(hits.nearest_region_R[position])
        if not is_proposal:
            settled.hits.append(position)
            taken[row] = True
        elif region >= 0:
            settled.regions.append(region)
            taken[row] = True
        else:
            is_part = nested[row] & (np.abs(scores - scores[row]) < similar)
            if not np.any(taken & ((iou[row] > CROWDED_IOU) | is_part)):
                settled.hits.append(position)
                taken[row] = True
    if own_box_14 is not None:
        _keep_own_place(settled, hits, iou[0, 1:])
    return settled


def _keep_own_place(settled: Settled, hits: ImageHits, over_own_R: NDArray[np.float32]) -> None:
    """The place of the query itself was taken by the query; give it back to the hit that fits it best."""
    is_there = over_own_R > SAME_PLACE_IOU
    is_region_there = is_there & (~hits.is_proposal_R | (hits.nearest_region_R >= 0))
    if is_there.any() and not is_region_there.any():
        settled.hits.append(int(over_own_R.argmax()))


def share_of_smaller(a_N4: BoxArray, b_M4: BoxArray) -> NDArray[np.float32]:
    """The share of the smaller box of every pair that the other one covers, shape (N, M)."""
    top_left = np.maximum(a_N4[:, None, :2], b_M4[None, :, :2])
    bottom_right = np.minimum(a_N4[:, None, 2:], b_M4[None, :, 2:])
    overlap = np.clip(bottom_right - top_left, 0.0, None).prod(axis=2)
    area_a = np.clip(a_N4[:, 2:] - a_N4[:, :2], 0.0, None).prod(axis=1)
    area_b = np.clip(b_M4[:, 2:] - b_M4[:, :2], 0.0, None).prod(axis=1)
    smaller = np.minimum(area_a[:, None], area_b[None, :])
    share_NM: NDArray[np.float32] = np.divide(overlap, smaller, out=np.zeros_like(overlap), where=smaller > 0)
    return share_NM.astype(np.float32)
