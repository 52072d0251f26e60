"""Hooks of the loop: reporting, saving, evaluating.  Each is called with the steps done and that step's metrics."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from trainer.loop import StepMetrics
from trainer.reporting import Reporter

REPORT_SECONDS = 0.5
SMOOTHING = 0.9


class ReportProgress:
    """Says how far the run is, at most twice a second and always after the last step.

    The rate is a running average over reports; steps that were done before a resume do not count.
    """

    def __init__(self, reporter: Reporter, num_steps: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._reporter = reporter
        self._num_steps = num_steps
        self._clock = clock
        self._reported_at = clock()
        self._images = 0
        self._steps = 0
        self._images_per_second: float | None = None
        self._steps_per_second: float | None = None

    def __call__(self, step: int, metrics: StepMetrics) -> None:
        self._images += metrics.num_images
        self._steps += 1
        now = self._clock()
        elapsed = now - self._reported_at
        if elapsed < REPORT_SECONDS and step < self._num_steps:
            return
        elapsed = max(elapsed, 1e-6)
        self._images_per_second = _smooth(self._images_per_second, self._images / elapsed)
        self._steps_per_second = _smooth(self._steps_per_second, self._steps / elapsed)
        self._reporter.progress(
            step,
            self._num_steps,
            images_per_second=self._images_per_second,
            seconds_left=max(0, self._num_steps - step) / self._steps_per_second,
            loss=None if metrics.loss is None else float(metrics.loss),
            parts={name: float(value) for name, value in metrics.parts.items()},
        )
        self._reported_at, self._images, self._steps = now, 0, 0


class SaveCheckpoints:
    """Saves every ``every`` steps; ``save_now`` saves once more where a run ends, unless that step is saved already."""

    def __init__(self, reporter: Reporter, run: Path, save: Callable[[int], Path], every: int) -> None:
        self._reporter = reporter
        self._run = run
        self._save = save
        self._every = every
        self._saved_step = -1

    def __call__(self, step: int, _metrics: StepMetrics) -> None:
        if step % self._every == 0:
            self.save_now(step)

    def save_now(self, step: int) -> None:
        """Save the state after this step and say so."""
        if step != self._saved_step:
            folder = self._save(step)
            self._saved_step = step
            self._reporter.saved(step, folder.relative_to(self._run).as_posix())


class EvaluateEvery:
    """Evaluates every ``every`` steps and after the last, and says what it found; nothing found, nothing said."""

    def __init__(
        self, reporter: Reporter, evaluate: Callable[[], Mapping[str, float]], every: int, num_steps: int
    ) -> None:
        self._reporter = reporter
        self._evaluate = evaluate
        self._every = every
        self._num_steps = num_steps

    def __call__(self, step: int, _metrics: StepMetrics) -> None:
        if step % self._every and step != self._num_steps:
            return
        found = dict(self._evaluate())
        if found:
            self._reporter.evaluated(step, found)


def _smooth(average: float | None, value: float) -> float:
    return value if average is None else SMOOTHING * average + (1.0 - SMOOTHING) * value
