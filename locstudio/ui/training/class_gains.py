"""What a model of classes, or with experts, has gained on another one, class by class.  No Qt."""

from dataclasses import dataclass
from pathlib import Path

from locstudio.jobs.class_results import ClassPrecision, read_class_results
from locstudio.jobs.routing import has_routing, read_routing
from locstudio.services.routing.drifting import drift
from locstudio.ui.training.wording import counted

PRECISION, RIGHT = "average precision", "images named right"


@dataclass(frozen=True, slots=True)
class ClassGain:
    """One class: the images that were measured and show it, and how well both models know it.

    ``measure`` says what ``old`` and ``new`` are; None where a model does not know the class.
    """

    name: str
    num_images: int
    old: float | None
    new: float | None
    measure: str = PRECISION

    @property
    def gain(self) -> float | None:
        """How much the new model is better; None where one of them does not know the class."""
        return None if self.old is None or self.new is None else self.new - self.old


def class_gains(old: Path, new: Path) -> tuple[ClassGain, ...]:
    """The classes of a comparison, the most frequent first, from the folders of what both models have said.

    Raises:
        BadInput: one of the two cannot be read.
    """
    lines = read_class_results(new).classes
    measure = RIGHT if any(line.top1 is not None for line in lines) else PRECISION
    before = {line.name: _value(line, measure) for line in read_class_results(old).classes}
    gains = [
        ClassGain(line.name, line.num_positives, before.get(line.name), _value(line, measure), measure)
        for line in lines
        if line.num_positives
    ]
    return tuple(sorted(gains, key=lambda gain: (-gain.num_images, gain.name)))


def moved_words(old: Path, new: Path) -> str:
    """How many of the measured images went to another expert, in a sentence; empty for models without experts.

    Raises:
        BadInput: what was routed cannot be read.
        TooNew: a newer LocStudio wrote it.
    """
    if not (has_routing(old) and has_routing(new)):
        return ""
    found = drift(read_routing(old), read_routing(new))
    num_images, num_moved = len(found.image_ids), int(found.is_moved.sum())
    if not num_moved:
        return f"None of {counted(num_images, 'image')} went to another expert."
    renamed = int((found.is_moved & found.is_renamed).sum())
    moved = f"{num_moved:,} of {counted(num_images, 'image')} went to another expert"
    return f"{moved}; {renamed:,} of those {'is' if renamed == 1 else 'are'} named differently."


def _value(line: ClassPrecision, measure: str) -> float | None:
    return line.top1 if measure == RIGHT else line.average_precision
