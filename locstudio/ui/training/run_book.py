"""The project's training runs: which there are, where each stands, and the processes that go on."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.jobs.configs import RunConfig
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.jobs.training_files import read_best, read_history
from locstudio.services.checkpoints import MODELS
from locstudio.services.retraining import training_of
from locstudio.services.run_events import ingest
from locstudio.services.run_summary import RunSummary
from locstudio.services.runs import list_runs
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker
from locstudio.ui.job_process import JobProcess

TRAININGS = ("cloc", "consistency", "vmoe")
"""Kinds of run that make a new model: of regions, of classes and their heatmaps, of experts."""
_KINDS = (*TRAININGS, "compare", "evaluate", "vesl", "route")
_IN_LIST = (*TRAININGS, "vesl", "route")
_LIST_PAUSE_MS = 300
_OVER = (RunState.DONE, RunState.STOPPED, RunState.FAILED, RunState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run with its configuration, where it stands, and what was measured before it and of its best checkpoint."""

    config: RunConfig
    summary: RunSummary
    before: Mapping[str, float] = field(default_factory=dict)
    best: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.summary.id

    @property
    def name(self) -> str:
        """What a person calls it: its title, else what it is."""
        if self.config.kind == "vesl":
            return f"Proposing: {self.config.title}" if self.config.title else "Proposing"
        if self.config.title:
            return self.config.title
        if self.config.kind == "route":
            return "Routing"
        if self.config.vmoe is not None:
            return f"Experts, {self.config.vmoe.preset}"
        if self.config.consistency is not None:
            return f"Heatmaps, {self.config.consistency.preset}"
        return (self.config.cloc.preset if self.config.cloc is not None else self.config.kind).capitalize()

    @property
    def is_training(self) -> bool:
        """Whether it makes a new model."""
        return self.config.kind in TRAININGS

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return self.summary.folder

    @property
    def is_unstarted(self) -> bool:
        """Whether it was made, and the window was closed before its process was."""
        return self.summary.state is RunState.QUEUED and not self.summary.has_process

    @property
    def is_over(self) -> bool:
        """Whether no process works on it any more."""
        return self.summary.state in _OVER


