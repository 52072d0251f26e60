"""From a snapshot to training batches.

The order of the images, and which of their regions and captions a step sees, follow from (seed, epoch, image) alone,
so a resumed run needs no memory of where it was.  Axes: R = regions of one image, M = regions sampled per image.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray, Letterbox
from locstudio.domain.regions import HELD_OUT_SPLITS, Image, Origin, Problem, Region, Review
from locstudio.store.dataset import Dataset, ImageFilter

KEPT_SIDES = (0.08, 0.8)
_PAGE = 200


@dataclass(frozen=True, slots=True)
class ImageRegions:
    """An image, where its file is, and all its regions."""

    image: Image
    path: Path
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingImage:
    """One image to learn from.  Boxes are in the ``square`` frame; ``boxes_R4`` has one row per phrase.

    ``names`` are the names of the regions' classes, empty where there is none or it is the phrase already.
    ``weights`` say how much each described region counts; without them all count alike.
    ``objects_O4`` are all boxes of things, with or without words, for the proposal head.
    """

    image: Image
    path: Path
    boxes_R4: BoxArray
    phrases: tuple[str, ...]
    captions: tuple[str, ...]
    objects_O4: BoxArray
    names: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()

    def words_for(self, region: int, *, by_name: bool) -> str:
        """A text that describes the region: its phrase, or the name of its class where it has both and so is asked."""
        return (self.names[region] if by_name and self.names else "") or self.phrases[region]


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What one step sees of one image.

    Attributes:
        position: Of the image among all.
        regions: Up to M of its regions.
        by_name: Whether each is described by its class rather than by its phrase, if it has both.
        caption: One of its captions, or -1 for none.
        kept_K4: Boxes anywhere, ``square`` frame, on which the model is held to its parent; maybe none.
        words_K: As many numbers in [0, 1), each of which chooses a word that is kept.
    """

    position: int
    regions: NDArray[np.int64]
    caption: int
    by_name: NDArray[np.bool_]
    kept_K4: BoxArray
    words_K: NDArray[np.float64]


def is_ground_truth(region: Region) -> bool:
    """True for what counts as true; the rule is the region's."""
    return region.is_ground_truth


def names_in_use(dataset: Dataset) -> dict[int, str]:
    """Names of the classes by their id, without those that are retired: nothing is named by them any more."""
    return {label.id: label.name for label in dataset.classes() if not label.is_retired}


def read_training_images(
    dataset: Dataset,
    *,
    include_pending: bool = False,
    held_out: Collection[int] = (),
    machine_weight: float = 1.0,
) -> list[TrainingImage]:
    """Every sound image that has a phrase or a caption, in the order of ids, without the held-out splits and images.

    A region without a phrase is described by the name of its class.  ``include_pending`` lets a model's proposals in
    that nobody has looked at.  ``machine_weight`` is how much a region counts that a model has proposed and no person
    has changed, be it accepted.
    """
    class_names = names_in_use(dataset)
    left_out = frozenset(held_out)
    found = []
    for work in images_with_regions(dataset):
        if work.image.problem is not Problem.NONE or work.image.split in HELD_OUT_SPLITS or work.image.id in left_out:
            continue
        described = _training_image(
            dataset, work, class_names, include_pending=include_pending, machine_weight=machine_weight
        )
        if described.phrases or described.captions:
            found.append(described)
    return found


def at_most(images: Sequence[TrainingImage], limit: int, seed: int) -> list[TrainingImage]:
    """The images themselves, or ``limit`` of them drawn by the seed, in their order: no more than steps can show."""
    if len(images) <= limit:
        return list(images)
    chosen = np.random.default_rng(seed).permutation(len(images))[:limit]
    return [images[position] for position in np.sort(chosen)]


