"""Rows of the gallery: an array of image ids, and a cache of what is known about those on the screen."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from locstudio.domain.regions import Image
from locstudio.domain.text import counted
from locstudio.services.routing.wishes import RoutingsOf
from locstudio.ui.plain_text import shown, tip

PAGE = 200
_MAX_PAGES = 60

ITEM_ROLE = int(Qt.ItemDataRole.UserRole)
TOLD_ROLE = int(Qt.ItemDataRole.UserRole) + 1  # a few characters that the tile shows of its routing, or ""


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """An image with the counts that its tile shows."""

    image: Image
    num_regions: int = 0
    num_pending: int = 0

    def sentence(self) -> str:
        """The tile in words, for tool tips and screen readers."""
        image = self.image
        parts = [
            image.path,
            f"{image.width} × {image.height}" if image.width else "",
            counted(self.num_regions, "region"),
        ]
        if self.num_pending:
            parts.append(f"{self.num_pending} to review")
        if image.is_verified:
            parts.append("verified")
        if image.problem:
            parts.append(image.note or image.problem)
        return ", ".join(part for part in parts if part)


class GalleryModel(QAbstractListModel):
    """Images by id; an item that is not known yet is None and is asked for.

    Signals:
        items_wanted: an int64 array of image ids whose items should be given to ``put_items``.
    """

    items_wanted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._order: NDArray[np.int64] = np.empty(0, np.int64)
        self._routings: RoutingsOf | None = None
        self._items: OrderedDict[int, GalleryItem] = OrderedDict()
        self._asked: set[int] = set()
        self._stale: set[int] = set()

    @property
    def ids(self) -> NDArray[np.int64]:
        """The image ids in the order of the rows; not to be changed."""
        return self._ids

    def set_ids(
        self,
        ids: NDArray[np.int64],
        order: NDArray[np.int64] | None = None,
        routings: RoutingsOf | None = None,
    ) -> None:
        """Show these images instead; what is known of them stays known.

        ``order`` is ``np.argsort(ids)`` where somebody has it: at a million rows it takes a tenth of a second.
        ``routings`` are the images', in the same order, where their tiles are to show them.
        """
        self.beginResetModel()
        self._ids, self._routings = ids, routings
        self._order = np.argsort(ids) if order is None else order
        self._asked.clear()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._ids)

    def image_id(self, row: int) -> int:
        """The image of a row."""
        return int(self._ids[row])

    def row_of(self, image_id: int) -> int:
        """The row of an image, or -1 when it is not among those shown."""
        place = int(np.searchsorted(self._ids, image_id, sorter=self._order))
        row = int(self._order[place]) if place < len(self._order) else -1
        return row if row >= 0 and self._ids[row] == image_id else -1

    def item(self, row: int) -> GalleryItem | None:
        """What is known about the image of a row."""
        return self._items.get(int(self._ids[row]))

    def item_of(self, image_id: int) -> GalleryItem | None:
        """What is known about an image, shown or not."""
        return self._items.get(image_id)

    def put_items(self, items: Iterable[GalleryItem]) -> None:
        """Take what became known, or known better."""
        rows = []
        for item in items:
            self._items[item.image.id] = item
            self._stale.discard(item.image.id)
            self._items.move_to_end(item.image.id)
            row = self.row_of(item.image.id)
            if row >= 0:
                rows.append(row)
                self._asked.discard(row // PAGE)
        while len(self._items) > _MAX_PAGES * PAGE:
            self._items.popitem(last=False)
        if rows:
            self.dataChanged.emit(self.index(min(rows)), self.index(max(rows)))

    def forget_items(self) -> None:
        """Ask again for what is shown: everything may have changed, as after an import.  Old values stay meanwhile."""
        self._asked.clear()
        self._stale = set(self._items)

    def want_rows(self, first: int, last: int) -> None:
        """Ask for the pages of these rows that are not known yet."""
        for page in range(max(0, first) // PAGE, max(0, last) // PAGE + 1):
            ids = self._ids[page * PAGE : (page + 1) * PAGE]
            shown_ids = self._ids[max(first, page * PAGE) : min(last + 1, (page + 1) * PAGE)]
            if page in self._asked or all(int(i) in self._items and int(i) not in self._stale for i in shown_ids):
                continue
            self._asked.add(page)
            self.items_wanted.emit(ids)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._ids):
            return None
        item = self.item(index.row())
        if role == ITEM_ROLE:
            return item
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(item.image.name) if item else ""
        if role == TOLD_ROLE:
            return self._routings.told(index.row()) if self._routings is not None else ""
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(self._sentence(item, index.row())) if item else None
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return shown(self._sentence(item, index.row())) if item else "Image"
        return None

    def _sentence(self, item: GalleryItem, row: int) -> str:
        routing = self._routings.sentence(row) if self._routings is not None else ""
        return ", ".join(part for part in (item.sentence(), routing) if part)
