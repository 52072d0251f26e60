"""The legend in a corner of the canvas: which class, how sure, of when, what the colours mean, and what to doubt."""

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen

from locstudio.services.heat.colormaps import color_table
from locstudio.ui.canvas.chips import one_line
from locstudio.ui.heatmaps.shown_heat import ShownHeat
from locstudio.ui.theme import Theme

_MARGIN, _PAD, _GAP = 10.0, 10.0, 6.0
_BAR_HEIGHT, _SQUARE = 8.0, 10.0
_MIN_WIDTH, _MAX_WIDTH = 168.0, 300.0


def paint_legend(
    painter: QPainter, heat: ShownHeat, font: QFont, theme: Theme, width: float, height: float, mouse: QPointF | None
) -> None:
    """Paint the legend into the lower left corner of a canvas of this size; it gets out of the mouse's way."""
    bold = QFont(font)
    bold.setBold(True)
    line = QFontMetricsF(bold).height()
    lines = [(one_line(shown.name), _value_of(shown.score, shown.said)) for shown in heat.classes]
    notes = [text for text in (heat.origin, heat.warning) if text]
    metrics = QFontMetricsF(font)
    wanted = [
        QFontMetricsF(bold).horizontalAdvance(name) + metrics.horizontalAdvance(value) + 34 for name, value in lines
    ]
    wanted += [metrics.horizontalAdvance(text) for text in notes]
    inner = min(max(_MIN_WIDTH, *wanted), _MAX_WIDTH, width - 2 * (_MARGIN + _PAD))
    bar = _BAR_HEIGHT + _GAP + metrics.height() if len(heat.classes) == 1 else 0.0
    total = 2 * _PAD + line * len(lines) + bar + metrics.height() * len(notes) + _GAP * 0.5
    plate = QRectF(_MARGIN, height - _MARGIN - total, inner + 2 * _PAD, total)
    if inner < _MIN_WIDTH / 2 or plate.top() < 0 or (mouse is not None and plate.contains(mouse)):
        return
    painter.save()
    back = QColor(theme.raised)
    back.setAlpha(232)
    painter.fillRect(plate, back)  # a rounded one costs more than the heat itself
    painter.setPen(QPen(QColor(theme.border), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(plate.toRect())
    at = QPointF(plate.left() + _PAD, plate.top() + _PAD)
    for shown, (name, value) in zip(heat.classes, lines, strict=True):
        _paint_class(painter, at, inner, line, shown.color, (name, value), (bold, font), theme, len(lines) > 1)
        at += QPointF(0, line)
    if bar:
        at += QPointF(0, _GAP * 0.5)
        _paint_scale(painter, heat, QRectF(at.x(), at.y(), inner, _BAR_HEIGHT), font, theme)
        at += QPointF(0, bar - _GAP * 0.5)
    for text in notes:
        painter.setFont(font)
        painter.setPen(QColor(theme.warning if text is heat.warning else theme.muted))
        elided = metrics.elidedText(one_line(text), Qt.TextElideMode.ElideRight, inner)
        painter.drawText(QPointF(at.x(), at.y() + metrics.ascent()), elided)
        at += QPointF(0, metrics.height())
    painter.restore()


def _value_of(score: float, said: str) -> str:
    return f"{score:.2f}  {said}" if said else f"{score:.2f}"


def _paint_class(
    painter: QPainter, at: QPointF, inner: float, line: float, color: QColor, texts: tuple[str, str],
    fonts: tuple[QFont, QFont], theme: Theme, has_square: bool,
) -> None:  # fmt: skip
    left = at.x()
    if has_square:
        painter.fillRect(QRectF(left, at.y() + (line - _SQUARE) / 2, _SQUARE, _SQUARE), color)
        left += _SQUARE + 6
    name, value = texts
    bold, plain = QFontMetricsF(fonts[0]), QFontMetricsF(fonts[1])
    value_width = plain.horizontalAdvance(value)
    right = at.x() + inner
    base = at.y() + bold.ascent()
    painter.setFont(fonts[0])
    painter.setPen(QColor(theme.text))
    painter.drawText(
        QPointF(left, base), bold.elidedText(name, Qt.TextElideMode.ElideRight, right - left - value_width - 10)
    )
    painter.setFont(fonts[1])
    painter.drawText(QPointF(right - value_width, base), value)


def _paint_scale(painter: QPainter, heat: ShownHeat, bar: QRectF, font: QFont, theme: Theme) -> None:
    """The colours from little to much, with the values of both ends."""
    look = heat.look
    low, high = look.span_of([heat.chosen.map_WW])
    table_V3 = color_table(look.colormap, is_inverted=look.is_inverted)
    strip = QImage(table_V3.tobytes(), len(table_V3), 1, 3 * len(table_V3), QImage.Format.Format_RGB888)
    painter.drawImage(bar, strip)
    painter.setPen(QPen(QColor(theme.border), 1))
    painter.drawRect(bar.toRect())
    metrics = QFontMetricsF(font)
    base = bar.bottom() + _GAP / 2 + metrics.ascent()
    painter.setFont(font)
    painter.setPen(QColor(theme.muted))
    painter.drawText(QPointF(bar.left(), base), f"{low / 255:.2g}")
    end = f"{high / 255:.2g}"
    painter.drawText(QPointF(bar.right() - metrics.horizontalAdvance(end), base), end)