def images_with_regions(dataset: Dataset, split: str = "") -> Iterator[ImageRegions]:
    """The images of a split, or all, in the order of ids, read in pages."""
    roots = {root.id: Path(root.path) for root in dataset.roots()}
    wanted = ImageFilter(split=split, order="id")
    last = 0
    while page := dataset.image_page(wanted, after_id=last, limit=_PAGE):
        regions = dataset.regions_of_images([image.id for image in page])
        for image in page:
            yield ImageRegions(image, roots[image.root_id] / image.path, tuple(regions[image.id]))
        last = page[-1].id


def phrase_of(region: Region, class_names: dict[int, str]) -> str:
    """The words for a region: its phrase, else the name of its class, else nothing."""
    return region.phrase.strip() or (class_names.get(region.class_id, "") if region.class_id is not None else "")


def square_boxes(regions: Sequence[Region], image: Image) -> BoxArray:
    """The regions' boxes in the ``square`` frame of their image, shape (R, 4)."""
    boxes_R4 = np.array([region.box.as_tuple() for region in regions], np.float32).reshape(-1, 4)
    return Letterbox(image.width, image.height).to_square(boxes_R4)


def steps_per_epoch(num_images: int, batch_size: int) -> int:
    """Whole batches in one pass; a collection smaller than a batch makes one smaller batch."""
    return max(1, num_images // batch_size)


def draws_of_step(
    images: Sequence[TrainingImage], step: int, *, batch_size: int, num_regions: int, seed: int, num_kept: int = 0
) -> list[Draw]:
    """What the step with this number, counted from 0, sees.  A pure function of its arguments."""
    epoch, place = divmod(step, steps_per_epoch(len(images), batch_size))
    order = np.random.default_rng([seed, epoch]).permutation(len(images))
    chosen = order[place * batch_size : (place + 1) * batch_size]
    return [_draw(images[position], int(position), epoch, num_regions, num_kept, seed) for position in chosen]


def _draw(image: TrainingImage, position: int, epoch: int, num_regions: int, num_kept: int, seed: int) -> Draw:
    random = np.random.default_rng([seed, epoch, position])
    num_drawn = min(num_regions, len(image.phrases))
    regions = random.permutation(len(image.phrases))[:num_drawn].astype(np.int64)
    caption = int(random.integers(len(image.captions))) if image.captions else -1
    by_name = random.random(num_drawn) < 0.5
    return Draw(position, regions, caption, by_name, _boxes_anywhere(random, num_kept), random.random(num_kept))


def _boxes_anywhere(random: np.random.Generator, count: int) -> BoxArray:
    """Boxes (K, 4) of any place, size and shape; the logarithm of a side is uniform."""
    middle_K2 = random.random((count, 2))
    smallest, largest = KEPT_SIDES
    half_K2 = np.exp(random.uniform(np.log(smallest), np.log(largest), (count, 2))) / 2
    low_K2 = np.clip(middle_K2 - half_K2, 0.0, 1.0 - smallest / 2)
    high_K2 = np.clip(middle_K2 + half_K2, low_K2 + smallest / 2, 1.0)
    return np.concatenate([low_K2, high_K2], axis=1).astype(np.float32)


def _training_image(
    dataset: Dataset,
    work: ImageRegions,
    class_names: dict[int, str],
    *,
    include_pending: bool,
    machine_weight: float,
) -> TrainingImage:
    image = work.image
    usable = [
        region
        for region in work.regions
        if is_ground_truth(region) or (include_pending and region.review is Review.PENDING and not region.is_crowd)
    ]
    described = [region for region in usable if phrase_of(region, class_names)]
    return TrainingImage(
        image=image,
        path=work.path,
        boxes_R4=square_boxes(described, image),
        phrases=tuple(phrase_of(region, class_names) for region in described),
        captions=tuple(caption.text for caption in dataset.captions_of(image.id) if caption.text.strip()),
        objects_O4=square_boxes(usable, image),
        names=tuple(_further_name(region, class_names) for region in described),
        weights=tuple(machine_weight if region.origin is Origin.MODEL else 1.0 for region in described),
    )


def _further_name(region: Region, class_names: dict[int, str]) -> str:
    name = class_names.get(region.class_id, "") if region.class_id is not None else ""
    return "" if name == region.phrase.strip() else name
