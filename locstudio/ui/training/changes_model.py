"""The worklist of what changed as rows: filtered by kind, sorted by any column, each with what a person chose."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from locstudio.services.changes import KINDS, Choice, Kind
from locstudio.ui.plain_text import shown, tip
from locstudio.ui.training.change_words import (
    MEANINGS,
    ChangeItem,
    chosen_word,
    kind_sign,
    kind_word,
    now_words,
    was_words,
)

AnyIndex = QModelIndex | QPersistentModelIndex
CHANGE_ROLE = int(Qt.ItemDataRole.UserRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class ChangeColumn(IntEnum):
    """Columns of the worklist."""

    PICTURE = 0
    KIND = 1
    WAS = 2
    NOW = 3
    TRUTH = 4
    SIZE = 5
    CHOICE = 6


_TITLES = ("", "Change", "Old model", "New model", "It is", "Size", "Choice")
_KIND_ORDER = {kind: place for place, kind in enumerate(KINDS)}


class ChangesModel(QAbstractTableModel):
    """Changes that pass the filter, in the chosen order; the biggest first until a person sorts otherwise."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._all: dict[str, ChangeItem] = {}
        self._num_chosen = 0
        self._rows: list[ChangeItem] = []
        self._row_of: dict[str, int] = {}
        self._kinds: frozenset[Kind] = frozenset()
        self._is_held_out_only = False
        self._is_open_only = False
        self._order = (ChangeColumn.SIZE, Qt.SortOrder.DescendingOrder)

    # what is shown ----------------------------------------------------------------------------------------------

    def set_changes(self, items: Iterable[ChangeItem]) -> None:
        """Show these changes, in any order."""
        self._all = {item.key: item for item in items}
        self._num_chosen = sum(item.chosen is not None for item in self._all.values())
        self._refill()

    def set_filter(self, kinds: Iterable[Kind], *, is_held_out_only: bool, is_open_only: bool) -> None:
        """Show only some: of these kinds (all where none is named), held out, or not chosen yet."""
        self._kinds = frozenset(kinds)
        self._is_held_out_only, self._is_open_only = is_held_out_only, is_open_only
        self._refill()

    def set_choices(self, choices: Mapping[str, Choice | None]) -> None:
        """Note what was chosen; rows stay where they are, so that a worklist does not jump under the hand."""
        for key, chosen in choices.items():
            old, row = self._all.get(key), self._row_of.get(key)
            if old is None:
                continue
            self._all[key] = new = replace(old, chosen=chosen)
            self._num_chosen += (chosen is not None) - (old.chosen is not None)
            if row is not None:
                self._rows[row] = new
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(ChangeColumn) - 1))

    @property
    def items(self) -> Sequence[ChangeItem]:
        """The rows, in their order."""
        return self._rows

    @property
    def num_all(self) -> int:
        """How many changes there are, shown or not."""
        return len(self._all)

    @property
    def num_chosen(self) -> int:
        """Of how many a person has chosen."""
        return self._num_chosen

    def counts(self) -> Counter[Kind]:
        """How many changes of each kind there are, among those that are held out where only these are shown."""
        return Counter(
            item.change.kind for item in self._all.values() if item.change.is_held_out or not self._is_held_out_only
        )

    def item(self, row: int) -> ChangeItem:
        """The change of a row."""
        return self._rows[row]

    def row_of(self, key: str) -> int | None:
        """The row of a change, None where the filter hides it."""
        return self._row_of.get(key)

    def next_open(self, row: int) -> int | None:
        """The first row after this one of which nothing was chosen; then from the top; None where all are."""
        count = len(self._rows)
        places = (*range(row + 1, count), *range(min(row, count)))
        return next((place for place in places if self._rows[place].chosen is None), None)

    # what Qt asks for -------------------------------------------------------------------------------------------

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(ChangeColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            column, order = self._order
            sign = "▾" if order == Qt.SortOrder.DescendingOrder else "▴"
            return f"{_TITLES[section]} {sign}" if section == column else _TITLES[section]
        if role == Qt.ItemDataRole.AccessibleTextRole and section == ChangeColumn.PICTURE:
            return "Picture"
        if role == Qt.ItemDataRole.TextAlignmentRole and section == ChangeColumn.SIZE:
            return _RIGHT
        return None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        item, column = self._rows[index.row()], ChangeColumn(index.column())
        if role == CHANGE_ROLE:
            return item
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(item, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return shown(item.sentence())
        if role == Qt.ItemDataRole.ToolTipRole:
            return MEANINGS[item.change.kind] if column == ChangeColumn.KIND else tip(item.sentence())
        if role == Qt.ItemDataRole.TextAlignmentRole and column == ChangeColumn.SIZE:
            return _RIGHT
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; the current row stays on its change."""
        self._order = (ChangeColumn(column), order)
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        keys = [self._rows[index.row()].key for index in old]
        self._sort()
        new = [self.index(self._row_of[key], index.column()) for key, index in zip(keys, old, strict=True)]
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(ChangeColumn) - 1)

    def _refill(self) -> None:
        self.beginResetModel()
        self._rows = [item for item in self._all.values() if self._passes(item)]
        self._sort()
        self.endResetModel()

    def _passes(self, item: ChangeItem) -> bool:
        return (
            (not self._kinds or item.change.kind in self._kinds)
            and (item.change.is_held_out or not self._is_held_out_only)
            and (item.chosen is None or not self._is_open_only)
        )

    def _sort(self) -> None:
        column, order = self._order

        def by(item: ChangeItem) -> tuple[float, str]:
            change = item.change
            if column == ChangeColumn.KIND:
                return _KIND_ORDER[change.kind], ""
            words = {
                ChangeColumn.WAS: change.old_name,
                ChangeColumn.NOW: change.new_name,
                ChangeColumn.TRUTH: change.truth,
                ChangeColumn.CHOICE: item.chosen or "",
            }
            return (0.0, words[column].casefold()) if column in words else (change.size, "")

        self._rows.sort(key=lambda item: (-item.change.size, item.key))
        self._rows.sort(key=by, reverse=order == Qt.SortOrder.DescendingOrder)
        self._row_of = {item.key: row for row, item in enumerate(self._rows)}


def _text(item: ChangeItem, column: ChangeColumn) -> str:
    change = item.change
    if column == ChangeColumn.PICTURE:
        return ""
    if column == ChangeColumn.KIND:
        return f"{kind_sign(change.kind)} {kind_word(change.kind)}"
    if column == ChangeColumn.WAS:
        return shown(was_words(change))
    if column == ChangeColumn.NOW:
        return shown(now_words(change))
    if column == ChangeColumn.TRUTH:
        return shown(change.truth) or "–"
    return f"{100 * change.size:.0f} %" if column == ChangeColumn.SIZE else chosen_word(item.chosen)
