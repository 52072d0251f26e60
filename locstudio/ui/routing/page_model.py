"""Rows of the experts' page: images of a run's routing, what each tile shows, and which were mended meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, Qt

from locstudio.domain.regions import LabelClass
from locstudio.services.routing.book import RoutingBook
from locstudio.ui.gallery.working_model import Rows, WorkingModel
from locstudio.ui.plain_text import shown, tip
from locstudio.ui.routing.page_cells import TileCells, TileFacts

TILE_ROLE = int(Qt.ItemDataRole.UserRole)

_ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
_UNNAMED = "not labelled"


@dataclass(frozen=True, slots=True)
class ExpertTile:
    """One image as its tile shows it.

    Attributes:
        position: In the run's table.
        class_id: The class that it is said to show now; 0 where none is known.
        class_name: Its name; what it was called when the run saw it, where nothing newer is known.
        was: What it was called when the run saw it, where that is another class; empty else.
        expert, home: Names of the expert that took it, and of the one that its class belongs to where that is another.
        second: Name of the expert that the router found second, and its probability in ``second_share``.
        share: Probability of the expert that took it, in [0, 1].
        margin: ``share`` minus that of the second.
        note: What the gallery has to say of it, as "2 → 5" where it has moved.
        predicted: The likeliest class by the model, and its probability in ``score``.
        facts: What had to be read; None until it is there.
    """

    position: int
    image_id: int
    class_id: int
    class_name: str
    color: str
    was: str
    expert: str
    home: str
    second: str
    share: float
    second_share: float
    margin: float
    note: str
    predicted: str
    score: float
    facts: TileFacts | None
    is_stale: bool
    is_done: bool

    @property
    def is_right(self) -> bool:
        """Whether the model predicts the class that the image is said to show."""
        return self.predicted == self.class_name

    def sentence(self) -> str:
        """The tile in words, for the line below, tool tips and screen readers."""
        parts = [
            self.facts.image.path if self.facts is not None else "",
            f"labelled {self.class_name}" if self.class_name else _UNNAMED,
            f"was {self.was} in the run" if self.was else "",
            f"predicted {self.predicted} ({self.score:.2f})" if self.predicted else "",
            f"taken by expert {self.expert} ({self.share:.2f})",
            f"then {self.second} ({self.second_share:.2f})" if self.second else "",
            f"its class belongs to expert {self.home}" if self.home else "",
            f"moved {self.note}" if self.note else "",
            "the file is another one now than the run has seen" if self.is_stale else "",
        ]
        return shown(", ".join(part for part in parts if part), 600)


class ExpertModel(WorkingModel):
    """Shows some images of a run, in an order that somebody else has chosen."""

    def __init__(self, cells: TileCells, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cells = cells
        self._book: RoutingBook | None = None
        self._classes: Mapping[int, LabelClass] = {}
        self._notes: Mapping[int, str] = {}
        self._done: dict[int, int] = {}

    @property
    def book(self) -> RoutingBook | None:
        """The routing that the rows are positions in."""
        return self._book

    def set_book(self, book: RoutingBook | None, classes: Mapping[int, LabelClass]) -> None:
        """Take a run's routing and the vocabulary; there are no rows until they are set."""
        self.beginResetModel()
        self._book, self._classes = book, classes
        self._rows = np.empty(0, np.int64)
        self._notes, self._done = {}, {}
        self._find_places(len(book.table) if book is not None else 0)
        self.endResetModel()

    def set_book_anew(self, book: RoutingBook) -> None:
        """Take the same table beside what the dataset says now; the rows stay where they are."""
        self._book = book
        self._tell_all()

    def set_classes(self, classes: Mapping[int, LabelClass]) -> None:
        """Take the names and colours of the classes as they are now."""
        self._classes = classes
        self._tell_all()

    def set_images(self, image_ids: NDArray[np.int64], notes: Sequence[str] = ()) -> None:
        """Show these images, in this order; those that the run has not seen are left out.

        ``notes`` has one for each of them, or is empty.
        """
        positions = self._book.rows_of(image_ids) if self._book is not None else np.empty(0, np.int64)
        self.beginResetModel()
        self._rows = positions[positions >= 0]
        self._notes = dict(zip(image_ids.tolist(), notes, strict=True)) if len(notes) else {}
        self._done = {}
        self._find_places(len(self._book.table) if self._book is not None else 0)
        self.endResetModel()

    def mark(self, image_ids: set[int]) -> None:
        """Something was said of these: those whose class is another one then are shown as done."""
        if self._book is not None:
            positions = self._book.rows_of(np.fromiter(image_ids, np.int64, len(image_ids)))
            positions = positions[positions >= 0]
            for position in positions[self._places[positions] >= 0].tolist():
                self._done.setdefault(int(self._book.table.image_ids[position]), self.told_class(position))
        self._tell_all()

    @property
    def num_done(self) -> int:
        """How many rows were mended since they were set."""
        return int(np.count_nonzero(~self._is_open())) if self._done else 0

    def image_ids(self, positions: Rows) -> list[int]:
        """The images at these positions of the table."""
        return [] if self._book is None else self._book.table.image_ids[positions].tolist()

    def place_of_image(self, image_id: int) -> int:
        """The row that shows an image, or -1."""
        return -1 if self._book is None else self.place_of(self._book.row_of(image_id))

    def _is_open(self) -> NDArray[np.bool_]:
        if self._book is None or not self._done:
            return np.ones(len(self._rows), np.bool_)
        is_open = np.ones(len(self._rows), np.bool_)
        positions = self._book.rows_of(np.fromiter(self._done, np.int64, len(self._done)))
        for position, then in zip(positions.tolist(), self._done.values(), strict=True):
            is_open[self._places[position]] = self.told_class(position) == then
        return is_open

    def _is_done(self, image_id: int, class_id: int) -> bool:
        """Whether an image is said to show another class now than when the rows were set."""
        return image_id in self._done and self._done[image_id] != class_id

    def told_class(self, position: int) -> int:
        """The class that the image at a position of the table is said to show, as far as it was read."""
        return self._class_of(position)[0]

    def _class_of(self, position: int) -> tuple[int, str, str]:
        """Identity and name of the class of an image now, and the name that the run knew where it is another."""
        assert self._book is not None
        table, header = self._book.table, self._book.table.header
        truth = int(table.truth[position])
        then_id, then_name = (header.class_ids[truth], header.class_names[truth]) if truth >= 0 else (0, "")
        then_name = self._classes[then_id].name if then_id in self._classes else then_name
        facts = self._cells.of(int(table.image_ids[position]))
        if facts is None or then_id in facts.class_ids or (not then_id and not facts.class_ids):
            return then_id, then_name, ""
        now_id = facts.class_ids[0] if facts.class_ids else 0
        now_name = self._classes[now_id].name if now_id in self._classes else ""
        return now_id, now_name, then_name

    def tile(self, place: int) -> ExpertTile:
        """What the tile of a row shows."""
        book, position = self._book, int(self._rows[place])
        assert book is not None
        table, header = book.table, book.table.header
        image_id = int(table.image_ids[position])
        class_id, class_name, was = self._class_of(position)
        entry = self._classes.get(class_id)
        likely_E = book.probabilities_NE[position]
        expert = int(book.experts_N[position])
        others = np.delete(np.arange(len(likely_E)), expert)
        second = int(others[np.argmax(likely_E[others])]) if len(others) else -1
        truth = int(book.truth_N[position])
        home = int(book.class_homes[truth]) if truth >= 0 and bool(book.mismatch_N[position]) else -1
        predicted = int(table.predicted[position])
        return ExpertTile(
            position=position,
            image_id=image_id,
            class_id=class_id,
            class_name=class_name,
            color=entry.color if entry is not None else "",
            was=was,
            expert=book.expert_names[expert],
            home=book.expert_names[home] if home >= 0 and home != expert else "",
            second=book.expert_names[second] if second >= 0 else "",
            share=float(likely_E[expert]),
            second_share=float(likely_E[second]) if second >= 0 else 0.0,
            margin=float(book.margins_N[position]),
            note=self._notes.get(image_id, ""),
            predicted=header.class_names[predicted] if predicted >= 0 else "",
            score=float(table.scores[position]),
            facts=self._cells.of(image_id),
            is_stale=bool(book.is_stale_N[position]),
            is_done=self._is_done(image_id, class_id),
        )

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if self._book is None or not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        if role not in (TILE_ROLE, Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, _ACCESSIBLE):
            return None
        tile = self.tile(index.row())
        if role == TILE_ROLE:
            return tile
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(tile.class_name) or _UNNAMED
        return tip(tile.sentence()) if role == Qt.ItemDataRole.ToolTipRole else tile.sentence()
