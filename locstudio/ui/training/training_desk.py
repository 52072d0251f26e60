"""The training page with what stands behind it.  Loads pyqtgraph, so it is made when the page is first wanted."""

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QWidget

from locstudio.ui.background import DatasetWorker
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.project_loading import OpenedProject
from locstudio.ui.training.changes_view import ChangesView
from locstudio.ui.training.evaluation_view import EvaluationView
from locstudio.ui.training.page import Tab, TrainingPage
from locstudio.ui.training.run_book import RunBook
from locstudio.ui.training.run_showing import RunShowing


class TrainingDesk(QObject):
    """Widgets and flows of the training page, built together and closed together."""

    def __init__(
        self,
        opened: Callable[[], OpenedProject],
        book: RunBook,
        crops: PictureLoader,
        thumbnail_of: Callable[[int], QPixmap | None],
        work: DatasetWorker,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.changes = ChangesView(crops)
        self.evaluation = EvaluationView(crops, thumbnail_of)
        self.page = TrainingPage(crops, changes=self.changes, evaluation=self.evaluation, checkpoints=QWidget())
        self.showing = RunShowing(self.page, book, opened().dataset, work, self)

    def choose(self, run_id: str) -> None:
        """Bring a run to the front."""
        self.showing.choose(run_id)

    def show_changes(self) -> None:
        """Bring the worklist to the front."""
        self.page.show_tab(Tab.CHANGES)

    def wake(self) -> None:
        """The page is seen again."""
        self.showing.wake()

    def close(self) -> None:
        """Let go."""
