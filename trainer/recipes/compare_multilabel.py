"""Compare a new model of classes with an old one on labelled images, and say whether it may take its place.

    results/old/  results/new/    what each of them said, see ``jobs.class_results``
    results/gate.json             last: the checks, with their reasons and numbers

What decides is the mean of the average precisions of the classes that both know, on images that were held out; that is
``map`` of both, and ``map_all`` is the mean over all classes that a model knows.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from locstudio.domain.errors import BadInput, UserError
from locstudio.jobs.class_results import ClassResults, has_class_results, read_class_results, write_class_results
from locstudio.jobs.configs import Comparison, ConsistencyTraining
from locstudio.jobs.predictions import GateCheck
from locstudio.models.consistency import Consistency
from locstudio.models.consistency_files import load_consistency
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.class_measuring import ClassTruth, measure_classes, read_class_truth, scores_of
from trainer.context import RunContext
from trainer.device import describe_device
from trainer.gates import counted_on, decide
from trainer.holding_out import hold_out
from trainer.hooks import ReportProgress
from trainer.images import Unreadable
from trainer.loop import Hook
from trainer.recipes.evaluate import held_out_of

NUM_SMOKE_IMAGES = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """What is measured, which of its images were not learnt from, and why there are none if there are none."""

    truth: ClassTruth
    held_out: frozenset[int]
    why_none: str = ""


def compare_multilabel(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end.

    Raises:
        BadInput: the run does not say what to compare, or the old checkpoint cannot be read.
    """
    wanted = context.config.compare
    if wanted is None:
        raise BadInput("The run does not say what to compare.")
    old = load_consistency(Path(context.config.checkpoint), device=str(context.device))
    with open_snapshot(context.folder.snapshot) as dataset:
        measured = _what_to_measure(context, wanted, dataset)
    truth = measured.truth
    num_steps = 2 * len(truth.images)
    context.reporter.started(
        device=describe_device(context.device),
        num_images=len(truth.images),
        num_regions=int((truth.table.labels_NL == 1).sum()),
        num_steps=num_steps,
    )
    new, checks = _usable(context, Path(wanted.new), truth)
    if new is None or not all(check.passed for check in checks):
        decide(context, old.id, checks)
        return False
    if not truth.images:
        sentence = "No image that could be measured has a class, so the two could not be compared."
        decide(context, old.id, [*checks, GateCheck(name="metric", passed=True, sentence=sentence)])
        return False
    report = ReportProgress(context.reporter, num_steps)
    before = _results(context, old, measured, "old", report)
    if before is None:
        return True
    after = _results(context, new, measured, "new", counted_on(report, len(truth.images)))
    if after is None:
        return True
    before, after = _on_common_ground(context, before, after)
    context.reporter.evaluated(0, after.metrics)
    decide(context, old.id, [*checks, *gate_checks(before, after, wanted.margin, measured.why_none)])
    return False


def gate_checks(old: ClassResults, new: ClassResults, margin: float, why_none: str = "") -> list[GateCheck]:
    """What decides, and what is told.

    Args:
        old: What the model in use has said.
        new: What the new one has said of the same images.
        margin: How much worse, as a share, the new one may be.
        why_none: Why nothing was held out; then nothing decides.
    """
    before, after = _precisions(old), _precisions(new)
    shared = sorted(before.keys() & after.keys())
    checks = [_metric(before, after, shared, new, margin, why_none)]
    forgotten = sorted(before.keys() - after.keys())
    if forgotten:
        sentence = f"It does not know {_names(forgotten)}, which the old one does. This is told, and does not decide."
        checks.append(GateCheck(name="classes", passed=True, sentence=sentence))
    return checks


def _metric(
    before: dict[str, float],
    after: dict[str, float],
    shared: list[str],
    new: ClassResults,
    margin: float,
    why_none: str,
) -> GateCheck:
    if not after:
        return GateCheck(
            name="metric", passed=True, sentence="No class could be measured, so the two were not compared."
        )
    if not shared:
        mean = float(np.mean(list(after.values())))
        sentence = (
            f"The old one knows none of the {len(after)} classes that the new one was measured by, so there is nothing "
            f"to compare with; the mean of their average precisions is {mean:.3f}."
        )
        return GateCheck(name="metric", passed=True, sentence=sentence, new=mean)
    was, now = (float(np.mean([values[name] for name in shared])) for values in (before, after))
    if why_none:
        sentence = f"{why_none} On images that were learnt from too it is {now:.3f} against {was:.3f}."
        return GateCheck(name="metric", passed=True, sentence=sentence, old=was, new=now)
    passed = now >= was - margin - 1e-9
    words = "better" if now > was + margin else "worse" if not passed else "as well"
    what = "class" if len(shared) == 1 else "classes"
    sentence = (
        f"It finds {len(shared)} {what} in {new.num_images} held-out images {words}: {now:.3f} against {was:.3f}, the "
        f"mean of their average precisions{'' if passed else f'; at most {margin:g} may be lost'}."
    )
    return GateCheck(name="metric", passed=passed, sentence=sentence, old=was, new=now)


