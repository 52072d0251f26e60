"""Where heat, labels and boxes of a project disagree, for whoever filters or sorts by it.

Worked out when it is first asked for, and anew once an edit or an epoch has made it another.
"""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import UserError
from locstudio.services.heat.book import HeatBook
from locstudio.services.heat.inconsistency import Disagreement, Inconsistency, inconsistency
from locstudio.services.heat.known import positions_of, read_known, rows_of
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

MUCH = 0.5
"""What disagrees at least so much passes a filter."""


@dataclass(frozen=True, slots=True)
class HeatWish:
    """Images a person wants to see for their heat: those that disagree in this way, and those that do most first."""

    kind: Disagreement | None = None
    is_sorted: bool = False

    def __bool__(self) -> bool:
        return self.kind is not None or self.is_sorted


class Disagreeing:
    """Disagreement of the newest run of a project; may be asked on any thread."""

    def __init__(self, project: Project, dataset: DatasetView) -> None:
        self._project = project
        self._dataset = dataset
        self._guard = threading.Lock()
        self._key: tuple[str, int, int] = ("", -1, -1)
        self._found: Inconsistency | None = None

    def read(self) -> Inconsistency | None:
        """What disagrees now; None where no run keeps heat."""
        with self._guard:
            try:
                book = HeatBook.open(self._project, self._dataset)
            except UserError:  # there is no heat, or none that can be read
                self._found = None
                return None
            key = book.run.id, book.heatmaps.header.epoch, self._dataset.revision()
            if self._found is None or key != self._key:
                known = read_known(book.heatmaps, self._dataset)
                self._found = inconsistency(book, known, self._dataset.region_columns())
                self._key = key
            return self._found

    def counts(self) -> dict[Disagreement, int]:
        """How many images disagree much in each way; nothing where there is no heat."""
        found = self.read()
        if found is None:
            return {}
        return {kind: int(np.count_nonzero(found.of(kind) >= np.float32(MUCH))) for kind in Disagreement}

    def of_images(
        self, image_ids: NDArray[np.int64], kind: Disagreement = Disagreement.ANY, class_id: int | None = None
    ) -> NDArray[np.float32]:
        """How much each of these images disagrees, float32 like them; NaN where the run has not seen it."""
        found = self.read()
        values = np.full(len(image_ids), np.nan, np.float32)
        if found is not None:
            rows = rows_of(found.heatmaps, image_ids)
            values[rows >= 0] = found.of(kind, class_id)[rows[rows >= 0]]
        return values

    def of_pairs(self, image_ids: NDArray[np.int64], class_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """How much a class of an image disagrees, or of a class that the run does not know the image; NaN likewise."""
        values = self.of_images(image_ids)
        found = self.read()
        if found is None:
            return values
        rows, places = rows_of(found.heatmaps, image_ids), positions_of(found.heatmaps, class_ids)
        is_known = (rows >= 0) & (places >= 0)
        at = rows[is_known], places[is_known]
        columns = (found.restless_NL, found.labels_NL, found.missing_NL, found.regions_NL)
        values[is_known] = np.max([column[at] for column in columns], axis=0, initial=0) / np.float32(255)
        return values

    def chosen(
        self, image_ids: NDArray[np.int64], wish: HeatWish, class_ids: frozenset[int] = frozenset()
    ) -> NDArray[np.int64]:
        """Of these images those that meet a wish, in its order, else in theirs.

        Of exactly one class, what is said is of that class.
        """
        if not wish:
            return image_ids
        class_id = next(iter(class_ids)) if len(class_ids) == 1 else None
        values = self.of_images(image_ids, wish.kind or Disagreement.ANY, class_id)
        if wish.kind is not None:
            is_much = values >= np.float32(MUCH)
            image_ids, values = image_ids[is_much], values[is_much]
        if wish.is_sorted:
            image_ids = image_ids[np.argsort(np.nan_to_num(-values, nan=np.inf), kind="stable")]
        return image_ids
