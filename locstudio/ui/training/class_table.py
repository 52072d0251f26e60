"""Classes of an evaluation as a table: how many regions, how many named right, and the area under the curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from locstudio.ui.plain_text import shown, tip

AnyIndex = QModelIndex | QPersistentModelIndex
ROW_ROLE = int(Qt.ItemDataRole.UserRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class; ``row`` is its number in the evaluation, None for all classes together.

    ``top1`` and ``average_precision`` are shares in [0, 1], NaN where nothing could be measured.
    """

    row: int | None
    name: str
    count: int
    top1: float
    average_precision: float


class ClassColumn(IntEnum):
    """Columns of the table."""

    NAME = 0
    COUNT = 1
    TOP1 = 2
    PRECISION = 3


_TITLES = ("Class", "N", "Right", "AP")
_TIPS = (
    "",
    "Regions of this class that were measured",
    "Share of them whose class comes first",
    "Average precision: the area under the curve of precision over recall",
)


class ClassTableModel(QAbstractTableModel):
    """All classes first, then each; sorted by any column, all classes always on top."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lines: list[ClassLine] = []
        self._what = ""
        self._order = (ClassColumn.COUNT, Qt.SortOrder.DescendingOrder)

    def set_lines(self, lines: Sequence[ClassLine]) -> None:
        """Show these classes."""
        self.beginResetModel()
        self._lines = self._sorted(list(lines))
        self.endResetModel()

    def set_what(self, counted: str) -> None:
        """Say what is counted, where that is not regions."""
        self._what = counted

    def line(self, row: int) -> ClassLine:
        """The class of a row of the table."""
        return self._lines[row]

    def row_of(self, class_row: int | None) -> int:
        """The row of the table that shows a class; -1 where it does not."""
        return next((number for number, line in enumerate(self._lines) if line.row == class_row), -1)

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(ClassColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            column, order = self._order
            sign = "▾" if order == Qt.SortOrder.DescendingOrder else "▴"
            return f"{_TITLES[section]} {sign}" if section == column else _TITLES[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return (self._what if section == ClassColumn.COUNT and self._what else _TIPS[section]) or None
        if role == Qt.ItemDataRole.TextAlignmentRole and section != ClassColumn.NAME:
            return _RIGHT
        return None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        line, column = self._lines[index.row()], ClassColumn(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(line, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_TITLES[column]}: {self._text(line, column)}"
        if role == Qt.ItemDataRole.ToolTipRole and column == ClassColumn.NAME:
            return tip(line.name)
        if role == Qt.ItemDataRole.TextAlignmentRole and column != ClassColumn.NAME:
            return _RIGHT
        if role == Qt.ItemDataRole.FontRole and line.row is None:
            font = QFont()
            font.setWeight(QFont.Weight.DemiBold)
            return font
        return line.row if role == ROW_ROLE else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; persistent indexes (the selection) stay on their classes."""
        self._order = (ClassColumn(column), order)
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        chosen = [self._lines[index.row()] for index in old]
        self._lines = self._sorted(self._lines)
        places = {line: row for row, line in enumerate(self._lines)}
        new = [self.index(places[line], index.column()) for line, index in zip(chosen, old, strict=True)]
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(ClassColumn) - 1)

    def _sorted(self, lines: list[ClassLine]) -> list[ClassLine]:
        column, order = self._order
        is_falling = order == Qt.SortOrder.DescendingOrder

        def number(line: ClassLine) -> float:
            value = (0.0, float(line.count), line.top1, line.average_precision)[column]
            return math.inf if math.isnan(value) else -value if is_falling else value

        each = [line for line in lines if line.row is not None]
        if column == ClassColumn.NAME:
            each.sort(key=lambda line: line.name.casefold(), reverse=is_falling)
        else:
            each.sort(key=lambda line: (number(line), line.name.casefold()))
        return [line for line in lines if line.row is None] + each

    @staticmethod
    def _text(line: ClassLine, column: ClassColumn) -> str:
        if column == ClassColumn.NAME:
            return shown(line.name)
        if column == ClassColumn.COUNT:
            return f"{line.count:,}"
        value = line.top1 if column == ClassColumn.TOP1 else line.average_precision
        return "–" if math.isnan(value) else f"{100 * value:.0f} %"


class ClassTable(QTableView):
    """Lets a person choose one class, or all together.

    Signals:
        class_chosen: number of the class in the evaluation, None for all.
    """

    class_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = ClassTableModel(self)
        self.setModel(self.rows)
        self.setAccessibleName("Classes")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 9)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setMinimumSectionSize(30)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(ClassColumn.NAME, QHeaderView.ResizeMode.Stretch)
        for column, sample in zip(tuple(ClassColumn)[1:], ("10,000 ", "Right ▾", "100 % "), strict=True):
            self.setColumnWidth(column, self.fontMetrics().horizontalAdvance(sample) + 12)
        self.setSortingEnabled(True)
        header.setSortIndicatorShown(False)  # it would lie over the title; the title says it
        self.sortByColumn(ClassColumn.COUNT, Qt.SortOrder.DescendingOrder)

    def set_lines(self, lines: Sequence[ClassLine]) -> None:
        """Show these classes; the first row becomes the current one."""
        self.rows.set_lines(lines)
        if lines:
            self.setCurrentIndex(self.rows.index(0, 0))

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        if current.isValid() and current.row() != previous.row():
            self.class_chosen.emit(self.rows.line(current.row()).row)
