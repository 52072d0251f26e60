"""Compare a new model of regions with an old one on everything that is true; say whether it may take its place.

    results/old/  results/new/    what each of them said, as after an evaluation of ``all``
    results/gate.json             last: the checks, with their reasons and numbers

A checkpoint that cannot be used at all is not measured.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.regions import Problem
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, Comparison
from locstudio.jobs.predictions import GateCheck, PredictionFolder, Predictions
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.context import RunContext
from trainer.data import ImageRegions, images_with_regions
from trainer.device import describe_device
from trainer.encoding import Encoded, TokenSource
from trainer.gates import counted_on, decide
from trainer.ground_truth import GroundTruth, read_ground_truth
from trainer.holding_out import choose_held_out
from trainer.hooks import ReportProgress
from trainer.loop import Hook
from trainer.predicting import predict
from trainer.recipes.cloc_measuring import value_of
from trainer.recipes.evaluate import held_out_of, token_source

NUM_SMOKE_IMAGES = 3
_SMOKE_TEXTS = ("a person", "a red car on a street", "x")
_SMOKE_BOXES = ((0.0, 0.0, 1.0, 1.0), (0.25, 0.3, 0.6, 0.7), (0.4, 0.4, 0.45, 0.45))
_LENGTH_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """The images that decide, and why there are none if there are none."""

    image_ids: frozenset[int]
    why_none: str = ""


def compare(context: RunContext) -> bool:
    """The recipe; True if it was stopped before its end.

    Raises:
        BadInput: the run does not say what to compare, or the old checkpoint cannot be read.
    """
    wanted = context.config.compare
    if wanted is None:
        raise BadInput("The run does not say what to compare.")
    model = checkpoint_info(Path(context.config.checkpoint)).model
    if model == "consistency":
        from trainer.recipes.compare_multilabel import compare_multilabel

        return compare_multilabel(context)
    if model == "vmoe":
        from trainer.recipes.compare_vmoe import compare_vmoe

        return compare_vmoe(context)
    old = load_checkpoint(Path(context.config.checkpoint), device=str(context.device))
    with open_snapshot(context.folder.snapshot) as dataset:
        truth = read_ground_truth(dataset, "all")
        held_out = _held_out(context, wanted, dataset)
        some = _some_images(dataset)
    num_steps = 2 * len(truth.images)
    num_held_out = sum(len(image.region_ids) for image in truth.images if image.image.id in held_out.image_ids)
    context.reporter.started(
        device=describe_device(context.device),
        num_images=len(truth.images),
        num_regions=truth.num_regions - num_held_out,
        num_steps=num_steps,
        num_held_out=num_held_out,
    )
    new, checks = _usable(context, Path(wanted.new), old, some)
    if new is None or not all(check.passed for check in checks):
        decide(context, old.id, checks)
        return False
    report = ReportProgress(context.reporter, num_steps)
    before = _predictions(context, old, truth, held_out, "old", counted_on(report, 0))
    if before is None:
        return True
    after = _predictions(context, new, truth, held_out, "new", counted_on(report, len(truth.images)))
    if after is None:
        return True
    checks += _measured(before, after, wanted.margin, held_out.why_none)
    context.reporter.evaluated(0, after.summary.held_out_metrics or after.summary.metrics)
    decide(context, old.id, checks)
    return False


def _held_out(context: RunContext, wanted: Comparison, dataset: Dataset) -> _HeldOut:
    """What the named run has held out; without a name, what a training of this project would hold out."""
    try:
        held_out = held_out_of(context, wanted.held_out)
    except BadInput as problem:
        return _HeldOut(frozenset(), f"{problem} So nothing could be measured on images that were not learnt from.")
    if held_out is None and wanted.held_out:
        return _HeldOut(
            frozenset(),
            f"The run {wanted.held_out} does not say what it held out, so nothing could be measured on images that "
            "were not learnt from.",
        )
    held_out = held_out or choose_held_out(dataset, ClocTraining().hold_out)
    if not held_out.image_ids:
        return _HeldOut(frozenset(), "Nothing was held out, so nothing could be measured on images not learnt from.")
    return _HeldOut(frozenset(held_out.image_ids), "What was held out has no box with a class, so none was named.")


def _some_images(dataset: Dataset) -> list[ImageRegions]:
    found = []
    for work in images_with_regions(dataset):
        if work.image.problem is Problem.NONE:
            found.append(work)
        if len(found) == NUM_SMOKE_IMAGES:
            break
    return found


def _usable(
    context: RunContext, folder: Path, old: Cloc, images: list[ImageRegions]
) -> tuple[Cloc | None, list[GateCheck]]:
    """The new model, and the checks that it must pass before it is measured."""
    try:
        new = load_checkpoint(folder, device=str(context.device))
    except UserError as problem:
        return None, [GateCheck(name="loads", passed=False, sentence=str(problem))]
    checks = [GateCheck(name="loads", passed=True, sentence="The new checkpoint is whole and loads.")]
    is_as_wide = new.dim == old.dim
    sentence = f"Both make embeddings of {new.dim} numbers."
    if not is_as_wide:
        sentence = (
            f"The new checkpoint makes embeddings of {new.dim} numbers, the old one of {old.dim}: one cannot take the "
            "place of the other."
        )
    checks.append(GateCheck(name="dims", passed=is_as_wide, sentence=sentence, old=old.dim, new=new.dim))
    fault = smoke_fault(new, images, token_source(context, new, len(images)))
    sentence = fault or "It answers a few images and texts with sound numbers."
    checks.append(GateCheck(name="answers", passed=not fault, sentence=sentence))
    return new, checks


@torch.inference_mode()
def smoke_fault(model: Cloc, images: list[ImageRegions], source: TokenSource) -> str:
    """What is wrong with the model's answers to a few texts and images, in a sentence; empty if nothing is."""
    text_TD = model.embed_texts(list(_SMOKE_TEXTS)).float()
    if fault := _unsound(text_TD, model.dim, "texts"):
        return fault
    boxes_R4 = torch.tensor(_SMOKE_BOXES)
    for batch in source.stream(images):
        for work, encoded in batch:
            if isinstance(encoded, Encoded) and (fault := _fault_on(model, encoded, boxes_R4, text_TD)):
                return f"{fault} The image was {work.image.name}."
    return ""


