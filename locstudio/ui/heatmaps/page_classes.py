"""The left of the heatmaps page: classes with how much is listed of each, and from which score on it is listed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QSlider,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui import theme
from locstudio.ui.curation.threshold_pane import ScoreSpread
from locstudio.ui.heatmaps.page_commands import is_move
from locstudio.ui.plain_text import label, shown, tip

ALL = 0
"""Stands for every class."""

_ROLE = int(Qt.ItemDataRole.UserRole)
_ACCESSIBLE = int(Qt.ItemDataRole.AccessibleTextRole)
_ROW_HEIGHT = 24
_STEPS = 100
_BARS = 50


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class as the list shows it; ``count`` is how much is listed of it."""

    id: int
    name: str
    color: str
    count: int


class ClassPane(QFrame):
    """Shows the classes and the least score; emits what a person chooses.

    Signals:
        class_chosen: the identity of a class, or ``ALL``.
        min_score_changed: the least score of what is listed.
    """

    class_chosen = Signal(int)
    min_score_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(200)
        self._model = _ClassModel(self)
        self._has_all = True
        self._chosen = ALL
        self._rows: tuple[ClassRow, ...] = ()
        self.spread = ScoreSpread(self)
        self.score = QSlider(Qt.Orientation.Horizontal, self)
        self.score.setRange(0, _STEPS)
        self.score.setPageStep(_STEPS // 10)
        self.score.setAccessibleName("Least score")
        self.score.setToolTip("List only what is as sure as this share of what is labelled, or surer")
        self._value, self._count = label("", "heading"), label("", "muted")
        self.score.valueChanged.connect(self._on_score)
        self._find = QLineEdit(self)
        self._find.setPlaceholderText("Find a class")
        self._find.setAccessibleName("Find a class in the list")
        self._find.setClearButtonEnabled(True)
        self._find.textChanged.connect(self._fill)
        self._title = label("Classes", "section")
        self.view = _ClassView(self)
        self.view.setModel(self._model)
        self.view.setItemDelegate(_ClassDelegate(self.view))
        self.view.setUniformItemSizes(True)
        self.view.setAccessibleName("Classes of what is listed")
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.selectionModel().currentChanged.connect(self._on_current)
        self._lay_out()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(label("Least score", "section"))
        head.addStretch()
        head.addWidget(self._value)
        self._score_part = QWidget(self)
        part = QVBoxLayout(self._score_part)
        part.setContentsMargins(12, 0, 12, 12)
        part.setSpacing(2)
        part.addLayout(head)
        part.addWidget(self.spread)
        part.addWidget(self.score)
        part.addWidget(self._count)
        find = QVBoxLayout()
        find.setContentsMargins(12, 0, 12, 6)
        find.setSpacing(4)
        find.addWidget(self._title)
        find.addWidget(self._find)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 12, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._score_part)
        column.addLayout(find)
        column.addWidget(self.view, 1)

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> int:
        """The class that is chosen, or ``ALL``."""
        return self._chosen

    def set_classes(self, rows: Iterable[ClassRow], *, has_all: bool) -> None:
        """Show these classes, with an entry for all of them or without; what was chosen stays so."""
        rows = tuple(rows)
        if (rows, has_all) != (self._rows, self._has_all):
            self._rows, self._has_all = rows, has_all
            self._title.setText(f"Classes {len(rows):,}" if rows else "Classes")
            self._fill()

    def set_chosen(self, class_id: int) -> None:
        """Mark a class without announcing it."""
        self._chosen = class_id
        self._mark()

    def set_min_score(self, score: float) -> None:
        """Put the slider without announcing it."""
        with QSignalBlocker(self.score):
            self.score.setValue(round(score * _STEPS))
        self._say_value()

    def set_scores(self, scores: NDArray[np.float32], num_above: int) -> None:
        """Show how the scores of all that could be listed are spread, and how many are above the slider."""
        counts, _ = np.histogram(scores, _BARS, (0.0, 1.0))
        self.spread.set_counts(counts.tolist())
        self.set_count(num_above, len(scores))

    def set_count(self, num_above: int, num_all: int) -> None:
        """Say how many are above the slider."""
        self._count.setText(f"{num_above:,} of {num_all:,}")

    def show_score(self, is_wanted: bool) -> None:
        """Show the slider, or leave it out."""
        self._score_part.setVisible(is_wanted)

    @property
    def min_score(self) -> float:
        """Where the slider is."""
        return self.score.value() / _STEPS

    @property
    def names(self) -> list[str]:
        """What the rows of the list say."""
        return [str(self._model.index(row, 0).data()) for row in range(self._model.rowCount())]

    def step(self, by: int) -> None:
        """Choose the next class of the list (1), or the one before (-1)."""
        row = self.view.currentIndex().row() + by
        if 0 <= row < self._model.rowCount():
            self.view.setCurrentIndex(self._model.index(row, 0))

    def _fill(self) -> None:
        words = self._find.text().casefold().split()
        rows = [row for row in self._rows if all(word in row.name.casefold() for word in words)]
        if self._has_all and not words:
            rows.insert(0, ClassRow(ALL, "All classes", "", sum(row.count for row in self._rows)))
        with QSignalBlocker(self.view.selectionModel()):
            self._model.set_rows(rows)
        self._mark()

    def _mark(self) -> None:
        row = self._model.row_of(self._chosen)
        flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
        with QSignalBlocker(self.view.selectionModel()):
            if row >= 0:
                self.view.selectionModel().setCurrentIndex(self._model.index(row, 0), flag)
            else:
                self.view.selectionModel().clear()
        if row >= 0:
            self.view.scrollTo(self._model.index(row, 0))
        self.view.viewport().update()

    def _on_current(self, current: QModelIndex, _previous: QModelIndex) -> None:
        row: ClassRow | None = current.data(_ROLE) if current.isValid() else None
        self.view.viewport().update()
        if row is not None and row.id != self._chosen:
            self._chosen = row.id
            self.class_chosen.emit(row.id)

    def _on_score(self) -> None:
        self._say_value()
        self.min_score_changed.emit(self.min_score)

    def _say_value(self) -> None:
        self._value.setText(f"{self.min_score:.2f}")
        self.spread.set_cut(self.min_score)


