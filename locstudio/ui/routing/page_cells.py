"""What the tiles of the experts' page show beyond the run's numbers, read off the window's thread in batches."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.domain.regions import Image
from locstudio.services.image_classes import classes_of_images
from locstudio.store.view import DatasetView
from locstudio.ui.background import DatasetWorker

_BATCH = 48
_FRAME_MS = 16
_MAX_CELLS = 4_000


@dataclass(frozen=True, slots=True)
class TileFacts:
    """An image as the dataset has it now, with the classes that it is said to show."""

    image: Image
    class_ids: tuple[int, ...]


Reader = Callable[[Sequence[int]], Mapping[int, TileFacts]]


def read_facts(dataset: DatasetView, image_ids: Sequence[int]) -> dict[int, TileFacts]:
    """What tiles show of these images; one that is gone has none."""
    classes = classes_of_images(dataset, image_ids)
    return {image.id: TileFacts(image, classes[image.id]) for image in dataset.images(image_ids)}


class TileCells(QObject):
    """Keeps what tiles show, by image.  What has left the screen before its turn came is not read at all.

    Signals:
        arrived: some of what was asked for is there; at most once a frame.
        failed: a sentence: what is asked for cannot be read.
    """

    arrived = Signal()
    failed = Signal(str)

    def __init__(self, read: Reader, parent: QObject | None = None) -> None:
        """``read`` is called on a worker."""
        super().__init__(parent)
        self._read = read
        self._reads = DatasetWorker(self)
        self._facts: OrderedDict[int, TileFacts] = OrderedDict()
        self._missing: set[int] = set()
        self._wanted: list[int] = []
        self._old: set[int] = set()
        self._turn = 0
        self._is_reading = False
        self._frame = QTimer(self, interval=_FRAME_MS, singleShot=True)
        self._frame.timeout.connect(self.arrived)

    def of(self, image_id: int) -> TileFacts | None:
        """What the tile of an image shows, if it is there."""
        return self._facts.get(image_id)

    def want(self, image_ids: Iterable[int]) -> None:
        """Read these, the first first; what was wanted before and is not among them no longer is."""
        self._wanted = []
        for image_id in image_ids:
            if image_id in self._facts and image_id not in self._old:
                self._facts.move_to_end(image_id)
            elif image_id not in self._missing:
                self._wanted.append(image_id)
        self._read_next()

    def forget(self, image_ids: Iterable[int]) -> None:
        """Read these anew when they are wanted again; until then they are shown as they were."""
        gone = set(image_ids)
        self._turn += 1
        self._old |= gone & set(self._facts)
        self._missing -= gone

    def clear(self) -> None:
        """Read everything anew."""
        self._turn += 1
        self._facts.clear()
        self._missing.clear()
        self._old.clear()

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way."""
        return self._is_reading

    def close(self) -> None:
        """Wait for what is being read; nothing arrives any more."""
        self._wanted = []
        self._frame.stop()
        self._reads.close()

    def _read_next(self) -> None:
        if self._is_reading or not self._wanted:
            return
        image_ids, self._wanted = self._wanted[:_BATCH], self._wanted[_BATCH:]
        self._is_reading = True
        turn = self._turn
        self._reads.ask(
            self._read,
            image_ids,
            on_result=lambda found: self._take(turn, image_ids, found),
            on_error=lambda error: self._fail(turn, image_ids, error),
        )

    def _take(self, turn: int, image_ids: Sequence[int], found: Mapping[int, TileFacts]) -> None:
        self._is_reading = False
        if turn == self._turn:
            self._missing.update(image_id for image_id in image_ids if image_id not in found)
            self._old.difference_update(image_ids)
            self._facts.update(found)
            while len(self._facts) > _MAX_CELLS:
                self._facts.popitem(last=False)
        else:
            self._wanted = [*image_ids, *self._wanted]
        if not self._frame.isActive():
            self._frame.start()
        self._read_next()

    def _fail(self, turn: int, image_ids: Sequence[int], error: Exception) -> None:
        self._is_reading = False
        if turn == self._turn:
            self._missing.update(image_ids)
            self.failed.emit(str(error))
        self._read_next()
