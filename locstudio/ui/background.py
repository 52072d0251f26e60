"""Two of the three doors off the window's thread: work that chases the mouse, and calls on the dataset.

The third is a child process.  Both classes here deliver on the thread that made them; what a function raises is
delivered too, never swallowed and never printed over.
"""

import itertools
import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal


class LatestOnly(QObject):
    """Runs one function at a time for a value that changes faster than it can be worked on.

    While one call runs, only the newest of those that came meanwhile waits; the others are forgotten.

    Args:
        follow: What has been computed arrives even when something newer waits, so that a long drag shows something on
            its way.  Otherwise only the newest result arrives.

    Signals:
        arrived: the result of a call.
        failed: the exception of a call.

    Results arrive in the order of their calls, and never after ``forget`` or ``close``.
    """

    arrived = Signal(object)
    failed = Signal(object)
    _ended = Signal(int, object, object)

    def __init__(self, parent: QObject | None = None, *, follow: bool = False) -> None:
        super().__init__(parent)
        self._follow = follow
        self._pool = _one_thread(self)
        self._newest = 0
        self._oldest_wanted = 0
        self._is_running = False
        self._waiting: tuple[int, Callable[[], Any]] | None = None
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)

    @property
    def is_busy(self) -> bool:
        """Whether a call runs or waits."""
        return self._is_running

    def submit(self, function: Callable[..., Any], *args: Any) -> None:
        """Ask for ``function(*args)`` in place of whatever still waits."""
        self._newest += 1
        self._waiting = (self._newest, lambda: function(*args))
        if not self._is_running:
            self._start_waiting()

    def forget(self) -> None:
        """Let nothing arrive of what has been asked so far."""
        self._waiting = None
        self._oldest_wanted = self._newest + 1

    def close(self) -> None:
        """Wait for the running call; nothing arrives any more."""
        self.forget()
        self._pool.waitForDone()

    def _start_waiting(self) -> None:
        assert self._waiting is not None
        number, call = self._waiting
        self._waiting = None
        self._is_running = True
        self._pool.start(_Call(lambda: self._ended.emit(number, *_outcome(call))))

    def _on_ended(self, number: int, result: object, error: Exception | None) -> None:
        is_newest = number == self._newest
        self._is_running = False
        if self._waiting is not None:
            self._start_waiting()
        if number < self._oldest_wanted or not (is_newest or self._follow):
            return
        if error is None:
            self.arrived.emit(result)
        else:
            self.failed.emit(error)


class DatasetWorker(QObject):
    """One thread for calls that may wait for the disk: reads of the dataset, edits, the index.

    Calls run in the order they were asked for.

    Signals:
        answered: number of the call, its result.
        failed: number of the call, its exception.

    Exactly one of the two is emitted per ``ask``, in order, unless ``close`` came first.  ``on_result`` or ``on_error``
    of the call is run just before, on the same thread as the signals.
    """

    answered = Signal(int, object)
    failed = Signal(int, object)
    _ended = Signal(int, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = _one_thread(self)
        self._numbers = itertools.count(1)
        self._callbacks: dict[int, tuple[Callable[[Any], None] | None, Callable[[Exception], None] | None]] = {}
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)

    @property
    def num_pending(self) -> int:
        """How many calls have not been answered yet."""
        return len(self._callbacks)

    def ask(
        self,
        function: Callable[..., Any],
        *args: Any,
        on_result: Callable[[Any], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> int:
        """Queue ``function(*args)`` and return the call's number."""
        number = next(self._numbers)
        self._callbacks[number] = (on_result, on_error)
        self._pool.start(_Call(lambda: self._ended.emit(number, *_outcome(lambda: function(*args)))))
        return number

    def close(self) -> None:
        """Run what has been asked to its end, so that no edit is lost; nothing is delivered any more."""
        self._callbacks.clear()
        self._pool.waitForDone()

    def _on_ended(self, number: int, result: object, error: Exception | None) -> None:
        callbacks = self._callbacks.pop(number, None)
        if callbacks is None:
            return
        on_result, on_error = callbacks
        if error is None:
            if on_result is not None:
                on_result(result)
            self.answered.emit(number, result)
        else:
            if on_error is not None:
                on_error(error)
            self.failed.emit(number, error)


class _Call(QRunnable):
    """A function for a thread pool.  ``QThreadPool.start(callable)`` exists too, but keeps no reference to it."""

    _alive: "set[_Call]" = set()  # noqa: RUF012 - PySide may collect a running QRunnable that nobody holds
    _guard = threading.Lock()

    def __init__(self, function: Callable[[], None]) -> None:
        super().__init__()
        self.setAutoDelete(False)
        self._function = function
        with self._guard:
            self._alive.add(self)

    def run(self) -> None:
        try:
            self._function()
        finally:
            with self._guard:
                self._alive.discard(self)


def _one_thread(parent: QObject) -> QThreadPool:
    pool = QThreadPool(parent)
    pool.setMaxThreadCount(1)
    pool.setExpiryTimeout(-1)
    return pool


def _outcome(call: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return call(), None
    except Exception as error:  # noqa: BLE001 - a worker delivers whatever its function raised
        return None, error
