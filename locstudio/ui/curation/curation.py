"""Curation of the open project: proposals asked for, and the page on which they are reviewed, made when it is wanted.

What proposes is a run of its own.  Closing the window does not end it; the next one finds it here again.
"""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from locstudio.jobs.configs import Vesl
from locstudio.services.outside_models import problem_with
from locstudio.services.search import SearchService
from locstudio.store.view import DatasetView
from locstudio.ui.background import DatasetWorker
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.curation.propose_sheet import ProposeMaterial, ProposeSheet
from locstudio.ui.curation.proposing import Proposing
from locstudio.ui.desk import Desk

if TYPE_CHECKING:
    from locstudio.ui.curation.curation_desk import CurationDesk

NOTICE = "curation"
_READ_ONLY = "This project is open read-only, so nothing can be proposed here."
_NO_MODEL = "This installation has no model, so nothing can be proposed."
_BUSY = "Proposals are on their way already."
_MAX_CAPTIONS = 100_000  # read to count the images that have one; beyond, nobody needs to know exactly
_GOES_ON = "Proposing in the background: go on, or close the window; it will be found again."


class Curation(QObject):
    """One project's curation.

    Signals:
        page_wanted: the curation page, to be brought to the front.
        collection_wanted: the collection is to come to the front.
        place_wanted: a ``Place`` to be shown in the collection.
        progressed: what the run that proposes is at, and its share (negative: nobody knows); empty words for nothing.
        noticed: a sentence, and the words of a button (or nothing), and whether it is a problem.
        offer_changed: whether identical mistakes are offered after a correction.
        said: a sentence for the status line.
    """

    page_wanted = Signal(QWidget)
    collection_wanted = Signal()
    place_wanted = Signal(object)
    progressed = Signal(str, float)
    noticed = Signal(str, str, bool)
    offer_changed = Signal(bool)
    said = Signal(str)

    def __init__(self, collection: Desk, window: QWidget, propose: QAction, parent: QObject | None = None) -> None:
        """``window`` is what sheets belong to; ``propose`` is its action that asks for proposals."""
        super().__init__(parent)
        self._collection = collection
        self._window = window
        self._propose = propose
        self._work = DatasetWorker(self)
        self._desk: CurationDesk | None = None
        self._service: SearchService | None = None
        self._is_offering = True
        self._progress: tuple[str, float] = ("", -1.0)
        self.sheet: ProposeSheet | None = None
        self.proposing = Proposing(lambda: collection.opened, self._work, self)
        self.proposing.progressed.connect(self._on_progressed)
        self.proposing.proposed.connect(self._on_proposed)
        collection.workspace.regions_pane.origin_toggled.connect(self._on_origin_toggled)
        self.proposing.failed.connect(lambda sentence: self.noticed.emit(sentence, "", True))

    @property
    def is_proposing(self) -> bool:
        """Whether a run goes on."""
        return self.proposing.is_busy

    @property
    def desk(self) -> "CurationDesk":
        """The page with what stands behind it."""
        if self._desk is None:
            # Here and not above: the window is there before anybody wants the page.
            from locstudio.ui.curation.curation_desk import CurationDesk

            desk = self._desk = CurationDesk(self._collection, self._propose, self._window, self)
            desk.said.connect(self.said)
            desk.place_wanted.connect(self.place_wanted)
            desk.collection_wanted.connect(self.collection_wanted)
            desk.propose_again_wanted.connect(self.propose_again)
            desk.sheets.alike.set_offering(self._is_offering)
            desk.sheets.alike.offer_changed.connect(self.offer_changed)
            desk.page.head.stop_wanted.connect(self.stop)
            desk.page.head.set_run(*self._progress)
            desk.set_service(self._service)
        return self._desk

    def set_service(self, service: SearchService | None) -> None:
        """Measure with the vectors of this index."""
        self._service = service
        if self._desk is not None:
            self._desk.set_service(service)

    def set_offering(self, is_offering: bool) -> None:
        """Offer identical mistakes after a correction, or only when they are asked for."""
        self._is_offering = is_offering
        if self._desk is not None:
            self._desk.sheets.alike.set_offering(is_offering)

    def read(self) -> None:
        """Look for a run that an earlier window has left."""
        self.proposing.read()

    def refresh(self, *, has_other_files: bool = True) -> None:
        """Read what can be reviewed anew, as after images or regions came in from files."""
        if self._desk is not None:
            self._desk.refresh(has_other_files=has_other_files)

    def show(self) -> None:
        """Bring the page to the front."""
        self.page_wanted.emit(self.desk.page)
        self.desk.wake()

    def run(self, command: CurationCommand) -> None:
        """Do what the menu has asked of the page."""
        self.desk.page.run(command)

    def ask(self) -> None:
        """Open the sheet that starts a run."""
        opened = self._collection.opened
        if opened.dataset.is_read_only:
            self.said.emit(_READ_ONLY)
        elif opened.checkpoint is None:
            self.said.emit(_NO_MODEL)
        elif self.proposing.is_busy:
            self.said.emit(_BUSY)
        else:
            image, selected = self._collection.browsing.image, self._collection.gallery.selected_ids()
            self._work.ask(
                lambda: _material(self._collection, selected, image.id if image else 0, image.name if image else ""),
                on_result=self._open_sheet,
                on_error=lambda error: self.said.emit(str(error)),
            )

    def start(self, vesl: Vesl) -> None:
        """Propose as chosen."""
        self.proposing.start(vesl)
        self.said.emit(_GOES_ON)

    def propose_again(self, image_id: int) -> None:
        """Propose for one image anew: its caption was edited."""
        if self._collection.opened.dataset.is_read_only:
            self.said.emit(_READ_ONLY)
        elif self.proposing.is_busy:
            self.said.emit(_BUSY)
        else:
            self.proposing.start_again(image_id)

    def stop(self) -> None:
        """Ask the run that proposes to stop."""
        self.proposing.stop()

    def close(self) -> None:
        """Let the run go on by itself; nothing is read any more."""
        self.proposing.close()
        if self._desk is not None:
            self._desk.close()
        self._work.close()

    def _open_sheet(self, material: ProposeMaterial) -> None:
        sheet = self.sheet = ProposeSheet(material, problem_with, self._window)
        sheet.start_wanted.connect(self.start)
        sheet.finished.connect(self._on_sheet_closed)
        sheet.open()

    def _on_sheet_closed(self) -> None:
        if self.sheet is not None:
            self.sheet.deleteLater()
            self.sheet = None

    def _on_origin_toggled(self, is_wanted: bool) -> None:
        if is_wanted:
            self.desk.show_origin()

    def _on_progressed(self, words: str, share: float) -> None:
        self._progress = (words, share)
        self.progressed.emit(words, share)
        if self._desk is not None:
            self._desk.page.head.set_run(words, share)

    def _on_proposed(self, sentence: str) -> None:
        self.refresh(has_other_files=False)
        words = f"Proposals are there. {sentence}"
        if self._desk is not None and self._desk.page.isVisible():
            self.said.emit(words)
        else:
            self.noticed.emit(words, "Review them", False)


def _material(collection: Desk, selected: tuple[int, ...], open_id: int, open_name: str) -> ProposeMaterial:
    """Read on a worker: what there is to propose for."""
    dataset = collection.opened.dataset
    return ProposeMaterial(
        num_images=dataset.count_images(),
        num_captioned=_num_captioned(dataset),
        num_classes=sum(not entry.is_retired for entry in dataset.classes()),
        selected_ids=selected,
        open_id=open_id,
        open_name=open_name,
    )


def _num_captioned(dataset: DatasetView) -> int:
    images: set[int] = set()
    last, num_read = 0, 0
    while num_read < _MAX_CAPTIONS and (page := dataset.captions_page(last, 5_000)):
        images.update(caption.image_id for caption in page)
        last, num_read = page[-1].id, num_read + len(page)
    return len(images)
