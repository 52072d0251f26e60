"""What a Mobile V-MoE learns from: of each image how much it shows of each class, and what is held out.

Rows are all sound images of the collection, since the router is asked about all of them in the end.

Axes: N = images, L = classes.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import BoxArray
from locstudio.domain.regions import HELD_OUT_SPLITS
from locstudio.jobs.configs import VmoeTraining
from locstudio.jobs.training_files import HeldOut
from locstudio.store.dataset import Dataset, ImageFilter
from trainer.holding_out import MIN_REGIONS, hold_out
from trainer.label_reading import Ints, LabelTable, read_boxes, read_labels
from trainer.recipes.class_lesson import ClassImage
from trainer.vmoe_measuring import truth_of

MAX_NAMES = 5
MIN_OF_CLASS = 3
"""A class that fewer images show gives none of them away for the confusion."""
MIN_CONFUSED = 12
"""With fewer images to spare the dense twin learns from all, and its confusion is measured on the same."""
_PAGE = 500


@dataclass(frozen=True, slots=True, eq=False)
class Superclasses:
    """Superclasses of the project as the snapshot has them.

    Attributes:
        names: Of those that have a class in use.
        group_of: The place in ``names`` of each class that has one, by the class's position.
        empty: Names of those that have none.
    """

    names: tuple[str, ...] = ()
    group_of: Mapping[int, int] = field(default_factory=dict)
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class VmoeLesson:
    """All images of a run.

    Attributes:
        images: In the order of ids; rows of everything else.
        table: What is known of each.
        target_NL: How much of an image each class takes, summing to one; zeros where no class is known.
        weight_N: How much an image counts.
        learnt: Rows that are learnt from.
        measured: Rows that are held out and have a class.
        held_out: What is measured.
        superclasses: The person's.
    """

    images: tuple[ClassImage, ...]
    table: LabelTable
    target_NL: NDArray[np.float32]
    weight_N: NDArray[np.float32]
    learnt: Ints
    measured: Ints
    held_out: HeldOut
    superclasses: Superclasses

    @property
    def truth_N(self) -> NDArray[np.int32]:
        """The class with the largest share of each image, -1 where none is known."""
        return truth_of(self.target_NL)

    @property
    def num_learnt_L(self) -> Ints:
        """How many images to learn from show each class."""
        return (self.target_NL[self.learnt] > 0).sum(axis=0)

    @property
    def num_positives(self) -> int:
        """Labels to learn from that say that a class is there."""
        return int(self.num_learnt_L.sum())


def read_vmoe_lesson(
    dataset: Dataset, training: VmoeTraining, note: Callable[[str], object] = lambda _: None
) -> VmoeLesson:
    """Read the snapshot; ``note`` is told what the person should know of it.

    Raises:
        BadInput: there is nothing to learn from, or nothing to tell apart.
    """
    table = read_labels(dataset, machine_weight=training.machine_weight)
    if not table.class_ids:
        raise BadInput("The project has no classes yet; make some and say of images which of them they show.")
    by_id = {image.image.id: image for image in images_of(dataset)}
    images = tuple(by_id[key] for key in table.image_ids.tolist())
    num_there_N = (table.labels_NL == 1).sum(axis=1)
    held_out = hold_out(
        ((one.image, num) for one, num in zip(images, num_there_N.tolist(), strict=True)), training.hold_out
    )
    is_measured_N = np.isin(table.image_ids, held_out.image_ids)
    # A split that is only measured is never learnt from, even where another one is measured.
    is_apart_N = is_measured_N | np.array([one.image.split in HELD_OUT_SPLITS for one in images], bool)
    target_NL = shares_of(table.labels_NL, read_boxes(dataset, table))
    lesson = VmoeLesson(
        images=images,
        table=table,
        target_NL=target_NL,
        weight_N=(target_NL * table.weights_NL).sum(axis=1),
        learnt=np.flatnonzero((num_there_N > 0) & ~is_apart_N),
        measured=np.flatnonzero((num_there_N > 0) & is_measured_N),
        held_out=held_out,
        superclasses=_superclasses(dataset, table),
    )
    _require_something(lesson)
    for sentence in _what_to_know(lesson, training):
        note(sentence)
    return lesson


def shares_of(labels_NL: NDArray[np.int8], boxes: Mapping[int, Mapping[int, BoxArray]]) -> NDArray[np.float32]:
    """How much of an image each of its classes takes: by the area of its boxes where it has boxes of all of them.

    Args:
        labels_NL: 1 where a class is there.
        boxes: Boxes in the ``unit`` frame, by row and position of the class.
    """
    share_NL = (labels_NL == 1).astype(np.float32)
    for row, of_image in boxes.items():
        there = np.flatnonzero(share_NL[row])
        if len(there) > 1 and set(of_image) == set(there.tolist()):
            for position, boxes_R4 in of_image.items():
                width_R, height_R = (boxes_R4[:, 2:] - boxes_R4[:, :2]).T
                share_NL[row, position] = (width_R * height_R).sum()
    total_N1 = share_NL.sum(axis=1, keepdims=True)
    return np.divide(share_NL, total_N1, out=np.zeros_like(share_NL), where=total_N1 > 0)


def images_of(dataset: Dataset) -> Iterator[ClassImage]:
    """Every image of the collection and where its file is, in the order of ids."""
    roots = {root.id: Path(root.path) for root in dataset.roots()}
    last = 0
    while page := dataset.image_page(ImageFilter(order="id"), after_id=last, limit=_PAGE):
        for image in page:
            yield ClassImage(image, roots[image.root_id] / image.path)
        last = page[-1].id


def set_apart(lesson: VmoeLesson, rows: Ints, share: float) -> Ints:
    """Those of the rows whose confusion is measured: of every class this share, the same ones in every run.

    Empty where too few could be spared.
    """
    truth_N = lesson.truth_N
    chosen: list[int] = []
    for position in np.unique(truth_N[rows]).tolist():
        of_class = rows[truth_N[rows] == position].tolist()
        if len(of_class) >= MIN_OF_CLASS:
            of_class.sort(key=lambda row: _drawn(lesson.images[row]))
            chosen += of_class[: max(1, round(share * len(of_class)))] if share > 0 else []
    return np.array(sorted(chosen), np.int64) if len(chosen) >= MIN_CONFUSED else np.zeros(0, np.int64)


def some_of(lesson: VmoeLesson, rows: Ints, most: int) -> Ints:
    """At most so many of the rows, in their order; the same ones in every run."""
    mixed = sorted(rows.tolist(), key=lambda row: _drawn(lesson.images[row]))
    return np.array(sorted(mixed[:most]), np.int64)


def _drawn(file: ClassImage) -> bytes:
    identity = file.image.sha256 or file.image.path
    return hashlib.sha256(b"confused\0" + identity.encode("utf-8", "surrogateescape")).digest()


def _superclasses(dataset: Dataset, table: LabelTable) -> Superclasses:
    """Those in use that have a class in use; classes of one name are one, the first that has a superclass decides."""
    position = {name: at for at, name in enumerate(table.class_names)}
    known = {one.id: one.name for one in dataset.superclasses()}
    home: dict[int, int] = {}
    for label in dataset.classes():
        if not label.is_retired and label.name in position and label.superclass_id in known:
            home.setdefault(position[label.name], label.superclass_id or 0)
    used = [key for key in sorted(known) if key in home.values()]
    return Superclasses(
        names=tuple(known[key] for key in used),
        group_of={at: used.index(key) for at, key in sorted(home.items())},
        empty=tuple(known[key] for key in sorted(known) if key not in used),
    )


def _require_something(lesson: VmoeLesson) -> None:
    if not len(lesson.learnt):
        raise BadInput(_nothing_to_learn(lesson))
    shown = np.flatnonzero(lesson.num_learnt_L)
    if len(shown) < 2:
        raise BadInput(
            f"All images to learn from show the same class, {lesson.table.class_names[shown[0]]}, so there is nothing "
            "to tell apart: give other images other classes, then train."
        )


def _nothing_to_learn(lesson: VmoeLesson) -> str:
    held_out = lesson.held_out
    if held_out.num_regions:
        return (
            f"All images with a class lie in the split {held_out.split or 'that is held out'}, which is only measured; "
            "label other images, then train."
        )
    if (lesson.table.labels_NL == 0).any():
        return (
            "So far it was only said which classes images do not show; say of some images what they do show, then "
            "train."
        )
    return "No image has a class yet; say of some images which classes they show, or give their regions classes."


def _what_to_know(lesson: VmoeLesson, training: VmoeTraining) -> list[str]:
    names, num_L = lesson.table.class_names, lesson.num_learnt_L.tolist()
    missing = [name for name, num in zip(names, num_L, strict=True) if not num]
    few = [name for name, num in zip(names, num_L, strict=True) if 0 < num < training.min_images]
    sentences = []
    if training.hold_out > 0 and not len(lesson.measured):
        sentences.append(
            f"Fewer than {MIN_REGIONS} labels can be spared, so all are learnt from and nothing is measured: label "
            "more images, or put some images into a split called val."
        )
    if missing:
        what = "One class is" if len(missing) == 1 else f"{len(missing)} classes are"
        sentences.append(f"{what} shown by no image that is learnt from, and will hardly be named: {listed(missing)}.")
    if few:
        what = "One class is" if len(few) == 1 else f"{len(few)} classes are"
        sentences.append(f"{what} shown by fewer than {training.min_images} images: {listed(few)}.")
    if lesson.superclasses.names and lesson.superclasses.empty:
        empty = list(lesson.superclasses.empty)
        what = "One superclass has" if len(empty) == 1 else f"{len(empty)} superclasses have"
        sentences.append(f"{what} no class, and so no expert: {listed(empty)}.")
    num_machine = int((lesson.weight_N[lesson.learnt] < 1 - 1e-6).sum())
    if 0 < num_machine < len(lesson.learnt):
        sentences.append(
            f"Of {len(lesson.learnt):,} images, {num_machine:,} have classes that only a model has said; in training "
            f"such a class counts {training.machine_weight:g} times as much as one that a person gave."
        )
    return sentences


def listed(names: list[str]) -> str:
    """The first few of the names."""
    return ", ".join(names[:MAX_NAMES]) + (" and others" if len(names) > MAX_NAMES else "")
