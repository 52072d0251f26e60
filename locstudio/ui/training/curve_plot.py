"""One plot of curves over steps, with a legend that tells their values where the pointer is.

pyqtgraph is slow to load, so whoever needs this module imports it when the training page is first shown.
"""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.plain_text import label, shown
from locstudio.ui.training.lines import Line, line_color, number, smoothed, thinned

_DASHES: tuple[list[float] | None, ...] = (None, [6, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2])
_RAW_OPACITY = 0.28  # of what was measured, behind its running mean
_MAX_KEYS = 8
_MIN_HEIGHT = 150


class CurvePlot(QFrame):
    """Curves over steps.  Wheel zooms, drag moves, double click or ``0`` shows all; arrow keys move the pointer.

    Signals:
        pointed: the step under the pointer, or None when it has left.
    """

    pointed = Signal(object)

    def __init__(self, title: str, empty: str, parent: QWidget | None = None) -> None:
        """A plot without lines; ``empty`` is the sentence that it shows until there are some."""
        super().__init__(parent)
        self.setProperty("role", "plot")
        self._title_text = title
        self._lines: tuple[Line, ...] = ()
        self._smoothing, self._is_log = 0.0, False
        self._step: float | None = None
        self._title = label(title, "heading", self)
        self._hint = label(empty, "muted", self)
        self._hint.setWordWrap(True)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._legend = QWidget(self)
        self._legend.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self._keys_layout = FlowLayout(self._legend, 10)
        self._keys: list[_Key] = []
        self._more = label("", "muted", self._legend)
        self._more.hide()
        self._keys_layout.addWidget(self._more)
        self._plot = _Plot(self)
        self._plot.setMinimumHeight(_MIN_HEIGHT)
        self._plot.pointed.connect(self.pointed)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self._title, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._legend, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 8, 4)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self._hint, 1)
        column.addWidget(self._plot, 1)
        theme.notifier.changed.connect(self._draw)
        self.set_lines(())

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown."""
        return self._lines

    @property
    def title(self) -> str:
        """What the plot is of."""
        return self._title_text

    def set_lines(self, lines: Sequence[Line], *, smoothing: float = 0.0, is_log: bool = False) -> None:
        """Show these lines, in place of others; ``is_log`` leaves out what is not above zero."""
        self._lines = tuple(line for line in lines if len(line.curve.steps))
        self._smoothing, self._is_log = smoothing, is_log
        self._plot.setVisible(bool(self._lines))
        self._hint.setVisible(not self._lines)
        self._draw()

    def point_at(self, step: float | None) -> None:
        """Show the values at a step, or the newest for None."""
        self._step = step
        self._plot.set_marker(step if self._lines else None)
        self._tell()

    def legend(self) -> list[str]:
        """The legend as it reads now."""
        return [key.text for key in self._keys]

    def _draw(self) -> None:
        look = theme.current()
        self._plot.set_look(look)
        drawn = []
        for line in self._lines:
            color = line_color(line.color, look.base)
            curve = thinned(line.curve)
            if self._smoothing:
                drawn.append((curve, color, line.dash, _RAW_OPACITY, 1.0))
            drawn.append((smoothed(curve, self._smoothing), color, line.dash, 1.0, 2.0))
        self._plot.set_curves(drawn, is_log=self._is_log)
        self._make_keys()
        self._tell()

    def _make_keys(self) -> None:
        wanted = self._lines[:_MAX_KEYS]
        while len(self._keys) > len(wanted):
            key = self._keys.pop()
            self._keys_layout.removeWidget(key)
            key.deleteLater()
        while len(self._keys) < len(wanted):
            key = _Key(self._legend)
            self._keys.append(key)
            self._keys_layout.removeWidget(self._more)
            self._keys_layout.addWidget(key)
            self._keys_layout.addWidget(self._more)
        left_out = len(self._lines) - len(wanted)
        self._more.setText(f"and {left_out} more")
        self._more.setVisible(left_out > 0)

    def _tell(self) -> None:
        look = theme.current()
        told = []
        for key, line in zip(self._keys, self._lines, strict=False):
            value = line.curve.last if self._step is None else line.curve.at(self._step)
            key.show_line(line_color(line.color, look.base), line.dash, f"{shown(line.name, 28)} {number(value)}")
            told.append(key.text)
        where = "newest" if self._step is None else f"at step {self._step:,.0f}"
        self._legend.updateGeometry()
        self._plot.setAccessibleName(f"{self._title_text} over steps; arrow keys move the pointer")
        self._plot.setAccessibleDescription(f"{where}: {', '.join(told)}" if told else self._hint.text())


class _Key(QWidget):
    """One entry of a legend: a piece of the line, its name and value."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._color, self._dash, self.text = "", 0, ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_line(self, color: str, dash: int, text: str) -> None:
        if (color, dash, text) != (self._color, self._dash, self.text):
            is_wider = len(text) != len(self.text)
            self._color, self._dash, self.text = color, dash, text
            if is_wider:
                self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(22 + metrics.horizontalAdvance(self.text) + 2, metrics.height() + 2)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(_pen(self._color, self._dash, 2.0))
        middle = self.height() / 2
        painter.drawLine(QPointF(1, middle), QPointF(16, middle))
        painter.setPen(QColor(theme.current().text))
        painter.drawText(QRectF(22, 0, self.width() - 22, self.height()), Qt.AlignmentFlag.AlignVCenter, self.text)


