"""A small table of lines that lead somewhere: what a class is confused with, which classes pull elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from locstudio.ui.plain_text import shown, tip
from locstudio.ui.routing.superclass_commands import SuperclassCommand, command_for

AnyIndex = QModelIndex | QPersistentModelIndex
LINE_ROLE = int(Qt.ItemDataRole.UserRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True, slots=True)
class Line:
    """One line.  ``kind`` says what ``ids`` are: "confusion" of two classes, "class", or "group"."""

    cells: tuple[str, ...]
    sentence: str
    kind: str
    ids: tuple[int, ...]


class LineModel(QAbstractTableModel):
    """Lines in the order they are given; columns after the first ``num_words`` are numbers."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._titles: tuple[str, ...] = ()
        self._num_words = 1
        self._lines: tuple[Line, ...] = ()

    def set_lines(self, titles: Sequence[str], lines: Sequence[Line], num_words: int) -> None:
        """Show these lines."""
        self.beginResetModel()
        self._titles, self._lines, self._num_words = tuple(titles), tuple(lines), num_words
        self.endResetModel()

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines that are shown."""
        return self._lines

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return _RIGHT if role == Qt.ItemDataRole.TextAlignmentRole and section >= self._num_words else None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        line = self._lines[index.row()]
        if role == LINE_ROLE:
            return line
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(line.cells[index.column()])
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(line.sentence)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return line.sentence if not index.column() else line.cells[index.column()]
        return _RIGHT if role == Qt.ItemDataRole.TextAlignmentRole and index.column() >= self._num_words else None


class LineTable(QTableView):
    """The lines.

    Signals:
        line_opened: a ``Line`` that a person wants to follow, by Enter, by I or by a double click.
        line_chosen: the ``Line`` that became current.
        command_wanted: a ``SuperclassCommand``.
    """

    line_opened = Signal(object)
    line_chosen = Signal(object)
    command_wanted = Signal(object)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = LineModel(self)
        self.setModel(self.rows)
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 10)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.doubleClicked.connect(lambda index: self.line_opened.emit(index.data(LINE_ROLE)))

    def set_lines(self, titles: Sequence[str], lines: Sequence[Line], num_words: int = 1) -> None:
        """Show these lines under these titles; the last columns, past ``num_words``, are numbers."""
        self.rows.set_lines(titles, lines, num_words)
        header = self.horizontalHeader()
        for column, title in enumerate(titles):
            if column < num_words:
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
            else:
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
                widest = max(map(self.fontMetrics().horizontalAdvance, (title, "100 %")))
                self.setColumnWidth(column, widest + 18)

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        if current.isValid() and current.row() != previous.row():
            self.line_chosen.emit(current.data(LINE_ROLE))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index, command = self.currentIndex(), command_for(event)
        is_open = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) or command is SuperclassCommand.IMAGES
        if is_open and index.isValid():
            self.line_opened.emit(index.data(LINE_ROLE))
        elif command is not None:
            self.command_wanted.emit(command)
        else:
            super().keyPressEvent(event)

    def keyboardSearch(self, _search: str) -> None:
        """Letters are commands here."""
