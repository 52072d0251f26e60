"""A score over the epochs as a line as high as a word.  Axes: E = epochs."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from locstudio.ui.theme import Theme

_MAX_POINTS = 400


def curve_points(scores_E: NDArray[np.float32]) -> tuple[list[float], list[float]]:
    """Epochs, counted from 1, and scores to draw: all of them, or of many an even choice that has the last."""
    if not len(scores_E):
        return [], []
    rows = np.unique(np.linspace(0, len(scores_E) - 1, min(len(scores_E), _MAX_POINTS)).round().astype(int))
    return (rows + 1.0).tolist(), np.clip(scores_E[rows], 0, 1).tolist()


def paint_sparkline(painter: QPainter, room: QRectF, scores_E: NDArray[np.float32], colors: Theme) -> None:
    """Draw the curve from 0 at the bottom of the room to 1 at its top, with a dot at the newest epoch."""
    epochs, scores = curve_points(scores_E)
    if len(epochs) < 2:
        return
    span = epochs[-1] - epochs[0]
    points = [
        QPointF(room.left() + room.width() * (epoch - epochs[0]) / span, room.bottom() - room.height() * score)
        for epoch, score in zip(epochs, scores, strict=True)
    ]
    painter.setPen(QPen(QColor(colors.border), 1))
    painter.drawLine(room.bottomLeft(), room.bottomRight())
    painter.setPen(QPen(QColor(colors.accent), 1.3))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolyline(QPolygonF(points))
    painter.setBrush(QColor(colors.accent))
    painter.drawEllipse(points[-1], 1.6, 1.6)
