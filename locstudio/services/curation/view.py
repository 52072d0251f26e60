"""What a person sees of the pool: filtered, thinned by thresholds, ordered.  Nothing is run again, nothing destroyed.

Thresholds speak of raw proposals and of pending regions of models; what a person has decided is never hidden by them.
Axes: N = rows of the pool.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.regions import Origin, Review
from locstudio.services.curation.geometry import DEFAULTS, GeometrySettings, Rule, is_breaking
from locstudio.services.curation.measures import Measures
from locstudio.services.curation.overlaps import Rows, suppressed
from locstudio.services.curation.table import EDITED, MODEL, ORIGINS, REJECTED, REVIEWS, Pool
from locstudio.services.routing.wishes import RoutingWish

_NUM_OVERLAPS = 8
_ANY_ROUTING = RoutingWish()


class Order(StrEnum):
    """By what a view is ordered.  ``VALUE``: where an answer of a person is worth most."""

    SCORE = "score"
    SIZE = "size"
    TIME = "time"
    OUTLIER = "outlier"
    LIKENESS = "likeness"
    DISAGREEMENT = "disagreement"
    HEAT = "heat"
    MARGIN = "margin"
    MISMATCH = "mismatch"
    ANOTHER = "another"
    VALUE = "value"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to see; an empty set of a kind is met by all.

    Attributes:
        min_score: What is less sure is hidden.
        max_overlap: Of two that overlap more, the less sure is hidden.
        class_ids: 0 is no class.
        rules: Break one of these.
        routing: What the image's routing must be like; without measures of it nothing meets that.
        words: Must all occur in the phrase or the name of the class.
        order: Without measures, those that need them are by score.
        pinned: Key of the item that ``LIKENESS`` speaks of.
    """

    min_score: float = 0.2
    max_overlap: float = 0.6
    reviews: frozenset[Review] = frozenset({Review.PENDING})
    origins: frozenset[Origin] = frozenset()
    phrases: frozenset[str] = frozenset()
    class_ids: frozenset[int] = frozenset()
    rules: frozenset[Rule] = frozenset()
    image_ids: frozenset[int] = frozenset()
    runs: frozenset[str] = frozenset()
    routing: RoutingWish = _ANY_ROUTING
    words: str = ""
    order: Order = Order.VALUE
    is_descending: bool = True
    pinned: str = ""

    @property
    def is_of_routing(self) -> bool:
        """Whether it filters or sorts by the routing of the image."""
        return bool(self.routing) or self.order in (Order.MARGIN, Order.MISMATCH, Order.ANOTHER)


def rows_of(pool: Pool, wish: Wish, measures: Measures | None = None, settings: GeometrySettings = DEFAULTS) -> Rows:
    """The rows of the pool that meet a wish, in its order."""
    is_wanted = visible(pool, wish.min_score, wish.max_overlap) & _filtered(pool, wish)
    if wish.rules:
        broken = np.zeros(len(pool), bool)
        among = visible(pool, wish.min_score, wish.max_overlap)
        for rule in wish.rules:
            broken |= is_breaking(pool, rule, settings, among)
        is_wanted &= broken
    if wish.routing.is_filter:
        is_wanted &= _routed(pool, wish.routing, measures)
    order = _ordered(pool, wish, measures)
    return order[is_wanted[order]]


def _routed(pool: Pool, wish: RoutingWish, measures: Measures | None) -> NDArray[np.bool_]:
    """Which rows are in images of such a routing; what came since it was measured is in none, (N,)."""
    found = np.zeros(len(pool), bool)
    if measures is not None and measures.routing is not None:
        meets = measures.routing.meets(wish)[: len(pool)]
        found[: len(meets)] = meets
    return found


def visible(pool: Pool, min_score: float, max_overlap: float) -> NDArray[np.bool_]:
    """Which rows are there and not hidden by the thresholds, (N,)."""
    is_open = pool.is_provisional
    threshold = np.float32(np.float16(min_score))  # as the scores were rounded
    is_weak = is_open & (pool.scores < threshold)
    return pool.is_there & ~is_weak & ~_suppressed(pool, max_overlap)


