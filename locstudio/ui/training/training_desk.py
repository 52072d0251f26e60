"""The training page with what stands behind it.  Loads pyqtgraph, so it is made when the page is first wanted."""

from PySide6.QtCore import QObject

from locstudio.ui.background import DatasetWorker
from locstudio.ui.desk import Desk
from locstudio.ui.training.page import Tab, TrainingPage
from locstudio.ui.training.reviewing import Reviewing
from locstudio.ui.training.run_book import KnownRun, RunBook
from locstudio.ui.training.run_showing import RunShowing


class TrainingDesk(QObject):
    """Widgets and flows of the training page, built together and closed together."""

    def __init__(self, desk: Desk, book: RunBook, work: DatasetWorker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        opened = desk.opened
        self.reviewing = Reviewing(
            opened.project, opened.dataset, desk.editing, desk.work, desk.crops, self, pictures=desk.pictures
        )
        self.page = TrainingPage(
            changes=self.reviewing.changes,
            evaluation=self.reviewing.evaluation,
            checkpoints=self.reviewing.checkpoints,
            crops=desk.crops,
        )
        self._shown = ""
        self.showing = RunShowing(self.page, book, opened.dataset, work, self)
        self.showing.run_shown.connect(self._on_run_shown)
        self.reviewing.changes_wanted.connect(self.show_changes)
        if self.showing.shown is not None:
            self._on_run_shown(self.showing.shown)
        else:
            self.reviewing.show_run("")

    def choose(self, run_id: str) -> None:
        """Bring a run to the front."""
        self.showing.choose(run_id)

    def show_changes(self) -> None:
        """Bring the worklist to the front."""
        self.page.show_tab(Tab.CHANGES)
        self.reviewing.changes.focus_list()

    def refresh(self) -> None:
        """A run has ended: look at what it has left."""
        self.reviewing.refresh()

    def wake(self) -> None:
        """The page is seen again."""
        self.showing.wake()

    def close(self) -> None:
        """Wait for what is being read."""
        self.reviewing.close()

    def _on_run_shown(self, run: KnownRun) -> None:
        if run.id != self._shown:
            self._shown = run.id
            self.reviewing.show_run(run.id)
