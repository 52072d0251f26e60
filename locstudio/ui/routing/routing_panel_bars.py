"""The probability of every expert as bars, one group for each router; one click or key asks "what if that one?"."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import shown, tip

AnyIndex = QModelIndex | QPersistentModelIndex
ROW_ROLE = Qt.ItemDataRole.UserRole  # an ``ExpertRow`` or a ``GroupRow``
_PAD, _GAP, _SIGN = 8, 6, 14


@dataclass(frozen=True, slots=True)
class GroupRow:
    """What stands above the bars of one router."""

    title: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ExpertRow:
    """One expert as one router sees it.

    Attributes:
        share: Probability, or share of the tokens.
        rank: 0 for the expert that took the image, above for others that computed too, -1 for those that did not.
        next_share: Of the row with rank 0, the largest share of the others.
        is_home: It is the expert of the class that the image is known to show.
    """

    router: int
    expert: int
    name: str
    share: float
    rank: int = -1
    next_share: float = 0.0
    is_home: bool = False

    def told(self) -> str:
        """The row in words."""
        role = "took it" if self.rank == 0 else f"computed too, {self.rank + 1}. choice" if self.rank > 0 else ""
        own = "the expert of its class" if self.is_home else ""
        return ", ".join(part for part in (f"expert {shown(self.name)}", f"{self.share:.3f}", role, own) if part)


class ExpertBars(QListView):
    """Shows the choice of each router; the current row is the expert that is asked about.

    Signals:
        expert_chosen: an expert that a person wants to know more of.
        expert_opened: an expert whose images she wants to see.
    """

    expert_chosen = Signal(int)
    expert_opened = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = _Rows(self)
        self._is_following = False
        self.setModel(self.rows)
        self.setItemDelegate(_BarDelegate(self))
        self.setAccessibleName("Experts of the open image")
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.doubleClicked.connect(lambda index: self._open(index))
        theme.notifier.changed.connect(self.viewport().update)

    def set_rows(self, rows: Sequence[ExpertRow | GroupRow], current: tuple[int, int] | None) -> None:
        """Show these rows; ``current`` is the router and the expert that is asked about."""
        self._is_following = True
        self.rows.set_rows(rows)
        place = self.rows.place_of(current)
        if place is not None and place != self.currentIndex().row():
            self.setCurrentIndex(self.rows.index(place))
            if place <= 1:
                self.scrollToTop()
        self._is_following = False

    @property
    def current(self) -> ExpertRow | None:
        """The row that is asked about."""
        row = self.currentIndex().data(ROW_ROLE)
        return row if isinstance(row, ExpertRow) else None

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        """Tell of an expert that a person chose."""
        super().currentChanged(current, previous)
        row = current.data(ROW_ROLE) if current.isValid() else None
        if not self._is_following and isinstance(row, ExpertRow):
            self.expert_chosen.emit(row.expert)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and down ask about another expert, Enter shows its images, Escape goes back to the one that took it."""
        if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            event.ignore()
        elif event.key() in _MOVES:
            super().keyPressEvent(event)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._open(self.currentIndex())
        elif event.key() == Qt.Key.Key_Escape and (self.current is None or self.current.rank != 0):
            place = self.rows.place_of_choice()
            if place is not None:
                self.setCurrentIndex(self.rows.index(place))
        else:
            event.ignore()  # the window's

    def _open(self, index: AnyIndex) -> None:
        row = index.data(ROW_ROLE) if index.isValid() else None
        if isinstance(row, ExpertRow):
            self.expert_opened.emit(row.expert)


_MOVES = frozenset(
    {Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Home, Qt.Key.Key_End}
)


class _Rows(QAbstractListModel):
    """Frozen rows; groups cannot be chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[ExpertRow | GroupRow, ...] = ()

    @property
    def all(self) -> tuple[ExpertRow | GroupRow, ...]:
        """What is listed."""
        return self._rows

    def set_rows(self, rows: Sequence[ExpertRow | GroupRow]) -> None:
        """List these; as many of the same kinds as before only change, so that selection and place survive."""
        new = tuple(rows)
        is_alike = [type(row) for row in new] == [type(row) for row in self._rows]
        if is_alike and new:
            self._rows = new
            self.dataChanged.emit(self.index(0), self.index(len(new) - 1))
            return
        self.beginResetModel()
        self._rows = new
        self.endResetModel()

    def place_of(self, key: tuple[int, int] | None) -> int | None:
        """The place of an expert among the bars of a router."""
        places = (n for n, row in enumerate(self._rows) if isinstance(row, ExpertRow))
        return next((n for n in places if (self._rows[n].router, self._rows[n].expert) == key), None)  # type: ignore[union-attr]  # experts only

    def place_of_choice(self) -> int | None:
        """The place of the expert that took the image."""
        return next((n for n, row in enumerate(self._rows) if isinstance(row, ExpertRow) and row.rank == 0), None)

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        """One row for each group and each expert."""
        return 0 if parent.isValid() else len(self._rows)

    def flags(self, index: AnyIndex) -> Qt.ItemFlag:
        """A group is only read."""
        row = self._rows[index.row()] if index.isValid() else None
        return super().flags(index) if isinstance(row, ExpertRow) else Qt.ItemFlag.ItemIsEnabled

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The name as text; the row itself under ``ROW_ROLE``."""
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == ROW_ROLE:
            return row
        if isinstance(row, GroupRow):
            if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
                return row.title
            return tip(row.hint) if role == Qt.ItemDataRole.ToolTipRole and row.hint else None
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(row.name)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return row.told()
        return tip(f"{row.told()}. Double click: its images.") if role == Qt.ItemDataRole.ToolTipRole else None


