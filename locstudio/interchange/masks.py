"""COCO segmentations: polygons and run lengths, as boxes and areas, without ever painting them.

Pixels, XYXY.  A segmentation is a list of polygons ``[[x, y, x, y, …], …]``, or ``{"size": [height, width], "counts":
…}`` with run lengths in columns, starting with zeros, as a list or in COCO's compressed string.
"""

import math
from itertools import accumulate
from typing import Any

import msgspec

from locstudio.domain.masks import counts_of

PixelBox = tuple[float, float, float, float]

MAX_RUNS = 4_000_000
_FAR = 1e9
_NUMBERS = frozenset({int, float})


class BadMask(ValueError):
    """A segmentation that is neither polygons nor run lengths, with the reason."""


def mask_text(segmentation: Any) -> str | None:
    """A checked segmentation as JSON text, exactly as it came; None for an empty one.

    Raises:
        BadMask: it is not one.
    """
    if segmentation in (None, [], {}):
        return None
    if isinstance(segmentation, list):
        _check_polygons(segmentation)
    else:
        runs_of_mask(segmentation)
    return msgspec.json.encode(segmentation).decode()


def box_of_mask(segmentation: Any) -> PixelBox:
    """The smallest box around a checked segmentation.

    Raises:
        BadMask: it covers nothing.
    """
    if isinstance(segmentation, list):
        xs = [x for polygon in segmentation for x in polygon[0::2]]
        ys = [y for polygon in segmentation for y in polygon[1::2]]
        return min(xs), min(ys), max(xs), max(ys)
    return _box_of_runs(runs_of_mask(segmentation), int(segmentation["size"][0]))


def area_of_mask(segmentation: Any) -> float:
    """Pixels that a checked segmentation covers; polygons are summed, as COCO does."""
    if isinstance(segmentation, list):
        return sum(_polygon_area(polygon) for polygon in segmentation)
    return float(sum(runs_of_mask(segmentation)[1::2]))


def size_of_mask(segmentation: Any) -> tuple[int, int] | None:
    """Width and height of the picture that run lengths were made for; None for polygons."""
    if isinstance(segmentation, list):
        return None
    height, width = segmentation["size"]
    return int(width), int(height)


def scaled_polygons(segmentation: Any, scale_x: float, scale_y: float) -> Any:
    """Checked polygons in a picture of another size."""
    return [
        [value * (scale_y if place % 2 else scale_x) for place, value in enumerate(polygon)] for polygon in segmentation
    ]


def _check_polygons(polygons: list[Any]) -> None:
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise BadMask("a polygon is not a list of three or more points")
        # The sum is not finite where a corner is not; min and max alone would not see every NaN.
        is_sound = _NUMBERS.issuperset(map(type, polygon)) and min(polygon) > -_FAR and max(polygon) < _FAR
        if not is_sound or not math.isfinite(sum(polygon)):
            raise BadMask("a polygon has a corner that is no finite number")


def runs_of_mask(segmentation: Any) -> list[int]:
    """Run lengths as a list, be they compressed or not.

    Raises:
        BadMask: they are none, or do not fill their size.
    """
    if not isinstance(segmentation, dict):
        raise BadMask("the segmentation is neither polygons nor run lengths")
    size, counts = segmentation.get("size"), segmentation.get("counts")
    is_size = isinstance(size, list) and len(size) == 2 and all(type(side) is int and 0 < side < 1e9 for side in size)
    if not is_size or size is None:
        raise BadMask("the run lengths have no size")
    if isinstance(counts, str):
        try:
            counts = counts_of(counts)
        except ValueError as error:
            raise BadMask(str(error)) from error
    if not isinstance(counts, list) or not counts or len(counts) > MAX_RUNS:
        raise BadMask("the run lengths are no list")
    if not all(type(run) is int and run >= 0 for run in counts) or sum(counts) != size[0] * size[1]:
        raise BadMask("the run lengths do not fill their size")
    return counts


def _box_of_runs(runs: list[int], height: int) -> PixelBox:
    ends = list(accumulate(runs))
    spans = [(ends[place - 1], ends[place]) for place in range(1, len(runs), 2) if runs[place]]
    if not spans:
        raise BadMask("the segmentation covers nothing")
    left, right = spans[0][0] // height, (spans[-1][1] - 1) // height + 1
    top, bottom = height, 0
    for begin, end in spans:
        if begin // height != (end - 1) // height:  # it runs over into the next column
            return float(left), 0.0, float(right), float(height)
        top, bottom = min(top, begin % height), max(bottom, (end - 1) % height + 1)
    return float(left), float(top), float(right), float(bottom)


def _polygon_area(polygon: list[float]) -> float:
    xs, ys = polygon[0::2], polygon[1::2]
    around = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)
    return abs(math.fsum(x0 * y1 - x1 * y0 for x0, y0, x1, y1 in around)) / 2
