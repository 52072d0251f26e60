"""What changed between two models: read on a worker, worked off in the view; each choice is an edit."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

from PySide6.QtCore import QObject, Signal

from locstudio.domain.edits import ChoiceChange, Edit
from locstudio.domain.errors import BadInput
from locstudio.jobs.checkpoint_folder import ModelKind
from locstudio.jobs.class_results import has_class_results, read_class_results
from locstudio.jobs.predictions import Gate, PredictionFolder, read_gate
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.changes import Change, Choice, changes_between, choice_edit
from locstudio.services.checkpoints import MODELS
from locstudio.services.promotion import active_id
from locstudio.services.retraining import start_comparison
from locstudio.services.run_summary import RunSummary, describe_run
from locstudio.services.runs_of import run_folders
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.training.change_words import ChangeItem
from locstudio.ui.training.changes_view import ChangesView
from locstudio.ui.training.checkpoint_names import names_in
from locstudio.ui.training.class_gains import ClassGain, class_gains, moved_words
from locstudio.ui.training.gate_card import ShownGate
from locstudio.ui.training.run_book import TRAININGS

MAX_ITEMS = 20_000  # more than anybody works off; the smallest are left out
_DOES: dict[ModelKind, str] = {
    "cloc": "Search, grounding and proposals use",
    "consistency": "Heat of images without a run comes from",
    "vmoe": "Experts of images without a run are those of",
}
_GOING_ON = (RunState.QUEUED, RunState.RUNNING, RunState.STOPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is known of the comparison that belongs to a run.

    Without ``items``, ``sentence`` says why there are none; ``can_compare``: one could be made now; ``is_busy``: one is
    being made.  ``num_left_out`` smaller changes are not among the items.  ``gains`` are what models of classes have
    instead of items, which are empty then, and ``moved`` what models with experts have besides.
    """

    run_id: str = ""
    compare_id: str = ""
    gate: ShownGate | None = None
    items: tuple[ChangeItem, ...] | None = None
    gains: tuple[ClassGain, ...] = ()
    moved: str = ""
    num_left_out: int = 0
    sentence: str = ""
    can_compare: bool = False
    is_busy: bool = False


