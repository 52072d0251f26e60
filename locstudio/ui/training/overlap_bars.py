"""How well the boxes of phrases were found: how many overlap the true box by how much."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from locstudio.ui import theme

_SIDE = 20


class OverlapBars(QWidget):
    """One bar for each equal part of [0, 1]; those from one half on are hits and filled, the others hollow.

    Signals:
        part_chosen: lowest and highest overlap of the bar that a person chose.
    """

    part_chosen = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: tuple[int, ...] = ()
        self._current = self._pointed = -1
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Overlap of found boxes; arrow keys walk through the bars")
        theme.notifier.changed.connect(self.update)

    def set_counts(self, counts: Sequence[int]) -> None:
        """Show how many boxes overlap by each part."""
        self._counts = tuple(counts)
        self._current = self._pointed = -1
        self.update()

    @property
    def counts(self) -> tuple[int, ...]:
        """What is shown."""
        return self._counts

    def sizeHint(self) -> QSize:
        return QSize(300, 140)

    def part(self, number: int) -> tuple[float, float]:
        """Lowest and highest overlap of a bar."""
        return number / len(self._counts), (number + 1) / len(self._counts)

    def sentence_of(self, number: int) -> str:
        """A bar in words."""
        low, high = self.part(number)
        return f"{self._counts[number]:,} boxes overlap the true one by {100 * low:.0f} to {100 * high:.0f} %."

    def choose(self, number: int) -> None:
        """Make a bar the current one and announce it."""
        self._current = number
        self.setAccessibleDescription(self.sentence_of(number))
        self.update()
        self.part_chosen.emit(*self.part(number))

    def column_of(self, number: int) -> QRectF:
        """The room of a bar, from top to bottom."""
        width = (self.width() - 2 * _SIDE) / max(1, len(self._counts))
        return QRectF(_SIDE + number * width, 6, width, self.height() - 28)

    def _at(self, point: QPoint) -> int:
        return next((n for n in range(len(self._counts)) if self.column_of(n).contains(point)), -1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        number = self._at(event.position().toPoint())
        if number >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.choose(number)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        number = self._at(event.position().toPoint())
        if number != self._pointed:
            self._pointed = number
            self.setCursor(Qt.CursorShape.PointingHandCursor if number >= 0 else Qt.CursorShape.ArrowCursor)
            self.setToolTip(self.sentence_of(number) if number >= 0 else "")
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._pointed = -1
        self.update()
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None or not self._counts:
            super().keyPressEvent(event)
        else:
            self.choose(min(max(self._current + step, 0), len(self._counts) - 1))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        look = theme.current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(look.base))
        if not self._counts:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        highest = max(max(self._counts), 1)
        font = painter.font()
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1.5))
        painter.setFont(font)
        number_height = painter.fontMetrics().height()
        for number, count in enumerate(self._counts):
            room = self.column_of(number)
            height = (room.height() - number_height - 2) * count / highest
            bar = QRectF(room.left() + 2, room.bottom() - height, room.width() - 4, height)
            is_lit = number in (self._pointed, self._current)
            ink = QColor(theme.mixed(look.base, look.accent, 0.95 if is_lit else 0.65))
            painter.setPen(QPen(ink, 1.4))
            painter.setBrush(ink if self.part(number)[0] >= 0.5 else QColor(look.base))
            painter.drawRect(bar.adjusted(0.7, 0, -0.7, 0))
            painter.setPen(QColor(look.text if is_lit else look.muted))
            top = QRectF(room.left(), bar.top() - number_height - 1, room.width(), number_height)
            painter.drawText(top, int(Qt.AlignmentFlag.AlignCenter), f"{count:,}")
        floor = self.column_of(0).bottom()
        painter.setPen(QPen(QColor(look.border), 1))
        painter.drawLine(_SIDE, round(floor), self.width() - _SIDE, round(floor))
        painter.setPen(QColor(look.muted))
        for edge in range(0, len(self._counts) + 1, max(1, len(self._counts) // 5)):
            x = _SIDE + edge * (self.width() - 2 * _SIDE) / len(self._counts)
            text = f"{100 * edge / len(self._counts):.0f} %"
            painter.drawText(QRectF(x - 24, floor + 3, 48, number_height), int(Qt.AlignmentFlag.AlignCenter), text)
