"""Metrics of evaluations, as functions of arrays.  Axes: N = regions, C = classes, T = texts, Q = queries.

Ties count against the model: a wrong answer with the same score stands before the right one.  A metric over nothing
is left out, since no number would be true.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

RECALL_RANKS = (1, 5, 10)
GROUNDING_IOU = 0.5


def naming_metrics(similarity_NC: Floats, class_N: Ints) -> dict[str, float]:
    """Region naming: top-1 and top-5 over regions, and ``macc``, top-1 averaged over the classes that occur.

    Source: CLOC (arXiv:2410.02746), region object recognition; macc as in CLIPSelf's evaluation.

    Raises:
        ValueError: the two inputs differ in their number of regions.
    """
    if similarity_NC.shape[0] != class_N.shape[0]:
        raise ValueError(f"{similarity_NC.shape[0]} rows of similarity for {class_N.shape[0]} regions")
    if class_N.size == 0:
        return {}
    rank_N = _ranks_of(similarity_NC, class_N)
    is_first_N = rank_N == 0
    accuracies = [float(is_first_N[class_N == present].mean()) for present in np.unique(class_N)]
    return {
        "top1": float(is_first_N.mean()),
        "top5": float((rank_N < 5).mean()),
        "macc": float(np.mean(accuracies)),
    }


def retrieval_metrics(region_ND: Floats, text_TD: Floats, text_of_N: Ints, *, chunk: int = 1024) -> dict[str, float]:
    """Region-phrase retrieval in both directions, recall at 1, 5 and 10.

    The texts are distinct.  ``r2t``: a region finds its phrase among all texts.  ``t2r``: a phrase finds any of its
    regions among all regions.  Similarities are computed ``chunk`` queries at a time.
    """
    if text_of_N.size == 0:
        return {}
    metrics: dict[str, float] = {}
    rank_N = np.concatenate(
        [
            _ranks_of(region_ND[start : start + chunk] @ text_TD.T, text_of_N[start : start + chunk])
            for start in range(0, len(region_ND), chunk)
        ]
    )
    metrics |= {f"r2t_r{k}": float((rank_N < k).mean()) for k in RECALL_RANKS}
    rank_T = np.concatenate(
        [
            _best_ranks(
                text_TD[start : start + chunk] @ region_ND.T,
                text_of_N[None, :] == np.arange(start, min(start + chunk, len(text_TD)))[:, None],
            )
            for start in range(0, len(text_TD), chunk)
        ]
    )
    metrics |= {f"t2r_r{k}": float((rank_T < k).mean()) for k in RECALL_RANKS}
    return metrics


def grounding_metrics(iou_Q: Floats) -> dict[str, float]:
    """Phrase grounding: mean overlap with the best true box, and the share of phrases whose overlap reaches 0.5."""
    if iou_Q.size == 0:
        return {}
    return {"mean_iou": float(iou_Q.mean()), "hit50": float((iou_Q >= GROUNDING_IOU).mean())}


def _ranks_of(scores_NC: Floats, right_N: Ints) -> Ints:
    """How many wrong columns stand before the right one, in each row."""
    right_score_N1 = np.take_along_axis(scores_NC, right_N[:, None], axis=1)
    return (scores_NC >= right_score_N1).sum(axis=1, dtype=np.int64) - 1


def _best_ranks(scores_QN: Floats, is_right_QN: NDArray[np.bool_]) -> Ints:
    """How many wrong columns stand before the best of the right ones, in each row."""
    best_Q1 = np.where(is_right_QN, scores_QN, -np.inf).max(axis=1, keepdims=True)
    return ((scores_QN >= best_Q1) & ~is_right_QN).sum(axis=1, dtype=np.int64)
