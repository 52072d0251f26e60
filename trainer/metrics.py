"""Ranks and the metrics made of them, as functions of arrays.

Axes: N = regions, C = classes, Q = queries, I = items that are searched, P = pairs or detections, D = embedding width.

Ties count against the model: a wrong answer with the same score stands before the right one.  A metric over nothing
is left out, since no number would be true.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

RECALL_RANKS = (1, 5, 10)
GROUNDING_IOU = 0.5
PROPOSAL_LIMITS = (24, 100)
AVERAGED_IOUS = tuple(0.5 + 0.05 * step for step in range(10))
CHUNK = 1024
MAX_SCORES = 1 << 24


def naming_ranks(scores_NC: Floats, true_N: Ints) -> tuple[Ints, Ints]:
    """How many wrong classes stand before the right one, and which class stands first, for each region.

    Raises:
        ValueError: the two inputs differ in their number of regions.
    """
    if scores_NC.shape[0] != true_N.shape[0]:
        raise ValueError(f"{scores_NC.shape[0]} rows of scores for {true_N.shape[0]} regions")
    right_score_N1 = np.take_along_axis(scores_NC, true_N[:, None], axis=1)
    rank_N = (scores_NC >= right_score_N1).sum(axis=1, dtype=np.int64) - 1
    wrong_NC = scores_NC.copy()
    np.put_along_axis(wrong_NC, true_N[:, None], -np.inf, axis=1)
    found_N = np.where(rank_N == 0, true_N, wrong_NC.argmax(axis=1)) if scores_NC.size else true_N.copy()
    return rank_N, found_N


def best_ranks(
    query_QD: Floats,
    item_ID: Floats,
    pairs_P2: Ints,
    *,
    max_scores: int = MAX_SCORES,
    alive: Callable[[], object] = lambda: None,
) -> Ints:
    """How many wrong items stand before the best of the right ones, for each query.

    Args:
        query_QD: What asks.
        item_ID: What is searched.
        pairs_P2: (query, item): the item is a right answer to the query.  A query with none has all items before it.
        max_scores: So many scores are held at a time, or those of one query if these are more.
        alive: Called between the parts.
    """
    chunk = max(1, max_scores // max(1, len(item_ID)))
    order = np.argsort(pairs_P2[:, 0], kind="stable")
    pairs = pairs_P2[order]
    ranks = [np.zeros(0, np.int64)]
    for start in range(0, len(query_QD), chunk):
        scores_QI = query_QD[start : start + chunk] @ item_ID.T
        own = pairs[slice(*np.searchsorted(pairs[:, 0], [start, start + chunk]))]
        is_right_QI = np.zeros(scores_QI.shape, np.bool_)
        is_right_QI[own[:, 0] - start, own[:, 1]] = True
        best_Q1 = np.where(is_right_QI, scores_QI, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
        ranks.append(((scores_QI >= best_Q1) & ~is_right_QI).sum(axis=1, dtype=np.int64))
        alive()
    return np.concatenate(ranks)


def naming_metrics(rank_N: Ints, true_N: Ints) -> dict[str, float]:
    """Region naming: top-1 and top-5 over regions, and ``macc``, top-1 averaged over the classes that occur.

    Source: CLOC (arXiv:2410.02746), region object recognition; macc as in CLIPSelf's evaluation.
    """
    if rank_N.size == 0:
        return {}
    is_first_N = rank_N == 0
    num_C, right_C = np.bincount(true_N), np.bincount(true_N[is_first_N], minlength=int(true_N.max()) + 1)
    occurs_C = num_C > 0
    return {
        "top1": float(is_first_N.mean()),
        "top5": float((rank_N < 5).mean()),
        "macc": float((right_C[occurs_C] / num_C[occurs_C]).mean()),
    }


def recall_metrics(direction: str, rank_Q: Ints) -> dict[str, float]:
    """Recall at 1, 5 and 10 of queries in one direction: ``r2t``, ``t2r``, ``i2t`` or ``t2i``.

    Source: CLOC (arXiv:2410.02746), region-text retrieval at 10, image-text retrieval at 1.
    """
    return {f"{direction}_r{k}": float((rank_Q < k).mean()) for k in RECALL_RANKS} if rank_Q.size else {}


def grounding_metrics(iou_Q: Floats) -> dict[str, float]:
    """Phrase grounding: mean overlap with the best true box, and the share of phrases whose overlap reaches 0.5."""
    if iou_Q.size == 0:
        return {}
    return {"mean_iou": float(iou_Q.mean()), "hit50": float((iou_Q >= GROUNDING_IOU).mean())}


def proposal_metrics(rank_N: Ints, iou_N: Floats) -> dict[str, float]:
    """Proposals of any class: ``recall_24`` and ``recall_100``, the share of true boxes that one of so many overlaps
    by a half; ``ar100``, the share that one of 100 overlaps by 0.5, 0.55 .. 0.95, averaged over these.

    Source: COCO's average recall (Hosang et al., arXiv:1502.05082), over all boxes and not class by class.
    """
    if rank_N.size == 0:
        return {}
    recall = {f"recall_{limit}": float((rank_N < limit).mean()) for limit in PROPOSAL_LIMITS}
    # A millionth less, since overlaps are float32.
    averaged = float(np.mean([(iou_N >= least - 1e-6).mean() for least in AVERAGED_IOUS]))
    return recall | {f"ar{max(PROPOSAL_LIMITS)}": averaged}


def matches(overlap_PN: Floats, min_iou: float = GROUNDING_IOU) -> NDArray[np.bool_]:
    """Which detections of one class in one image are right, the surest first.

    Each takes the free true box that it overlaps most, if by at least ``min_iou``; a box is taken once, so that a
    second detection of the same thing is wrong.
    """
    is_right_P, is_free_N = np.zeros(len(overlap_PN), np.bool_), np.ones(overlap_PN.shape[1], np.bool_)
    for row, overlap_N in enumerate(overlap_PN):
        open_N = np.where(is_free_N, overlap_N, -1.0)
        if open_N.size and open_N.max() >= min_iou:
            is_right_P[row], is_free_N[open_N.argmax()] = True, False
    return is_right_P


def average_precision(is_right_P: NDArray[np.bool_], num_true: int) -> float:
    """Area under precision over recall of detections, the surest first; precision is made to fall, at all points.

    Source: PASCAL VOC 2010 and later (all points, not eleven).
    """
    if not num_true or not len(is_right_P):
        return 0.0
    num_right_P = np.cumsum(is_right_P)
    precision_P = num_right_P / np.arange(1, len(is_right_P) + 1)
    falling_P = np.maximum.accumulate(precision_P[::-1])[::-1]
    return float(falling_P[is_right_P].sum() / num_true)
