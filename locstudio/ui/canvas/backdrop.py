"""What the canvas shows where there is no picture: a grey tile, and a sentence that says why."""

from enum import Enum

from PySide6.QtCore import QCoreApplication, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen

from locstudio.domain.regions import Image, Problem
from locstudio.ui.canvas.chips import one_line
from locstudio.ui.theme import Theme

translate = QCoreApplication.translate


class Showing(Enum):
    """What the canvas has of its image."""

    NOTHING = "nothing"
    LOADING = "loading"
    PREVIEW = "preview"
    PICTURE = "picture"
    MISSING = "missing"
    DAMAGED = "damaged"


def sentence_for(showing: Showing, note: str) -> str:
    """What to tell a person who sees no picture; ``note`` is the reason when one is known."""
    if showing is Showing.MISSING:
        return note or translate("Canvas", "This picture is not where it was. Its boxes are kept; relink its folder.")
    if showing is Showing.DAMAGED:
        return note or translate("Canvas", "This picture cannot be read. Its file is damaged.")
    if showing is Showing.LOADING:
        return translate("Canvas", "Loading…")
    return translate("Canvas", "No image is open. Choose one in the gallery.")


def showing_for(image: Image) -> Showing:
    """What to expect of an image before its file has been opened."""
    if image.problem is Problem.MISSING:
        return Showing.MISSING
    # A damaged picture may still be decodable in part; the canvas waits for what the decoder gets out of it.
    is_lost = image.problem in (Problem.UNREADABLE, Problem.TOO_LARGE)
    return Showing.DAMAGED if is_lost else Showing.LOADING


def paint_tile(painter: QPainter, tile: QRectF, theme: Theme, is_problem: bool) -> None:
    """A grey tile in the picture's place; hatched when there is a problem."""
    painter.fillRect(tile, QColor(theme.canvas_grid))
    if is_problem:
        hatch = QColor(theme.muted)
        hatch.setAlpha(26)
        painter.fillRect(tile, hatch)
        painter.setPen(QPen(QColor(theme.border), 1))
        painter.drawRect(tile)


def paint_sentence(painter: QPainter, text: str, room: QRectF, font: QFont, theme: Theme, is_problem: bool) -> None:
    """A sentence in the middle of the canvas, on a plate of its own, as plain text."""
    painter.setFont(font)
    flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
    inner = QRectF(0, 0, min(room.width() - 48, 420), room.height())
    if inner.width() <= 0:
        return
    inner.moveCenter(room.center())
    shown = one_line(text) if len(text) < 160 else text[:400]
    bounds = painter.boundingRect(inner, flags, shown)
    plate = bounds.adjusted(-16, -10, 16, 10)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setPen(QPen(QColor(theme.warning if is_problem else theme.border), 1))
    painter.setBrush(QColor(theme.raised))
    painter.drawRoundedRect(plate, 5, 5)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QColor(theme.text if is_problem else theme.muted))
    painter.drawText(bounds, flags, shown)
