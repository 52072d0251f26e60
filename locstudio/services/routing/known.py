"""What the dataset says now of the images of a routing table.  Axes: N = images of the table, P = pairs, L = classes.

What the run was told is in the table; since then a person may have said something else, and an image may have become
another file.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.heat_corrections import Evidence
from locstudio.domain.regions import Origin, Problem
from locstudio.jobs.routing import RoutingTable
from locstudio.store.view import DatasetView

_PROBLEMS = tuple(Problem)
_MODEL = tuple(Origin).index(Origin.MODEL)
_UNSEEN = (Problem.MISSING, Problem.DAMAGED, Problem.UNREADABLE, Problem.TOO_LARGE)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Which images show which classes now, each pair once, by rising row and class.

    Attributes:
        rows_P: Row of the table.
        places_P: Position of a class of the table.
        truth_N: Position of the class that each image shows: the one that the run was told while that still holds,
            else the first that is said now; -1 where none is, int32.
    """

    rows_P: NDArray[np.int64]
    places_P: NDArray[np.int64]
    truth_N: NDArray[np.int32]

    def any_of(self, is_so_P: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether something holds for one of the classes that an image shows, (N,)."""
        found_N = np.zeros(len(self.truth_N), np.bool_)
        found_N[self.rows_P[is_so_P]] = True
        return found_N


def read_shown(table: RoutingTable, dataset: DatasetView) -> Shown:
    """What the dataset says now of every image of the table, by the rule that trainings follow.

    What a person or a file says of an image as a whole goes before what was painted, that before boxes that count as
    true, and those before what only a model says.
    """
    labels = dataset.label_columns()
    told_P = _keys(table, labels.image_ids, labels.class_ids)
    is_meant_P, is_of_model_P = (told_P >= 0) & (labels.presence >= 0), labels.origins == _MODEL
    weak = told_P[is_meant_P & is_of_model_P & (labels.presence == 1)]
    strong = told_P[is_meant_P & ~is_of_model_P & (labels.presence == 1)]
    absent = told_P[is_meant_P & ~is_of_model_P & (labels.presence == 0)]
    boxed, painted = _keys(table, *dataset.region_classes()), _keys(table, *_painted_in(dataset))
    weaker = np.concatenate([weak, boxed[boxed >= 0], painted[painted >= 0]])
    if len(weaker) and len(absent):
        weaker = weaker[~np.isin(weaker, absent)]
    there = _rising(np.concatenate([strong, weaker]))
    rows_P, places_P = np.divmod(there, max(len(table.header.class_names), 1))
    return Shown(rows_P, places_P, _truth(table, rows_P, places_P))


def rows_of(table: RoutingTable, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row of each image, -1 where the table does not have it."""
    return _found(table.image_ids, np.asarray(image_ids, np.int64))


def read_states(table: RoutingTable, dataset: DatasetView) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the images are another file than was routed, and which can be looked at; bool (N,) each."""
    is_stale_N, is_shown_N = np.zeros(len(table), np.bool_), np.zeros(len(table), np.bool_)
    contents = dataset.image_contents()
    rows = rows_of(table, contents.ids)
    rows, hashes, problems = rows[rows >= 0], contents.sha256[rows >= 0], contents.problems[rows >= 0]
    then = np.frombuffer(table.contents.tobytes().hex().encode(), "S64")[rows]
    is_known = (hashes != b"") & table.contents[rows].any(axis=1)
    is_other = np.asarray(then != hashes) & is_known
    is_stale_N[rows] = is_other | (problems == _PROBLEMS.index(Problem.CHANGED))
    is_shown_N[rows] = ~np.isin(problems, [_PROBLEMS.index(problem) for problem in _UNSEEN])
    return is_stale_N, is_shown_N


def positions_of(table: RoutingTable, class_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The position of each class, -1 where the table does not know it."""
    known = np.array(table.header.class_ids, np.int64)
    order = np.argsort(known, kind="stable")
    found = _found(known[order], np.asarray(class_ids, np.int64))
    is_known = (found >= 0) & (np.asarray(class_ids) > 0)  # 0 stands for a class that the project does not have
    return np.where(is_known, order[found] if len(order) else -1, -1)


def _truth(table: RoutingTable, rows_P: NDArray[np.int64], places_P: NDArray[np.int64]) -> NDArray[np.int32]:
    truth_N = np.full(len(table), -1, np.int32)
    is_first_P = np.diff(rows_P, prepend=-1) > 0
    truth_N[rows_P[is_first_P]] = places_P[is_first_P]
    still = rows_P[table.truth[rows_P] == places_P]
    truth_N[still] = table.truth[still]
    return truth_N


def _rising(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers in order, each once."""
    is_rising = bool((np.diff(numbers) > 0).all())
    return numbers if is_rising else np.unique(numbers)


def _keys(table: RoutingTable, image_ids: NDArray[np.int64], class_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each pair of row and position; -1 where the table has the image or the class not."""
    rows, places = rows_of(table, image_ids), positions_of(table, class_ids)
    return np.where((rows >= 0) & (places >= 0), rows * max(len(table.header.class_names), 1) + places, -1)


def _painted_in(dataset: DatasetView) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    painted = dataset.corrections_of_images(dataset.corrected_image_ids().tolist())
    pairs = [
        (image_id, each.class_id)
        for image_id, of_image in painted.items()
        for each in of_image
        if each.kind is Evidence.ADD
    ]
    images, classes = np.array(pairs, np.int64).reshape(-1, 2).T
    return images, classes


def _found(rising: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(rising):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(rising, wanted), len(rising) - 1)
    return np.where(rising[at] == wanted, at, -1)
