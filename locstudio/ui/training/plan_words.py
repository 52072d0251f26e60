"""A plan to retrain, in sentences."""

from locstudio.services.retraining import Estimate, RetrainPlan
from locstudio.ui.plain_text import shown
from locstudio.ui.training.wording import counted, size_in_words

_KNOWN_BY = {
    "guess": "a guess",
    "earlier runs": "going by earlier runs",
    "measured": "measured on this computer just now",
}


def made_from(plan: RetrainPlan) -> str:
    """Which model the new one begins as, and how much has been corrected since that was made."""
    words = f"A new model is made from “{shown(plan.parent, 40)}”, which stays in use until you activate the new one."
    if not plan.num_newer:
        return words
    verb = "is" if plan.num_newer == 1 else "are"
    return f"{words} {counted(plan.num_newer, 'correction')} {verb} newer than it."


def learns_from(num_regions: int, num_images: int) -> str:
    """What is learnt from: "612 reviewed regions of 146 images"."""
    return f"{counted(num_regions, 'reviewed region')} of {counted(num_images, 'image')}"


def left_out(plan: RetrainPlan, num_held_out: int | None, *, is_drawn: bool) -> str:
    """What is not learnt from, and why; ``is_drawn`` says that the run has chosen what it holds out."""
    material = plan.material
    parts = []
    if num_held_out is None:
        parts.append(f"About {plan.choice.training().hold_out:.0%} of the images are held out to measure the result.")
    elif num_held_out:
        where = f" (split “{shown(material.held_out_split, 20)}”)" if material.held_out_split else ""
        verb = "is" if num_held_out == 1 else "are"
        more = "more " if is_drawn else ""
        parts.append(f"{counted(num_held_out, more + 'region')} {verb} held out to measure the result{where}.")
    elif is_drawn:
        parts.append("Too few regions to hold any out, so the result cannot be measured.")
    if material.num_pending and not plan.choice.include_pending:
        parts.append(f"{counted(material.num_pending, 'proposal')} not looked at yet: left out.")
    if material.num_unusable:
        parts.append(f"{counted(material.num_unusable, 'image')} cannot be read.")
    return " ".join(parts)


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
    return [f"“{before}” is going on. This run waits until it has ended, then begins by itself."]
