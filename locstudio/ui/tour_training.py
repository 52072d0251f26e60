"""The second half of a tour: a project is retrained for real, from the sheet to the list of what has changed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from PySide6.QtWidgets import QWidget

from locstudio.domain.errors import UserError
from locstudio.jobs.predictions import read_gate
from locstudio.jobs.run_state import RunState
from locstudio.ui.training.retraining import Retraining
from locstudio.ui.training.run_book import KnownRun

_PATIENCE_FOR_ESTIMATE_S = 120
_PATIENCE_S = 1800


class Shoot(Protocol):
    """Leaves a picture of the window under a name, with a sheet ``over`` it where one is open."""

    def __call__(self, name: str, over: QWidget | None = None) -> None: ...


@dataclass(slots=True)
class TrainingTour:
    """Retrains the open project with the quick preset; the model in use stays in use."""

    retraining: Retraining
    shoot: Shoot
    wait_for: Callable[[Callable[[], bool], float, str], None]

    def walk(self) -> dict[str, Any]:
        """Go through sheet, training and comparison; returns what the report says of them.

        Raises:
            UserError: there is nothing to learn from, or a run does not end well or in time.
        """
        self.retraining.ask()
        sheet = self.retraining.planning.sheet
        if sheet is None:
            raise UserError("The tour needs a project that can be written, to train on it.")
        begun = time.monotonic()
        self.wait_for(lambda: sheet.is_settled, _PATIENCE_FOR_ESTIMATE_S, "the estimate of a training")
        names = {"learns_from": "Learns from", "where": "Where", "time": "Time", "memory": "Memory", "disk": "Disk"}
        report: dict[str, Any] = {key: sheet.fact(name) for key, name in names.items()}
        report["seconds_to_measure"] = round(time.monotonic() - begun, 1)
        self.shoot("21-retrain", sheet)
        if not sheet.can_start:
            raise UserError(sheet.problem)
        choice = sheet.choice
        sheet.reject()
        known = {run.id for run in self.retraining.book.trainings}
        begun = time.monotonic()
        self.retraining.start(choice)
        return report | self._follow(known, begun)

    def _follow(self, known: set[str], begun: float) -> dict[str, Any]:
        book = self.retraining.book
        self.wait_for(lambda: any(run.id not in known for run in book.trainings), 120, "the run")
        run_id = next(run.id for run in book.trainings if run.id not in known)

        def training() -> KnownRun:
            run = book.run(run_id)
            assert run is not None
            return run

        self.wait_for(lambda: training().is_over or training().summary.share > 0.6, _PATIENCE_S, "the training")
        self.shoot("22-training")
        self.wait_for(lambda: training().is_over, _PATIENCE_S, "the end of the training")
        if training().summary.state is not RunState.DONE:
            raise UserError(training().summary.sentence or "The training has not ended well.")
        seconds = round(time.monotonic() - begun, 1)
        begun = time.monotonic()

        def comparison() -> KnownRun | None:
            return book.comparison_of(run_id)

        self.wait_for(lambda: (run := comparison()) is not None and run.is_over, _PATIENCE_S, "the comparison")
        seconds_to_compare = round(time.monotonic() - begun, 1)
        compared = comparison()
        assert compared is not None
        gate = read_gate(compared.folder.results)
        if gate is None:
            raise UserError(compared.summary.sentence or "The comparison has not ended well.")
        self.retraining.show_changes(run_id)
        self.shoot("23-what-changed")
        return {
            "run": run_id,
            "seconds_to_train": seconds,
            "seconds_to_compare": seconds_to_compare,
            "before": dict(training().before),
            "after": dict(training().summary.metrics),
            "gate_passed": gate.passed,
            "gate": [check.sentence for check in gate.checks],
        }
