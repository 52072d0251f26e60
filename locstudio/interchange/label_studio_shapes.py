"""Shapes of Label Studio, in percent of their picture, as boxes and masks in pixels."""

import math
from dataclasses import dataclass
from typing import Any

from locstudio.interchange.label_studio_brush import runs_of_brush
from locstudio.interchange.masks import BadMask, PixelBox, box_of_mask, mask_text
from locstudio.interchange.rows import FAR, BadRow, pixel_box
from locstudio.interchange.run_lengths import runs_of, strokes_of, turned

DIGITS = 10
"""After the point, of a pixel or a share: what percent lose on their way is less."""

_MAX_PIXELS = 1 << 28


@dataclass(frozen=True, slots=True)
class Shape:
    """A box in pixels, with its mask where it has one; ``note`` says what was made of it."""

    box: PixelBox
    segmentation: Any = None
    mask: str | None = None
    note: str = ""


def kind_of(result: dict[str, Any]) -> str:
    """What a result is, without the word for its labels: ``rectangle`` for ``rectanglelabels``."""
    kind = result.get("type")
    return kind.removesuffix("labels") if isinstance(kind, str) else ""


def is_shape(result: dict[str, Any]) -> bool:
    """Whether a result can be a region."""
    return kind_of(result) in _SHAPES


def shape_of(result: dict[str, Any], width: int, height: int) -> Shape:
    """The shape of a result in a picture of this size; 1 x 1 stands for an unknown size.

    Raises:
        BadRow: it is none.
        BadMask: its mask is none.
    """
    value = result.get("value")
    if not isinstance(value, dict):
        raise BadRow("it has no value")
    if result.get("image_rotation") not in (None, 0):
        raise BadRow("its picture was turned in Label Studio")
    return _SHAPES[kind_of(result)](value, width, height)


def _rectangle(value: dict[str, Any], width: int, height: int) -> Shape:
    x, y = _number(value, "x") * width / 100, _number(value, "y") * height / 100
    across, down = _number(value, "width") * width / 100, _number(value, "height") * height / 100
    turn = math.radians(_number(value, "rotation", 0))
    if turn == 0:
        return Shape(pixel_box(*_rounded([x, y, x + across, y + down])))
    pixel_box(0, 0, across, down)
    cosine, sine = math.cos(turn), math.sin(turn)
    xs = [x, x + across * cosine, x - down * sine, x + across * cosine - down * sine]  # about its first corner
    ys = [y, y + across * sine, y + down * cosine, y + across * sine + down * cosine]
    box = pixel_box(*_rounded([min(xs), min(ys), max(xs), max(ys)]))
    return Shape(box, note="it is turned, and the box around it was taken")


def _ellipse(value: dict[str, Any], width: int, height: int) -> Shape:
    x, y = _number(value, "x") * width / 100, _number(value, "y") * height / 100
    across, down = _number(value, "radiusX") * width / 100, _number(value, "radiusY") * height / 100
    turn = math.radians(_number(value, "rotation", 0))
    half_x = math.hypot(across * math.cos(turn), down * math.sin(turn))
    half_y = math.hypot(across * math.sin(turn), down * math.cos(turn))
    box = pixel_box(*_rounded([x - half_x, y - half_y, x + half_x, y + half_y]))
    return Shape(box, note="it is an ellipse, and the box around it was taken")


def _polygon(value: dict[str, Any], width: int, height: int) -> Shape:
    points = value.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise BadMask("a polygon is not a list of three or more points")
    if not all(type(number) in (int, float) and abs(number) < FAR for point in points for number in point):
        raise BadMask("a polygon has a corner that is no finite number")
    polygon = [_rounded([x * width / 100, y * height / 100]) for x, y in points]
    return _masked([[number for point in polygon for number in point]])


def _brush(value: dict[str, Any], width: int, height: int) -> Shape:
    packed = value.get("rle")
    if value.get("format") != "rle" or not isinstance(packed, list):
        raise BadMask("the brush stroke has no run lengths")
    if width * height == 1:
        raise BadMask("the brush stroke's picture has no size")
    if width * height > _MAX_PIXELS:
        raise BadMask("the brush stroke's picture is too large")
    columns = turned(strokes_of(runs_of_brush(packed, width * height), width))
    return _masked({"size": [height, width], "counts": runs_of(columns, width, height)})


def _masked(segmentation: Any) -> Shape:
    mask = mask_text(segmentation)
    return Shape(pixel_box(*box_of_mask(segmentation)), segmentation, mask)


_SHAPES = {"rectangle": _rectangle, "ellipse": _ellipse, "polygon": _polygon, "brush": _brush}


def _number(value: dict[str, Any], name: str, otherwise: float | None = None) -> float:
    number = value.get(name, otherwise)
    if type(number) not in (int, float) or not abs(number) < FAR:  # type: ignore[arg-type]  # a number, once its type is known
        raise BadRow(f"its {name} is no finite number")
    return float(number)  # type: ignore[arg-type]  # checked above


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, DIGITS) for number in numbers]
