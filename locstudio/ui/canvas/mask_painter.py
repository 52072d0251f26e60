"""Masks painted over the picture, under the boxes: a translucent fill with a thin outline.

A mask on its way has a dark edge besides, so that it shows on any picture.
"""

from collections import OrderedDict
from collections.abc import Iterable

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from locstudio.domain.masks import outlines_of_text
from locstudio.domain.regions import Region, Review
from locstudio.ui.canvas.mask_tool import MaskPoint
from locstudio.ui.canvas.view import View

FILL_ALPHA = 80
_PREVIEW_ALPHA = 110
_MAX_PATHS = 512
_POINT_RADIUS = 6.0
_EDGE = QColor("#1b1d21")
_INSIDE, _OUTSIDE = QColor("#2fbf71"), QColor("#e5484d")


class MaskPainter:
    """Paints masks; remembers the outlines of those it has painted."""

    def __init__(self) -> None:
        self._paths: OrderedDict[str, QPainterPath] = OrderedDict()

    def paint(self, painter: QPainter, masks: Iterable[tuple[Region, QColor]], view: View) -> None:
        """Paint masks of regions, each in its colour; of a rejected one only the outline."""
        for region, color in masks:
            if region.mask:
                fill = QColor(color)
                fill.setAlpha(0 if region.review is Review.REJECTED else FILL_ALPHA)
                self._paint(painter, region.mask, fill, ((color, 1.0),), view)

    def paint_preview(self, painter: QPainter, text: str, color: QColor, view: View) -> None:
        """Paint a mask that is not there yet."""
        fill = QColor(color)
        fill.setAlpha(_PREVIEW_ALPHA)
        self._paint(painter, text, fill, ((_EDGE, 3.0), (color, 1.5)), view)

    def paint_points(self, painter: QPainter, points: Iterable[MaskPoint], size: tuple[int, int], view: View) -> None:
        """Paint points: a plus inside the thing, a minus outside it, so that they differ without colour too."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for point in points:
            at = QPointF(*view.to_screen(point.x * size[0], point.y * size[1]))
            painter.setPen(QPen(QColor("#ffffff"), 2))
            painter.setBrush(_INSIDE if point.is_inside else _OUTSIDE)
            painter.drawEllipse(at, _POINT_RADIUS, _POINT_RADIUS)
            arm = _POINT_RADIUS - 3
            painter.drawLine(at - QPointF(arm, 0), at + QPointF(arm, 0))
            if point.is_inside:
                painter.drawLine(at - QPointF(0, arm), at + QPointF(0, arm))
        painter.restore()

    def _paint(
        self, painter: QPainter, text: str, fill: QColor, lines: Iterable[tuple[QColor, float]], view: View
    ) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate(view.left, view.top)
        painter.scale(view.scale, view.scale)
        path = self._path_of(text)
        painter.fillPath(path, fill)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in lines:
            pen = QPen(color, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawPath(path)
        painter.restore()

    def _path_of(self, text: str) -> QPainterPath:
        if text not in self._paths:
            path = QPainterPath()  # odd-even: a hole is an outline inside an outline
            for outline in outlines_of_text(text):
                path.addPolygon(QPolygonF([QPointF(x, y) for x, y in outline.tolist()]))
                path.closeSubpath()
            self._paths[text] = path
            while len(self._paths) > _MAX_PATHS:
                self._paths.popitem(last=False)
        self._paths.move_to_end(text)
        return self._paths[text]
