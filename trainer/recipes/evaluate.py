"""Measure a checkpoint on the ground truth of the collection.

Tasks: ``regions``: name a true box by the class names, without a template; ``retrieval``: regions and phrases find each
other; ``grounding``: a phrase finds its box; ``images``: images and captions find each other; ``all``: all four, and
sure detections are kept besides.  ``proposals`` alone: how many of the true boxes are proposed, whatever they are, and
how well what is detected by the class names agrees with them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import HELD_OUT_SPLITS
from locstudio.jobs.configs import Evaluation, Task
from locstudio.jobs.predictions import PredictionFolder
from locstudio.jobs.run_folder import RunFolder, write_whole
from locstudio.jobs.training_files import HeldOut, read_held_out
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.context import RunContext
from trainer.data import images_with_regions
from trainer.device import describe_device
from trainer.encoding import TokenSource, bytes_of_tokens, cache_of
from trainer.ground_truth import GroundTruth, read_ground_truth
from trainer.hooks import ReportProgress
from trainer.loop import Hook
from trainer.predicting import predict

__all__ = ["GroundTruth", "evaluate", "measure", "read_ground_truth"]

MAX_KEPT_BYTES = 4 << 30


def evaluate(context: RunContext) -> bool:
    """The recipe: write ``results/metrics.json`` and ``results/predictions``; True if it was stopped before the end.

    Raises:
        BadInput: there is no ground truth for the task, or none of its images can be read.
    """
    wanted = context.config.evaluate
    if wanted is None:
        raise BadInput("The run does not say what to evaluate.")
    model = load_checkpoint(Path(context.config.checkpoint), device=str(context.device))
    with open_snapshot(context.folder.snapshot) as dataset:
        held_out = held_out_of(context, wanted.held_out)
        if held_out is None and wanted.held_out:
            raise BadInput(f"The run {wanted.held_out} does not say what it held out, so this cannot be measured.")
        image_ids = None if held_out is None else held_out.image_ids
        truth = read_ground_truth(dataset, wanted.task, wanted.split, image_ids=image_ids)
        unlearnt = _images_of_splits(dataset) if held_out is None else held_out.image_ids
    if not truth.images:
        raise BadInput(_nothing_to_measure(wanted))
    context.reporter.started(
        device=describe_device(context.device),
        num_images=len(truth.images),
        num_regions=truth.num_regions,
        num_steps=len(truth.images),
    )
    predictions = predict(
        model,
        truth,
        token_source(context, model, len(truth.images)),
        split=wanted.split,
        held_out=unlearnt,
        hooks=[ReportProgress(context.reporter, len(truth.images))],
        should_stop=context.should_stop,
        on_unreadable=context.reporter.note,
        alive=context.reporter.alive,
    )
    if predictions is None:
        return True
    if not predictions.summary.num_images:
        raise BadInput("None of the images with ground truth can be read; nothing was measured.")
    PredictionFolder(context.folder.results / "predictions").write(predictions)
    measured = named_for(wanted.task, predictions.summary.metrics)
    document = {"task": wanted.task, "split": wanted.split, **measured}
    write_whole(context.folder.results / "metrics.json", msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    context.reporter.evaluated(0, measured)
    return False


def measure(
    model: Cloc,
    truth: GroundTruth,
    source: TokenSource,
    *,
    hooks: Sequence[Hook] = (),
    should_stop: Callable[[], bool] = lambda: False,
    on_unreadable: Callable[[str], None] = lambda _: None,
    alive: Callable[[], object] = lambda: None,
) -> dict[str, float] | None:
    """Metrics of the task, with ``n`` for how many queries they are over; empty if none, None if it was stopped."""
    predictions = predict(
        model, truth, source, hooks=hooks, should_stop=should_stop, on_unreadable=on_unreadable, alive=alive
    )
    return None if predictions is None else named_for(truth.task, predictions.summary.metrics)


def named_for(task: Task, metrics: dict[str, float]) -> dict[str, float]:
    """Metrics of a single task, whose number of queries needs no task in its name; those of ``all`` as they are."""
    return {"n" if name == f"n_{task}" else name: value for name, value in metrics.items()}


def token_source(context: RunContext, model: Cloc, num_images: int) -> TokenSource:
    """Tokens from the project's cache, where new ones are kept unless they would take much space."""
    keeps = num_images * bytes_of_tokens(model) <= MAX_KEPT_BYTES
    return TokenSource(model, cache_of(model, context.cache), keeps=keeps)


def held_out_of(context: RunContext, run_id: str) -> HeldOut | None:
    """What a run of the same project has held out; None where no run is named, or it does not say.

    Raises:
        BadInput: the name is none of a run, or its file is damaged.
    """
    if not run_id:
        return None
    if Path(run_id).name != run_id:
        raise BadInput(f"{run_id!r} is no run of this project.")
    return read_held_out(RunFolder(context.folder.path.parent / run_id))


def _images_of_splits(dataset: Dataset) -> list[int]:
    return [work.image.id for split in HELD_OUT_SPLITS for work in images_with_regions(dataset, split)]


def _nothing_to_measure(wanted: Evaluation) -> str:
    what = {"regions": "box with a class", "images": "image with a caption", "all": "described box or caption"}
    where = f"in the split {wanted.split!r}" if wanted.split else "in this project"
    if wanted.held_out:
        where = f"among what the run {wanted.held_out} held out"
    return f"There is no {what.get(wanted.task, 'box with a phrase')} {where}, so there is nothing to measure."
