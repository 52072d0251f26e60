"""What a person does to superclasses, as edits: each wish one undo step, a suggestion taken over on the way."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal

from locstudio.domain.edits import Edit
from locstudio.domain.errors import EditConflict
from locstudio.services.superclass_files import FileReport, imported, read_superclasses
from locstudio.services.superclasses import (
    Grouping,
    joined,
    made,
    merged,
    moved,
    read_grouping,
    regrouped,
    renamed,
    retired,
    taken_over,
)
from locstudio.store.dataset import Dataset
from locstudio.ui.editing import Editing
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.routing.superclass_reading import Act, SuperclassBase, edit_of
from locstudio.ui.routing.superclass_words import classes_of, quoted

_NEW_NAME = "New superclass"


class SuperclassEdits(QObject):
    """Makes edits of what is shown.

    Signals:
        said: a sentence.
        made_one: the name of a superclass that is about to be made, so that it can be named at once.
    """

    said = Signal(str)
    made_one = Signal(str)
    _file_read = Signal(str)  # from the worker of edits

    def __init__(self, dataset: Dataset, editing: Editing, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._editing = editing
        self._base: SuperclassBase | None = None
        self._file_read.connect(self.said, Qt.ConnectionType.QueuedConnection)

    def set_base(self, base: SuperclassBase | None) -> None:
        """Tell what is shown."""
        self._base = base

    def _do(self, act: Act) -> None:
        base, dataset = self._base, self._dataset
        if base is None:
            return

        def make() -> Edit | None:
            edit = edit_of(dataset, base, act)
            return edit if edit.changes else None

        self._editing.apply_made(make, self._refuse)

    def _refuse(self, error: Exception) -> None:
        if isinstance(error, EditConflict):
            self.said.emit("Something else has changed the superclasses meanwhile; they are shown as they are now.")
        else:
            self.said.emit(str(error))

    @property
    def is_idle(self) -> bool:
        """Whether every edit has come back."""
        return self._editing.is_idle

    def take_over(self) -> None:
        """Make the suggestion the project's own superclasses."""
        self._do(lambda _grouping, _identity: Edit("Take over superclasses", ()))

    def take_from(self, run_id: str) -> None:
        """Make the superclasses of a run the project's own, also where it has others."""
        run = next((run for run in self._base.runs if run.id == run_id), None) if self._base is not None else None
        if run is None:
            return
        dataset, header = self._dataset, run.header

        def make() -> Edit | None:
            edit = taken_over(read_grouping(dataset), header, dataset.next_superclass_id)
            return edit if edit.changes else None

        self._editing.apply_made(make, self._refuse)

    def move(self, class_ids: Sequence[int], key: int) -> None:
        """Put classes into a superclass, 0 into none."""
        self._do(lambda grouping, identity: moved(grouping, class_ids, identity(key)))

    def follow(self, picture: GraphPicture, class_ids: Sequence[int]) -> None:
        """Put each class that pulls elsewhere where it pulls to."""
        targets = {each: picture.pulls[each].group for each in class_ids if each in picture.pulls}
        if not targets:
            self.said.emit("What is chosen is confused most with its own superclass.")
            return

        def act(grouping: Grouping, identity: Callable[[int], int | None]) -> Edit:
            edits = []
            for key in dict.fromkeys(targets.values()):
                ids = [class_id for class_id, target in targets.items() if target == key]
                edits.append(moved(grouping, ids, identity(key)))
                grouping = regrouped(grouping, edits[-1])
            title = edits[0].title if len(edits) == 1 else f"Move {len(targets)} classes to where they are confused"
            return joined(title, *edits)

        self._do(act)

    def make(self, class_ids: Sequence[int]) -> None:
        """A new superclass of these classes."""
        base, dataset = self._base, self._dataset
        if base is None:
            return
        number, name = 1, _NEW_NAME
        while base.seen.named(name) is not None:
            number += 1
            name = f"{_NEW_NAME} {number}"
        self.made_one.emit(name)
        self._do(lambda grouping, _identity: made(grouping, dataset.next_superclass_id(), name, class_ids))

    def name(self, key: int, name: str) -> None:
        """Call a superclass otherwise."""
        self._do(lambda grouping, identity: renamed(grouping, identity(key) or 0, name))

    def merge(self, gone_key: int, kept_key: int) -> None:
        """Put all classes of one superclass into another."""
        self._do(lambda grouping, identity: merged(grouping, identity(kept_key) or 0, identity(gone_key) or 0))

    def retire(self, key: int) -> None:
        """Take an empty superclass out of use."""
        self._do(lambda grouping, identity: retired(grouping, identity(key) or 0))

    def import_from(self, path: Path) -> None:
        """Take superclasses from a file; they stand in the place of a suggestion."""
        dataset = self._dataset

        def make() -> Edit | None:
            edit, report = imported(read_grouping(dataset), read_superclasses(path), dataset.next_superclass_id)
            self._file_read.emit(_report_words(path, report))
            return edit if edit.changes else None

        self._editing.apply_made(make, self._refuse)


def _report_words(path: Path, report: FileReport) -> str:
    num = report.num_superclasses
    words = f"{num} {'superclass' if num == 1 else 'superclasses'} with {classes_of(report.num_classes)} "
    words += f"from {quoted(path.name)}"
    if not report.num_left_out:
        return f"{words}."
    return f"{words}; {report.num_left_out} left out, as: {report.left_out[0]}"
