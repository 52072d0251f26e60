"""From the wish to retrain to a run: the sheet, what it is told, and the dry run behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from locstudio.jobs.checkpoint_folder import ModelKind
from locstudio.jobs.configs import ClocTraining, ConsistencyTraining, VmoeTraining
from locstudio.jobs.messages import Estimated, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.retrain_plan import Choice, ClassesChoice, ExpertsChoice, RetrainChoice, RetrainPlan, Training
from locstudio.services.retraining import forget_run, measured, plan_retraining, start_dry_run, sweep_dry_runs
from locstudio.ui.background import DatasetWorker
from locstudio.ui.project_loading import OpenedProject
from locstudio.ui.training.dry_run import DryRun
from locstudio.ui.training.plan_words import Drawn
from locstudio.ui.training.retrain_sheet import RetrainSheet

_CHOICE_PAUSE_MS = 250
_CHOICES: dict[ModelKind, type[Choice]] = {"cloc": RetrainChoice, "consistency": ClassesChoice, "vmoe": ExpertsChoice}
_NOT_MEASURED = "a guess; it could not be measured: {reason}"
_OTHERS_GO_ON = "not measured while another run is going on"


@dataclass(frozen=True, slots=True)
class _Found:
    """What a dry run has said, and of which settings."""

    training: Training
    started: Started | None
    estimated: Estimated


class Planning(QObject):
    """Opens the sheet and answers it.  One dry run at a time; none outlives the sheet.

    Signals:
        start_wanted: the ``Choice`` that a person has started.
    """

    start_wanted = Signal(object)

    def __init__(
        self,
        opened: Callable[[], OpenedProject],
        work: DatasetWorker,
        device: Callable[[], str],
        parent: QObject | None = None,
    ) -> None:
        """``opened`` is the open project as it is now; ``device`` says in words where its models run."""
        super().__init__(parent)
        self._opened = opened
        self._work = work
        self._device = device
        self._sheet: RetrainSheet | None = None
        self._choice: Choice = RetrainChoice()
        self._plan: RetrainPlan | None = None
        self._found: _Found | None = None
        self._timed: Training | None = None
        self._dry: DryRun | None = None
        self._pause = QTimer(self, interval=_CHOICE_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._read)

    @property
    def sheet(self) -> RetrainSheet | None:
        """The sheet while it is open."""
        return self._sheet

    def sweep(self) -> None:
        """Take away what a window that was killed has left of its dry runs."""
        if not self._opened().dataset.is_read_only:
            self._work.ask(sweep_dry_runs, self._opened().project)

    def ask(self, parent: QWidget, model: ModelKind | None = None) -> None:
        """Open the sheet, or bring it to the front, for this model or the one that was chosen last."""
        if self._sheet is not None:
            self._sheet.raise_()
            self._sheet.activateWindow()
            if model is not None:
                self._sheet.choose_model(model)
            return
        preset = self._choice.preset if model in (None, self._choice.model) else "quick"
        choice = _CHOICES[model or self._choice.model](preset=preset)
        sheet = self._sheet = RetrainSheet(choice, parent)
        self._choice, self._plan, self._found = sheet.choice, None, None
        sheet.show_device(self._device() or "The model is loading; it says in a moment")
        sheet.choice_changed.connect(self._on_choice_changed)
        sheet.start_wanted.connect(self._on_start_wanted)
        sheet.finished.connect(self._on_closed)
        sheet.open()
        self._read()

    def close(self) -> None:
        """Close the sheet and end its dry run."""
        if self._sheet is not None:
            self._sheet.reject()
        for dry in self.findChildren(DryRun):
            dry.close()

    # the plan ---------------------------------------------------------------------------------------------------

    def _on_choice_changed(self, choice: Choice) -> None:
        self._choice = choice
        self._pause.start()

    def _read(self) -> None:
        opened, choice = self._opened(), self._choice
        self._work.ask(
            plan_retraining,
            opened.project,
            opened.dataset,
            opened.checkpoint,
            choice,
            on_result=self._on_plan,
            on_error=lambda error: self._sheet.stop_measuring(str(error)) if self._sheet else None,
        )

    def _on_plan(self, plan: RetrainPlan) -> None:
        if self._sheet is None or plan.choice != self._choice:
            return
        self._plan = plan
        wanted = plan.choice.training()
        is_known = self._found is not None and _is_alike(self._found.training, wanted)
        is_under_way = self._timed is not None and _is_alike(self._timed, wanted)
        can_measure = not plan.problems and not plan.waits_for
        self._sheet.show_plan(plan, is_measuring=can_measure and not is_known)
        if is_known:
            self._tell()
        elif not can_measure:
            self._sheet.stop_measuring(_OTHERS_GO_ON if plan.waits_for else "")
        elif not is_under_way:
            self._measure()

    # the dry run ------------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        self._end_dry_run()
        opened, choice = self._opened(), self._choice
        checkpoint = opened.checkpoint if choice.model == "cloc" else None
        self._timed = choice.training()
        self._work.ask(
            lambda: start_dry_run(opened.project, opened.dataset, checkpoint, choice),
            on_result=lambda folder: self._on_dry_run_made(folder, choice.training()),
            on_error=lambda error: self._on_not_measured(str(error)),
        )

    def _on_dry_run_made(self, folder: RunFolder, training: Training) -> None:
        if self._sheet is None or self._timed != training:  # meanwhile something else is wanted
            self._work.ask(forget_run, folder)
            return
        dry = self._dry = DryRun(folder, training, self._work, self)
        dry.estimated.connect(lambda started, said: self._on_estimated(_Found(training, started, said)))
        dry.failed.connect(self._on_not_measured)
        dry.start()

    def _on_estimated(self, found: _Found) -> None:
        self._found, self._dry = found, None
        self._tell()

    def _tell(self) -> None:
        if self._sheet is None or self._found is None:
            return
        started = self._found.started
        if started is not None:
            self._sheet.show_device(started.device)
            self._sheet.show_material(Drawn.of(started))
        wanted = self._choice.training()
        self._sheet.show_estimate(measured(self._found.estimated, self._found.training, wanted, started))

    def _on_not_measured(self, reason: str) -> None:
        self._dry = self._timed = None
        if self._sheet is not None:
            self._sheet.stop_measuring(_NOT_MEASURED.format(reason=reason))

    def _end_dry_run(self) -> None:
        dry, self._dry, self._timed = self._dry, None, None
        if dry is not None:
            dry.end()

    # the end of the sheet ---------------------------------------------------------------------------------------

    def _on_start_wanted(self, choice: Choice) -> None:
        self._choice = choice
        self._end_dry_run()
        self.start_wanted.emit(choice)

    def _on_closed(self, _result: Any) -> None:
        self._pause.stop()
        self._end_dry_run()
        if self._sheet is not None:
            self._sheet.deleteLater()
            self._sheet = None


def _is_alike(one: Training, other: Training) -> bool:
    """Whether a step of the two takes as long."""
    if isinstance(one, ClocTraining) and isinstance(other, ClocTraining):
        return (one.preset, one.batch_size, one.has_grounding, one.text_filter, one.include_pending) == (
            other.preset,
            other.batch_size,
            other.has_grounding,
            other.text_filter,
            other.include_pending,
        )
    if isinstance(one, VmoeTraining) and isinstance(other, VmoeTraining):
        return _without_length(one) == _without_length(other)
    if not (isinstance(one, ConsistencyTraining) and isinstance(other, ConsistencyTraining)):
        return False
    return (one.batch_size, one.trains, one.memory) == (other.batch_size, other.trains, other.memory)


def _without_length(training: VmoeTraining) -> VmoeTraining:
    return msgspec.structs.replace(training, preset="quick", num_epochs=0, num_dense_epochs=0, num_warmup_epochs=0)
