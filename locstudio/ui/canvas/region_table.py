"""The regions of an image as a table: the canvas for those who hear the screen, and for those who like lists."""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.ui.canvas.chips import one_line
from locstudio.ui.canvas.commands import CanvasCommand, KeyMap, digit_of
from locstudio.ui.canvas.signs import ICON_SIZE, class_icon, review_icon
from locstudio.ui.plain_text import tip

translate = QCoreApplication.translate
AnyIndex = QModelIndex | QPersistentModelIndex

# A region itself, whatever the column.
REGION_ROLE = Qt.ItemDataRole.UserRole


class Column(IntEnum):
    """Columns of the table."""

    REVIEW = 0
    CLASS = 1
    PHRASE = 2
    ORIGIN = 3
    SCORE = 4
    SIZE = 5


class RegionTableModel(QAbstractTableModel):
    """Rows are frozen regions, in the order of the canvas."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._regions: tuple[Region, ...] = ()
        self._rows: dict[int, int] = {}
        self._classes: dict[int, LabelClass] = {}
        self._size = (0, 0)

    def set_regions(self, regions: Sequence[Region], size: tuple[int, int]) -> None:
        """Show exactly these regions of an image of this size in pixels.

        Rows that only changed are told as changed, so that selection and scroll position survive an edit.
        """
        new = tuple(regions)
        same_rows = [region.id for region in new] == [region.id for region in self._regions]
        if same_rows:
            self._regions, self._size = new, size
            if new:
                last = self.index(len(new) - 1, len(Column) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self._regions, self._size = new, size
        self._rows = {region.id: row for row, region in enumerate(new)}
        self.endResetModel()

    def set_classes(self, classes: Iterable[LabelClass]) -> None:
        """Take names and colours of the classes."""
        self._classes = {label.id: label for label in classes}
        self.set_regions(self._regions, self._size)

    def row_of(self, region_id: int) -> int | None:
        """The row of a region, or None."""
        return self._rows.get(region_id)

    def region_at(self, row: int) -> Region:
        """The region of a row."""
        return self._regions[row]

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # Qt's own default, never changed
        """One row for each region."""
        return 0 if parent.isValid() else len(self._regions)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        """As many as ``Column`` has."""
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Column titles, over their columns."""
        if role == Qt.ItemDataRole.TextAlignmentRole and section in (Column.SCORE, Column.SIZE):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.AccessibleTextRole and section == Column.REVIEW:
            return translate("Canvas", "Review")
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return {
            Column.REVIEW: "",
            Column.CLASS: translate("Canvas", "Class"),
            Column.PHRASE: translate("Canvas", "Phrase"),
            Column.ORIGIN: translate("Canvas", "From"),
            Column.SCORE: translate("Canvas", "Score"),
            Column.SIZE: translate("Canvas", "Size"),
        }[Column(section)]

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Texts as they are; the region itself under ``REGION_ROLE``."""
        if not index.isValid():
            return None
        region, column = self._regions[index.row()], Column(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return None if column is Column.REVIEW else self._text(region, column)
        if role == REGION_ROLE:
            return region
        if role == Qt.ItemDataRole.DecorationRole and column is Column.CLASS:
            label = self._classes.get(region.class_id or 0)
            return class_icon(label.color) if label else None
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (Column.SCORE, Column.SIZE):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.DecorationRole and column is Column.REVIEW:
            return review_icon(region.review, region.is_locked)
        if role == Qt.ItemDataRole.ToolTipRole and column in (Column.REVIEW, Column.CLASS, Column.PHRASE):
            return tip(self._text(region, column)) if self._text(region, column) else None
        if role == Qt.ItemDataRole.AccessibleTextRole:
            title = self.headerData(column, Qt.Orientation.Horizontal) or translate("Canvas", "Review")
            return f"{title}: {self._text(region, column)}"
        return None

    def _text(self, region: Region, column: Column) -> str:
        if column is Column.REVIEW:
            lock = translate("Canvas", ", locked") if region.is_locked else ""
            return review_text(region.review) + lock
        if column is Column.CLASS:
            label = self._classes.get(region.class_id or 0)
            return one_line(label.name) if label else "–"
        if column is Column.PHRASE:
            return one_line(region.phrase)
        if column is Column.ORIGIN:
            return origin_text(region.origin)
        if column is Column.SCORE:
            return "" if region.score is None else f"{region.score:.2f}"
        width = round((region.box.x1 - region.box.x0) * self._size[0])
        height = round((region.box.y1 - region.box.y0) * self._size[1])
        return f"{width} × {height}"


def review_text(review: Review) -> str:
    """A verdict in words."""
    return {
        Review.PENDING: translate("Canvas", "pending"),
        Review.ACCEPTED: translate("Canvas", "accepted"),
        Review.REJECTED: translate("Canvas", "rejected"),
    }[review]


def origin_text(origin: Origin) -> str:
    """Who made a region, in words."""
    return {
        Origin.HUMAN: translate("Canvas", "a person"),
        Origin.IMPORTED: translate("Canvas", "import"),
        Origin.MODEL: translate("Canvas", "model"),
        Origin.EDITED: translate("Canvas", "edited"),
    }[origin]


# What a column must have room for.
COLUMN_SAMPLES = {
    Column.CLASS: "mm dining table",
    Column.ORIGIN: "a person",
    Column.SCORE: "Score",
    Column.SIZE: "1000 × 1000",
}

# Acts that make sense for a selection in a table; drawing and zooming are the canvas's alone.
TABLE_COMMANDS = frozenset(
    {
        CanvasCommand.EDIT,
        CanvasCommand.DELETE,
        CanvasCommand.DUPLICATE,
        CanvasCommand.COPY,
        CanvasCommand.PASTE,
        CanvasCommand.LOCK,
        CanvasCommand.ACCEPT,
        CanvasCommand.REJECT,
        CanvasCommand.VERIFY,
    }
)


_PHRASE_LETTERS = 16  # that a phrase has room for before other columns may be shown


class RegionTable(QTableView):
    """Shows the regions and passes wishes on to the canvas, with the canvas's keys.

    Signals:
        selection_changed: identities of the regions that a person selected here (list of int).
        command_requested: a ``CanvasCommand`` for the selection; meant for ``CanvasView.run``.
        class_requested: a class digit 1-9 for the selection.
    """

    selection_changed = Signal(list)
    command_requested = Signal(object)
    class_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Regions of this image"))
        self.rows = RegionTableModel(self)
        self.keys = KeyMap()
        self._is_following = False
        self.setModel(self.rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 10)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(Column.PHRASE, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(28)
        self.setIconSize(ICON_SIZE)
        self.setColumnWidth(Column.REVIEW, ICON_SIZE.width() + 14)
        for column, sample in COLUMN_SAMPLES.items():
            self.setColumnWidth(column, self.fontMetrics().horizontalAdvance(sample) + 16)
        self.doubleClicked.connect(lambda _index: self.command_requested.emit(CanvasCommand.EDIT))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out origin, then size, then score where they would squeeze the phrase: one never scrolls sideways."""
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for column in (Column.ORIGIN, Column.SIZE, Column.SCORE):
            self.setColumnHidden(column, False)
        left = event.size().width() - self.fontMetrics().averageCharWidth() * _PHRASE_LETTERS
        left -= sum(self.columnWidth(column) for column in Column if column is not Column.PHRASE)
        for column in (Column.ORIGIN, Column.SIZE, Column.SCORE):
            if left < 0:
                left += self.columnWidth(column)
                self.setColumnHidden(column, True)
        super().resizeEvent(event)

    def set_regions(self, regions: Sequence[Region], size: tuple[int, int]) -> None:
        """Show exactly these regions of an image of this size in pixels; the selection is kept by identity."""
        chosen = self.selected_ids
        self._is_following = True
        self.rows.set_regions(regions, size)
        self._is_following = False
        self.select(chosen)

    def set_classes(self, classes: Iterable[LabelClass]) -> None:
        """Take names and colours of the classes."""
        self.rows.set_classes(classes)

    @property
    def selected_ids(self) -> list[int]:
        """Identities of the selected regions, in the order of the rows."""
        return [self.rows.region_at(index.row()).id for index in sorted(self.selectionModel().selectedRows())]

    def select(self, ids: Sequence[int]) -> None:
        """Follow a selection that was made elsewhere; emits nothing."""
        rows = [row for row in map(self.rows.row_of, ids) if row is not None]
        if sorted(rows) == sorted(index.row() for index in self.selectionModel().selectedRows()):
            return
        chosen = QItemSelection()
        for row in rows:
            chosen.select(self.rows.index(row, 0), self.rows.index(row, len(Column) - 1))
        self._is_following = True
        self.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if rows:
            last = self.rows.index(rows[-1], Column.PHRASE)
            self.selectionModel().setCurrentIndex(last, QItemSelectionModel.SelectionFlag.NoUpdate)
            self.scrollTo(last)
        self._is_following = False

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        """Tell of a selection that a person made here."""
        super().selectionChanged(selected, deselected)
        if not self._is_following:
            self.selection_changed.emit(self.selected_ids)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The canvas's keys for what concerns a selection; the table's own for the rest."""
        command, digit = self.keys.command_for(event), digit_of(event)
        if command in TABLE_COMMANDS:
            self.command_requested.emit(command)
        elif digit is not None:
            self.class_requested.emit(digit)
        else:
            super().keyPressEvent(event)
