"""What a consistency run learns from, what it holds out and what it only looks at, with a sentence for what is missing.

Axes: N = images, L = classes.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import BoxArray
from locstudio.domain.heat_corrections import HeatCorrection
from locstudio.domain.regions import HELD_OUT_SPLITS, Image
from locstudio.jobs.configs import ConsistencyTraining
from locstudio.jobs.training_files import HeldOut
from locstudio.store.dataset import Dataset, ImageFilter
from trainer.class_paint import Paint
from trainer.holding_out import MIN_REGIONS, hold_out
from trainer.label_reading import Ints, LabelTable, keep_one, read_boxes, read_corrections, read_labels

MAX_UNLABELLED = 1000
"""So many images without a label are looked at, so that their heatmaps are there; others are drawn when asked for."""
MAX_NAMES = 5
_PAGE = 500


@dataclass(frozen=True, slots=True)
class ClassImage:
    """An image and where its file is."""

    image: Image
    path: Path

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright image in pixels."""
        return self.image.width, self.image.height


@dataclass(frozen=True, slots=True, eq=False)
class ClassLesson:
    """All images of a run.

    Attributes:
        images: In the order of ids; rows of everything else.
        told: What the run may know of each: nothing of what is held out.
        truth: What is known of each.
        learnt: Rows that are learnt from.
        held_out: What is measured.
        corrections: What was painted on the learnt ones, by row and position of the class.
        boxes: Boxes of the classes that are in the learnt ones, by row and position.
    """

    images: tuple[ClassImage, ...]
    told: LabelTable
    truth: LabelTable
    learnt: Ints
    held_out: HeldOut
    corrections: Mapping[int, Mapping[int, tuple[HeatCorrection, ...]]]
    boxes: Mapping[int, Mapping[int, BoxArray]]

    @property
    def watched(self) -> Ints:
        """Rows that are looked at without learning from them."""
        return np.setdiff1d(np.arange(len(self.images)), self.learnt)

    def paint(self, training: ConsistencyTraining) -> Paint:
        """What is shown on the heatmaps of the learnt ones."""
        sizes = [one.size for one in self.images]
        return Paint(self.corrections, self.boxes, sizes, grid=training.grid, box_weight=training.boxes)

    @property
    def num_positives(self) -> int:
        """Labels to learn from that say that a class is there."""
        return int((self.told.labels_NL[self.learnt] == 1).sum())


def read_class_lesson(
    dataset: Dataset, training: ConsistencyTraining, seed: int, note: Callable[[str], object] = lambda _: None
) -> ClassLesson:
    """Read the snapshot; ``note`` is told what the person should know of it.

    Raises:
        BadInput: there is nothing to learn from.
    """
    table = read_labels(dataset, machine_weight=training.machine_weight)
    if not table.class_ids:
        raise BadInput("The project has no classes yet; make some and say of images which of them they show.")
    images = {image.image.id: image for image in _images(dataset)}
    positives = dict(zip(table.image_ids.tolist(), (table.labels_NL == 1).sum(axis=1).tolist(), strict=True))
    held_out = hold_out(((images[key].image, num) for key, num in positives.items()), training.hold_out)
    is_measured_N = np.isin(table.image_ids, held_out.image_ids)
    # A split that is only measured is never learnt from, even where another one is measured.
    is_apart_N = is_measured_N | np.array([images[key].image.split in HELD_OUT_SPLITS for key in positives], bool)
    told = keep_one(table, seed) if training.keeps_one else table
    is_learnt_N = told.has_label_N & ~is_apart_N
    if not (told.labels_NL[is_learnt_N] == 1).any():
        raise BadInput(_nothing_to_learn(table, held_out))
    unlabelled = [key for key, has_label in zip(positives, table.has_label_N, strict=True) if not has_label]
    seen = {*table.image_ids[is_learnt_N].tolist(), *held_out.image_ids, *_some_of(unlabelled)}
    rows = np.flatnonzero(np.isin(table.image_ids, list(seen)))
    truth, told = table.rows(rows), told.rows(rows)
    learnt = np.flatnonzero(is_learnt_N[rows])
    told = _without(told, np.setdiff1d(np.arange(len(rows)), learnt))
    painted = read_corrections(dataset, told)
    boxes = read_boxes(dataset, told) if training.boxes > 0 else {}
    lesson = ClassLesson(
        images=tuple(images[key] for key in told.image_ids.tolist()),
        told=told,
        truth=truth,
        learnt=learnt,
        held_out=held_out,
        corrections={row: painted[row] for row in learnt.tolist() if row in painted},
        boxes=boxes,
    )
    for sentence in _what_to_know(lesson, training, len(unlabelled)):
        note(sentence)
    return lesson


