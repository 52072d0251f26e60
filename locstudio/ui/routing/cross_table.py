"""A table of counts, rows against experts, whose names stay in sight: read by number and shade, walked by keys."""

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QTableView, QWidget

from locstudio.ui import theme
from locstudio.ui.gallery.uniform_grid import AnyIndex
from locstudio.ui.heatmaps.page_commands import is_move
from locstudio.ui.plain_text import shown
from locstudio.ui.routing.cross_model import Cross, CrossModel
from locstudio.ui.routing.cross_paint import CellDelegate, ExpertHeader, RowHeader

_ROW_HEIGHT = 23
_MIN_COLUMN, _MAX_COLUMN = 40, 132
_EXTRA_COLUMN = 64
_MIN_NAMES, _MAX_NAMES = 90, 230
_NAMES_SHARE = 0.24  # of the width at most
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class CrossTable(QTableView):
    """Shows a ``Cross``.

    Signals:
        cell_opened: row and column of the cross whose images a person wants to see; a column of -1 for all of the row.
        cell_marked: row and column that the keys act on, -1 and -1 for none.
        order_changed: the column that rows are sorted by (or ``BY_NAME``, ``AS_GIVEN``), and whether it falls.
    """

    cell_opened = Signal(int, int)
    cell_marked = Signal(int, int)
    order_changed = Signal(int, bool)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cells = CrossModel(self)
        self.setModel(self.cells)
        self.setAccessibleName(name)
        self.setItemDelegate(CellDelegate(self))
        self.setShowGrid(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setCornerButtonEnabled(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalHeader(ExpertHeader(self))
        self.horizontalHeader().sectionClicked.connect(self._on_column)
        self.setVerticalHeader(RowHeader(self))
        rows = self.verticalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(_ROW_HEIGHT)
        rows.setMinimumSectionSize(_ROW_HEIGHT)
        rows.setSectionsClickable(True)
        rows.setHighlightSections(True)
        rows.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        rows.sectionClicked.connect(self._on_row)
        self.clicked.connect(self._on_clicked)
        self.cells.modelReset.connect(self._fit)
        theme.notifier.changed.connect(self.viewport().update)

    # what is shown ----------------------------------------------------------------------------------------------

    def set_cross(self, cross: Cross, *, has_extras: bool = True) -> None:
        """Show this; the marked cell stays marked where it is still there."""
        marked = self.marked
        names = self._names(marked)
        self.cells.set_cross(cross, has_extras=has_extras)
        if names is not None and names[0] in cross.row_names and names[1] in cross.column_names:
            self.mark(cross.row_names.index(names[0]), cross.column_names.index(names[1]))

    def _names(self, place: tuple[int, int]) -> tuple[str, str] | None:
        row, column = place
        cross = self.cells.cross
        if row < 0 or column >= len(cross.column_names):
            return None
        return cross.row_names[row], cross.column_names[column]

    def set_shares(self, has_shares: bool) -> None:
        """Show shares of the row in place of counts."""
        self._keeping(lambda: self.cells.set_shares(has_shares))

    def set_words(self, text: str) -> None:
        """Show only rows whose names have these words."""
        self._keeping(lambda: self.cells.set_words(text))

    def sort(self, order: int, *, is_falling: bool) -> None:
        """Sort by names (``BY_NAME``), by a column, or not at all (``AS_GIVEN``)."""
        self._keeping(lambda: self.cells.set_order(order, is_falling=is_falling))
        self.scrollToTop()
        self.horizontalHeader().viewport().update()

    def _keeping(self, change: Callable[[], None]) -> None:
        marked = self.marked
        change()
        if marked[0] >= 0:
            self.mark(*marked)

    @property
    def marked(self) -> tuple[int, int]:
        """Row and column of the cross that the keys act on; -1 and -1 for none."""
        index = self.currentIndex()
        if not index.isValid() or index.row() >= len(self.cells.rows):
            return -1, -1
        return int(self.cells.rows[index.row()]), index.column()

    def mark(self, row: int, column: int) -> None:
        """Let the keys act on a cell of the cross, if it is shown."""
        places = np.flatnonzero(self.cells.rows == row)
        if len(places):
            index = self.cells.index(int(places[0]), column)
            self.setCurrentIndex(index)
            self.scrollTo(index)

    def sentence(self) -> str:
        """The marked cell in words."""
        row, column = self.marked
        return self.cells.sentence(row, column) if row >= 0 else ""

    # hands ------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move, Enter opens; letters and digits are the page's."""
        if event.key() in _ENTER and self.currentIndex().isValid():
            self._open(self.currentIndex())
        elif is_move(event):
            super().keyPressEvent(event)
        else:
            event.ignore()

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        self.viewport().update()
        self.cell_marked.emit(*self.marked)

    def _on_clicked(self, index: QModelIndex) -> None:
        self._open(index)

    def _open(self, index: QModelIndex) -> None:
        row, column = int(self.cells.rows[index.row()]), index.column()
        self.cell_opened.emit(row, column if column < len(self.cells.cross.column_names) else -1)

    def _on_row(self, section: int) -> None:
        self.setCurrentIndex(self.cells.index(section, len(self.cells.cross.column_names)))
        self.cell_opened.emit(int(self.cells.rows[section]), -1)

    def _on_column(self, section: int) -> None:
        is_same = self.cells.order == section
        self.sort(section, is_falling=not self.cells.is_falling if is_same else True)
        self.order_changed.emit(self.cells.order, self.cells.is_falling)

    # geometry ---------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Share the room among the experts: all of them are seen where there is room for their numbers."""
        metrics = self.fontMetrics()
        names = max((metrics.horizontalAdvance(shown(name)) for name in self.cells.cross.row_names), default=0)
        most = min(_MAX_NAMES, round(_NAMES_SHARE * self.width()))
        self.verticalHeader().setFixedWidth(max(min(names + 20, most), _MIN_NAMES))
        num = len(self.cells.cross.column_names)
        extras = self.cells.columnCount() - num
        bar = self.verticalScrollBar().sizeHint().width()
        room = self.width() - self.verticalHeader().width() - extras * _EXTRA_COLUMN - bar - 2
        side = min(max(room // max(num, 1), _MIN_COLUMN), _MAX_COLUMN)
        header = self.horizontalHeader()
        for place in range(extras):  # beside the names, so that they are in sight however many experts there are
            header.moveSection(header.visualIndex(num + place), place)
        for section in range(self.cells.columnCount()):
            header.resizeSection(section, side if section < num else _EXTRA_COLUMN)
        header.updateGeometry()
        self.updateGeometries()
