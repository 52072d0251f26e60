"""The legend in a corner of the canvas: which class, how sure, of when, what the colours mean, and what to doubt."""

from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen

from locstudio.services.heat.colormaps import color_table
from locstudio.ui.canvas.chips import one_line
from locstudio.ui.heatmaps.shown_heat import ShownHeat
from locstudio.ui.theme import Theme

_MARGIN, _PAD, _GAP = 10.0, 10.0, 6.0
_BAR_HEIGHT, _SQUARE = 8.0, 10.0
_MIN_WIDTH, _MAX_WIDTH = 168.0, 300.0
_NUM_PLATES = 16  # one who compares goes back and forth


class Legend:
    """Paints the legend into the lower left corner of a canvas; words that come again are there already."""

    def __init__(self) -> None:
        self._plates: dict[tuple[object, ...], QImage] = {}
        self._fonts = _Fonts(QFont())

    def paint(
        self,
        painter: QPainter,
        heat: ShownHeat,
        font: QFont,
        theme: Theme,
        width: float,
        height: float,
        mouse: QPointF | None,
    ) -> None:
        """Paint it on a canvas of this size; it gets out of the mouse's way."""
        if font != self._fonts.plain:
            self._fonts = _Fonts(font)
            self._plates.clear()
        ratio = painter.device().devicePixelRatioF()
        words = _Words.of(heat)
        key = (words, theme, width, ratio)
        plate = self._plates.get(key)
        if plate is None:
            if len(self._plates) >= _NUM_PLATES:
                self._plates.clear()
            plate = self._plates[key] = _plate(words, self._fonts, theme, width, ratio)
        size = plate.deviceIndependentSize()
        at = QPointF(_MARGIN, height - _MARGIN - size.height())
        if plate.isNull() or at.y() < 0 or (mouse is not None and QRectF(at, size).contains(mouse)):
            return
        painter.drawImage(at, plate)
        if words.ends is not None:
            table_V3 = color_table(heat.look.colormap, is_inverted=heat.look.is_inverted)
            strip = QImage(table_V3.tobytes(), len(table_V3), 1, 3 * len(table_V3), QImage.Format.Format_RGB888)
            bar = _bar_of(self._fonts.line, size.width())
            painter.drawImage(bar.translated(at).adjusted(1, 1, 0, 0), strip)


