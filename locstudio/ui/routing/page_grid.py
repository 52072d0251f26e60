"""The gallery of an expert, a cell or a move: worked through by keys, mended in place."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QToolButton, QVBoxLayout, QWidget

from locstudio.domain.text import counted
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.gallery.working_grid import SIDE_STEP, WorkingGrid
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown
from locstudio.ui.routing.elided import ElidedLabel
from locstudio.ui.routing.page_cells import TileCells
from locstudio.ui.routing.page_commands import KEYS, ExpertCommand, command_for
from locstudio.ui.routing.page_model import ExpertModel, ExpertTile
from locstudio.ui.routing.page_tile import CAPTION_HEIGHT, ExpertDelegate

DEFAULT_SIDE = 128

_FOOT_LINES = 3


class ImageOrder(StrEnum):
    """How the images of an expert are sorted."""

    SURE = "sure"
    UNSURE = "unsure"
    MISMATCH = "mismatch"
    ANOTHER = "another"
    CLASS = "class"


ORDER_WORDS = {
    ImageOrder.SURE: "Sure",
    ImageOrder.UNSURE: "Unsure",
    ImageOrder.MISMATCH: "Mismatched",
    ImageOrder.ANOTHER: "Surely another class",
    ImageOrder.CLASS: "By class",
}
_ORDER_HINTS = {
    ImageOrder.SURE: "Those that the router gave to the expert with the largest margin, first",
    ImageOrder.UNSURE: "Those that nearly went to another expert, first",
    ImageOrder.MISMATCH: "Those whose class belongs to another expert, first: a wrong label, or a router that errs",
    ImageOrder.ANOTHER: "Those that the model surely takes for another class, first: a wrong label, or a mistake",
    ImageOrder.CLASS: "Class by class, the most frequent first",
}


class ExpertGrid(WorkingGrid):
    """Tiles of an ``ExpertModel``.

    Signals:
        command_wanted: an ``ExpertCommand`` that is not the gallery's own to do.
        current_changed: the ``ExpertTile`` that the keys act on, or None.
    """

    command_wanted = Signal(object)
    current_changed = Signal(object)

    def __init__(
        self, model: ExpertModel, cells: TileCells, thumbnails: PictureLoader, parent: QWidget | None = None
    ) -> None:
        super().__init__(model, DEFAULT_SIDE, CAPTION_HEIGHT, parent)
        self._model = model
        self._cells = cells
        self._thumbnails = thumbnails
        self._told: ExpertTile | None = None
        self.setItemDelegate(ExpertDelegate(thumbnails, self))
        self.setAccessibleName("Images of the expert")
        self.doubleClicked.connect(lambda _: self.run(ExpertCommand.OPEN))
        thumbnails.arrived.connect(self.viewport().update)
        cells.arrived.connect(self._on_cells)
        self._acts: dict[ExpertCommand, Callable[[], None]] = {
            ExpertCommand.SKIP: self.skip,
            ExpertCommand.BACK: self.back,
            ExpertCommand.LARGER: lambda: self.set_side(self.side + SIDE_STEP),
            ExpertCommand.SMALLER: lambda: self.set_side(self.side - SIDE_STEP),
        }
        for command in ExpertCommand:
            self._acts.setdefault(command, partial(self.command_wanted.emit, command))

    @property
    def current(self) -> ExpertTile | None:
        """The tile that the keys act on."""
        return self._model.tile(self.place) if self.place >= 0 else None

    def take_key(self, event: QKeyEvent) -> bool:
        """Do what a key of the page means; False where it means nothing here."""
        command = command_for(event)
        if command is None:
            return False
        self.run(command)
        return True

    def run(self, command: ExpertCommand) -> None:
        """Do what a command means."""
        self._acts[command]()

    def _on_cells(self) -> None:
        self.viewport().update()
        self._telling.start()

    def _tell(self) -> None:
        tile = self.current
        if tile != self._told:
            self._told = tile
            self.current_changed.emit(tile)
        super()._tell()

    def _load(self, first: int, last: int, end: int) -> None:  # noqa: ARG002 - a screen more is read as well
        """Read what is shown, and a screen more: going on shows a tile at once."""
        image_ids = self._model.image_ids(self._model.rows[first : end + 1])
        self._cells.want(image_ids)
        self._thumbnails.keep_only(image_ids)
        for image_id in reversed(image_ids):  # the newest wish is loaded first
            self._thumbnails.picture(image_id)


class ExpertGallery(QFrame):
    """A title, the order and what can be done, above the tiles; below them the current one in words.

    Signals:
        order_changed: an ``ImageOrder``.
        command_wanted: an ``ExpertCommand``.
    """

    order_changed = Signal(object)
    command_wanted = Signal(object)

    def __init__(
        self, model: ExpertModel, cells: TileCells, thumbnails: PictureLoader, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setMinimumWidth(300)
        self.grid = ExpertGrid(model, cells, thumbnails, self)
        self._model = model
        self._title = ElidedLabel("heading", self)
        self._details = ElidedLabel("muted", self)
        self._chosen = label("", "muted", self)
        self._foot = label("", "muted", self)
        self._foot.setWordWrap(True)
        self._foot.setAccessibleName("The current image in words")
        self._order = ImageOrder.SURE
        self._num_chosen = 0
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._make_head())
        column.addWidget(self.grid, 1)
        column.addWidget(self._make_foot())
        self.grid.current_changed.connect(self._on_current)
        self.grid.selection_changed.connect(self._on_selection)
        self.grid.command_wanted.connect(self.command_wanted)
        self.show_order(ImageOrder.SURE)
        self._on_current(None)

    def _make_head(self) -> QWidget:
        head = QFrame(self)
        first = QHBoxLayout()
        first.setSpacing(10)
        first.addWidget(self._title, 1)
        first.addWidget(self._chosen)
        tools = QHBoxLayout()
        tools.setSpacing(8)
        self._relabel = self._button("Change class…", "pencil", ExpertCommand.RELABEL, "Say what the image shows")
        self._open = self._button("Open", "image", ExpertCommand.OPEN, "Open the image in the collection")
        tools.addWidget(self._make_sort())
        tools.addStretch(1)
        tools.addWidget(self._relabel)
        tools.addWidget(self._open)
        column = QVBoxLayout(head)
        column.setContentsMargins(10, 8, 8, 6)
        column.setSpacing(3)
        column.addLayout(first)
        column.addWidget(self._details)
        column.addSpacing(2)
        column.addLayout(tools)
        return head

    def _make_sort(self) -> QToolButton:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        group = QActionGroup(menu)
        self._orders: dict[ImageOrder, QAction] = {}
        for order, words in ORDER_WORDS.items():
            action = menu.addAction(words)
            action.setCheckable(True)
            action.setToolTip(_ORDER_HINTS[order])
            action.triggered.connect(lambda _=False, chosen=order: self._choose(chosen))
            group.addAction(action)
            self._orders[order] = action
        self._sort = QToolButton(self)
        self._sort.setProperty("role", "button")
        self._sort.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._sort.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._sort.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._sort.setMenu(menu)
        drawn.follow(self._sort, "sort")
        return self._sort

    def _button(self, text: str, icon: str, command: ExpertCommand, hint: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setProperty("role", "button")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setToolTip(f"{hint} ({KEYS[command][0]})")
        button.setAccessibleName(text.rstrip("…"))
        button.clicked.connect(lambda: self.command_wanted.emit(command))
        drawn.follow(button, icon)
        return button

    def _make_foot(self) -> QWidget:
        foot = QFrame(self)
        foot.setProperty("role", "foot")
        column = QVBoxLayout(foot)
        column.setContentsMargins(10, 6, 10, 6)
        column.addWidget(self._foot)
        self._foot.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._foot.setMinimumHeight(_FOOT_LINES * self.fontMetrics().height())
        return foot

    # what is shown ----------------------------------------------------------------------------------------------

    def set_words(self, title: str, details: str) -> None:
        """Say whose images are shown, and what there is to say of them."""
        self._title.say(title)
        self._details.say(details)
        self.grid.setAccessibleName(f"Images: {shown(title)}")

    @property
    def words(self) -> str:
        """What is said of what is shown."""
        return f"{self._title.text()} {self._details.text()}".strip()

    @property
    def foot_words(self) -> str:
        """The current image in words."""
        return self._foot.text()

    def show_order(self, order: ImageOrder | None) -> None:
        """Mark an order without announcing it; None where the images come in an order of their own."""
        self._sort.setVisible(order is not None)
        if order is not None:
            self._order = order
            self._orders[order].setChecked(True)
            self._sort.setText(f"Sort: {ORDER_WORDS[order].lower()}")
            self._sort.setToolTip(f"{_ORDER_HINTS[order]} (O for the next order)")
            self._sort.setAccessibleName(f"Sort: {ORDER_WORDS[order]}")

    def next_order(self) -> None:
        """Go on to the next order."""
        if not self._sort.isHidden():
            orders = tuple(ImageOrder)
            self._choose(orders[(orders.index(self._order) + 1) % len(orders)])

    def set_can_edit(self, can_edit: bool) -> None:
        """Offer to change classes, or not."""
        self._relabel.setVisible(can_edit)

    def _choose(self, order: ImageOrder) -> None:
        self.show_order(order)
        self.order_changed.emit(order)

    def _on_current(self, tile: ExpertTile | None) -> None:
        self._foot.setText(tile.sentence() if tile is not None else "")
        for button in (self._relabel, self._open):
            button.setEnabled(tile is not None)

    def _on_selection(self, count: int) -> None:
        self._num_chosen = count
        self._chosen.setText(f"{counted(count, 'image')} selected" if count > 1 else "")
        self._relabel.setText(f"Change class of {count:,}…" if count > 1 else "Change class…")
