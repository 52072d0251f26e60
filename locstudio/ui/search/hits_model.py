"""The hits of a search as rows, best first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.ui.plain_text import shown, tip
from locstudio.ui.search.context import context_of

HIT_ROLE = int(Qt.ItemDataRole.UserRole)

CropKey = tuple[int, tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class HitItem:
    """One hit as a tile shows it.  ``region_id`` is None for a box that nobody has annotated, only the model proposed.

    ``view`` is the part of the image on the tile; a ``score`` of NaN is not shown.
    """

    image: Image
    box: UnitBox
    view: UnitBox
    score: float
    phrase: str = ""
    region_id: int | None = None

    @classmethod
    def of(cls, image: Image, box: UnitBox, score: float, phrase: str = "", region_id: int | None = None) -> "HitItem":
        """The hit with its view chosen."""
        return cls(image, box, context_of(box, max(image.width, 1), max(image.height, 1)), score, phrase, region_id)

    @property
    def crop_key(self) -> CropKey:
        """What the picture of the tile is kept under."""
        return self.image.id, self.view.as_tuple()

    def sentence(self) -> str:
        """The hit in words, for tool tips and screen readers."""
        what = self.phrase or ("region" if self.region_id is not None else "proposed box")
        score = "" if math.isnan(self.score) else f", score {self.score:.2f}"
        return f"{what}{score}, in {self.image.path}"


class HitsModel(QAbstractListModel):
    """Hits in the order they were given; the first ``num_above`` of them reach the cut."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._hits: tuple[HitItem, ...] = ()
        self._num_above = 0

    def set_hits(self, hits: Sequence[HitItem], num_above: int) -> None:
        """Show these hits, of which the first ``num_above`` reach the cut."""
        hits = tuple(hits)
        if hits == self._hits:
            self.set_num_above(num_above)
            return
        self.beginResetModel()
        self._hits, self._num_above = hits, num_above
        self.endResetModel()

    def set_num_above(self, num_above: int) -> None:
        """Divide the hits anew."""
        if num_above != self._num_above:
            first, last = sorted((num_above, self._num_above))
            self._num_above = num_above
            self.dataChanged.emit(self.index(first, 0), self.index(last - 1, 0))

    @property
    def num_above(self) -> int:
        """How many hits reach the cut."""
        return self._num_above

    @property
    def hits(self) -> tuple[HitItem, ...]:
        """Every hit that is shown."""
        return self._hits

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._hits)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._hits):
            return None
        hit = self._hits[index.row()]
        if role == HIT_ROLE:
            return hit
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(hit.phrase or hit.image.name)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            sentence = hit.sentence() + ("" if index.row() < self._num_above else ", below the cut")
            return tip(sentence) if role == Qt.ItemDataRole.ToolTipRole else shown(sentence)
        return None
