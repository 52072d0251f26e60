"""The list of classes beside the picture: one click looks at a class, one key says whether it is there."""

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPen, QShowEvent
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from locstudio.domain.image_labels import Presence
from locstudio.ui import theme
from locstudio.ui.heatmaps.class_rows import HUE_ROLE, ROW_ROLE, ClassRow, ClassRowModel, Key, Word
from locstudio.ui.heatmaps.sparkline import paint_sparkline

AnyIndex = QModelIndex | QPersistentModelIndex
_PAD, _GAP = 8, 8
_DOT = 12
_CURVE = QSize(56, 16)
_NEXT = {Word.PRESENT: Presence.NEGATIVE, Word.ABSENT: Presence.UNKNOWN}
"""What a click on the word makes of it; of every other word, present."""


class ClassList(QListView):
    """Shows classes with their heat, score and curve.

    Signals:
        class_chosen: the key of the class to look at.
        shown_toggled: the key of a class to lay over the picture too, or to take away from it.
        presence_wanted: the key of a class, and the ``Presence`` that a person says of it.
    """

    class_chosen = Signal(object)
    shown_toggled = Signal(object)
    presence_wanted = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Classes of this image")
        self._is_following = False
        self.rows = ClassRowModel(self)
        self.setModel(self.rows)
        self.setItemDelegate(_ClassDelegate(self))
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        theme.notifier.changed.connect(self.viewport().update)

    def set_rows(self, rows: Sequence[ClassRow], chosen: Key | None) -> None:
        """List these classes, of which one is looked at."""
        self._is_following = True
        self.rows.set_rows(rows)
        place = self.rows.row_of(chosen)
        if place is not None and place != self.currentIndex().row():
            self.setCurrentIndex(self.rows.index(place))
            self._bring_into_sight()
        self._is_following = False

    def showEvent(self, event: QShowEvent) -> None:
        """Show the chosen class, and what goes before it if there is room."""
        super().showEvent(event)
        self._bring_into_sight()

    def _bring_into_sight(self) -> None:
        if self.isVisible() and self.currentIndex().isValid():
            self.scrollToTop()
            self.scrollTo(self.currentIndex())

    def set_hues(self, hues: Mapping[Key, str]) -> None:
        """Say which classes are over the picture, and in which colours."""
        self.rows.set_hues(hues)

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        """Tell of a class that a person chose."""
        super().currentChanged(current, previous)
        if not self._is_following and current.isValid():
            self.class_chosen.emit(current.data(ROW_ROLE).key)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click on the dot lays the class over the others, on the word says whether it is there, else chooses."""
        index = self.indexAt(event.position().toPoint())
        if event.button() is Qt.MouseButton.LeftButton and index.isValid():
            row: ClassRow = index.data(ROW_ROLE)
            places = _Places.of(self.visualRect(index), self.fontMetrics())
            if places.dot.contains(event.position()) or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self.shown_toggled.emit(row.key)
                return
            if places.word.contains(event.position()):
                self.presence_wanted.emit(row.key, _NEXT.get(row.word, Presence.POSITIVE))
                return
            if index == self.currentIndex():
                self.class_chosen.emit(row.key)
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Y: it is there, N: it is not, Delete: nobody knows, Space: over the picture too, Enter: look at it."""
        index = self.currentIndex()
        row: ClassRow | None = index.data(ROW_ROLE) if index.isValid() else None
        said = {
            Qt.Key.Key_Y: Presence.POSITIVE,
            Qt.Key.Key_N: Presence.NEGATIVE,
            Qt.Key.Key_Delete: Presence.UNKNOWN,
            Qt.Key.Key_Backspace: Presence.UNKNOWN,
        }
        if event.modifiers() or row is None:
            super().keyPressEvent(event) if event.key() in _MOVES else event.ignore()
        elif (presence := said.get(Qt.Key(event.key()))) is not None:
            self.presence_wanted.emit(row.key, presence)
        elif event.key() == Qt.Key.Key_Space:
            self.shown_toggled.emit(row.key)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.class_chosen.emit(row.key)
        elif event.key() in _MOVES:
            super().keyPressEvent(event)
        else:
            event.ignore()  # the canvas's

    def viewportEvent(self, event: QEvent) -> bool:
        """Show a hand over what a click does something with."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            index = self.indexAt(event.position().toPoint())
            places = _Places.of(self.visualRect(index), self.fontMetrics()) if index.isValid() else None
            is_button = places is not None and any(
                part.contains(event.position()) for part in (places.dot, places.word)
            )
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if is_button else Qt.CursorShape.ArrowCursor)
        return super().viewportEvent(event)


_MOVES = frozenset(
    {
        Qt.Key.Key_Up,
        Qt.Key.Key_Down,
        Qt.Key.Key_PageUp,
        Qt.Key.Key_PageDown,
        Qt.Key.Key_Home,
        Qt.Key.Key_End,
    }
)


class _Places:
    """Where the parts of a row are."""

    __slots__ = ("curve", "dot", "name", "score", "word")

    def __init__(self, dot: QRectF, name: QRectF, curve: QRectF, score: QRectF, word: QRectF) -> None:
        self.dot, self.name, self.curve, self.score, self.word = dot, name, curve, score, word

    @classmethod
    def of(cls, rect: QRect, metrics: QFontMetrics) -> "_Places":
        """From right to left as much as fits; the name has the rest."""
        top, height = float(rect.top()), float(rect.height())
        word_width = metrics.horizontalAdvance(Word.EXPECTED.value) + 18
        score_width = metrics.horizontalAdvance("0.00")
        right = float(rect.right() - _PAD)
        word = QRectF(right - word_width, top + 4, word_width, height - 8)
        score = QRectF(word.left() - _GAP - score_width, top, score_width, height)
        curve = QRectF(
            score.left() - _GAP - _CURVE.width(), top + (height - _CURVE.height()) / 2, _CURVE.width(), _CURVE.height()
        )
        dot = QRectF(rect.left(), top, _PAD + _DOT + _GAP / 2, height)
        left = rect.left() + _PAD + _DOT + _GAP
        if curve.left() - left < 70:  # a narrow panel leaves the curve out
            curve = QRectF(score.left() - _GAP, top, 0, 0)
        name = QRectF(left, top, curve.left() - _GAP - left, height)
        return cls(dot, name, curve, score, word)


class _ClassDelegate(QStyledItemDelegate):
    """A row: a dot that is filled while the class is over the picture, its name, curve, score, and the word on it."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        colors = theme.current()
        row: ClassRow = index.data(ROW_ROLE)
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        is_chosen = bool(state & QStyle.StateFlag.State_Selected)
        if is_chosen:
            painter.fillRect(rect, QColor(colors.selection))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(colors.raised))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        places = _Places.of(rect, option.fontMetrics)
        has_heat = row.map_WW is not None
        self._paint_dot(painter, places.dot, str(index.data(HUE_ROLE)), colors)
        font = QFont(option.font)
        font.setBold(is_chosen)
        painter.setFont(font)
        painter.setPen(QColor(colors.text if has_heat else colors.muted))
        name = QFontMetrics(font).elidedText(str(index.data()), Qt.TextElideMode.ElideRight, int(places.name.width()))
        painter.drawText(places.name, int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine), name)
        if places.curve.width() > 0:
            paint_sparkline(painter, places.curve, row.trajectory_E, colors)
        painter.setFont(option.font)
        if has_heat:
            painter.setPen(QColor(colors.text))
            painter.drawText(
                places.score, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), f"{row.score:.2f}"
            )
        is_hot = is_chosen or bool(state & QStyle.StateFlag.State_MouseOver)
        self._paint_word(painter, places.word, row.word, colors, is_hot)
        painter.restore()

    def _paint_dot(self, painter: QPainter, room: QRectF, hue: str, colors: theme.Theme) -> None:
        dot = QRectF(room.left() + _PAD, room.center().y() - _DOT / 2, _DOT, _DOT)
        painter.setPen(QPen(QColor(hue or colors.outline), 1.5))
        painter.setBrush(QColor(hue) if hue else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(dot.adjusted(1, 1, -1, -1))

    def _paint_word(self, painter: QPainter, room: QRectF, word: Word, colors: theme.Theme, is_hot: bool) -> None:
        if word is Word.UNKNOWN and not is_hot:  # most are, and a column of the same word would hide the others
            painter.setPen(QColor(colors.muted))
            painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), "–")
            return
        ink = {
            Word.PRESENT: colors.success,
            Word.ABSENT: colors.danger,
            Word.EXPECTED: colors.warning,
            Word.UNKNOWN: colors.muted,
        }[word]
        edge = QColor(ink)
        edge.setAlpha(90 if word is Word.UNKNOWN else 170)
        back = QColor(ink)
        back.setAlpha(0 if word is Word.UNKNOWN else 30)
        painter.setPen(QPen(edge, 1, Qt.PenStyle.DashLine if word is Word.EXPECTED else Qt.PenStyle.SolidLine))
        painter.setBrush(back)
        radius = min(room.height() / 2, 10)
        painter.drawRoundedRect(room.adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)
        painter.setPen(QColor(ink))
        painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), word.value)

    def sizeHint(self, option: QStyleOptionViewItem, _index: AnyIndex) -> QSize:
        metrics: QFontMetrics = option.fontMetrics
        return QSize(160, metrics.height() + 14)
