"""Phrases that mean the same, in groups: one of each group is kept, and those that are ticked become it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont

from locstudio.ui import theme
from locstudio.ui.plain_text import shown, tip

AnyIndex = QModelIndex | QPersistentModelIndex
STARTS_GROUP_ROLE = int(Qt.ItemDataRole.UserRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


@dataclass(frozen=True, slots=True)
class Synonym:
    """A phrase of a group, the number of its regions, and how like it is to the one that is kept, in [0, 1]."""

    phrase: str
    count: int
    likeness: float


@dataclass(frozen=True, slots=True)
class SynonymGroup:
    """Phrases that may mean the same; ``kept`` is proposed as the one that stays."""

    kept: str
    members: tuple[Synonym, ...]


class SynonymColumn(IntEnum):
    """Columns of the table."""

    PHRASE = 0
    COUNT = 1
    LIKENESS = 2
    BECOMES = 3


_TITLES = ("Phrase", "Regions", "Likeness", "Becomes")


class SynonymsModel(QAbstractTableModel):
    """Groups below each other; nothing is ticked until a person says so."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._groups: tuple[SynonymGroup, ...] = ()
        self._rows: list[tuple[int, Synonym]] = []
        self._kept: list[str] = []
        self._ticked: set[str] = set()

    def set_groups(self, groups: Sequence[SynonymGroup]) -> None:
        """Show these groups, each with what is kept first."""
        self.beginResetModel()
        self._groups = tuple(groups)
        self._kept = [group.kept for group in self._groups]
        self._ticked = set()
        self._rows = [
            (number, member)
            for number, group in enumerate(self._groups)
            for member in sorted(group.members, key=lambda each, kept=group.kept: (each.phrase != kept, -each.likeness))  # type: ignore[misc]  # bound at once
        ]
        self.endResetModel()

    @property
    def num_groups(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    def phrase(self, row: int) -> str:
        """The phrase of a row."""
        return self._rows[row][1].phrase

    def is_kept(self, row: int) -> bool:
        """Whether the phrase of a row is the one that stays."""
        number, member = self._rows[row]
        return self._kept[number] == member.phrase

    def is_ticked(self, row: int) -> bool:
        """Whether the phrase of a row becomes the one that stays."""
        return self._rows[row][1].phrase in self._ticked

    def merges(self) -> Mapping[str, str]:
        """Phrases that are ticked, with what they become."""
        return {
            member.phrase: self._kept[number]
            for number, member in self._rows
            if member.phrase in self._ticked and member.phrase != self._kept[number]
        }

    def keep(self, row: int) -> None:
        """Let the phrase of a row be the one that stays of its group."""
        number, member = self._rows[row]
        old, self._kept[number] = self._kept[number], member.phrase
        if member.phrase in self._ticked and old != member.phrase:
            self._ticked.discard(member.phrase)
            self._ticked.add(old)  # what was to be merged stays merged, the other way round
        self._tell(number)

    def tick(self, row: int, is_ticked: bool) -> None:
        """Say that a phrase becomes the one that stays, or that it does not."""
        number, member = self._rows[row]
        if member.phrase == self._kept[number]:
            return
        (self._ticked.add if is_ticked else self._ticked.discard)(member.phrase)
        self._tell(number)

    def tick_group(self, row: int) -> None:
        """Tick every phrase of the group of a row; untick them where all are ticked."""
        number = self._rows[row][0]
        others = {member.phrase for at, member in self._rows if at == number} - {self._kept[number]}
        if others <= self._ticked:
            self._ticked -= others
        else:
            self._ticked |= others
        self._tell(number)

    def _tell(self, number: int) -> None:
        rows = [row for row, (at, _) in enumerate(self._rows) if at == number]
        self.dataChanged.emit(self.index(rows[0], 0), self.index(rows[-1], len(SynonymColumn) - 1))

    # what Qt asks for -------------------------------------------------------------------------------------------

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(SynonymColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole and section in (SynonymColumn.COUNT, SynonymColumn.LIKENESS):
            return _RIGHT
        return _TITLES[section] if role == Qt.ItemDataRole.DisplayRole else None

    def flags(self, index: AnyIndex) -> Qt.ItemFlag:
        flags = super().flags(index)
        is_box = index.isValid() and index.column() == SynonymColumn.PHRASE and not self.is_kept(index.row())
        return flags | Qt.ItemFlag.ItemIsUserCheckable if is_box else flags

    def setData(self, index: AnyIndex, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid() or index.column() != SynonymColumn.PHRASE:
            return False
        self.tick(index.row(), Qt.CheckState(value) == Qt.CheckState.Checked)
        return True

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        row, column = index.row(), SynonymColumn(index.column())
        is_kept, look = self.is_kept(row), theme.current()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == STARTS_GROUP_ROLE:
            return row > 0 and self._rows[row][0] != self._rows[row - 1][0]
        if role == Qt.ItemDataRole.CheckStateRole and column is SynonymColumn.PHRASE and not is_kept:
            return Qt.CheckState.Checked if self.is_ticked(row) else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_TITLES[column]}: {self._text(row, column) or 'nothing'}"
        if role == Qt.ItemDataRole.ToolTipRole and column is SynonymColumn.PHRASE:
            return tip(self._rows[row][1].phrase)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (SynonymColumn.COUNT, SynonymColumn.LIKENESS):
            return _RIGHT
        if role == Qt.ItemDataRole.FontRole and is_kept and column is SynonymColumn.PHRASE:
            font = QFont()
            font.setWeight(QFont.Weight.DemiBold)
            return font
        if role == Qt.ItemDataRole.ForegroundRole and column is SynonymColumn.BECOMES:
            return QColor(look.accent if self.is_ticked(row) else look.muted)
        return None

    def _text(self, row: int, column: SynonymColumn) -> str:
        number, member = self._rows[row]
        if column is SynonymColumn.PHRASE:
            return shown(member.phrase)
        if column is SynonymColumn.COUNT:
            return f"{member.count:,}"
        if self._kept[number] == member.phrase:
            return "kept" if column is SynonymColumn.BECOMES else ""
        if column is SynonymColumn.LIKENESS:
            return f"{member.likeness:.2f}"
        return f"→ {shown(self._kept[number])}" if member.phrase in self._ticked else ""
