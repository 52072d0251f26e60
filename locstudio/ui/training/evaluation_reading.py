"""Evaluations as their view shows them.  Reads what lies on disk: call it on a worker."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from locstudio.domain.regions import Image, Region
from locstudio.jobs.class_results import has_class_results, read_class_results
from locstudio.services.evaluation import Direction, Evaluation, PrCurve
from locstudio.ui.training.class_table import ClassLine
from locstudio.ui.training.evaluation_view import ShownEvaluation
from locstudio.ui.training.image_confusion import ImageConfusion
from locstudio.ui.training.pr_view import Curve
from locstudio.ui.training.recall_bars import RecallGroup
from locstudio.ui.training.region_items import named_by_itself
from locstudio.ui.training.wording import counted

MAX_CLASSES = 400  # with a row of their own in the matrix
_MAX_POINTS = 2000  # of a curve on the screen
_OF_IMAGES = {"top1": "image_top1", "top5": "image_top5"}
DIRECTIONS: dict[Direction, str] = {
    "r2t": "A region finds its phrase",
    "t2r": "A phrase finds a region of it",
    "i2t": "An image finds a caption of it",
    "t2i": "A caption finds its image",
}


def shown_evaluation(shown: Evaluation, older: Evaluation | None, older_name: str) -> ShownEvaluation:
    """An evaluation as the view shows it."""
    confusion = shown.confusion(MAX_CLASSES)
    classes = [
        ClassLine(each.row, each.name, each.num_regions, _number(each.top1), _number(each.average_precision))
        for each in shown.classes()
        if each.num_regions
    ]
    if classes:
        whole = shown.precision_recall(None)
        total = sum(line.count for line in classes)
        top1 = float(np.trace(confusion.counts)) / total if len(classes) < MAX_CLASSES else _number(None)
        top1 = shown.metrics.get("top1", top1)
        classes.insert(0, ClassLine(None, "All classes", total, top1, _number(whole.average_precision)))
    recalls = [
        RecallGroup(way, words, _num_asked(shown, way), shares)
        for way, words in DIRECTIONS.items()
        if (shares := shown.recall_at_k(way))
    ]
    return ShownEvaluation(
        metrics=shown.metrics,
        older=older.metrics if older else {},
        older_name=older_name,
        class_names=confusion.names,
        counts_CC=confusion.counts,
        classes=classes,
        recalls=recalls,
        overlaps=shown.overlaps(),
        note=_note(shown),
    )


def shown_of_images(
    place: Path, older_place: Path | None = None, *, older_name: str = "", confused: ImageConfusion | None = None
) -> ShownEvaluation:
    """An evaluation of the classes of images as the view shows it; against another one where that is one, too.

    Args:
        place: Where it lies.
        older_place: Where the other one lies.
        older_name: What the other one is called.
        confused: What was taken for what, where that is known.

    Raises:
        BadInput: it cannot be read.
    """
    found = read_class_results(place)
    older = read_class_results(older_place) if older_place is not None and has_class_results(older_place) else None
    classes = [
        ClassLine(row, line.name, line.num_positives, _number(line.top1), _number(line.average_precision))
        for row, line in enumerate(found.classes)
        if line.num_positives
    ]
    if "map" in found.metrics or "top1" in found.metrics:
        total = sum(line.count for line in classes)
        whole = (_number(found.metrics.get(name)) for name in ("top1", "map"))
        classes.insert(0, ClassLine(None, "All classes", total, *whole))
    is_held_out = found.num_held_out == found.num_images
    return ShownEvaluation(
        metrics=_of_images(found.metrics),
        older=_of_images(older.metrics) if older else {},
        older_name=older_name if older else "",
        class_names=confused.names if confused else (),
        counts_CC=confused.counts_CC if confused else np.zeros((0, 0), np.int64),
        classes=classes,
        note=counted(found.num_images, "image") + (" not learnt from" if is_held_out else ""),
        is_of_images=True,
    )


def _of_images(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics under the names of cards: an image that is named right is no region that is."""
    return {_OF_IMAGES.get(name, name): value for name, value in metrics.items()}


def curve_of(name: str, found: PrCurve) -> Curve | None:
    """A curve as the view draws it, thinned to what a screen can show."""
    if found.average_precision is None:
        return None
    count = len(found.recall)
    at = np.unique(np.linspace(0, count - 1, min(count, _MAX_POINTS)).astype(np.int64))
    return Curve(
        name,
        found.recall[at].astype(np.float64),
        found.precision[at].astype(np.float64),
        found.thresholds[at].astype(np.float64),
        found.average_precision,
    )


def older_row(shown: Evaluation, older: Evaluation | None, class_row: int | None) -> int | bool | None:
    """The row of the same class in the older evaluation; False where it has none."""
    if class_row is None or older is None:
        return None
    name = shown.class_names[class_row]
    return older.class_names.index(name) if name in older.class_names else False


def captions_of(shown: Evaluation) -> Callable[[Region | None, Image], tuple[str, float]]:
    """What stands below the tiles: what the region is, and what it was named."""
    regions = shown.predictions.regions
    if regions is None:
        return named_by_itself
    names = shown.class_names
    place_of = {region_id: place for place, region_id in enumerate(regions.region_ids.tolist())}

    def caption(region: Region | None, image: Image) -> tuple[str, float]:
        place = None if region is None else place_of.get(region.id)
        if place is None:
            return named_by_itself(region, image)
        true, found = int(regions.true_rows[place]), int(regions.found_rows[place])
        words = names[true] if true == found else f"{names[true]} → {names[found]}"
        return words, float(regions.scores[place, found])

    return caption


def _num_asked(shown: Evaluation, direction: Direction) -> int:
    retrieval, images = shown.predictions.retrieval, shown.predictions.images
    if retrieval is not None and direction in ("r2t", "t2r"):
        asked = retrieval.region_ids if direction == "r2t" else np.unique(retrieval.phrase_rows)
        return len(asked)
    if images is not None and direction in ("i2t", "t2i"):
        return len(images.image_ids if direction == "i2t" else images.caption_ids)
    return 0


def _note(shown: Evaluation) -> str:
    summary = shown.summary
    if shown.is_held_out_only:
        return f"{counted(summary.num_held_out_images, 'image')} not learnt from"
    return counted(summary.num_images, "image")


def _number(value: float | None) -> float:
    return math.nan if value is None else value
