"""Small pictures for tiles, loaded off the window's thread: newest wish first, forgotten when it leaves the screen."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage, QPixmap

from locstudio.domain.errors import UserError
from locstudio.ui.background import DatasetWorker

Failure = UserError | OSError

_FRAME_MS = 16
_TURN_S = 0.012
_BATCH = 16


class PictureLoader(QObject):
    """Keeps the pictures of tiles by key, as many as fit into ``max_bytes``.

    Args:
        load: Makes the picture of a key; called on worker threads; raises ``UserError`` or ``OSError`` with its reason.

    Signals:
        arrived: some pictures (or failures) that were asked for are there; at most once a frame.
    """

    arrived = Signal()

    def __init__(
        self,
        load: Callable[[Hashable], QImage],
        *,
        max_bytes: int = 192 * 2**20,
        num_threads: int = 2,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._load = load
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._pictures: OrderedDict[Hashable, QPixmap] = OrderedDict()
        self._failures: dict[Hashable, Failure] = {}
        self._waiting: dict[Hashable, None] = {}
        self._loading: set[Hashable] = set()
        self._unwanted: set[Hashable] = set()
        self._idle = [DatasetWorker(self) for _ in range(num_threads)]
        self._workers = tuple(self._idle)
        self._is_closed = False
        self._frame = QTimer(self, interval=_FRAME_MS, singleShot=True)
        self._frame.timeout.connect(self.arrived)

    def picture(self, key: Hashable) -> QPixmap | None:
        """The picture if it is there; else None, and it is on its way (unless loading it failed before)."""
        found = self._pictures.get(key)
        if found is not None:
            self._pictures.move_to_end(key)
            return found
        if key not in self._failures and key not in self._loading:
            self._waiting.pop(key, None)
            self._waiting[key] = None
            self._start()
        return None

    def failure(self, key: Hashable) -> "Failure | None":
        """Why the picture cannot be shown; None while nothing went wrong."""
        return self._failures.get(key)

    @property
    def is_busy(self) -> bool:
        """Whether pictures are on their way."""
        return bool(self._waiting or self._loading)

    def keep_only(self, keys: Iterable[Hashable]) -> None:
        """Forget wishes for pictures that are no longer on the screen."""
        wanted = set(keys)
        self._waiting = {key: None for key in self._waiting if key in wanted}

    def forget(self, key: Hashable) -> None:
        """Load this picture anew when it is asked for again, as after its file changed."""
        self._failures.pop(key, None)
        self._waiting.pop(key, None)
        if key in self._loading:
            self._unwanted.add(key)
        old = self._pictures.pop(key, None)
        if old is not None:
            self._num_bytes -= _size(old)

    def clear(self) -> None:
        """Forget every picture and wish."""
        self._unwanted |= self._loading
        self._pictures.clear()
        self._failures.clear()
        self._waiting.clear()
        self._num_bytes = 0

    def close(self) -> None:
        """Wait for what is being loaded; nothing arrives any more."""
        self._is_closed = True
        self._waiting.clear()
        self._frame.stop()
        for worker in self._workers:
            worker.close()

    def _start(self) -> None:
        while self._idle and self._waiting and not self._is_closed:
            worker = self._idle.pop()
            newest = list(self._waiting)[-_BATCH:][::-1]
            share = newest[: max(1, -(-len(self._waiting) // (len(self._idle) + 1)))]
            for key in share:
                del self._waiting[key]
            self._loading.update(share)
            worker.ask(_load_some, self._load, share, on_result=partial(self._take, worker, share))

    def _take(self, worker: DatasetWorker, asked: list[Hashable], done: "dict[Hashable, QImage | Failure]") -> None:
        self._idle.append(worker)
        self._loading.difference_update(asked)
        for key in reversed([key for key in asked if key not in done]):
            self._waiting.setdefault(key)
        for key, result in done.items():
            if key in self._unwanted:
                self._unwanted.discard(key)
            elif isinstance(result, UserError | OSError):
                self._failures[key] = result
            else:
                self._put(key, QPixmap.fromImage(result))
        if not self._frame.isActive():
            self._frame.start()
        self._start()

    def _put(self, key: Hashable, picture: QPixmap) -> None:
        self._pictures[key] = picture
        self._num_bytes += _size(picture)
        while self._num_bytes > self._max_bytes and len(self._pictures) > 1:
            _, oldest = self._pictures.popitem(last=False)
            self._num_bytes -= _size(oldest)


def _load_some(load: Callable[[Hashable], QImage], keys: list[Hashable]) -> "dict[Hashable, QImage | Failure]":
    """As many pictures as one turn of a worker allows, at least one; a failure is its exception."""
    end = time.monotonic() + _TURN_S
    done: dict[Hashable, QImage | Failure] = {}
    for key in keys:
        try:
            done[key] = load(key)
        except (UserError, OSError) as error:
            done[key] = error
        if time.monotonic() > end:
            break
    return done


def _size(picture: QPixmap) -> int:
    return picture.width() * picture.height() * 4
