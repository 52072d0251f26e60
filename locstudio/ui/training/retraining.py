"""Retraining, from the click to the new model in use: what the window knows of it, without pyqtgraph until it is seen.

The runs are processes of their own.  Closing the window ends none of them; the next one finds them here again.
"""

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from locstudio.jobs.checkpoint_folder import ModelKind
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.retrain_plan import Choice
from locstudio.services.retraining import start_comparison, start_retraining
from locstudio.ui.background import DatasetWorker
from locstudio.ui.desk import Desk
from locstudio.ui.indexing import in_words
from locstudio.ui.opening import Place
from locstudio.ui.training.planning import Planning
from locstudio.ui.training.run_book import TRAININGS, KnownRun, RunBook

if TYPE_CHECKING:
    from locstudio.ui.training.training_desk import TrainingDesk

NOTICE = "training"
_READ_ONLY = "This project is open read-only, so nothing can be trained here."
_EXPERTS_IN_USE = "The new model with experts is in use."
_SHOW_EXPERTS = "Show experts"
_GOES_ON = "Training in the background: go on, or close the window; it will be found again."


class News(Enum):
    """What a notice leads to."""

    RUN = "run"
    CHANGES = "changes"
    HEATMAPS = "heatmaps"
    EXPERTS = "experts"


