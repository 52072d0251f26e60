"""Counts of rows against experts, sorted, searched, and told in words."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from locstudio.ui.plain_text import shown, tip

BY_NAME = -1
"""Stands for sorting by the names of the rows."""

AS_GIVEN = -2
"""Stands for the order in which the rows come: those of one expert together."""

_ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)


@dataclass(frozen=True, slots=True, eq=False)
class Cross:
    """What a table shows.

    Attributes:
        row_names, column_names: Of rows and experts.
        counts: How many images of each row went to each expert, int64 (rows, E).
        homes: The column that each row belongs to, -1 for none.
        what: What a row is, as "class".
        is_move: Rows are experts too, of an older run, and what lies on a row's home has stayed.
    """

    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    counts: NDArray[np.int64]
    homes: tuple[int, ...] = ()
    what: str = "class"
    is_move: bool = False

    @property
    def totals(self) -> NDArray[np.int64]:
        """Images of each row."""
        totals: NDArray[np.int64] = self.counts.sum(axis=1)
        return totals

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of each row the share that each expert took, (rows, E); zeros where a row has no image."""
        return self.counts / np.maximum(self.totals, 1)[:, None]

    @property
    def spreads(self) -> NDArray[np.float64]:
        """Over how many experts a row is spread: 1 for one, E for evenly over all; 0 where it has no image.

        The exponential of the entropy of its shares.
        """
        shares = self.shares
        logs = np.log(np.where(shares > 0, shares, 1.0))
        return np.where(self.totals > 0, np.exp(-(shares * logs).sum(axis=1)), 0.0)

    def home_of(self, row: int) -> int:
        """The column that a row belongs to, or -1."""
        return self.homes[row] if row < len(self.homes) else -1

    def sentence(self, row: int, column: int) -> str:
        """A cell in words."""
        count, total = int(self.counts[row, column]), int(self.totals[row])
        share = f" ({count / total:.0%})" if total else ""
        if self.is_move:
            where = "stayed with" if column == self.home_of(row) else "went to"
            was = f"of {total:,} images of expert {self.row_names[row]}"
            return f"{count:,} {was}{share} {where} expert {self.column_names[column]}"
        home = self.home_of(row)
        whose = ""
        if home == column:
            whose = ", where it belongs"
        elif home >= 0:
            whose = f"; it belongs to {self.column_names[home]}"
        of_row = f"{count:,} of {total:,} images of {self.what} “{self.row_names[row]}”{share}"
        return f"{of_row} go to expert {self.column_names[column]}{whose}"


EMPTY = Cross((), (), np.zeros((0, 0), np.int64))
"""Has nothing."""


class CrossModel(QAbstractTableModel):
    """Rows of a ``Cross``, some of them, sorted.  After the experts come two columns: all images, and spread."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cross = EMPTY
        self.rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self.shares, self.spreads, self.totals = EMPTY.shares, EMPTY.spreads, EMPTY.totals
        self.has_shares = False
        self.has_extras = True
        self.order, self.is_falling = AS_GIVEN, False
        self._words: tuple[str, ...] = ()

    def set_cross(self, cross: Cross, *, has_extras: bool = True) -> None:
        """Show this; order and search stay as they are where they can."""
        self.beginResetModel()
        self.cross, self.has_extras = cross, has_extras
        self.shares, self.spreads, self.totals = cross.shares, cross.spreads, cross.totals
        if self.order >= self._num_columns():
            self.order, self.is_falling = AS_GIVEN, False
        self._arrange()
        self.endResetModel()

    def set_shares(self, has_shares: bool) -> None:
        """Show shares of the row in place of counts."""
        self.beginResetModel()
        self.has_shares = has_shares
        self._arrange()
        self.endResetModel()

    def set_order(self, order: int, *, is_falling: bool) -> None:
        """Sort by names (``BY_NAME``), by a column, or not at all (``AS_GIVEN``)."""
        self.beginResetModel()
        self.order, self.is_falling = order, is_falling
        self._arrange()
        self.endResetModel()

    def set_words(self, text: str) -> None:
        """Show only rows whose names have all of these words."""
        self.beginResetModel()
        self._words = tuple(text.casefold().split())
        self._arrange()
        self.endResetModel()

    def _arrange(self) -> None:
        cross = self.cross
        names = [name.casefold() for name in cross.row_names]
        rows = np.array([row for row, name in enumerate(names) if all(word in name for word in self._words)], np.int64)
        if self.order == BY_NAME:
            by_name = sorted(rows.tolist(), key=lambda row: names[row], reverse=self.is_falling)
            self.rows = np.array(by_name, np.int64)
            return
        if self.order == AS_GIVEN:
            self.rows = rows[::-1] if self.is_falling else rows
            return
        values = self._values(self.order)[rows]
        self.rows = rows[np.argsort(-values if self.is_falling else values, kind="stable")]

    def _values(self, column: int) -> NDArray[np.float64]:
        num = len(self.cross.column_names)
        if column < num:
            table = self.shares if self.has_shares else self.cross.counts
            return np.asarray(table[:, column], np.float64)
        return np.asarray(self.totals if column == num else self.spreads, np.float64)

    def _num_columns(self) -> int:
        return len(self.cross.column_names) + (2 if self.has_extras else 1)

    # what Qt asks for -------------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else self._num_columns()

    def text(self, row: int, column: int) -> str:
        """What a cell says; ``row`` is that of the cross."""
        num = len(self.cross.column_names)
        if column == num:
            return f"{int(self.totals[row]):,}"
        if column > num:
            return f"{self.spreads[row]:.1f}" if self.totals[row] else "–"
        count = int(self.cross.counts[row, column])
        if not count:
            return "·"
        return f"{self.shares[row, column]:.0%}" if self.has_shares else f"{count:,}"

    def sentence(self, row: int, column: int) -> str:
        """A cell in words; ``row`` is that of the cross."""
        num, cross = len(self.cross.column_names), self.cross
        if column < num:
            return cross.sentence(row, column)
        name, total = cross.row_names[row], int(self.totals[row])
        if column == num:
            return f"{total:,} images of {cross.what} “{name}”"
        return f"{cross.what.capitalize()} “{name}” is spread over {self.spreads[row]:.1f} experts; 1 is a single one"

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self.rows):
            return None
        row, column = int(self.rows[index.row()]), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(self.sentence(row, column))
        return shown(self.sentence(row, column), 400) if role == _ACCESSIBLE else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.TextAlignmentRole):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignHCenter
            if orientation == Qt.Orientation.Vertical:
                side = Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if orientation == Qt.Orientation.Vertical:
            if not 0 <= section < len(self.rows):
                return None
            name = self.cross.row_names[int(self.rows[section])]
            return shown(name) if role == Qt.ItemDataRole.DisplayRole else tip(f"{name}: show all its images")
        num = len(self.cross.column_names)
        if section < num:
            name = self.cross.column_names[section]
            return shown(name) if role == Qt.ItemDataRole.DisplayRole else tip(f"{name}: sort by this expert")
        names = (("All", "All images of the row"), ("Spread", "Over how many experts a row is spread: 1 is one expert"))
        return names[section - num][0 if role == Qt.ItemDataRole.DisplayRole else 1] if section < num + 2 else None
