"""The checkpoints of a project as rows: which one is in use, what each measured, and where it comes from."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont

from locstudio.services.registry import CheckpointEntry
from locstudio.ui import theme
from locstudio.ui.plain_text import shown, tip
from locstudio.ui.training.checkpoint_names import names_of

AnyIndex = QModelIndex | QPersistentModelIndex
ENTRY_ROLE = int(Qt.ItemDataRole.UserRole)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_METRICS = ("top1", "macc", "hit50")
_CLASS_METRICS = ("", "map", "")
_EXPERT_METRICS = ("top1", "", "")
MODEL_WORDS = {"cloc": "regions", "consistency": "classes", "vmoe": "experts"}


USES = {
    "cloc": "search, grounding and proposals are",
    "consistency": "heatmaps of images without a run are",
    "vmoe": "experts of images without a run are",
}
"""What a checkpoint in use is used for, by its model."""


class CheckpointColumn(IntEnum):
    """Columns of the registry."""

    USE = 0
    NAME = 1
    MODEL = 2
    MADE = 3
    TOP1 = 4
    MACC = 5
    HIT50 = 6
    PARENT = 7
    DATA = 8


_MEASURED = (CheckpointColumn.TOP1, CheckpointColumn.MACC, CheckpointColumn.HIT50)
_TITLES = ("", "Checkpoint", "Of", "Made", "Right", "Mean", "Boxes", "From", "Data")
_TIPS = (
    "",
    "",
    "What it is a model of: regions, the classes of whole images with their heatmaps, or experts that images go to",
    "When it was taken into the project",
    "Held-out regions named right (top-1), as its own run measured; of a model with experts held-out images",
    "The same as a mean over classes; of a model of classes the mean of their average precisions",
    "Held-out phrases whose box was found",
    "The checkpoint its training began with",
    "The frozen data it was trained on",
)


class CheckpointsModel(QAbstractTableModel):
    """Entries in the order they are given: newest first, the bundled one last."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._entries: tuple[CheckpointEntry, ...] = ()
        self._names: Mapping[str, str] = {}

    def set_entries(self, entries: Sequence[CheckpointEntry]) -> None:
        """Show these checkpoints."""
        self.beginResetModel()
        self._entries = tuple(entries)
        self._names = names_of(entries)
        self.endResetModel()

    @property
    def entries(self) -> Sequence[CheckpointEntry]:
        """What is shown."""
        return self._entries

    def row_of(self, checkpoint_id: str) -> int:
        """The row of a checkpoint; -1 where there is none."""
        return next((row for row, entry in enumerate(self._entries) if entry.id == checkpoint_id), -1)

    def name_of(self, checkpoint_id: str) -> str:
        """The name of a checkpoint, or its id where the project does not know it; empty for none."""
        return self._names.get(checkpoint_id, checkpoint_id)

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        return 0 if parent.isValid() else len(self._entries)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(CheckpointColumn)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS[section] or None
        if role == Qt.ItemDataRole.AccessibleTextRole and section == CheckpointColumn.USE:
            return "In use"
        if role == Qt.ItemDataRole.TextAlignmentRole and CheckpointColumn.TOP1 <= section <= CheckpointColumn.HIT50:
            return _RIGHT
        return None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        entry, column = self._entries[index.row()], CheckpointColumn(index.column())
        if role == ENTRY_ROLE:
            return entry
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(entry, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            title = "In use" if column == CheckpointColumn.USE else _TITLES[column]
            return f"{title}: {self._text(entry, column) or 'no'}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(_tip(entry, column)) if _tip(entry, column) else None
        if role == Qt.ItemDataRole.TextAlignmentRole and CheckpointColumn.TOP1 <= column <= CheckpointColumn.HIT50:
            return _RIGHT
        if role == Qt.ItemDataRole.FontRole and entry.is_active:
            font = QFont()
            font.setWeight(QFont.Weight.DemiBold)
            return font
        if role == Qt.ItemDataRole.ForegroundRole:
            is_measured_elsewhere = entry.is_bundled and column in _MEASURED
            if not entry.is_present or is_measured_elsewhere:
                return QColor(theme.current().muted)
            if column == CheckpointColumn.USE:
                return QColor(theme.current().success)
        return None

    def _text(self, entry: CheckpointEntry, column: CheckpointColumn) -> str:
        if column == CheckpointColumn.USE:
            return "●" if entry.is_active else ""
        if column == CheckpointColumn.NAME:
            return shown(self._names[entry.id]) + ("" if entry.is_present else " (files removed)")
        if column == CheckpointColumn.MODEL:
            return MODEL_WORDS.get(entry.model, entry.model)
        if column == CheckpointColumn.MADE:
            return "bundled" if entry.is_bundled else day_and_time(entry.created_at)
        if column == CheckpointColumn.PARENT:
            return shown(self.name_of(entry.parent_id))
        if column == CheckpointColumn.DATA:
            return entry.snapshot_sha256[:8]
        names = {"consistency": _CLASS_METRICS, "vmoe": _EXPERT_METRICS}.get(entry.model, _METRICS)
        value = entry.metrics.get(names[column - CheckpointColumn.TOP1])
        if value is None:
            return "–"
        return f"({100 * value:.1f} %)" if entry.is_bundled else f"{100 * value:.1f} %"


def day_and_time(iso: str) -> str:
    """A moment, UTC in ISO 8601, as "24 Nov 02:40" of here; empty for what is none."""
    try:
        moment = datetime.fromisoformat(iso).astimezone()
    except ValueError:
        return ""
    return f"{moment.day} {moment:%b %H:%M}"


def _tip(entry: CheckpointEntry, column: CheckpointColumn) -> str:
    if column == CheckpointColumn.USE:
        return f"In use: {USES.get(entry.model, '')} by this one" if entry.is_active else ""
    if column == CheckpointColumn.DATA:
        return f"Snapshot {entry.snapshot_sha256}" if entry.snapshot_sha256 else ""
    if column == CheckpointColumn.PARENT:
        return entry.parent_id
    if column in _MEASURED and entry.is_bundled:
        return "Measured on other images when it was made: not to be set against the others. Compare tells more."
    return f"{entry.name}: {entry.id}"
