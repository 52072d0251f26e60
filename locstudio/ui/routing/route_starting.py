"""Asking the model with experts that is in use about every image, in a run of its own."""

from PySide6.QtCore import QObject, Signal

from locstudio.jobs.run_folder import RunFolder
from locstudio.services.starting import start_route
from locstudio.ui.desk import Desk
from locstudio.ui.training.run_book import RunBook

_READ_ONLY = "This project is open read-only, so nothing can be routed here."
_GOES_ON = "Every image is routed in the background: go on, the page shows it when it is done."


class RouteStarting(QObject):
    """Starts runs that route the collection.

    Signals:
        said: a sentence for the status line.
        refused: a sentence: what stands in the way.
    """

    said = Signal(str)
    refused = Signal(str)

    def __init__(self, collection: Desk, book: RunBook, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._collection = collection
        self._book = book
        self._is_starting = False

    def start(self) -> None:
        """Make a run and start its process, unless one goes on already."""
        opened = self._collection.opened
        if opened.dataset.is_read_only:
            self.said.emit(_READ_ONLY)
        elif self._is_starting or any(run.config.kind == "route" for run in self._book.live):
            self.said.emit("The images are being routed already.")
        else:
            self.said.emit("Freezing a snapshot of the project for the run.")
            self._is_starting = True
            self._collection.work.ask(
                lambda: start_route(opened.project, opened.dataset),
                on_result=self._on_made,
                on_error=self._on_refused,
            )

    def _on_refused(self, error: Exception) -> None:
        self._is_starting = False
        self.refused.emit(str(error))

    def _on_made(self, folder: RunFolder) -> None:
        self._is_starting = False
        if self._book.start(folder):
            self.said.emit(_GOES_ON)
        else:
            self.refused.emit("The process of the run could not be started.")
