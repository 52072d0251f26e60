"""Naming and grounding on what a run holds out, the same every time it is measured."""

import hashlib
from collections.abc import Callable, Mapping

from locstudio.jobs.configs import Task
from locstudio.jobs.training_files import HeldOut
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset
from trainer.encoding import TokenSource
from trainer.ground_truth import EvaluationImage, GroundTruth, read_ground_truth
from trainer.loop import StepMetrics
from trainer.predicting import predict

BEST_METRIC = "macc+top1"
MAX_IMAGES = 400
"""So many images are measured during a run; its end and a comparison may take longer than its evaluations."""
_TASKS: tuple[Task, ...] = ("regions", "grounding")


class HeldOutMeasure:
    """Measures a model on the held-out images, at most ``MAX_IMAGES`` of them; a metric over nothing is left out.

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
            ids = measured_ids(held_out)
            truths = [read_ground_truth(dataset, task, held_out.split, image_ids=ids) for task in _TASKS]
            self.truths = tuple(truth for truth in truths if truth.images)

    @property
    def files(self) -> list[EvaluationImage]:
        """Every image that is measured, once."""
        return list({image.image.id: image for truth in self.truths for image in truth.images}.values())

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


def measured_ids(held_out: HeldOut) -> tuple[int, ...]:
    """The images that a run measures: all that it holds out, or some of them in an order that nobody has made."""
    mixed = sorted(held_out.image_ids, key=lambda number: hashlib.sha256(str(number).encode()).digest())
    return tuple(sorted(mixed[:MAX_IMAGES]))


def value_of(metrics: Mapping[str, float]) -> float | None:
    """What checkpoints of a run are compared by: the mean of ``macc`` and ``top1``; None where they are not known."""
    if "macc" not in metrics or "top1" not in metrics:
        return None
    return (metrics["macc"] + metrics["top1"]) / 2
