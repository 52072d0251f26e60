"""What is painted on heatmaps, and what is taken from them as boxes, as edits.

Axes: P = points of a line, Q = points of the eraser's line.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import Change, CorrectionChange, Edit, LabelChange, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import MAX_POINTS, Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image, Origin, Region, Review
from locstudio.store.dataset import Dataset
from locstudio.store.view import DatasetView

_DIGITS = 5
_TITLES = {Evidence.ADD: "Paint evidence in", Evidence.REMOVE: "Paint evidence out"}


def paint(
    image: Image,
    class_id: int,
    kind: Evidence,
    stroke: Stroke,
    *,
    new_id: int,
    checkpoint_id: str = "",
) -> Edit:
    """Paint a class in or out.

    Args:
        image: Where.
        class_id: What.
        kind: In or out.
        stroke: One movement of the brush.
        new_id: Of the correction, from ``Dataset.next_correction_id``.
        checkpoint_id: The model whose heat the person has seen.
    """
    correction = HeatCorrection(
        id=new_id,
        image_id=image.id,
        class_id=class_id,
        kind=kind,
        strokes=(_rounded(_thinned(stroke, image)),),
        checkpoint_id=checkpoint_id,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    return Edit(_TITLES[kind], (CorrectionChange(None, correction),))


def erase(image: Image, class_id: int, eraser: Stroke, corrections: Iterable[HeatCorrection]) -> Edit:
    """Take away what was painted on a class where the eraser went.

    A stroke goes where it would leave paint under the eraser; what is left of it on both sides are strokes of their
    own, whose round ends touch where the eraser went.
    """
    changes = []
    for correction in corrections:
        if correction.class_id != class_id or correction.image_id != image.id:
            continue
        left = [part for stroke in correction.strokes for part in _left_of(stroke, eraser, image)]
        if tuple(left) != correction.strokes:
            changes.append(CorrectionChange(correction, replace(correction, strokes=tuple(left)) if left else None))
    return Edit("Erase paint", tuple(changes))


def clear(image: Image, class_id: int, corrections: Iterable[HeatCorrection]) -> Edit:
    """Take away all that was painted on a class of an image."""
    of_class = [each for each in corrections if each.class_id == class_id and each.image_id == image.id]
    return Edit("Clear paint", tuple(CorrectionChange(each, None) for each in of_class))


def region_from_heat(
    dataset: Dataset, image: Image, class_id: int, boxes: Sequence[UnitBox], *, title: str = ""
) -> Edit:
    """Take boxes from the heat of a class as a person's own regions, accepted.

    A box shows that the class is there, so what was said against it is taken back by the same edit.
    """
    changes: list[Change] = [
        LabelChange(label, None)
        for label in dataset.labels_of(image.id)
        if label.class_id == class_id and label.presence is Presence.NEGATIVE and boxes
    ]
    for box in boxes:
        region = Region(dataset.next_region_id(), image.id, box, "", class_id, Review.ACCEPTED, Origin.HUMAN)
        changes.append(RegionChange(None, region))
    return Edit(title or ("Box from heat" if len(boxes) == 1 else f"{len(boxes)} boxes from heat"), tuple(changes))


def corrections_on(dataset: DatasetView, image_id: int, class_id: int) -> list[HeatCorrection]:
    """What was painted on a class of an image, oldest first."""
    return [each for each in dataset.corrections_of(image_id) if each.class_id == class_id]


def _left_of(stroke: Stroke, eraser: Stroke, image: Image) -> list[Stroke]:
    """What an eraser leaves of a stroke: the stroke itself where it does not come near."""
    scale = _scale(image)
    line_P2, is_own_P = _line(np.array(stroke.points, np.float64) * scale, stroke.radius / 4)
    eraser_Q2 = np.array(eraser.points, np.float64) * scale
    is_gone_P = _distances(line_P2, eraser_Q2) < eraser.radius + stroke.radius
    if not is_gone_P.any():
        return [stroke]
    edges = np.flatnonzero(np.diff(np.concatenate([[True], is_gone_P, [True]]).astype(np.int8)))
    left = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        is_kept = is_own_P[begin:end]
        is_kept[[0, -1]] = True
        points = (line_P2[begin:end][is_kept] / scale).tolist()
        left.append(_rounded(Stroke(tuple((x, y) for x, y in points), stroke.radius)))
    return left


def _line(points_P2: NDArray[np.float64], step: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A line with more points, none further from the next than a step, and which of them it had before."""
    lengths = np.linalg.norm(np.diff(points_P2, axis=0), axis=1)
    step = max(step, float(lengths.sum()) / (MAX_POINTS - len(points_P2)) if len(points_P2) < MAX_POINTS else np.inf)
    parts, is_own = [points_P2[:1]], [np.ones(1, np.bool_)]
    for one, other, length in zip(points_P2, points_P2[1:], lengths.tolist(), strict=False):
        num = int(length // step) + 1 if np.isfinite(step) else 1
        shares = (np.arange(num) + 1)[:, None] / num
        parts.append(one + (other - one) * shares)
        is_own.append(np.arange(num) == num - 1)
    return np.concatenate(parts), np.concatenate(is_own)


def _distances(points_P2: NDArray[np.float64], line_Q2: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each point is from a line, (P,)."""
    ends_Q2 = line_Q2[1:] if len(line_Q2) > 1 else line_Q2
    nearest_P = np.full(len(points_P2), np.inf)
    for one, other in zip(line_Q2, ends_Q2, strict=False):
        along_2 = other - one
        square = float(along_2 @ along_2)
        share_P = np.clip((points_P2 - one) @ along_2 / square, 0, 1) if square else np.zeros(len(points_P2))
        nearest_P = np.minimum(nearest_P, np.linalg.norm(points_P2 - one - share_P[:, None] * along_2, axis=1))
    return nearest_P


def _scale(image: Image) -> NDArray[np.float64]:
    """What makes the unit frame one in which the brush is round, and the longer side 1."""
    width, height = max(image.width, 1), max(image.height, 1)
    return np.array([width, height], np.float64) / max(width, height)


def _thinned(stroke: Stroke, image: Image) -> Stroke:
    """A stroke without the points that its brush does not tell from their neighbours."""
    scale_x, scale_y = _scale(image).tolist()
    apart = stroke.radius / 8
    kept = [stroke.points[0]]
    for x, y in stroke.points[1:-1]:
        if ((x - kept[-1][0]) * scale_x) ** 2 + ((y - kept[-1][1]) * scale_y) ** 2 >= apart**2:
            kept.append((x, y))
    return Stroke((*kept, *stroke.points[1:][-1:]), stroke.radius)


def _rounded(stroke: Stroke) -> Stroke:
    """The stroke as the dataset keeps it, so that an edit finds again what it has written."""
    points = tuple((round(x, _DIGITS), round(y, _DIGITS)) for x, y in stroke.points)
    return Stroke(points, max(round(stroke.radius, _DIGITS), 10**-_DIGITS))