def _fault_on(model: Cloc, encoded: Encoded, boxes_R4: Tensor, text_TD: Tensor) -> str:
    prepared = model.prepare(encoded.tokens, encoded.pixels)
    places = (model.point(prepared, text_TD), model.propose(prepared, NUM_SMOKE_IMAGES)[0])
    if not all(bool(torch.isfinite(boxes_P4).all()) for boxes_P4 in places):
        return "The new checkpoint puts boxes at places that are no numbers."
    return _unsound(model.embed_boxes(prepared, boxes_R4), model.dim, "boxes") or _unsound(
        model.embed_image(prepared)[None], model.dim, "images"
    )


def _unsound(embedding_RD: Tensor, dim: int, of: str) -> str:
    if embedding_RD.shape[1] != dim:
        return f"The new checkpoint embeds {of} in {embedding_RD.shape[1]} numbers and says that it has {dim}."
    if not bool(torch.isfinite(embedding_RD).all()):
        return f"The new checkpoint embeds {of} in values that are no numbers."
    if not bool(((embedding_RD.float().norm(dim=1) - 1).abs() < _LENGTH_TOLERANCE).all()):
        return f"The new checkpoint's embeddings of {of} do not have the length one."
    return ""


def _predictions(
    context: RunContext, model: Cloc, truth: GroundTruth, held_out: _HeldOut, name: str, report: Hook
) -> Predictions | None:
    """What the model says to everything; from the disk where an interrupted part of the run has asked it already."""
    folder = PredictionFolder(context.folder.results / name)
    if folder.is_present and folder.summary().checkpoint_id == model.id:
        return folder.read()
    predictions = predict(
        model,
        truth,
        token_source(context, model, len(truth.images)),
        held_out=held_out.image_ids,
        hooks=[report],
        should_stop=context.should_stop,
        on_unreadable=context.reporter.note,
        alive=context.reporter.alive,
    )
    if predictions is not None:
        folder.write(predictions)
    return predictions


def _measured(old: Predictions, new: Predictions, margin: float, why_none: str) -> list[GateCheck]:
    """Naming decides: the mean of ``macc`` and ``top1`` on what was held out.  Grounding is told, and decides not."""
    before, after = old.summary.held_out_metrics, new.summary.held_out_metrics
    was, now = value_of(before), value_of(after)
    if was is None or now is None:
        return [GateCheck(name="metric", passed=True, sentence=why_none)]
    passed = now >= was - margin - 1e-9
    words = "better" if now > was + margin else "worse" if not passed else "as well"
    sentence = (
        f"It names the {int(after['n_regions'])} held-out boxes {words}: {now:.3f} against {was:.3f}, the mean of "
        f"top-1 and of the classes' own top-1{'' if passed else f'; at most {margin:g} may be lost'}."
    )
    checks = [GateCheck(name="metric", passed=passed, sentence=sentence, old=was, new=now)]
    if "hit50" in before and "hit50" in after:
        sentence = (
            f"It finds {after['hit50']:.1%} of the {int(after['n_grounding'])} held-out phrases at their place, the "
            f"old one {before['hit50']:.1%}. This is told, and does not decide."
        )
        check = GateCheck(name="grounding", passed=True, sentence=sentence, old=before["hit50"], new=after["hit50"])
        checks.append(check)
    return checks
