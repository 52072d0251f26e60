"""The heatmaps of a run beside what the dataset says now.  Axes: W = side of a map, E = epochs, L = classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, corrected
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, LabelClass, Origin
from locstudio.jobs.heatmaps import Heatmaps
from locstudio.services.heat.known import is_stale
from locstudio.services.heat.runs import HeatRun, chosen_run, heat_runs, refuse_unreadable
from locstudio.services.heat.scale import Scale, own_heat_of, owns_of
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

RECENT = 8
"""Epochs whose scores say whether a class has come to rest."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassHeat:
    """The heat of one class of one image.

    Attributes:
        name, color, is_retired: Of the class as the vocabulary has it now.
        score: Of the epoch that is shown.
        average: Running average of the scores up to that epoch.
        presence: Whether the class is there, by what was said of the image, painted and boxed.
        label: What was said of the image, if anything.
        num_regions: Boxes of the class that count as true.
        map_WW: With what was painted over it; None where no map of it is kept.
        raw_WW: As the run made it.
        corrections: What was painted, oldest first.
        trajectory_E: The score of each epoch.
        variance: Variance of the scores of the last epochs.
        expected: How surely it is expected, as the worklist scores it; 0 where something is known.
    """

    class_id: int
    name: str
    color: str
    is_retired: bool
    score: float
    average: float
    presence: Presence
    label: ImageLabel | None
    num_regions: int
    map_WW: NDArray[np.uint8] | None
    raw_WW: NDArray[np.uint8] | None
    corrections: tuple[HeatCorrection, ...]
    trajectory_E: NDArray[np.float32]
    variance: float
    expected: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether somebody has said whether the class is there."""
        return self.presence is not Presence.UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class ImageHeat:
    """The heat of an image: classes that are known to be there first, then by falling average.

    ``unseen`` are classes of the vocabulary, not retired, that the run does not know.
    """

    image_id: int
    run_id: str
    checkpoint_id: str
    epoch: int
    is_stale: bool
    rows: tuple[ClassHeat, ...]
    unseen: tuple[LabelClass, ...] = ()

    def of_class(self, class_id: int) -> ClassHeat | None:
        """The row of a class."""
        return next((row for row in self.rows if row.class_id == class_id), None)


class HeatBook:
    """A run's heatmaps, opened.  Labels, boxes and corrections are read anew at every look."""

    def __init__(self, run: HeatRun, heatmaps: Heatmaps, dataset: DatasetView) -> None:
        self.run = run
        self.heatmaps = heatmaps
        self._dataset = dataset
        self.classes: dict[int, LabelClass] = {}
        self.read_classes()

    @classmethod
    def open(cls, project: Project, dataset: DatasetView, run_id: str = "") -> "HeatBook":
        """The heatmaps of a run; for an empty id those of the newest run with an epoch done.

        Raises:
            UserError: there is no such run.
            BadInput: its heatmaps are damaged.
            TooNew: a newer LocStudio wrote them.
        """
        runs = heat_runs(project, dataset)
        if not runs:
            refuse_unreadable(project)
        run = chosen_run(runs, run_id)
        return cls(run, Heatmaps.open(run.folder), dataset)

    def read_classes(self) -> None:
        """Take the vocabulary as it is now."""
        self.classes = {entry.id: entry for entry in self._dataset.classes()}

    def refreshed(self, project: Project) -> "HeatBook | None":
        """The book with the epochs that were written since; None while there are none, or the folder is gone."""
        if not self.heatmaps.is_newer():
            return None
        try:
            return HeatBook.open(project, self._dataset, self.run.id)
        except BadInput:
            return None

    @cached_property
    def scale(self) -> Scale:
        """How hot what the run was told is."""
        return Scale.of(self.heatmaps)

    @property
    def checkpoint_id(self) -> str:
        """The newest checkpoint whose heat this is; empty before there is one."""
        return self.heatmaps.header.checkpoint_id

    def class_name(self, class_id: int) -> str:
        """What the class is called now; as the run knew it where the vocabulary has lost it."""
        if (entry := self.classes.get(class_id)) is not None:
            return entry.name
        position = self.heatmaps.positions.get(class_id)
        return "" if position is None else self.heatmaps.header.class_names[position]

    def is_stale(self, image: Image) -> bool:
        """True if the image's file is another one than the run has seen."""
        return is_stale(self.heatmaps, image)

    def heat_of(self, image: Image, class_id: int, epoch: int | None = None) -> NDArray[np.uint8] | None:
        """One heatmap with what was painted over it; None where none is kept."""
        raw_WW = self.heatmaps.map_of(image.id, class_id, epoch)
        if raw_WW is None:
            return None
        painted = [each for each in self._dataset.corrections_of(image.id) if each.class_id == class_id]
        return corrected(np.asarray(raw_WW), painted, (image.width, image.height))

    def maps_of(self, pairs: Sequence[tuple[Image, int]]) -> list[NDArray[np.uint8] | None]:
        """As ``heat_of`` for many images and classes, with one look into the dataset."""
        painted = self._dataset.corrections_of_images(list({image.id for image, _ in pairs}))
        found: list[NDArray[np.uint8] | None] = []
        for image, class_id in pairs:
            raw_WW = self.heatmaps.map_of(image.id, class_id)
            of_class = [each for each in painted[image.id] if each.class_id == class_id]
            size = (image.width, image.height)
            found.append(None if raw_WW is None else corrected(np.array(raw_WW), of_class, size))
        return found

    def paint_over(
        self, image_ids: NDArray[np.int64], class_ids: NDArray[np.int64], maps_MWW: NDArray[np.uint8]
    ) -> dict[tuple[int, int], NDArray[np.uint8]]:
        """Put what was painted onto maps of pairs of image and class, in place.

        Returns:
            The maps that are others now, by image and class.
        """
        rows = np.flatnonzero(np.isin(image_ids, self._dataset.corrected_image_ids()))
        touched = np.unique(image_ids[rows]).tolist()
        painted = self._dataset.corrections_of_images(touched)
        images = {image.id: image for image in self._dataset.images(touched)}
        found = {}
        for row in rows.tolist():
            image_id, class_id = int(image_ids[row]), int(class_ids[row])
            of_class = [each for each in painted[image_id] if each.class_id == class_id]
            if of_class and (image := images.get(image_id)) is not None:
                maps_MWW[row] = corrected(maps_MWW[row], of_class, (image.width, image.height))
                found[image_id, class_id] = maps_MWW[row]
        return found

    def image(self, image: Image, epoch: int | None = None) -> ImageHeat | None:
        """The heat of all classes of an image; None where the run did not see it.

        Args:
            image: The image.
            epoch: One of ``heatmaps.header.key_epochs``; None for the newest.

        Raises:
            BadInput: the key frame is damaged.
            LookupError: there is no key frame of this epoch.
        """
        heatmaps = self.heatmaps
        row = heatmaps.rows.get(image.id)
        if row is None:
            return None
        header = heatmaps.header
        shown_epoch = header.epoch if epoch is None else epoch
        maps = heatmaps.maps_of(image.id, epoch)
        scores_EL = np.asarray(heatmaps.scores_ENL[:, row], np.float32) / np.float32(255)
        averages_L = self._averages(row, scores_EL, epoch)
        said = Said.of(self._dataset, image)
        rows = [
            self._class_heat(class_id, maps.get(class_id), scores_EL[:, place], float(averages_L[place]), epoch, said)
            for place, class_id in enumerate(header.class_ids)
        ]
        rows = self._with_expected(rows)
        rows.sort(key=by_relevance)
        unseen = [each for each in self.classes.values() if not each.is_retired and each.id not in heatmaps.positions]
        return ImageHeat(
            image_id=image.id,
            run_id=self.run.id,
            checkpoint_id=header.checkpoint_id,
            epoch=shown_epoch,
            is_stale=self.is_stale(image),
            rows=tuple(rows),
            unseen=tuple(unseen),
        )

    def _averages(self, row: int, scores_EL: NDArray[np.float32], epoch: int | None) -> NDArray[np.float32]:
        """The running averages after an epoch.  Those of the past are not kept, but follow from the scores."""
        if epoch is None:
            # A damaged file may hold what is no number.
            return np.clip(np.nan_to_num(np.array(self.heatmaps.averages_NL[row], np.float32)), 0, 1)
        momentum = self.heatmaps.header.momentum
        averages_L: NDArray[np.float32] = (np.asarray(self.heatmaps.labels_NL[row]) == 1).astype(np.float32)
        for scores_L in scores_EL[:epoch]:
            averages_L = (momentum * averages_L + (1 - momentum) * scores_L).astype(np.float32)
        return averages_L

    def _with_expected(self, rows: list[ClassHeat]) -> list[ClassHeat]:
        """The rows of an image with how surely those are expected of which nothing is known."""
        kept = [row for row in rows if row.map_WW is not None]
        if not kept:
            return rows
        maps_MWW = np.stack([row.map_WW for row in kept if row.map_WW is not None])
        averages_M = np.array([row.average for row in kept], np.float32)
        is_there_M = np.array([row.presence is Presence.POSITIVE for row in kept])
        known_WW = maps_MWW[is_there_M].max(axis=0, initial=0)
        scores = self.scale.score(own_heat_of(averages_M, maps_MWW, owns_of(maps_MWW, known_WW[None])))
        found = {row.class_id: score for row, score in zip(kept, scores.tolist(), strict=True)}
        return [row if row.is_known else replace(row, expected=found.get(row.class_id, 0.0)) for row in rows]

    def _class_heat(
        self,
        class_id: int,
        raw_WW: NDArray[np.uint8] | None,
        trajectory_E: NDArray[np.float32],
        average: float,
        epoch: int | None,
        said: "Said",
    ) -> ClassHeat:
        entry = self.classes.get(class_id)
        corrections = said.corrections.get(class_id, ())
        upto_E = trajectory_E if epoch is None else trajectory_E[:epoch]
        raw_WW = None if raw_WW is None else np.asarray(raw_WW)
        label, num_regions = said.labels.get(class_id), said.num_regions.get(class_id, 0)
        return ClassHeat(
            class_id=class_id,
            name=self.class_name(class_id),
            color=entry.color if entry is not None else "#999999",
            is_retired=entry is None or entry.is_retired,
            score=float(upto_E[-1]) if len(upto_E) else average,
            average=average,
            presence=presence_of(label, num_regions, corrections),
            label=label,
            num_regions=num_regions,
            map_WW=None if raw_WW is None else corrected(raw_WW, corrections, said.size),
            raw_WW=raw_WW,
            corrections=corrections,
            trajectory_E=trajectory_E,
            variance=float(upto_E[-RECENT:].var()) if len(upto_E) else 0.0,
        )


