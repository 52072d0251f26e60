"""The heatmaps page: classes or images on the left, the gallery of heat, the current tile large on the right."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from locstudio.ui.gallery.gallery_model import GalleryModel
from locstudio.ui.gallery.gallery_view import GalleryView
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.heatmaps.page_cells import HeatCells
from locstudio.ui.heatmaps.page_classes import ClassPane
from locstudio.ui.heatmaps.page_commands import HeatCommand, is_move
from locstudio.ui.heatmaps.page_detail import HeatDetail
from locstudio.ui.heatmaps.page_empty import EmptyPane
from locstudio.ui.heatmaps.page_filters import HeatFilters
from locstudio.ui.heatmaps.page_grid import HeatGrid
from locstudio.ui.heatmaps.page_head import HeatHead
from locstudio.ui.heatmaps.page_model import HeatModel
from locstudio.ui.heatmaps.page_table import HeatView
from locstudio.ui.heatmaps.page_tile import HeatInk, Photos

_IMAGE_SIDE = 88


class _Images(GalleryView):
    """Takes the keys that move in it and no others: letters are the page's."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if is_move(event):
            super().keyPressEvent(event)
        else:
            event.ignore()


class HeatPage(QWidget):
    """Lays out its parts and joins those that speak to each other alone; what a person wants, the parts emit.

    Signals:
        command_wanted: a ``HeatCommand`` that needs more than the page.
    """

    command_wanted = Signal(object)

    def __init__(
        self,
        cells: HeatCells,
        thumbnails: PictureLoader,
        parts: PictureLoader,
        large: PictureLoader,
        parent: QWidget | None = None,
    ) -> None:
        """``cells`` reads heat; the loaders make pictures: of whole images, of parts for tiles, and for the pane."""
        super().__init__(parent)
        self.setAccessibleName("Heatmaps")
        self.ink = HeatInk()
        photos = Photos(thumbnails, parts)
        self.model = HeatModel(cells, self)
        self.head = HeatHead(self)
        self.classes = ClassPane(self)
        self.images_model = GalleryModel(self)
        self.images = _Images(self.images_model, thumbnails, self)
        self.images.setAccessibleName("Images, those that disagree most first")
        self.images.setFrameShape(QFrame.Shape.NoFrame)
        self.images.set_side(_IMAGE_SIDE)
        self.filters = HeatFilters(self)
        self.grid = HeatGrid(self.model, cells, photos, self.ink, self)
        self.empty = EmptyPane(self)
        self.detail = HeatDetail(large, photos, self.ink, self)
        self._left = QStackedWidget(self)
        self._left.addWidget(self.classes)
        self._left.addWidget(self.images)
        self._left.setMinimumWidth(200)
        self._middle = self._make_middle()
        self._split = QSplitter(Qt.Orientation.Horizontal, self)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(3)
        for pane in (self._left, self._middle, self.detail):
            self._split.addWidget(pane)
        self._split.setStretchFactor(1, 1)
        self._whole = QStackedWidget(self)
        self._whole.addWidget(self._split)
        self._whole.addWidget(self.empty)
        self._is_sized = False  # by hand
        self._split.splitterMoved.connect(self._on_split)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.head)
        column.addWidget(self._whole, 1)
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
        grid, detail, filters = self.grid, self.detail, self.filters
        grid.current_changed.connect(detail.set_tile)
        grid.selection_changed.connect(detail.set_num_chosen)
        grid.selection_changed.connect(filters.set_num_chosen)
        grid.ink_changed.connect(self._on_ink)
        grid.command_wanted.connect(self.command_wanted)
        detail.command_wanted.connect(self.run)
        filters.ink_changed.connect(lambda opacity, is_on: grid.set_ink(opacity, is_on=is_on))
        filters.tidy_wanted.connect(lambda: self.run(HeatCommand.TIDY))
        self.head.view_wanted.connect(lambda view: self.run(HeatCommand(view.value)))
        filters.show_ink(self.ink)

    def run(self, command: HeatCommand) -> None:
        """Do what a key, a button or a menu has asked for."""
        self.grid.run(command)

    def set_view(self, view: HeatView) -> None:
        """Show what belongs to a view beside the gallery."""
        self.head.set_view(view)
        self._left.setCurrentWidget(self.images if view is HeatView.ONE_IMAGE else self.classes)
        self.classes.show_score(view is HeatView.EXPECTED)

    def show_empty(self, is_empty: bool) -> None:
        """Show why there is no heat, or what there is."""
        self._whole.setCurrentWidget(self.empty if is_empty else self._split)

    @property
    def is_empty(self) -> bool:
        """Whether there is no heat to show."""
        return self._whole.currentWidget() is self.empty

    def _on_split(self) -> None:
        self._is_sized = True

    def _on_ink(self) -> None:
        self.filters.show_ink(self.ink)
        self.detail.show_ink()

    # keys -------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that the focused part has no use for are the gallery's."""
        if not self.is_empty and self.grid.take_key(event):
            self.grid.setFocus()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if not self.grid.let_go(event):
            super().keyReleaseEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        width = event.size().width()
        if not self._is_sized and width > 600:
            left, right = round(min(max(width * 0.17, 210), 320)), round(min(max(width * 0.26, 300), 560))
            self._split.setSizes([left, width - left - right, right])
