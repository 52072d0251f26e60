"""The heatmaps page with what stands behind it, built together when the page is first wanted, and closed together."""

from PySide6.QtCore import QObject, Signal

from locstudio.ui.desk import Desk
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.heatmaps.page import HeatPage
from locstudio.ui.heatmaps.page_cells import HeatCells
from locstudio.ui.heatmaps.page_reviewing import HeatReviewing

_PART_BYTES = 96 * 2**20
_LARGE_BYTES = 64 * 2**20


class HeatDesk(QObject):
    """Widgets and flow of the heatmaps page.

    Signals:
        open_wanted: an image, and the class whose heat is to be seen there.
        wanted: the name of an action of the window, or "train" to train heatmaps.
        said: a sentence for the status line.
    """

    open_wanted = Signal(int, int)
    wanted = Signal(str)
    said = Signal(str)

    def __init__(self, collection: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        pictures, opened = collection.pictures, collection.opened
        self.parts = PictureLoader(pictures.crop, max_bytes=_PART_BYTES, parent=self)
        self.large = PictureLoader(pictures.large_crop, max_bytes=_LARGE_BYTES, num_threads=1, parent=self)
        self.cells = HeatCells(self)
        self.page = HeatPage(self.cells, collection.thumbnails, self.parts, self.large)
        self.reviewing = HeatReviewing(opened.project, opened.dataset, collection.editing, self.page, self.cells, self)
        self.reviewing.said.connect(self.said)
        self.reviewing.open_wanted.connect(self.open_wanted)
        self.page.head.train_wanted.connect(lambda: self.wanted.emit("train"))
        self.page.empty.wanted.connect(self.wanted)
        self.reviewing.read()

    def wake(self) -> None:
        """The page is seen again."""
        self.page.grid.setFocus()

    def refresh(self, *, has_other_files: bool = False) -> None:
        """Read everything anew: a run has ended, or files came in, were found again or replaced."""
        if has_other_files:
            self.parts.clear()
            self.large.clear()
        self.reviewing.read()

    def close(self) -> None:
        """Wait for what is being read."""
        self.page.grid.blockSignals(True)  # nobody asks anything about the current tile any more
        self.reviewing.close()
        self.cells.close()
        self.parts.close()
        self.large.close()
