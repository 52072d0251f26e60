"""What is known of images and classes that a run has heat of.  Axes: N = images of the run, L = its classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import ClassChange, CorrectionChange, Edit, ImageChange, LabelChange, RegionChange
from locstudio.domain.heat_corrections import Evidence, HeatCorrection
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Image, Origin, Problem, Region
from locstudio.jobs.heatmaps import Heatmaps
from locstudio.store.view import DatasetView

POSITIVE, NEGATIVE, UNKNOWN = 1, 0, -1
PRESENCES = {POSITIVE: Presence.POSITIVE, NEGATIVE: Presence.NEGATIVE, UNKNOWN: Presence.UNKNOWN}
_CODES = {presence: code for code, presence in PRESENCES.items()}
_PROBLEMS = tuple(Problem)
_MODEL = tuple(Origin).index(Origin.MODEL)
_MANY = 2000
_UNSEEN = (Problem.MISSING, Problem.DAMAGED, Problem.UNREADABLE, Problem.TOO_LARGE)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the dataset says, in the order of a run's rows and classes.

    Attributes:
        presence_NL: 1 is there, 0 is not there, -1 nobody has said, int8 (N, L).  As the trainer takes it: what a
            person or a file says of the image goes before evidence that was painted in, that before boxes that count
            as true, and those before what only a model says of the image.
        is_stale_N: The image's file is another one than the run has seen, bool (N,).
        is_shown_N: The image is in the dataset and can be looked at, bool (N,).
        is_live_L: The class is in the vocabulary and not retired, bool (L,).
    """

    presence_NL: NDArray[np.int8]
    is_stale_N: NDArray[np.bool_]
    is_shown_N: NDArray[np.bool_]
    is_live_L: NDArray[np.bool_]

    def after(self, edit: Edit, heatmaps: Heatmaps, dataset: DatasetView) -> "Known":
        """What is known once the dataset has taken an edit, or its inverse.  This one is left alone."""
        touched = images_of(edit)
        rows = np.array(sorted(row for key in touched if (row := heatmaps.rows.get(key)) is not None), np.int64)
        if len(rows) > _MANY:
            return read_known(heatmaps, dataset)
        is_live_L = self.is_live_L
        if any(isinstance(change, ClassChange) for change in edit.changes):
            is_live_L = _live(heatmaps, dataset)
        if not len(rows):
            return replace(self, is_live_L=is_live_L)
        presence_NL, is_stale_N, is_shown_N = self.presence_NL.copy(), self.is_stale_N.copy(), self.is_shown_N.copy()
        image_ids = heatmaps.image_ids[rows].tolist()
        images = {image.id: image for image in dataset.images(image_ids)}
        labels, regions = dataset.labels_of_images(image_ids), dataset.regions_of_images(image_ids)
        painted = dataset.corrections_of_images(image_ids)
        for row, image_id in zip(rows.tolist(), image_ids, strict=True):
            presence_NL[row] = _said(heatmaps, labels[image_id], regions[image_id], painted[image_id])
            image = images.get(image_id)
            is_stale_N[row] = image is not None and is_stale(heatmaps, image)
            is_shown_N[row] = image is not None and image.problem not in _UNSEEN
        return Known(presence_NL, is_stale_N, is_shown_N, is_live_L)


def read_known(heatmaps: Heatmaps, dataset: DatasetView) -> Known:
    """What the dataset says now of everything that the run has heat of."""
    presence_NL = np.full((len(heatmaps.image_ids), len(heatmaps.header.class_ids)), UNKNOWN, np.int8)
    labels = dataset.label_columns()
    is_of_model, is_said = labels.origins == _MODEL, labels.presence != UNKNOWN
    painted = np.array(_painted_in(dataset.corrections_of_images(dataset.corrected_image_ids().tolist())), np.int64)
    # From the weakest to the strongest; the later word stands.
    _put(presence_NL, heatmaps, labels.image_ids, labels.class_ids, labels.presence, is_said & is_of_model)
    _put(presence_NL, heatmaps, *dataset.region_classes())
    _put(presence_NL, heatmaps, *painted.reshape(-1, 2).T)
    _put(presence_NL, heatmaps, labels.image_ids, labels.class_ids, labels.presence, is_said & ~is_of_model)
    is_stale_N, is_shown_N = _states(heatmaps, dataset)
    return Known(presence_NL, is_stale_N, is_shown_N, _live(heatmaps, dataset))


