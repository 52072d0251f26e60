"""How much each expert took, epoch by epoch: every line says at its end whose it is.

pyqtgraph is slow to load, so whoever needs this module imports it when the page is first shown.
"""

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import label, shown

_LEADER = 34  # px: room for the stroke to a name, and for bold letters
_MAX_SHARE = 0.26  # of the width: for the names at the right
_NEAR = 12.0  # px: a click so near to a line chooses it
_TITLE = "Share of the images that each expert takes"


class LoadPlot(QFrame):
    """One line an expert; one of them stands out, the others are grey.  Names stand where the lines end.

    Signals:
        expert_chosen: the number of an expert, from 0, that a person clicked or went to by keys.
    """

    expert_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "plot")
        self._names: tuple[str, ...] = ()
        self._epochs: NDArray[np.int64] = np.zeros(0, np.int64)
        self._load_TE: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._chosen = 0
        self._plot = _Plot(self)
        self.setFocusProxy(self._plot)
        self._ends = _Ends(self)
        self._ends.clicked.connect(self.choose)
        self._plot.clicked.connect(self._on_clicked)
        self._plot.stepped.connect(self._on_stepped)
        self._plot.getPlotItem().getViewBox().sigResized.connect(lambda *_: self._place())
        self._plot.getPlotItem().getViewBox().sigRangeChanged.connect(lambda *_: self._place())
        self._words = label("", "muted", self)
        self._words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(label(_TITLE, "heading"))
        head.addWidget(self._words, 1)
        row = QHBoxLayout()
        row.setSpacing(0)
        row.addWidget(self._plot, 1)
        row.addWidget(self._ends)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 8, 4)
        column.setSpacing(4)
        column.addLayout(head)
        column.addLayout(row, 1)
        theme.notifier.changed.connect(self._draw)

    def set_load(self, names: Sequence[str], epochs: NDArray[np.int64], load_TE: NDArray[np.float32]) -> None:
        """Show these experts' shares of the images, (epochs, experts)."""
        self._names = tuple(shown(name if " · " in name else f"Expert {name}", 40) for name in names)
        self._epochs, self._load_TE = epochs, load_TE
        self._chosen = min(self._chosen, max(len(names) - 1, 0))
        self._draw()

    def mark(self, expert: int) -> None:
        """Let an expert stand out, without announcing it."""
        self._chosen = expert
        self._draw()

    def choose(self, expert: int) -> None:
        """Let an expert stand out, and say so."""
        if 0 <= expert < len(self._names):
            self.mark(expert)
            self.expert_chosen.emit(expert)

    @property
    def words(self) -> str:
        """The chosen expert in words."""
        return self._words.text()

    @property
    def ends(self) -> list[tuple[str, float]]:
        """The names at the right with where they stand, from the top, in pixels."""
        return self._ends.places()

    def _draw(self) -> None:
        look = theme.current()
        self._plot.set_look(look)
        num = len(self._names)
        order = [expert for expert in range(num) if expert != self._chosen]
        order += [self._chosen] if num else []
        quiet = theme.mixed(look.base, look.muted, 0.75)
        self._plot.set_lines(
            [
                (
                    self._epochs,
                    100 * self._load_TE[:, expert],
                    look.accent if expert == self._chosen else quiet,
                    3.0 if expert == self._chosen else 1.3,
                )
                for expert in order
            ],
            even=100 / num if num else 0.0,
        )
        self._tell()
        self._place()

    def _tell(self) -> None:
        if not len(self._epochs) or not self._names:
            self._words.setText("")
            return
        load_T = self._load_TE[:, self._chosen]
        words = f"{self._names[self._chosen]}: {load_T[0]:.0%} after the first epoch, {load_T[-1]:.0%} after the last"
        words += f"; evenly it would be {1 / len(self._names):.0%}"
        self._words.setText(words)
        self._words.setToolTip(words)
        self._plot.setAccessibleName(f"{_TITLE}; up and down arrows choose an expert")
        self._plot.setAccessibleDescription(words)

    def _place(self) -> None:
        """Put the names beside the ends of their lines, moved apart where they would lie on each other."""
        if not len(self._epochs):
            self._ends.set_names([], self._chosen)
            return
        box = self._plot.getPlotItem().getViewBox()
        ends = []
        for expert, name in enumerate(self._names):
            point = box.mapViewToScene(pg.Point(float(self._epochs[-1]), 100 * float(self._load_TE[-1, expert])))
            share = float(self._load_TE[-1, expert])
            ends.append((f"{name}  {share:.0%}" if share >= 0.005 else f"{name}  none", float(point.y())))
        wanted = max(self.fontMetrics().horizontalAdvance(text) for text, _ in ends) + _LEADER
        self._ends.setFixedWidth(max(min(wanted, round(_MAX_SHARE * self.width())), 60))
        self._ends.set_names(ends, self._chosen)

    def _on_clicked(self, epoch: float, percent: float, per_pixel: float) -> None:
        if not len(self._epochs):
            return
        at = int(np.abs(self._epochs - epoch).argmin())
        distances = np.abs(100 * self._load_TE[at] - percent)
        nearest = int(distances.argmin())
        if distances[nearest] <= _NEAR * per_pixel:
            self.choose(nearest)

    def _on_stepped(self, by: int) -> None:
        """Go to the expert whose line ends next above (-1) or below (1)."""
        if not len(self._epochs):
            return
        order = np.argsort(-self._load_TE[-1], kind="stable").tolist()
        place = min(max(order.index(self._chosen) + by, 0), len(order) - 1)
        self.choose(order[place])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()


