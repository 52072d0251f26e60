"""What evaluations ask for: true boxes with their names and phrases, and captions.

Crowd and rejected regions, and proposals nobody has accepted, are no ground truth.  Axes: R = regions of an image.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locstudio.domain.geometry import BoxArray
from locstudio.domain.regions import Image, Problem
from locstudio.jobs.configs import Task
from locstudio.store.dataset import Dataset
from trainer.data import ImageRegions, images_with_regions, is_ground_truth, names_in_use, phrase_of
from trainer.metrics import Ints


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationImage:
    """One image with its true regions (boxes in the ``unit`` frame) and captions.

    ``class_rows`` and ``phrase_rows`` are rows of the lists of ``GroundTruth``, -1 for a region without; ``captions``
    are pairs of a caption's id and the row of its text.
    """

    image: Image
    path: Path
    region_ids: Ints
    boxes: BoxArray
    class_rows: Ints
    phrase_rows: Ints
    captions: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """What a task is measured on: images in the order of ids, and the distinct texts that describe them.

    ``classes`` are (id, name) of all classes in use, also of those without a box.
    """

    task: Task
    images: tuple[EvaluationImage, ...]
    classes: tuple[tuple[int, str], ...] = ()
    phrases: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()

    @property
    def num_regions(self) -> int:
        """True boxes that take part."""
        return sum(len(image.region_ids) for image in self.images)

    def has(self, task: Task) -> bool:
        """Whether a single task is part of what is measured."""
        return self.task in (task, "all")


def read_ground_truth(
    dataset: Dataset, task: Task, split: str = "", *, image_ids: Collection[int] | None = None
) -> GroundTruth:
    """What is true of the sound images of a split, or of those of ``image_ids`` alone.

    A region without a phrase is described by the name of its class.
    """
    reading = _Reading(dataset, task)
    wanted = None if image_ids is None else frozenset(image_ids)
    found = []
    for work in images_with_regions(dataset, split):
        if work.image.problem is not Problem.NONE or (wanted is not None and work.image.id not in wanted):
            continue
        image = reading.image(work)
        if len(image.region_ids) or image.captions:
            found.append(image)
    return GroundTruth(
        task, tuple(found), tuple(reading.classes), tuple(reading.phrase_rows), tuple(reading.caption_rows)
    )


class _Reading:
    """Gives every distinct text a row while images are read."""

    def __init__(self, dataset: Dataset, task: Task) -> None:
        self._dataset = dataset
        self._names_boxes = task in ("regions", "proposals", "all")
        self._asks_phrases = task in ("retrieval", "grounding", "proposals", "all")
        self._asks_captions = task in ("images", "all")
        self._names = names_in_use(dataset)
        class_ids: dict[str, int] = {}
        for class_id, name in self._names.items():
            class_ids.setdefault(name, class_id)
        self._class_rows = {name: row for row, name in enumerate(class_ids)}
        self.classes = [(class_id, name) for name, class_id in class_ids.items()]
        self.phrase_rows: dict[str, int] = {}
        self.caption_rows: dict[str, int] = {}

    def image(self, work: ImageRegions) -> EvaluationImage:
        regions, class_rows, phrase_rows = [], [], []
        for region in filter(is_ground_truth, work.regions):
            name = self._names.get(region.class_id, "") if region.class_id is not None else ""
            class_row = self._class_rows[name] if name and self._names_boxes else -1
            phrase = phrase_of(region, self._names) if self._asks_phrases else ""
            if class_row >= 0 or phrase:
                regions.append(region)
                class_rows.append(class_row)
                phrase_rows.append(_row_of(phrase, self.phrase_rows) if phrase else -1)
        captions = self._dataset.captions_of(work.image.id) if self._asks_captions else []
        texts = [(caption.id, caption.text.strip()) for caption in captions]
        return EvaluationImage(
            image=work.image,
            path=work.path,
            region_ids=_ints([region.id for region in regions]),
            boxes=np.array([region.box.as_tuple() for region in regions], np.float32).reshape(-1, 4),
            class_rows=_ints(class_rows),
            phrase_rows=_ints(phrase_rows),
            captions=tuple((key, _row_of(text, self.caption_rows)) for key, text in texts if text),
        )


def _row_of(text: str, rows: dict[str, int]) -> int:
    return rows.setdefault(text, len(rows))


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)
