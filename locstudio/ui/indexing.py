"""Indexing in the background: a run of the trainer that outlives the window, watched through its folder.

The window reads what the run has written; nothing is lost when either of them ends first.
"""

import sys
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.adoption import adopt_index
from locstudio.services.runs import TRAINER, RunSummary, describe_run, request_stop, start_embed, trainer_environment
from locstudio.ui.background import DatasetWorker
from locstudio.ui.project_loading import OpenedProject

_LOOK_MS = 400
_PATIENCE = 150  # looks until a run that has not said a word is given up


class RunWatch(QObject):
    """Starts a run, or finds one that goes on, and tells how far it is.

    Signals:
        progressed: a ``RunSummary``, whenever it says something new.
        ended: a ``RunSummary`` in a state that does not change any more; always last.
    """

    progressed = Signal(object)
    ended = Signal(object)

    def __init__(self, work: DatasetWorker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = work
        self._folder: RunFolder | None = None
        self._last: RunSummary | None = None
        self._num_looks = 0
        self._timer = QTimer(self, interval=_LOOK_MS, singleShot=True)
        self._timer.timeout.connect(self._look)

    @property
    def folder(self) -> RunFolder | None:
        """The run that is watched."""
        return self._folder

    def start(self, folder: RunFolder) -> bool:
        """Start the trainer on a run; False when the process could not be made.

        It is detached: closing the window does not end it, and the next start finds it again.
        """
        process = QProcess()
        environment = QProcessEnvironment()
        for name, value in trainer_environment().items():
            environment.insert(name, value)
        process.setProcessEnvironment(environment)
        process.setProgram(sys.executable)
        process.setArguments([*TRAINER, str(folder.path)])
        process.setStandardInputFile(QProcess.nullDevice())
        process.setStandardOutputFile(QProcess.nullDevice())
        process.setStandardErrorFile(str(folder.log), QProcess.OpenModeFlag.Append)
        has_started = process.startDetached()
        is_ok = bool(has_started[0] if isinstance(has_started, tuple) else has_started)
        if is_ok:
            self.watch(folder)
        return is_ok

    def watch(self, folder: RunFolder) -> None:
        """Tell about a run that goes on."""
        self._folder, self._last, self._num_looks = folder, None, 0
        self._timer.start()

    def stop(self) -> None:
        """Ask the run to stop after its step."""
        if self._folder is not None:
            request_stop(self._folder)

    def leave(self) -> None:
        """Watch no more; the run goes on."""
        self._timer.stop()
        self._folder = None

    def _look(self) -> None:
        if self._folder is not None:
            self._work.ask(describe_run, self._folder, on_result=self._take, on_error=self._fail)

    def _take(self, row: RunSummary) -> None:
        if self._folder is None or row.folder != self._folder:
            return
        self._num_looks += 1
        is_silent = row.state is RunState.QUEUED and self._num_looks > _PATIENCE
        if row.state in (RunState.QUEUED, RunState.RUNNING, RunState.STOPPING) and not is_silent:
            if row != self._last:
                self._last = row
                self.progressed.emit(row)
            self._timer.start()
            return
        self._folder = None
        self.ended.emit(row)

    def _fail(self, error: Exception) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            self.ended.emit(RunSummary(folder, "embed", RunState.FAILED, sentence=str(error)))


class Indexing(QObject):
    """Embeds the collection in a run and takes over the index that it makes.

    Signals:
        progressed: what is going on, and how far it is (a negative share: nobody knows).
        indexed: the project has a new index with so many rows.
        failed: a sentence.

    Either ``indexed`` or ``failed`` ends each ``start`` and each ``watch``.
    """

    progressed = Signal(str, float)
    indexed = Signal(int)
    failed = Signal(str)

    def __init__(self, opened: OpenedProject, work: DatasetWorker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._opened = opened
        self._work = work
        self._watch = RunWatch(work, self)
        self._watch.progressed.connect(self._on_progressed)
        self._watch.ended.connect(self._on_ended)
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """Whether an index is being made."""
        return self._is_busy

    def start(self) -> None:
        """Embed the collection; does nothing while that goes on, or without a model."""
        opened, checkpoint = self._opened, self._opened.checkpoint
        if self._is_busy or checkpoint is None:
            return
        self._is_busy = True
        self.progressed.emit("Preparing to index", -1.0)
        self._ask(lambda: start_embed(opened.project, opened.dataset, checkpoint), self._on_prepared)

    def watch(self, folder: RunFolder) -> None:
        """Go on with a run that an earlier window has started."""
        self._is_busy = True
        self._watch.watch(folder)

    def stop(self) -> None:
        """Ask the run to stop after its step."""
        self._watch.stop()

    def leave(self) -> None:
        """Let the run go on without us."""
        self._watch.leave()

    def _ask(self, function: Callable[[], Any], on_result: Callable[[Any], None]) -> None:
        self._work.ask(function, on_result=on_result, on_error=lambda error: self._fail(str(error)))

    def _on_prepared(self, folder: RunFolder) -> None:
        if not self._watch.start(folder):
            self._fail("The run could not be started.")

    def _on_progressed(self, run: RunSummary) -> None:
        if run.state is RunState.STOPPING:
            self.progressed.emit("Stopping after this step", -1.0)
        elif run.num_steps and run.step:
            left = f", {in_words(run.seconds_left)} left" if run.seconds_left > 1 else ""
            self.progressed.emit(f"Indexing: {run.step:,} of {run.num_steps:,}{left}", run.step / run.num_steps)
        else:
            self.progressed.emit("Indexing: loading the model", -1.0)

    def _on_ended(self, run: RunSummary) -> None:
        if run.state is not RunState.DONE:
            self._fail(run.sentence or "Indexing was stopped; nothing has changed.")
            return
        self.progressed.emit("Taking over the index", -1.0)
        opened = self._opened
        self._ask(lambda: adopt_index(opened.project, opened.dataset, run.folder), self._on_adopted)

    def _on_adopted(self, adopted: dict[str, Any]) -> None:
        self._is_busy = False
        self.indexed.emit(int(adopted["rows"]))

    def _fail(self, sentence: str) -> None:
        self._is_busy = False
        self.failed.emit(sentence)


def in_words(seconds: float) -> str:
    """A time as a person says it: "40 s", "3 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