class _Epochs(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """Numbers of epochs are whole."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: ARG002 - pyqtgraph's
        return [f"{value:.0f}" if float(value).is_integer() else "" for value in values]


class _Plot(pg.PlotWidget):  # type: ignore[misc]  # pyqtgraph has no types
    """pyqtgraph's plot with our colours, and without its menus.

    Signals:
        clicked: epoch, percent, and percents a pixel.
        stepped: -1 or 1 by the arrow keys.
    """

    clicked = Signal(float, float, float)
    stepped = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, axisItems={"bottom": _Epochs("bottom")})
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys are the plot's
        self.setMinimumHeight(140)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.showGrid(x=False, y=True, alpha=0.16)
        item.setMouseEnabled(x=False, y=False)
        item.getViewBox().setDefaultPadding(0.0)
        item.setLabel("bottom", "epoch")
        item.setLabel("left", "% of the images")
        for name in ("left", "bottom"):
            item.getAxis(name).enableAutoSIPrefix(False)
            item.getAxis(name).setStyle(tickLength=4, tickTextOffset=4)
        self._items: list[pg.PlotDataItem] = []
        self._even = pg.InfiniteLine(angle=0, movable=False)
        item.addItem(self._even, ignoreBounds=True)

    def set_look(self, look: theme.Theme) -> None:
        self.setBackground(QColor(look.base))
        font = QFont(self.font())
        font.setPointSizeF(max(7.5, font.pointSizeF() - 1.5))
        for name in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(name)
            axis.setPen(pg.mkPen(theme.mixed(look.border, look.muted, 0.3)))
            axis.setTextPen(pg.mkPen(look.muted))
            axis.setTickFont(font)
        self._even.setPen(pg.mkPen(look.muted, width=1, style=Qt.PenStyle.DashLine))

    def set_lines(
        self, lines: Sequence[tuple[NDArray[np.int64], NDArray[np.float32], str, float]], *, even: float
    ) -> None:
        item = self.getPlotItem()
        while len(self._items) > len(lines):
            item.removeItem(self._items.pop())
        while len(self._items) < len(lines):
            made = pg.PlotDataItem(antialias=True)
            item.addItem(made)
            self._items.append(made)
        most = even
        for made, (epochs, values, color, width) in zip(self._items, lines, strict=True):
            pen = QPen(QColor(color), width)
            pen.setCosmetic(True)
            pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
            made.setData(epochs.astype(float), values.astype(float), pen=pen)
            made.setSymbol("o" if len(epochs) == 1 else None)
            most = max(most, float(values.max(initial=0.0)))
        self._even.setVisible(even > 0)
        self._even.setValue(even)
        if lines and len(lines[0][0]):
            epochs = lines[0][0]
            first, last = float(epochs[0]), float(epochs[-1])
            item.setXRange(first, last if last > first else first + 1, padding=0.02)
            item.setYRange(0, 1.08 * most, padding=0.0)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        box = self.getPlotItem().getViewBox()
        point = box.mapSceneToView(event.position())
        self.clicked.emit(point.x(), point.y(), abs(box.viewPixelSize()[1]))

    def wheelEvent(self, event: object) -> None:
        event.ignore()  # type: ignore[attr-defined]  # nothing is zoomed: all epochs are in sight

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if by is None:
            event.ignore()
        else:
            self.stepped.emit(by)


class _Ends(QWidget):
    """Names at the right of a plot, each with a stroke to the end of its line.

    Signals:
        clicked: the number of an expert.
    """

    clicked = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._names: list[tuple[str, float]] = []
        self._chosen = 0

    def set_names(self, names: list[tuple[str, float]], chosen: int) -> None:
        self._names, self._chosen = names, chosen
        self.update()

    def places(self) -> list[tuple[str, float]]:
        """Names with the middles of their lines of text."""
        line = float(self.fontMetrics().height())
        tops = spread_out([y for _, y in self._names], line, self.height())
        return [(name, top) for (name, _), top in zip(self._names, tops, strict=True)]

    def mousePressEvent(self, event: QMouseEvent) -> None:
        places = self.places()
        if places:
            distances = [abs(y - event.position().y()) for _, y in places]
            self.clicked.emit(distances.index(min(distances)))

    def paintEvent(self, event: object) -> None:  # noqa: ARG002 - always painted as a whole
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for expert, ((text, middle), (_, y)) in enumerate(zip(self.places(), self._names, strict=True)):
            is_chosen = expert == self._chosen
            font = QFont(self.font())
            font.setWeight(QFont.Weight.DemiBold if is_chosen else QFont.Weight.Normal)
            painter.setFont(font)
            painter.setPen(QPen(QColor(look.accent if is_chosen else look.outline), 1))
            painter.drawLine(0, round(y), 10, round(middle))
            painter.setPen(QColor(look.accent if is_chosen else look.text))
            metrics = QFontMetricsF(font)
            room = QRectF(14, middle - metrics.height() / 2, self.width() - 16, metrics.height())
            words = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, room.width())
            painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), words)


def spread_out(wanted: Sequence[float], line: float, height: float) -> list[float]:
    """Middles of lines of text near to where they are wanted, none on another, inside the height while they fit.

    Args:
        wanted: Where each would best be, in pixels from the top.
        line: Height of a line.
        height: Of the room.
    """
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    middles = [min(max(wanted[place], line / 2), height - line / 2) for place in order]
    for number in range(1, len(middles)):
        middles[number] = max(middles[number], middles[number - 1] + line)
    limit = height - line / 2
    for number in range(len(middles) - 1, -1, -1):
        middles[number] = min(middles[number], limit)
        limit = middles[number] - line
    found = [0.0] * len(wanted)
    for place, middle in zip(order, middles, strict=True):
        found[place] = middle
    return found
