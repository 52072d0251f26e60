"""Two checkpoints side by side: what they measured, how they were trained, and what was edited between their data."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor, QFont, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import shown, tip

AnyIndex = QModelIndex | QPersistentModelIndex
LINE_ROLE = int(Qt.ItemDataRole.UserRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One thing that two checkpoints differ in, or share.

    A line without ``old`` and ``new`` is a heading or a sentence.  ``verdict`` is above 0 where the new one is better,
    below 0 where it is worse.  ``edited`` names edited regions that can be listed.
    """

    what: str
    old: str = ""
    new: str = ""
    difference: str = ""
    verdict: int = 0
    is_heading: bool = False
    edited: str = ""


class DiffColumn(IntEnum):
    """Columns of the comparison."""

    WHAT = 0
    OLD = 1
    NEW = 2
    DIFFERENCE = 3


class DiffModel(QAbstractTableModel):
    """Lines as they are given, under the names of the two."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lines: tuple[DiffLine, ...] = ()
        self._names = ("", "")

    def set_lines(self, lines: Sequence[DiffLine], old_name: str, new_name: str) -> None:
        """Show these lines."""
        self.beginResetModel()
        self._lines, self._names = tuple(lines), (shown(old_name), shown(new_name))
        self.endResetModel()

    @property
    def lines(self) -> Sequence[DiffLine]:
        """What is shown."""
        return self._lines

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(DiffColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return ("", *self._names, "Difference")[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section != DiffColumn.WHAT:
            return _RIGHT
        return None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        line, column = self._lines[index.row()], DiffColumn(index.column())
        text = shown((line.what, line.old, line.new, line.difference)[column])
        if role == LINE_ROLE:
            return line
        if role == Qt.ItemDataRole.DisplayRole:
            return text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return shown(", ".join(filter(None, (line.what, line.old, line.new, line.difference))))
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(text) if text else None
        if role == Qt.ItemDataRole.TextAlignmentRole and column != DiffColumn.WHAT:
            return _RIGHT
        if role == Qt.ItemDataRole.FontRole and line.is_heading:
            font = QFont()
            font.setWeight(QFont.Weight.DemiBold)
            return font
        if role == Qt.ItemDataRole.ForegroundRole:
            return _ink(line, column)
        return None

    def flags(self, index: AnyIndex) -> Qt.ItemFlag:
        """Headings cannot be chosen."""
        if index.isValid() and self._lines[index.row()].is_heading:
            return Qt.ItemFlag.ItemIsEnabled
        return super().flags(index)


class DiffView(QTableView):
    """Shows the comparison.

    Signals:
        edited_wanted: the kind of edited regions that a person chose to see.
    """

    edited_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = DiffModel(self)
        self.setModel(self.rows)
        self.setAccessibleName("Comparison of two checkpoints")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 9)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(DiffColumn.WHAT, QHeaderView.ResizeMode.Stretch)
        self._narrowest = self.fontMetrics().horizontalAdvance("Difference ") + 18
        self.setColumnWidth(DiffColumn.DIFFERENCE, self._narrowest)
        theme.notifier.changed.connect(self.viewport().update)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the two checkpoints what the names of things do not need."""
        super().resizeEvent(event)
        for column in (DiffColumn.OLD, DiffColumn.NEW):
            self.setColumnWidth(column, max(self._narrowest, event.size().width() * 23 // 100))

    def set_lines(self, lines: Sequence[DiffLine], old_name: str, new_name: str) -> None:
        """Show these lines; sentences go over the whole width."""
        self.clearSpans()
        self.rows.set_lines(lines, old_name, new_name)
        for row, line in enumerate(lines):
            if not (line.old or line.new or line.difference):
                self.setSpan(row, 0, 1, len(DiffColumn))

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        if current.isValid() and current.row() != previous.row():
            line: DiffLine = current.data(LINE_ROLE)
            if line.edited:
                self.edited_wanted.emit(line.edited)


def _ink(line: DiffLine, column: DiffColumn) -> QColor | None:
    look = theme.current()
    if line.is_heading:
        return QColor(look.text)
    if column == DiffColumn.DIFFERENCE and line.verdict:
        return QColor(look.success if line.verdict > 0 else look.danger)
    if line.edited and column == DiffColumn.WHAT:
        return QColor(look.accent)
    return QColor(look.muted) if column == DiffColumn.WHAT or not (line.old or line.new) else None
