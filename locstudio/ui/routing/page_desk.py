"""The page of the experts with what stands behind it, built together when it is first wanted, and closed together."""

from PySide6.QtCore import QObject, Signal

from locstudio.ui.desk import Desk
from locstudio.ui.routing.page import ExpertPage
from locstudio.ui.routing.page_cells import TileCells, read_facts
from locstudio.ui.routing.page_reviewing import ExpertReviewing
from locstudio.ui.routing.superclass_view import SuperclassView


class ExpertDesk(QObject):
    """Widgets and flow of the experts' page.

    Signals:
        open_wanted: an image to be opened in the collection.
        wanted: "train" to train experts, "route" to ask the model about every image.
        said: a sentence for the status line.
    """

    open_wanted = Signal(int)
    wanted = Signal(str)
    said = Signal(str)

    def __init__(self, collection: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        opened = collection.opened
        self._collection = collection
        self.cells = TileCells(lambda image_ids: read_facts(opened.dataset, image_ids), self)
        self.page = ExpertPage(self.cells, collection.thumbnails)
        self.reviewing = ExpertReviewing(
            opened.project, opened.dataset, collection.editing, self.page, self.cells, self
        )
        self.reviewing.said.connect(self.said)
        self.reviewing.open_wanted.connect(self.open_wanted)
        self.page.head.wanted.connect(self.wanted)
        self.page.empty.wanted.connect(self.wanted)
        self.reviewing.superclasses_wanted.connect(self._show_superclasses)
        self._superclasses: SuperclassView | None = None
        self.page.head.run_wanted.connect(self._on_run_wanted)
        self.reviewing.read()

    def _on_run_wanted(self, run_id: str) -> None:
        if self._superclasses is not None:
            self._superclasses.read(run_id)

    def _show_superclasses(self) -> None:
        """Make the view of the superclasses when it is first wanted."""
        if self._superclasses is None:
            view = self._superclasses = SuperclassView(self._collection)
            view.said.connect(self.said)
            view.train_wanted.connect(lambda: self.wanted.emit("train"))
            view.image_wanted.connect(self.open_wanted)
            self.page.set_superclasses(view)

    @property
    def superclasses(self) -> SuperclassView | None:
        """The view of the superclasses, once it was wanted."""
        return self._superclasses

    def wake(self) -> None:
        """The page is seen again."""
        self.page.focus_view()

    def refresh(self, *, has_other_files: bool = False) -> None:
        """Read everything anew: a run has ended, or files came in, were found again or replaced."""
        if has_other_files:
            self.cells.clear()
        self.reviewing.read()
        if self._superclasses is not None:
            self._superclasses.read()

    def close(self) -> None:
        """Wait for what is being read."""
        self.page.gallery.grid.blockSignals(True)  # nobody asks anything about the current tile any more
        self.reviewing.close()
        self.cells.close()
        if self._superclasses is not None:
            self._superclasses.close_view()
