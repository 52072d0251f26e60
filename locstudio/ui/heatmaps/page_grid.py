"""The gallery of the heatmaps page, worked through by keys: add, deny, skip, back, and on to the next by itself."""

from collections.abc import Callable
from functools import partial
from itertools import chain

from PySide6.QtCore import QElapsedTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from locstudio.services.heat.known import NEGATIVE, POSITIVE, UNKNOWN
from locstudio.ui.gallery.working_grid import SIDE_STEP, WorkingGrid
from locstudio.ui.heatmaps.page_cells import HeatCells
from locstudio.ui.heatmaps.page_commands import HeatCommand, command_for
from locstudio.ui.heatmaps.page_model import HeatModel, HeatTile
from locstudio.ui.heatmaps.page_tile import CAPTION_HEIGHT, HeatDelegate, HeatInk, Photos

DEFAULT_SIDE = 144

_PEEK_MS = 350
_OPACITY_STEP = 0.1


class HeatGrid(WorkingGrid):
    """Tiles of a ``HeatModel``.  Keys make wishes; whoever hears them decides, and calls ``advance``.

    Signals:
        decided: positions in the table, and what is to be said of them: 1 is there, 0 is not there, -1 nothing.
        command_wanted: a ``HeatCommand`` that is not the gallery's own to do.
        current_changed: the ``HeatTile`` that the keys act on, or None.
        ink_changed: heat is stronger or fainter now, on or off.
    """

    decided = Signal(object, int)
    command_wanted = Signal(object)
    current_changed = Signal(object)
    ink_changed = Signal()

    def __init__(
        self, model: HeatModel, cells: HeatCells, photos: Photos, ink: HeatInk, parent: QWidget | None = None
    ) -> None:
        super().__init__(model, DEFAULT_SIDE, CAPTION_HEIGHT, parent)
        self._model = model
        self._cells = cells
        self._photos = photos
        self._ink = ink
        self._held = QElapsedTimer()
        self._told: HeatTile | None = None
        self.setItemDelegate(HeatDelegate(photos, ink, self))
        self.setAccessibleName("Classes of images")
        self.doubleClicked.connect(lambda _: self.run(HeatCommand.OPEN))
        for loader in photos.loaders:
            loader.arrived.connect(self.viewport().update)
        cells.arrived.connect(self._on_cells)
        self._acts: dict[HeatCommand, Callable[[], None]] = {
            HeatCommand.ADD: lambda: self.decide(POSITIVE),
            HeatCommand.DENY: lambda: self.decide(NEGATIVE),
            HeatCommand.UNSAY: lambda: self.decide(UNKNOWN),
            HeatCommand.SKIP: self.skip,
            HeatCommand.BACK: self.back,
            HeatCommand.HEAT: lambda: self.set_ink(self._ink.opacity, is_on=not self._ink.is_on),
            HeatCommand.STRONGER: lambda: self.set_ink(self._ink.opacity + _OPACITY_STEP),
            HeatCommand.FAINTER: lambda: self.set_ink(self._ink.opacity - _OPACITY_STEP),
            HeatCommand.LARGER: lambda: self.set_side(self.side + SIDE_STEP),
            HeatCommand.SMALLER: lambda: self.set_side(self.side - SIDE_STEP),
        }
        for command in HeatCommand:
            self._acts.setdefault(command, partial(self.command_wanted.emit, command))

    @property
    def current(self) -> HeatTile | None:
        """The tile that the keys act on."""
        return self._model.tile(self.place) if self.place >= 0 else None

    def decide(self, code: int) -> None:
        """Wish this for what is chosen."""
        chosen = self.chosen()
        if len(chosen):
            self.decided.emit(chosen, code)

    def set_ink(self, opacity: float, *, is_on: bool = True) -> None:
        """Show heat so strong, or not at all."""
        self._ink.opacity, self._ink.is_on = round(min(max(opacity, 0.1), 1.0), 2), is_on
        self.viewport().update()
        self.ink_changed.emit()

    # keys -------------------------------------------------------------------------------------------------------

    def take_key(self, event: QKeyEvent) -> bool:
        """Do what a key of the page means; False where it means nothing here."""
        command = command_for(event)
        if command is None:
            return False
        if command is HeatCommand.HEAT:
            if event.isAutoRepeat():
                return True
            self._held.start()
        self.run(command)
        return True

    def let_go(self, event: QKeyEvent) -> bool:
        """A key is let go: heat that was only peeked at, or away, is as it was; False where that means nothing."""
        if event.isAutoRepeat() or command_for(event) is not HeatCommand.HEAT:
            return False
        if self._held.isValid() and self._held.elapsed() > _PEEK_MS:
            self.run(HeatCommand.HEAT)
        self._held.invalidate()
        return True

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if not self.let_go(event):
            super().keyReleaseEvent(event)

    def run(self, command: HeatCommand) -> None:
        """Do what a command means."""
        self._acts[command]()

    # facts ------------------------------------------------------------------------------------------------------

    def _on_cells(self) -> None:
        self.viewport().update()
        self._telling.start()

    def _tell(self) -> None:
        tile = self.current
        if tile != self._told:
            self._told = tile
            self.current_changed.emit(tile)
        super()._tell()

    def _load(self, first: int, last: int, end: int) -> None:
        """Read heat and pictures of what is shown, and of a screen more: going on shows a tile at once."""
        ahead = chain(range(first, last + 1), range(last + 1, end + 1))
        if self.place >= 0:
            ahead = chain((self.place,), ahead)
        self._cells.want(self._model.key(place) for place in ahead)
        cells = [cell for place in range(first, end + 1) if (cell := self._cells.cell(self._model.key(place)))]
        for loader in self._photos.loaders:
            loader.keep_only(cell.picture_key for cell in cells if self._photos.of(cell) is loader)
        for cell in reversed(cells):  # the newest wish is loaded first
            self._photos.picture(cell)
