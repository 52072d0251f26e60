"""One dry run: a run that times a few real steps, says what the whole would take, and leaves nothing behind."""

from PySide6.QtCore import QObject, Signal

from locstudio.jobs.messages import AnyMessage, Estimated, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.retrain_plan import Training
from locstudio.services.retraining import forget_run
from locstudio.services.run_summary import RunSummary
from locstudio.ui.background import DatasetWorker
from locstudio.ui.job_process import JobProcess


class DryRun(QObject):
    """Times one choice of settings.

    Signals:
        estimated: ``Started`` (or None) and ``Estimated``.
        failed: a sentence.

    At most one of the two is emitted, and neither after ``end``.  Its folder is taken away when its process is gone.
    """

    estimated = Signal(object, object)
    failed = Signal(str)

    def __init__(
        self, folder: RunFolder, training: Training, work: DatasetWorker, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.training = training
        self._folder = folder
        self._work = work
        self._started: Started | None = None
        self._is_wanted = True
        self._job = JobProcess(self)
        self._job.message.connect(self._on_message)
        self._job.ended.connect(self._on_ended)

    def start(self) -> None:
        """Start the process."""
        if not self._job.start(self._folder):
            self._say("Its process could not be started.")
            self._vanish()

    def end(self) -> None:
        """Let it end, because nobody waits for it any more; it does so within a step."""
        self._is_wanted = False
        self._job.end()

    def close(self) -> None:
        """Let go of it with its process still there; the next window takes its folder away."""
        self.end()
        self._job.close()

    def _on_message(self, message: AnyMessage) -> None:
        if isinstance(message, Started):
            self._started = message
        elif isinstance(message, Estimated) and self._is_wanted:
            self._is_wanted = False
            self.estimated.emit(self._started, message)

    def _on_ended(self, summary: RunSummary) -> None:
        self._say(summary.sentence or "It has ended without a number.")
        self._vanish()

    def _say(self, sentence: str) -> None:
        if self._is_wanted:
            self._is_wanted = False
            self.failed.emit(sentence)

    def _vanish(self) -> None:
        self._work.ask(forget_run, self._folder)
        self._job.close()
        self.deleteLater()
