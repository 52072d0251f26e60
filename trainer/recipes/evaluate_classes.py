"""Measure a Mobile V-MoE on images whose classes are known: top-1, top-5, its router, and what it takes for what.

results/metrics.json        the metrics
results/predictions         each class, see ``jobs.class_results``
results/confusion           what was taken for what
results/routing             which expert looked at which of the measured images
"""

from pathlib import Path

import msgspec

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import HELD_OUT_SPLITS
from locstudio.jobs.class_results import write_class_results
from locstudio.jobs.configs import Evaluation
from locstudio.jobs.confusions import write_confusion
from locstudio.jobs.routing import write_routing
from locstudio.jobs.run_folder import write_whole
from locstudio.models.mobile_vmoe_files import load_vmoe
from locstudio.store.dataset import open_snapshot
from trainer.context import RunContext
from trainer.device import describe_device
from trainer.hooks import ReportProgress
from trainer.recipes.evaluate import held_out_of
from trainer.recipes.vmoe_lesson import listed
from trainer.vmoe_evaluating import ShownClasses, measure_vmoe, read_shown_classes


def evaluate_classes(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end.

    Raises:
        BadInput: no class is known of any image, the checkpoint knows none of the classes, or no image can be read.
        CheckpointMismatch: the checkpoint is of another kind of model.
        StorageFailed: the disk refuses.
    """
    wanted = context.config.evaluate
    if wanted is None:
        raise BadInput("The run does not say what to evaluate.")
    model = load_vmoe(Path(context.config.checkpoint), device=str(context.device))
    with open_snapshot(context.folder.snapshot) as dataset:
        held_out = held_out_of(context, wanted.held_out)
        if held_out is None and wanted.held_out:
            raise BadInput(f"The run {wanted.held_out} does not say what it held out, so this cannot be measured.")
        shown = read_shown_classes(dataset, wanted.split, None if held_out is None else held_out.image_ids)
    _require_shared(context, shown, model.config.classes, wanted)
    unlearnt = [one.image.id for one in shown.files if one.image.split in HELD_OUT_SPLITS]
    context.reporter.started(
        device=describe_device(context.device),
        num_images=len(shown.files),
        num_regions=int((shown.share_NL > 0).sum()),
        num_steps=len(shown.files),
    )
    found = measure_vmoe(
        context,
        model,
        shown,
        split=wanted.split,
        held_out=frozenset(unlearnt if held_out is None else held_out.image_ids),
        hook=ReportProgress(context.reporter, len(shown.files)),
    )
    if found is None:
        return True
    results = context.folder.results
    write_class_results(results / "predictions", found.results)
    write_confusion(results, found.confusion)
    if model.config.num_moe_layers:
        write_routing(results, found.table)
    document = {"task": wanted.task, "split": wanted.split, **found.results.metrics}
    write_whole(results / "metrics.json", msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    context.reporter.evaluated(0, found.results.metrics)
    return False


def _require_shared(context: RunContext, shown: ShownClasses, known: tuple[str, ...], wanted: Evaluation) -> None:
    """Refuse what cannot be measured, with a word on classes that are left out."""
    where = f"in the split {wanted.split!r}" if wanted.split else "in this project"
    if wanted.held_out:
        where = f"among what the run {wanted.held_out} held out"
    if not shown.files:
        raise BadInput(f"There is no image {where} of which a class is known, so there is nothing to measure.")
    num_L: list[int] = (shown.share_NL > 0).sum(axis=0).tolist()
    used = [name for name, num in zip(shown.class_names, num_L, strict=True) if num]
    missing = [name for name in used if name not in known]
    if len(missing) == len(used):
        raise BadInput(
            f"The checkpoint knows none of the {len(used)} classes {where}: {listed(used)}. Choose a checkpoint that "
            "was trained for them."
        )
    if missing:
        context.reporter.note(f"The checkpoint does not know {listed(missing)}; these classes are not measured.")
