"""How the scores of a search are spread, with the handle that says which of them are shown."""

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from locstudio.ui import theme


class ScoreHistogram(QWidget):
    """Bars of how many regions have which score, and a cut that can be dragged or moved with the arrow keys.

    Signals:
        cut_changed: the score from which on hits are shown.
    """

    cut_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: tuple[int, ...] = ()
        self._low, self._high, self._cut = 0.0, 1.0, 0.0
        self._is_dragging = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Scores of the hits; arrow keys move the cut")
        self.setToolTip("Drag to show only hits with a higher score")
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(200, 52)

    @property
    def cut(self) -> float:
        """The score from which on hits are shown."""
        return self._cut

    def set_scores(self, counts: Sequence[int], low: float, high: float, cut: float) -> None:
        """Show how many scores lie in each of the equal steps from ``low`` to ``high``, and where the cut is."""
        self._counts = tuple(int(count) for count in counts)
        self._low, self._high = low, max(high, low + 1e-6)
        self._cut = min(max(cut, self._low), self._high)
        self.update()

    def _x_of(self, score: float) -> float:
        return 8 + (self.width() - 16) * (score - self._low) / (self._high - self._low)

    def _score_at(self, x: float) -> float:
        share = (x - 8) / max(1, self.width() - 16)
        return self._low + min(max(share, 0.0), 1.0) * (self._high - self._low)

    def _move_to(self, cut: float) -> None:
        cut = min(max(cut, self._low), self._high)
        if cut != self._cut:
            self._cut = cut
            self.update()
            self.cut_changed.emit(cut)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        floor = self.height() - 15.0
        painter.setPen(QPen(QColor(look.border), 1))
        painter.drawLine(8, round(floor), self.width() - 8, round(floor))
        if not self._counts:
            return
        highest = max(max(self._counts), 1)
        width = (self.width() - 16) / len(self._counts)
        painter.setPen(Qt.PenStyle.NoPen)
        for number, count in enumerate(self._counts):
            if not count:
                continue
            middle = self._low + (number + 0.5) * (self._high - self._low) / len(self._counts)
            height = max(2.0, (floor - 4) * (count / highest) ** 0.5)  # root, so that the few best can be seen
            painter.setBrush(QColor(look.accent if middle >= self._cut else theme.mixed(look.window, look.muted, 0.4)))
            painter.drawRect(QRectF(8 + number * width + 0.5, floor - height, max(1.0, width - 1), height))
        self._paint_cut(painter, floor)

    def _paint_cut(self, painter: QPainter, floor: float) -> None:
        look = theme.current()
        x = self._x_of(self._cut)
        painter.setPen(QPen(QColor(look.text), 1.5))
        painter.drawLine(round(x), 2, round(x), round(floor))
        painter.setBrush(QColor(look.accent if self.hasFocus() else look.text))
        painter.setPen(QPen(QColor(look.window), 1))
        painter.drawEllipse(QRectF(x - 5, floor - 5, 10, 10))
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1.5))
        painter.setFont(font)
        painter.setPen(QColor(look.muted))
        bottom = QRectF(8, floor + 2, self.width() - 16, 13)
        text = f"{self._cut:.2f}"
        half = painter.fontMetrics().horizontalAdvance(text) / 2 + 6
        painter.drawText(QRectF(min(max(x - half, 4), self.width() - 2 * half - 4), floor + 2, 2 * half, 13), 4, text)
        if x > 60:
            painter.drawText(bottom, int(Qt.AlignmentFlag.AlignLeft), f"{self._low:.2f}")
        if x < self.width() - 60:
            painter.drawText(bottom, int(Qt.AlignmentFlag.AlignRight), f"{self._high:.2f}")

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._is_dragging = event.button() == Qt.MouseButton.LeftButton
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        near = abs(event.position().x() - self._x_of(self._cut)) < 8
        self.setCursor(Qt.CursorShape.SizeHorCursor if near or self._is_dragging else Qt.CursorShape.ArrowCursor)
        if self._is_dragging and self._counts:
            self._move_to(self._score_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: ARG002 - any release ends the drag
        self._is_dragging = False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = (self._high - self._low) / 50
        steps = {Qt.Key.Key_Left: -step, Qt.Key.Key_Right: step, Qt.Key.Key_Home: -1e9, Qt.Key.Key_End: 1e9}
        by = steps.get(Qt.Key(event.key()))
        if by is None:
            super().keyPressEvent(event)
        else:
            self._move_to(self._cut + by)