def by_relevance(row: ClassHeat) -> tuple[bool, bool, float, str]:
    """What sorts classes: those that are there, then by falling average; retired ones last of both."""
    return row.presence is not Presence.POSITIVE, row.is_retired, -row.average, row.name


def presence_of(label: ImageLabel | None, num_regions: int, corrections: Sequence[HeatCorrection] = ()) -> Presence:
    """Whether a class is there, by the same rule as ``Known``."""
    is_said = label is not None and label.presence is not Presence.UNKNOWN
    if label is not None and is_said and label.origin is not Origin.MODEL:
        return label.presence
    if num_regions or any(each.kind is Evidence.ADD for each in corrections):
        return Presence.POSITIVE
    return label.presence if label is not None else Presence.UNKNOWN


@dataclass(frozen=True, slots=True)
class Said:
    """What the dataset says of an image, by class."""

    labels: dict[int, ImageLabel]
    num_regions: Counter[int]
    corrections: dict[int, tuple[HeatCorrection, ...]]
    size: tuple[int, int]

    @classmethod
    def of(cls, dataset: DatasetView, image: Image) -> "Said":
        regions = dataset.regions_of(image.id)
        corrections: dict[int, tuple[HeatCorrection, ...]] = {}
        for each in dataset.corrections_of(image.id):
            corrections[each.class_id] = (*corrections.get(each.class_id, ()), each)
        return cls(
            labels={label.class_id: label for label in dataset.labels_of(image.id)},
            num_regions=Counter(
                each.class_id for each in regions if each.is_ground_truth and each.class_id is not None
            ),
            corrections=corrections,
            size=(image.width, image.height),
        )
