"""Where to look, and what else an item may be: worked out on workers, from vectors that are there already."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from locstudio.domain.regions import LabelClass
from locstudio.services.curation.measures import Measures, liken, measure, revalued, without_vector
from locstudio.services.curation.pool import Pool
from locstudio.services.curation.suggestions import Suggestion, suggestions
from locstudio.services.curation.vectors import ItemVectors
from locstudio.services.heat.disagreeing import Disagreeing
from locstudio.services.promotion import active_id
from locstudio.services.routing.wishes import RoutingCounts, Routings, RoutingsOf
from locstudio.services.search import SearchService
from locstudio.store.view import DatasetView
from locstudio.ui.background import LatestOnly

_MAX_LEARNT = 2_000
"""Phrases that are embedded for the sake of measures: rarer ones are measured by their outliers alone."""


@dataclass(frozen=True, slots=True)
class _Measured:
    measures: Measures
    vectors: ItemVectors
    unknown: list[str]


class Measuring(QObject):
    """Holds the measures of the pool that is shown; ``is_waiting`` says that words of its phrases have no vectors yet.

    Signals:
        measured: the measures are others now.
        routed: how many items are in images of each expert (``RoutingCounts``); None where no image was routed.
        pinned: the likeness to the item with this key is measured.
        suggested: key of an item, and its ``Suggestion``s.
        phrases_unknown: phrases whose vectors would make the measures better.
        failed: a sentence.
    """

    measured = Signal()
    routed = Signal(object)
    pinned = Signal(str)
    suggested = Signal(str, object)
    phrases_unknown = Signal(list)
    failed = Signal(str)

    def __init__(
        self, dataset: DatasetView, disagreeing: Disagreeing, routings: Routings, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._disagreeing, self._routings = disagreeing, routings
        self._service: SearchService | None = None
        self._pool: Pool | None = None
        self._vectors: ItemVectors | None = None
        self._asked: frozenset[str] = frozenset()
        self.is_waiting = False
        self.measures: Measures | None = None
        self._measuring, self._likening, self._suggesting = (LatestOnly(self) for _ in range(3))
        self._heating, self._routing = (LatestOnly(self) for _ in range(2))
        self._heating.arrived.connect(self._on_heat)
        self._routing.arrived.connect(self._on_routing)
        self._measuring.arrived.connect(self._on_measured)
        self._likening.arrived.connect(self._on_likened)
        self._suggesting.arrived.connect(lambda found: self.suggested.emit(*found))
        for door in self._doors:
            door.failed.connect(lambda error: self.failed.emit(str(error)))

    @property
    def _doors(self) -> tuple[LatestOnly, ...]:
        return self._measuring, self._likening, self._suggesting, self._heating, self._routing

    @property
    def vectors(self) -> ItemVectors | None:
        """Vectors of the rows of the pool that was measured; None before the first."""
        return self._vectors

    def set_service(self, service: SearchService | None) -> None:
        """Take the vectors of regions and of words from this index."""
        self._service = service
        self._asked = frozenset()
        self.measure()

    def set_pool(self, pool: Pool, unmeasured: Measures) -> None:
        """Measure a pool that was read anew; what is pinned stays so.  ``unmeasured`` is what is known before that."""
        self._likening.forget()
        self._suggesting.forget()
        self._pool = pool
        self.measures = replace(unmeasured, pinned=self.measures.pinned) if self.measures is not None else unmeasured
        self._vectors = None
        self.measure()
        self.measure_routing()

    def follow(self, pool: Pool) -> None:
        """Take the pool as it is after an edit: what was measured stays true of rows that were there."""
        is_longer = self._pool is not None and len(pool) > len(self._pool)
        self._pool = pool
        if is_longer:
            self.measure()

    def measure(self) -> None:
        """Measure the pool, as after words or regions got vectors."""
        if self._pool is not None:
            pinned = self.measures.pinned if self.measures is not None else ""
            self._measuring.submit(_measure, self._dataset, self._pool, self._service, pinned)

    def revalue(self, pool: Pool) -> Measures | None:
        """The measures with the values that decisions have left: in milliseconds, for a view that is made anew."""
        if self.measures is not None:
            self.measures = revalued(pool, self.measures)
        return self.measures

    def pin(self, key: str) -> None:
        """Measure the likeness to this item."""
        pool, vectors, measures = self._pool, self._vectors, self.measures
        if pool is None or vectors is None or measures is None:
            self.failed.emit("What items look like is still being read; try again in a moment.")
            return
        self._likening.submit(lambda: (key, liken(measures, pool, vectors, key)))

    def measure_heat(self) -> None:
        """Measure how much heat contradicts each row; nobody asks before she sorts by it."""
        pool = self._pool
        if pool is not None:
            self._heating.submit(lambda: (pool, self._disagreeing.of_pairs(pool.image_ids, pool.class_ids)))

    def measure_routing(self) -> None:
        """Read which experts took the images of the rows."""
        if self._pool is not None:
            self._routing.submit(_route, self._routings, self._pool)

    def suggest(self, pool: Pool, row: int, key: str, classes: Sequence[LabelClass]) -> None:
        """Find what else a row of the pool may be."""
        vectors, service, measures = self._vectors, self._service, self.measures
        if vectors is None or measures is None or row >= len(measures.outlier):
            return
        vocabulary = service.vocabulary if service is not None else None
        find = partial(suggestions, pool, row, vectors, vocabulary, classes, logit_scale=measures.logit_scale)
        self._suggesting.submit(_named, key, find)

    def close(self) -> None:
        """Wait for what is being worked out; nothing arrives any more."""
        for door in self._doors:
            door.close()

    def _on_measured(self, found: _Measured) -> None:
        measures = found.measures
        if self.measures is not None and measures.pinned != self.measures.pinned:  # pinned meanwhile
            measures = replace(measures, likeness=self.measures.likeness, pinned=self.measures.pinned)
        if (before := self.measures) is not None:
            measures = replace(measures, heat=before.heat, routing=before.routing)
        self.measures, self._vectors = measures, found.vectors
        room = max(0, _MAX_LEARNT - len(self._asked))
        new = [phrase for phrase in found.unknown if phrase not in self._asked][:room]
        self._asked |= frozenset(new)
        self.is_waiting = not self._asked.isdisjoint(found.unknown)
        if new:
            self.phrases_unknown.emit(new)
        self.measured.emit()

    def _on_heat(self, found: tuple[Pool, NDArray[np.float32]]) -> None:
        if self.measures is not None:
            self.measures = replace(self.measures, heat=found[1], remembered={})
            self.measured.emit()

    def _on_routing(self, found: tuple[RoutingsOf | None, RoutingCounts | None]) -> None:
        if self.measures is not None:
            self.measures = replace(self.measures, routing=found[0], remembered={})
            self.routed.emit(found[1])

    def _on_likened(self, found: tuple[str, Measures]) -> None:
        key, likened = found
        assert self.measures is not None
        self.measures = replace(self.measures, likeness=likened.likeness, pinned=likened.pinned, remembered={})
        if likened.pinned:
            self.pinned.emit(key)
        else:
            self.failed.emit("This item has no vector yet, so nothing can be compared with it.")


def _measure(dataset: DatasetView, pool: Pool, service: SearchService | None, pinned: str) -> _Measured:
    vectors = ItemVectors(pool, active_id(dataset), service.index if service else None)
    vocabulary = service.vocabulary if service is not None else None
    unknown = without_vector(pool, vocabulary) if vocabulary is not None else []
    measures = measure(pool, vectors, vocabulary)
    return _Measured(liken(measures, pool, vectors, pinned) if pinned else measures, vectors, unknown)


def _route(routings: Routings, pool: Pool) -> tuple[RoutingsOf | None, RoutingCounts | None]:
    """The routing of the image of every row, and what there is to choose from among the rows that are there."""
    book = routings.read()
    if book is None:
        return None, None
    found = routings.of_images(pool.image_ids)
    return found, found.counted(book.expert_names, pool.is_there)


def _named(key: str, find: Callable[[], list[Suggestion]]) -> tuple[str, list[Suggestion]]:
    return key, find()
