"""Which rows of a worklist come first: the surest of all, or those of each class in turn.

Why classes take turns: of 588 photos and mosaics with one label each, 600 rows of the list were answered as a person
would, and a new model trained the same way.  mAP on 100 other photos, without answers .413, .383 and .427 (three
seeds): after answers in turns .461, .452 and .498, after answers to the surest rows over all .387, .413 and .403.
Of these more were really missing, 34 against 23 %, but they were mostly of few classes.  The list of that story was
sorted by root of average and peak, without a least score and without what is the class's own.

Source: ``assets/checkpoints/consistency-lite/claims.md``, ``trainer.bundle.multilabel_story``.

Axis: M = rows of a list.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Order(StrEnum):
    """How a worklist is sorted.

    ``TURNS``: the surest row of every class by falling score, then the second of every class, and so on.  ``SCORE``:
    by falling score, whatever the class.
    """

    TURNS = "turns"
    SCORE = "score"


def turns_of(classes_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many rows of the same class come before each row, (M,)."""
    by_class = np.argsort(classes_M, kind="stable")
    sorted_M = classes_M[by_class]
    turns_M = np.empty(len(classes_M), np.int64)
    turns_M[by_class] = np.arange(len(classes_M)) - np.searchsorted(sorted_M, sorted_M)
    return turns_M


def in_turns(falling_M: NDArray[np.int64], classes_M: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same rows, first the first of each class, then the second of each.

    Args:
        falling_M: Rows by falling score.
        classes_M: The class of every row, not only of those.
    """
    return falling_M[np.argsort(turns_of(classes_M[falling_M]), kind="stable")]


def first(num: int, values_M: NDArray[np.float32], places_M: NDArray[np.int64], order: Order) -> NDArray[np.int64]:
    """Where the highest values are, over all or class by class in turn: at most so many, in no order.

    Args:
        num: How many, at most.
        values_M: What is to be high.
        places_M: The position of each row's class.
        order: Over all, or in turn.
    """
    if len(values_M) <= num:
        return np.arange(len(values_M))
    if order is Order.SCORE:
        return np.argpartition(-values_M, num)[:num]
    counts_L = np.bincount(places_M)
    of_turn = len(counts_L) - np.cumsum(np.bincount(counts_L))  # so many classes have a first, a second, ... row
    num_turns = int(np.searchsorted(np.cumsum(of_turn), num, side="right"))
    by_class = np.argsort(places_M.astype(np.uint16), kind="stable")  # of 16 bits: sorted by counting
    whole, last = [], []
    for rows in np.split(by_class, np.cumsum(counts_L)[:-1]):
        if len(rows) <= num_turns:
            whole.append(rows)
            continue
        falling = rows[np.argpartition(-values_M[rows], num_turns)]
        whole.append(falling[:num_turns])
        last.append(falling[num_turns])
    best = np.concatenate(whole)
    next_ones = np.array(last, np.int64)
    surest = np.argsort(-values_M[next_ones], kind="stable")[: num - len(best)]
    return np.concatenate([best, next_ones[surest]])
