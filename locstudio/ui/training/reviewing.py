"""Everything about the worth of models in one object: evaluations, what changed, checkpoints."""

from contextlib import suppress

from PySide6.QtCore import QObject, Signal

from locstudio.domain.errors import BadInput
from locstudio.jobs.checkpoint_folder import ModelKind
from locstudio.jobs.configs import Task
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.checkpoints import active_folder
from locstudio.services.starting import model_of, start_evaluate
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.opening import Place
from locstudio.ui.pictures import Pictures
from locstudio.ui.search.hits_model import HitItem
from locstudio.ui.training.change_review import ChangeReview, Comparison
from locstudio.ui.training.change_words import ChangeItem
from locstudio.ui.training.changes_view import ChangesView
from locstudio.ui.training.checkpoint_review import CheckpointReview
from locstudio.ui.training.checkpoints_view import CheckpointsView
from locstudio.ui.training.evaluation_review import EvaluationReview
from locstudio.ui.training.evaluation_view import EvaluationView

_LARGE_BYTES = 48 * 2**20
_TASKS: dict[ModelKind, Task] = {"cloc": "all", "consistency": "multilabel", "vmoe": "classes"}


class Reviewing(QObject):
    """Makes the three views and connects them to the services.

    Args:
        project: The open project.
        dataset: Its dataset.
        editing: Takes the edits that choices make, so that undo is one for the whole window.
        work: The worker on which a model is taken into use, after the index has been followed and before it is read.
        crops: Makes the pictures of tiles.
        pictures: Makes the large picture of one change; without it that of its tile is shown.

    Signals:
        place_wanted: a ``Place`` to show in the collection.
        run_made: a ``RunFolder`` that waits to be started: an evaluation or a comparison.
        activated: what ``CheckpointReview.activated`` tells; engine and index must follow.
        experts_wanted: the id of the run whose experts a person wants to see.
        changes_wanted: what changed is to come to the front.
        said: a sentence for the status line.
    """

    place_wanted = Signal(object)
    run_made = Signal(object)
    activated = Signal(object)
    experts_wanted = Signal(str)
    changes_wanted = Signal()
    said = Signal(str)

    def __init__(
        self,
        project: Project,
        dataset: Dataset,
        editing: Editing,
        work: DatasetWorker,
        crops: PictureLoader,
        parent: QObject | None = None,
        *,
        pictures: Pictures | None = None,
    ) -> None:
        super().__init__(parent)
        self._project, self._dataset = project, dataset
        self._reads = DatasetWorker(self)
        self._run_id = ""
        self._large: PictureLoader | None = None
        if pictures is not None:
            self._large = PictureLoader(pictures.large_crop, max_bytes=_LARGE_BYTES, num_threads=1, parent=self)
        self.changes = ChangesView(crops, self._large)
        self.evaluation = EvaluationView(crops)
        self.checkpoints = CheckpointsView(crops)
        self._change_review = ChangeReview(project, dataset, self.changes, editing, self._reads, self)
        self._evaluation_review = EvaluationReview(project, dataset, self.evaluation, self._reads, self)
        self._checkpoint_review = CheckpointReview(project, dataset, self.checkpoints, self._reads, work, self)
        self.evaluation.set_can_evaluate(
            not dataset.is_read_only, "This project is open read-only." if dataset.is_read_only else ""
        )
        self._connect()

    def _connect(self) -> None:
        change, evaluation, checkpoint = self._change_review, self._evaluation_review, self._checkpoint_review
        change.place_wanted.connect(self._on_change_wanted)
        evaluation.place_wanted.connect(self._on_hit_wanted)
        checkpoint.place_wanted.connect(self._on_hit_wanted)
        change.run_made.connect(self.run_made)
        checkpoint.run_made.connect(self.run_made)
        change.said.connect(self.said)
        evaluation.failed.connect(self.said)
        checkpoint.said.connect(self.said)
        checkpoint.comparison_found.connect(self._on_comparison_found)
        change.shown.connect(self._on_comparison_shown)
        change.activate_wanted.connect(self._on_activate_wanted)
        self.changes.experts_wanted.connect(lambda: self.experts_wanted.emit(self.comparison.run_id))
        evaluation.evaluate_wanted.connect(self.evaluate)
        checkpoint.activated.connect(self._on_activated)
        checkpoint.not_activated.connect(self._on_not_activated)

    def show_run(self, run_id: str) -> None:
        """Show what belongs to the run in front; of the newest comparison and evaluation where there is none."""
        self._run_id = run_id
        self._change_review.show_run(run_id)
        self._checkpoint_review.refresh()

    def refresh(self) -> None:
        """Look again, as after a run has ended."""
        self._change_review.refresh()
        self._checkpoint_review.refresh()

    def evaluate(self) -> None:
        """Measure the model in use on everything that was reviewed, in a run of its own.

        That is the model of the kind that the run in front is about.
        """
        self.evaluation.set_can_evaluate(False, "An evaluation is being started.")
        run_id = self._run_id

        def make() -> RunFolder:
            model = self._model_of(run_id)
            checkpoint = active_folder(self._project, self._dataset, model)
            return start_evaluate(self._project, self._dataset, checkpoint, task=_TASKS[model])

        self._reads.ask(make, on_result=self._on_evaluation_made, on_error=self._on_not_made)

    def _model_of(self, run_id: str) -> ModelKind:
        """The kind of model that a run is about; that of regions where it does not say."""
        with suppress(BadInput):
            if run_id:
                return model_of(RunFolder(self._project.runs / run_id).config()) or "cloc"
        return "cloc"

    def activate(self, checkpoint_id: str, *, is_forced: bool = False) -> None:
        """Take a checkpoint into use."""
        self._checkpoint_review.activate(checkpoint_id, is_forced=is_forced)

    @property
    def comparison(self) -> Comparison:
        """The comparison on the screen."""
        return self._change_review.comparison

    def close(self) -> None:
        """Wait for what is being read."""
        self._reads.close()
        if self._large is not None:
            self._large.close()

    def _on_comparison_shown(self, comparison: Comparison) -> None:
        self._evaluation_review.refresh(self._run_id, comparison.compare_id)

    def _on_comparison_found(self, compare_id: str) -> None:
        self._change_review.show_run(compare_id)
        self.changes_wanted.emit()

    def _on_activate_wanted(self, checkpoint_id: str, is_forced: bool) -> None:
        self.changes.gate.set_busy(True)
        self._checkpoint_review.activate(checkpoint_id, is_forced=is_forced)

    def _on_activated(self, adopted: object) -> None:
        self.changes.gate.set_busy(False)
        self._change_review.refresh()
        self.activated.emit(adopted)

    def _on_not_activated(self, sentence: str) -> None:
        self.changes.gate.set_busy(False)
        self.said.emit(sentence)

    def _on_evaluation_made(self, folder: RunFolder) -> None:
        self.evaluation.set_can_evaluate(True)
        self.said.emit("The model in use is being evaluated in the background.")
        self.run_made.emit(folder)

    def _on_not_made(self, error: Exception) -> None:
        self.evaluation.set_can_evaluate(True)
        self.said.emit(str(error))

    def _on_change_wanted(self, item: ChangeItem) -> None:
        change = item.change
        box = change.new_box or change.box
        text = change.new_name or change.old_name
        self.place_wanted.emit(Place(change.image_id, box, text, change.region_id))

    def _on_hit_wanted(self, hit: HitItem) -> None:
        self.place_wanted.emit(Place(hit.image.id, hit.box, hit.phrase, hit.region_id))
