"""What a CLOC run learns from and what it holds out, with a sentence for everything that is missing."""

from collections.abc import Callable
from dataclasses import dataclass

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Origin, Review
from locstudio.jobs.configs import ClocTraining
from locstudio.jobs.training_files import HeldOut
from locstudio.store.dataset import Dataset
from trainer.data import TrainingImage, at_most, images_with_regions, names_in_use, read_training_images
from trainer.holding_out import choose_held_out, sentence_of

MAX_NAMES = 5


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Images to learn from, no more than the steps can show, and those that are held out."""

    images: list[TrainingImage]
    held_out: HeldOut

    @property
    def num_regions(self) -> int:
        """Described regions to learn from."""
        return sum(len(image.phrases) for image in self.images)


def read_lesson(
    dataset: Dataset, training: ClocTraining, seed: int, note: Callable[[str], object] = lambda _: None
) -> Lesson:
    """Read the snapshot; ``note`` is told what the person should know of it.

    Raises:
        BadInput: there is nothing to learn from.
    """
    held_out = choose_held_out(dataset, training.hold_out)
    images = read_training_images(
        dataset,
        include_pending=training.include_pending,
        held_out=held_out.image_ids if not held_out.split else (),
        machine_weight=training.machine_weight,
    )
    if not any(image.phrases for image in images):
        raise BadInput(_nothing_to_learn(dataset, held_out))
    counts_less = _what_counts_less(images, training.machine_weight)
    for sentence in (sentence_of(held_out, training.hold_out), counts_less, *_what_is_missing(dataset, images)):
        if sentence:
            note(sentence)
    return Lesson(at_most(images, training.num_steps * training.batch_size, seed), held_out)


def _what_counts_less(images: list[TrainingImage], machine_weight: float) -> str:
    """A sentence where some regions are a model's and some a person's; where all are alike, nothing counts less."""
    weights = [weight for image in images for weight in image.weights]
    num_machine = sum(weight != 1.0 for weight in weights)
    if not 0 < num_machine < len(weights):
        return ""
    return (
        f"Of {len(weights)} regions, a model proposed {num_machine} that nobody has changed; in training such a "
        f"region counts {machine_weight:g} times as much as one that a person made."
    )


def _what_is_missing(dataset: Dataset, images: list[TrainingImage]) -> list[str]:
    """Of a project that can be learnt from: what cannot be learnt from it."""
    texts = {phrase for image in images for phrase in image.phrases}
    sentences = []
    if len(texts) == 1:
        sentences.append(
            f"All regions are described as {texts.pop()!r}, so there is nothing to tell apart; describe other things "
            "too."
        )
        return sentences
    names = set(names_in_use(dataset).values())
    without = sorted(names - {text for text in texts if text in names})
    has_classes = len(without) < len(names)
    if without and has_classes:
        shown = ", ".join(without[:MAX_NAMES]) + (" and others" if len(without) > MAX_NAMES else "")
        what = "One class has" if len(without) == 1 else f"{len(without)} classes have"
        sentences.append(f"{what} no region to learn from: {shown}.")
    return sentences


def _nothing_to_learn(dataset: Dataset, held_out: HeldOut) -> str:
    num_pending = num_rejected = 0
    for work in images_with_regions(dataset):
        for region in work.regions:
            num_rejected += region.review is Review.REJECTED
            num_pending += region.review is Review.PENDING and region.origin is Origin.MODEL
    if held_out.num_regions:
        return (
            f"All described regions lie in images of the split {held_out.split}, which is only measured; describe "
            "regions of other images, then train."
        )
    if num_pending:
        return (
            f"No region has been accepted or drawn yet; {num_pending} proposals wait for a review. Accept some, "
            "then train."
        )
    if num_rejected:
        return f"All {num_rejected} proposed regions are rejected; accept, correct or draw some, then train."
    return "No region has a phrase or a class yet; describe some regions, then train."
