"""The three panes of an open project: gallery, canvas, and the panels of search, regions, history, heat and experts."""

from collections.abc import Iterator
from enum import IntEnum

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSplitter, QTabWidget, QVBoxLayout, QWidget

from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.gallery.filter_bar import FilterBar
from locstudio.ui.gallery.gallery_view import GalleryView
from locstudio.ui.regions_pane import RegionsPane
from locstudio.ui.search.search_panel import SearchPanel
from locstudio.ui.tool_column import ToolColumn


class Panel(IntEnum):
    """The tabs on the right."""

    SEARCH = 0
    REGIONS = 1
    HISTORY = 2
    HEAT = 3
    EXPERTS = 4


class Workspace(QWidget):
    """Lays out what it is given; holds no state of its own.

    Signals:
        panel_shown: the ``Panel`` that has come to the front.
    """

    panel_shown = Signal(object)

    def __init__(
        self,
        *,
        filter_bar: FilterBar,
        gallery: GalleryView,
        canvas: CanvasView,
        search: SearchPanel,
        regions: QWidget,
        history: QWidget,
        heat: QWidget,
        heat_bar: QWidget,
        experts: QWidget,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.filter_bar = filter_bar
        self.gallery = gallery
        self.canvas = canvas
        self.search = search
        self.regions = regions
        self.history = history
        self.tools = ToolColumn(canvas.run, self)
        canvas.tool_changed.connect(self.tools.mark)
        self._tabs = QTabWidget(self)
        self._tabs.setAccessibleName("Panels")
        self._tabs.setDocumentMode(True)
        self._tabs.tabBar().setExpanding(True)
        self._tabs.addTab(search, "Search")
        self.regions_pane = RegionsPane(regions, self)
        self._tabs.addTab(self.regions_pane, "Regions")
        self._tabs.addTab(history, "History")
        self._tabs.addTab(heat, "Heat")
        self._tabs.addTab(experts, "Experts")
        self._tabs.currentChanged.connect(lambda place: self.panel_shown.emit(Panel(place)))
        self._split = QSplitter(Qt.Orientation.Horizontal, self)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(3)
        for pane in (self._make_left(), self._make_middle(heat_bar), self._tabs):
            self._split.addWidget(pane)
        self._split.setStretchFactor(1, 1)
        self._is_sized = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._split, 1)

    def _make_left(self) -> QWidget:
        left = QFrame(self)
        left.setMinimumWidth(200)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.filter_bar)
        column.addWidget(self.gallery, 1)
        return left

    def _make_middle(self, foot: QWidget) -> QWidget:
        middle = QFrame(self)
        row = QHBoxLayout(middle)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.tools)
        self._canvas_column = QVBoxLayout()
        self._canvas_column.setSpacing(0)
        self._canvas_column.addWidget(self.canvas, 1)
        self._canvas_column.addWidget(foot)
        row.addLayout(self._canvas_column, 1)
        return middle

    def set_canvas_bar(self, bar: QWidget) -> None:
        """Put a bar above the canvas."""
        self._canvas_column.insertWidget(0, bar)

    def show_panel(self, panel: Panel) -> None:
        """Bring a panel to the front."""
        self._tabs.setCurrentIndex(panel)

    def hand_keys(self) -> None:
        """Give the keys to the panel in front, or from there back to the canvas."""
        panel = self._tabs.currentWidget()
        if panel.isAncestorOf(self.window().focusWidget() or self):
            self.canvas.setFocus()
            return
        proxy = panel.focusProxy()
        parts = [proxy] if proxy is not None else _in_tab_order(panel)
        next((part for part in parts if part.isVisible() and part.isEnabled()), panel).setFocus()

    @property
    def panel(self) -> Panel:
        """The panel in front."""
        return Panel(self._tabs.currentIndex())

    def set_num_regions(self, count: int) -> None:
        """Show the number of regions of the open image on their tab."""
        self._tabs.setTabText(Panel.REGIONS, f"Regions {count}" if count else "Regions")

    def sizes(self) -> list[int]:
        """Widths of the panes."""
        return self._split.sizes()

    def set_sizes(self, sizes: list[int]) -> None:
        """Give the panes these widths, as they were when the window was closed."""
        self._split.setSizes(sizes)
        self._is_sized = True

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not self._is_sized and event.size().width() > 600:
            width = event.size().width()
            left, right = round(min(max(width * 0.235, 260), 460)), round(min(max(width * 0.27, 330), 520))
            self._split.setSizes([left, width - left - right, right])


def _in_tab_order(panel: QWidget) -> Iterator[QWidget]:
    """What Tab reaches in a panel."""
    part = panel.nextInFocusChain()
    while part is not None and part is not panel:
        if part.focusPolicy() & Qt.FocusPolicy.TabFocus and panel.isAncestorOf(part):
            yield part
        part = part.nextInFocusChain()
