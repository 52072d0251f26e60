"""One plot of curves over steps, with a legend that tells their values where the pointer is.

pyqtgraph is slow to load, so whoever needs this module imports it when the training page is first shown.
"""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.plain_text import label, shown, tip
from locstudio.ui.training.lines import LegendEntry, Line, legend_of, line_color, smoothed, thinned

_DASHES: tuple[list[float] | None, ...] = (None, [6, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2])
_RAW_OPACITY = 0.28  # of what was measured, behind its running mean
_PIECE, _WORD_GAP = 32, 6  # px: of the line in a legend, and between words
_MIN_HEIGHT = 110
_MAX_LEGEND = 90  # px that a plot asks for besides


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
        self._hint = label(empty, "muted", self)
        self._hint.setWordWrap(True)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._legend = QWidget(self)
        self._legend.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self._keys_layout = FlowLayout(self._legend, 4)
        heading = label(title, "heading", self._legend)
        heading.setContentsMargins(0, 0, 10, 0)
        self._keys_layout.addWidget(heading)
        self._keys: list[_Key] = []
        self._plot = _Plot(self)
        self._plot.setMinimumHeight(_MIN_HEIGHT)
        self._plot.pointed.connect(self.pointed)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 8, 4)
        column.setSpacing(4)
        column.addWidget(self._legend)
        column.addWidget(self._hint, 1)
        column.addWidget(self._plot, 1)
        theme.notifier.changed.connect(self._draw)
        self.set_lines(())

    def minimumSizeHint(self) -> QSize:
        """A long legend is never as high as if the plot were narrow."""
        hint = super().minimumSizeHint()
        return QSize(hint.width(), min(hint.height(), _MIN_HEIGHT + _MAX_LEGEND))

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

    def set_least_range(self, floor: float, span: float, *, is_whole: bool) -> None:
        """Show nothing below ``floor``, and never less than ``span``: a line that stays at 0 lies at the foot then.

        ``is_whole`` writes whole numbers only, as where something is counted.
        """
        item = self._plot.getPlotItem()
        item.getViewBox().setLimits(yMin=floor - 0.04 * span, minYRange=span)
        item.getAxis("left").is_whole = is_whole

    def point_at(self, step: float | None) -> None:
        """Show the values at a step, or the newest for None."""
        self._step = step
        self._plot.set_marker(step if self._lines else None)
        self._tell()

    def legend(self) -> list[str]:
        """The legend as it reads now."""
        return [key.entry.words() for key in self._keys]

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
        self._tell()

    def _tell(self) -> None:
        entries = legend_of(self._lines, self._step)
        while len(self._keys) > len(entries):
            key = self._keys.pop()
            self._keys_layout.removeWidget(key)
            key.deleteLater()
        while len(self._keys) < len(entries):
            self._keys.append(_Key(self._legend))
            self._keys_layout.addWidget(self._keys[-1])
            self._keys[-1].show()
        for key, entry in zip(self._keys, entries, strict=True):
            key.show_entry(entry)
        told = ", ".join(self.legend())
        where = "newest" if self._step is None else f"at step {self._step:,.0f}"
        self._plot.setAccessibleName(f"{self._title_text} over steps; arrow keys move the pointer")
        self._plot.setAccessibleDescription(f"{where}: {told}" if told else self._hint.text())


class _Key(QWidget):
    """One entry of a legend: a piece of the line, its name and values."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.entry = LegendEntry(None, 0, "", ())
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_entry(self, entry: LegendEntry) -> None:
        is_wider = len(entry.words()) != len(self.entry.words())
        self.entry = entry
        if is_wider:
            self.updateGeometry()
        self.update()

    def _parts(self) -> list[tuple[str, int | None]]:
        name = shown(self.entry.text, 28)
        return [*([(name, None)] if name else []), *self.entry.values]

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        width = sum(metrics.horizontalAdvance(text) + _WORD_GAP for text, _ in self._parts())
        return QSize(_PIECE + width + 8, metrics.height() + 2)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(_pen(_ink(self.entry.color), self.entry.dash, 2.0))
        middle = self.height() / 2
        painter.drawLine(QPointF(1, middle), QPointF(_PIECE - 6, middle))
        x = float(_PIECE)
        for place, (text, color) in enumerate(self._parts()):
            is_name = place == 0 and bool(self.entry.text)
            painter.setPen(QColor(look.muted if is_name else _ink(color)))
            painter.drawText(QRectF(x, 0, self.width() - x, self.height()), Qt.AlignmentFlag.AlignVCenter, text)
            x += painter.fontMetrics().horizontalAdvance(text) + _WORD_GAP


class RunLegend(QWidget):
    """Which colour is which run, in one line; what does not fit is cut off with an ellipsis."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: list[tuple[str, int]] = []
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        theme.notifier.changed.connect(self.update)

    def set_runs(self, runs: Sequence[tuple[str, int]]) -> None:
        """Show these titles with the numbers of their colours."""
        self._runs = list(runs)
        self.setToolTip(tip(", ".join(title for title, _ in runs)) if runs else "")
        self.setAccessibleName("Runs that are drawn: " + ", ".join(title for title, _ in runs))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = painter.fontMetrics()
        share = self.width() / max(1, len(self._runs)) - 28
        x = 0.0
        for title, color in self._runs:
            text = metrics.elidedText(shown(title), Qt.TextElideMode.ElideRight, round(max(share, 24)))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(_ink(color)))
            painter.drawRoundedRect(QRectF(x, self.height() / 2 - 5, 10, 10), 3, 3)
            painter.setPen(QColor(theme.current().text))
            painter.drawText(QRectF(x + 15, 0, self.width() - x, self.height()), Qt.AlignmentFlag.AlignVCenter, text)
            x += metrics.horizontalAdvance(text) + 28


class _Axis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    is_whole = False

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Steps are whole numbers from 0 on; small values have one form: 5e-5 beside 1e-4."""
        if self.orientation == "bottom" or self.is_whole:
            return [f"{value:,.0f}" if value >= 0 and float(value).is_integer() else "" for value in values]
        if self.logMode or not values or max(map(abs, values)) * scale >= 1e-2:
            return list(super().tickStrings(values, scale, spacing))
        return [f"{value * scale:.3g}" if not value else _short(value * scale) for value in values]


class _Plot(pg.PlotWidget):  # type: ignore[misc]  # pyqtgraph has no types
    """pyqtgraph's plot with our keys and colours, and without its menus."""

    pointed = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, axisItems={side: _Axis(side) for side in ("left", "bottom")})
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys are the plot's
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


def _ink(color: int | None) -> str:
    look = theme.current()
    return look.text if color is None else line_color(color, look.base)


def _short(value: float) -> str:
    digits, _, power = f"{value:.2e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
