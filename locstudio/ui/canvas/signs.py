"""Small signs: a verdict in the strokes that the boxes on the canvas wear, and the colour of a class."""

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap

from locstudio.domain.regions import Review
from locstudio.ui import theme

ICON_SIZE = QSize(28, 14)
_SHARPNESS = 2  # device pixels per pixel: crisp up to 200 %


def review_icon(review: Review, is_locked: bool) -> QIcon:
    """A dashed square for pending, a ticked one for accepted, a crossed one for rejected; a lock beside it."""
    colors = theme.current()
    pixmap = QPixmap(ICON_SIZE * _SHARPNESS)
    pixmap.setDevicePixelRatio(_SHARPNESS)
    pixmap.fill(Qt.GlobalColor.transparent)
    by_review = {Review.PENDING: colors.warning, Review.ACCEPTED: colors.success, Review.REJECTED: colors.danger}
    with QPainter(pixmap) as painter:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(QColor(by_review[review]), 1.5)
        if review is Review.PENDING:
            pen.setDashPattern([2.2, 1.8])
        painter.setPen(pen)
        painter.drawRect(QRectF(1.5, 1.5, 11, 11))
        if review is Review.ACCEPTED:
            painter.drawPolyline([QPointF(4, 7), QPointF(6.3, 9.5), QPointF(10.2, 4.6)])
        elif review is Review.REJECTED:
            painter.drawLines([QLineF(4.2, 4.2, 9.8, 9.8), QLineF(9.8, 4.2, 4.2, 9.8)])
        if is_locked:
            ink = QColor(colors.muted)
            painter.setPen(QPen(ink, 1.3))
            painter.drawArc(QRectF(18.5, 2, 6, 7), 0, 180 * 16)
            painter.fillRect(QRectF(17.5, 6, 8, 6), ink)
    return QIcon(pixmap)


def class_icon(color: str) -> QIcon:
    """A small square in the colour of a class."""
    pixmap = QPixmap(12 * _SHARPNESS, 12 * _SHARPNESS)
    pixmap.setDevicePixelRatio(_SHARPNESS)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)
