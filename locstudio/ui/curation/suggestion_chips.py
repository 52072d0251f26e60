"""What else a region may be, by digit, on a plate beside its box; painted like the labels of the boxes."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from locstudio.ui import theme
from locstudio.ui.canvas.chips import PLATE, PLATE_TEXT
from locstudio.ui.plain_text import shown

MAX_CHIPS = 9
_ROW = 23
_PADDING = 8
_DIGIT = 18
_WORDS = 190  # px: longer words are cut
_GAP = 8
_MUTED = QColor(255, 255, 255, 165)
_LIT = QColor(255, 255, 255, 36)


class SuggestionChips(QWidget):
    """A few rows: digit, words, score.  Takes no focus: the keys are the canvas's.

    Signals:
        chosen: number of the suggestion that was clicked, from 0.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName("Suggestions")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        font = QFont(self.font())
        font.setPointSizeF(max(font.pointSizeF() - 0.5, 7.0))
        self.setFont(font)
        self._rows: tuple[tuple[str, float], ...] = ()
        self._box = QRect()
        self._lit = -1
        self.hide()

    @property
    def texts(self) -> tuple[str, ...]:
        """What the rows say, in words."""
        return tuple(f"{number}  {text}  {score:.2f}" for number, (text, score) in enumerate(self._rows, 1))

    def set_suggestions(self, suggestions: Sequence[tuple[str, float]]) -> None:
        """Show these, each with its score; none hides the plate."""
        self._rows = tuple((shown(text, 120), score) for text, score in suggestions[:MAX_CHIPS])
        self._lit = -1
        self.setAccessibleDescription("; ".join(self.texts))
        self.setVisible(bool(self._rows))
        if self._rows:
            self.resize(self.sizeHint())
            self.place_beside(self._box)
            self.update()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        words = max((metrics.horizontalAdvance(text) for text, _ in self._rows), default=0)
        score = metrics.horizontalAdvance("0.00")
        width = 2 * _PADDING + _DIGIT + min(words, _WORDS) + 2 * _GAP + score
        return QSize(width, _ROW * len(self._rows) + _PADDING)

    def place_beside(self, box: QRect) -> None:
        """Stand at the right of a box of the parent, else at its left, else below, always inside the parent."""
        self._box = box
        parent = self.parentWidget()
        if parent is None or not self._rows:
            return
        room, width, height = parent.rect(), self.width(), self.height()
        right, left, below = box.left() + box.width() + _GAP, box.left() - _GAP - width, box.top() + box.height() + _GAP
        if right + width <= room.width():
            x, y = right, box.top()
        elif left >= 0:
            x, y = left, box.top()
        elif below + height <= room.height():
            x, y = box.left(), below
        else:  # the box fills the picture: in its corner
            x, y = box.left() + box.width() - width - 12, box.top() + 30
        x = min(max(x, 4), max(room.width() - width - 4, 4))
        y = min(max(y, 4), max(room.height() - height - 4, 4))
        if self.pos() != QPoint(x, y):
            self.move(x, y)

    def row_rect(self, number: int) -> QRect:
        """Where a row is on the plate."""
        return QRect(0, _PADDING // 2 + number * _ROW, self.width(), _ROW)

    def _row_at(self, y: float) -> int:
        row = int(y - _PADDING // 2) // _ROW
        return row if 0 <= row < len(self._rows) else -1

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(PLATE)
        painter.drawRoundedRect(self.rect(), theme.RADIUS, theme.RADIUS)
        metrics = painter.fontMetrics()
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        middle = Qt.AlignmentFlag.AlignVCenter
        for number, (text, score) in enumerate(self._rows):
            row = self.row_rect(number)
            if number == self._lit:
                painter.fillRect(row, _LIT)
            line = row.adjusted(_PADDING, 0, -_PADDING, 0)
            painter.setPen(QColor(theme.DARK.accent))
            painter.drawText(line, int(left | middle), str(number + 1))
            painter.setPen(_MUTED)
            painter.drawText(line, int(right | middle), f"{score:.2f}")
            painter.setPen(PLATE_TEXT)
            cut = metrics.elidedText(text, Qt.TextElideMode.ElideRight, _WORDS)
            painter.drawText(line.adjusted(_DIGIT, 0, 0, 0), int(left | middle), cut)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._lit = self._row_at(event.position().y())
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._lit = -1
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Keep the press from the canvas behind."""
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        row = self._row_at(event.position().y())
        if (
            event.button() == Qt.MouseButton.LeftButton
            and row >= 0
            and self.rect().contains(event.position().toPoint())
        ):
            self.chosen.emit(row)
