"""Hooks of the loop: reporting, saving, evaluating.  Each is called with the steps done and that step's metrics."""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import BestStep, best_file, read_best, write_document
from trainer.loop import StepMetrics
from trainer.reporting import Reporter

REPORT_SECONDS = 0.5
SMOOTHING = 0.9


class ReportProgress:
    """Says how far the run is, at most twice a second and always after the last step.

    The rate is a running average over reports; steps that were done before a resume do not count.

    Args:
        reporter: Is told.
        num_steps: Steps of the whole.
        says_step: The steps that matter are all done, this many; what is counted here is the work after them.
        seconds_after: What the run takes after its last step.
        clock: In seconds.
    """

    def __init__(
        self,
        reporter: Reporter,
        num_steps: int,
        *,
        says_step: int | None = None,
        seconds_after: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reporter = reporter
        self._num_steps = num_steps
        self._says_step = says_step
        self._seconds_after = seconds_after
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
            step if self._says_step is None else self._says_step,
            self._num_steps if self._says_step is None else self._says_step,
            images_per_second=self._images_per_second,
            seconds_left=max(0, self._num_steps - step) / self._steps_per_second + self._seconds_after,
            loss=None if metrics.loss is None else float(metrics.loss),
            parts={name: float(value) for name, value in metrics.parts.items()},
            learning_rate=metrics.learning_rate,
        )
        self._reported_at, self._images, self._steps = now, 0, 0


class SaveCheckpoints:
    """Saves every ``every`` steps and whenever the run has never been better, and keeps ``results/best.json``.

    ``save_now`` saves once more where a run ends, unless that step is saved already.

    Args:
        reporter: Is told.
        folder: The run.
        save: Saves the state after this step, keeps the named older checkpoints, and returns the folder.
        every: Steps between two checkpoints.
        value_at: What the model was worth after this step, by the metric of ``metric``; None where it was not measured.
        metric: Name of that metric.
        first_step: Steps done before, by the run that is resumed.
        is_later_better: Of two that are worth the same the later one is the best, not the earlier.
    """

    def __init__(
        self,
        reporter: Reporter,
        folder: RunFolder,
        save: Callable[[int, Collection[str]], Path],
        every: int,
        *,
        value_at: Callable[[int], float | None] = lambda _: None,
        metric: str = "",
        first_step: int = 0,
        is_later_better: bool = False,
    ) -> None:
        self._reporter = reporter
        self._folder = folder
        self._save = save
        self._every = every
        self._value_at = value_at
        self._metric = metric
        self._is_later_better = is_later_better
        self._saved_step = first_step or -1
        best = read_best(folder)
        self._best = best if best is not None and (folder.path / best.path).is_dir() else None
        resumed = folder.checkpoints / f"step_{first_step}"
        if first_step and resumed.is_dir():  # a process that died right after it was saved did not say what it is worth
            self._consider(first_step, resumed.relative_to(folder.path).as_posix())

    def __call__(self, step: int, _metrics: StepMetrics) -> None:
        if step % self._every == 0 or self._is_better(self._value_at(step)):
            self.save_now(step)

    def save_now(self, step: int) -> None:
        """Save the state after this step and say so."""
        if step == self._saved_step:
            return
        kept = [Path(self._best.path).name] if self._best is not None else []
        path = self._save(step, kept).relative_to(self._folder.path).as_posix()
        self._saved_step = step
        self._consider(step, path)
        self._reporter.saved(step, path)

    def go_back(self, step: int) -> None:
        """The run goes on after this step, so what was saved beyond it is saved again."""
        self._saved_step = step or -1

    def _consider(self, step: int, path: str) -> None:
        """Remember this checkpoint if it is the best, or the newest where none was measured."""
        value = self._value_at(step)
        if self._is_better(value):
            self._remember(BestStep(step=step, path=path, metric=self._metric, value=value))
        elif (self._best is None or self._best.value is None) and (self._best is None or self._best.step != step):
            self._remember(BestStep(step=step, path=path))

    def _is_better(self, value: float | None) -> bool:
        if value is None:
            return False
        if self._best is None or self._best.value is None or value > self._best.value:
            return True
        return self._is_later_better and value == self._best.value

    def _remember(self, best: BestStep) -> None:
        self._best = best
        write_document(best_file(self._folder), best)


class EvaluateEvery:
    """Evaluates every ``every`` steps and after the last, and says what it found; nothing found, nothing said.

    ``then`` is called after each evaluation that found something, with the steps done and the metrics.
    """

    def __init__(
        self,
        reporter: Reporter,
        evaluate: Callable[[], Mapping[str, float]],
        every: int,
        num_steps: int,
        *,
        then: Callable[[int, dict[str, float]], object] = lambda _step, _metrics: None,
    ) -> None:
        self._reporter = reporter
        self._evaluate = evaluate
        self._every = every
        self._num_steps = num_steps
        self._then = then

    def __call__(self, step: int, _metrics: StepMetrics) -> None:
        if step % self._every == 0 or step == self._num_steps:
            self.evaluate_now(step)

    def evaluate_now(self, step: int) -> None:
        """Evaluate the model as it is after this step."""
        found = dict(self._evaluate())
        if found:
            self._reporter.evaluated(step, found)
            self._then(step, found)


def _smooth(average: float | None, value: float) -> float:
    return value if average is None else SMOOTHING * average + (1.0 - SMOOTHING) * value
