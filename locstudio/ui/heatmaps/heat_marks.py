"""What is drawn on heat: where it reaches the threshold, what was painted, and the ring of the brush."""

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPainterPathStroker, QPen, QTransform

from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, Stroke
from locstudio.ui.canvas.view import View
from locstudio.ui.heatmaps.brush_tool import BrushKind, BrushTool
from locstudio.ui.heatmaps.shown_heat import ShownHeat

_EDGE = QColor(16, 18, 22)
_LINE = QColor("#ffffff")
COLORS = {BrushKind.ADD: QColor("#3ddc84"), BrushKind.REMOVE: QColor("#ff6b6b"), BrushKind.ERASE: QColor("#ffffff")}
_SIGN_ARM = 4.0


def paint_threshold(
    painter: QPainter, heat: ShownHeat, aimed: UnitBox | None, size: tuple[int, int], view: View, accent: QColor
) -> None:
    """Outline where the chosen class reaches the threshold, and the boxes of that, the ``aimed`` one plainly."""
    painter.save()
    painter.setBrush(Qt.BrushStyle.NoBrush)
    to_screen = QTransform(size[0] * view.scale, 0, 0, size[1] * view.scale, view.left, view.top)
    outlines = [to_screen.map(outline) for outline in heat.outlines]
    # Opaque and without smoothing where it is wide: this is painted at every change of heat.
    for color, width, is_smooth in ((_EDGE, 3, False), (_LINE, 1, True)):
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, is_smooth)
        painter.setPen(QPen(color, width))
        for outline in outlines:
            painter.drawPolygon(outline)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    for box in heat.boxes:
        rect = _rect(box, size, view).toRect()
        inner = rect.adjusted(1, 1, -1, -1)
        painter.setPen(QPen(_EDGE, 3 if box is aimed else 1))
        painter.drawRect(inner if box is aimed else rect)
        painter.setPen(QPen(accent, 1, Qt.PenStyle.SolidLine if box is aimed else Qt.PenStyle.DashLine))
        painter.drawRects([rect, inner] if box is aimed else [rect])
    painter.restore()


def paint_strokes(
    painter: QPainter, strokes: Iterable[tuple[Evidence, Stroke]], size: tuple[int, int], view: View
) -> None:
    """Outline what was painted: a full line where evidence was put in, a dashed one where it was taken out."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for kind, stroke in strokes:
        is_in = kind is Evidence.ADD
        outline = stroke_path(stroke.points, stroke.radius, size, view)
        painter.setPen(QPen(_EDGE, 3))
        painter.drawPath(outline)
        style = Qt.PenStyle.SolidLine if is_in else Qt.PenStyle.DashLine
        painter.setPen(QPen(COLORS[BrushKind.ADD if is_in else BrushKind.REMOVE], 1.5, style))
        painter.drawPath(outline)
    painter.restore()


def paint_brush(
    painter: QPainter, brush: BrushTool, kind: BrushKind, at: QPointF | None, size: tuple[int, int], view: View
) -> None:
    """Paint the stroke that goes on, and the ring of the brush where the mouse is, with its sign."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    kind = brush.kind if brush.is_busy else kind
    color = COLORS[kind]
    if brush.is_busy:
        fill = QColor(color)
        fill.setAlpha(46)
        painter.setPen(QPen(color, 1.2, Qt.PenStyle.DashLine if kind is BrushKind.REMOVE else Qt.PenStyle.SolidLine))
        painter.setBrush(fill)
        painter.drawPath(stroke_path(brush.points, brush.radius, size, view))
    if at is not None:
        radius = brush.radius * max(size) * view.scale
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for ink, width in ((_EDGE, 3.5), (color, 1.5)):
            painter.setPen(QPen(ink, width))
            painter.drawEllipse(at, radius, radius)
            painter.drawLine(at - QPointF(_SIGN_ARM, 0), at + QPointF(_SIGN_ARM, 0))
            if kind is BrushKind.ADD:
                painter.drawLine(at - QPointF(0, _SIGN_ARM), at + QPointF(0, _SIGN_ARM))
    painter.restore()


def stroke_path(
    points: Sequence[tuple[float, float]], radius: float, size: tuple[int, int], view: View
) -> QPainterPath:
    """The outline on the screen of what a round brush covers along points of the unit frame."""
    line = QPainterPath()
    places = [QPointF(*view.to_screen(x * size[0], y * size[1])) for x, y in points]
    line.moveTo(places[0])
    for place in places[1:]:
        line.lineTo(place)
    if len(places) == 1:
        line.lineTo(places[0] + QPointF(0.01, 0))
    stroker = QPainterPathStroker()
    stroker.setCapStyle(Qt.PenCapStyle.RoundCap)
    stroker.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    stroker.setWidth(2 * radius * max(size) * view.scale)
    return stroker.createStroke(line).simplified()


def _rect(box: UnitBox, size: tuple[int, int], view: View) -> QRectF:
    x0, y0, x1, y1 = box.to_pixels(*size)
    (left, top), (right, bottom) = view.to_screen(x0, y0), view.to_screen(x1, y1)
    return QRectF(left, top, right - left, bottom - top)
