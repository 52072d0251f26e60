"""The curation page: thresholds and phrases on the left, the gallery of crops, the current one large on the right."""

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QSplitter, QVBoxLayout, QWidget

from locstudio.services.curation.view import Order
from locstudio.ui.canvas.phrase_editor import PhraseEditor
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.curation.crop_grid import CropGrid
from locstudio.ui.curation.crop_model import CropModel
from locstudio.ui.curation.detail_pane import DetailPane
from locstudio.ui.curation.filter_row import FilterRow
from locstudio.ui.curation.head_row import HeadRow
from locstudio.ui.curation.threshold_pane import ThresholdPane
from locstudio.ui.gallery.picture_loader import PictureLoader


class CurationPage(QWidget):
    """Lays out its parts and joins those that speak to each other alone; what a person wants, the parts emit.

    Signals:
        relabelled: the phrase and the class's identity, or None where the class was not touched, for what is chosen.
        command_wanted: a ``CurationCommand`` that needs more than the page.
    """

    relabelled = Signal(str, object)
    command_wanted = Signal(object)

    def __init__(
        self, propose: QAction, small: PictureLoader, large: PictureLoader, parent: QWidget | None = None
    ) -> None:
        """``propose`` asks for proposals; the loaders make the pictures of tiles, and of the pane on the right."""
        super().__init__(parent)
        self.setAccessibleName("Curation")
        self.model = CropModel(self)
        self.head = HeadRow(propose, self)
        self.thresholds = ThresholdPane(self)
        self.filters = FilterRow(self)
        self.grid = CropGrid(self.model, small, self)
        self.detail = DetailPane(large, small, self)
        self._split = QSplitter(Qt.Orientation.Horizontal, self)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(3)
        for pane in (self.thresholds, self._make_middle(), self.detail):
            self._split.addWidget(pane)
        self._split.setStretchFactor(1, 1)
        self._is_sized = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.head)
        column.addWidget(self._split, 1)
        self.editor = PhraseEditor(self)
        self.editor.accepted.connect(self.relabelled)
        self.setFocusProxy(self.grid)
        self._connect()

    def _make_middle(self) -> QWidget:
        middle = QFrame(self)
        middle.setMinimumWidth(320)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.filters)
        column.addWidget(self.grid, 1)
        return middle

    def _connect(self) -> None:
        grid, detail = self.grid, self.detail
        grid.current_changed.connect(detail.set_crop)
        grid.selection_changed.connect(detail.set_num_chosen)
        grid.selection_changed.connect(self.filters.set_num_chosen)
        grid.command_wanted.connect(self._on_command)
        detail.command_wanted.connect(self.run)
        detail.suggestion_taken.connect(grid.suggestion_taken)
        self.head.command_wanted.connect(self.run)
        self.filters.tidy_wanted.connect(lambda: self.run(CurationCommand.TIDY))

    def run(self, command: CurationCommand) -> None:
        """Do what a key, a button or a menu has asked for."""
        self.grid.run(command)

    def _on_command(self, command: CurationCommand) -> None:
        if command is CurationCommand.RELABEL:
            self.open_editor()
        elif command is CurationCommand.OUTLIERS:
            self.filters.set_order(Order.OUTLIER)
        else:
            self.command_wanted.emit(command)

    def open_editor(self) -> None:
        """Let a person write what is in the current box."""
        crop = self.grid.current
        if crop is None:
            return
        self.grid.scrollTo(self.grid.currentIndex())
        tile = self.grid.visualRect(self.grid.currentIndex())
        corner = self.grid.viewport().mapTo(self, QPoint(tile.left(), tile.top()))
        self.editor.open_at(QRect(corner, tile.size()), crop.item.phrase, crop.item.class_id)

    # keys -------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that the focused part has no use for are the gallery's."""
        if self.grid.take_key(event):
            self.grid.setFocus()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        width = event.size().width()
        if not self._is_sized and width > 600:
            left, right = round(min(max(width * 0.17, 210), 320)), round(min(max(width * 0.26, 300), 560))
            self._split.setSizes([left, width - left - right, right])
