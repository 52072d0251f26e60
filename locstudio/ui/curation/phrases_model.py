"""Phrases as rows: how often each is used, what was decided, and the class it is mapped to, on disk or just chosen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont, QIcon

from locstudio.domain.regions import LabelClass
from locstudio.ui import theme
from locstudio.ui.canvas.signs import class_icon
from locstudio.ui.plain_text import shown, tip

AnyIndex = QModelIndex | QPersistentModelIndex
LINE_ROLE = int(Qt.ItemDataRole.UserRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True, slots=True)
class PhraseLine:
    """One phrase; ``class_id`` is the class it is mapped to, None for none."""

    phrase: str
    count: int
    pending: int = 0
    accepted: int = 0
    rejected: int = 0
    class_id: int | None = None


class PhraseColumn(IntEnum):
    """Columns of the table."""

    PHRASE = 0
    COUNT = 1
    PENDING = 2
    ACCEPTED = 3
    REJECTED = 4
    CLASS = 5


_NUMBERS: dict[PhraseColumn, Callable[[PhraseLine], int]] = {
    PhraseColumn.COUNT: lambda line: line.count,
    PhraseColumn.PENDING: lambda line: line.pending,
    PhraseColumn.ACCEPTED: lambda line: line.accepted,
    PhraseColumn.REJECTED: lambda line: line.rejected,
}
_TITLES = ("Phrase", "Regions", "Pending", "Accepted", "Rejected", "Class")


class PhrasesModel(QAbstractTableModel):
    """The phrases that pass a filter, sorted by any column; choices are kept beside what is on disk."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: tuple[PhraseLine, ...] = ()
        self._rows: list[PhraseLine] = []
        self._classes: dict[int, LabelClass] = {}
        self._icons: dict[int, QIcon] = {}
        self._chosen: dict[str, int | None] = {}
        self._words: tuple[str, ...] = ()
        self._is_unmapped_only = False
        self._order = (PhraseColumn.COUNT, Qt.SortOrder.DescendingOrder)

    # what is shown ----------------------------------------------------------------------------------------------

    def set_lines(self, lines: Sequence[PhraseLine], classes: Iterable[LabelClass]) -> None:
        """Show these phrases; nothing is chosen of them yet."""
        self._all = tuple(lines)
        self._classes = {known.id: known for known in classes}
        self._icons = {known.id: class_icon(known.color) for known in self._classes.values()}
        self._chosen = {}
        self._refill()

    def set_filter(self, words: str, *, is_unmapped_only: bool) -> None:
        """Keep phrases that contain every word; a phrase that was mapped just now stays until the filter is set."""
        self._words = tuple(words.casefold().split())
        self._is_unmapped_only = is_unmapped_only
        self._refill()

    def choose(self, phrases: Iterable[str], class_id: int | None) -> None:
        """Map phrases to a class, or to none; nothing is changed on disk."""
        known = {line.phrase: line.class_id for line in self._all}
        for phrase in phrases:
            if known.get(phrase) == class_id:
                self._chosen.pop(phrase, None)
            else:
                self._chosen[phrase] = class_id
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(PhraseColumn) - 1))

    @property
    def chosen(self) -> Mapping[str, int | None]:
        """What differs from the disk: phrases with the class they are to be mapped to."""
        return self._chosen

    @property
    def num_all(self) -> int:
        """How many phrases there are, shown or not."""
        return len(self._all)

    @property
    def num_mapped(self) -> int:
        """How many phrases have a class, with what is chosen."""
        return sum(self.class_of(line) is not None for line in self._all)

    def line(self, row: int) -> PhraseLine:
        """The phrase of a row."""
        return self._rows[row]

    def class_of(self, line: PhraseLine) -> int | None:
        """The class of a phrase, as chosen or as on disk."""
        return self._chosen.get(line.phrase, line.class_id)

    def class_name(self, line: PhraseLine) -> str:
        """The name of that class; empty for none."""
        known = self._classes.get(self.class_of(line) or 0)
        return known.name if known else ""

    # what Qt asks for -------------------------------------------------------------------------------------------

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(PhraseColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            column, order = self._order
            sign = "▾" if order == Qt.SortOrder.DescendingOrder else "▴"
            return f"{_TITLES[section]} {sign}" if section == column else _TITLES[section]
        is_right = role == Qt.ItemDataRole.TextAlignmentRole and section in _NUMBERS
        return _RIGHT if is_right else None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        line, column = self._rows[index.row()], PhraseColumn(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(line, column)
        if role == LINE_ROLE:
            return line
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_TITLES[column]}: {self._text(line, column) or 'none'}"
        if role == Qt.ItemDataRole.ToolTipRole and column in (PhraseColumn.PHRASE, PhraseColumn.CLASS):
            return tip(self._text(line, column)) or None
        if role == Qt.ItemDataRole.TextAlignmentRole and column in _NUMBERS:
            return _RIGHT
        if role == Qt.ItemDataRole.DecorationRole and column is PhraseColumn.CLASS:
            return self._icons.get(self.class_of(line) or 0)
        return self._style(line, column, role)

    def _style(self, line: PhraseLine, column: PhraseColumn, role: int) -> object:
        is_new = line.phrase in self._chosen
        if role == Qt.ItemDataRole.ForegroundRole:
            if column is PhraseColumn.CLASS and is_new:
                return QColor(theme.current().accent)
            is_zero = column in _NUMBERS and not _NUMBERS[column](line)
            return QColor(theme.current().muted) if is_zero else None
        if role == Qt.ItemDataRole.FontRole and column is PhraseColumn.CLASS and is_new:
            font = QFont()
            font.setWeight(QFont.Weight.DemiBold)
            return font
        return None

    def _text(self, line: PhraseLine, column: PhraseColumn) -> str:
        if column is PhraseColumn.PHRASE:
            return shown(line.phrase)
        if column is PhraseColumn.CLASS:
            is_taken_away = line.phrase in self._chosen and self._chosen[line.phrase] is None
            return "no class" if is_taken_away else shown(self.class_name(line))
        return f"{_NUMBERS[column](line):,}"

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; the selection stays on its phrases."""
        self._order = (PhraseColumn(column), order)
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        lines = [self._rows[index.row()] for index in old]
        self._sort()
        places = {line.phrase: row for row, line in enumerate(self._rows)}
        new = [self.index(places[line.phrase], index.column()) for line, index in zip(lines, old, strict=True)]
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(PhraseColumn) - 1)

    def _refill(self) -> None:
        self.beginResetModel()
        self._rows = [line for line in self._all if self._passes(line)]
        self._sort()
        self.endResetModel()

    def _passes(self, line: PhraseLine) -> bool:
        folded = line.phrase.casefold()
        is_open = self.class_of(line) is None
        return all(word in folded for word in self._words) and (is_open or not self._is_unmapped_only)

    def _sort(self) -> None:
        column, order = self._order

        def by(line: PhraseLine) -> tuple[float, str]:
            if column is PhraseColumn.PHRASE:
                return 0.0, line.phrase.casefold()
            if column is PhraseColumn.CLASS:
                return 0.0, self.class_name(line).casefold()
            return float(_NUMBERS[column](line)), ""

        self._rows.sort(key=lambda line: (-line.count, line.phrase))
        self._rows.sort(key=by, reverse=order == Qt.SortOrder.DescendingOrder)