class Retraining(QObject):
    """One project's retraining.

    Signals:
        page_wanted: the training page, to be brought to the front.
        place_wanted: a ``Place`` to be shown in the collection.
        progressed: what goes on in a few words, and its share (negative: nobody knows); empty words for nothing.
        noticed: a sentence, and the words of a button (or nothing), and whether it is a problem.
        said: a sentence for the status line.
        model_changed: the project uses another checkpoint of regions from now on.
        classes_changed: the project uses another checkpoint of classes from now on.
        experts_changed: the project uses another checkpoint with experts from now on.
        experts_wanted: the id of the run whose experts a person wants to see; empty for the newest.
        heatmaps_wanted: the id of the run whose heatmaps a person wants to see.
        proposing_resumed: a ``RunFolder``: what had stopped proposing goes on.
    """

    page_wanted = Signal(QWidget)
    place_wanted = Signal(object)
    progressed = Signal(str, float)
    noticed = Signal(str, str, bool)
    said = Signal(str)
    model_changed = Signal()
    classes_changed = Signal()
    experts_changed = Signal()
    experts_wanted = Signal(str)
    heatmaps_wanted = Signal(str)
    proposing_resumed = Signal(object)

    def __init__(
        self,
        desk: Desk,
        window: QWidget,
        parent: QObject | None = None,
    ) -> None:
        """``desk`` is the collection that is trained on; ``window`` is what the sheet belongs to."""
        super().__init__(parent)
        self._collection = desk
        self._window = window
        self._work = DatasetWorker(self)
        self.book = RunBook(desk.opened.project, desk.opened.dataset, self._work, self)
        self.planning = Planning(lambda: desk.opened, self._work, lambda: device_of(desk), self)
        self._desk: TrainingDesk | None = None
        self._was_live = False
        self._is_first_list = True
        self._news: tuple[str, News] = ("", News.RUN)
        self.planning.start_wanted.connect(self.start)
        self.book.listed.connect(self._on_listed)
        self.book.changed.connect(lambda _: self._tell())
        self.book.ended.connect(self._on_ended)
        self.book.failed.connect(self.said)

    def read(self) -> None:
        """Look for runs, also of earlier windows."""
        self.planning.sweep()
        self.book.read()

    def ask(self, model: ModelKind | None = None) -> None:
        """Open the Retrain sheet for this model, or the one that was chosen last."""
        if self._collection.opened.dataset.is_read_only:
            self.said.emit(_READ_ONLY)
        else:
            self.planning.ask(self._window, model)

    def start(self, choice: Choice) -> None:
        """Train as chosen, and show it."""
        opened = self._collection.opened
        checkpoint = opened.checkpoint if choice.model == "cloc" else None
        if choice.model == "cloc" and checkpoint is None:
            return
        self.said.emit("Freezing a snapshot of the project for the run.")
        self._work.ask(
            lambda: start_retraining(opened.project, opened.dataset, checkpoint, choice),
            on_result=self._on_made,
            on_error=lambda error: self.noticed.emit(str(error), "", True),
        )

    def show(self, run_id: str = "") -> None:
        """Bring the training page to the front, with this run, or the one that was in front."""
        desk = self._made_desk()
        if run_id:
            desk.choose(run_id)
        self.page_wanted.emit(desk.page)
        desk.wake()

    def show_changes(self, run_id: str = "") -> None:
        """Bring what a training has changed to the front; that of the newest that was compared where none is named."""
        compared = (run.id for run in self.book.trainings if self.book.comparison_of(run.id) is not None)
        self.show(run_id or next(compared, ""))
        self._made_desk().show_changes()

    def show_news(self) -> None:
        """Show what the last notice spoke of."""
        run_id, what = self._news
        if what is News.CHANGES:
            self.show_changes(run_id)
        elif what is News.HEATMAPS:
            self.heatmaps_wanted.emit(run_id)
        elif what is News.EXPERTS:
            self.experts_wanted.emit(run_id)
        else:
            self.show(run_id)

    def close(self) -> None:
        """Let every run go on by itself, and wait for what is being read or written; nothing arrives any more."""
        self.planning.close()
        self.book.close()
        if self._desk is not None:
            self._desk.close()
        self._work.close()

    # wishes about a run -----------------------------------------------------------------------------------------

    def stop(self, run_id: str) -> None:
        """Ask a run to save and stop after its step."""
        self.book.stop(run_id)

    def stop_after_epoch(self, run_id: str) -> None:
        """Ask a run to save and stop after its epoch."""
        self.book.stop_after_epoch(run_id)
        self.said.emit("It will stop after this epoch, and can be resumed.")

    def end(self, run_id: str) -> None:
        """End a run that does not stop."""
        self.book.end(run_id)
        self.said.emit("The run is asked to end; if it does not within 20 s, its process is ended.")

    def resume(self, run_id: str) -> None:
        """Go on with a run exactly where it has stopped."""
        run = self.book.run(run_id)
        if run is None:
            return
        if not self.book.start(run.folder):
            self.noticed.emit("The process of the run could not be started.", "", True)
        elif run.config.kind == "vesl":
            self.proposing_resumed.emit(run.folder)

    def compare(self, run_id: str) -> None:
        """Find out what a training has changed."""
        run, opened = self.book.run(run_id), self._collection.opened
        if run is None or opened.dataset.is_read_only:
            return
        self._work.ask(
            lambda: start_comparison(opened.project, opened.dataset, run.folder),
            on_result=lambda folder: self._on_comparison_made(run, folder),
            on_error=lambda error: self.noticed.emit(str(error), "", True),
        )

    # facts ------------------------------------------------------------------------------------------------------

    def _made_desk(self) -> "TrainingDesk":
        if self._desk is None:
            # Here and not above: pyqtgraph takes longer to load than the window has to be there.
            from locstudio.ui.training.training_desk import TrainingDesk

            desk = self._desk = TrainingDesk(self._collection, self.book, self._work, self)
            self._connect_page(desk)
        return self._desk

    def _connect_page(self, desk: "TrainingDesk") -> None:
        page = desk.page
        page.retrain_wanted.connect(lambda: self.ask())
        page.samples.sample_wanted.connect(
            lambda sample: self.place_wanted.emit(Place(sample.image.id, sample.box, sample.truth, sample.region_id))
        )
        page.said.connect(self.said)
        desk.reviewing.said.connect(self.said)
        desk.reviewing.place_wanted.connect(self.place_wanted)
        desk.reviewing.run_made.connect(self._on_review_made)
        desk.reviewing.experts_wanted.connect(self.experts_wanted)
        desk.reviewing.activated.connect(self._on_activated)
        for wish, act in (
            (page.head.stop_wanted, self.stop),
            (page.head.stop_after_epoch_wanted, self.stop_after_epoch),
            (page.head.end_wanted, self.end),
            (page.head.resume_wanted, self.resume),
        ):
            wish.connect(lambda chosen=act: chosen(page.runs.chosen))

    def _on_made(self, folder: RunFolder) -> None:
        if not self.book.start(folder):
            self.noticed.emit("The process of the run could not be started.", "", True)
            return
        self.show(folder.id)
        self.said.emit(_GOES_ON)

    def _on_review_made(self, folder: RunFolder) -> None:
        if not self.book.start(folder):
            self.noticed.emit("The process of the run could not be started.", "", True)

    def _on_activated(self, adopted: Mapping[str, object]) -> None:
        self.said.emit("This model is in use again." if adopted["is_again"] else "The new model is in use.")
        self.book.read()
        if adopted.get("model") == "vmoe":
            sentence = "This model with experts is in use again." if adopted["is_again"] else _EXPERTS_IN_USE
            self._notice("", sentence, _SHOW_EXPERTS, what=News.EXPERTS)
            self.experts_changed.emit()
        else:
            (self.classes_changed if adopted.get("model") == "consistency" else self.model_changed).emit()

    def _on_comparison_made(self, run: KnownRun, folder: RunFolder | None) -> None:
        if folder is None:
            if run.summary.state is RunState.DONE:
                self._tell_trained(run, "is trained")
        elif not self.book.start(folder):
            self.noticed.emit("The comparison with the model in use could not be started.", "", True)

    def _on_listed(self) -> None:
        self._tell()
        if self._is_first_list and (self.book.trainings or self.book.live):
            self._is_first_list = False
            self._go_on_with_newest()

    def _go_on_with_newest(self) -> None:
        """The newest training of each kind of model, where it has ended while no window was open, is compared now."""
        if self._collection.opened.dataset.is_read_only:
            return
        for kind in TRAININGS:
            newest = next((run for run in self.book.trainings if run.config.kind == kind), None)
            if newest is not None:
                self._go_on_with(newest)

    def _go_on_with(self, newest: KnownRun) -> None:
        if newest.is_unstarted:  # the window was closed between the click and the process
            self.book.start(newest.folder)
        elif newest.summary.state is RunState.DONE and self.book.comparison_of(newest.id) is None:
            if newest.id not in self.book.in_use:
                self.compare(newest.id)
        elif newest.summary.state is RunState.INTERRUPTED:
            sentence = f"The training “{newest.name}” was interrupted; nothing it saved is lost."
            self._notice(newest.id, sentence, "Show it", is_problem=True)

    def _on_ended(self, run: KnownRun) -> None:
        if run.config.kind == "vesl":  # curation tells of it
            return
        self._tell()
        name = run.name
        if self._desk is not None:
            self._desk.refresh()
        if run.config.kind == "compare":
            self._on_compared(run)
        elif run.config.kind == "evaluate" and run.summary.state is RunState.DONE:
            self.said.emit("The evaluation is done.")
        elif run.config.kind == "route" and run.summary.state is RunState.DONE:
            self._notice(run.id, "The images are routed.", _SHOW_EXPERTS, what=News.EXPERTS)
        elif run.is_training and run.summary.state is RunState.DONE:
            self.compare(run.id)
        elif run.summary.state is RunState.STOPPED:
            self.said.emit(f"“{name}” has stopped after step {run.summary.step:,}; it can be resumed.")
        else:
            self._notice(run.id, f"“{name}” has not ended well: {run.summary.sentence}", "Show it", is_problem=True)

    def _on_compared(self, comparison: KnownRun) -> None:
        training = self.book.run(comparison.config.parent_run)
        name = training.name if training is not None else "The training"
        if comparison.summary.state is RunState.DONE:
            if training is not None:
                self._tell_trained(training, "is trained and compared with the model in use")
            else:
                self._notice("", "The two models are compared.", "What changed", what=News.CHANGES)
        elif comparison.summary.state is not RunState.STOPPED:
            sentence = f"“{name}” could not be compared: {comparison.summary.sentence}"
            self._notice(comparison.config.parent_run, sentence, "Show it", is_problem=True)

    def _tell_trained(self, run: KnownRun, how: str) -> None:
        if run.config.kind == "consistency":
            self._notice(run.id, f"“{run.name}” {how}: its heatmaps are ready.", "Look at them", what=News.HEATMAPS)
        elif run.config.kind == "vmoe":
            self._notice(run.id, f"“{run.name}” {how}.", _SHOW_EXPERTS, what=News.EXPERTS)
        elif self.book.comparison_of(run.id) is not None:
            self._notice(run.id, f"“{run.name}” {how}.", "What changed", what=News.CHANGES)
        else:
            self._notice(run.id, f"“{run.name}” {how}.", "Show it")

    def _notice(
        self, run_id: str, sentence: str, button: str, *, is_problem: bool = False, what: News = News.RUN
    ) -> None:
        self._news = (run_id, what)
        self.noticed.emit(sentence, button, is_problem)

    def _tell(self) -> None:
        """The run that goes on, for the status line."""
        live = self.book.live
        if live:
            self._was_live = True
            self.progressed.emit(*progress_of(live[0]))
        elif self._was_live:
            self._was_live = False
            self.progressed.emit("", -1.0)


def device_of(desk: Desk) -> str:
    """Where the models of a desk run, in words; empty until the engine is ready."""
    ready = desk.engine.state.ready
    return ready.device if ready is not None else ""


def progress_of(run: KnownRun) -> tuple[str, float]:
    """What a run that goes on is at, in a few words, and its share (negative: nobody knows)."""
    row = run.summary
    what = {"compare": "Comparing", "evaluate": "Evaluating", "route": "Routing"}.get(run.config.kind, "Training")
    if row.is_silent:
        return f"{what}: not responding", -1.0
    if row.state is RunState.QUEUED:
        return f"{what} waits for its turn", -1.0
    if row.state is RunState.STOPPING:
        return f"{what}: stopping", row.share
    left = f" · {in_words(row.seconds_left)} left" if row.seconds_left > 1 else ""
    if not row.step:
        return (f"{what}: reading images{left}" if left else f"{what}: getting ready"), -1.0
    if row.step >= row.num_steps:
        return f"{what}: finishing", 1.0
    return f"{what} {row.share:.0%}{left}", row.share
