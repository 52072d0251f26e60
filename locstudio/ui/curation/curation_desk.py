"""The curation page with what stands behind it, built together when the page is first wanted, and closed together."""

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from locstudio.services.search import SearchService
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.curation_page import CurationPage
from locstudio.ui.curation.region_origin import RegionOrigin
from locstudio.ui.curation.sheets import Sheets
from locstudio.ui.desk import Desk
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.opening import Place

_CROP_BYTES = 128 * 2**20
_LARGE_BYTES = 64 * 2**20
_RELEARN_MS = 1_500
"""After words or regions got vectors, and none came since."""


class CurationDesk(QObject):
    """Widgets and flows of the curation page.

    Signals:
        collection_wanted: the collection is to come to the front.
        place_wanted: a ``Place`` to be shown in the collection.
        propose_again_wanted: identity of an image whose caption was edited.
        said: a sentence for the status line.
    """

    collection_wanted = Signal()
    place_wanted = Signal(object)
    propose_again_wanted = Signal(int)
    said = Signal(str)

    def __init__(self, collection: Desk, propose: QAction, window: QWidget, parent: QObject | None = None) -> None:
        """``window`` is what sheets belong to."""
        super().__init__(parent)
        self._collection = collection
        pictures, opened = collection.pictures, collection.opened
        self.crops = PictureLoader(pictures.crop, max_bytes=_CROP_BYTES, parent=self)
        self.large = PictureLoader(pictures.large_crop, max_bytes=_LARGE_BYTES, num_threads=1, parent=self)
        self._relearn = QTimer(self, interval=_RELEARN_MS, singleShot=True)
        self.page = CurationPage(propose, self.crops, self.large)
        self.curating = Curating(opened.project, opened.dataset, collection.editing, self.page, self)
        self.curating.said.connect(self.said)
        self._relearn.timeout.connect(self.curating.measuring.measure)
        self.sheets = Sheets(collection, self.curating, self.page, self.crops, window, self)
        for mine, theirs in (
            (self.said, self.sheets.said),
            (self.place_wanted, self.sheets.place_wanted),
            (self.collection_wanted, self.sheets.collection_wanted),
            (self.propose_again_wanted, self.sheets.propose_again_wanted),
        ):
            theirs.connect(mine)
        self.origin: RegionOrigin | None = None
        self.page.command_wanted.connect(self._on_command)
        self.curating.measuring.phrases_unknown.connect(collection.following.learn)
        collection.following.followed.connect(self._on_followed)
        self.curating.read()

    def set_service(self, service: SearchService | None) -> None:
        """Take vectors of regions and words from this index."""
        self.curating.measuring.set_service(service)
        self.sheets.set_service(service)

    def show_origin(self) -> None:
        """Follow the selection of the collection with where it comes from, below the table there."""
        if self.origin is None:
            origin = self.origin = RegionOrigin(self._collection, self.curating, self)
            origin.said.connect(self.said)
            origin.place_wanted.connect(self.place_wanted)
            origin.propose_again_wanted.connect(self.propose_again_wanted)

    def wake(self) -> None:
        """The page is seen again."""
        self.page.grid.setFocus()

    def refresh(self, *, has_other_files: bool = False) -> None:
        """Read everything anew: a run has ended, or files came in, were found again or replaced."""
        if has_other_files:
            self.crops.clear()
            self.large.clear()
        self.curating.read()

    def close(self) -> None:
        """Wait for what is being read."""
        self._relearn.stop()
        self.page.grid.blockSignals(True)  # nobody asks anything about the current item any more
        self.curating.close()
        self.sheets.close()
        if self.origin is not None:
            self.origin.close()
        self.crops.close()
        self.large.close()

    def _on_followed(self) -> None:
        if self.curating.measuring.is_waiting:
            self._relearn.start()

    def _on_command(self, command: CurationCommand) -> None:
        if self.sheets.run(command):
            return
        if command is CurationCommand.TIDY:
            self.curating.show_view()
        elif command is CurationCommand.LIKENESS:
            self.curating.pin_current()
        elif command is CurationCommand.OPEN:
            self._open_image()

    def _open_image(self) -> None:
        crop = self.page.grid.current
        if crop is not None:
            item = crop.item
            text = f"{crop.words} {item.score:.2f}" if item.score is not None else crop.words
            self.place_wanted.emit(Place(item.image_id, item.box, text, item.region_id))