def _what_to_measure(context: RunContext, wanted: Comparison, dataset: Dataset) -> _Measured:
    """What the named run has held out; without a name, what a training of this project would hold out."""
    everything = read_class_truth(dataset)
    try:
        held_out = held_out_of(context, wanted.held_out)
    except BadInput as problem:
        return _Measured(everything, frozenset(), f"{problem} So nothing was measured that was not learnt from.")
    if held_out is None:
        num_there = (everything.table.labels_NL == 1).sum(axis=1).tolist()
        known = zip((one.image for one in everything.images), num_there, strict=True)
        held_out = hold_out(known, ConsistencyTraining().hold_out)
    labelled = frozenset(one.image.id for one in everything.images) & frozenset(held_out.image_ids)
    if not labelled:
        return _Measured(everything, frozenset(), "Nothing was held out.")
    return _Measured(read_class_truth(dataset, image_ids=labelled), labelled)


def _usable(context: RunContext, folder: Path, truth: ClassTruth) -> tuple[Consistency | None, list[GateCheck]]:
    """The new model, and the checks that it must pass before it is measured."""
    try:
        new = load_consistency(folder, device=str(context.device))
    except UserError as problem:
        return None, [GateCheck(name="loads", passed=False, sentence=str(problem))]
    checks = [GateCheck(name="loads", passed=True, sentence="The new checkpoint is whole and loads.")]
    fault = _smoke_fault(context, new, truth)
    sentence = fault or "It answers a few images with sound numbers."
    checks.append(GateCheck(name="answers", passed=not fault, sentence=sentence))
    return new, checks


def _smoke_fault(context: RunContext, model: Consistency, truth: ClassTruth) -> str:
    """What is wrong with the model's answers to a few images, in a sentence; empty if nothing is."""
    some = truth.images[:NUM_SMOKE_IMAGES]
    for batch in scores_of(model, some, cache=context.cache, runs=context.folder.path.parent):
        for file, scores_L in batch:
            if isinstance(scores_L, Unreadable):
                continue
            if not bool(((scores_L >= 0) & (scores_L <= 1)).all()):
                return f"The new checkpoint gives scores that are no shares. The image was {file.image.name}."
    return ""


def _results(
    context: RunContext, model: Consistency, measured: _Measured, name: str, report: Hook
) -> ClassResults | None:
    """What the model says to everything; from the disk where an interrupted part of the run has asked it already."""
    folder = context.folder.results / name
    with suppress(BadInput):
        if has_class_results(folder) and (found := read_class_results(folder)).checkpoint_id == model.id:
            return found
    results = measure_classes(context, model, measured.truth, held_out=measured.held_out, hooks=[report])
    if results is not None:
        write_class_results(folder, results)
    return results


def _on_common_ground(context: RunContext, old: ClassResults, new: ClassResults) -> tuple[ClassResults, ClassResults]:
    """Both with metrics that can be set against each other; written once more."""
    shared = _precisions(old).keys() & _precisions(new).keys()
    made = []
    for name, results in (("old", old), ("new", new)):
        precisions = _precisions(results)
        metrics = {"n": float(results.num_images), "n_classes": float(len(shared))}
        if precisions:
            metrics = {"map_all": float(np.mean(list(precisions.values())))} | metrics
        if shared:
            metrics = {"map": float(np.mean([precisions[each] for each in sorted(shared)]))} | metrics
        made.append(msgspec.structs.replace(results, metrics=metrics))
        write_class_results(context.folder.results / name, made[-1])
    return made[0], made[1]


def _precisions(results: ClassResults) -> dict[str, float]:
    return {line.name: line.average_precision for line in results.classes if line.average_precision is not None}


def _names(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
