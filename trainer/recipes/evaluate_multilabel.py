"""Measure a multi-label checkpoint on what is known of the classes of images."""

from pathlib import Path

import msgspec

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import HELD_OUT_SPLITS
from locstudio.jobs.class_results import write_class_results
from locstudio.jobs.configs import Evaluation
from locstudio.jobs.run_folder import write_whole
from locstudio.models.consistency_files import load_consistency
from locstudio.store.dataset import open_snapshot
from trainer.class_measuring import ClassTruth, measure_classes, read_class_truth
from trainer.context import RunContext
from trainer.device import describe_device
from trainer.hooks import ReportProgress
from trainer.recipes.evaluate import held_out_of

_MAX_NAMES = 5


def evaluate_multilabel(context: RunContext) -> bool:
    """The recipe: write ``results/metrics.json`` and ``results/predictions``; True if it was stopped before the end.

    Raises:
        BadInput: nothing is known of any image, the checkpoint knows none of the classes, or no image can be read.
    """
    wanted = context.config.evaluate
    if wanted is None:
        raise BadInput("The run does not say what to evaluate.")
    model = load_consistency(Path(context.config.checkpoint), device=str(context.device))
    with open_snapshot(context.folder.snapshot) as dataset:
        held_out = held_out_of(context, wanted.held_out)
        if held_out is None and wanted.held_out:
            raise BadInput(f"The run {wanted.held_out} does not say what it held out, so this cannot be measured.")
        truth = read_class_truth(dataset, wanted.split, None if held_out is None else held_out.image_ids)
    unlearnt = [one.image.id for one in truth.images if one.image.split in HELD_OUT_SPLITS]
    shared = _shared(context, truth, model.config.classes, wanted)
    context.reporter.started(
        device=describe_device(context.device),
        num_images=len(truth.images),
        num_regions=int((truth.known_to(shared).labels_NL == 1).sum()),
        num_steps=len(truth.images),
    )
    results = measure_classes(
        context,
        model,
        truth,
        split=wanted.split,
        held_out=frozenset(unlearnt if held_out is None else held_out.image_ids),
        hooks=[ReportProgress(context.reporter, len(truth.images))],
    )
    if results is None:
        return True
    write_class_results(context.folder.results / "predictions", results)
    document = {"task": wanted.task, "split": wanted.split, **results.metrics}
    write_whole(context.folder.results / "metrics.json", msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    context.reporter.evaluated(0, results.metrics)
    return False


def _shared(context: RunContext, truth: ClassTruth, known: tuple[str, ...], wanted: Evaluation) -> list[str]:
    """Names of classes that can be measured, with a word on those that cannot."""
    where = f"in the split {wanted.split!r}" if wanted.split else "in this project"
    if wanted.held_out:
        where = f"among what the run {wanted.held_out} held out"
    if not truth.images or not (truth.table.labels_NL == 1).any():
        raise BadInput(f"There is no image {where} of which a class is known, so there is nothing to measure.")
    used = [name for name, is_known in zip(truth.table.class_names, truth.table.is_known_L, strict=True) if is_known]
    shared = [name for name in used if name in known]
    if not shared:
        raise BadInput(
            f"The checkpoint knows none of the {len(used)} classes {where}: {', '.join(used[:_MAX_NAMES])}. Choose a "
            "checkpoint that was trained for them."
        )
    missing = [name for name in used if name not in known]
    if missing:
        more = f" and {len(missing) - _MAX_NAMES} more" if len(missing) > _MAX_NAMES else ""
        context.reporter.note(
            f"The checkpoint does not know {', '.join(missing[:_MAX_NAMES])}{more}; these classes are not measured."
        )
    return shared