class _Fonts:
    """A font, the same in bold, and how much room they take."""

    def __init__(self, plain: QFont) -> None:
        self.plain, self.bold = QFont(plain), QFont(plain)
        self.bold.setBold(True)
        self.metrics, self.bold_metrics = QFontMetricsF(self.plain), QFontMetricsF(self.bold)
        self.line = self.bold_metrics.height()
        # Names and notes come again with every image, and measuring a text costs as much as painting it.
        self.width_of = lru_cache(maxsize=512)(self.metrics.horizontalAdvance)
        self.bold_width_of = lru_cache(maxsize=512)(self.bold_metrics.horizontalAdvance)

    def elided(self, text: str, room: float) -> str:
        """As much of a text as there is room for."""
        return self.metrics.elidedText(text, Qt.TextElideMode.ElideRight, room) if self.width_of(text) > room else text

    def bold_elided(self, text: str, room: float) -> str:
        """As much of a bold text as there is room for."""
        if self.bold_width_of(text) <= room:
            return text
        return self.bold_metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the legend says: each class with its value and colour, the ends of the scale of a single one, and notes."""

    classes: tuple[tuple[str, str, int], ...]
    ends: tuple[str, str] | None
    origin: str
    warning: str

    @staticmethod
    def of(heat: ShownHeat) -> "_Words":
        ends = None
        if len(heat.classes) == 1:
            low, high = heat.look.span_of([heat.chosen.map_WW])
            ends = f"{low / 255:.2g}", f"{high / 255:.2g}"
        classes = tuple((one_line(one.name), _value_of(one.score, one.said), one.color.rgb()) for one in heat.classes)
        return _Words(classes, ends, one_line(heat.origin), one_line(heat.warning))


def _plate(words: _Words, fonts: _Fonts, theme: Theme, width: float, ratio: float) -> QImage:
    """The legend without its strip of colours; a null image where there is no room."""
    metrics, line = fonts.metrics, fonts.line
    notes = [(text, color) for text, color in ((words.origin, theme.muted), (words.warning, theme.warning)) if text]
    wanted = [fonts.bold_width_of(name) + fonts.width_of(value) + 34 for name, value, _ in words.classes]
    wanted += [fonts.width_of(text) for text, _ in notes]
    inner = min(max(_MIN_WIDTH, *wanted), _MAX_WIDTH, width - 2 * (_MARGIN + _PAD))
    if inner < _MIN_WIDTH / 2:
        return QImage()
    scale = _BAR_HEIGHT + _GAP + metrics.height() if words.ends is not None else 0.0
    total = 2 * _PAD + line * len(words.classes) + scale + metrics.height() * len(notes)
    image = QImage((QSizeF(inner + 2 * _PAD, total) * ratio).toSize(), QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    back = QColor(theme.raised)
    back.setAlpha(232)
    image.fill(back)
    with QPainter(image) as painter:
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawRect(QRectF(QPointF(0, 0), image.deviceIndependentSize()).adjusted(0, 0, -1, -1))
        at = QPointF(_PAD, _PAD)
        for one in words.classes:
            _paint_class(painter, at, inner, one, fonts, theme, len(words.classes) > 1)
            at += QPointF(0, line)
        if words.ends is not None:
            _paint_ends(painter, _bar_of(line, inner + 2 * _PAD), words.ends, fonts, theme)
            at += QPointF(0, scale)
        painter.setFont(fonts.plain)
        for text, color in notes:
            painter.setPen(QColor(color))
            painter.drawText(QPointF(at.x(), at.y() + metrics.ascent()), fonts.elided(text, inner))
            at += QPointF(0, metrics.height())
    return image


def _bar_of(line: float, width: float) -> QRectF:
    """Where on a plate of this width the strip of colours is, below one line of text."""
    return QRectF(_PAD, _PAD + line + _GAP * 0.5, width - 2 * _PAD, _BAR_HEIGHT)


def _value_of(score: float, said: str) -> str:
    return f"{score:.2f}  {said}" if said else f"{score:.2f}"


def _paint_class(
    painter: QPainter,
    at: QPointF,
    inner: float,
    one: tuple[str, str, int],
    fonts: _Fonts,
    theme: Theme,
    has_square: bool,
) -> None:
    name, value, color = one
    left, right, base = at.x(), at.x() + inner, at.y() + fonts.bold_metrics.ascent()
    if has_square:
        painter.fillRect(QRectF(left, at.y() + (fonts.line - _SQUARE) / 2, _SQUARE, _SQUARE), QColor(color))
        left += _SQUARE + 6
    value_width = fonts.width_of(value)
    painter.setPen(QColor(theme.text))
    painter.setFont(fonts.bold)
    painter.drawText(QPointF(left, base), fonts.bold_elided(name, right - left - value_width - 10))
    painter.setFont(fonts.plain)
    painter.drawText(QPointF(right - value_width, base), value)


def _paint_ends(painter: QPainter, bar: QRectF, ends: tuple[str, str], fonts: _Fonts, theme: Theme) -> None:
    """The frame of the strip of colours, and the values of both its ends."""
    painter.setPen(QPen(QColor(theme.border), 1))
    painter.drawRect(bar)
    base = bar.bottom() + _GAP / 2 + fonts.metrics.ascent()
    painter.setFont(fonts.plain)
    painter.setPen(QColor(theme.muted))
    painter.drawText(QPointF(bar.left(), base), ends[0])
    painter.drawText(QPointF(bar.right() - fonts.width_of(ends[1]), base), ends[1])
