"""The index of the open project: looked for, offered to be made, made, and handed to whoever searches."""

from PySide6.QtCore import QObject, Signal

from locstudio.ui.background import DatasetWorker, LatestOnly
from locstudio.ui.indexing import Indexing, in_words
from locstudio.ui.notice_bar import NoticeBar
from locstudio.ui.project_loading import OpenedProject, SearchState, open_search
from locstudio.ui.status_line import StatusLine

_SECONDS_PER_IMAGE, _SECONDS_TO_START = 0.3, 15  # of indexing on one core, until a run says better
_NOTICE = "index"
_UNSAID = 4
_FOREIGN = "The index was made by another model than the one that is loaded, so search is off until it is made again."
_NO_MODEL = "This installation has no model, so search is off."


class IndexKeeping(QObject):
    """Keeps a project searchable.

    Signals:
        service_changed: the ``SearchService`` to use from now on, or None.
        settled: it is known whether the project can be searched.
    """

    service_changed = Signal(object)
    settled = Signal()

    def __init__(
        self,
        opened: OpenedProject,
        work: DatasetWorker,
        notice: NoticeBar,
        status: StatusLine,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._opened = opened
        self._work = work
        self._notice = notice
        self._status = status
        self._preparing = LatestOnly(self)
        self._preparing.failed.connect(lambda error: status.say(str(error)))
        self._indexing = Indexing(opened, work, self)
        self._indexing.progressed.connect(status.show_share)
        self._indexing.indexed.connect(self._on_indexed)
        self._indexing.failed.connect(self._on_failed)
        self.state: SearchState | None = None
        self._was_following = False
        self._model_id = ""

    def set_model(self, checkpoint_id: str) -> None:
        """Tell which checkpoint the engine has loaded: its vectors are compared with its own alone."""
        self._model_id = checkpoint_id
        self._refuse_foreign()

    def set_opened(self, opened: OpenedProject) -> None:
        """Take the project with another checkpoint in use; what the index has to do with it is read anew."""
        self._opened = opened
        self._model_id = ""
        self._indexing.set_opened(opened)
        self.read()

    def _refuse_foreign(self) -> None:
        service = self.state.service if self.state else None
        if service is not None and self._model_id and service.index.checkpoint_id != self._model_id:
            self.service_changed.emit(None)
            self._notice.say(_NOTICE, _FOREIGN, "Index now", is_problem=True)

    def read(self) -> None:
        """Look at the index, and at what it lacks."""
        self._work.ask(
            open_search,
            self._opened,
            on_result=self._on_state,
            on_error=lambda error: self._notice.say(_NOTICE, str(error), is_problem=True),
        )

    def start(self) -> None:
        """Embed the collection in the background."""
        if self._indexing.is_busy:
            self._status.say("The collection is being indexed already.")
        self._notice.withdraw(_NOTICE)
        self._indexing.start()

    def stop(self) -> None:
        """Ask the run to stop."""
        self._indexing.stop()

    def leave(self) -> None:
        """Let a run go on by itself; the next start of the window finds it again."""
        self._indexing.leave()

    def close(self) -> None:
        """Let go of the index, when nobody searches any more."""
        if self.state is not None and self.state.service is not None:
            self.state.service.index.close()
        self._preparing.close()
        self.state = None

    def offer(self, count: int, what: str = "regions") -> None:
        """Offer to index what is not."""
        word = what.removesuffix("s") + " is" if count == 1 else f"{what} are"
        text = f"{count:,} {word} not indexed yet. Search finds only what is indexed."
        images = min(count, self.state.num_images) if self.state else count
        self._notice.say(
            _NOTICE, text, f"Index now (about {in_words(_SECONDS_TO_START + images * _SECONDS_PER_IMAGE)})"
        )

    def show_following(self, num_images: int) -> None:
        """Show how many images still wait for the vectors of their changed regions; a few pass unsaid."""
        if num_images > _UNSAID:
            self._status.set_work(f"Updating the index: {num_images:,} images left", can_cancel=False)
        elif num_images == 0 and self._was_following:
            self._status.set_work("")
        self._was_following = num_images > _UNSAID or (self._was_following and num_images > 0)

    def _on_state(self, state: SearchState) -> None:
        old, self.state = self.state, state
        self.service_changed.emit(state.service)
        if old is not None and old.service is not None:
            old.service.index.close()
        if state.service is not None:
            self._preparing.submit(state.service.prepare)
        if state.running is not None:
            self._indexing.watch(state.running)
        elif self._opened.checkpoint is None:
            self._notice.say(_NOTICE, _NO_MODEL, is_problem=True)
        elif state.num_missing:
            self.offer(state.num_missing, "images")
        else:
            self._notice.withdraw(_NOTICE)
        self._refuse_foreign()
        self.settled.emit()

    def _on_indexed(self, num_rows: int) -> None:
        self._status.set_work("")
        self._status.say(f"Indexed: {num_rows:,} regions and proposals can be found now.")
        self.read()

    def _on_failed(self, sentence: str) -> None:
        self._status.set_work("")
        self._notice.say(_NOTICE, sentence, "Index again", is_problem=True)
