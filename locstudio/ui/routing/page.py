"""The page of the experts: a view at the left, and the gallery of what is chosen in it at the right."""

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.routing.page_cards import ExpertCards
from locstudio.ui.routing.page_cells import TileCells
from locstudio.ui.routing.page_commands import VIEWS, ExpertCommand, command_for
from locstudio.ui.routing.page_drift import DriftPane
from locstudio.ui.routing.page_empty import NothingPane
from locstudio.ui.routing.page_grid import ExpertGallery
from locstudio.ui.routing.page_head import ExpertHead
from locstudio.ui.routing.page_load import LoadPane
from locstudio.ui.routing.page_matrix import MatrixPane
from locstudio.ui.routing.page_model import ExpertModel

_LEFT_SHARES = {ExpertCommand.EXPERTS: 0.29, ExpertCommand.MATRIX: 0.6, ExpertCommand.DRIFT: 0.5}
_WITH_GALLERY = frozenset(_LEFT_SHARES)
_MAX_CARDS = 440
_ON_IMAGES = frozenset(
    {ExpertCommand.OPEN, ExpertCommand.RELABEL, ExpertCommand.DENY, ExpertCommand.SKIP, ExpertCommand.BACK}
)
"""Act on the current image, so only where the eye is on it."""


class _Views(QStackedWidget):
    """As narrow as the view that is shown may be, not as the widest of all."""

    def minimumSizeHint(self) -> QSize:
        shown = self.currentWidget()
        return shown.minimumSizeHint() if shown is not None else super().minimumSizeHint()


class ExpertPage(QWidget):
    """Lays out its parts and joins those that speak to each other alone; what a person wants, the parts emit.

    Signals:
        command_wanted: an ``ExpertCommand`` that needs more than the page.
    """

    command_wanted = Signal(object)

    def __init__(self, cells: TileCells, thumbnails: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Experts")
        self.view = ExpertCommand.EXPERTS
        self.model = ExpertModel(cells, self)
        self.head = ExpertHead(self)
        self.cards = ExpertCards(self)
        self.matrix = MatrixPane(self)
        self.load = LoadPane(self)
        self.drift = DriftPane(self)
        self.empty = NothingPane(self)
        self.gallery = ExpertGallery(self.model, cells, thumbnails, self)
        self.superclasses: QWidget | None = None
        self._panes: dict[ExpertCommand, QWidget] = {
            ExpertCommand.EXPERTS: self.cards,
            ExpertCommand.MATRIX: self.matrix,
            ExpertCommand.LOAD: self.load,
            ExpertCommand.DRIFT: self.drift,
        }
        self._left = _Views(self)
        for pane in self._panes.values():
            self._left.addWidget(pane)
        self._split = QSplitter(Qt.Orientation.Horizontal, self)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(3)
        self._split.addWidget(self._left)
        self._split.addWidget(self.gallery)
        self._split.setStretchFactor(1, 1)
        self._split.splitterMoved.connect(self._on_split)
        self._by_hand: dict[ExpertCommand, list[int]] = {}
        self._whole = QStackedWidget(self)
        self._whole.addWidget(self._split)
        self._whole.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.head)
        column.addWidget(self._whole, 1)
        self.gallery.command_wanted.connect(self.command_wanted)
        self.head.view_wanted.connect(self.run)

    @property
    def grid(self) -> QWidget:
        """The tiles."""
        return self.gallery.grid

    def set_superclasses(self, widget: QWidget) -> None:
        """Take the view of the superclasses."""
        self.superclasses = widget
        self._panes[ExpertCommand.SUPERCLASSES] = widget
        self._whole.addWidget(widget)

    def run(self, command: ExpertCommand) -> None:
        """Do what a key, a button or a menu has asked for."""
        is_of_gallery = command not in VIEWS and command is not ExpertCommand.TIDY
        if is_of_gallery and (self.is_empty or self.gallery.isHidden()):
            return  # nobody sees what it would act on
        if command in (ExpertCommand.NEXT, ExpertCommand.PREVIOUS) and self.view is not ExpertCommand.EXPERTS:
            return
        self.gallery.grid.run(command)

    def set_view(self, view: ExpertCommand) -> None:
        """Show a view, with the gallery where it has one."""
        self.view = view
        self.head.set_view(view)
        if view in self._panes and view is not ExpertCommand.SUPERCLASSES:
            self._left.setCurrentWidget(self._panes[view])
        self.show_gallery()

    def show_gallery(self) -> None:
        """Show the gallery where the view has something to show in it."""
        is_alone = self.view is ExpertCommand.DRIFT and self.drift.is_alone
        self.gallery.setVisible(self.view in _WITH_GALLERY and not is_alone)
        self._arrange()

    def _first_widget(self) -> QWidget:
        """What has the keys first in a view."""
        firsts: dict[ExpertCommand, Callable[[], QWidget]] = {
            ExpertCommand.MATRIX: lambda: self.matrix.table,
            ExpertCommand.DRIFT: lambda: self.head.view_button(self.view) if self.drift.is_alone else self.drift.table,
            ExpertCommand.LOAD: lambda: self.head.view_button(self.view) if self.load.is_empty else self.load.load,
            ExpertCommand.SUPERCLASSES: lambda: self.superclasses if self.superclasses is not None else self.grid,
        }
        return firsts.get(self.view, lambda: self.gallery.grid)()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Pass the keys on; a focus proxy did it too, but Tab jumped over the head to it."""
        super().focusInEvent(event)
        self.focus_view()

    def focus_view(self) -> None:
        """Give the keys to the view."""
        if self.is_empty:
            first = next(iter(self.empty.buttons), self.head.view_button(self.view))
        else:
            first = self._first_widget()
        first.setFocus()

    @property
    def has_keys(self) -> bool:
        """Whether some part of the page has the focus."""
        focused = self.window().focusWidget()
        return focused is not None and self.isAncestorOf(focused)

    def show_empty(self, is_empty: bool) -> None:
        """Show why there is no routing, or what there is."""
        if self.view is ExpertCommand.SUPERCLASSES and self.superclasses is not None:
            self._whole.setCurrentWidget(self.superclasses)
        else:
            self._whole.setCurrentWidget(self.empty if is_empty else self._split)

    @property
    def is_empty(self) -> bool:
        """Whether there is no routing to show."""
        return self._whole.currentWidget() is self.empty

    # keys and sizes ---------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that the focused part has no use for are the page's."""
        command = command_for(event)
        focused = self.focusWidget()
        is_in_gallery = focused is not None and self.gallery.isAncestorOf(focused)
        is_beside = self.view is not ExpertCommand.EXPERTS and not is_in_gallery
        if command is None or (is_beside and command in _ON_IMAGES):
            super().keyPressEvent(event)
        else:
            self.run(command)

    def _on_split(self) -> None:
        self._by_hand[self.view] = self._split.sizes()

    def _arrange(self) -> None:
        width = self.width()
        sizes = self._by_hand.get(self.view)
        if sizes:
            self._split.setSizes(sizes)
        elif self.view in _LEFT_SHARES and width > 600:
            left = round(width * _LEFT_SHARES[self.view])
            if self.view is ExpertCommand.EXPERTS:
                left = min(left, _MAX_CARDS)
            self._split.setSizes([left, width - left])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()