class ChangeReview(QObject):
    """Connects comparisons to their view.

    Signals:
        shown: the ``Comparison`` that is on the screen now.
        place_wanted: a ``ChangeItem`` to open in its image.
        run_made: the ``RunFolder`` of a comparison that waits to be started.
        activate_wanted: id of the new checkpoint, and whether against the gate.
        said: a sentence.
    """

    shown = Signal(object)
    place_wanted = Signal(object)
    run_made = Signal(object)
    activate_wanted = Signal(str, bool)
    said = Signal(str)

    def __init__(
        self,
        project: Project,
        dataset: Dataset,
        view: ChangesView,
        editing: Editing,
        reads: DatasetWorker,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._project, self._dataset, self.view = project, dataset, view
        self._editing, self._reads = editing, reads
        self._run_id = ""
        self._number = 0
        self.comparison = Comparison()
        view.choice_made.connect(self._on_choice)
        view.place_wanted.connect(self.place_wanted)
        view.activate_wanted.connect(self._on_activate)
        view.keep_wanted.connect(lambda: self.said.emit("The model in use stays. The new one is among Checkpoints."))
        view.compare_wanted.connect(self._on_compare)
        editing.applied.connect(self._on_applied)

    def show_run(self, run_id: str) -> None:
        """Show the comparison of this run's model; of the newest comparison where ``run_id`` is empty."""
        if run_id != self._run_id:
            self._run_id = run_id
            self.comparison = Comparison()
            self.view.clear("Reading…")
        self.refresh()

    def refresh(self) -> None:
        """Look again whether there is a comparison; what is on the screen stays when it is the same."""
        self._number += 1
        number, known = self._number, self.comparison
        self._reads.ask(
            find_comparison,
            self._project,
            self._dataset,
            self._run_id,
            known.compare_id if known.items is not None else "",
            on_result=lambda found: self._on_found(number, found),
            on_error=lambda error: self._on_error(number, error),
        )

    def _on_found(self, number: int, found: Comparison) -> None:
        if number != self._number:
            return
        before, self.comparison = self.comparison, found
        if found.items is not None:
            self.view.show_changes(found.items, found.gate, found.num_left_out, gains=found.gains, moved=found.moved)
        elif found.compare_id and found.compare_id == before.compare_id and before.items is not None:
            self.comparison = Comparison(
                run_id=found.run_id,
                compare_id=found.compare_id,
                gate=found.gate,
                items=before.items,
                num_left_out=before.num_left_out,
            )
            self.view.set_gate(found.gate)
        else:
            self.view.clear(found.sentence, can_compare=found.can_compare, is_busy=found.is_busy)
        self.shown.emit(self.comparison)

    def _on_error(self, number: int, error: Exception) -> None:
        if number == self._number:
            self.comparison = Comparison()
            self.view.clear(str(error))
            self.shown.emit(self.comparison)

    # choosing ---------------------------------------------------------------------------------------------------

    def _on_choice(self, item: ChangeItem, choice: Choice) -> None:
        gate = self.comparison.gate
        if gate is None:
            return
        if self._dataset.is_read_only:
            self.said.emit("This project is open read-only: nothing can be chosen.")
            return
        self.view.set_choices({item.key: choice})
        self._editing.apply_made(
            lambda: named_choice(item.change, choice, gate.gate, self._dataset),
            on_refused=lambda error: self._on_refused(item, error),
        )

    def _on_refused(self, item: ChangeItem, error: Exception) -> None:
        self.view.set_choices({item.key: item.chosen})
        self.said.emit(str(error))

    def _on_applied(self, edit: Edit) -> None:
        """Follow every edit that holds a choice between these two: done, undone, done again, from wherever."""
        gate = self.comparison.gate
        if gate is None:
            return
        changed: dict[str, Choice | None] = {}
        for change in edit.changes:
            choice = (change.after or change.before) if isinstance(change, ChoiceChange) else None
            if choice is not None and (choice.old_id, choice.new_id) == (gate.gate.old_id, gate.gate.new_id):
                assert isinstance(change, ChoiceChange)
                changed[choice.key] = cast(Choice, change.after.chosen) if change.after else None
        if changed:
            self.view.set_choices(changed)
            taken_back = [key for key, chosen in changed.items() if chosen is None]
            if taken_back:
                self.view.go_to(taken_back[0])

    # the gate ---------------------------------------------------------------------------------------------------

    def _on_activate(self, is_forced: bool) -> None:
        gate = self.comparison.gate
        if gate is not None:
            self.activate_wanted.emit(gate.gate.new_id, is_forced)

    def _on_compare(self) -> None:
        run_id = self.comparison.run_id
        if run_id:
            self.view.clear("Comparing the new model with the one in use…", is_busy=True)
            self._reads.ask(
                start_comparison,
                self._project,
                self._dataset,
                RunFolder(self._project.runs / run_id),
                on_result=self._on_made,
                on_error=lambda error: self._on_error(self._number, error),
            )

    def _on_made(self, folder: RunFolder | None) -> None:
        if folder is None:
            self.view.clear(
                "There is nothing to compare: this run's model is in use already, or it saved none, or it is the only "
                "one of its kind."
            )
        else:
            self.run_made.emit(folder)


def named_choice(change: Change, choice: Choice, gate: Gate, dataset: Dataset) -> Edit | None:
    """A choice as one edit whose title says what it is about; None if it has been chosen already.

    Raises:
        UserError: as ``choice_edit``.
    """
    edit = choice_edit(change, choice, dataset, old_id=gate.old_id, new_id=gate.new_id)
    what = change.truth or change.new_name or change.old_name
    return replace(edit, title=f"{edit.title}: {what}") if edit is not None and what else edit


def find_comparison(project: Project, dataset: Dataset, run_id: str, known_id: str) -> Comparison:
    """The comparison that belongs to a run.  Of ``known_id``, which is on the screen, the items are not read again.

    Raises:
        BadInput: it cannot be read.
    """
    run = RunFolder(project.runs / run_id) if run_id else None
    kind = run.config().kind if run else ""
    if run is not None and kind not in (*TRAININGS, "compare"):
        return Comparison(sentence="This run trains nothing, so there is nothing to compare.")
    folder = run if kind == "compare" else _newest_comparison(project, run_id)
    if folder is None:
        return _without(run)
    state = describe_run(folder)
    gate = read_gate(folder.results)
    if gate is None:
        return _unfinished(folder, state, run_id if kind in TRAININGS else folder.config().parent_run)
    shown = _shown_gate(project, dataset, folder, gate)
    of_run = run_id if kind in TRAININGS else folder.config().parent_run
    known = Comparison(run_id=of_run, compare_id=folder.id, gate=shown)
    if has_class_results(folder.results / "new"):
        both = folder.results / "old", folder.results / "new"
        return replace(known, items=(), gains=class_gains(*both), moved=moved_words(*both))
    old, new = (PredictionFolder(folder.results / part) for part in ("old", "new"))
    if not (old.is_present and new.is_present):
        return replace(known, items=())
    if folder.id == known_id:
        return known
    choices = dataset.choices(gate.old_id, gate.new_id)
    changes = changes_between(old, new, dataset)
    num_all, changes = len(changes), changes[:MAX_ITEMS]
    images = {image.id: image for image in dataset.images(sorted({change.image_id for change in changes}))}
    items = tuple(
        ChangeItem.of(change, images[change.image_id], cast("Choice | None", choices.get(change.key)))
        for change in changes
        if change.image_id in images
    )
    return replace(known, items=items, num_left_out=num_all - len(changes))


def _newest_comparison(project: Project, run_id: str) -> RunFolder | None:
    """The newest comparison of this run's model, or of any where no run is named."""
    for folder in reversed(run_folders(project)):
        with suppress(BadInput):
            config = folder.config()
            if config.kind == "compare" and (not run_id or config.parent_run == run_id):
                return folder
    return None


def _without(run: RunFolder | None) -> Comparison:
    if run is None:
        return Comparison()
    if describe_run(run).state in _GOING_ON:
        return Comparison(
            run_id=run.id, sentence="When the training has ended, its model is compared with the one in use."
        )
    return Comparison(
        run_id=run.id,
        sentence="The model of this run was not compared with the one in use yet.",
        can_compare=True,
    )


def _unfinished(folder: RunFolder, state: RunSummary, run_id: str) -> Comparison:
    if state.state in _GOING_ON:
        sentence = "The two models are being compared. What changed is listed here when that is done."
        return Comparison(run_id=run_id, compare_id=folder.id, sentence=sentence, is_busy=True)
    return Comparison(
        run_id=run_id,
        compare_id=folder.id,
        sentence=f"The comparison has not ended. {state.sentence}".strip(),
        can_compare=bool(run_id),
    )


def _shown_gate(project: Project, dataset: Dataset, folder: RunFolder, gate: Gate) -> ShownGate:
    names = names_in(project, dataset)
    model: ModelKind = next((kind for kind in MODELS if gate.old_id.startswith(f"{kind}-")), "cloc")
    in_use = active_id(dataset, model)
    for part, checkpoint_id in (("old", gate.old_id), ("new", gate.new_id)):
        place = PredictionFolder(folder.results / part)
        if checkpoint_id not in names and place.is_present:
            names[checkpoint_id] = place.summary().name
        elif checkpoint_id not in names and has_class_results(place.path):
            names[checkpoint_id] = read_class_results(place.path).name
    return ShownGate(
        gate=gate,
        old_name=names.get(gate.old_id, gate.old_id),
        new_name=names.get(gate.new_id, "The new model"),
        is_active=bool(gate.new_id) and gate.new_id == in_use,
        is_old_active=gate.old_id == in_use,
        does=_DOES[model],
    )
