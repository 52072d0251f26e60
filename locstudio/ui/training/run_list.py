"""The runs of a project as a list: sign and words for where each stands, how far it is, and what it has reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QHelpEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QWidget,
)

from locstudio.jobs.run_state import RunState
from locstudio.ui import theme
from locstudio.ui.icons import drawn
from locstudio.ui.indexing import in_words
from locstudio.ui.plain_text import shown, tip
from locstudio.ui.training.lines import line_color
from locstudio.ui.training.wording import STATES

RUN_ROLE = int(Qt.ItemDataRole.UserRole)
LIVE = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.STOPPING})
_SIGNS = {
    RunState.QUEUED: ("history", "muted"),
    RunState.RUNNING: ("run", "accent"),
    RunState.STOPPING: ("stop", "warning"),
    RunState.DONE: ("check", "success"),
    RunState.STOPPED: ("stop", "muted"),
    RunState.FAILED: ("warning", "danger"),
    RunState.INTERRUPTED: ("pause", "warning"),
}
_BETWEEN = " · "
_ROW_HEIGHT = 62
_PAD = 10
_SIGN_SIDE = 16


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as the list shows it.

    ``color`` is the number of its line colour; ``is_silent`` that a living run has not said a word for long;
    ``phase`` a few words instead of the state's ("Reading images"); ``result`` what it has reached ("top 1 0.62");
    ``sentence`` why it failed; ``is_in_use`` that the project uses the model it has made.
    ``is_overlaid`` is a person's wish to see its curves besides those in front, ``is_drawn`` that they are seen;
    ``is_unstarted`` that it was made and its process was not.
    """

    id: str
    title: str
    state: RunState
    color: int = 0
    step: int = 0
    num_steps: int = 0
    seconds_left: float = 0.0
    phase: str = ""
    result: str = ""
    sentence: str = ""
    is_silent: bool = False
    is_overlaid: bool = False
    is_drawn: bool = False
    is_unstarted: bool = False
    is_in_use: bool = False

    @property
    def is_live(self) -> bool:
        """Whether a process works on it or waits for its turn."""
        return self.state in LIVE and not self.is_unstarted

    @property
    def share(self) -> float | None:
        """How far it is in [0, 1]; None where that is not known or does not matter any more."""
        if self.state in (RunState.DONE, RunState.FAILED) or not self.num_steps or not self.step:
            return None
        return min(1.0, self.step / self.num_steps)

    def words(self) -> str:
        """Where the run stands, in a few words."""
        return _BETWEEN.join(self.parts())

    def parts(self) -> list[str]:
        """The same piece by piece, the most important one first."""
        if self.is_unstarted:
            return ["Not started"]
        if self.is_silent and self.is_live:
            return ["Not responding"]
        has_phase = self.phase and self.state in (RunState.RUNNING, RunState.DONE)
        parts = [self.phase if has_phase else "In use" if self.is_in_use else STATES[self.state]]
        if self.is_live and self.seconds_left > 1:
            parts.append(f"{in_words(self.seconds_left)} left")
        elif self.share is not None and not self.is_live:
            parts.append(f"at step {self.step:,} of {self.num_steps:,}")
        if self.result:
            parts.append(self.result)
        return parts

    def sign(self) -> tuple[str, str]:
        """The icon and the role of its colour."""
        if self.is_unstarted:
            return _SIGNS[RunState.INTERRUPTED]
        return ("warning", "danger") if self.is_silent and self.is_live else _SIGNS[self.state]


class RunsModel(QAbstractListModel):
    """Runs, newest first.  A row that is checked is drawn among the curves.

    Signals:
        overlay_changed: the ids of the runs that are checked.
    """

    overlay_changed = Signal(list)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[RunRow, ...] = ()

    @property
    def rows(self) -> tuple[RunRow, ...]:
        """What is shown."""
        return self._rows

    def set_rows(self, rows: Sequence[RunRow]) -> None:
        """Show these runs; a change of values alone keeps selection and place."""
        rows = tuple(rows)
        if [row.id for row in rows] != [row.id for row in self._rows]:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
            return
        old, self._rows = self._rows, rows
        for number, (before, after) in enumerate(zip(old, rows, strict=True)):
            if before != after:
                self.dataChanged.emit(self.index(number), self.index(number))

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def flags(self, index: QModelIndex | QPersistentModelIndex) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.isValid() else flags

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        row = self._rows[index.row()]
        sentence = f"{row.title}: {row.words()}" + (f". {row.sentence}" if row.sentence else "")
        match role:
            case _ if role == RUN_ROLE:
                return row
            case Qt.ItemDataRole.DisplayRole:
                return shown(row.title)
            case Qt.ItemDataRole.ToolTipRole:
                return tip(sentence)
            case Qt.ItemDataRole.AccessibleTextRole:
                return shown(sentence, 400)
            case Qt.ItemDataRole.CheckStateRole:
                return Qt.CheckState.Checked if row.is_overlaid else Qt.CheckState.Unchecked
        return None

    def setData(
        self, index: QModelIndex | QPersistentModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole
    ) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        chosen = self._rows[index.row()].id
        is_wanted = Qt.CheckState(value) == Qt.CheckState.Checked
        self.overlay_changed.emit(
            [row.id for row in self._rows if (is_wanted if row.id == chosen else row.is_overlaid)]
        )
        return True


