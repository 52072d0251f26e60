"""The classes of an image as rows: heat, score over the epochs, and whether the class is there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QWidget

from locstudio.domain.heat_corrections import HeatCorrection
from locstudio.domain.image_labels import Presence
from locstudio.domain.text import shown
from locstudio.ui.plain_text import tip

AnyIndex = QModelIndex | QPersistentModelIndex
ROW_ROLE = Qt.ItemDataRole.UserRole  # a ``ClassRow``
HUE_ROLE = Qt.ItemDataRole.UserRole + 1  # the colour in which the class is over the picture, or "" where it is not
Key = tuple[int, str]


class Word(StrEnum):
    """What is said of a class in an image."""

    PRESENT = "present"
    ABSENT = "absent"
    EXPECTED = "expected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class ClassRow:
    """One class of the open image, whoever has found its heat.

    Attributes:
        class_id: 0 for a class that the project's vocabulary does not have.
        map_WW: Heat with what was painted over it; None where there is none.
        raw_WW: Heat as it was found.
        trajectory_E: The score of each epoch; empty for heat that was found just now.
        is_expected: Nobody has said whether the class is there, and the model is rather sure that it is.
    """

    class_id: int
    name: str
    score: float = 0.0
    presence: Presence = Presence.UNKNOWN
    map_WW: NDArray[np.uint8] | None = None
    raw_WW: NDArray[np.uint8] | None = None
    corrections: tuple[HeatCorrection, ...] = ()
    trajectory_E: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    is_expected: bool = False

    @property
    def key(self) -> Key:
        """What tells it from other rows, also after they were read again."""
        return self.class_id, self.name

    @property
    def word(self) -> Word:
        """What is said of it."""
        if self.presence is Presence.POSITIVE:
            return Word.PRESENT
        if self.presence is Presence.NEGATIVE:
            return Word.ABSENT
        return Word.EXPECTED if self.is_expected else Word.UNKNOWN


def most_telling(rows: Sequence[ClassRow], wanted_ids: Iterable[int] = ()) -> ClassRow | None:
    """The class to look at first: one that is expected but not labelled, else one of ``wanted_ids``, else the best.

    Of several expected ones the surest; the best known one is the hottest of those that are there, else of all.
    """
    warm = [row for row in rows if row.map_WW is not None]
    expected = [row for row in warm if row.is_expected]
    wanted = [row for class_id in wanted_ids for row in warm if row.class_id == class_id]
    present = [row for row in warm if row.presence is Presence.POSITIVE]
    for found in (expected, wanted[:1], present, warm):
        if found:
            return max(found, key=lambda row: row.score)
    return None


class ClassRowModel(QAbstractListModel):
    """Frozen rows, in the order given, of those whose name has the words of the filter in it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._all: tuple[ClassRow, ...] = ()
        self._rows: tuple[ClassRow, ...] = ()
        self._hues: Mapping[Key, str] = {}
        self._words = ""

    @property
    def rows(self) -> tuple[ClassRow, ...]:
        """What is listed."""
        return self._rows

    def set_rows(self, rows: Sequence[ClassRow]) -> None:
        """List these rows; those that only changed are told as changed, so that selection and place survive."""
        self._all = tuple(rows)
        self._list()

    def set_filter(self, text: str) -> None:
        """List only classes whose names have this text in them."""
        self._words = text.strip().casefold()
        self._list()

    def set_hues(self, hues: Mapping[Key, str]) -> None:
        """Say which classes are over the picture, and in which colours."""
        if hues != self._hues:
            self._hues = dict(hues)
            self._tell_all()

    def row_of(self, key: Key | None) -> int | None:
        """The place of a class in the list."""
        return next((place for place, row in enumerate(self._rows) if row.key == key), None)

    def _list(self) -> None:
        new = tuple(row for row in self._all if self._words in row.name.casefold())
        if [row.key for row in new] == [row.key for row in self._rows]:
            self._rows = new
            self._tell_all()
            return
        self.beginResetModel()
        self._rows = new
        self.endResetModel()

    def _tell_all(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0), self.index(len(self._rows) - 1))

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        """One row for each class."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The name as text; the row itself under ``ROW_ROLE``."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(row.name)
        if role == ROW_ROLE:
            return row
        if role == HUE_ROLE:
            return self._hues.get(row.key, "")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{shown(row.name)}, {row.word.value}, score {row.score:.2f}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(told(row))
        return None


def told(row: ClassRow) -> str:
    """A row in a sentence or two."""
    said = {
        Word.PRESENT: "is said to be in this image",
        Word.ABSENT: "is said not to be in this image",
        Word.EXPECTED: "is expected in this image, and nobody has said whether it is there",
        Word.UNKNOWN: "is not spoken of in this image",
    }[row.word]
    if row.map_WW is None:
        return f"{row.name} {said}. There is no heat of it here."
    now = f", {row.trajectory_E[-1]:.2f} in the last epoch" if len(row.trajectory_E) else ""
    return f"{row.name} {said}. Score {row.score:.2f}{now}."
