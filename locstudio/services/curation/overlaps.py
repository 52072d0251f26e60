"""Which boxes of a collection overlap, worked out once, and suppression at any threshold from that.

Axes: N = rows, E = pairs of rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray, iou_pairs

LEAST_OVERLAP = 0.1
"""Pairs that overlap less are not kept; a threshold below this acts like this."""
_PAIRS_A_TIME = 1 << 20
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Pairs of rows of one image that overlap, by rising overlap: ``better`` has the higher score of the two, (E,)."""

    better: NDArray[np.int32]
    worse: NDArray[np.int32]
    ious: NDArray[np.float32]


def overlap_edges(image_ids: NDArray[np.int64], boxes_N4: BoxArray, scores: NDArray[np.float32]) -> Edges:
    """All pairs of rows of one image that overlap.  Of equal scores the earlier row is better; none is above all."""
    _, images = np.unique(image_ids, return_inverse=True)
    found = [_overlapping(boxes_N4, first, second) for first, second in pairs_of_equals(images)]
    return _edges(found, scores)


def edges_with_moved(
    edges: Edges, rows: Rows, image_ids: NDArray[np.int64], boxes_N4: BoxArray, scores: NDArray[np.float32]
) -> Edges:
    """The pairs after these rows were added, or got other boxes."""
    is_moved = np.zeros(len(image_ids), bool)
    is_moved[rows] = True
    stay = ~(is_moved[edges.better] | is_moved[edges.worse])
    is_beside = np.isin(image_ids, image_ids[rows])
    beside = np.flatnonzero(is_beside)
    first, second = meeting(image_ids[rows], image_ids[beside])
    first, second = rows[first], beside[second]
    once = ~is_moved[second] | (first < second)
    new = _edges([_overlapping(boxes_N4, first[once], second[once])], scores)
    places = np.searchsorted(edges.ious[stay], new.ious)
    return Edges(
        np.insert(edges.better[stay], places, new.better),
        np.insert(edges.worse[stay], places, new.worse),
        np.insert(edges.ious[stay], places, new.ious),
    )


def suppressed(
    edges: Edges, max_overlap: float, is_open: NDArray[np.bool_], is_fixed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which open rows greedy non-maximum suppression takes away, (N,).

    Fixed rows stay, and take away what overlaps them; of open rows the better takes the worse away, unless it is taken
    away itself.  In rounds: whatever nothing better overlaps stays for good, and takes away its neighbours.
    """
    # As exact as the overlaps are: what overlaps by just as much is not more.
    first = int(np.searchsorted(edges.ious, np.float32(max(max_overlap, LEAST_OVERLAP)), "right"))
    better, worse = edges.better[first:], edges.worse[first:]
    gone = np.zeros(len(is_open), bool)
    if is_fixed.any():
        gone[worse[is_fixed[better]]] = True
        gone[better[is_fixed[worse]]] = True
    is_left = is_open & ~gone
    both = is_left[better] & is_left[worse]
    better, worse = better[both], worse[both]
    while len(better):
        has_better = np.zeros(len(gone), bool)
        has_better[worse] = True
        gone[worse[~has_better[better]]] = True
        both = ~(gone[better] | gone[worse])
        better, worse = better[both], worse[both]
    return gone & is_open


def meeting(keys_a: NDArray[np.int64], keys_b: NDArray[np.int64]) -> tuple[Rows, Rows]:
    """Every pair of positions, one of each array, whose keys are equal."""
    order = np.argsort(keys_b, kind="stable")
    first = np.searchsorted(keys_b, keys_a, "left", sorter=order)
    counts = np.searchsorted(keys_b, keys_a, "right", sorter=order) - first
    a = np.repeat(np.arange(len(keys_a)), counts)
    ranks = np.arange(len(a)) - np.repeat(np.cumsum(counts) - counts, counts)
    return a, order[np.repeat(first, counts) + ranks]


def pairs_of_equals(keys: NDArray[np.int64]) -> Iterator[tuple[Rows, Rows]]:
    """Every pair of positions of one array whose keys are equal, each once, in pieces that fit into memory."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    ends = np.searchsorted(ordered, ordered, "right")
    followers = ends - np.arange(len(keys)) - 1
    total = np.cumsum(followers)
    start = 0
    while start < len(keys):
        before = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + _PAIRS_A_TIME, "right")))
        counts = followers[start:stop]
        first = np.repeat(np.arange(start, stop), counts)
        ranks = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield order[first], order[first + 1 + ranks]
        start = stop


_Found = tuple[Rows, Rows, NDArray[np.float32]]


def _overlapping(boxes_N4: BoxArray, first: Rows, second: Rows) -> _Found:
    ious = iou_pairs(boxes_N4[first], boxes_N4[second])
    keep = np.flatnonzero(ious > LEAST_OVERLAP)
    return first[keep], second[keep], ious[keep]


def _edges(found: list[_Found], scores: NDArray[np.float32]) -> Edges:
    if not found:
        return Edges(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
    first, second, ious = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(ious, kind="stable")
    first, second = first[order], second[order]
    ranks = np.where(np.isnan(scores), np.inf, scores)
    is_first = (ranks[first] > ranks[second]) | ((ranks[first] == ranks[second]) & (first < second))
    better, worse = np.where(is_first, first, second), np.where(is_first, second, first)
    return Edges(better.astype(np.int32), worse.astype(np.int32), ious[order])
