"""Experts of the open project: the page on which their images are looked through, made when it is first wanted."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from locstudio.ui.desk import Desk
from locstudio.ui.routing.page_commands import ExpertCommand

if TYPE_CHECKING:
    from locstudio.ui.routing.page_desk import ExpertDesk


class ExpertPages(QObject):
    """One project's page of experts.

    Signals:
        page_wanted: the page, to be brought to the front.
        open_wanted: an image to be opened in the collection.
        wanted: "train" to train experts, "route" to ask the model about every image.
        said: a sentence for the status line.
    """

    page_wanted = Signal(QWidget)
    open_wanted = Signal(int)
    wanted = Signal(str)
    said = Signal(str)

    def __init__(self, collection: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._collection = collection
        self._desk: ExpertDesk | None = None

    @property
    def desk(self) -> "ExpertDesk":
        """The page with what stands behind it."""
        if self._desk is None:
            # Here and not above: the window is there before anybody wants the page.
            from locstudio.ui.routing.page_desk import ExpertDesk

            desk = self._desk = ExpertDesk(self._collection, self)
            desk.open_wanted.connect(self.open_wanted)
            desk.wanted.connect(self.wanted)
            desk.said.connect(self.said)
        return self._desk

    def show(self, run_id: str = "") -> None:
        """Bring the page to the front, with the routing of this run, else with that it has."""
        if run_id:
            self.desk.reviewing.read(run_id)
        self.page_wanted.emit(self.desk.page)
        self.desk.wake()

    def show_expert(self, expert: int, run_id: str = "") -> None:
        """Bring the page to the front with the images of an expert, counted from 0."""
        self.desk.reviewing.show_expert(expert, run_id)
        self.page_wanted.emit(self.desk.page)
        self.desk.wake()

    def run(self, command: ExpertCommand) -> None:
        """Do what the menu has asked of the page."""
        self.desk.page.run(command)

    def refresh(self, *, has_other_files: bool = True) -> None:
        """Read routing anew, as after a training has ended, or after images or labels came in from files."""
        if self._desk is not None:
            self._desk.refresh(has_other_files=has_other_files)

    def close(self) -> None:
        """Nothing is read any more."""
        if self._desk is not None:
            self._desk.close()