class RunList(QListView):
    """The list itself.  Space, or a click on the colour at the right, draws a run among the curves.

    Signals:
        run_chosen: the id of the run that a person went to.
    """

    run_chosen = Signal(str)

    def __init__(self, model: RunsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chosen = ""
        self.setModel(model)
        self.setItemDelegate(_RunDelegate(self))
        self.setAccessibleName("Runs; Space draws a run among the curves")
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.selectionModel().currentChanged.connect(self._on_current_changed)
        model.modelReset.connect(lambda: self.choose(self._chosen))
        theme.notifier.changed.connect(self.viewport().update)

    @property
    def chosen(self) -> str:
        """The id of the run in front, or nothing."""
        return self._chosen

    def choose(self, run_id: str) -> None:
        """Put a run in front, or the newest where it is not there."""
        rows = self._runs().rows
        place = next((number for number, row in enumerate(rows) if row.id == run_id), 0)
        if rows:
            self.setCurrentIndex(self._runs().index(place))

    def _runs(self) -> RunsModel:
        model = self.model()
        assert isinstance(model, RunsModel)
        return model

    def _on_current_changed(self, index: QModelIndex) -> None:
        row: RunRow | None = index.data(RUN_ROLE)
        if row is not None and row.id != self._chosen:
            self._chosen = row.id
            self.run_chosen.emit(row.id)


class _RunDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: ARG002
        lines = 2 * option.fontMetrics.height() + 26
        return QSize(120, max(_ROW_HEIGHT, lines))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        rect: QRect = option.rect
        state = option.state
        row: RunRow = index.data(RUN_ROLE)
        painter.save()
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(look.selection))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(look.raised))
        name, role = row.sign()
        inner = rect.adjusted(_PAD, 9, -_PAD, -8)
        painter.drawPixmap(inner.left(), inner.top() + 1, drawn.pixmap(name, _SIGN_SIDE, getattr(look, role)))
        left = inner.left() + _SIGN_SIDE + 8
        swatch = self._swatch(rect)
        self._paint_swatch(painter, swatch, row)
        title = QRect(left, inner.top(), swatch.left() - left - 8, option.fontMetrics.height())
        bold = QFont(option.font)
        bold.setWeight(QFont.Weight.DemiBold)
        painter.setFont(bold)
        painter.setPen(QColor(look.text))
        _line(painter, title, shown(row.title))
        painter.setFont(option.font)
        painter.setPen(QColor(look.danger if role == "danger" else look.muted))
        words = QRect(left, title.bottom() + 4, inner.right() - left, title.height())
        parts = row.parts()
        while len(parts) > 1 and painter.fontMetrics().horizontalAdvance(_BETWEEN.join(parts)) > words.width():
            parts.pop()  # the head of the run and the tip have them all
        _line(painter, words, shown(_BETWEEN.join(parts)))
        if row.share is not None or row.is_live:
            self._paint_bar(painter, QRectF(left, inner.bottom() - 2, inner.right() - left, 3), row)
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QColor(look.accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(rect.adjusted(0, 0, -1, -1))
        painter.restore()

    def _swatch(self, rect: QRect) -> QRect:
        return QRect(rect.right() - _PAD - 14, rect.top() + 10, 14, 14)

    def _paint_swatch(self, painter: QPainter, place: QRect, row: RunRow) -> None:
        look = theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color = QColor(line_color(row.color, look.base))
        is_filled = row.is_overlaid or row.is_drawn
        painter.setPen(color if is_filled else QColor(look.outline))
        painter.setBrush(color if is_filled else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(place).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_bar(self, painter: QPainter, place: QRectF, row: RunRow) -> None:
        look = theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.mixed(look.window, look.text, 0.12)))
        painter.drawRoundedRect(place, 1.5, 1.5)
        if row.share:
            painter.setBrush(QColor(look.accent if row.is_live else look.muted))
            painter.drawRoundedRect(QRectF(place.left(), place.top(), place.width() * row.share, 3), 1.5, 1.5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def helpEvent(
        self,
        event: QHelpEvent,
        view: QAbstractItemView,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> bool:
        """The swatch says what it is for."""
        if event.type() == QEvent.Type.ToolTip and self._has_swatch_at(option.rect, event.pos()):
            QToolTip.showText(event.globalPos(), "Draw its curves beside those of the run in front (Space)", view)
            return True
        return super().helpEvent(event, view, option, index)

    def _has_swatch_at(self, rect: QRect, point: QPoint) -> bool:
        return self._swatch(rect).adjusted(-6, -6, 6, 6).contains(point)

    def editorEvent(
        self, event: Any, model: Any, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> bool:
        """A click on the swatch, or Space, switches the overlay."""
        kind = event.type()
        if kind == event.Type.MouseButtonRelease:
            if not self._has_swatch_at(option.rect, event.position().toPoint()):
                return False
        elif kind != event.Type.KeyPress or event.key() != Qt.Key.Key_Space:
            return False
        row: RunRow = index.data(RUN_ROLE)
        wanted = Qt.CheckState.Unchecked if row.is_overlaid else Qt.CheckState.Checked
        return bool(model.setData(index, wanted, Qt.ItemDataRole.CheckStateRole))


def _line(painter: QPainter, place: QRect, text: str) -> None:
    fitting = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), fitting)
