"""A picture on the screen: a mip pyramid, from which each frame draws only what is visible at the scale it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from locstudio.ui.canvas.view import View

NEAREST_FROM = 2.0  # device pixels per image pixel above which pixels are shown as squares


@dataclass(frozen=True, slots=True)
class Picture:
    """A pyramid of images, the largest first.  ``size`` is the upright image's, also when only a preview is here.

    Making one converts every level to the screen's own format (20 ms for 12 MP): make it in the worker that decoded.
    """

    size: tuple[int, int]
    levels: tuple[QImage, ...]

    @classmethod
    def from_arrays(cls, pyramid: Sequence[NDArray[np.uint8]], size: tuple[int, int]) -> "Picture":
        """A picture from RGB arrays of shape (height, width, 3), the largest first.

        Raises:
            ValueError: there is no level, an array is not RGB8, or the size has no area.
        """
        if not pyramid:
            raise ValueError("a picture needs at least one level")
        if size[0] <= 0 or size[1] <= 0:
            raise ValueError(f"image has no area: {size[0]} x {size[1]}")
        return cls(size, tuple(_to_qimage(level) for level in pyramid))

    def paint(self, painter: QPainter, view: View, width: float, height: float, pixel_ratio: float) -> None:
        """Draw what a widget of this size (screen pixels) sees of the picture."""
        zoom = view.scale * pixel_ratio
        level = self._level_for(zoom)
        # Levels are rounded to whole pixels, so each axis has its own ratio.
        per_px_x, per_px_y = level.width() / self.size[0], level.height() / self.size[1]
        x0, y0, x1, y1 = view.visible_px(width, height)
        source_x0 = int(min(max(np.floor(x0 * per_px_x) - 1, 0), level.width()))
        source_y0 = int(min(max(np.floor(y0 * per_px_y) - 1, 0), level.height()))
        source_x1 = int(min(max(np.ceil(x1 * per_px_x) + 1, 0), level.width()))
        source_y1 = int(min(max(np.ceil(y1 * per_px_y) + 1, 0), level.height()))
        if source_x1 <= source_x0 or source_y1 <= source_y0:
            return
        left, top = view.to_screen(source_x0 / per_px_x, source_y0 / per_px_y)
        right, bottom = view.to_screen(source_x1 / per_px_x, source_y1 / per_px_y)
        # A side thinner than a pixel is still drawn: a 30000 x 1 picture must be seen.
        target = QRectF(left, top, max(right - left, 1.0), max(bottom - top, 1.0))
        source = QRectF(source_x0, source_y0, source_x1 - source_x0, source_y1 - source_y0)
        is_exact = level is self.levels[0] and zoom == 1.0
        smooth = not is_exact and zoom * self.size[0] / level.width() < NEAREST_FROM
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth or level.width() < self.size[0])
        painter.drawImage(target, level, source)

    def _level_for(self, zoom: float) -> QImage:
        """The smallest level that is not magnified; the largest where all are."""
        wanted = max(self.size) * zoom
        for level in reversed(self.levels):
            if max(level.width(), level.height()) >= wanted:
                return level
        return self.levels[0]


def _to_qimage(rgb: NDArray[np.uint8]) -> QImage:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"expected RGB8 of shape (height, width, 3), not {rgb.dtype} {rgb.shape}")
    rows = np.ascontiguousarray(rgb)
    height, width = rows.shape[:2]
    # RGB32 draws 2.6 times as fast as RGB888; the conversion copies, so the array need not outlive this call.
    return QImage(rows.data, width, height, 3 * width, QImage.Format.Format_RGB888).convertToFormat(
        QImage.Format.Format_RGB32
    )
