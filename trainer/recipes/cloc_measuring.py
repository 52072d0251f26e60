"""Naming and grounding on what a run holds out, the same every time it is measured."""

from collections.abc import Callable, Mapping

from locstudio.jobs.configs import Task
from locstudio.jobs.training_files import HeldOut
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset
from trainer.encoding import TokenSource
from trainer.ground_truth import GroundTruth, read_ground_truth
from trainer.loop import StepMetrics
from trainer.predicting import predict

BEST_METRIC = "macc+top1"
_TASKS: tuple[Task, ...] = ("regions", "grounding")


class HeldOutMeasure:
    """Measures a model on the held-out images; a metric over nothing is left out.

    Args:
        model: What is measured, as it is when called.
        dataset: The run's snapshot.
        held_out: The images.
        source: Their tokens.
        alive: Called between the parts.
    """

    def __init__(
        self,
        model: Cloc,
        dataset: Dataset,
        held_out: HeldOut,
        source: TokenSource,
        alive: Callable[[], object] = lambda: None,
    ) -> None:
        self._model = model
        self._source = source
        self._alive = alive
        self.truths: tuple[GroundTruth, ...] = ()
        if held_out.num_regions:
            ids = frozenset(held_out.image_ids)
            truths = [read_ground_truth(dataset, task, held_out.split, image_ids=ids) for task in _TASKS]
            self.truths = tuple(truth for truth in truths if truth.images)

    def __call__(self) -> dict[str, float]:
        """``top1``, ``top5``, ``macc`` of naming, ``mean_iou`` and ``hit50`` of grounding."""
        found: dict[str, float] = {}
        for truth in self.truths:
            predictions = predict(self._model, truth, self._source, hooks=[self._on_image], alive=self._alive)
            if predictions is not None:
                found |= predictions.summary.metrics
        return {name: value for name, value in found.items() if not name.startswith("n_")}

    def _on_image(self, _step: int, _metrics: StepMetrics) -> None:
        self._alive()


def value_of(metrics: Mapping[str, float]) -> float | None:
    """What checkpoints of a run are compared by: the mean of ``macc`` and ``top1``; None where they are not known."""
    if "macc" not in metrics or "top1" not in metrics:
        return None
    return (metrics["macc"] + metrics["top1"]) / 2
