"""The curves of a run, as numbers: what a chart draws and a spreadsheet opens.

Numpy only.  Where a run was interrupted and has begun again from an earlier checkpoint, what was done twice counts
once, as it was done last.
"""

import csv
import io
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from locstudio.jobs.messages import AnyMessage, Evaluated, Progress, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_tail import RunTail

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What a training run has reported so far.  Axes: P = reports of progress, E = evaluations of one metric.

    Attributes:
        step: (P,) steps done, rising.
        loss: (P,) in nats.
        parts: Terms of the loss by name, each (P,), NaN where a report has none.
        learning_rate: (P,), NaN where a report has none.
        seconds_per_step: (P,), by the run's own guess of the time left; NaN where there is none.
        evaluated: By the metric's name: steps (E,) and values (E,).
    """

    step: NDArray[np.int64]
    loss: Floats
    parts: dict[str, Floats]
    learning_rate: Floats
    seconds_per_step: Floats
    evaluated: dict[str, tuple[NDArray[np.int64], Floats]]

    def to_csv(self) -> str:
        """Every report and every evaluation, one row per step and kind, empty where there is nothing."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = sorted(self.evaluated)
        writer.writerow(["step", "loss", *self.parts, "learning_rate", "seconds_per_step", *names])
        held_out = {name: dict(zip(*map(np.ndarray.tolist, self.evaluated[name]), strict=True)) for name in names}
        rows = {int(step): place for place, step in enumerate(self.step)}
        for step in sorted(rows.keys() | {step for values in held_out.values() for step in values}):
            place = rows.get(step)
            series = (self.loss, *self.parts.values(), self.learning_rate, self.seconds_per_step)
            reported = [math.nan if place is None else float(values[place]) for values in series]
            measured = [held_out[name].get(step, math.nan) for name in names]
            writer.writerow([step, *("" if math.isnan(v) else f"{v:.6g}" for v in (*reported, *measured))])
        return text.getvalue()


@dataclass(slots=True)
class _Rows:
    """The same, growing."""

    reports: list[Progress] = field(default_factory=list)
    evaluations: list[Evaluated] = field(default_factory=list)


class CurveReader:
    """Reads the curves of one run again and again, each time only what is new in its file."""

    def __init__(self, folder: RunFolder) -> None:
        self._tail = RunTail(folder)
        self._rows = _Rows()

    @property
    def folder(self) -> RunFolder:
        """The run."""
        return self._tail.folder

    def read(self) -> Curves:
        """The curves up to now."""
        self.add(self._tail.read())
        return self.curves()

    def add(self, messages: list[AnyMessage]) -> None:
        """Take in messages that somebody else has read; then do not also ``read``."""
        for message in messages:
            match message:
                case Started():
                    self._forget_after(message.first_step)
                case Progress() if message.loss is not None:
                    self._rows.reports.append(message)
                case Evaluated():
                    self._rows.evaluations.append(message)

    def curves(self) -> Curves:
        """The curves of what was taken in so far."""
        reports = self._rows.reports
        names = dict.fromkeys(name for report in reports for name in report.parts)
        return Curves(
            step=np.array([report.step for report in reports], np.int64),
            loss=_floats([report.loss for report in reports]),
            parts={name: _floats([report.parts.get(name) for report in reports]) for name in names},
            learning_rate=_floats([report.learning_rate for report in reports]),
            seconds_per_step=_floats([_seconds_per_step(report) for report in reports]),
            evaluated=_evaluated(self._rows.evaluations),
        )

    def _forget_after(self, step: int) -> None:
        rows = self._rows
        rows.reports = [report for report in rows.reports if report.step <= step]
        rows.evaluations = [found for found in rows.evaluations if found.step <= step]


def read_curves(source: RunFolder | CurveReader) -> Curves:
    """The curves of a run, once from its folder, or again and again by a reader that reads only what is new."""
    return (source if isinstance(source, CurveReader) else CurveReader(source)).read()


def _evaluated(evaluations: list[Evaluated]) -> dict[str, tuple[NDArray[np.int64], Floats]]:
    """An evaluation of a step that was evaluated already takes the place of the older one."""
    found: dict[str, dict[int, float]] = {}
    for evaluation in evaluations:
        for name, value in evaluation.metrics.items():
            found.setdefault(name, {})[evaluation.step] = value
    return {
        name: (np.array(sorted(values), np.int64), _floats([values[step] for step in sorted(values)]))
        for name, values in found.items()
    }


def _seconds_per_step(report: Progress) -> float | None:
    num_left = report.num_steps - report.step
    return report.seconds_left / num_left if num_left > 0 and report.seconds_left > 0 else None


def _floats(values: list[float] | list[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], np.float64)
