"""Items of a pool as rows of a gallery: an array of positions, and what their tiles show.

A row stays where it is until the rows are set anew: what was decided wears a badge, and nothing jumps under the hand.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Review
from locstudio.services.curation.pool import CurationItem, Pool, item_of
from locstudio.services.routing.wishes import RoutingsOf
from locstudio.ui.gallery.filter_bar import ORIGIN_WORDS, REVIEW_WORDS
from locstudio.ui.gallery.working_model import Rows, WorkingModel
from locstudio.ui.plain_text import shown, tip
from locstudio.ui.search.context import context_of
from locstudio.ui.search.hits_model import CropKey

CROP_ROLE = int(Qt.ItemDataRole.UserRole)

_REVIEWS = tuple(Review)
_PENDING = _REVIEWS.index(Review.PENDING)
_MAX_CROPS = 4_000
_MAX_PATHS = 40_000


@dataclass(frozen=True, slots=True)
class Crop:
    """One item as its tile shows it.

    Attributes:
        item: What the pool holds.
        size: Width and height of its image, in upright pixels.
        view: The part of the image on the tile.
        review: May be ahead of what is on disk.
        color: Of its class; empty where it has none.
        path: Of its image; empty until it is known.
        routing: A few characters of the routing of its image, where the view is about that; ``routed`` in words.
        is_done: It was decided since the rows were set, or is no more: deleted, or shown by what was decided.
    """

    item: CurationItem
    size: tuple[int, int]
    view: UnitBox
    review: Review
    color: str = ""
    path: str = ""
    routing: str = ""
    routed: str = ""
    is_done: bool = False

    @property
    def crop_key(self) -> CropKey:
        """What the picture of the tile is kept under."""
        return self.item.image_id, self.view.as_tuple()

    @property
    def words(self) -> str:
        """What it is said to be: its phrase, else its class."""
        return self.item.phrase or self.item.class_name

    def sentence(self) -> str:
        """The tile in words, for tool tips and screen readers."""
        item = self.item
        parts = [
            self.words or "nothing said",
            f"class {item.class_name}" if item.class_name and item.class_name != self.words else "",
            f"score {item.score:.2f}" if item.score is not None else "",
            REVIEW_WORDS[self.review].lower(),
            ORIGIN_WORDS[item.origin].lower(),
            f"in {self.path}" if self.path else "",
            self.routed,
        ]
        return ", ".join(part for part in parts if part)


class CropModel(WorkingModel):
    """Shows some rows of a pool, in an order that somebody else has chosen.

    Signals:
        images_wanted: identities of images on the screen whose paths are not known yet; they go to ``put_images``.
    """

    images_wanted = Signal(list)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool: Pool | None = None
        self._first: Pool | None = None
        self._before: NDArray[np.int8] = np.empty(0, np.int8)
        self._reviews: NDArray[np.int8] = np.empty(0, np.int8)
        self._is_there: NDArray[np.bool_] = np.empty(0, bool)
        self._paths: OrderedDict[int, str] = OrderedDict()
        self._asked: set[int] = set()
        self._colors: dict[int, str] = {}
        self._routings: RoutingsOf | None = None
        self._crops: dict[int, Crop] = {}
        self._marks: dict[int, int] = {}

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def pool(self) -> Pool | None:
        """What the rows are positions in."""
        return self._pool

    def set_rows(self, pool: Pool, rows: Rows) -> None:
        """Show these items, in this order."""
        self.beginResetModel()
        self._pool = self._first = pool
        self._rows = rows
        self._read_reviews()
        self._before = self._reviews.copy()
        self._crops.clear()
        self.endResetModel()

    def set_pool(self, pool: Pool) -> None:
        """Take the pool as it is after an edit; the rows stay where they are."""
        self._pool = pool
        self._read_reviews()
        self._crops.clear()
        self._tell_all()

    def _read_reviews(self) -> None:
        assert self._pool is not None
        self._find_places(len(self._pool))
        self._is_there = self._pool.is_there[self._rows]
        self._reviews = self._pool.reviews[self._rows]
        for position, number in self._marks.items():
            if (place := self.place_of(position)) >= 0:
                self._reviews[place] = number

    def set_classes(self, classes: Iterable[LabelClass]) -> None:
        """Take the colours of the classes."""
        self._colors = {entry.id: entry.color for entry in classes}
        self._crops.clear()
        self._tell_all()

    def set_routings(self, routings: RoutingsOf | None) -> None:
        """Let tiles say who took their image, by position in the pool; None where the view is about something else."""
        if routings is not self._routings:
            self._routings = routings
            self._crops.clear()
            self._tell_all()

    def mark(self, positions: Rows, review: Review) -> None:
        """Show these items (by their position in the pool) as decided, before that is on disk."""
        number = _REVIEWS.index(review)
        self._marks |= dict.fromkeys(positions.tolist(), number)
        places = self._places[positions]
        self._reviews[places[places >= 0]] = number
        self._forget(positions, places)

    def unmark(self, positions: Rows) -> None:
        """Show them as the pool has them."""
        assert self._pool is not None
        for position in positions.tolist():
            self._marks.pop(position, None)
        places = self._places[positions]
        is_shown = places >= 0
        self._reviews[places[is_shown]] = self._pool.reviews[positions[is_shown]]
        self._forget(positions, places)

    def review(self, place: int) -> Review:
        """The review of a row as it is shown."""
        return _REVIEWS[int(self._reviews[place])]

    def _is_open(self) -> NDArray[np.bool_]:
        is_open: NDArray[np.bool_] = self._is_there & (self._reviews == _PENDING)
        return is_open

    def num_done(self) -> int:
        """How many rows were decided since they were set."""
        return int(np.count_nonzero((self._reviews != self._before) | ~self._is_there))

    def crop(self, place: int) -> Crop:
        """What the tile of a row shows; of what is no more, how it was when the rows were set."""
        position = int(self._rows[place])
        made = self._crops.get(position)
        if made is None:
            if len(self._crops) >= _MAX_CROPS:
                self._crops.clear()
            made = self._crops[position] = self._make(position, place)
        return made

    # images -----------------------------------------------------------------------------------------------------

    def want_images(self, first: int, last: int) -> None:
        """Ask for the images of these rows whose paths are not known yet."""
        if self._pool is None:
            return
        wanted = dict.fromkeys(self._pool.image_ids[self._rows[max(0, first) : last + 1]].tolist())
        missing = [image_id for image_id in wanted if image_id not in self._paths and image_id not in self._asked]
        if missing:
            self._asked.update(missing)
            self.images_wanted.emit(missing)

    def put_images(self, images: Iterable[Image]) -> None:
        """Take images that were asked for."""
        for image in images:
            self._paths[image.id] = image.path
            self._asked.discard(image.id)
        while len(self._paths) > _MAX_PATHS:
            self._paths.popitem(last=False)
        self._crops.clear()
        self._tell_all()

    # what Qt asks for -------------------------------------------------------------------------------------------

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        crop = self.crop(index.row())
        if role == CROP_ROLE:
            return crop
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(crop.words)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(crop.sentence())
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return shown(crop.sentence())
        return None

    def _make(self, position: int, place: int) -> Crop:
        is_there = bool(self._is_there[place])
        pool = self._pool if is_there else self._first
        assert pool is not None
        item = item_of(pool, position)
        width, height = (max(1, side) for side in pool.sides_of(self._rows[place : place + 1])[0].tolist())
        return Crop(
            item,
            (width, height),
            context_of(item.box, width, height),
            self.review(place),
            self._colors.get(item.class_id or 0, ""),
            self._paths.get(item.image_id, ""),
            routing=self._routings.told(position) if self._routings is not None else "",
            routed=self._routings.sentence(position) if self._routings is not None else "",
            is_done=not is_there or bool(self._reviews[place] != self._before[place]),
        )

    def _forget(self, positions: Rows, places: Rows) -> None:
        for position in positions.tolist():
            self._crops.pop(position, None)
        self._tell(places)
