"""Precision over recall: the curve of a class, and the point on it that a person asks about."""

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import label, shown

Floats = NDArray[np.float64]
_STEPS = 25  # presses of an arrow key from one end of a curve to the other


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A curve of one class (or of all): at ``threshold[i]`` recall and precision are those at ``i``, recall growing."""

    name: str
    recall: Floats
    precision: Floats
    threshold: Floats
    average_precision: float


class PrView(QWidget):
    """Shows one curve, and an older evaluation's dashed behind it.

    Signals:
        threshold_chosen: the score that a person chose on the curve: regions from it on are taken.
    """

    threshold_chosen = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve: Curve | None = None
        self._at = -1
        self._plot = pg.PlotWidget()
        self._plot.setMenuEnabled(False)
        self._plot.setMouseEnabled(False, False)
        self._plot.hideButtons()
        self._plot.setRange(xRange=(0, 1), yRange=(0, 1), padding=0.03)
        self._plot.setLabel("bottom", "recall")
        self._plot.setLabel("left", "precision")
        self._plot.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._plot.setAccessibleName("Precision over recall; arrow keys walk along the curve")
        self._older = self._plot.plot([], [], antialias=True)
        self._line = self._plot.plot([], [], antialias=True)
        self._cross = [pg.InfiniteLine(angle=angle, movable=False) for angle in (0, 90)]
        for line in self._cross:
            line.hide()
            self._plot.addItem(line)
        self._point = self._plot.plot([], [], pen=None, symbol="o", symbolSize=10)
        self._title = label("", "heading")
        self._says = label("", "muted")
        self._says.setWordWrap(True)
        self._plot.installEventFilter(self)
        self._plot.viewport().installEventFilter(self)
        self._plot.viewport().setMouseTracking(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 8)
        column.setSpacing(2)
        column.addWidget(self._title)
        column.addWidget(self._says)
        column.addWidget(self._plot, 1)
        theme.notifier.changed.connect(self._paint)
        self._paint()
        self.set_curve(None)

    def set_curve(self, curve: Curve | None, older: Curve | None = None) -> None:
        """Show a curve; None where nothing can be measured."""
        self._curve, self._at = curve, -1
        for item, shown_curve in ((self._line, curve), (self._older, older)):
            if shown_curve is None:
                item.setData([], [])
            else:
                item.setData(shown_curve.recall, shown_curve.precision)
        self._point.setData([], [])
        for line in self._cross:
            line.hide()
        if curve is None:
            self._title.setText("No curve")
            self._says.setText("No region of this class was measured.")
            return
        text = f"{shown(curve.name, 40)}: average precision {100 * curve.average_precision:.1f} %"
        if older is not None:
            text += f" ({100 * older.average_precision:.1f} % before, dashed)"
        self._title.setText(text)
        self._says.setText("Click the curve, or use the arrow keys, to see the regions on either side of a score.")

    @property
    def sentence(self) -> str:
        """What is said of the chosen point."""
        return self._says.text()

    def choose(self, number: int) -> None:
        """Choose a point of the curve and announce its threshold."""
        if self._curve is None or not len(self._curve.recall):
            return
        self._at = min(max(number, 0), len(self._curve.recall) - 1)
        self._mark(self._at)
        self.threshold_chosen.emit(float(self._curve.threshold[self._at]))

    def _mark(self, number: int) -> None:
        curve = self._curve
        assert curve is not None
        recall, precision = float(curve.recall[number]), float(curve.precision[number])
        self._point.setData([recall], [precision])
        for line, value in zip(self._cross, (precision, recall), strict=True):
            line.setValue(value)
            line.show()
        words = f"From score {curve.threshold[number]:.3f} on: recall {100 * recall:.0f} %, "
        words += f"precision {100 * precision:.0f} %."
        self._says.setText(words)
        self._plot.setAccessibleDescription(words)

    def _nearest(self, where: QPointF) -> int:
        """The point of the curve that is nearest on the screen."""
        curve = self._curve
        assert curve is not None
        box = self._plot.getViewBox()
        spot = box.mapSceneToView(self._plot.mapToScene(where.toPoint()))
        scale = box.viewPixelSize()
        distance = np.hypot((curve.recall - spot.x()) / scale[0], (curve.precision - spot.y()) / scale[1])
        return int(np.argmin(distance))

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if self._curve is None or not len(self._curve.recall):
            return False
        if watched is self._plot and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._on_key(event)
        if watched is self._plot.viewport() and isinstance(event, QMouseEvent):
            if event.type() == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
                self._plot.setFocus(Qt.FocusReason.MouseFocusReason)
                self.choose(self._nearest(event.position()))
            elif event.type() == QEvent.Type.MouseMove:
                self._mark(self._nearest(event.position()))
        elif watched is self._plot.viewport() and event.type() == QEvent.Type.Leave:
            self._on_left()
        return False

    def _on_left(self) -> None:
        if self._at >= 0:
            self._mark(self._at)
            return
        self._point.setData([], [])
        for line in self._cross:
            line.hide()

    def _on_key(self, event: QKeyEvent) -> bool:
        assert self._curve is not None
        last = len(self._curve.recall) - 1
        step = max(1, last // _STEPS)
        to = {
            Qt.Key.Key_Left: self._at - step,
            Qt.Key.Key_Right: self._at + step,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }.get(Qt.Key(event.key()))
        if to is None:
            return False
        self.choose(to)
        return True

    def _paint(self) -> None:
        look = theme.current()
        self._plot.setBackground(QColor(look.base))
        for side in ("left", "bottom"):
            axis = self._plot.getAxis(side)
            axis.setPen(QColor(look.border))
            axis.setTextPen(QColor(look.muted))
        self._plot.showGrid(x=True, y=True, alpha=0.12)
        self._line.setPen(pg.mkPen(QColor(look.accent), width=2))
        self._older.setPen(pg.mkPen(QColor(look.muted), width=1.5, style=Qt.PenStyle.DashLine))
        self._point.setSymbolBrush(QColor(look.accent))
        self._point.setSymbolPen(QColor(look.base))
        for line in self._cross:
            line.setPen(pg.mkPen(QColor(theme.mixed(look.base, look.muted, 0.7)), width=1, style=Qt.PenStyle.DotLine))
