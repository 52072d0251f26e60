"""Rows of the heatmaps page: positions in a table, what each tile shows, and what was said of it meanwhile."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, Qt

from locstudio.domain.regions import LabelClass
from locstudio.services.heat.known import NEGATIVE, POSITIVE, UNKNOWN
from locstudio.ui.gallery.working_model import Rows, WorkingModel
from locstudio.ui.heatmaps.page_cells import Cell, CellKey, HeatCells
from locstudio.ui.heatmaps.page_table import HeatOrder, HeatTable, empty_table
from locstudio.ui.plain_text import shown, tip

TILE_ROLE = int(Qt.ItemDataRole.UserRole)
PRESENCE_WORDS = {POSITIVE: "present", NEGATIVE: "absent", UNKNOWN: "not labelled"}

_ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
_NO_CLASS = LabelClass(0, "", "")


@dataclass(frozen=True, slots=True)
class HeatTile:
    """One class of one image as its tile shows it.

    Attributes:
        position: In the table.
        name: What the tile is called: the class, or the image where all tiles are of one class.
        agreement: How far score and heat hold still from epoch to epoch, in [0, 1]; None where that is not measured.
        own: Share of the heat that no class that is known to be there has as well; None likewise.
        inconsistency: How far heat, labels and boxes disagree; None likewise.
        presence: 1 is there, 0 is not there, -1 not said; may be ahead of what is on disk.
        cell: What had to be read; None until it is there.
        is_done: Something was said of it since the rows were set.
    """

    position: int
    image_id: int
    class_id: int
    class_name: str
    color: str
    score: float
    agreement: float | None
    own: float | None
    inconsistency: float | None
    presence: int
    cell: Cell | None
    name: str
    is_done: bool = False

    @property
    def score_name(self) -> str:
        """What the score is: of what is expected how surely it is there, else the running average."""
        return "average" if self.agreement is None else "score"

    def sentence(self) -> str:
        """The tile in words, for tool tips and screen readers."""
        cell = self.cell
        parts = [
            self.class_name,
            PRESENCE_WORDS[self.presence],
            f"{self.score_name} {self.score:.2f}",
            "" if self.agreement is None else f"agreement {self.agreement:.0%} over the last epochs",
            "" if self.own is None else f"{self.own:.0%} of its heat is shared with no class that is known",
            "" if self.inconsistency is None else f"inconsistency {self.inconsistency:.2f}",
            "heat is of an older version of this image" if cell is not None and cell.is_stale else "",
            f"in {cell.image.path}" if cell is not None else "",
        ]
        return ", ".join(part for part in parts if part)


class HeatModel(WorkingModel):
    """Shows some rows of a table, in an order that somebody else has chosen."""

    def __init__(self, cells: HeatCells, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cells = cells
        self._table = empty_table()
        self._before: NDArray[np.int8] = np.empty(0, np.int8)
        self._presence: NDArray[np.int8] = np.empty(0, np.int8)
        self._classes: Mapping[int, LabelClass] = {}
        self._marks: dict[int, int] = {}
        self._is_cut = False
        self._is_of_images = False

    @property
    def table(self) -> HeatTable:
        """What the rows are positions in."""
        return self._table

    def set_rows(self, table: HeatTable, rows: Rows, *, is_cut: bool = False, is_of_images: bool = False) -> None:
        """Show these rows, in this order.

        Args:
            table: What the rows are positions in.
            rows: Positions in it.
            is_cut: Show the part of the image where the class is expected, not the whole.
            is_of_images: Call a tile by its image, since all are of one class.
        """
        self.beginResetModel()
        if table.image_ids is not self._table.image_ids:
            self._marks = {}
        self._table, self._rows = table, rows
        self._is_cut, self._is_of_images = is_cut, is_of_images
        self._find_places(len(table))
        self._read_presence()
        self._before = self._presence.copy()
        self.endResetModel()

    def set_table(self, table: HeatTable) -> None:
        """Take the same table as it is after an edit; the rows stay where they are."""
        self._table = table
        self._read_presence()
        self._tell_all()

    def _read_presence(self) -> None:
        self._presence = self._table.presence[self._rows]
        for position, code in self._marks.items():
            if (place := self.place_of(position)) >= 0:
                self._presence[place] = code

    def set_classes(self, classes: Iterable[LabelClass]) -> None:
        """Take the names and colours of the classes."""
        self._classes = {entry.id: entry for entry in classes}
        self._tell_all()

    def mark(self, positions: Rows, code: int) -> None:
        """Show that this is said of these positions, before it is on disk."""
        self._marks |= dict.fromkeys(positions.tolist(), code)
        places = self._places[positions]
        self._presence[places[places >= 0]] = code
        self._tell(places)

    def unmark(self, positions: Rows) -> None:
        """Show them as the table has them."""
        for position in positions.tolist():
            self._marks.pop(position, None)
        places = self._places[positions]
        is_shown = places >= 0
        self._presence[places[is_shown]] = self._table.presence[positions[is_shown]]
        self._tell(places)

    def _is_open(self) -> NDArray[np.bool_]:
        is_open: NDArray[np.bool_] = self._presence == UNKNOWN
        return is_open

    def presence(self, place: int) -> int:
        """What is said of a row, as it is shown: 1, 0 or -1."""
        return int(self._presence[place])

    def num_said(self) -> tuple[int, int]:
        """How many rows were added and how many denied since the rows were set."""
        is_other = self._presence != self._before
        added, denied = is_other & (self._presence == POSITIVE), is_other & (self._presence == NEGATIVE)
        return int(np.count_nonzero(added)), int(np.count_nonzero(denied))

    def key(self, place: int) -> CellKey:
        """What is read for a row's tile."""
        position = self._rows[place]
        return int(self._table.image_ids[position]), int(self._table.class_ids[position]), self._is_cut

    def tile(self, place: int) -> HeatTile:
        """What the tile of a row shows."""
        position, table = int(self._rows[place]), self._table
        image_id, class_id, _ = key = self.key(place)
        entry = self._classes.get(class_id, _NO_CLASS)
        cell = self._cells.cell(key)
        image_name = cell.image.name if cell is not None else ""
        return HeatTile(
            position=position,
            image_id=image_id,
            class_id=class_id,
            class_name=entry.name,
            color=entry.color,
            score=float(table.scores[position]),
            agreement=table.measure(HeatOrder.AGREEMENT, position),
            own=table.measure(HeatOrder.OWN, position),
            inconsistency=table.measure(HeatOrder.INCONSISTENCY, position),
            presence=int(self._presence[place]),
            cell=cell,
            name=image_name if self._is_of_images else entry.name,
            is_done=bool(self._presence[place] != self._before[place]),
        )

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        if role not in (TILE_ROLE, Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, _ACCESSIBLE):
            return None
        tile = self.tile(index.row())
        if role == TILE_ROLE:
            return tile
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(tile.name)
        return tip(tile.sentence()) if role == Qt.ItemDataRole.ToolTipRole else shown(tile.sentence())
