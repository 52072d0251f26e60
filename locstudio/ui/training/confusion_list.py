"""The same confusions as a list, largest first: what a person works off, and what a screen reader can read."""

from collections.abc import Sequence
from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from locstudio.ui.plain_text import shown, tip
from locstudio.ui.training.confusion_matrix import Cell

AnyIndex = QModelIndex | QPersistentModelIndex
CELL_ROLE = int(Qt.ItemDataRole.UserRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class ConfusionColumn(IntEnum):
    """Columns of the list."""

    TRUTH = 0
    NAMED = 1
    COUNT = 2
    SHARE = 3


_TITLES = ("Is", "Named as", "Regions", "Share of it")


class ConfusionListModel(QAbstractTableModel):
    """Cells beside the diagonal, in the order they are given."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cells: tuple[Cell, ...] = ()

    def set_cells(self, cells: Sequence[Cell]) -> None:
        """Show these confusions."""
        self.beginResetModel()
        self._cells = tuple(cells)
        self.endResetModel()

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._cells)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(ConfusionColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section >= ConfusionColumn.COUNT:
            return _RIGHT
        return None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        cell, column = self._cells[index.row()], ConfusionColumn(index.column())
        if role == CELL_ROLE:
            return cell
        if role == Qt.ItemDataRole.DisplayRole:
            share = f"{100 * cell.count / max(1, cell.total):.0f} %"
            return (shown(cell.truth), shown(cell.named), f"{cell.count:,}", share)[column]
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(cell.sentence())
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return cell.sentence()
        if role == Qt.ItemDataRole.TextAlignmentRole and column >= ConfusionColumn.COUNT:
            return _RIGHT
        return None


class ConfusionList(QTableView):
    """The confusions, one a row.

    Signals:
        cell_chosen: the ``Cell`` of the row that became current, or was clicked.
    """

    cell_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = ConfusionListModel(self)
        self.setModel(self.rows)
        self.setAccessibleName("Confusions, largest first")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 10)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for column in (ConfusionColumn.COUNT, ConfusionColumn.SHARE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            self.setColumnWidth(column, self.fontMetrics().horizontalAdvance("Share of it") + 24)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        before = self.currentIndex().row()
        super().mousePressEvent(event)
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and index.row() == before:  # something else may have been looked at meanwhile
            self.cell_chosen.emit(index.data(CELL_ROLE))

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        if current.isValid() and current.row() != previous.row():
            self.cell_chosen.emit(current.data(CELL_ROLE))
