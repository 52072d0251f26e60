"""A plan to retrain, in sentences."""

from dataclasses import dataclass

from locstudio.jobs.messages import Started
from locstudio.services.retrain_plan import (
    ClassMaterial,
    Estimate,
    ExpertMaterial,
    ExpertsChoice,
    Material,
    RetrainChoice,
    RetrainPlan,
)
from locstudio.ui.plain_text import shown
from locstudio.ui.training.expert_words import listed
from locstudio.ui.training.wording import counted, size_in_words

_MAX_NAMED = 5
_TAUGHT = ("superclass", "oracle")
_KNOWN_BY = {
    "guess": "a guess",
    "earlier runs": "going by earlier runs",
    "measured": "measured on this computer just now",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a run has found to learn from, and how much it holds out: regions, or classes known to be in images."""

    num_known: int
    num_images: int
    num_held_out: int

    @classmethod
    def of(cls, started: Started) -> "Drawn":
        """As the run has said."""
        return cls(started.num_regions, started.num_images, started.num_held_out)


def made_from(plan: RetrainPlan) -> str:
    """Which model the new one begins as, and how much has been corrected since that was made."""
    if isinstance(plan.choice, ExpertsChoice) and not plan.choice.goes_on:
        return "A dense twin is trained first; the experts begin with what it has learnt."
    if not plan.parent:
        return "A new model is made; there is none yet that it could begin with."
    words = f"A new model is made from “{shown(plan.parent, 40)}”, which stays in use until you activate the new one."
    if not plan.num_newer:
        return words
    verb = "is" if plan.num_newer == 1 else "are"
    return f"{words} {counted(plan.num_newer, 'correction')} {verb} newer than it."


def learns_from(plan: RetrainPlan, drawn: Drawn | None = None) -> str:
    """What is learnt from: "612 reviewed regions of 146 images", "146 images with 12 classes"."""
    material = plan.material
    if isinstance(material, ClassMaterial | ExpertMaterial):
        num_images = drawn.num_images if drawn else material.num_images
        return f"{counted(num_images, 'image')} with {counted(material.num_classes, 'class', 'classes')}"
    num_regions, num_images = (drawn.num_known, drawn.num_images) if drawn else _regions_and_images(material)
    return f"{counted(num_regions, 'reviewed region')} of {counted(num_images, 'image')}"


def left_out(plan: RetrainPlan, drawn: Drawn | None = None) -> str:
    """What is known besides, what is not learnt from, and why; ``drawn`` is what the run has chosen."""
    material = plan.material
    parts = _known_words(material, drawn) if isinstance(material, ClassMaterial) else []
    is_of_classes = isinstance(material, ClassMaterial | ExpertMaterial)
    what = ("label" if drawn else "image") if is_of_classes else "region"
    num_held_out = drawn.num_held_out if drawn else material.num_held_out
    if num_held_out is None:
        parts.append(f"About {plan.choice.training().hold_out:.0%} of the images are held out to measure the result.")
    elif num_held_out:
        where = f" (split “{shown(material.held_out_split, 20)}”)" if material.held_out_split else ""
        verb = "is" if num_held_out == 1 else "are"
        more = "more " if drawn else ""
        parts.append(f"{counted(num_held_out, more + what)} {verb} held out to measure the result{where}.")
    elif drawn:
        parts.append(f"Too few {what}s to hold any out, so the result cannot be measured.")
    return " ".join([*parts, *_unused(plan)])


def experts_of(plan: RetrainPlan) -> str:
    """How many experts there will be, and what for; empty for another model."""
    material, choice = plan.material, plan.choice
    if not (isinstance(material, ExpertMaterial) and isinstance(choice, ExpertsChoice)):
        return ""
    experts = counted(choice.num_experts or material.num_experts, "expert")
    if choice.routing not in _TAUGHT:
        return f"{experts}, not tied to superclasses"
    if material.num_superclasses:
        return f"{counted(material.num_experts, 'expert')}, one for each superclass"
    return f"{experts}, one for each superclass that is found"


def grouped_by(plan: RetrainPlan) -> str:
    """Which superclasses will be used; empty for a model without experts."""
    material, choice = plan.material, plan.choice
    if not (isinstance(material, ExpertMaterial) and isinstance(choice, ExpertsChoice)):
        return ""
    if choice.routing not in _TAUGHT:
        return "Which image goes where is not taught; look at it afterwards."
    if not material.num_superclasses:
        return (
            "The project has no superclass yet: they are made of what the dense twin confuses. Change them afterwards "
            "on the page Experts, and train again."
        )
    names = f": {listed(material.superclass_names, _MAX_NAMED)}" if material.superclass_names else ""
    words = f"Your superclasses are used as they are{names}."
    if material.num_without:
        verb = "is" if material.num_without == 1 else "are"
        words += (
            f" {counted(material.num_without, 'class', 'classes')} {verb} in none, and put to the one with which the "
            "dense twin confuses them most."
        )
    return words


def _known_words(material: ClassMaterial, drawn: Drawn | None) -> list[str]:
    """How much is known of the images."""
    num_positives = drawn.num_known if drawn else material.num_positives
    words = f"A class is said to be there {counted(num_positives, 'time')}"
    if material.num_negatives:
        words += f", not to be there {counted(material.num_negatives, 'time')}"
    if material.num_corrections:
        verb = "is" if material.num_corrections == 1 else "are"
        words += f"; {counted(material.num_corrections, 'correction')} {verb} painted on heatmaps"
    return [f"{words}."]


def _unused(plan: RetrainPlan) -> list[str]:
    material, parts = plan.material, []
    if isinstance(material, ClassMaterial | ExpertMaterial):
        if material.num_unlabelled:
            verb = "has" if material.num_unlabelled == 1 else "have"
            parts.append(f"{counted(material.num_unlabelled, 'image')} {verb} no class yet.")
    elif material.num_pending and isinstance(plan.choice, RetrainChoice) and not plan.choice.include_pending:
        parts.append(f"{counted(material.num_pending, 'proposal')} not looked at yet: left out.")
    if material.num_unusable:
        parts.append(f"{counted(material.num_unusable, 'image')} cannot be read.")
    return parts


def _regions_and_images(material: Material) -> tuple[int, int]:
    return material.num_regions, material.num_images


def how_known(estimate: Estimate, *, is_measuring: bool) -> str:
    """How the time is known, and whether a better number is on its way."""
    better = "; it is being measured on this computer" if is_measuring and estimate.source != "measured" else ""
    return _KNOWN_BY[estimate.source] + better


def disk_words(plan: RetrainPlan) -> str:
    """How much of the disk is needed, once that is known, and how much is free."""
    free = f"{size_in_words(plan.free_bytes)} free"
    return f"{size_in_words(plan.estimate.disk_bytes)} of {free}" if plan.estimate.disk_bytes else free


def warnings_of(plan: RetrainPlan) -> list[str]:
    """What speaks against it, or what a person should know before."""
    if plan.problems or not plan.waits_for:
        return list(plan.problems)
    before = shown(plan.waits_for, 40)
    return [f"“{before}” is going on; this run begins by itself when it has ended."]
