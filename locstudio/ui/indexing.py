"""Indexing in the background: a run of the trainer that outlives the window, watched through its folder.

The window reads what the run has written; nothing is lost when either of them ends first.
"""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Signal

from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.adoption import adopt_index
from locstudio.services.run_summary import RunSummary
from locstudio.services.runs import start_embed
from locstudio.ui.background import DatasetWorker
from locstudio.ui.job_process import JobProcess
from locstudio.ui.project_loading import OpenedProject


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
        self._job = JobProcess(self)
        self._job.state_changed.connect(self._on_changed)
        self._job.ended.connect(self._on_ended)
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """Whether an index is being made."""
        return self._is_busy

    def set_opened(self, opened: OpenedProject) -> None:
        """Take the project with another checkpoint in use."""
        self._opened = opened

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
        self._job.attach(folder)

    def stop(self) -> None:
        """Ask the run to stop after its step."""
        self._job.stop()

    def leave(self) -> None:
        """Let the run go on without us."""
        self._job.close()

    def _ask(self, function: Callable[[], Any], on_result: Callable[[Any], None]) -> None:
        self._work.ask(function, on_result=on_result, on_error=lambda error: self._fail(str(error)))

    def _on_prepared(self, folder: RunFolder) -> None:
        if not self._job.start(folder):
            self._fail("The run could not be started.")

    def _on_changed(self, run: RunSummary) -> None:
        if not run.has_process:
            return  # its end is told next
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
