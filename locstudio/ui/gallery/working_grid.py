"""A gallery that is worked through by keys: decide, skip, back, and on to the next that is open, by itself."""

import numpy as np
from PySide6.QtCore import QItemSelection, QItemSelectionModel, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from locstudio.ui import theme
from locstudio.ui.gallery.uniform_grid import AnyIndex, UniformGrid
from locstudio.ui.gallery.working_model import Rows, WorkingModel

SIDE_STEP = 16
"""By so many pixels a key makes the tiles larger or smaller."""

_MAX_TRAIL = 1_000
_TEXT_WIDTH = 460
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_NO_MODIFIERS = Qt.KeyboardModifier.NoModifier
_MOVES = {
    int(Qt.Key.Key_Left): UniformGrid.CursorAction.MoveLeft,
    int(Qt.Key.Key_Right): UniformGrid.CursorAction.MoveRight,
    int(Qt.Key.Key_Up): UniformGrid.CursorAction.MoveUp,
    int(Qt.Key.Key_Down): UniformGrid.CursorAction.MoveDown,
    int(Qt.Key.Key_PageUp): UniformGrid.CursorAction.MovePageUp,
    int(Qt.Key.Key_PageDown): UniformGrid.CursorAction.MovePageDown,
    int(Qt.Key.Key_Home): UniformGrid.CursorAction.MoveHome,
    int(Qt.Key.Key_End): UniformGrid.CursorAction.MoveEnd,
}


class WorkingGrid(UniformGrid):
    """Tiles of a ``WorkingModel``.  What a key of a decision means, a subclass says in ``take_key``.

    Signals:
        selection_changed: how many rows are chosen.
    """

    selection_changed = Signal(int)

    def __init__(self, model: WorkingModel, side: int, caption_height: int, parent: QWidget | None = None) -> None:
        super().__init__(side, caption_height, parent)
        self._work = model
        self._trail: list[int] = []
        self._anchor = -1
        self._empty_text = ""
        # Told once for a step, however many signals it makes.
        self._telling = QTimer(self, interval=0, singleShot=True)
        self._telling.timeout.connect(self._tell)
        self.setModel(model)
        self.shown_rows_changed.connect(lambda *_: self._telling.start())
        model.modelReset.connect(self._on_model_reset)
        model.dataChanged.connect(lambda *_: self._telling.start())
        theme.notifier.changed.connect(self.viewport().update)

    # what is chosen ---------------------------------------------------------------------------------------------

    @property
    def place(self) -> int:
        """The row of the current item, or -1."""
        return self.currentIndex().row()

    def chosen(self) -> Rows:
        """Positions in the table of what is selected, else of the current item, in the order of the tiles."""
        selection = self.selectionModel().selection()
        ranges = (selection.at(number) for number in range(selection.size()))
        parts = [np.arange(part.top(), part.bottom() + 1) for part in ranges]
        if parts:
            return self._work.rows[np.unique(np.concatenate(parts))]
        return self._work.rows[self.place : self.place + 1] if self.place >= 0 else np.empty(0, np.int64)

    def go_to(self, place: int, *, is_remembered: bool = True) -> None:
        """Make a row the current one, alone."""
        if not 0 <= place < len(self._work.rows):
            return
        if is_remembered and self.place >= 0 and self.place != place:
            self._trail = [*self._trail[-_MAX_TRAIL:], self.place]
        index = self._work.index(place, 0)
        self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self.scrollTo(index)

    def advance(self) -> None:
        """Go on to the next item that is still to be decided: after the last chosen, else from the start."""
        chosen = self.chosen()
        last = max((self._work.place_of(int(position)) for position in chosen[-1:]), default=self.place)
        place = self._work.next_open(last)
        if place < 0:
            place = self._work.next_open(-1)
        self.go_to(place if place >= 0 else min(last + 1, len(self._work.rows) - 1))

    def skip(self) -> None:
        """Leave the current item as it is, and go on."""
        place = self._work.next_open(self.place)
        self.go_to(place if place >= 0 else min(self.place + 1, len(self._work.rows) - 1))

    def back(self) -> None:
        """Go to where one came from, else to the row before."""
        while self._trail:
            place = self._trail.pop()
            if place != self.place:
                self.go_to(place, is_remembered=False)
                return
        self.go_to(self.place - 1, is_remembered=False)

    def set_empty_text(self, text: str) -> None:
        """What to say where there is nothing to show."""
        if text != self._empty_text:
            self._empty_text = text
            self.viewport().update()

    @property
    def empty_text(self) -> str:
        """What is said where there is nothing to show."""
        return self._empty_text if not len(self._work.rows) else ""

    # keys -------------------------------------------------------------------------------------------------------

    def take_key(self, event: QKeyEvent) -> bool:
        """Do what a key of the gallery means; False where it means nothing here."""
        raise NotImplementedError

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self.take_key(event) and not self._extend_by_key(event):
            before = self.place
            super().keyPressEvent(event)
            if self.place != before and before >= 0 and event.modifiers() == _NO_MODIFIERS:
                self._trail = [*self._trail[-_MAX_TRAIL:], before]

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Shift and a click select everything between, as the tiles are read."""
        index = self.indexAt(event.position().toPoint())
        if event.modifiers() == _SHIFT and event.button() == Qt.MouseButton.LeftButton and index.isValid():
            self._extend_to(index.row())
        else:
            super().mousePressEvent(event)

    def _extend_by_key(self, event: QKeyEvent) -> bool:
        """Move with Shift held: select everything between, as the tiles are read."""
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        action = _MOVES.get(event.key()) if modifiers == _SHIFT else None
        if action is None:
            return False
        self._extend_to(self.moveCursor(action, _NO_MODIFIERS).row())
        return True

    def _extend_to(self, place: int) -> None:
        if not 0 <= place < len(self._work.rows):
            return
        anchor = self._anchor if 0 <= self._anchor < len(self._work.rows) else max(0, self.place)
        index, selection = self._work.index(place, 0), self.selectionModel()
        first, last = sorted((anchor, place))
        between = QItemSelection(self._work.index(first, 0), self._work.index(last, 0))
        selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        selection.select(between, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._anchor = anchor
        self.scrollTo(index)

    # facts ------------------------------------------------------------------------------------------------------

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        self._anchor = current.row()
        self._telling.start()

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        super().selectionChanged(selected, deselected)
        self._telling.start()

    def _tell(self) -> None:
        self.selection_changed.emit(len(self.chosen()))
        first, last = self.rows_in(self.viewport().rect())
        if first <= last:
            page = last - first + 1
            self._load(first, last, min(last + page, len(self._work.rows) - 1))

    def _load(self, first: int, last: int, end: int) -> None:
        """Load what is on the screen (``first`` to ``last``), and after it what comes next, up to ``end``."""
        raise NotImplementedError

    def _on_model_reset(self) -> None:
        self._trail = []
        self.verticalScrollBar().setValue(0)
        self.updateGeometries()
        self.viewport().update()
        self._telling.start()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.empty_text:
            painter = QPainter(self.viewport())
            painter.setPen(QColor(theme.current().muted))
            room = self.viewport().rect()
            column = QRect(0, 0, min(_TEXT_WIDTH, room.width() - 40), room.height() // 2)
            column.moveCenter(room.center())
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(column, flags, self.empty_text)
