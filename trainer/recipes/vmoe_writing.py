"""What a Mobile V-MoE run writes as a checkpoint: the model's files, with a card that tells of twin and experts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import save_vmoe
from trainer.card import CardFacts, write_card
from trainer.context import RunContext
from trainer.device import describe_device
from trainer.history import RunHistory
from trainer.label_reading import Ints
from trainer.recipes.vmoe_lesson import VmoeLesson
from trainer.recipes.vmoe_making import Plan


def writer_of(
    context: RunContext,
    plan: Plan,
    lesson: VmoeLesson,
    rows: Ints,
    history: RunHistory,
    *,
    num_steps: int,
    num_measured: int,
) -> Callable[[MobileVmoe, Path, int], str]:
    """Writes a model's own files; its metrics are those measured after this very step, or none."""

    def write(model: MobileVmoe, folder: Path, step: int) -> str:
        metrics = history.metrics_at(step)
        facts = CardFacts(
            parent=plan.parent,
            name=model.config.name,
            project=context.folder.path.parent.parent.name,
            run=context.folder.id,
            config=context.config,
            device=describe_device(context.device),
            num_images=len(rows),
            num_regions=int((lesson.target_NL[rows] > 0).sum()),
            held_out=lesson.held_out,
            num_measured=num_measured,
            step=step,
            num_steps=num_steps,
            before=history.before,
            after=metrics,
            happened=history.happened,
            more=_experts(model),
        )
        parent = plan.parent.id if plan.parent is not None else ""
        return save_vmoe(model, folder, card=write_card(facts), metrics=metrics, parent=parent)

    return write


def _experts(model: MobileVmoe) -> list[str]:
    """What is special about this kind of model, as lines of Markdown."""
    config = model.config
    if config.routing == "dense":
        return ["## Experts", "", "None: this is a dense model.", ""]
    layers = ", ".join(map(str, model.moe_layers))
    lines = [
        "## Experts",
        "",
        f"{config.num_experts} in each of the layers {layers} of {config.depth}, of which {config.num_active} compute; "
        f"routing: {config.routing}.",
        "",
    ]
    groups = np.array(config.superclass_of)
    for number, name in enumerate(config.superclasses):
        members = [config.classes[place] for place in np.flatnonzero(groups == number).tolist()]
        lines.append(f"{number + 1}. {_one_line(name)}: {_one_line(', '.join(members))}")
    return [*lines, ""] if config.superclasses else lines


def _one_line(text: str) -> str:
    return " ".join(text.split())
