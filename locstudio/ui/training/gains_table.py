"""What a model of classes, or with experts, has gained on another one, as a table that can be sorted."""

import math
from collections.abc import Sequence
from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from locstudio.ui import theme
from locstudio.ui.plain_text import shown
from locstudio.ui.training.class_gains import PRECISION, ClassGain

AnyIndex = QModelIndex | QPersistentModelIndex
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class GainColumn(IntEnum):
    """Columns of the table."""

    NAME = 0
    IMAGES = 1
    OLD = 2
    NEW = 3
    GAIN = 4


_TITLES = ("Class", "Images", "Old", "New", "Gain")
_TIPS = (
    "",
    "Measured images that show the class",
    "{Measure} by the model in use when the two were compared",
    "{Measure} by the new model",
    "In points of {measure}",
)


class GainsModel(QAbstractTableModel):
    """Classes, sorted by any column; what is not known stands last."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._gains: list[ClassGain] = []

    def set_gains(self, gains: Sequence[ClassGain]) -> None:
        """Show these classes in this order."""
        self.beginResetModel()
        self._gains = list(gains)
        self.endResetModel()

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._gains)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(GainColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            measure = self._gains[0].measure if self._gains else PRECISION
            return _TIPS[section].format(measure=measure, Measure=measure.capitalize()) or None
        if role == Qt.ItemDataRole.TextAlignmentRole and section != GainColumn.NAME:
            return _RIGHT
        return None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        gain, column = self._gains[index.row()], GainColumn(index.column())
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _text(gain, column)
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{_TITLES[column]}: {_text(gain, column)}"
            case Qt.ItemDataRole.TextAlignmentRole if column != GainColumn.NAME:
                return _RIGHT
            case Qt.ItemDataRole.ForegroundRole if column == GainColumn.GAIN and gain.gain:
                look = theme.current()
                return QColor(look.success if gain.gain > 0 else look.danger)
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self.beginResetModel()
        sign = 1 if order == Qt.SortOrder.AscendingOrder else -1
        if column == GainColumn.NAME:
            self._gains.sort(key=lambda gain: gain.name, reverse=sign < 0)
        else:
            self._gains.sort(key=lambda gain: sign * _number(gain, GainColumn(column), math.inf * sign))
        self.endResetModel()


class GainsTable(QTableView):
    """The table."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = GainsModel(self)
        self.setModel(self._rows)
        self.setAccessibleName("Classes by what the new model has gained")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setSortingEnabled(True)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 12)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSortIndicator(-1, Qt.SortOrder.DescendingOrder)  # as they come, the most frequent first
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(GainColumn.NAME, QHeaderView.ResizeMode.Stretch)
        for column in tuple(GainColumn)[1:]:
            self.setColumnWidth(column, self.fontMetrics().horizontalAdvance("Images ▾") + 28)

    def set_gains(self, gains: Sequence[ClassGain]) -> None:
        """Show these classes."""
        self._rows.set_gains(gains)

    @property
    def num_gains(self) -> int:
        """How many classes are shown."""
        return self._rows.rowCount()


def _number(gain: ClassGain, column: GainColumn, otherwise: float) -> float:
    value = {
        GainColumn.IMAGES: gain.num_images,
        GainColumn.OLD: gain.old,
        GainColumn.NEW: gain.new,
        GainColumn.GAIN: gain.gain,
    }.get(column)
    return otherwise if value is None else value


def _text(gain: ClassGain, column: GainColumn) -> str:
    match column:
        case GainColumn.NAME:
            return shown(gain.name)
        case GainColumn.IMAGES:
            return f"{gain.num_images:,}"
        case GainColumn.OLD:
            return _share(gain.old)
        case GainColumn.NEW:
            return _share(gain.new)
    if gain.gain is None:
        return ""
    points = round(100 * gain.gain, 1)
    return "=" if points == 0 else f"▲ {points:.1f}" if points > 0 else f"▼ {-points:.1f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
