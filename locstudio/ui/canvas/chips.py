"""Label chips: a phrase on a small plate at its box, readable on any picture, and never on top of another chip."""

from dataclasses import dataclass, field

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from locstudio.ui.plain_text import shown

MAX_CHIPS = 200
MAX_TEXT = 160  # characters of a phrase that are looked at: nobody reads more on a chip
MIN_WIDTH = 44.0  # a chip narrower than this says nothing
MAX_WIDTH = 240.0
PADDING = 5.0
STRIPE = 4.0
LOCK = 11.0
PLATE = QColor(18, 20, 24, 222)
PLATE_TEXT = QColor("#ffffff")


@dataclass(frozen=True, slots=True)
class Chip:
    """What a chip says, of which box (screen), and how it looks.  Text is shown as it is, never as markup.

    ``region_id`` remembers the place: a later chip of the same region ``at`` its plate covers it exactly.
    """

    text: str
    box: QRect
    stripe: QColor
    plate: QColor = field(default_factory=lambda: PLATE)
    ink: QColor = field(default_factory=lambda: PLATE_TEXT)
    is_locked: bool = False
    is_struck: bool = False
    may_overlap: bool = False
    region_id: int = 0
    at: QRectF | None = None


class ChipPainter:
    """Lays out and paints chips, first come first served."""

    def __init__(self, font: QFont) -> None:
        self._font = QFont(font)
        if font.pointSizeF() > 0:
            self._font.setPointSizeF(max(font.pointSizeF() - 1.0, 7.0))
        self._metrics = QFontMetricsF(self._font)
        self._height = round(self._metrics.height()) + 2
        self._elided: dict[tuple[str, int], tuple[str, float]] = {}

    def paint(self, painter: QPainter, chips: list[Chip], width: float, height: float) -> dict[int, QRectF]:
        """Paint as many chips as have room in a widget of this size, and return where, by region."""
        painter.setFont(self._font)
        room = QRectF(0, 0, width, height)
        taken: list[QRectF] = []
        places: dict[int, QRectF] = {}
        for chip in chips:
            if len(taken) >= MAX_CHIPS:
                break
            text, text_width = self._fit(chip)
            if not text:
                continue
            plate = chip.at or self._place(chip, text_width, room, taken)
            if plate is not None:
                taken.append(plate)
                places[chip.region_id] = plate
                self._paint_one(painter, chip, text, plate)
        return places

    def _fit(self, chip: Chip) -> tuple[str, float]:
        """The text cut to the box's width (in steps, so that a zoom does not measure every text anew) and its width."""
        room = int(min(max(chip.box.width(), MIN_WIDTH * 2), MAX_WIDTH) // 16) * 16
        key = (chip.text, room)
        if key not in self._elided:
            if len(self._elided) > 4000:
                self._elided.clear()
            plain = one_line(chip.text)
            text = self._metrics.elidedText(plain, Qt.TextElideMode.ElideRight, room)
            self._elided[key] = (text, self._metrics.horizontalAdvance(text))
        return self._elided[key]

    def _place(self, chip: Chip, text_width: float, room: QRectF, taken: list[QRectF]) -> QRectF | None:
        width = text_width + STRIPE + 2 * PADDING + (LOCK if chip.is_locked else 0.0)
        box = chip.box
        left = min(max(float(box.left()), room.left()), max(room.right() - width, room.left()))
        above = QRectF(left, box.top() - self._height, width, self._height)
        inside = QRectF(left, box.top() + 1, width, self._height)
        below = QRectF(left, box.top() + box.height() + 1, width, self._height)
        seen = QRectF(left, max(float(box.top()), room.top()) + 1, width, self._height)
        for plate in (above, inside, below, seen):
            is_seen = plate.top() >= room.top() and plate.bottom() <= room.bottom()
            if is_seen and (chip.may_overlap or not any(plate.intersects(other) for other in taken)):
                return plate
        return None

    def _paint_one(self, painter: QPainter, chip: Chip, text: str, plate: QRectF) -> None:
        painter.fillRect(plate, chip.plate)
        painter.fillRect(QRectF(plate.left(), plate.top(), STRIPE, plate.height()), chip.stripe)
        x = plate.left() + STRIPE + PADDING
        if chip.is_locked:
            _paint_lock(painter, x, plate.center().y(), chip.ink)
            x += LOCK
        painter.setPen(chip.ink)
        painter.drawText(QPointF(x, plate.top() + 1 + self._metrics.ascent()), text)
        if chip.is_struck:
            y = round(plate.center().y())
            painter.drawLine(QPointF(x, y), QPointF(plate.right() - PADDING, y))


def one_line(text: str) -> str:
    """The beginning of a phrase for places that have one line."""
    return shown(text[:MAX_TEXT]).strip()


def _paint_lock(painter: QPainter, x: float, middle: float, ink: QColor) -> None:
    painter.setPen(QPen(ink, 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawArc(QRectF(x + 1, middle - 5, 5, 7), 0, 180 * 16)
    painter.fillRect(QRectF(x, middle - 1, 8, 5), ink)
