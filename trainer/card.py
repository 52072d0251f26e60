"""The model card of a trained checkpoint: what it was made from, with what, what it is worth and what happened."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import torch

import locstudio
from locstudio.jobs.checkpoint_folder import CheckpointInfo
from locstudio.jobs.configs import RunConfig
from locstudio.jobs.training_files import HeldOut

_NAMES = {
    "top1": "naming, top-1",
    "top5": "naming, top-5",
    "macc": "naming, mean over classes",
    "mean_iou": "grounding, mean overlap",
    "hit50": "grounding, overlap of a half or more",
    "map": "classes of images, mean average precision",
    "superclass_top1": "superclass of the likeliest class",
    "router_accuracy": "expert of the right superclass",
    "margin": "lead of the first expert",
    "dead_experts": "experts without an image",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card tells of a run besides its settings; ``parent`` is None for a model that began with its backbone.

    ``more`` are lines of Markdown about what only this kind of model has.
    """

    parent: CheckpointInfo | None
    name: str
    project: str
    run: str
    config: RunConfig
    device: str
    num_images: int
    num_regions: int
    held_out: HeldOut
    num_measured: int
    step: int
    num_steps: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    happened: Sequence[str]
    more: Sequence[str] = ()


def write_card(facts: CardFacts) -> str:
    """The card as Markdown; what was not measured is said to be so, never shown as 0."""
    training = facts.config.cloc or facts.config.consistency or facts.config.vmoe
    num_steps = facts.num_steps or facts.step
    return "\n".join(
        [
            f"# {facts.name}, retrained" if facts.parent else f"# {facts.name}",
            "",
            f"{_model(facts)}, trained by LocStudio {locstudio.__version__} {_beginning(facts)}.",
            "",
            "## Data",
            "",
            f"- Project {facts.project}, run {facts.run}",
            f"- Learnt from {facts.num_images} images with {facts.num_regions} {_truths(facts)}",
            f"- {_held_out_line(facts)}",
            f"- Snapshot {facts.config.snapshot_sha256 or 'without hash'}, revision {facts.config.snapshot_revision}",
            "",
            "## Training",
            "",
            f"- Step {facts.step} of {num_steps}, seed {facts.config.seed}",
            f"- Device: {facts.device}; processes: {facts.config.num_processes}",
            f"- LocStudio {facts.config.code_version or locstudio.__version__}, torch {torch.__version__}, "
            f"Python {platform.python_version()}",
            *(f"- {_one_line(sentence)}" for sentence in facts.happened),
            "",
            *_metrics_section(facts),
            *facts.more,
            "## Settings",
            "",
            "```json",
            msgspec.json.format(msgspec.json.encode(training)).decode(),
            "```",
            "",
        ]
    )


def _model(facts: CardFacts) -> str:
    if facts.config.kind == "vmoe":
        return "Mobile V-MoE"
    return "CLOC" if facts.config.kind == "cloc" else "Classes of images with their heatmaps"


def _beginning(facts: CardFacts) -> str:
    if facts.parent is not None:
        return f"from the checkpoint {facts.parent.id} ({facts.parent.name})"
    vmoe = facts.config.vmoe
    if vmoe is not None:
        return f"on the backbone {vmoe.backbone}" if vmoe.trains == "head" else "from pixels"
    return f"on the backbone {facts.config.consistency.backbone}" if facts.config.consistency else "anew"


def _truths(facts: CardFacts) -> str:
    return "described regions" if facts.config.kind == "cloc" else "labels"


def _held_out_line(facts: CardFacts) -> str:
    held_out = facts.held_out
    if not held_out.num_regions:
        return "Nothing was held out, so nothing could be measured"
    source = f"the split {held_out.split}" if held_out.split else "drawn by content"
    found = f"Held out: {len(held_out.image_ids)} images with {held_out.num_regions} {_truths(facts)} ({source})"
    is_all = facts.num_measured >= len(held_out.image_ids)
    return found if is_all else f"{found}, of which {facts.num_measured} images are measured"


def _metrics_section(facts: CardFacts) -> list[str]:
    names = list(dict.fromkeys([*facts.before, *facts.after]))
    if not names:
        return []
    rows = [
        f"| {_NAMES.get(name, name)} | {_share(facts.before.get(name))} | {_share(facts.after.get(name))} |"
        for name in names
    ]
    return ["## On what was held out", "", "| measure | before | after |", "| --- | --- | --- |", *rows, ""]


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _one_line(sentence: str) -> str:
    return " ".join(sentence.split())
