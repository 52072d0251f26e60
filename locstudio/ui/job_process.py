"""The third door off the window's thread: a run of the trainer, which is a process that outlives the window.

What it says is read from its folder, so a run that another window has started, or that went on while there was none,
is watched like one's own.  Only its end comes from the kernel, which tells at once.
"""

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from PySide6.QtCore import QFileSystemWatcher, QObject, QSocketNotifier, QTimer, Signal

from locstudio.domain.errors import LocStudioError
from locstudio.jobs.messages import AnyMessage
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState, living_mark
from locstudio.services.run_control import (
    PATIENCE_S,
    ask_to_end,
    kill_run,
    process_of,
    stop_after_epoch,
    stop_after_step,
)
from locstudio.services.run_summary import RunReader, RunSummary
from locstudio.services.runs import launch
from locstudio.ui.background import LatestOnly

_RING_MS = 100  # a doorbell is answered at most ten times a second
_LOOK_MS = 1_000  # where no bell rings: a network drive, a process that hangs
_NOT_STARTED = "The process ended before it said a word; its log is {log}."


class JobProcess(QObject):
    """One run at a time, from its start, or from where it is met, to its end.

    Signals:
        message: every message of the run, in order, once; also those from before it was met.
        state_changed: a ``RunSummary``, whenever it differs from the one before.
        not_responding: True when the run has not been at work for a minute though it should, False when it is again.
        ended: a ``RunSummary``.  Always last, and exactly once for every ``start`` and ``attach``; never after
            ``leave``.
    """

    message = Signal(object)
    state_changed = Signal(object)
    not_responding = Signal(bool)
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None, *, patience_s: float = PATIENCE_S) -> None:
        super().__init__(parent)
        self._patience_s = patience_s
        self._watched: _Watched | None = None
        self._row: RunSummary | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._descriptor = -1
        self._bell: QSocketNotifier | None = None
        self._watcher: QFileSystemWatcher | None = None
        self._looks = LatestOnly(self, follow=True)
        self._looks.arrived.connect(self._on_look)
        self._looks.failed.connect(self._on_unreadable)
        self._ring = QTimer(self, interval=_RING_MS, singleShot=True)
        self._ring.timeout.connect(self._look)
        self._slow = QTimer(self, interval=_LOOK_MS)
        self._slow.timeout.connect(self._look)
        self._patience = QTimer(self, singleShot=True)
        self._patience.timeout.connect(self._kill)

    @property
    def folder(self) -> RunFolder | None:
        """The run that is watched, or None before the first and after each end."""
        return self._watched.folder if self._watched is not None else None

    @property
    def summary(self) -> RunSummary | None:
        """Where the run stood when it was looked at last."""
        return self._row

    @property
    def is_busy(self) -> bool:
        """Whether a run is watched."""
        return self._watched is not None

    def start(self, folder: RunFolder) -> bool:
        """Start the trainer on a run, new or broken off, and watch it; one that goes on already is only watched.

        False when the process could not be made; nothing is emitted then.
        """
        child = None
        if living_mark(folder) is None:
            try:
                child = launch(folder, is_heard=False)
            except OSError:
                return False
        self.attach(folder)
        self._child = child
        return True

    def attach(self, folder: RunFolder) -> None:
        """Watch a run that somebody has started; one that is over already ends here too."""
        self.leave()
        self._watched = _Watched(folder)
        self._watch_process(folder)
        self._watcher = QFileSystemWatcher([str(folder.path)], self)
        self._watcher.directoryChanged.connect(self._on_rung)
        self._watcher.fileChanged.connect(self._on_rung)
        self._slow.start()
        self._look()

    def stop(self) -> None:
        """Ask the run to save and stop after its step."""
        self._ask(stop_after_step)

    def stop_after_epoch(self) -> None:
        """Ask the run to save and stop after its epoch."""
        self._ask(stop_after_epoch)

    def end(self) -> None:
        """End a run that does not stop: ask by signal, and after twenty seconds kill its whole process group."""
        if self._watched is not None and ask_to_end(self._watched.folder):
            self._patience.start(round(self._patience_s * 1000))
        self._look()

    def leave(self) -> None:
        """Watch no more; the run goes on."""
        self._looks.forget()
        for timer in (self._ring, self._slow, self._patience):
            timer.stop()
        self._silence_bell()
        if self._watcher is not None:
            self._watcher.deleteLater()
        if self._child is not None:
            self._child.poll()
        self._watched = self._row = self._watcher = self._child = None

    def close(self) -> None:
        """Leave, and let go of the thread that reads."""
        self.leave()
        self._looks.close()

    def _ask(self, wish: Callable[[RunFolder], object]) -> None:
        if self._watched is not None:
            wish(self._watched.folder)
            self._look()

    def _watch_process(self, folder: RunFolder) -> None:
        """Have the kernel ring when the process ends; where it cannot, the slow timer finds out."""
        descriptor = None
        with suppress(OSError, AttributeError):
            descriptor = process_of(folder)
        if descriptor is not None:
            self._descriptor = descriptor
            self._bell = QSocketNotifier(descriptor, QSocketNotifier.Type.Read, self)
            self._bell.activated.connect(self._on_process_ended)

    def _silence_bell(self) -> None:
        if self._bell is not None:
            self._bell.setEnabled(False)
            self._bell.deleteLater()
            os.close(self._descriptor)
        self._bell, self._descriptor = None, -1

    def _on_process_ended(self) -> None:
        self._silence_bell()
        if self._child is not None:
            self._child.poll()
        self._look()

    def _on_rung(self) -> None:
        if not self._ring.isActive():
            self._ring.start()

    def _kill(self) -> None:
        if self._watched is not None:
            kill_run(self._watched.folder)
            self._look()

    def _look(self) -> None:
        watched = self._watched
        if watched is None:
            return
        if self._watcher is not None and not self._watcher.files() and watched.folder.events.exists():
            self._watcher.addPath(str(watched.folder.events))
        self._looks.submit(watched.look)

    def _on_look(self, seen: "_Seen") -> None:
        watched = self._watched
        if watched is not seen.watched:
            return
        if seen.has_more:
            self._look()
        for message in seen.messages:
            self.message.emit(message)
            if self._watched is not watched:  # whoever listens has left
                return
        self._tell(watched, seen.row, is_over=not seen.row.has_process and not seen.has_more)

    def _tell(self, watched: "_Watched", row: RunSummary, *, is_over: bool) -> None:
        if is_over and row.state is RunState.QUEUED:
            row = replace(row, state=RunState.INTERRUPTED, sentence=_NOT_STARTED.format(log=row.folder.log))
        before, self._row = self._row, row
        if row != before:
            self.state_changed.emit(row)
        if self._watched is watched and row.is_silent != (before is not None and before.is_silent):
            self.not_responding.emit(row.is_silent)
        if self._watched is watched and is_over:
            self.leave()
            self._row = row
            self.ended.emit(row)

    def _on_unreadable(self, error: Exception) -> None:
        if self._watched is None:
            return
        folder = self._watched.folder
        self.leave()
        self.ended.emit(RunSummary(folder, "", RunState.FAILED, sentence=str(error)))
        if not isinstance(error, LocStudioError | OSError):
            raise error


class _Watched:
    """One run as long as it is watched; ``look`` is called on the thread that reads, one call at a time."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._reader: RunReader | None = None

    def look(self) -> "_Seen":
        self._reader = self._reader or RunReader(self.folder)
        row, messages = self._reader.look(in_parts=True)
        return _Seen(self, row, messages, self._reader.has_more)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What one look has found; ``has_more``: of a long file it was only a part."""

    watched: _Watched
    row: RunSummary
    messages: list[AnyMessage]
    has_more: bool
