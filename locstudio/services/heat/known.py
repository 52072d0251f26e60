"""What is known of images and classes that a run has heat of.  Axes: N = images of the run, L = its classes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import Edit, ImageChange, LabelChange, RegionChange
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image, Problem
from locstudio.jobs.heatmaps import Heatmaps
from locstudio.store.view import DatasetView

POSITIVE, NEGATIVE, UNKNOWN = 1, 0, -1
PRESENCES = {POSITIVE: Presence.POSITIVE, NEGATIVE: Presence.NEGATIVE, UNKNOWN: Presence.UNKNOWN}
_CODES = {presence: code for code, presence in PRESENCES.items()}
_PROBLEMS = tuple(Problem)
_UNSEEN = (Problem.MISSING, Problem.DAMAGED, Problem.UNREADABLE, Problem.TOO_LARGE)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the dataset says, in the order of a run's rows and classes.

    Attributes:
        presence_NL: 1 is there, 0 is not there, -1 nobody has said, int8 (N, L).  What is said of the image counts,
            and where nothing is said, a box of the class that counts as true.
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
        if not len(rows):
            return self
        presence_NL, is_stale_N, is_shown_N = self.presence_NL.copy(), self.is_stale_N.copy(), self.is_shown_N.copy()
        image_ids = heatmaps.image_ids[rows].tolist()
        images = {image.id: image for image in dataset.images(image_ids)}
        labels, regions = dataset.labels_of_images(image_ids), dataset.regions_of_images(image_ids)
        for row, image_id in zip(rows.tolist(), image_ids, strict=True):
            said = np.full(presence_NL.shape[1], UNKNOWN, np.int8)
            for region in regions[image_id]:
                if region.is_ground_truth and (place := heatmaps.positions.get(region.class_id or 0)) is not None:
                    said[place] = POSITIVE
            for label in labels[image_id]:
                place = heatmaps.positions.get(label.class_id)
                if place is not None and label.presence is not Presence.UNKNOWN:
                    said[place] = _CODES[label.presence]
            presence_NL[row] = said
            image = images.get(image_id)
            is_stale_N[row] = image is not None and is_stale(heatmaps, image)
            is_shown_N[row] = image is not None and image.problem not in _UNSEEN
        return replace(self, presence_NL=presence_NL, is_stale_N=is_stale_N, is_shown_N=is_shown_N)


def read_known(heatmaps: Heatmaps, dataset: DatasetView) -> Known:
    """What the dataset says now of everything that the run has heat of."""
    presence_NL = np.full((len(heatmaps.image_ids), len(heatmaps.positions)), UNKNOWN, np.int8)
    image_ids, class_ids = dataset.region_classes()
    _put(presence_NL, heatmaps, image_ids, class_ids, np.full(len(image_ids), POSITIVE, np.int8))
    labels = dataset.label_columns()
    is_said = labels.presence != UNKNOWN
    _put(presence_NL, heatmaps, labels.image_ids[is_said], labels.class_ids[is_said], labels.presence[is_said])
    is_stale_N, is_shown_N = _states(heatmaps, dataset)
    live = {entry.id for entry in dataset.classes() if not entry.is_retired}
    is_live_L = np.array([class_id in live for class_id in heatmaps.positions], np.bool_)
    return Known(presence_NL, is_stale_N, is_shown_N, is_live_L)


def is_stale(heatmaps: Heatmaps, image: Image) -> bool:
    """True if the image's file is another one than the run has seen."""
    return image.id in heatmaps.rows and (image.problem is Problem.CHANGED or heatmaps.is_stale(image))


def images_of(edit: Edit) -> set[int]:
    """The images whose classes an edit may speak of."""
    found: set[int] = set()
    for change in edit.changes:
        if isinstance(change, ImageChange):
            found.add(change.after.id)
        elif isinstance(change, RegionChange | LabelChange):
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
    said: NDArray[np.int8],
) -> None:
    rows, places = rows_of(heatmaps, image_ids), positions_of(heatmaps, class_ids)
    is_known = (rows >= 0) & (places >= 0)
    presence_NL[rows[is_known], places[is_known]] = said[is_known]


def _found(rising: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(rising):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(rising, wanted), len(rising) - 1)
    return np.where(rising[at] == wanted, at, -1)


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