def _suppressed(pool: Pool, max_overlap: float) -> NDArray[np.bool_]:
    """What suppression hides at this overlap; a higher confidence never needs it again.

    What a person has accepted of a model's, or changed, stays and hides what overlaps it; what she has refused and what
    came from elsewhere hides nothing.
    """
    columns = ("edges", "is_there", "reviews", "origins")
    known = [key for key in list(pool.remembered) if key[0] == columns]
    for key in known[: max(0, len(known) - _NUM_OVERLAPS)]:
        pool.remembered.pop(key, None)

    def work_out() -> NDArray[np.bool_]:
        is_open = pool.is_provisional
        of_machine = (pool.origins == MODEL) | (pool.origins == EDITED)
        is_fixed = pool.is_there & of_machine & ~is_open & (pool.reviews != REJECTED)
        return suppressed(pool.edges, max_overlap, is_open, is_fixed)

    return pool.remember(columns, max_overlap, work_out)


def _filtered(pool: Pool, wish: Wish) -> NDArray[np.bool_]:
    is_wanted = np.ones(len(pool), bool)
    if wish.reviews:
        is_wanted &= np.array([review in wish.reviews for review in REVIEWS])[pool.reviews]
    if wish.origins:
        is_wanted &= np.array([origin in wish.origins for origin in ORIGINS])[pool.origins]
    if wish.phrases:
        is_wanted &= np.array([phrase in wish.phrases for phrase in pool.phrases])[pool.phrase_rows]
    if wish.class_ids:
        is_wanted &= np.isin(pool.class_ids, list(wish.class_ids))
    if wish.image_ids:
        is_wanted &= np.isin(pool.image_ids, list(wish.image_ids))
    if wish.runs:
        is_wanted &= np.array([*(run in wish.runs for run in pool.runs), False])[pool.run_rows]
    for word in wish.words.casefold().split():
        has_word = np.array([word in phrase.casefold() for phrase in pool.phrases])[pool.phrase_rows]
        named = [key for key, name in pool.class_names.items() if word in name.casefold()]
        is_wanted &= has_word | np.isin(pool.class_ids, named)
    return is_wanted


def _ordered(pool: Pool, wish: Wish, measures: Measures | None) -> Rows:
    """All rows in the order of a wish; what has no value comes last, equal ones in the order of the pool."""
    down = wish.is_descending
    values = None if measures is None else measures.of(wish.order)
    if measures is not None and values is not None:
        if len(values) < len(pool):  # what came since has not been measured
            values = np.concatenate([values, np.full(len(pool) - len(values), np.nan, np.float32)])
        return measures.remember((wish.order, down, len(pool)), lambda: _sorted(values, down))
    match wish.order:
        case Order.SIZE:
            return pool.remember(("boxes",), (wish.order, down), lambda: _sorted(_areas(pool), down))
        case Order.TIME:
            return pool.remember(("times",), (wish.order, down), lambda: _sorted(pool.times.astype(np.float64), down))
        case Order.IMAGE:
            return pool.remember(("image_ids", "scores"), (wish.order, down), lambda: _by_image(pool, down))
        case _:
            return pool.remember(("scores",), (Order.SCORE, down), lambda: _sorted(pool.scores, down))


def _sorted(values: NDArray[np.floating], is_descending: bool) -> Rows:
    return np.argsort(-values if is_descending else values, kind="stable")


def _areas(pool: Pool) -> NDArray[np.float32]:
    areas: NDArray[np.float32] = (pool.boxes[:, 2:] - pool.boxes[:, :2]).prod(axis=1)
    return areas


def _by_image(pool: Pool, is_descending: bool) -> Rows:
    return np.lexsort((-pool.scores, -pool.image_ids if is_descending else pool.image_ids))
