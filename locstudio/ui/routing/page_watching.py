"""Whether runs have come further while the experts' page is seen."""

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from locstudio.jobs.routing import routing_mark
from locstudio.services.routing.book import RoutingBook
from locstudio.services.routing.runs import routing_runs
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker

_LOOK_MS = 4_000


class RunWatch(QObject):
    """Looks every few seconds, as long as the page is visible.

    Signals:
        went_on: what is shown has become newer, or there may be something to show at last.
        listed: the runs that have routing, newest first, a tuple.
        failed: a sentence: they cannot be read.
    """

    went_on = Signal()
    listed = Signal(object)
    failed = Signal(str)

    def __init__(
        self, project: Project, dataset: Dataset, reads: DatasetWorker, page: QWidget, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._project = project
        self._dataset = dataset
        self._reads = reads
        self._page = page
        self._book: RoutingBook | None = None
        self._mark = (0, 0)
        self._looks = QTimer(self, interval=_LOOK_MS)
        self._looks.timeout.connect(self._look)

    def follow(self, book: RoutingBook | None) -> None:
        """Look after this routing from now on, or for a first one."""
        self._book = book
        self._mark = routing_mark(book.run.results) if book is not None else (0, 0)
        self._looks.start()

    def close(self) -> None:
        """Look no more."""
        self._looks.stop()

    def _look(self) -> None:
        if self._reads.num_pending or not self._page.isVisible():
            return
        if self._book is None or routing_mark(self._book.run.results) not in (self._mark, (0, 0)):
            self.went_on.emit()
        else:
            self._reads.ask(
                routing_runs,
                self._project,
                self._dataset,
                on_result=lambda runs: self.listed.emit(tuple(runs)),
                on_error=lambda error: self.failed.emit(str(error)),
            )
