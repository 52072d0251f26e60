"""What is about to be changed, as tiles: a click or Space keeps a tile out, and one that is kept out is crossed out."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QMenu, QStyle, QStyleOptionViewItem, QWidget

from locstudio.ui import theme
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.plain_text import shown
from locstudio.ui.search.hits_model import HitItem, HitsModel
from locstudio.ui.search.hits_view import CAPTION_HEIGHT, HitsView

_VEIL = 165  # of 255: a tile that is left out is still recognised
_CROSS_EDGE = QColor(12, 14, 18, 200)


class VetoModel(HitsModel):
    """Tiles with what the person has said of each: those that reach the cut are taken unless she says otherwise.

    Signals:
        taken_changed: other tiles are taken now than before.
    """

    taken_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._said: dict[int, bool] = {}

    def set_hits(self, hits: Sequence[HitItem], num_above: int) -> None:
        """Show these tiles, of which the first ``num_above`` reach the cut; nothing is said of any yet."""
        self._said = {}
        super().set_hits(hits, num_above)
        self.taken_changed.emit()

    def set_num_above(self, num_above: int) -> None:
        """Divide the tiles anew; what was said of single ones stays."""
        super().set_num_above(num_above)
        self._said = {row: is_taken for row, is_taken in self._said.items() if is_taken != (row < num_above)}
        self.taken_changed.emit()

    def is_taken(self, row: int) -> bool:
        """Whether a tile is changed with the others."""
        return self._said.get(row, row < self.num_above)

    def is_vetoed(self, row: int) -> bool:
        """Whether a tile that reaches the cut was left out by the person."""
        return row < self.num_above and not self.is_taken(row)

    @property
    def num_taken(self) -> int:
        """How many tiles are taken."""
        return self.num_above + sum(1 if is_taken else -1 for is_taken in self._said.values())

    @property
    def num_vetoed(self) -> int:
        """How many tiles that reach the cut are left out."""
        return sum(not is_taken for is_taken in self._said.values())

    def taken(self) -> NDArray[np.int64]:
        """The rows of the tiles that are taken."""
        is_taken = np.arange(len(self.hits)) < self.num_above
        for row, said in self._said.items():
            is_taken[row] = said
        return np.flatnonzero(is_taken)

    def toggle(self, rows: Iterable[int]) -> None:
        """Leave these tiles out; take them where all of them are out already."""
        rows = list(rows)
        if not rows:
            return
        is_wanted = not any(self.is_taken(row) for row in rows)
        for row in rows:
            if is_wanted == (row < self.num_above):
                self._said.pop(row, None)
            else:
                self._said[row] = is_wanted
        self.dataChanged.emit(self.index(min(rows), 0), self.index(max(rows), 0))
        self.taken_changed.emit()

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.AccessibleTextRole and index.isValid() and 0 <= index.row() < len(self.hits):
            place = "taken" if self.is_taken(index.row()) else "left out"
            return f"{shown(self.hits[index.row()].sentence())}, {place}"
        return super().data(index, role)


class VetoGrid(HitsView):
    """The tiles.  Walking and selecting decide nothing; a plain click and Space do.

    Signals:
        opened: the ``HitItem`` that a person wants to see in its image, from the menu.
    """

    opened = Signal(object)

    def __init__(
        self,
        model: VetoModel,
        crops: PictureLoader,
        thumbnail_of: Callable[[int], QPixmap | None] = lambda _: None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(model, crops, thumbnail_of, parent)
        self._tiles = model
        self._empty_text = ""
        self.clicked.disconnect()
        self.activated.disconnect()
        self.clicked.connect(self._on_clicked)
        self.setSelectionMode(HitsView.SelectionMode.ExtendedSelection)
        self.setAccessibleName("Regions; Space takes one or leaves it out")
        model.modelReset.connect(self._go_to_first)

    def set_empty_text(self, text: str) -> None:
        """What to say where there is nothing to show."""
        self._empty_text = text
        self.viewport().update()

    def _go_to_first(self) -> None:
        if self._tiles.rowCount():
            self.selectionModel().setCurrentIndex(
                self._tiles.index(0, 0), self.selectionModel().SelectionFlag.ClearAndSelect
            )

    def _on_clicked(self, index: QModelIndex) -> None:
        if len(self.selectionModel().selectedIndexes()) == 1:  # with Shift or Ctrl she only selects
            self._tiles.toggle([index.row()])

    def _selected_rows(self) -> list[int]:
        chosen = self.selectionModel().selection()
        parts = [chosen.at(number) for number in range(chosen.size())]
        rows = [row for part in parts for row in range(part.top(), part.bottom() + 1)]
        return rows or ([self.currentIndex().row()] if self.currentIndex().isValid() else [])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space toggles what is selected; Enter and Esc are the sheet's."""
        key = event.key()
        if key == Qt.Key.Key_Space:
            self._tiles.toggle(self._selected_rows())
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            event.ignore()
        else:
            super(HitsView, self).keyPressEvent(event)

    def _open_menu(self, where: QPoint) -> None:
        index = self.indexAt(where)
        if not index.isValid():
            return
        row = index.row()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        words = "Leave this out" if self._tiles.is_taken(row) else "Take this too"
        menu.addAction(f"{words}\tSpace").triggered.connect(lambda: self._tiles.toggle([row]))
        menu.addAction("Open this image").triggered.connect(lambda: self.opened.emit(self._tiles.hits[row]))
        menu.popup(self.viewport().mapToGlobal(where))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        first, last = self.rows_in(event.rect())
        for row in range(first, last + 1):
            if self._tiles.is_vetoed(row):
                self._paint_veto(painter, self._rect_of(row))
            elif row >= self._tiles.num_above and self._tiles.is_taken(row):
                self._paint_taken(painter, row)
        if self._empty_text and not self._tiles.rowCount():
            painter.setPen(QColor(theme.current().muted))
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(self.viewport().rect().adjusted(24, 0, -24, 0), flags, self._empty_text)
        painter.end()

    def _paint_veto(self, painter: QPainter, rect: QRect) -> None:
        look = theme.current()
        veil = QColor(look.base)
        veil.setAlpha(_VEIL)
        painter.fillRect(rect, veil)
        area = QRect(rect.left(), rect.top(), rect.width(), rect.width()).adjusted(3, 3, -3, -3)
        arm = min(area.width(), area.height()) // 4
        middle = area.center()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        for color, width in ((_CROSS_EDGE, 9.0), (QColor("#ff8a80"), 4.5)):
            painter.setPen(QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(middle - QPoint(arm, arm), middle + QPoint(arm, arm))
            painter.drawLine(middle - QPoint(arm, -arm), middle + QPoint(arm, -arm))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        line = rect.bottom() - CAPTION_HEIGHT // 2
        painter.setPen(QPen(QColor(look.danger), 1))
        painter.drawLine(rect.left() + 5, line, rect.right() - 5, line)

    def _paint_taken(self, painter: QPainter, row: int) -> None:
        """A tile from below the cut that was taken: at full strength, with a frame and a tick."""
        index = self._tiles.index(row, 0)
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        option.rect = self._rect_of(row)
        option.state |= QStyle.StateFlag.State_MouseOver
        self.itemDelegate().paint(painter, option, index)
        look = theme.current()
        painter.setPen(QPen(QColor(look.accent), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)  # the delegate leaves its own
        painter.drawRect(option.rect.adjusted(1, 1, -1, -1))
        badge = QRect(option.rect.right() - 23, option.rect.top() + 5, 18, 18)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(look.accent))
        painter.drawEllipse(badge)
        painter.setPen(QPen(QColor(look.accent_text), 2))
        painter.drawPolyline([badge.topLeft() + QPoint(*at) for at in ((5, 9), (8, 12), (13, 6))])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
