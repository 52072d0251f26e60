"""Looking into an evaluation: which classes are taken for which, at what threshold, and which regions that concerns.

Every number leads back to the regions behind it.  Ties count against the model, as in the trainer's metrics; of nothing
there is no number.  Axes: N = regions, C = classes, K = rows of a confusion matrix.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from locstudio.jobs.predictions import Bools, Floats, Ints, PredictionFolder, Predictions, RegionPredictions, Summary

Direction = Literal["r2t", "t2r", "i2t", "t2i"]
RECALL_RANKS = (1, 5, 10)
OTHERS = -1
"""Stands for all classes that have no row of their own in a confusion matrix."""
HIT_IOU = 0.5
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RegionList:
    """Regions with their images, in the order of the evaluation; the region is None where the whole image is meant."""

    region_ids: tuple[int | None, ...]
    image_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.image_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """How often the class of a row was taken for the class of a column.  All entries together are all regions.

    ``class_rows`` are rows of the evaluation's classes, the last ``OTHERS`` where not all have a row of their own.
    """

    names: tuple[str, ...]
    class_rows: tuple[int, ...]
    counts: Ints


@dataclass(frozen=True, slots=True, eq=False)
class PrCurve:
    """Precision and recall at every distinct score, from the highest threshold to the lowest.

    ``average_precision`` is the sum of precision times the growth of recall, None where nothing was to be found.
    """

    precision: Floats
    recall: Floats
    thresholds: Floats
    average_precision: float | None
    num_positives: int


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What a threshold does: found and right, found and wrong, not found although it is there."""

    right: RegionList
    wrong: RegionList
    missed: RegionList


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class of the vocabulary; numbers are None where no region has it."""

    row: int
    class_id: int
    name: str
    num_regions: int
    top1: float | None
    average_precision: float | None


class Evaluation:
    """One evaluation, in memory.  Never changes; may be used from any thread."""

    def __init__(self, predictions: Predictions, *, is_held_out_only: bool = False) -> None:
        self._all = predictions
        self.is_held_out_only = is_held_out_only
        self._found = _held_out(predictions) if is_held_out_only else predictions

    @classmethod
    def open(cls, folder: Path) -> "Evaluation":
        """Read the predictions in a folder, mostly ``results/predictions`` of a run.

        Raises:
            BadInput: they are missing or damaged.
        """
        return cls(PredictionFolder(folder).read())

    def only_held_out(self) -> "Evaluation":
        """The same, over what the checkpoint has not learnt from, and searched among that alone."""
        return Evaluation(self._all, is_held_out_only=True)

    @property
    def predictions(self) -> Predictions:
        """The tables that are looked into."""
        return self._found

    @property
    def summary(self) -> Summary:
        """Which checkpoint was measured, and on what."""
        return self._all.summary

    @property
    def metrics(self) -> dict[str, float]:
        """All numbers of the evaluation, over what is looked at."""
        return self.summary.held_out_metrics if self.is_held_out_only else self.summary.metrics

    @property
    def class_names(self) -> tuple[str, ...]:
        """The vocabulary, by row."""
        return tuple(name for _, name in self._found.classes)

    def classes(self) -> tuple[ClassResult, ...]:
        """Every class of the vocabulary, by row."""
        regions = self._regions()
        num_C = np.bincount(regions.true_rows, minlength=len(self.class_names))
        right_C = np.bincount(regions.true_rows[regions.ranks == 0], minlength=len(self.class_names))
        return tuple(
            ClassResult(
                row=row,
                class_id=class_id,
                name=name,
                num_regions=int(num_C[row]),
                top1=float(right_C[row] / num_C[row]) if num_C[row] else None,
                average_precision=_average_precision(*self._candidates(row)[:2]),
            )
            for row, (class_id, name) in enumerate(self._found.classes)
        )

    def confusion(self, limit: int = 20) -> Confusion:
        """The matrix of the classes that occur; of more than ``limit`` those that take part in most mistakes.

        All other classes share a last row and column.
        """
        regions = self._regions()
        rows = self._confused(regions, limit)
        place_C = _places(rows, len(self.class_names))
        counts = np.zeros((len(rows), len(rows)), np.int64)
        np.add.at(counts, (place_C[regions.true_rows], place_C[regions.found_rows]), 1)
        names = tuple("all others" if row == OTHERS else self.class_names[row] for row in rows)
        return Confusion(names, rows, counts)

    def regions_in_cell(self, true: int, found: int, limit: int = 20) -> RegionList:
        """The regions of a cell of ``confusion(limit)``, by its row and column.

        Raises:
            IndexError: there is no such cell.
        """
        regions = self._regions()
        rows = self._confused(regions, limit)
        if not (0 <= true < len(rows) and 0 <= found < len(rows)):
            raise IndexError(f"no cell {true}, {found} in a matrix of {len(rows)} rows")
        place_C = _places(rows, len(self.class_names))
        is_here = (place_C[regions.true_rows] == true) & (place_C[regions.found_rows] == found)
        return _listed(regions.region_ids, regions.image_ids, is_here)

    def precision_recall(self, class_row: int | None = None) -> PrCurve:
        """The curve of one class: every region is a candidate for it, by its score for the class's name.

        None is the curve of naming as a whole: each region is named by its best class, if that scores high enough.
        """
        scores_N, is_right_N, num_positives = self._candidates(class_row)
        return _curve(scores_N, is_right_N, num_positives)

    def regions_at(self, threshold: float, class_row: int | None = None) -> AtThreshold:
        """The regions behind a point of ``precision_recall``."""
        regions = self._regions()
        scores_N, is_right_N, _ = self._candidates(class_row)
        is_over_N = scores_N >= threshold
        is_wanted_N = np.ones_like(is_right_N) if class_row is None else is_right_N
        masks = (is_over_N & is_right_N, is_over_N & ~is_right_N, ~is_over_N & is_wanted_N)
        return AtThreshold(*(_listed(regions.region_ids, regions.image_ids, mask) for mask in masks))

    def recall_at_k(self, direction: Direction = "r2t") -> dict[int, float]:
        """Share of queries whose answer is among the first 1, 5 and 10; empty where that was not measured.

        ``r2t``: a region asks for its phrase; ``t2r``: a phrase for any of its regions; ``i2t`` and ``t2i``: an image
        for one of its captions, a caption for its image.
        """
        ranks = self._ranks(direction)
        return {k: float((ranks < k).mean()) for k in RECALL_RANKS} if ranks.size else {}

    def missed_at(self, k: int, direction: Direction = "r2t") -> RegionList:
        """What the queries that failed at ``k`` were about: regions, all regions of a phrase, or whole images."""
        retrieval, images = self._found.retrieval, self._found.images
        if direction in ("r2t", "t2r"):
            if retrieval is None:
                return RegionList((), ())
            rank_N = retrieval.ranks_r2t if direction == "r2t" else retrieval.ranks_t2r[retrieval.phrase_rows]
            return _listed(retrieval.region_ids, retrieval.image_ids, rank_N >= k)
        if images is None:
            return RegionList((), ())
        if direction == "i2t":
            missed = images.image_ids[images.ranks_i2t >= k]
        else:
            missed = np.unique(images.caption_image_ids[images.ranks_t2i >= k])
        return RegionList((None,) * len(missed), tuple(missed.tolist()))

    def overlaps(self, num_bins: int = 10) -> tuple[int, ...]:
        """How many phrases were found with which overlap, in equal parts of [0, 1]; empty if that was not measured."""
        grounding = self._found.grounding
        if grounding is None or not grounding.ious.size:
            return ()
        return tuple(np.histogram(grounding.ious, num_bins, (0.0, 1.0))[0].tolist())

    def regions_with_overlap(self, low: float, high: float) -> RegionList:
        """The regions whose phrase was found with an overlap in [low, high); 1 belongs to the last part."""
        grounding = self._found.grounding
        if grounding is None:
            return RegionList((), ())
        is_here = (grounding.ious >= low) & ((grounding.ious < high) | (high >= 1.0))
        return _listed(grounding.region_ids, grounding.image_ids, is_here)

    def _regions(self) -> RegionPredictions:
        if self._found.regions is not None:
            return self._found.regions
        none = np.zeros(0, np.int64)
        scores = np.zeros((0, len(self.class_names)), np.float16)
        boxes = np.zeros((0, 4), np.float32)
        return RegionPredictions(none, none, boxes, none, none, none, np.zeros(0, np.bool_), scores)

    def _confused(self, regions: RegionPredictions, limit: int) -> tuple[int, ...]:
        """Classes with a row of their own, in the order of the vocabulary, and ``OTHERS`` if that leaves some out."""
        num_classes = len(self.class_names)
        uses_C = np.bincount(np.concatenate([regions.true_rows, regions.found_rows]), minlength=num_classes)
        is_wrong_N = regions.true_rows != regions.found_rows
        wrong = np.concatenate([regions.true_rows[is_wrong_N], regions.found_rows[is_wrong_N]])
        wrong_C = np.bincount(wrong, minlength=num_classes)
        by_mistakes = np.lexsort((np.arange(num_classes), -uses_C, -wrong_C))
        occurring = by_mistakes[uses_C[by_mistakes] > 0]
        chosen = tuple(np.sort(occurring[:limit]).tolist())
        return (*chosen, OTHERS) if len(occurring) > limit else chosen

    def _candidates(self, class_row: int | None) -> tuple[Floats, Bools, int]:
        """Score of every region, whether finding it is right, and how many there are to be found."""
        regions = self._regions()
        asked = regions.found_rows if class_row is None else np.full(len(regions.true_rows), class_row, np.int64)
        scores_N = np.take_along_axis(regions.scores, asked[:, None], axis=1)[:, 0].astype(np.float32)
        is_right_N = regions.true_rows == asked
        return scores_N, is_right_N, len(is_right_N) if class_row is None else int(is_right_N.sum())

    def _ranks(self, direction: Direction) -> Ints:
        retrieval, images = self._found.retrieval, self._found.images
        if direction == "r2t" and retrieval is not None:
            return retrieval.ranks_r2t
        if direction == "t2r" and retrieval is not None:
            return retrieval.ranks_t2r[np.unique(retrieval.phrase_rows)]
        if direction == "i2t" and images is not None:
            return images.ranks_i2t
        if direction == "t2i" and images is not None:
            return images.ranks_t2i
        return np.zeros(0, np.int64)


def _places(rows: tuple[int, ...], num_classes: int) -> Ints:
    """The place in ``rows`` of each class; what is not there stands in the last."""
    place_C = np.full(num_classes, len(rows) - 1, np.int64)
    own = [row for row in rows if row != OTHERS]
    place_C[own] = np.arange(len(own))
    return place_C


def _curve(scores_N: Floats, is_right_N: Bools, num_positives: int) -> PrCurve:
    none = np.zeros(0, np.float32)
    if not num_positives or not len(scores_N):
        return PrCurve(none, none, none, None, num_positives)
    order = np.argsort(-scores_N, kind="stable")
    scores, right = scores_N[order], np.cumsum(is_right_N[order])
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # equal scores come in together
    precision, recall = right[last] / (last + 1), right[last] / num_positives
    average = _average_precision(scores_N, is_right_N, num_positives)
    return PrCurve(precision.astype(np.float32), recall.astype(np.float32), scores[last], average, num_positives)


def _average_precision(scores_N: Floats, is_right_N: Bools, num_positives: int | None = None) -> float | None:
    """The sum of precision times the growth of recall over all distinct scores; None where nothing was to be found.

    Recall grows only at scores of right candidates, so that sorting values suffices.
    """
    right = np.sort(scores_N[is_right_N])
    num_positives = len(right) if num_positives is None else num_positives
    if not num_positives:
        return None
    thresholds, growth = np.unique(right, return_counts=True)
    num_right = len(right) - np.searchsorted(right, thresholds)
    num_found = len(scores_N) - np.searchsorted(np.sort(scores_N), thresholds)
    return float(np.sum(growth * num_right / num_found) / num_positives)


def _listed(region_ids: Ints, image_ids: Ints, mask: NDArray[np.bool_]) -> RegionList:
    return RegionList(tuple(region_ids[mask].tolist()), tuple(image_ids[mask].tolist()))


def _held_out(predictions: Predictions) -> Predictions:
    """Every table without the rows of what was learnt from."""
    regions, grounding, detections = predictions.regions, predictions.grounding, predictions.detections
    return replace(
        predictions,
        regions=None if regions is None else _rows(regions, regions.is_held_out),
        grounding=None if grounding is None else _rows(grounding, grounding.is_held_out),
        detections=None if detections is None else _rows(detections, detections.is_held_out),
        retrieval=predictions.held_out_retrieval,
        images=predictions.held_out_images,
    )


def _rows(table: _T, mask: Bools) -> _T:
    """A table with some of its rows."""
    columns = {entry.name: getattr(table, entry.name)[mask] for entry in fields(table)}  # type: ignore[arg-type]  # tables are dataclasses
    return replace(table, **columns)  # type: ignore[type-var]
