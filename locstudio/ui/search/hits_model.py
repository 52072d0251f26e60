"""The hits of a search as rows, best first."""

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

    ``view`` is the part of the image on the tile.
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
        return f"{what}, score {self.score:.2f}, in {self.image.path}"


class HitsModel(QAbstractListModel):
    """Hits in the order they were given."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._hits: tuple[HitItem, ...] = ()

    def set_hits(self, hits: Sequence[HitItem]) -> None:
        """Show these hits."""
        hits = tuple(hits)
        if hits == self._hits:
            return
        self.beginResetModel()
        self._hits = hits
        self.endResetModel()

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
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(hit.sentence())
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return shown(hit.sentence())
        return None
