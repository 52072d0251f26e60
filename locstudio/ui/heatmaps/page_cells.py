"""What the tiles of the heatmaps page show beyond numbers: heat and where it is, read off the window's thread.

The tiles on the screen are read first; what has left the screen before its turn came is not read at all.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage, QPixmap

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.ui.background import DatasetWorker
from locstudio.ui.search.hits_model import CropKey

WHOLE = UnitBox(0.0, 0.0, 1.0, 1.0)

_BATCH = 12
_FRAME_MS = 16
_MAX_CELLS = 1_000

CellKey = tuple[int, int, bool]
"""An image, a class, and whether the tile is cut around where the class is."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a worker has made for a tile.

    Attributes:
        image: As the dataset has it.
        heat: Colours of the class's heat over the whole image; None where the run kept none.
        box: Where the heat is, the largest such place; None where there is no heat to speak of.
        view: The part of the image on the tile.
        is_stale: The image's file is another one than the run has seen.
    """

    image: Image
    heat: QImage | None
    box: UnitBox | None
    view: UnitBox = WHOLE
    is_stale: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """The same with its heat ready to be painted."""

    image: Image
    heat: QPixmap | None
    box: UnitBox | None
    view: UnitBox
    is_stale: bool

    @property
    def picture_key(self) -> int | CropKey:
        """What the picture below the heat is kept under: an image as a whole, or a part of one."""
        return self.image.id if self.view == WHOLE else (self.image.id, self.view.as_tuple())

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image in upright pixels, at least 1."""
        return max(1, self.image.width), max(1, self.image.height)


Reader = Callable[[Sequence[CellKey]], Mapping[CellKey, Read]]


class HeatCells(QObject):
    """Keeps what tiles show by key.

    Signals:
        arrived: some of what was asked for is there; at most once a frame.
        failed: a sentence: what is asked for cannot be read.
    """

    arrived = Signal()
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reads = DatasetWorker(self)
        self._reader: Reader | None = None
        self._cells: OrderedDict[CellKey, Cell] = OrderedDict()
        self._missing: set[CellKey] = set()
        self._wanted: list[CellKey] = []
        self._turn = 0
        self._is_reading = False
        self._frame = QTimer(self, interval=_FRAME_MS, singleShot=True)
        self._frame.timeout.connect(self.arrived)

    def set_reader(self, reader: Reader | None) -> None:
        """Read with this from now on; it is called on a worker.  What was read before is forgotten."""
        self._reader = reader
        self._wanted = []
        self._cells.clear()
        self._missing.clear()
        self._turn += 1

    def cell(self, key: CellKey) -> Cell | None:
        """What a tile shows, if it is there."""
        return self._cells.get(key)

    def want(self, keys: Iterable[CellKey]) -> None:
        """Read these, the first first; what was wanted before and is not among them no longer is."""
        self._wanted = []
        for key in keys:
            if key in self._cells:
                self._cells.move_to_end(key)
            elif key not in self._missing:
                self._wanted.append(key)
        self._read_next()

    def forget(self, image_ids: Iterable[int]) -> None:
        """Read what is shown of these images anew when it is wanted again, as after a brush stroke."""
        gone = set(image_ids)
        self._turn += 1
        for key in [key for key in self._cells if key[0] in gone]:
            del self._cells[key]
        self._missing -= {key for key in self._missing if key[0] in gone}

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way."""
        return self._is_reading

    def close(self) -> None:
        """Wait for what is being read; nothing arrives any more."""
        self._reader = None
        self._frame.stop()
        self._reads.close()

    def _read_next(self) -> None:
        if self._is_reading or self._reader is None or not self._wanted:
            return
        keys, self._wanted = self._wanted[:_BATCH], self._wanted[_BATCH:]
        self._is_reading = True
        turn = self._turn
        self._reads.ask(
            self._reader,
            keys,
            on_result=lambda found: self._take(turn, keys, found),
            on_error=lambda error: self._fail(turn, keys, error),
        )

    def _take(self, turn: int, keys: Sequence[CellKey], found: Mapping[CellKey, Read]) -> None:
        self._is_reading = False
        if turn == self._turn:
            self._missing.update(key for key in keys if key not in found)
            for key, read in found.items():
                heat = QPixmap.fromImage(read.heat) if read.heat is not None else None
                self._cells[key] = Cell(read.image, heat, read.box, read.view, read.is_stale)
            while len(self._cells) > _MAX_CELLS:
                self._cells.popitem(last=False)
        if not self._frame.isActive():
            self._frame.start()
        self._read_next()

    def _fail(self, turn: int, keys: Sequence[CellKey], error: Exception) -> None:
        self._is_reading = False
        if turn == self._turn:
            self._missing.update(keys)
            self.failed.emit(str(error))
        self._read_next()