class _BarDelegate(QStyledItemDelegate):
    """A row: a sign of its role, the name, the bar with its number."""

    def sizeHint(self, option: QStyleOptionViewItem, index: AnyIndex) -> QSize:
        metrics: QFontMetrics = option.fontMetrics
        return QSize(120, metrics.height() + (8 if isinstance(index.data(ROW_ROLE), ExpertRow) else 12))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        row = index.data(ROW_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if isinstance(row, GroupRow):
            _paint_group(painter, option.rect, row)
        elif isinstance(row, ExpertRow):
            self._paint_expert(painter, option, row)
        painter.restore()

    def _paint_expert(self, painter: QPainter, option: QStyleOptionViewItem, row: ExpertRow) -> None:
        look, rect = theme.current(), option.rect
        state: QStyle.StateFlag = option.state
        is_asked = bool(state & QStyle.StateFlag.State_Selected)
        if is_asked:
            painter.fillRect(rect, QColor(look.selection))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(look.raised))
        font = QFont(option.font)
        font.setBold(row.rank == 0)
        metrics = QFontMetrics(font)
        number_width = QFontMetrics(option.font).horizontalAdvance("0.000") + 4
        inner = QRectF(rect).adjusted(_PAD, 0, -_PAD, 0)
        sign = QRectF(inner.left(), inner.center().y() - _SIGN / 2, _SIGN, _SIGN)
        left = sign.right() + _GAP
        bar_width = max((inner.right() - number_width - left) * (0.4 if rect.width() < 400 else 0.48), 30)
        number = QRectF(inner.right() - number_width, inner.top(), number_width, inner.height())
        bar = QRectF(number.left() - _GAP / 2 - bar_width, inner.top() + 5, bar_width, inner.height() - 10)
        paint_sign(painter, sign, row, is_asked=is_asked)
        painter.setFont(font)
        painter.setPen(QColor(look.text))
        room = QRectF(left, inner.top(), bar.left() - _GAP - left, inner.height())
        words = metrics.elidedText(shown(row.name), Qt.TextElideMode.ElideRight, round(room.width()))
        painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine), words)
        paint_bar(painter, bar, row.share, is_strong=row.rank >= 0, mark=row.next_share if row.rank == 0 else None)
        painter.setPen(QColor(look.text))
        painter.drawText(
            number, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), share_text(row.share)
        )


def share_text(share: float) -> str:
    """A probability in as few figures as tell it from 0 and from 1."""
    if 0 < share < 0.005:
        return "<0.01"
    return ">0.99" if 0.995 <= share < 1 else f"{share:.2f}"


def _paint_group(painter: QPainter, rect: QRect, row: GroupRow) -> None:
    font = QFont(painter.font())
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(QColor(theme.current().muted))
    inner = QRectF(rect).adjusted(_PAD, 2, -_PAD, 0)
    words = QFontMetrics(font).elidedText(row.title, Qt.TextElideMode.ElideRight, round(inner.width()))
    painter.drawText(inner, int(Qt.AlignmentFlag.AlignVCenter), words)


def paint_bar(painter: QPainter, room: QRectF, share: float, *, is_strong: bool, mark: float | None = None) -> None:
    """A share of 1 as a bar in its groove; a strong one is filled, a weak one pale.

    ``mark`` is where the next one ends: the margin is what lies between.
    """
    look = theme.current()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.mixed(look.base, look.text, 0.10)))
    painter.drawRoundedRect(room, 2, 2)
    width = room.width() * min(max(share, 0.0), 1.0)
    if width > 0:
        painter.setBrush(QColor(look.accent if is_strong else theme.mixed(look.base, look.accent, 0.45)))
        painter.drawRoundedRect(QRectF(room.left(), room.top(), max(width, 1.5), room.height()), 2, 2)
    if mark is not None and 0 < mark < 1:
        x = room.left() + room.width() * mark
        painter.setPen(QPen(QColor(look.base), 1.5))
        painter.drawLine(QPointF(x, room.top()), QPointF(x, room.bottom()))


def paint_sign(painter: QPainter, room: QRectF, row: ExpertRow, *, is_asked: bool = False) -> None:
    """What an expert is to the image, by shape: a tick took it, a ring computed too, a lozenge is its class's."""
    look = theme.current()
    center = room.center()
    if row.rank == 0:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(look.accent))
        painter.drawEllipse(room)
        painter.setPen(QPen(QColor(look.accent_text), 1.8, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        x, y = center.x(), center.y()
        painter.drawPolyline([QPointF(x - 3.4, y + 0.2), QPointF(x - 1, y + 2.7), QPointF(x + 3.4, y - 2.5)])
        return
    if is_asked:
        font = QFont(painter.font())
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(look.text))
        painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), "?")
        return
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(look.text), 1.5))
    if row.rank > 0:
        painter.drawEllipse(room.adjusted(2, 2, -2, -2))
    elif row.is_home:
        half = _SIGN / 2 - 1.5
        x, y = center.x(), center.y()
        corners = [QPointF(x, y - half), QPointF(x + half, y), QPointF(x, y + half), QPointF(x - half, y)]
        painter.drawPolygon(QPolygonF(corners))
