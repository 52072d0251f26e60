"""Boxes under a moving mouse: pure functions in image pixels.

Every function returns boxes that lie inside the image and are at least one pixel wide and high, XYXY.
"""

from enum import Flag

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import UnitBox

BoxPx = tuple[float, float, float, float]


class Side(Flag):
    """Sides of a box that a handle takes along.  A corner is two of them."""

    NONE = 0
    LEFT = 1
    TOP = 2
    RIGHT = 4
    BOTTOM = 8


HANDLES = (
    Side.LEFT | Side.TOP,
    Side.TOP,
    Side.RIGHT | Side.TOP,
    Side.RIGHT,
    Side.RIGHT | Side.BOTTOM,
    Side.BOTTOM,
    Side.LEFT | Side.BOTTOM,
    Side.LEFT,
)


def handle_points(box: BoxPx) -> tuple[tuple[float, float], ...]:
    """Where the eight handles of ``HANDLES`` sit, in the frame of the box."""
    x0, y0, x1, y1 = box
    mid_x, mid_y = (x0 + x1) / 2, (y0 + y1) / 2
    return (x0, y0), (mid_x, y0), (x1, y0), (x1, mid_y), (x1, y1), (mid_x, y1), (x0, y1), (x0, mid_y)


def normalised(box: BoxPx, width: int, height: int) -> BoxPx:
    """Put the corners in order, cut at the image, and grow to one pixel where there is less."""
    left, right = _ordered(box[0], box[2], width)
    top, bottom = _ordered(box[1], box[3], height)
    return left, top, right, bottom


def _ordered(a: float, b: float, length: int) -> tuple[float, float]:
    low, high = sorted((min(max(a, 0.0), float(length)), min(max(b, 0.0), float(length))))
    if high - low < 1.0:
        low = min(low, length - 1.0)
        high = low + 1.0
    return low, high


def drawn(anchor: tuple[float, float], point: tuple[float, float], width: int, height: int, is_square: bool) -> BoxPx:
    """The box between two corners; as a square it keeps the anchor and ends where the image does."""
    x, y = point
    if is_square:
        x, y = _square_corner(anchor, point, width, height)
    return normalised((anchor[0], anchor[1], x, y), width, height)


def _square_corner(
    anchor: tuple[float, float], point: tuple[float, float], width: int, height: int
) -> tuple[float, float]:
    dx, dy = point[0] - anchor[0], point[1] - anchor[1]
    room_x = width - anchor[0] if dx >= 0 else anchor[0]
    room_y = height - anchor[1] if dy >= 0 else anchor[1]
    side = min(max(abs(dx), abs(dy)), room_x, room_y)
    return anchor[0] + (side if dx >= 0 else -side), anchor[1] + (side if dy >= 0 else -side)


def resized(box: BoxPx, sides: Side, point: tuple[float, float], width: int, height: int, is_square: bool) -> BoxPx:
    """The box after its handle went to ``point``; a side dragged across the opposite one turns the box over."""
    x0, y0, x1, y1 = box
    if is_square and sides in HANDLES[::2]:
        anchor = (x1 if Side.LEFT in sides else x0, y1 if Side.TOP in sides else y0)
        return drawn(anchor, point, width, height, is_square=True)
    if Side.LEFT in sides:
        x0 = point[0]
    if Side.RIGHT in sides:
        x1 = point[0]
    if Side.TOP in sides:
        y0 = point[1]
    if Side.BOTTOM in sides:
        y1 = point[1]
    return normalised((x0, y0, x1, y1), width, height)


def moved(boxes_N4: NDArray[np.float64], dx: float, dy: float, width: int, height: int) -> NDArray[np.float64]:
    """Boxes shifted together as far as all of them stay inside the image; their sizes do not change."""
    low, high = boxes_N4[:, :2].min(axis=0), boxes_N4[:, 2:].max(axis=0)
    shift_x = min(max(dx, -low[0]), width - high[0])
    shift_y = min(max(dy, -low[1]), height - high[1])
    shifted: NDArray[np.float64] = boxes_N4 + np.array([shift_x, shift_y, shift_x, shift_y])
    return np.clip(shifted, 0.0, np.array([width, height, width, height], np.float64))


def grown(box: BoxPx, dx: float, dy: float, width: int, height: int) -> BoxPx:
    """The box with its right and bottom sides moved; never turned over."""
    x0, y0, x1, y1 = box
    return normalised((x0, y0, max(x1 + dx, x0 + 1.0), max(y1 + dy, y0 + 1.0)), width, height)


def middle_half(seen: BoxPx, width: int, height: int) -> BoxPx:
    """The middle of what is seen of the image, half as wide and high: where a box begins that no mouse draws."""
    x0, y0, x1, y1 = normalised(seen, width, height)
    quarter_x, quarter_y = (x1 - x0) / 4, (y1 - y0) / 4
    inner = (round(x0 + quarter_x), round(y0 + quarter_y), round(x1 - quarter_x), round(y1 - quarter_y))
    return normalised(inner, width, height)


def to_unit(box: BoxPx, width: int, height: int) -> UnitBox:
    """The box that a person made, in the frame in which it is stored."""
    return UnitBox.from_pixels(*box, width, height)
