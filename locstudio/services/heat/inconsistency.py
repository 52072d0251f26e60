"""Where heat, labels and boxes do not agree.  Axes: N = images of the run, L = its classes, R = boxes.

Four ways not to agree, each in [0, 1], kept as bytes because a project has millions of pairs:

- *restless*: the standard deviation of the scores of the last epochs, twice, so that 1 is going from 0 to 1 and back;
- *labels*: where a class is there, the share of the images without it that are at least as hot, for how hot a labelled
  class is at all depends on the class and on the recipe; where a class is not there, its running average;
- *missing*: the score of the worklist, where nobody has said a word;
- *regions*: how much colder than at its peak a class is in its boxes and the half cell around them.  Of boxes of 80
  classes in 588 photos and mosaics that were exchanged for those of another class in the same image, 65 % disagree by
  one half and more, and 27 % of the right ones (area under the curve 0.75); what is hot outside of all boxes tells
  nothing more (0.56).

"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray
from locstudio.domain.regions import Origin, Review
from locstudio.jobs.heatmaps import Heatmaps
from locstudio.services.heat.book import RECENT, HeatBook
from locstudio.services.heat.known import NEGATIVE, POSITIVE, Known, positions_of, rows_of
from locstudio.services.heat.maps import maps_at
from locstudio.services.heat.turns import Order
from locstudio.services.heat.worklist import expected
from locstudio.store.columns import RegionColumns

Bytes = NDArray[np.uint8]
_BLOCK_ROWS = 4096
_BLOCK_PAIRS = 1 << 14
_AROUND = 0.5 - 1e-4
_LEAST_MISSING = 0.05
_MAX_MISSING = 100_000
_NUM_RUNGS = (int(np.float32(1).view(np.uint32)) >> 16) + 1
_REVIEWS, _ORIGINS = tuple(Review), tuple(Origin)
ACCEPTED, REJECTED = _REVIEWS.index(Review.ACCEPTED), _REVIEWS.index(Review.REJECTED)
MODEL = _ORIGINS.index(Origin.MODEL)


class Disagreement(StrEnum):
    """What does not agree; ``ANY`` is the worst of all."""

    ANY = "any"
    RESTLESS = "restless"
    LABELS = "labels"
    MISSING = "missing"
    REGIONS = "regions"


@dataclass(frozen=True, slots=True, eq=False)
class Inconsistency:
    """How little heat, labels and boxes agree, for each pair of image and class; 255 is most.

    Classes that are retired and images that are stale have 0.
    """

    heatmaps: Heatmaps
    restless_NL: Bytes
    labels_NL: Bytes
    missing_NL: Bytes
    regions_NL: Bytes

    def of(self, kind: Disagreement, class_id: int | None = None) -> NDArray[np.float32]:
        """Of each image of the run, in [0, 1], float32 (N,): of one class, or of the class with the most."""
        columns = {
            Disagreement.RESTLESS: (self.restless_NL,),
            Disagreement.LABELS: (self.labels_NL,),
            Disagreement.MISSING: (self.missing_NL,),
            Disagreement.REGIONS: (self.regions_NL,),
            Disagreement.ANY: (self.restless_NL, self.labels_NL, self.missing_NL, self.regions_NL),
        }[kind]
        place = None if class_id is None else self.heatmaps.positions.get(class_id)
        if class_id is not None and place is None:
            return np.zeros(len(self.heatmaps.image_ids), np.float32)
        worst_N = np.zeros(len(self.heatmaps.image_ids), np.uint8)
        for column_NL in columns:
            of_image = column_NL.max(axis=1, initial=0) if place is None else column_NL[:, place]
            np.maximum(worst_N, of_image, out=worst_N)
        return (worst_N / np.float32(255)).astype(np.float32)

    def image_ids(
        self, kind: Disagreement = Disagreement.ANY, *, class_id: int | None = None, at_least: float = 0.0
    ) -> NDArray[np.int64]:
        """Images that disagree at least so much, those that do most first; all images of the run for 0."""
        values_N = self.of(kind, class_id)
        order = np.argsort(-values_N, kind="stable")
        ids: NDArray[np.int64] = self.heatmaps.image_ids[order[values_N[order] >= np.float32(at_least)]]
        return ids


def inconsistency(book: HeatBook, known: Known, regions: RegionColumns | None = None) -> Inconsistency:
    """What does not agree in all images of a run.

    Args:
        book: The heatmaps.
        known: What the dataset says of their images.
        regions: Its boxes; without them nothing is said against regions.
    """
    heatmaps = book.heatmaps
    shape = known.presence_NL.shape
    found = Inconsistency(heatmaps, *(np.zeros(shape, np.uint8) for _ in range(4)))
    for start in range(0, shape[0], _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        found.restless_NL[rows] = _restless(np.asarray(heatmaps.scores_ENL[-RECENT:, rows]))
    _put_against_labels(found.labels_NL, heatmaps, known)
    missing = expected(book, known, min_score=_LEAST_MISSING, limit=_MAX_MISSING, order=Order.SCORE)
    at = rows_of(heatmaps, missing.image_ids), positions_of(heatmaps, missing.class_ids)
    found.missing_NL[at] = _bytes(missing.scores)
    if regions is not None:
        _put_against_regions(found.regions_NL, heatmaps, regions)
    for column_NL in (found.restless_NL, found.labels_NL, found.missing_NL, found.regions_NL):
        column_NL[known.is_stale_N | ~known.is_shown_N] = 0
        column_NL[:, ~known.is_live_L] = 0
    return found


def _put_against_labels(labels_NL: Bytes, heatmaps: Heatmaps, known: Known) -> None:
    """Class by class, by counting the images of each heat: to the upper half of a float32, which is fine enough."""
    for place in range(labels_NL.shape[1]):
        presence_N = known.presence_NL[:, place]
        averages_N = np.clip(np.nan_to_num(heatmaps.averages_NL[:, place]), 0, 1).astype(np.float32)
        is_denied_N, is_there_N = presence_N == NEGATIVE, presence_N == POSITIVE
        labels_NL[is_denied_N, place] = _bytes(averages_N[is_denied_N])
        if is_there_N.any():
            rungs_N = averages_N.view(np.uint32) >> 16
            counts = np.bincount(rungs_N[~is_there_N], minlength=_NUM_RUNGS)
            hotter = counts[::-1].cumsum()[::-1]
            share = hotter[rungs_N[is_there_N]] / max(int(hotter[0]), 1)
            labels_NL[is_there_N, place] = _bytes(share.astype(np.float32))


def _bytes(share: NDArray[np.float32]) -> Bytes:
    found: Bytes = np.rint(np.clip(np.nan_to_num(share), 0, 1) * np.float32(255)).astype(np.uint8)
    return found


def _restless(scores_ENL: Bytes) -> Bytes:
    """Twice the standard deviation over the epochs, in whole numbers until the root."""
    num = len(scores_ENL)
    if num < 2:
        return np.zeros(scores_ENL.shape[1:], np.uint8)
    total_NL = np.zeros(scores_ENL.shape[1:], np.int32)
    squares_NL = np.zeros(scores_ENL.shape[1:], np.int32)
    for scores_NL in scores_ENL:
        wide_NL = scores_NL.astype(np.int32)
        total_NL += wide_NL
        squares_NL += wide_NL * wide_NL
    spread_NL = np.sqrt((num * squares_NL - total_NL * total_NL).astype(np.float32)) * np.float32(2 / num)
    restless_NL: Bytes = np.minimum(np.rint(spread_NL), 255).astype(np.uint8)
    return restless_NL


def _put_against_regions(regions_NL: Bytes, heatmaps: Heatmaps, regions: RegionColumns) -> None:
    is_true = (regions.reviews != REJECTED) & ((regions.origins != MODEL) | (regions.reviews == ACCEPTED))
    rows, places = rows_of(heatmaps, regions.image_ids), positions_of(heatmaps, regions.class_ids)
    chosen = np.flatnonzero(is_true & (rows >= 0) & (places >= 0))
    flat = rows[chosen] * regions_NL.shape[1] + places[chosen]
    order = np.argsort(flat, kind="stable")
    pairs, firsts = np.unique(flat[order], return_index=True)
    boxes_R4 = regions.boxes[chosen[order]]
    ends = np.append(firsts, len(order))
    for start in range(0, len(pairs), _BLOCK_PAIRS):
        stop = min(start + _BLOCK_PAIRS, len(pairs))
        of_rows, of_places = np.divmod(pairs[start:stop], regions_NL.shape[1])
        maps_PWW, _ = maps_at(heatmaps, of_rows, of_places)
        begin, end = ends[start], ends[stop]
        regions_NL[of_rows, of_places] = _against(maps_PWW, boxes_R4[begin:end], ends[start:stop] - begin)


def _against(maps_PWW: Bytes, boxes_R4: BoxArray, firsts_P: NDArray[np.int64]) -> Bytes:
    """How much colder than its peak each map is in its boxes; those of map ``p`` begin at ``firsts_P[p]``."""
    is_near_PWW = np.logical_or.reduceat(_cells(boxes_R4, maps_PWW.shape[1]), firsts_P, axis=0)
    inside_P = np.where(is_near_PWW, maps_PWW, 0).max(axis=(1, 2)).astype(np.float32)
    peaks_P = maps_PWW.max(axis=(1, 2)).astype(np.float32)
    return _bytes(np.where(peaks_P > 0, 1 - inside_P / np.maximum(peaks_P, 1), 0))


def _cells(boxes_R4: BoxArray, side: int) -> NDArray[np.bool_]:
    """The cells that each box and the half cell around it touch, bool (R, W, W)."""
    low_R2 = np.floor(boxes_R4[:, :2] * side - _AROUND)
    high_R2 = np.ceil(boxes_R4[:, 2:] * side + _AROUND)
    cells_W = np.arange(side)
    is_in = (cells_W >= low_R2[:, :, None]) & (cells_W < high_R2[:, :, None])
    both: NDArray[np.bool_] = is_in[:, 1, :, None] & is_in[:, 0, None, :]
    return both
