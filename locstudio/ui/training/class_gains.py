"""What a model of classes has gained on another one, class by class.  No Qt."""

from dataclasses import dataclass
from pathlib import Path

from locstudio.jobs.class_results import read_class_results


@dataclass(frozen=True, slots=True)
class ClassGain:
    """One class: the images that were measured and show it, and its average precision by both models.

    None where a model does not know the class.
    """

    name: str
    num_images: int
    old: float | None
    new: float | None

    @property
    def gain(self) -> float | None:
        """How much the new model is better; None where one of them does not know the class."""
        return None if self.old is None or self.new is None else self.new - self.old


def class_gains(old: Path, new: Path) -> tuple[ClassGain, ...]:
    """The classes of a comparison, the most frequent first, from the folders of what both models have said.

    Raises:
        BadInput: one of the two cannot be read.
    """
    before = {line.name: line.average_precision for line in read_class_results(old).classes}
    gains = [
        ClassGain(line.name, line.num_positives, before.get(line.name), line.average_precision)
        for line in read_class_results(new).classes
        if line.num_positives
    ]
    return tuple(sorted(gains, key=lambda gain: (-gain.num_images, gain.name)))