class _ClassView(QListView):
    """Takes the keys that move in it and no others: letters are the page's."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if is_move(event):
            super().keyPressEvent(event)
        else:
            event.ignore()


class _ClassModel(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ClassRow] = []
        self.most = 1

    def set_rows(self, rows: list[ClassRow]) -> None:
        self.beginResetModel()
        self._rows = rows
        self.most = max((row.count for row in rows if row.id != ALL), default=1) or 1
        self.endResetModel()

    def row_of(self, class_id: int) -> int:
        return next((number for number, row in enumerate(self._rows) if row.id == class_id), -1)

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        row = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return shown(row.name)
            case Qt.ItemDataRole.ToolTipRole:
                return tip(f"{row.name}, {row.count:,}")
            case _ if role == _ACCESSIBLE:
                return f"{shown(row.name)}, {row.count:,}"
            case _:
                return row if role == _ROLE else None


class _ClassDelegate(QStyledItemDelegate):
    """A class on a bar that says how much is listed of it, its count at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: ARG002
        return QSize(60, _ROW_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        area: QRect = option.rect.adjusted(8, 1, -8, -1)
        row: ClassRow = index.data(_ROLE)
        model = index.model()
        share = row.count / model.most if isinstance(model, _ClassModel) and row.id != ALL else 0.0
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_chosen:
            painter.fillRect(area, QColor(look.selection))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(area, QColor(look.raised))
        if not is_chosen and row.count and row.id != ALL:
            bar = QRect(area.left(), area.top(), max(2, round(area.width() * share)), area.height())
            painter.fillRect(bar, QColor(theme.mixed(look.base, look.accent, 0.20)))
        if option.state & QStyle.StateFlag.State_HasFocus and option.state & QStyle.StateFlag.State_Active:
            painter.setPen(QColor(look.accent))
            painter.drawRect(area.adjusted(0, 0, -1, -1))
        left = area.left() + 6
        if row.color:
            painter.fillRect(QRect(left, area.center().y() - 5, 3, 11), QColor(row.color))
            left += 9
        number = f"{row.count:,}"
        metrics = QFontMetrics(painter.font())
        right = metrics.horizontalAdvance(number) + 12
        vertical = int(Qt.AlignmentFlag.AlignVCenter)
        painter.setPen(QColor(look.muted if not is_chosen else look.text))
        painter.drawText(area.adjusted(0, 0, -6, 0), vertical | int(Qt.AlignmentFlag.AlignRight), number)
        painter.setPen(QColor(look.text))
        line = QRect(left, area.top(), area.right() - left - right, area.height())
        words = metrics.elidedText(index.data(), Qt.TextElideMode.ElideRight, line.width())
        painter.drawText(line, vertical | int(Qt.AlignmentFlag.AlignLeft), words)