class _Plot(pg.PlotWidget):  # type: ignore[misc]  # pyqtgraph has no types
    """pyqtgraph's plot with our keys and colours, and without its menus."""

    pointed = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMouseTracking(True)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.showGrid(x=True, y=True, alpha=0.16)
        item.getViewBox().setDefaultPadding(0.03)
        for name in ("left", "bottom"):
            axis = item.getAxis(name)
            axis.enableAutoSIPrefix(False)
            axis.setStyle(tickLength=4, tickTextOffset=4)
        self._items: list[pg.PlotDataItem] = []
        self._marker = pg.InfiniteLine(angle=90, movable=False)
        self._marker.hide()
        item.addItem(self._marker, ignoreBounds=True)
        self._at: float | None = None
        self._steps = np.zeros(0)

    def set_look(self, look: theme.Theme) -> None:
        self.setBackground(QColor(look.base))
        font = QFont(self.font())
        font.setPointSizeF(max(7.5, font.pointSizeF() - 1.5))
        for name in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(name)
            axis.setPen(pg.mkPen(theme.mixed(look.border, look.muted, 0.3)))
            axis.setTextPen(pg.mkPen(look.muted))
            axis.setTickFont(font)
        self._marker.setPen(pg.mkPen(look.muted, width=1, style=Qt.PenStyle.DashLine))

    def set_curves(self, curves: Sequence[tuple], *, is_log: bool) -> None:  # type: ignore[type-arg]
        item = self.getPlotItem()
        while len(self._items) > len(curves):
            item.removeItem(self._items.pop())
        while len(self._items) < len(curves):
            made = pg.PlotDataItem(antialias=True, connect="finite")
            item.addItem(made)
            self._items.append(made)
        item.setLogMode(y=is_log)
        for made, (curve, color, dash, opacity, width) in zip(self._items, curves, strict=True):
            ink = QColor(color)
            ink.setAlphaF(opacity)
            values = np.where(curve.values > 0, curve.values, np.nan) if is_log else curve.values
            is_point = len(curve.steps) == 1
            made.setData(curve.steps, values, pen=_pen(ink, dash, width))
            made.setSymbol("o" if is_point else None)
            made.setSymbolSize(6)
            made.setSymbolBrush(ink)
            made.setSymbolPen(None)
        self._steps = np.unique(np.concatenate([curve.steps for curve, *_ in curves])) if curves else np.zeros(0)

    def set_marker(self, step: float | None) -> None:
        self._at = step
        self._marker.setVisible(step is not None)
        if step is not None:
            self._marker.setValue(step)

    def _point(self, step: float | None) -> None:
        if step is not None and len(self._steps):
            step = float(self._steps[int(np.abs(self._steps - step).argmin())])
        self.pointed.emit(step)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        if not event.buttons() and len(self._steps):
            self._point(self.getPlotItem().getViewBox().mapSceneToView(event.position()).x())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.getPlotItem().enableAutoRange()
        event.accept()

    def leaveEvent(self, event: object) -> None:
        super().leaveEvent(event)
        self.pointed.emit(None)

    def focusOutEvent(self, event: object) -> None:
        super().focusOutEvent(event)
        self.pointed.emit(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End) and len(self._steps):
            here = len(self._steps) - 1 if self._at is None else int(np.abs(self._steps - self._at).argmin())
            by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -len(self._steps)}
            there = min(max(here + by.get(Qt.Key(key), len(self._steps)), 0), len(self._steps) - 1)
            self.pointed.emit(float(self._steps[there]))
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Minus):
            factor = 0.8 if key == Qt.Key.Key_Plus else 1.25
            self.getPlotItem().getViewBox().scaleBy((factor, factor))
        elif key == Qt.Key.Key_0:
            self.getPlotItem().enableAutoRange()
        else:
            event.ignore()
            return
        event.accept()


def _pen(color: QColor | str, dash: int, width: float) -> QPen:
    pen = QPen(QColor(color), width)
    pen.setCosmetic(True)
    pattern = _DASHES[dash % len(_DASHES)]
    if pattern is not None:
        pen.setDashPattern(pattern)
    else:
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    return pen
