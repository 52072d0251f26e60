"""Back through the epochs: a slider that stands still at those that were kept, over the curve of the score."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSlider, QWidget

from locstudio.ui import theme
from locstudio.ui.heatmaps.sparkline import curve_points

_HEIGHT, _SIDE, _BASE = 38, 9, 12  # px: of it all, beside the track, and of the track above the lower edge
_KNOB, _TICK = 5.5, 2.5


class EpochSlider(QSlider):
    """Chooses an epoch of a run.

    Signals:
        epoch_chosen: one of the epochs that were kept, or None for the newest.
    """

    epoch_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setAccessibleName("Epoch of the heat")
        self.setMinimumWidth(120)
        self.setFixedHeight(_HEIGHT)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self._stops: tuple[int, ...] = (0,)
        self._num_epochs = 0
        self._curve_E: NDArray[np.float32] = np.zeros(0, np.float32)
        self._is_told = False
        self.valueChanged.connect(self._on_value)
        self._describe()

    @property
    def stops(self) -> tuple[int, ...]:
        """Epochs that can be looked at, the newest last."""
        return self._stops

    @property
    def epoch(self) -> int:
        """The epoch that is chosen."""
        return self._stops[self.value()]

    def set_epochs(self, key_epochs: Sequence[int], newest: int, num_epochs: int, shown: int | None = None) -> None:
        """Offer these epochs and the newest one of so many planned; ``shown`` (None: the newest) is chosen."""
        stops = (*sorted(epoch for epoch in key_epochs if epoch < newest), newest)
        place = stops.index(shown) if shown in stops else len(stops) - 1
        self._is_told = True
        self._stops, self._num_epochs = stops, max(num_epochs, newest, 1)
        self.setRange(0, len(stops) - 1)
        self.setValue(place)
        self._is_told = False
        self.setEnabled(len(stops) > 1)
        self._describe()

    def set_curve(self, scores_E: NDArray[np.float32]) -> None:
        """Draw the score of the class, epoch by epoch, behind the track."""
        self._curve_E = scores_E
        self.update()

    def step(self, by: int) -> None:
        """Go to the next epoch that was kept, or back."""
        self.setValue(self.value() + by)

    def _on_value(self) -> None:
        self._describe()
        if not self._is_told:
            self.epoch_chosen.emit(None if self.value() == self.maximum() else self.epoch)

    def _describe(self) -> None:
        words = f"Epoch {self.epoch} of {self._num_epochs}" if self._num_epochs else "No epochs"
        self.setAccessibleDescription(words)
        self.setToolTip(f"{words}. Drag, or Ctrl+[ and Ctrl+], to see how the heat came to be.")
        self.update()

    # Mouse and painting

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the kept epoch that is nearest."""
        if event.button() is Qt.MouseButton.LeftButton and self.isEnabled():
            self.setSliderDown(True)
            self._go_to(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse, from kept epoch to kept epoch."""
        if self.isSliderDown():
            self._go_to(event.position().x())

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Let go."""
        self.setSliderDown(False)

    def _go_to(self, x: float) -> None:
        places = [self._x_of(epoch) for epoch in self._stops]
        self.setValue(min(range(len(places)), key=lambda place: abs(places[place] - x)))

    def _x_of(self, epoch: float) -> float:
        return _SIDE + (self.width() - 2 * _SIDE) * epoch / max(self._num_epochs, 1)

    def sizeHint(self) -> QSize:
        """Wide enough to hit single epochs."""
        return QSize(220, _HEIGHT)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """The curve, the track as far as the run has come, kept epochs as ticks, and the knob."""
        colors = theme.current()
        base = self.height() - _BASE
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_curve(painter, QRectF(_SIDE, 3, self.width() - 2 * _SIDE, base - 5), colors)
            left, newest, right = self._x_of(0), self._x_of(self._stops[-1]), self._x_of(self._num_epochs)
            painter.setPen(QPen(QColor(colors.border), 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(QPointF(left, base), QPointF(right, base))
            if not self.isEnabled():
                return
            painter.setPen(QPen(QColor(colors.muted), 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(QPointF(left, base), QPointF(newest, base))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.text))
            for epoch in self._stops:
                painter.drawEllipse(QPointF(self._x_of(epoch), base), _TICK, _TICK)
            at = self._x_of(self.epoch)
            painter.setPen(QPen(QColor(colors.accent), 1))
            painter.drawLine(QPointF(at, 3), QPointF(at, base))
            painter.setPen(QPen(QColor(colors.window), 1.5))
            painter.setBrush(QColor(colors.accent))
            painter.drawEllipse(QPointF(at, base), _KNOB, _KNOB)
            if self.hasFocus():
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(QColor(colors.accent), 1))
                painter.drawEllipse(QPointF(at, base), _KNOB + 2.5, _KNOB + 2.5)

    def _paint_curve(self, painter: QPainter, room: QRectF, colors: theme.Theme) -> None:
        places, scores = curve_points(self._curve_E)
        if not len(places):
            return
        line = [
            QPointF(self._x_of(epoch), room.bottom() - score * room.height())
            for epoch, score in zip(places, scores, strict=True)
        ]
        fill = QColor(colors.accent)
        fill.setAlpha(36)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        below = [QPointF(line[-1].x(), room.bottom()), QPointF(line[0].x(), room.bottom())]
        painter.drawPolygon(QPolygonF(line + below))
        painter.setPen(QPen(QColor(theme.mixed(colors.accent, colors.window, 0.35)), 1.2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(line))
