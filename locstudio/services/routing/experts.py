"""What each expert lives on.  Axes: N = images, E = experts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from locstudio.services.routing.book import NO_ONE, RoutingBook

Order = Literal["sure", "unsure", "mismatch", "another", "class"]

NUM_TOP_CLASSES = 8
DEAD_SHARE, RARE_SHARE, OVERLOADED_SHARE = 0.1, 0.25, 2.0
"""Of its even share of the images, 1/E: what an expert takes less than to be called dead, rare, or more to be called
overloaded."""


@dataclass(frozen=True, slots=True)
class ExpertSummary:
    """One expert, by the images whose first choice it is.

    Attributes:
        expert: Its position; ``name`` counts from 1.
        share: Of all images, in [0, 1].
        top_classes: Positions of the classes that most of its images show, with how many, falling.
        superclass: Position of the superclass it was taught, or None.
        mean_margin: Of its images, in [0, 1]; NaN where it has none.
        num_mismatched: Images that belong to another expert, by what they show.
        num_unlabelled: Images of which no class is known.
        top1: Share of its held-out images whose likeliest class they show; NaN where there is none.
        is_dead: It takes hardly any image: less than a tenth of its even share.
        is_rare: It takes few: less than a quarter of its even share, but is not dead.
        is_overloaded: It takes more than twice its even share.
    """

    expert: int
    name: str
    num_images: int
    share: float
    top_classes: tuple[tuple[int, int], ...]
    superclass: int | None
    mean_margin: float
    num_mismatched: int
    num_unlabelled: int
    top1: float
    is_dead: bool
    is_rare: bool
    is_overloaded: bool


def summaries(book: RoutingBook) -> list[ExpertSummary]:
    """Every expert, in their order; images whose file is another one by now do not count."""
    is_meant_N = ~book.is_stale_N
    experts_N, num_experts = book.experts_N, book.num_experts
    num_images = int(is_meant_N.sum())
    is_judged_N = is_meant_N & (book.table.held_out == 1) & (book.truth_N >= 0)
    count = _counter(experts_N, num_experts)
    images_E, judged_E = count(is_meant_N), count(is_judged_N)
    right_E, mismatched_E = count(is_judged_N & book.is_right_N), count(is_meant_N & book.mismatch_N)
    unlabelled_E = count(is_meant_N & (book.truth_N < 0))
    margins_E = np.bincount(experts_N[is_meant_N], book.margins_N[is_meant_N], num_experts)
    tops = _top_classes(book, is_meant_N)
    found = []
    for expert in range(num_experts):
        share = int(images_E[expert]) / max(num_images, 1)
        even = share * num_experts
        summary = ExpertSummary(
            expert=expert,
            name=book.expert_names[expert],
            num_images=int(images_E[expert]),
            share=share,
            top_classes=tops[expert],
            superclass=expert if book.is_taught else None,
            mean_margin=_ratio(margins_E[expert], images_E[expert]),
            num_mismatched=int(mismatched_E[expert]),
            num_unlabelled=int(unlabelled_E[expert]),
            top1=_ratio(right_E[expert], judged_E[expert]),
            is_dead=num_experts > 1 and even < DEAD_SHARE,
            is_rare=num_experts > 1 and DEAD_SHARE <= even < RARE_SHARE,
            is_overloaded=num_experts > 2 and even > OVERLOADED_SHARE,
        )
        found.append(summary)
    return found


def images_of_expert(book: RoutingBook, expert: int, order: Order = "sure") -> NDArray[np.int64]:
    """The images whose first choice is this expert, without those that cannot be looked at.

    ``sure``: by falling margin.  ``unsure``: by rising margin.  ``mismatch``: those that belong to another expert
    first, the surest before the others.  ``another``: those whose likeliest class is none that they show first, the
    most probable before the others, then the rest by rising probability.  ``class``: by class, in each by falling
    margin.  In the last two those of no known class come last.
    """
    rows = np.flatnonzero((book.experts_N == expert) & book.is_shown_N)
    return book.table.image_ids[rows[ordered(book, rows, order)]]


def ordered(book: RoutingBook, rows: NDArray[np.int64], order: Order) -> NDArray[np.int64]:
    """What sorts some rows of the table: positions in ``rows``."""
    margins = book.margins_N[rows]
    if order == "sure":
        return np.argsort(-margins, kind="stable")
    if order == "unsure":
        return np.argsort(margins, kind="stable")
    if order == "mismatch":
        return np.lexsort((-margins, ~book.mismatch_N[rows]))
    if order == "another":
        return np.argsort(-book.other_N[rows], kind="stable")
    truth = book.truth_N[rows]
    return np.lexsort((-margins, np.where(truth < 0, np.iinfo(np.int32).max, truth)))


def _counter(experts_N: NDArray[np.int16], num_experts: int) -> Callable[[NDArray[np.bool_]], NDArray[np.int64]]:
    return lambda is_so_N: np.bincount(experts_N[is_so_N], minlength=num_experts)


def _top_classes(book: RoutingBook, is_meant_N: NDArray[np.bool_]) -> list[tuple[tuple[int, int], ...]]:
    num_classes = len(book.table.header.class_names)
    is_known_N = is_meant_N & (book.truth_N > NO_ONE)
    keys = book.experts_N[is_known_N].astype(np.int64) * num_classes + book.truth_N[is_known_N]
    counts_EL = np.bincount(keys, minlength=book.num_experts * num_classes).reshape(book.num_experts, num_classes)
    best_EK = np.argsort(-counts_EL, axis=1, kind="stable")[:, :NUM_TOP_CLASSES]
    return [
        tuple((int(place), int(counts_EL[expert, place])) for place in best_EK[expert] if counts_EL[expert, place])
        for expert in range(book.num_experts)
    ]


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
