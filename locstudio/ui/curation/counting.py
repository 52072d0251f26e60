"""What is counted and said of a view of the pool: conditions, thresholds, phrases, and why nothing is shown."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.regions import Origin, Review
from locstudio.services.curation.geometry import Rule, is_breaking
from locstudio.services.curation.measures import Measures
from locstudio.services.curation.pool import Pool
from locstudio.services.curation.progress import ReviewProgress, review_progress
from locstudio.services.curation.view import Order, Wish, rows_of, visible
from locstudio.store.dataset import Dataset
from locstudio.ui.curation.filter_row import Counts

_MAX_PHRASES = 2_000
_NOTHING = (
    "Nothing to review yet.\n\n"
    "Press Propose: a model looks for what the captions of your images speak of, and what it finds is listed here."
)
_ALL_DECIDED = (
    "Everything is decided.\n\n"
    "Press Retrain to learn from it, or tick “Accepted” in the chip Review to see what you have said."
)
_FILTERED = "Nothing passes this filter.\n\nClear it to see everything that is still to be reviewed."
_TOO_WEAK = "No proposal here is as sure as {score:.2f}.\n\nMove Confidence to the left: the surest has {best:.2f}."
_DOUBLES = "Better boxes hide everything here.\n\nMove Overlap to the right to see them."


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many proposals there are, how many are sure enough, and how many of those a better box hides."""

    num_proposals: int
    num_above: int
    num_doubles: int


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Everything that is counted of a pool and a wish, for a worker.

    Attributes:
        counts: How many items meet each condition.
        scores: Scores of what the threshold of confidence speaks of.
        phrases: Phrases of the view without its filter of phrases, with their counts.
        known: All phrases of the pool, for completion.
        progress: How far the review is.
    """

    counts: Counts
    scores: NDArray[np.float32]
    phrases: list[tuple[str, int]]
    known: list[tuple[str, int]]
    progress: ReviewProgress

    @classmethod
    def of(cls, dataset: Dataset, pool: Pool, wish: Wish, measures: Measures | None = None) -> "Counted":
        """Count."""
        unordered = replace(wish, phrases=frozenset(), order=Order.SCORE)
        return cls(
            counts=counts_of(pool, wish),
            scores=pool.scores[pool.is_provisional],
            phrases=phrases_of(pool, rows_of(pool, unordered, measures)),
            known=phrases_of(pool, pool.rows),
            progress=review_progress(dataset, pool, visible(pool, wish.min_score, wish.max_overlap)),
        )


def thresholds_of(pool: Pool, wish: Wish) -> Thresholds:
    """What the two thresholds let through, whatever else is filtered."""
    is_open = pool.is_provisional
    is_above = is_open & (pool.scores >= np.float32(np.float16(wish.min_score)))
    is_seen = is_open & visible(pool, wish.min_score, wish.max_overlap)
    num_above = int(np.count_nonzero(is_above))
    return Thresholds(int(np.count_nonzero(is_open)), num_above, num_above - int(np.count_nonzero(is_seen)))


def counts_of(pool: Pool, wish: Wish) -> Counts:
    """How many items meet each condition, of those that the thresholds let through."""
    is_seen = visible(pool, wish.min_score, wish.max_overlap)
    reviews = np.bincount(pool.reviews[is_seen], minlength=len(Review))
    origins = np.bincount(pool.origins[is_seen], minlength=len(Origin))
    class_ids, numbers = np.unique(pool.class_ids[is_seen], return_counts=True)
    return Counts(
        reviews=dict(zip(Review, reviews.tolist(), strict=True)),
        origins=dict(zip(Origin, origins.tolist(), strict=True)),
        classes={key: number for key, number in zip(class_ids.tolist(), numbers.tolist(), strict=True) if key},
        rules={rule: int(np.count_nonzero(is_breaking(pool, rule, among=is_seen))) for rule in Rule},
    )


def phrases_of(pool: Pool, rows: NDArray[np.int64]) -> list[tuple[str, int]]:
    """The phrases of these rows with their counts, the most frequent first."""
    numbers = np.bincount(pool.phrase_rows[rows], minlength=len(pool.phrases))
    order = np.argsort(-numbers, kind="stable")[:_MAX_PHRASES]
    return [(pool.phrases[row], int(numbers[row])) for row in order.tolist() if numbers[row]]


def why_empty(pool: Pool, wish: Wish) -> str:
    """Why no row meets a wish, and what to do about it."""
    if not pool.is_there.any():
        return _NOTHING
    weaker = rows_of(pool, replace(wish, min_score=0.0))
    if len(weaker):
        return _TOO_WEAK.format(score=wish.min_score, best=float(np.nanmax(pool.scores[weaker])))
    if len(rows_of(pool, replace(wish, min_score=0.0, max_overlap=1.0))):
        return _DOUBLES
    is_plain = wish == Wish(
        min_score=wish.min_score, max_overlap=wish.max_overlap, order=wish.order, is_descending=wish.is_descending
    )
    if not is_plain:
        return _FILTERED
    return _ALL_DECIDED if pool.supplies else _NOTHING