def is_stale(heatmaps: Heatmaps, image: Image) -> bool:
    """True if the image's file is another one than the run has seen."""
    return image.id in heatmaps.rows and (image.problem is Problem.CHANGED or heatmaps.is_stale(image))


def images_of(edit: Edit) -> set[int]:
    """The images whose classes an edit may speak of."""
    found: set[int] = set()
    for change in edit.changes:
        if isinstance(change, ImageChange):
            found.add(change.after.id)
        elif isinstance(change, RegionChange | LabelChange | CorrectionChange):
            found |= {value.image_id for value in (change.before, change.after) if value is not None}
    return found


def rows_of(heatmaps: Heatmaps, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row of each image, -1 where the run did not see it."""
    return _found(heatmaps.image_ids, image_ids)


def positions_of(heatmaps: Heatmaps, class_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The position of each class, -1 where the run does not know it."""
    known = np.array(heatmaps.header.class_ids, np.int64)
    order = np.argsort(known, kind="stable")
    found = _found(known[order], class_ids)
    return np.where(found >= 0, order[found], -1)


def _put(
    presence_NL: NDArray[np.int8],
    heatmaps: Heatmaps,
    image_ids: NDArray[np.int64],
    class_ids: NDArray[np.int64],
    said: NDArray[np.int8] | None = None,
    is_meant: NDArray[np.bool_] | None = None,
) -> None:
    """Write down what is said of pairs of image and class: that the class is there, where nothing else is given."""
    rows, places = rows_of(heatmaps, image_ids), positions_of(heatmaps, class_ids)
    is_known = (rows >= 0) & (places >= 0)
    is_known &= is_meant if is_meant is not None else True
    presence_NL[rows[is_known], places[is_known]] = POSITIVE if said is None else said[is_known]


def _said(
    heatmaps: Heatmaps, labels: Sequence[ImageLabel], regions: Sequence[Region], painted: Sequence[HeatCorrection]
) -> NDArray[np.int8]:
    """What is said of the classes of one image, (L,)."""
    said: dict[int, int] = {}
    said |= {label.class_id: _CODES[label.presence] for label in labels if label.origin is Origin.MODEL}
    said |= {region.class_id: POSITIVE for region in regions if region.class_id and region.is_ground_truth}
    said |= {each.class_id: POSITIVE for each in painted if each.kind is Evidence.ADD}
    stronger = [label for label in labels if label.origin is not Origin.MODEL]
    said |= {label.class_id: _CODES[label.presence] for label in stronger if label.presence is not Presence.UNKNOWN}
    return np.array([said.get(class_id, UNKNOWN) for class_id in heatmaps.header.class_ids], np.int8)


def _painted_in(corrections: Mapping[int, Sequence[HeatCorrection]]) -> list[tuple[int, int]]:
    return [
        (image_id, each.class_id)
        for image_id, of_image in corrections.items()
        for each in of_image
        if each.kind is Evidence.ADD
    ]


def _found(rising: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(rising):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(rising, wanted), len(rising) - 1)
    return np.where(rising[at] == wanted, at, -1)


def _live(heatmaps: Heatmaps, dataset: DatasetView) -> NDArray[np.bool_]:
    live = {entry.id for entry in dataset.classes() if not entry.is_retired}
    return np.array([class_id in live for class_id in heatmaps.header.class_ids], np.bool_)


def _states(heatmaps: Heatmaps, dataset: DatasetView) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the run's images have another file now, and which can be looked at."""
    is_stale_N = np.zeros(len(heatmaps.image_ids), np.bool_)
    is_shown_N = np.zeros(len(heatmaps.image_ids), np.bool_)
    contents = dataset.image_contents()
    rows = rows_of(heatmaps, contents.ids)
    is_seen = rows >= 0
    rows, now, problems = rows[is_seen], contents.sha256[is_seen], contents.problems[is_seen]
    then = heatmaps.contents[rows]
    is_other = (then != now) & (then != b"") & (now != b"")
    is_stale_N[rows] = is_other | (problems == _PROBLEMS.index(Problem.CHANGED))
    is_shown_N[rows] = ~np.isin(problems, [_PROBLEMS.index(problem) for problem in _UNSEEN])
    return is_stale_N, is_shown_N