class RunBook(QObject):
    """Knows what was trained, compared, evaluated and proposed in a project, newest first, and watches what goes on.

    Runs of an earlier window, of another window and of the command line are found and watched like one's own.

    Signals:
        listed: runs came or went.
        changed: the id of a run that stands elsewhere now.
        ended: a ``KnownRun`` that went on while it was watched and is over now.
        failed: a sentence; the runs could not be listed.
    """

    listed = Signal()
    changed = Signal(str)
    ended = Signal(object)
    failed = Signal(str)

    def __init__(self, project: Project, dataset: Dataset, work: DatasetWorker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project = project
        self._dataset = dataset
        self._work = work
        self._runs: dict[str, KnownRun] = {}
        self._in_use: frozenset[str] = frozenset()
        self._jobs: dict[str, JobProcess] = {}
        self._pause = QTimer(self, interval=_LIST_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self.read)
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(lambda _: self._pause.start())
        self._watch_folder()

    def _watch_folder(self) -> None:
        if not self._watcher.directories() and self._project.runs.is_dir():
            self._watcher.addPath(str(self._project.runs))

    @property
    def trainings(self) -> list[KnownRun]:
        """The trainings, newest first."""
        return [run for run in self._runs.values() if run.is_training]

    @property
    def in_list(self) -> list[KnownRun]:
        """What the list of runs has a row for: trainings and what proposed, newest first."""
        return [run for run in self._runs.values() if run.config.kind in _IN_LIST]

    @property
    def in_use(self) -> frozenset[str]:
        """The ids of the runs whose models the project uses: at most one of each kind."""
        return self._in_use

    def run(self, run_id: str) -> KnownRun | None:
        """The run with this id."""
        return self._runs.get(run_id)

    def comparison_of(self, run_id: str) -> KnownRun | None:
        """The newest comparison of what this training has made, or None."""
        return next(
            (run for run in self._runs.values() if run.config.kind == "compare" and run.config.parent_run == run_id),
            None,
        )

    @property
    def live(self) -> list[KnownRun]:
        """Runs that a process works on or waits to, the one that goes on before those that wait.

        Not those that propose: curation tells of them.
        """
        ours = [run for run in self._runs.values() if run.config.kind != "vesl"]
        living = [run for run in ours if run.id in self._jobs and not run.is_over]
        return sorted(living, key=lambda run: (run.summary.state is RunState.QUEUED, run.id))

    def read(self) -> None:
        """List the runs anew, and watch those that go on."""
        self._work.ask(
            _read_runs,
            self._project,
            self._dataset,
            on_result=self._on_listed,
            on_error=lambda error: self.failed.emit(str(error)),
        )

    def start(self, folder: RunFolder) -> bool:
        """Start the trainer on a run, new or broken off; False when the process could not be made."""
        job = self._job_of(folder)
        if not job.start(folder):
            self._jobs.pop(folder.id).deleteLater()
            return False
        if folder.id not in self._runs:
            config = folder.config()
            known = KnownRun(
                config, RunSummary(folder, config.kind, RunState.QUEUED, title=config.title, has_process=True)
            )
            self._runs = {folder.id: known, **self._runs}
            self.listed.emit()
        return True

    def stop(self, run_id: str) -> None:
        """Ask a run to save and stop after its step."""
        if run_id in self._jobs:
            self._jobs[run_id].stop()

    def stop_after_epoch(self, run_id: str) -> None:
        """Ask a run to save and stop after its epoch."""
        if run_id in self._jobs:
            self._jobs[run_id].stop_after_epoch()

    def end(self, run_id: str) -> None:
        """End a run that does not stop."""
        if run_id in self._jobs:
            self._jobs[run_id].end()

    def close(self) -> None:
        """Watch no more; every run goes on."""
        self._pause.stop()
        for job in self._jobs.values():
            job.close()
        self._jobs.clear()

    def _on_listed(self, found: tuple[list[KnownRun], frozenset[str]]) -> None:
        runs, self._in_use = found
        self._watch_folder()
        before = set(self._runs)
        listed = {run.id: run for run in runs}
        for run_id, job in self._jobs.items():  # what was listed may be older than what its process has told since
            known, row = listed.get(run_id) or self._runs.get(run_id), job.summary
            if known is not None:
                listed[run_id] = replace(known, summary=row) if row is not None else known
        self._runs = dict(sorted(listed.items(), reverse=True))
        for run in runs:
            if run.id not in self._jobs and run.summary.has_process:
                self._job_of(run.folder).attach(run.folder)
        if set(self._runs) != before or not before:
            self.listed.emit()
        else:
            for run_id in self._runs:
                self.changed.emit(run_id)

    def _job_of(self, folder: RunFolder) -> JobProcess:
        job = self._jobs.get(folder.id)
        if job is None:
            job = self._jobs[folder.id] = JobProcess(self)
            job.state_changed.connect(self._on_state_changed)
            job.ended.connect(self._on_ended)
        return job

    def _on_state_changed(self, summary: RunSummary) -> None:
        known = self._runs.get(summary.id)
        if known is not None:
            self._runs[summary.id] = replace(known, summary=summary)
            self.changed.emit(summary.id)

    def _on_ended(self, summary: RunSummary) -> None:
        job = self._jobs.pop(summary.id, None)
        if job is not None:
            job.close()
            job.deleteLater()
        known = self._runs.get(summary.id)
        if known is None:  # its folder was taken away
            return
        self._runs[summary.id] = replace(known, summary=summary)
        self._pause.start()
        self.changed.emit(summary.id)
        self.ended.emit(self._runs[summary.id])


def _read_runs(project: Project, dataset: Dataset) -> tuple[list[KnownRun], frozenset[str]]:
    """The runs, and the ids of those whose models are in use."""
    found = []
    for summary in list_runs(project):
        with suppress(BadInput):  # taken away since it was listed
            config = summary.folder.config()
            training = training_of(config)
            if training is not None and training.is_dry_run:
                continue
            _ingest(project, dataset, summary.folder)
            if summary.kind in _KINDS:
                history, best = read_history(summary.folder), read_best(summary.folder)
                measured = history.evaluations.get(best.step, {}) if best is not None else {}
                found.append(KnownRun(config, summary, history.before, measured))
    in_use = (dataset.active_checkpoint(model) for model in MODELS)
    return found, frozenset(row.run_id for row in in_use if row is not None and row.run_id)


def _ingest(project: Project, dataset: Dataset, folder: RunFolder) -> None:
    """Take what the run has said into the project; what the disk refuses is taken in the next time."""
    with suppress(StorageFailed):
        ingest(project, dataset, folder)
