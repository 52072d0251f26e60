"""Which images a run measures and does not learn from.

A split that the project names so wins.  Else images are drawn by a hash of their content, so that the same ones are
held out in every run of the project, whatever has been added since, and copies of an image are on one side.
"""

import hashlib
from collections.abc import Iterable

from locstudio.domain.regions import HELD_OUT_SPLITS, Image, Problem
from locstudio.jobs.training_files import HeldOut
from locstudio.store.dataset import Dataset
from trainer.data import images_with_regions, is_ground_truth, names_in_use, phrase_of

MIN_REGIONS = 8
_HASHED = 1 << 64


def choose_held_out(dataset: Dataset, share: float) -> HeldOut:
    """The images that are held out; none where the project is too small to spare any.

    Args:
        dataset: The snapshot of the run.
        share: How many of the images, where no split is named; 0 for none.
    """
    names = names_in_use(dataset)
    return hold_out(
        (
            (work.image, sum(bool(phrase_of(region, names)) for region in work.regions if is_ground_truth(region)))
            for work in images_with_regions(dataset)
            if work.image.problem is Problem.NONE
        ),
        share,
    )


def hold_out(images: Iterable[tuple[Image, int]], share: float) -> HeldOut:
    """Which of these images are held out; each comes with the number of truths that it holds."""
    known: dict[str, dict[int, int]] = {split: {} for split in (*HELD_OUT_SPLITS, "")}
    num_left = 0
    for image, num_truths in images:
        split = image.split if image.split in HELD_OUT_SPLITS else ""
        if split or is_drawn(image, share):
            known[split][image.id] = num_truths
        else:
            num_left += num_truths
    for split in HELD_OUT_SPLITS:
        if any(known[split].values()):
            return _held_out(split, known[split])
    drawn = known[""]
    if sum(drawn.values()) < MIN_REGIONS or not num_left:
        return HeldOut()
    return _held_out("", drawn)


def is_drawn(image: Image, share: float) -> bool:
    """True for this share of all images, by a hash of their content, or of their path until it has been hashed."""
    identity = image.sha256 or image.path
    digest = hashlib.sha256(b"held out\0" + identity.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < share * _HASHED


def sentence_of(held_out: HeldOut, share: float) -> str:
    """Why nothing could be held out, for the person; empty if something is, or if nothing should be."""
    if held_out.num_regions or share <= 0:
        return ""
    return (
        f"Fewer than {MIN_REGIONS} described regions can be spared, so all are learnt from and nothing is measured: "
        "describe regions of more images, or put some images into a split called val."
    )


def _held_out(split: str, num_regions_of: dict[int, int]) -> HeldOut:
    return HeldOut(split=split, image_ids=tuple(sorted(num_regions_of)), num_regions=sum(num_regions_of.values()))
