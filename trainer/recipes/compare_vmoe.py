"""Compare a new Mobile V-MoE with an old one on labelled images, and say whether it may take its place.

    results/old/  results/new/    what each of them said, see ``jobs.class_results``, and its routing
    results/gate.json             last: the checks, with their reasons and numbers

What decides is top-1 on images that were held out and show a class that one of the two knows; what the other does not
know, it cannot name.  A control, whose experts are chosen by the truth or by chance, never takes a place.  How many
images went to another expert is told, and does not decide: experts are the same where their superclasses have the same
name, else by number where there are as many.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locstudio.domain.errors import BadInput, UserError
from locstudio.jobs.class_results import ClassResults, write_class_results
from locstudio.jobs.configs import Comparison, VmoeTraining
from locstudio.jobs.predictions import GateCheck
from locstudio.jobs.routing import RoutingTable, write_routing
from locstudio.jobs.vmoe_config import RoutingMode
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import load_vmoe
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.context import RunContext
from trainer.device import describe_device
from trainer.gates import counted_on, decide
from trainer.holding_out import hold_out
from trainer.hooks import ReportProgress
from trainer.loop import Hook
from trainer.recipes.evaluate import held_out_of
from trainer.recipes.vmoe_lesson import listed
from trainer.vmoe_evaluating import ShownClasses, VmoeResults, measure_vmoe, read_shown_classes

NUM_SMOKE_IMAGES = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """What is measured, which of its images were not learnt from, and why there are none if there are none."""

    shown: ShownClasses
    held_out: frozenset[int]
    why_none: str = ""


def compare_vmoe(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end.

    Raises:
        BadInput: the run does not say what to compare, or the old checkpoint cannot be read.
        StorageFailed: the disk refuses.
    """
    wanted = context.config.compare
    if wanted is None:
        raise BadInput("The run does not say what to compare.")
    old = load_vmoe(Path(context.config.checkpoint), device=str(context.device))
    with open_snapshot(context.folder.snapshot) as dataset:
        measured = _what_to_measure(context, wanted, dataset)
    files = measured.shown.files
    context.reporter.started(
        device=describe_device(context.device),
        num_images=len(files),
        num_regions=int((measured.shown.share_NL > 0).sum()),
        num_steps=2 * len(files),
    )
    new, checks = _usable(context, Path(wanted.new), measured.shown)
    if new is None or not all(check.passed for check in checks):
        decide(context, old.id, checks)
        return False
    names = sorted({*old.config.classes, *new.config.classes})
    if not measured.shown.of_classes(names)[0].files:
        sentence = "No image that could be measured shows a class that one of them knows, so they were not compared."
        decide(context, old.id, [*checks, GateCheck(name="metric", passed=True, sentence=sentence)])
        return False
    report = ReportProgress(context.reporter, 2 * len(files))
    before = _found(context, old, measured, names, "old", report)
    if before is None:
        return True
    after = _found(context, new, measured, names, "new", counted_on(report, len(files)))
    if after is None:
        return True
    context.reporter.evaluated(0, after.results.metrics)
    checks += gate_checks(before.results, after.results, wanted.margin, measured.why_none)
    checks += control_checks(new.config.routing)
    checks += _told(old, new, before.table, after.table)
    decide(context, old.id, checks)
    return False


def gate_checks(old: ClassResults, new: ClassResults, margin: float, why_none: str = "") -> list[GateCheck]:
    """What decides.

    Args:
        old: What the model in use has said.
        new: What the new one has said of the same images.
        margin: How much worse, as a share, the new one may be.
        why_none: Why nothing was held out; then nothing decides.
    """
    was, now = old.metrics["top1"], new.metrics["top1"]
    if why_none:
        sentence = f"{why_none} On images that were learnt from too it is {now:.3f} against {was:.3f}."
        return [GateCheck(name="metric", passed=True, sentence=sentence, old=was, new=now)]
    passed = now >= was - margin - 1e-9
    words = "better" if now > was + margin else "worse" if not passed else "as well"
    sentence = (
        f"It names the class of {new.num_images} held-out images {words}: {now:.3f} against {was:.3f} are right"
        f"{'' if passed else f'; at most {margin:g} may be lost'}."
    )
    return [GateCheck(name="metric", passed=passed, sentence=sentence, old=was, new=now)]


def control_checks(routing: RoutingMode) -> list[GateCheck]:
    """Refuses a control: it shows what routers are worth, and routes no image that somebody has not labelled before."""
    why = {
        "oracle": "Its experts are chosen by the true superclass, which nobody knows of a new image, and so it was "
        "measured",
        "random": "Its experts are chosen by chance, so that where an image goes says nothing",
    }
    if routing not in why:
        return []
    sentence = f"{why[routing]}: it is a control, to be looked at and compared, not to be used."
    return [GateCheck(name="control", passed=False, sentence=sentence)]


