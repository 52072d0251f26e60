"""Heat as a picture to lay over another one.  Axes: W = side of a heatmap, F = side of the picture made of it.

A map is made finer first and coloured then, so that the colours between two cells are those between their values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QRegion

from locstudio.services.heat.colormaps import DEFAULT_COLORMAP, color_table
from locstudio.ui.canvas.view import View

MAX_SHOWN = 6
HUES = ("#e69f00", "#56b4e9", "#d55e00", "#f0e442", "#cc79a7", "#009e73")
"""Of several classes at once.  Source: Okabe and Ito, Color Universal Design; without its darkest blue and black."""
WHOLE_RANGE = (0, 255)
_FINE = 144
_FINE_OF_MANY = 84  # each costs time
_BAND = 24  # rows
_CLEAR_TO, _FULL_FROM = 0.04, 0.35  # of the range: from where on heat is seen, and from where on with all its opacity
_LOWEST_SPAN = 26  # a range stretched to a map that is hardly warm anywhere does not make a fire of it


@dataclass(frozen=True, slots=True)
class HeatLook:
    """How heat is shown.

    ``span`` are the values of the two ends of the colours; without ``is_locked`` each map has its own.
    ``is_inverted`` shows where there is no heat.
    """

    colormap: str = DEFAULT_COLORMAP
    opacity: float = 0.65
    is_inverted: bool = False
    is_locked: bool = True
    span: tuple[int, int] = WHOLE_RANGE

    def span_of(self, maps: Sequence[NDArray[np.uint8]]) -> tuple[int, int]:
        """The values that get the first and the last colour, for these maps."""
        if self.is_locked or not maps:
            return self.span
        low, high = min(int(one.min()) for one in maps), max(int(one.max()) for one in maps)
        return low, min(max(high, low + _LOWEST_SPAN), 255)


def finer(map_WW: NDArray[np.uint8], side: int = _FINE) -> NDArray[np.uint8]:
    """A map with ``side`` cells a side, bilinear between the middles of its cells and flat beyond the outermost."""
    weights_FW = _weights(len(map_WW), side)
    fine_FF: NDArray[np.uint8] = np.rint(weights_FW @ map_WW.astype(np.float32) @ weights_FW.T).astype(np.uint8)
    return fine_FF


def heat_image(
    maps: Sequence[NDArray[np.uint8]], look: HeatLook, colors: Sequence[QColor] = (), side: int = _FINE
) -> QImage:
    """One map in the colours of the look, or several, each in its own: where they overlap, the warmest is seen.

    Args:
        maps: Heatmaps, uint8 (W, W), at least one.
        look: How they are shown.
        colors: One for each map where there are several.
        side: Of the picture, in pixels; fewer where there are several maps.
    """
    tables = _tables(look, look.span_of(maps), tuple(color.rgb() for color in colors) if len(maps) > 1 else ())
    if len(maps) == 1:
        argb_FF = tables[0][finer(maps[0], side)]
    else:
        fine_CFF = np.stack([finer(one, min(side, _FINE_OF_MANY)) for one in maps])
        argb_FF = np.stack(tables)[fine_CFF.argmax(axis=0), fine_CFF.max(axis=0)]
    argb_FF = np.ascontiguousarray(argb_FF)
    side = len(argb_FF)
    return QImage(argb_FF.data, side, side, 4 * side, QImage.Format.Format_ARGB32_Premultiplied).copy()


def warm_parts(heat: QImage) -> tuple[QRect, ...]:
    """Bands of a picture of heat that hold all that is not wholly clear, from above: the rest need not be painted."""
    side = heat.width()
    is_warm_FF = np.frombuffer(heat.constBits(), np.uint32).reshape(heat.height(), side) > 0
    is_near_FF = is_warm_FF.copy()  # what is between two pixels has something of both
    is_near_FF[1:] |= is_warm_FF[:-1]
    is_near_FF[:-1] |= is_warm_FF[1:]
    warm = []
    for top in range(0, heat.height(), _BAND):
        columns = np.flatnonzero(is_near_FF[top : top + _BAND].any(axis=0))
        if len(columns):
            left, right = max(int(columns[0]) - 1, 0), min(int(columns[-1]) + 1, side - 1)
            warm.append(QRect(left, top, right - left + 1, min(_BAND, heat.height() - top)))
    return tuple(warm)


def paint_heat(
    painter: QPainter,
    heat: QImage,
    warm: Sequence[QRect],
    size: tuple[int, int],
    view: View,
    width: float,
    height: float,
) -> None:
    """Draw what a widget of this size (screen pixels) sees of heat over an image of ``size`` pixels.

    ``warm`` is the heat's ``warm_parts``: what is clear is not painted, for each pixel costs time.
    """
    across, down = heat.width() / size[0], heat.height() / size[1]
    seen = _on_screen(warm, across / view.scale, down / view.scale, view)
    if not seen.intersects(QRect(0, 0, ceil(width), ceil(height))):
        return
    x0, y0, x1, y1 = view.visible_px(width, height)
    left, right = _cut(x0 * across, x1 * across, heat.width())
    top, bottom = _cut(y0 * down, y1 * down, heat.height())
    screen_left, screen_top = view.to_screen(left / across, top / down)
    screen_right, screen_bottom = view.to_screen(right / across, bottom / down)
    target = QRectF(screen_left, screen_top, screen_right - screen_left, screen_bottom - screen_top)
    painter.save()
    painter.setClipRegion(seen, Qt.ClipOperation.IntersectClip)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
    painter.drawImage(target, heat, QRectF(left, top, right - left, bottom - top))
    painter.restore()


def _on_screen(bands: Sequence[QRect], across: float, down: float, view: View) -> QRegion:
    """Where bands of a picture are, whose pixels are one ``across``-th and one ``down``-th of a screen pixel large."""
    seen = QRegion()
    for band in bands:
        left, top = view.left + band.left() / across, view.top + band.top() / down
        right, bottom = left + band.width() / across, top + band.height() / down
        seen += QRect(QPoint(floor(left), floor(top)), QPoint(ceil(right) - 1, ceil(bottom) - 1))
    return seen


@lru_cache(maxsize=32)
def _tables(look: HeatLook, span: tuple[int, int], rgbs: tuple[int, ...]) -> tuple[NDArray[np.uint32], ...]:
    """For each map, what a value looks like: premultiplied ARGB, uint32 (256,)."""
    low, high = span
    share_V = np.clip((np.arange(256, dtype=np.float32) - low) / max(high - low, 1), 0, 1)
    if look.is_inverted:
        share_V = 1 - share_V
    alpha_V = look.opacity * np.clip((share_V - _CLEAR_TO) / (_FULL_FROM - _CLEAR_TO), 0, 1)
    if not rgbs:
        rgb_V3 = color_table(look.colormap)[np.rint(255 * share_V).astype(np.uint8)].astype(np.float32)
        return (_premultiplied(rgb_V3, alpha_V),)
    # One hue for each class: the warmer, the more of it.
    alpha_V = look.opacity * np.clip((share_V - _CLEAR_TO) / (1 - _CLEAR_TO), 0, 1)
    plain = [np.array([rgb >> 16 & 255, rgb >> 8 & 255, rgb & 255], np.float32) for rgb in rgbs]
    return tuple(_premultiplied(np.broadcast_to(rgb, (256, 3)), alpha_V) for rgb in plain)


def _premultiplied(rgb_V3: NDArray[np.float32], alpha_V: NDArray[np.floating[Any]]) -> NDArray[np.uint32]:
    parts_V3 = np.rint(rgb_V3 * alpha_V[:, None]).astype(np.uint32)
    alpha = np.rint(255 * alpha_V).astype(np.uint32)
    argb_V: NDArray[np.uint32] = alpha << 24 | parts_V3[:, 0] << 16 | parts_V3[:, 1] << 8 | parts_V3[:, 2]
    return argb_V


@lru_cache(maxsize=16)
def _weights(side: int, fine: int) -> NDArray[np.float32]:
    """How much each cell of a map counts in each of a finer one, float32 (fine, side)."""
    place_F = np.clip((np.arange(fine, dtype=np.float32) + 0.5) / fine * side - 0.5, 0, side - 1)
    weights: NDArray[np.float32] = np.maximum(1 - np.abs(place_F[:, None] - np.arange(side, dtype=np.float32)), 0)
    return weights


def _cut(start: float, end: float, highest: int) -> tuple[int, int]:
    """Whole pixels that hold a span, and one more on each side, as far as there are."""
    return max(floor(start) - 1, 0), min(ceil(end) + 1, highest)
