"""Rows of a gallery that is worked through: an array of positions in somebody's table, and which are still open.

A row stays where it is until the rows are set anew: nothing jumps under the hand that decides.
"""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex

Rows = NDArray[np.int64]


class WorkingModel(QAbstractListModel):
    """Keeps the rows; a subclass says what they show and which of them are still to be decided."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: Rows = np.empty(0, np.int64)
        self._places: Rows = np.empty(0, np.int64)

    @property
    def rows(self) -> Rows:
        """Positions in the table, in the order of the tiles; not to be changed."""
        return self._rows

    def place_of(self, position: int) -> int:
        """The row that shows this position of the table, or -1."""
        return int(self._places[position]) if 0 <= position < len(self._places) else -1

    def next_open(self, place: int, step: int = 1) -> int:
        """The nearest row after (or before, with a ``step`` of -1) this one that is still to be decided, or -1."""
        is_open = self._is_open()
        if step > 0:
            found = np.flatnonzero(is_open[place + 1 :])
            return int(found[0]) + place + 1 if len(found) else -1
        found = np.flatnonzero(is_open[: max(0, place)])
        return int(found[-1]) if len(found) else -1

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def _is_open(self) -> NDArray[np.bool_]:
        """Which rows are still to be decided, one flag a row."""
        raise NotImplementedError

    def _find_places(self, num_positions: int) -> None:
        """Look up where each position of the table is shown."""
        self._places = np.full(num_positions, -1, np.int64)
        self._places[self._rows] = np.arange(len(self._rows))

    def _tell(self, places: Rows) -> None:
        """Say that these rows show something else; a place of -1 is none."""
        places = places[places >= 0]
        if len(places):
            self.dataChanged.emit(self.index(int(places.min()), 0), self.index(int(places.max()), 0))

    def _tell_all(self) -> None:
        if len(self._rows):
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, 0))
