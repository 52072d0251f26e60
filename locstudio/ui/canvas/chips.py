"""Label chips: a phrase on a small plate at its box, readable on any picture, and never on top of another chip."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen

from locstudio.ui.plain_text import shown

MAX_CHIPS = 200
MAX_TEXT = 160  # characters of a phrase that are looked at: nobody reads more on a chip
MIN_WIDTH = 120  # a chip may be so wide even at a narrower box
MAX_WIDTH = 240
PADDING = 5
STRIPE = 4
LOCK = 11
CELL = 4  # screen pixels: how closely chips may stand
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
    at: QRect | None = None


class ChipPainter:
    """Lays out and paints chips, first come first served."""

    def __init__(self, font: QFont) -> None:
        self._font = QFont(font)
        if font.pointSizeF() > 0:
            self._font.setPointSizeF(max(font.pointSizeF() - 1.0, 7.0))
        self._metrics = QFontMetrics(self._font)
        self._height = self._metrics.height() + 2
        self._ascent = self._metrics.ascent()
        self._elided: dict[tuple[str, int], tuple[str, int]] = {}

    def paint(self, painter: QPainter, chips: list[Chip], width: float, height: float) -> dict[int, QRect]:
        """Paint as many chips as have room in a widget of this size, and return where, by region."""
        painter.setFont(self._font)
        room = QRect(0, 0, int(width), int(height))
        taken = np.zeros((room.height() // CELL + 2, room.width() // CELL + 2), bool)
        places: dict[int, QRect] = {}
        for chip in chips:
            if len(places) >= MAX_CHIPS:
                break
            text, text_width = self._fit(chip)
            plate = chip.at or (self._place(chip, text_width, room, taken) if text else None)
            if plate is not None:
                taken[_cells(plate.x(), plate.y(), plate.width(), plate.height())] = True
                places[chip.region_id] = plate
                self._paint_one(painter, chip, text, plate)
        return places

    def _fit(self, chip: Chip) -> tuple[str, int]:
        """The text cut to the box's width (in steps, so that a zoom does not measure every text anew) and its width."""
        room = min(max(chip.box.width(), MIN_WIDTH), MAX_WIDTH) // 16 * 16
        key = (chip.text, room)
        if key not in self._elided:
            if len(self._elided) > 4000:
                self._elided.clear()
            text = self._metrics.elidedText(one_line(chip.text), Qt.TextElideMode.ElideRight, room)
            self._elided[key] = (text, self._metrics.horizontalAdvance(text))
        return self._elided[key]

    def _place(self, chip: Chip, text_width: int, room: QRect, taken: NDArray[np.bool_]) -> QRect | None:
        """Above the box, else inside at its top, else below; where the top is out of sight, at the edge of sight."""
        width, height = text_width + STRIPE + 2 * PADDING + (LOCK if chip.is_locked else 0), self._height
        top = chip.box.y()
        left = max(min(chip.box.x(), room.width() - width), 0)
        for y in (top - height, top + 1, top + chip.box.height() + 1, max(top, 0) + 1):
            is_seen = 0 <= y <= room.height() - height
            if is_seen and (chip.may_overlap or not taken[_cells(left, y, width, height)].any()):
                return QRect(left, y, width, height)
        return None

    def _paint_one(self, painter: QPainter, chip: Chip, text: str, plate: QRect) -> None:
        left, top, width, height = plate.x(), plate.y(), plate.width(), plate.height()
        painter.fillRect(left, top, width, height, chip.plate)
        painter.fillRect(left, top, STRIPE, height, chip.stripe)
        x = left + STRIPE + PADDING
        if chip.is_locked:
            _paint_lock(painter, x, top + height // 2, chip.ink)
            x += LOCK
        painter.setPen(chip.ink)
        painter.drawText(x, top + 1 + self._ascent, text)
        if chip.is_struck:
            painter.drawLine(x, top + height // 2, left + width - PADDING, top + height // 2)


def _cells(x: int, y: int, width: int, height: int) -> tuple[slice, slice]:
    """The cells of the screen under a plate.  Which cells are taken tells in constant time whether a chip is free."""
    return (
        slice(max(y, 0) // CELL, (max(y, 0) + height - 1) // CELL + 1),
        slice(max(x, 0) // CELL, (max(x, 0) + width - 1) // CELL + 1),
    )


def one_line(text: str) -> str:
    """The beginning of a phrase for places that have one line."""
    return shown(text[:MAX_TEXT]).strip()


def _paint_lock(painter: QPainter, x: int, middle: int, ink: QColor) -> None:
    painter.setPen(QPen(ink, 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawArc(QRectF(x + 1, middle - 5, 5, 7), 0, 180 * 16)
    painter.fillRect(x, middle - 1, 8, 5, ink)
