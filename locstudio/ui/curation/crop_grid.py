"""The gallery of crops that is worked through by keys: accept, reject, skip, back, and on to the next by itself."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from locstudio.domain.regions import Review
from locstudio.ui.curation.commands import CurationCommand, command_for, suggestion_for
from locstudio.ui.curation.crop_model import Crop, CropModel
from locstudio.ui.curation.crop_tile import CAPTION_HEIGHT, CropDelegate
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.gallery.working_grid import SIDE_STEP, WorkingGrid

DEFAULT_SIDE = 128


class CropGrid(WorkingGrid):
    """Tiles of items.  Keys make wishes; whoever hears them decides, and calls ``advance``.

    Signals:
        decided: positions in the pool, and the ``Review`` that they are to have.
        suggestion_taken: the number, from 1, of the suggestion for the current item.
        command_wanted: a ``CurationCommand`` that is not the gallery's own to do.
        current_changed: the ``Crop`` that the keys act on, or None.
    """

    decided = Signal(object, object)
    suggestion_taken = Signal(int)
    command_wanted = Signal(object)
    current_changed = Signal(object)

    def __init__(self, model: CropModel, crops: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(model, DEFAULT_SIDE, CAPTION_HEIGHT, parent)
        self._model = model
        self._crops = crops
        self._delegate = CropDelegate(crops, self)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName("Items to review")
        self.doubleClicked.connect(lambda _: self.run(CurationCommand.RELABEL))
        crops.arrived.connect(self.viewport().update)
        self._told_crop: Crop | None = None
        self._acts: dict[CurationCommand, Callable[[], None]] = {
            CurationCommand.ACCEPT: lambda: self.decide(Review.ACCEPTED),
            CurationCommand.REJECT: lambda: self.decide(Review.REJECTED),
            CurationCommand.SKIP: self.skip,
            CurationCommand.BACK: self.back,
            CurationCommand.LARGER: lambda: self.set_side(self.side + SIDE_STEP),
            CurationCommand.SMALLER: lambda: self.set_side(self.side - SIDE_STEP),
        }
        for command in CurationCommand:
            self._acts.setdefault(command, partial(self.command_wanted.emit, command))

    @property
    def current(self) -> Crop | None:
        """The item that the keys act on."""
        index = self.currentIndex()
        return self._model.crop(index.row()) if index.isValid() else None

    def decide(self, review: Review) -> None:
        """Wish this for what is chosen."""
        chosen = self.chosen()
        if len(chosen):
            self.decided.emit(chosen, review)

    def set_pinned(self, key: str) -> None:
        """Mark the item that the others are compared with."""
        self._delegate.pinned = key
        self.viewport().update()

    def take_key(self, event: QKeyEvent) -> bool:
        """Do what a key of the gallery means; False where it means nothing here."""
        number, command = suggestion_for(event), command_for(event)
        if number is not None:
            self.suggestion_taken.emit(number)
        elif command in self._acts:
            self.run(command)
        else:
            return False
        return True

    def run(self, command: CurationCommand) -> None:
        """Do what a command means."""
        self._acts[command]()

    def _tell(self) -> None:
        crop = self.current
        if crop != self._told_crop:
            self._told_crop = crop
            self.current_changed.emit(crop)
        super()._tell()

    def _load(self, first: int, last: int, end: int) -> None:
        """Load a screen more than is shown: going on shows a picture at once."""
        self._model.want_images(first - (last - first + 1), end)
        wanted = [self._model.crop(place) for place in range(first, end + 1)]
        self._crops.keep_only(crop.crop_key for crop in wanted)
        for crop in reversed(wanted):  # the newest wish is loaded first
            self._crops.picture(crop.crop_key)
