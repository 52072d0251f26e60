"""What the heatmaps page lists: one class of one image a row, as columns.  Axes: N = rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.ui.gallery.working_model import Rows

Floats = NDArray[np.float32]


class HeatView(StrEnum):
    """What the page shows."""

    EXPECTED = "expected"
    ONE_CLASS = "one_class"
    ONE_IMAGE = "one_image"


class HeatOrder(StrEnum):
    """By what the rows are sorted, the largest first.

    ``NAME`` sorts classes by their place in the vocabulary and images by their identity; all others are measures.
    That of ``TURNS`` is how many rows come after it in a worklist in which classes take turns.
    """

    TURNS = "turns"
    SCORE = "score"
    AVERAGE = "average"
    AGREEMENT = "agreement"
    OWN = "own"
    INCONSISTENCY = "inconsistency"
    NAME = "name"


@dataclass(frozen=True, slots=True, eq=False)
class HeatTable:
    """Rows of one view.

    Attributes:
        image_ids: int64 (N,).
        class_ids: int64 (N,).
        presence: What is said of it in the dataset: 1 is there, 0 is not there, -1 nothing, int8 (N,).
        measures: By what they are of, float32 (N,); ``SCORE`` is always among them.
    """

    image_ids: Rows
    class_ids: Rows
    presence: NDArray[np.int8]
    measures: Mapping[HeatOrder, Floats]
    _orders: dict[HeatOrder, Rows] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def scores(self) -> Floats:
        """How surely each class is in its image, in [0, 1]: its running average, or the score of the worklist."""
        return self.measures[HeatOrder.SCORE]

    def measure(self, name: HeatOrder, position: int) -> float | None:
        """A measure of one row; None where it was not measured."""
        values = self.measures.get(name)
        return None if values is None or np.isnan(values[position]) else float(values[position])

    def with_presence(self, presence: NDArray[np.int8]) -> "HeatTable":
        """The same rows, of which the dataset says something else now."""
        return replace(self, presence=presence)

    def rows_of(self, class_ids: frozenset[int], min_score: float, order: HeatOrder) -> Rows:
        """Rows of these classes (none for all) that score at least so much, in this order."""
        rows = self._ordered(order if order in self.measures or order is HeatOrder.NAME else HeatOrder.SCORE)
        is_wanted = self.scores >= np.float32(min_score) if min_score > 0 else np.ones(len(self), bool)
        if class_ids:
            is_wanted &= np.isin(self.class_ids, list(class_ids))
        found: Rows = rows[is_wanted[rows]]
        return found

    def _ordered(self, order: HeatOrder) -> Rows:
        """All rows in this order; worked out once for a table, however its presence changes."""
        if order not in self._orders:
            # The last key is the first reason.
            keys: list[NDArray[Any]] = [self.class_ids, self.image_ids, -self.scores]
            if order is HeatOrder.NAME:
                keys += [self.image_ids, self.class_ids]
            else:
                keys.append(np.nan_to_num(-self.measures[order], nan=np.inf))
            self._orders[order] = np.lexsort(keys)
        return self._orders[order]

    def place_of(self, image_id: int, class_id: int) -> int:
        """The row of a class of an image, or -1."""
        found = np.flatnonzero((self.image_ids == image_id) & (self.class_ids == class_id))
        return int(found[0]) if len(found) else -1


def empty_table() -> HeatTable:
    """A table without rows."""
    ids = np.zeros(0, np.int64)
    return HeatTable(ids, ids, np.zeros(0, np.int8), {HeatOrder.SCORE: np.zeros(0, np.float32)})
