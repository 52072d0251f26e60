"""Indexing in the background: a run of the trainer that outlives the window, watched through its folder."""

import os
import sys
from pathlib import Path

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

import locstudio
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.runs import TRAINER, RunSummary, describe_run, request_stop
from locstudio.ui.background import DatasetWorker

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
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("HF_HUB_OFFLINE", "1")
        root = str(Path(locstudio.__file__).resolve().parent.parent)
        paths = [root, *filter(None, [environment.value("PYTHONPATH")])]
        environment.insert("PYTHONPATH", os.pathsep.join(paths))
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
