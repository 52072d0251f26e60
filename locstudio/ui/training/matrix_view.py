"""A matrix of square cells whose names stay in sight while it is scrolled; a subclass paints what is in them."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QToolTip, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import shown, tip

MIN_SIDE, MAX_SIDE = 8, 48
_FIRST_SIDE = 30
_LONGEST_NAME = 19  # letters
_LINES_FROM = 13
_WHEEL_STEP = 1.15

Place = tuple[int, int]
"""Row and column of a cell."""


class MatrixView(QAbstractScrollArea):
    """Rows and columns of cells; one of them is current, by mouse or arrow keys.

    Signals:
        place_chosen: row and column of the cell that a person clicked or walked to.
        side_changed: the size of the cells was changed (Ctrl + wheel).
    """

    place_chosen = Signal(int, int)
    side_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[str, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._titles = ("", "")
        self._side = _FIRST_SIDE
        self._current: Place | None = None
        self._pointed: Place | None = None
        self._margins = (0, 0)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self.setMinimumSize(220, 180)
        theme.notifier.changed.connect(self.viewport().update)

    def set_names(
        self, rows: Sequence[str], columns: Sequence[str], notes: Sequence[str], titles: tuple[str, str]
    ) -> None:
        """Name rows and columns; ``notes`` stand small beside the rows, ``titles`` say what rows and columns are."""
        self._rows, self._columns = tuple(map(shown, rows)), tuple(map(shown, columns))
        self._notes, self._titles = tuple(notes), titles
        self._current = self._pointed = None
        self._measure()
        self.horizontalScrollBar().setValue(0)
        self.verticalScrollBar().setValue(0)
        self.viewport().update()

    @property
    def side(self) -> int:
        """Side of a cell in pixels."""
        return self._side

    def set_side(self, side: int) -> None:
        """Make the cells larger or smaller; what is at the top left stays there."""
        side = max(MIN_SIDE, min(MAX_SIDE, side))
        if side != self._side:
            bars = (self.horizontalScrollBar(), self.verticalScrollBar())
            starts = [bar.value() / self._side for bar in bars]
            self._side = side
            self._measure()
            for bar, start in zip(bars, starts, strict=True):
                bar.setValue(round(start * side))
            self.viewport().update()
            self.side_changed.emit(side)

    def fit(self) -> None:
        """Make the cells as large as showing the whole matrix allows."""
        for _ in range(2):  # the margins depend on the side, through the font of the names
            left, top = self._margins
            room = (self.viewport().width() - left, self.viewport().height() - top)
            if self._rows and self._columns:
                self.set_side(min((room[0] - 1) // len(self._columns), (room[1] - 1) // len(self._rows)))

    @property
    def current(self) -> Place | None:
        """Row and column of the current cell."""
        return self._current

    def choose(self, row: int, column: int) -> None:
        """Make a cell the current one, bring it into sight and announce it."""
        self._current = (row, column)
        self._show(row, column)
        self.viewport().update()
        self.setAccessibleDescription(self.sentence_of(row, column))
        self.place_chosen.emit(row, column)

    def sentence_of(self, row: int, column: int) -> str:
        """A cell in words, for tool tips and screen readers."""
        return f"{self._rows[row]}, {self._columns[column]}"

    def _paint_cells(self, painter: QPainter, rows: range, columns: range) -> None:
        """Paint the cells of these rows and columns, on a grid that is there."""

    # geometry ---------------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        return QSize(620, 520)

    def _name_font(self) -> QFont:
        font = QFont(QApplication.font())
        font.setPointSizeF(max(6.5, min(font.pointSizeF(), 0.62 * self._side)))
        return font

    def _measure(self) -> None:
        if self._rows and self._columns:
            metrics = QFontMetrics(self._name_font())
            longest = _LONGEST_NAME * metrics.averageCharWidth()
            left = min(longest, max(map(metrics.horizontalAdvance, self._rows)))
            notes = max(map(metrics.horizontalAdvance, self._notes), default=0)
            top = min(longest, max(map(metrics.horizontalAdvance, self._columns)))
            self._margins = (left + notes + 24, max(top + 14, 48))
        content = (len(self._columns) * self._side + 1, len(self._rows) * self._side + 1)
        room = (self.viewport().width() - self._margins[0], self.viewport().height() - self._margins[1])
        for bar, wants, has in zip((self.horizontalScrollBar(), self.verticalScrollBar()), content, room, strict=True):
            bar.setRange(0, max(0, wants - has))
            bar.setPageStep(max(1, has))
            bar.setSingleStep(self._side)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._measure()

    def _origin(self) -> QPoint:
        """Where the first cell begins, in the viewport."""
        left, top = self._margins
        return QPoint(left - self.horizontalScrollBar().value(), top - self.verticalScrollBar().value())

    def rect_of(self, row: int, column: int) -> QRect:
        """Where a cell lies in the viewport."""
        origin = self._origin()
        return QRect(origin.x() + column * self._side, origin.y() + row * self._side, self._side, self._side)

    def place_at(self, point: QPoint) -> Place | None:
        """The cell under a point of the viewport."""
        left, top = self._margins
        if point.x() < left or point.y() < top:
            return None
        origin = self._origin()
        row, column = (point.y() - origin.y()) // self._side, (point.x() - origin.x()) // self._side
        return (row, column) if 0 <= row < len(self._rows) and 0 <= column < len(self._columns) else None

    def _show(self, row: int, column: int) -> None:
        for bar, number in ((self.horizontalScrollBar(), column), (self.verticalScrollBar(), row)):
            start = number * self._side
            bar.setValue(min(start, max(bar.value(), start + self._side - bar.pageStep() + 1)))

    # hands ------------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self.place_at(event.position().toPoint())
        if place is not None and event.button() == Qt.MouseButton.LeftButton:
            self.choose(*place)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point_at(self.place_at(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:
        self._point_at(None)
        super().leaveEvent(event)

    def _point_at(self, place: Place | None) -> None:
        if place != self._pointed:
            self._pointed = place
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if place else Qt.CursorShape.ArrowCursor)
            self.viewport().update()

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            place = self.place_at(event.pos())
            if place is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), tip(self.sentence_of(*place)), self.viewport())
            return True
        return super().viewportEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
            Qt.Key.Key_Up: (-1, 0),
            Qt.Key.Key_Down: (1, 0),
        }
        step = steps.get(Qt.Key(event.key()))
        if not self._rows or step is None:
            super().keyPressEvent(event)
            return
        row, column = self._current or (0, 0)
        if self._current is not None:
            row = min(max(row + step[0], 0), len(self._rows) - 1)
            column = min(max(column + step[1], 0), len(self._columns) - 1)
        self.choose(row, column)

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta().y()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and turned:
            wanted = round(self._side * (_WHEEL_STEP if turned > 0 else 1 / _WHEEL_STEP))
            self.set_side(wanted if wanted != self._side else self._side + (1 if turned > 0 else -1))
            event.accept()
            return
        super().wheelEvent(event)

    # paint ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        painter = QPainter(self.viewport())
        look = theme.current()
        painter.fillRect(self.viewport().rect(), QColor(look.base))
        if not (self._rows and self._columns):
            return
        left, top = self._margins
        cells = self.viewport().rect().adjusted(left, top, 0, 0)
        rows, columns = self._on_screen(cells)
        painter.setClipRect(cells)
        self._paint_grid(painter, rows, columns)
        self._paint_cells(painter, rows, columns)
        self._paint_marks(painter)
        self._paint_row_names(painter, QRect(0, top, left, cells.height()), rows)
        self._paint_column_names(painter, QRect(left, 0, cells.width(), top), columns)
        self._paint_corner(painter, QRect(0, 0, left, top))

    def _on_screen(self, cells: QRect) -> tuple[range, range]:
        origin = self._origin()
        first_row, last_row = ((y - origin.y()) // self._side for y in (cells.top(), cells.bottom()))
        first_column, last_column = ((x - origin.x()) // self._side for x in (cells.left(), cells.right()))
        return (
            range(max(0, first_row), min(len(self._rows), last_row + 1)),
            range(max(0, first_column), min(len(self._columns), last_column + 1)),
        )

    def _paint_grid(self, painter: QPainter, rows: range, columns: range) -> None:
        """Lines, and the row and column of the cell that is looked at, so that the eye finds its names."""
        look, origin = theme.current(), self._origin()
        width, height = len(self._columns) * self._side, len(self._rows) * self._side
        place = self._pointed or self._current
        if place is not None:
            band, cell = QColor(theme.mixed(look.base, look.accent, 0.13)), self.rect_of(*place)
            painter.fillRect(QRect(origin.x(), cell.top(), width, self._side), band)
            painter.fillRect(QRect(cell.left(), origin.y(), self._side, height), band)
        painter.setPen(QPen(QColor(theme.mixed(look.base, look.border, 0.8)), 1))
        every = 1 if self._side >= _LINES_FROM else 5
        for row in range(-(-rows.start // every) * every, rows.stop + 1, every):
            y = origin.y() + row * self._side
            painter.drawLine(origin.x(), y, origin.x() + width, y)
        for column in range(-(-columns.start // every) * every, columns.stop + 1, every):
            x = origin.x() + column * self._side
            painter.drawLine(x, origin.y(), x, origin.y() + height)

    def _paint_marks(self, painter: QPainter) -> None:
        look = theme.current()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for place, color in ((self._pointed, look.muted), (self._current, look.accent)):
            if place is not None:
                painter.setPen(QPen(QColor(color), 2))
                painter.drawRect(self.rect_of(*place).adjusted(1, 1, 0, 0))

    def _paint_row_names(self, painter: QPainter, area: QRect, rows: range) -> None:
        look, font, place = theme.current(), self._name_font(), self._pointed or self._current
        painter.setClipRect(area)
        right = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        for row in rows:
            is_looked_at = place is not None and place[0] == row
            font.setWeight(QFont.Weight.DemiBold if is_looked_at else QFont.Weight.Normal)
            painter.setFont(font)
            line = QRect(6, self.rect_of(row, 0).center().y() - 12, area.width() - 12, 24)
            painter.setPen(QColor(look.muted))
            painter.drawText(line, right, self._notes[row])
            words = line.adjusted(0, 0, -painter.fontMetrics().horizontalAdvance(self._notes[row]) - 8, 0)
            painter.setPen(QColor(look.text if place is None or is_looked_at else look.muted))
            text = painter.fontMetrics().elidedText(self._rows[row], Qt.TextElideMode.ElideRight, words.width())
            painter.drawText(words, right, text)

    def _paint_column_names(self, painter: QPainter, area: QRect, columns: range) -> None:
        look, font, place = theme.current(), self._name_font(), self._pointed or self._current
        painter.setClipRect(area)
        box = QRectF(0, -12, area.height() - 10, 24)
        for column in columns:
            is_looked_at = place is not None and place[1] == column
            font.setWeight(QFont.Weight.DemiBold if is_looked_at else QFont.Weight.Normal)
            painter.setFont(font)
            painter.setPen(QColor(look.text if place is None or is_looked_at else look.muted))
            painter.save()
            painter.translate(QPointF(self.rect_of(0, column).center().x() + 0.5, area.bottom() - 6))
            painter.rotate(-90)
            text = self._columns[column]
            text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, round(box.width()))
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
            painter.restore()

    def _paint_corner(self, painter: QPainter, area: QRect) -> None:
        painter.setClipRect(area)
        font = QFont(QApplication.font())
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1.5))
        painter.setFont(font)
        painter.setPen(QColor(theme.current().muted))
        words = area.adjusted(6, 6, -6, -6)
        row_title, column_title = self._titles
        painter.drawText(words, int(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight), f"{column_title} →")
        painter.drawText(words, int(Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignRight), f"{row_title} ↓")
