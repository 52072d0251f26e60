"""Which predictions of two checkpoints belong together, and which of them differ: rows of their tables.

Axes: N = regions, C = classes, Q = phrases asked of images.
"""

from dataclasses import dataclass

import numpy as np

from locstudio.domain.geometry import BoxArray, iou_matrix, iou_pairs
from locstudio.jobs.predictions import (
    Bools,
    Detections,
    Floats,
    GroundingPredictions,
    Ints,
    Predictions,
    RegionPredictions,
)

SURE_SCORE = 0.4
"""From here on a detection counts; weaker ones only excuse the other checkpoint's.

On 100 COCO images half of those above it are right (two an image), of those between 0.2 and 0.4 one in six.
"""
SAME_PLACE_IOU = 0.5
STAYED_IOU = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class NamedDifferently:
    """Regions that were named rightly by one only, or wrongly by both in two ways: rows of the old and new table.

    ``sizes`` is how much the share of the right name has changed; of two wrong names, the share of the new one.
    """

    before: Ints
    after: Ints
    was_right: Bools
    is_right: Bools
    sizes: Floats


def named_differently(
    old: Predictions, old_regions: RegionPredictions, new: Predictions, new_regions: RegionPredictions
) -> NamedDifferently:
    """The regions in both tables whose naming differs."""
    _, before, after = np.intersect1d(old_regions.region_ids, new_regions.region_ids, return_indices=True)
    was_right, is_right = old_regions.ranks[before] == 0, new_regions.ranks[after] == 0
    is_other = class_ids(old)[old_regions.found_rows[before]] != class_ids(new)[new_regions.found_rows[after]]
    at = np.flatnonzero((was_right != is_right) | (~is_right & is_other))
    before, after, was_right, is_right = before[at], after[at], was_right[at], is_right[at]
    now = _share_of(new, new_regions, after, new_regions.true_rows)
    sizes = np.abs(now - _share_of(old, old_regions, before, old_regions.true_rows))
    renamed = np.flatnonzero(~was_right & ~is_right)
    sizes[renamed] = _share_of(new, new_regions, after[renamed], new_regions.found_rows)
    return NamedDifferently(before, after, was_right, is_right, sizes)


def found_elsewhere(
    old: Predictions, old_table: GroundingPredictions, new: Predictions, new_table: GroundingPredictions
) -> tuple[Ints, Ints]:
    """Rows of phrases of the same image that the two find at different places, one of them the right one."""
    row_of = {phrase: row for row, phrase in enumerate(new.phrases)}
    # A phrase that the new one was not asked for gets a number of its own, which meets nothing.
    renumbered = np.array([row_of.get(phrase, len(row_of)) for phrase in old.phrases], np.int64)
    _, before, after = np.intersect1d(
        old_table.image_ids * (len(row_of) + 1) + renumbered[old_table.phrase_rows],
        new_table.image_ids * (len(row_of) + 1) + new_table.phrase_rows,
        return_indices=True,
    )
    has_moved = iou_pairs(old_table.found[before], new_table.found[after]) < STAYED_IOU
    one_is_right = np.maximum(old_table.ious[before], new_table.ious[after]) >= SAME_PLACE_IOU
    at = np.flatnonzero(has_moved & one_is_right)
    return before[at], after[at]


def without_partner(whole: Predictions, table: Detections, others: Predictions, other: Detections) -> Ints:
    """Rows of sure detections that no detection of the same class in ``other``, sure or not, overlaps by a half."""
    own_ids, other_ids = class_ids(whole)[table.class_rows], class_ids(others)[other.class_rows]
    order = np.lexsort((other_ids, other.image_ids))
    image_ids, their_ids, boxes = other.image_ids[order], other_ids[order], other.boxes[order]
    starts = np.searchsorted(image_ids, table.image_ids, "left")
    ends = np.searchsorted(image_ids, table.image_ids, "right")
    alone = [
        row
        for row in np.flatnonzero(table.scores >= SURE_SCORE).tolist()
        if not _has_partner(
            table.boxes[row], boxes[starts[row] : ends[row]][their_ids[starts[row] : ends[row]] == own_ids[row]]
        )
    ]
    return np.array(alone, np.int64)


def _has_partner(box_4: Floats, others_M4: BoxArray) -> bool:
    return bool(len(others_M4)) and bool(iou_matrix(box_4[None], others_M4).max() >= SAME_PLACE_IOU)


def class_ids(whole: Predictions) -> Ints:
    """Identities of the classes, by row."""
    return np.array([class_id for class_id, _ in whole.classes], np.int64)


def _share_of(whole: Predictions, regions: RegionPredictions, at: Ints, rows: Ints) -> Floats:
    """The part of the softmax over classes that the class of each of these regions has."""
    logits_NC = regions.scores[at].astype(np.float32) * whole.summary.logit_scale
    shares_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True, initial=-np.inf))
    share: Floats = np.take_along_axis(shares_NC, rows[at][:, None], axis=1)[:, 0] / shares_NC.sum(axis=1)
    return share