def _images(dataset: Dataset) -> Iterator[ClassImage]:
    roots = {root.id: Path(root.path) for root in dataset.roots()}
    last = 0
    while page := dataset.image_page(ImageFilter(order="id"), after_id=last, limit=_PAGE):
        for image in page:
            yield ClassImage(image, roots[image.root_id] / image.path)
        last = page[-1].id


def _some_of(image_ids: list[int]) -> list[int]:
    """The same ones every time, in an order that nobody has made."""
    return sorted(image_ids, key=lambda key: hashlib.sha256(str(key).encode()).digest())[:MAX_UNLABELLED]


def _without(table: LabelTable, rows: Ints) -> LabelTable:
    labels_NL, weights_NL = table.labels_NL.copy(), table.weights_NL.copy()
    labels_NL[rows], weights_NL[rows] = -1, 1.0
    # Of a class that nobody has said anything of, a run would learn that it is nowhere.
    weights_NL[:, ~(labels_NL >= 0).any(axis=0)] = 0.0
    return replace(table, labels_NL=labels_NL, weights_NL=weights_NL)


def _what_to_know(lesson: ClassLesson, training: ConsistencyTraining, num_unlabelled: int) -> list[str]:
    told, learnt = lesson.told, lesson.learnt
    names = [name for name, num in zip(told.class_names, told.num_positives_L.tolist(), strict=True) if not num]
    sentences = []
    if training.hold_out > 0 and not lesson.held_out.num_regions:
        sentences.append(
            f"Fewer than {MIN_REGIONS} labels can be spared, so all are learnt from and nothing is measured: label "
            "more images, or put some images into a split called val."
        )
    if len(told.class_names) == 1:
        sentences.append(
            f"There is one class, {told.class_names[0]}: it is learnt from images that show it and from those of which "
            "you have said that they do not."
        )
    elif names:
        shown = ", ".join(names[:MAX_NAMES]) + (" and others" if len(names) > MAX_NAMES else "")
        what = "One class is" if len(names) == 1 else f"{len(names)} classes are"
        sentences.append(f"{what} known to be in no image that is learnt from: {shown}.")
    weights = told.weights_NL[learnt][told.labels_NL[learnt] >= 0]
    num_machine = int(((weights != 1) & (weights > 0)).sum())
    if 0 < num_machine < len(weights):
        sentences.append(
            f"Of {len(weights):,} labels, {num_machine:,} were only said by a model; in training such a label counts "
            f"{training.machine_weight:g} times as much as one that a person gave."
        )
    if num_unlabelled > MAX_UNLABELLED:
        sentences.append(
            f"{num_unlabelled:,} images have no label; heatmaps of {MAX_UNLABELLED:,} of them are kept with the run, "
            "those of the others are made when they are looked at."
        )
    return sentences


def _nothing_to_learn(table: LabelTable, held_out: HeldOut) -> str:
    if held_out.num_regions:
        return (
            f"All images with a class lie in the split {held_out.split or 'that is held out'}, which is only measured; "
            "label other images, then train."
        )
    if (table.labels_NL == 0).any():
        return (
            "So far it was only said which classes images do not show; say of some images what they do show, then "
            "train."
        )
    return "No image has a class yet; say of some images which classes they show, or give their regions classes."
