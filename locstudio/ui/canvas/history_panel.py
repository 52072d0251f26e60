"""What was done, step by step, newest first; a click goes there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from PySide6.QtCore import (
    QAbstractListModel,
    QCoreApplication,
    QDate,
    QLocale,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from locstudio.ui import theme
from locstudio.ui.canvas.chips import one_line

translate = QCoreApplication.translate
AnyIndex = QModelIndex | QPersistentModelIndex

ENTRY_ROLE = Qt.ItemDataRole.UserRole
IS_CURRENT_ROLE = Qt.ItemDataRole.UserRole + 1
BEGINNING = 0  # the identity that stands for "before the first step"


class Step(Protocol):
    """What the panel needs of an entry of the history."""

    @property
    def id(self) -> int:
        """Identity of the step, growing with time."""

    @property
    def title(self) -> str:
        """What was done: "Move box"."""

    @property
    def at(self) -> str:
        """When: UTC, ISO 8601."""

    @property
    def actor(self) -> str:
        """Who did it: "human" or the name of a job."""

    @property
    def is_undone(self) -> bool:
        """Whether the step is taken back now."""

    @property
    def num_changes(self) -> int:
        """How many things it changed."""


class HistoryModel(QAbstractListModel):
    """Steps, newest first, and below them the beginning."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps: tuple[Step, ...] = ()
        self._current = 0
        self._has_beginning = True

    def set_steps(self, steps: Sequence[Step], is_complete: bool = True) -> None:
        """Show these steps, in any order; the beginning only below a complete history."""
        self.beginResetModel()
        self._has_beginning = is_complete
        self._steps = tuple(sorted(steps, key=lambda step: -step.id))
        done = [row for row, step in enumerate(self._steps) if not step.is_undone]
        self._current = done[0] if done else len(self._steps)
        self.endResetModel()

    @property
    def current_row(self) -> int:
        """The row of the state the project is in."""
        return self._current

    def id_at(self, row: int) -> int:
        """Identity of the step in a row; ``BEGINNING`` for the last row."""
        return self._steps[row].id if row < len(self._steps) else BEGINNING

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        """One row for each step, and one for the beginning."""
        return 0 if parent.isValid() else len(self._steps) + self._has_beginning

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The title as text; the step itself under ``ENTRY_ROLE``; greyed when taken back."""
        if not index.isValid():
            return None
        row = index.row()
        step = self._steps[row] if row < len(self._steps) else None
        if role == Qt.ItemDataRole.DisplayRole:
            return one_line(step.title) if step else translate("Canvas", "Beginning")
        if role == ENTRY_ROLE:
            return step
        if role == IS_CURRENT_ROLE:
            return row == self._current
        if role == Qt.ItemDataRole.ForegroundRole and step is not None and step.is_undone:
            return QColor(theme.current().muted)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._spoken(row, step)
        return None

    def _spoken(self, row: int, step: Step | None) -> str:
        text = one_line(step.title) if step else translate("Canvas", "Beginning")
        if row == self._current:
            return translate("Canvas", "{title}, now").format(title=text)
        if step is not None and step.is_undone:
            return translate("Canvas", "{title}, undone").format(title=text)
        return text


class _StepDelegate(QStyledItemDelegate):
    """A row: a dot for where we are, the title, and small beside it who and when."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        colors = theme.current()
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        is_current = bool(index.data(IS_CURRENT_ROLE))
        step = index.data(ENTRY_ROLE)
        if state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(colors.raised))
        if state & QStyle.StateFlag.State_Selected and state & QStyle.StateFlag.State_HasFocus:
            painter.fillRect(rect, QColor(colors.selection))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        dot = QRect(rect.left() + 8, rect.center().y() - 3, 8, 8)
        painter.setPen(QColor(colors.accent if is_current else colors.muted))
        painter.setBrush(QColor(colors.accent) if is_current else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(dot)
        is_undone = step is not None and step.is_undone
        aside = _aside(step) if step is not None else ""
        metrics: QFontMetrics = option.fontMetrics
        aside_width = metrics.horizontalAdvance(aside)
        line = rect.adjusted(26, 0, -10, 0)
        flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)
        painter.setPen(QColor(colors.muted))
        painter.drawText(line, flags | int(Qt.AlignmentFlag.AlignRight), aside)
        painter.setPen(QColor(colors.muted if is_undone else colors.text))
        room = line.adjusted(0, 0, -(aside_width + 10), 0)
        title = metrics.elidedText(str(index.data()), Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, flags, title)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, _index: AnyIndex) -> QSize:
        metrics: QFontMetrics = option.fontMetrics
        return QSize(120, metrics.height() + 12)


def _aside(step: Step) -> str:
    parts = []
    if step.num_changes > 1:
        parts.append(translate("History", "{count} changes").format(count=f"{step.num_changes:,}"))
    if step.actor not in ("", "human"):
        parts.append(one_line(step.actor))
    parts.append(_time_of(step.at))
    return "  ".join(parts)


def _time_of(at: str) -> str:
    """The hour of a moment of today, else its date, in local time."""
    local = datetime.fromisoformat(at).astimezone()
    if local.date() == datetime.now().astimezone().date():
        return local.strftime("%H:%M")
    return QLocale().toString(QDate(local.year, local.month, local.day), QLocale.FormatType.ShortFormat)


class HistoryPanel(QListView):
    """The undo history.  A click or Enter on a step asks to go to the state after it.

    Signals:
        go_to_requested: identity of the step after which the project should stand; ``BEGINNING`` for before all.
    """

    go_to_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("History of edits"))
        self.steps = HistoryModel(self)
        self.setModel(self.steps)
        self.setItemDelegate(_StepDelegate(self))
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.clicked.connect(self._go_to)
        theme.notifier.changed.connect(self.viewport().update)

    def set_steps(self, steps: Sequence[Step], is_complete: bool = True) -> None:
        """Show these steps, and bring the present one into sight.

        Args:
            steps: The newest steps of the history, in any order.
            is_complete: Whether these are all; then the beginning is offered too.
        """
        self.steps.set_steps(steps, is_complete)
        index = self.steps.index(self.steps.current_row)
        self.setCurrentIndex(index)
        self.scrollTo(index)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter goes to the step under the keyboard."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._go_to(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def _go_to(self, index: QModelIndex) -> None:
        if index.row() != self.steps.current_row:
            self.go_to_requested.emit(self.steps.id_at(index.row()))