def _told(old: MobileVmoe, new: MobileVmoe, before: RoutingTable, after: RoutingTable) -> list[GateCheck]:
    """What is told and does not decide: classes that are forgotten, the router, and how many images moved."""
    checks = []
    learnt = sorted(set(new.config.classes) - set(old.config.classes))
    if learnt:
        sentence = f"It knows {listed(learnt)}, which the old one does not. This is told, and does not decide."
        checks.append(GateCheck(name="new classes", passed=True, sentence=sentence))
    forgotten = sorted(set(old.config.classes) - set(new.config.classes))
    if forgotten:
        sentence = f"It does not know {listed(forgotten)}, which the old one does. This is told, and does not decide."
        checks.append(GateCheck(name="classes", passed=True, sentence=sentence))
    share = moved_share(before, after)
    if share is not None:
        sentence = f"{share:.1%} of the images went to another expert. This is told, and does not decide."
        checks.append(GateCheck(name="routing", passed=True, sentence=sentence, new=share))
    return checks


def moved_share(before: RoutingTable, after: RoutingTable) -> float | None:
    """How many of the images that both tables have went to another expert, as a share; None where that means nothing.

    Experts whose superclasses have one name are the same; without superclasses those of one number are.
    """
    old, new = before.header, after.header
    shared = np.intersect1d(before.image_ids, after.image_ids)
    if not (len(shared) and before.experts.size and after.experts.size):
        return None
    if old.superclass_names and new.superclass_names:
        number = {name: at for at, name in enumerate(new.superclass_names)}
        same_E = np.array([number.get(name, -1) for name in old.superclass_names])
    elif old.num_experts == new.num_experts:
        same_E = np.arange(old.num_experts)
    else:
        return None
    first = before.experts[np.searchsorted(before.image_ids, shared), 0, 0]
    then = after.experts[np.searchsorted(after.image_ids, shared), 0, 0]
    return float((same_E[first] != then).mean())


def _what_to_measure(context: RunContext, wanted: Comparison, dataset: Dataset) -> _Measured:
    """What the named run has held out; without a name, what a training of this project would hold out."""
    everything = read_shown_classes(dataset)
    try:
        held_out = held_out_of(context, wanted.held_out)
    except BadInput as problem:
        return _Measured(everything, frozenset(), f"{problem} So nothing was measured that was not learnt from.")
    if held_out is None:
        num_there = (everything.share_NL > 0).sum(axis=1).tolist()
        known = zip((one.image for one in everything.files), num_there, strict=True)
        held_out = hold_out(known, VmoeTraining().hold_out)
    labelled = frozenset(one.image.id for one in everything.files) & frozenset(held_out.image_ids)
    if not labelled:
        return _Measured(everything, frozenset(), "Nothing was held out.")
    return _Measured(read_shown_classes(dataset, image_ids=labelled), labelled)


def _usable(context: RunContext, folder: Path, shown: ShownClasses) -> tuple[MobileVmoe | None, list[GateCheck]]:
    """The new model, and the checks that it must pass before it is measured."""
    try:
        new = load_vmoe(folder, device=str(context.device))
    except UserError as problem:
        return None, [GateCheck(name="loads", passed=False, sentence=str(problem))]
    checks = [GateCheck(name="loads", passed=True, sentence="The new checkpoint is whole and loads.")]
    has_experts = bool(new.config.num_moe_layers)
    if not has_experts:
        sentence = "The new checkpoint is a dense model: it has no experts that images could go to."
        return new, [*checks, GateCheck(name="experts", passed=False, sentence=sentence)]
    some = ShownClasses(
        shown.files[:NUM_SMOKE_IMAGES], shown.class_ids, shown.class_names, shown.share_NL[:NUM_SMOKE_IMAGES]
    )
    fault = ""
    with suppress(BadInput):
        found = measure_vmoe(context, new, some)
        if found is not None and not np.isfinite(found.table.scores.astype(np.float32)).all():
            fault = "The new checkpoint gives scores that are no shares."
    sentence = fault or "It answers a few images with sound numbers."
    return new, [*checks, GateCheck(name="answers", passed=not fault, sentence=sentence)]


def _found(
    context: RunContext, model: MobileVmoe, measured: _Measured, names: list[str], name: str, report: Hook
) -> VmoeResults | None:
    found = measure_vmoe(context, model, measured.shown, class_names=names, held_out=measured.held_out, hook=report)
    if found is not None:
        write_class_results(context.folder.results / name, found.results)
        if model.config.num_moe_layers:
            write_routing(context.folder.results / name, found.table)
    return found
