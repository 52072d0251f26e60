"""How often the right answer is among the first k: one group of bars for each direction of a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from locstudio.ui import theme

_BAR, _GAP, _TITLE = 26, 6, 34


@dataclass(frozen=True, slots=True)
class RecallGroup:
    """One direction: ``key`` names it for the program, ``title`` for a person; ``shares`` by k, each in [0, 1].

    ``count`` is how many questions were asked; ``has_regions`` whether those that were missed can be listed.
    """

    key: str
    title: str
    count: int
    shares: Mapping[int, float]
    has_regions: bool = True


class RecallBars(QWidget):
    """Groups of horizontal bars, each with its number; clicked or walked to with the keys.

    Signals:
        bar_chosen: key of the group, k.
    """

    bar_chosen = Signal(str, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._groups: tuple[RecallGroup, ...] = ()
        self._bars: list[tuple[RecallGroup, int]] = []
        self._current = -1
        self._pointed = -1
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.setAccessibleName("Recall at k; arrow keys walk through the bars")
        theme.notifier.changed.connect(self.update)

    def set_groups(self, groups: Sequence[RecallGroup]) -> None:
        """Show these groups, from top to bottom."""
        self._groups = tuple(groups)
        self._bars = [(group, k) for group in groups for k in sorted(group.shares)]
        self._current = self._pointed = -1
        self.setMinimumHeight(self.sizeHint().height())
        self.updateGeometry()
        self.update()

    @property
    def groups(self) -> tuple[RecallGroup, ...]:
        """What is shown."""
        return self._groups

    def sizeHint(self) -> QSize:
        return QSize(360, len(self._groups) * (_TITLE + 10) + len(self._bars) * (_BAR + _GAP) + 16)

    def rect_of(self, number: int) -> QRect:
        """Where a bar lies, with its words."""
        group = self._bars[number][0]
        above = self._groups.index(group)
        top = 8 + (above + 1) * _TITLE + above * 10 + number * (_BAR + _GAP)
        return QRect(16, top, self.width() - 32, _BAR)

    def sentence_of(self, number: int) -> str:
        """A bar in words."""
        group, k = self._bars[number]
        where = "first" if k == 1 else f"among the first {k}"
        return f"{group.title}: the right one is {where} for {100 * group.shares[k]:.1f} % of {group.count:,}."

    def choose(self, number: int) -> None:
        """Make a bar the current one and announce it."""
        self._current = number
        self.setAccessibleDescription(self.sentence_of(number))
        self.update()
        group, k = self._bars[number]
        if group.has_regions:
            self.bar_chosen.emit(group.key, k)

    def _at(self, point: QPoint) -> int:
        return next((n for n in range(len(self._bars)) if self.rect_of(n).contains(point)), -1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        number = self._at(event.position().toPoint())
        if number >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.choose(number)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        number = self._at(event.position().toPoint())
        if number != self._pointed:
            self._pointed = number
            can = number >= 0 and self._bars[number][0].has_regions
            self.setCursor(Qt.CursorShape.PointingHandCursor if can else Qt.CursorShape.ArrowCursor)
            self.setToolTip(self.sentence_of(number) if number >= 0 else "")
            self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._pointed = -1
        self.update()
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}.get(Qt.Key(event.key()))
        if step is None or not self._bars:
            super().keyPressEvent(event)
        else:
            self.choose(min(max(self._current + step, 0), len(self._bars) - 1))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        look = theme.current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(look.base))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bold = QFont(QApplication.font())
        bold.setBold(True)
        first = 0
        for group in self._groups:
            line = self.rect_of(first).translated(0, -_TITLE + 4)
            painter.setFont(bold)
            painter.setPen(QColor(look.text))
            painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), group.title)
            shift = painter.fontMetrics().horizontalAdvance(group.title) + 10
            painter.setFont(QApplication.font())
            painter.setPen(QColor(look.muted))
            aside = line.adjusted(shift, 0, 0, 0)
            painter.drawText(aside, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), f"{group.count:,}")
            for number in range(first, first + len(group.shares)):
                self._paint_bar(painter, number)
            first += len(group.shares)

    def _paint_bar(self, painter: QPainter, number: int) -> None:
        look = theme.current()
        group, k = self._bars[number]
        share = min(max(group.shares[k], 0.0), 1.0)
        rect = QRectF(self.rect_of(number))
        words, numbers = QRectF(rect), QRectF(rect)
        words.setWidth(46)
        numbers.setLeft(rect.right() - 58)
        painter.setPen(QColor(look.muted))
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), f"@ {k}")
        painter.setPen(QColor(look.text))
        text = f"{100 * share:.1f} %"
        painter.drawText(numbers, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), text)
        groove = QRectF(words.right(), rect.top() + 5, numbers.left() - words.right() - 6, rect.height() - 10)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.mixed(look.base, look.text, 0.08)))
        painter.drawRoundedRect(groove, 3, 3)
        bar = QRectF(groove)
        bar.setWidth(max(2.0, groove.width() * share))
        is_lit = number in (self._pointed, self._current)
        painter.setBrush(QColor(theme.mixed(look.base, look.accent, 0.95 if is_lit else 0.65)))
        painter.drawRoundedRect(bar, 3, 3)
        if number == self._current:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(look.accent), 1.5))
            painter.drawRoundedRect(rect.adjusted(-6, 1, 6, -1), 4, 4)
