"""Proposing in the background: a VESL run of the trainer, which outlives the window and is met again by the next."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from locstudio.domain.text import counted, shown
from locstudio.jobs.configs import Vesl
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.proposing import propose_again, start_vesl
from locstudio.services.run_summary import RunSummary
from locstudio.services.runs import list_runs
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker
from locstudio.ui.indexing import in_words
from locstudio.ui.job_process import JobProcess
from locstudio.ui.project_loading import OpenedProject

_MAX_TITLE = 60
_OVER = (RunState.DONE, RunState.STOPPED)
_STOPPED = "Stopped after {images}; what was proposed so far is kept."


class Proposing(QObject):
    """Starts VESL runs and follows them, one at a time.

    Signals:
        progressed: what is going on, and how far it is (negative: nobody knows); empty words when nothing goes on.
        proposed: a run has ended and left proposals; a sentence that says how it went.
        failed: a sentence.
    """

    progressed = Signal(str, float)
    proposed = Signal(str)
    failed = Signal(str)

    def __init__(self, opened: Callable[[], OpenedProject], work: DatasetWorker, parent: QObject | None = None) -> None:
        """``opened`` gives the project with the checkpoint that is in use by then."""
        super().__init__(parent)
        self._opened = opened
        self._work = work
        self._job = JobProcess(self)
        self._job.state_changed.connect(self._on_changed)
        self._job.ended.connect(self._on_ended)
        self._is_starting = False

    @property
    def is_busy(self) -> bool:
        """Whether a run goes on, or is about to."""
        return self._is_starting or self._job.is_busy

    def read(self) -> None:
        """Look for a run that an earlier window has left, and follow it."""
        project = self._opened().project
        self._ask(lambda: _left_running(project), self.follow)

    def start(self, vesl: Vesl) -> None:
        """Propose as asked; does nothing while a run goes on, or without a model."""
        title = title_of(vesl)
        self._start(
            lambda opened, checkpoint: start_vesl(opened.project, opened.dataset, checkpoint, vesl=vesl, title=title)
        )

    def start_again(self, image_id: int) -> None:
        """Propose for one image as before, as after its caption was edited."""
        self._start(lambda opened, checkpoint: propose_again(opened.project, opened.dataset, checkpoint, [image_id]))

    def follow(self, folder: RunFolder | None) -> None:
        """Follow a run that goes on already, as one that the list of runs has resumed; not while another does."""
        if folder is not None and not self.is_busy:
            self._job.attach(folder)

    def _start(self, make: Callable[[OpenedProject, Path], RunFolder]) -> None:
        opened = self._opened()
        checkpoint = opened.checkpoint
        if self.is_busy or checkpoint is None:
            return
        self._is_starting = True
        self.progressed.emit("Getting ready to propose", -1.0)
        self._ask(lambda: make(opened, checkpoint), self._on_made)

    def stop(self) -> None:
        """Ask the run to stop after this image."""
        self._job.stop()

    def close(self) -> None:
        """Let a run go on by itself."""
        self._job.close()

    def _ask(self, function: Callable[[], Any], on_result: Callable[[Any], None]) -> None:
        self._work.ask(function, on_result=on_result, on_error=lambda error: self._fail(str(error)))

    def _on_made(self, folder: RunFolder) -> None:
        self._is_starting = False
        if not self._job.start(folder):
            self._fail("The run could not be started.")

    def _on_changed(self, run: RunSummary) -> None:
        if run.has_process:  # its end is told next
            self.progressed.emit(*progress_of(run))

    def _on_ended(self, run: RunSummary) -> None:
        self.progressed.emit("", -1.0)
        if run.state not in _OVER:
            self.failed.emit(run.sentence or "Proposing was broken off.")
        elif run.state is RunState.STOPPED:
            self.proposed.emit(_STOPPED.format(images=counted(run.step, "image")))
        else:
            self.proposed.emit(run.sentence or f"{counted(run.num_steps, 'image')} looked at.")

    def _fail(self, sentence: str) -> None:
        self._is_starting = False
        self.progressed.emit("", -1.0)
        self.failed.emit(sentence)


def title_of(vesl: Vesl) -> str:
    """What a run is called where nobody has given it a name: what it looks for."""
    if vesl.phrases:
        return f"Words: {shown(', '.join(vesl.phrases), _MAX_TITLE)}"
    what = "Class names" if vesl.has_class_names else "Captions"
    return f"{what}, {counted(len(vesl.image_ids), 'image')}" if vesl.image_ids else what


def progress_of(run: RunSummary) -> tuple[str, float]:
    """What a run that goes on is at, in a few words, and its share (negative: nobody knows)."""
    if run.state is RunState.QUEUED:
        return "Proposing waits for its turn", -1.0
    if run.state is RunState.STOPPING:
        return "Stopping after this image", -1.0
    if not run.num_steps or not run.step:
        return "Proposing: loading the model", -1.0
    left = f" · {in_words(run.seconds_left)} left" if run.seconds_left > 1 else ""
    return f"Proposing: {run.step:,} of {run.num_steps:,} images{left}", run.step / run.num_steps


def _left_running(project: Project) -> RunFolder | None:
    live = (RunState.QUEUED, RunState.RUNNING, RunState.STOPPING)
    runs = (run for run in list_runs(project) if run.kind == "vesl" and run.state in live)
    return next((run.folder for run in runs if run.has_process), None)
