"""Edits on their way to the dataset and back: applied in order on one worker, shown when they are on disk."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from PySide6.QtCore import QObject, Signal

from locstudio.domain.edits import (
    CaptionChange,
    ClassChange,
    CorrectionChange,
    Edit,
    ImageChange,
    LabelChange,
    RegionChange,
)
from locstudio.domain.errors import EditConflict, StorageFailed
from locstudio.domain.regions import Image, Region
from locstudio.store.dataset import Dataset
from locstudio.store.edit_log import HistoryEntry
from locstudio.ui.background import DatasetWorker

_NUM_HISTORY = 200
_OF_AN_IMAGE = (RegionChange, CaptionChange, LabelChange, CorrectionChange)


@dataclass(frozen=True, slots=True)
class _Done:
    """What the worker brings back: the edit as it was applied, the open image's regions, and the history."""

    edit: Edit | None
    image_id: int
    regions: list[Region]
    history: list[HistoryEntry]


class Editing(QObject):
    """Applies edits, takes them back and does them again, across images.

    Signals:
        applied: an ``Edit`` that is on disk now.
        regions_read: an image's identity and its regions, after an edit.
        history_read: entries of the history, newest first, and whether these are all.
        image_wanted: the image that was changed by undo or redo, to be shown.
        not_saved: a sentence; the edit is kept and tried again by ``retry``.
        said: a sentence.
    """

    applied = Signal(object)
    regions_read = Signal(int, list)
    history_read = Signal(list, bool)
    image_wanted = Signal(int)
    not_saved = Signal(str)
    said = Signal(str)

    def __init__(self, dataset: Dataset, edits: DatasetWorker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._edits = edits
        self._image_id = 0
        self._num_waiting = 0
        self._unsaved: list[Edit] = []

    def set_image(self, image: Image | None) -> None:
        """Tell which image is open, so that its regions come back with every edit."""
        self._image_id = image.id if image else 0

    def apply(self, edit: Edit) -> None:
        """Apply an edit."""
        if self._unsaved:
            self._unsaved.append(edit)  # the order of edits holds, also on a full disk
            return
        self._do(lambda: self._apply(edit), on_error=partial(self._on_failed, edit))

    def apply_made(
        self, make: Callable[[], Edit | None], on_refused: Callable[[Exception], None], *, actor: str = "human"
    ) -> None:
        """Apply an edit that ``make`` makes on the worker, of what the dataset holds by then; None is nothing to do.

        ``on_refused`` takes what was raised, also by ``make``; such an edit does not wait for the disk.  ``actor`` is
        the name of a job where no person decided anything.
        """
        if self._unsaved:
            on_refused(StorageFailed("Not saved: earlier edits still wait for the disk."))
            return
        self._do(lambda: self._apply(make(), actor), on_error=on_refused)

    def retry(self) -> None:
        """Try again what could not be saved."""
        unsaved, self._unsaved = self._unsaved, []
        for edit in unsaved:
            self.apply(edit)

    @property
    def is_idle(self) -> bool:
        """Whether every edit has come back from the worker."""
        return self._num_waiting == 0

    @property
    def num_unsaved(self) -> int:
        """How many edits wait for the disk."""
        return len(self._unsaved)

    def undo(self, past: str = "") -> None:
        """Take the newest edit back and go to its image; one with the title ``past`` is no step, only on the way."""
        self._do(lambda: self._undo(past), on_done=lambda done: self._on_turned(done, "Nothing to undo.", "Undone"))

    def redo(self) -> None:
        """Do the newest undone edit again and go to its image."""
        self._do(self._dataset.redo, on_done=lambda done: self._on_turned(done, "Nothing to redo.", "Done again"))

    def go_to(self, history_id: int) -> None:
        """Undo or redo until an entry of the history is the newest that is done."""
        self._do(
            lambda: self._dataset.go_to(history_id), on_done=lambda done: self._on_turned(done, "", "Went back to")
        )

    def verify(self, image: Image, is_verified: bool = True) -> None:
        """Say that a person has checked an image."""
        if image.is_verified != is_verified:
            title = "Image verified" if is_verified else "Image not verified"
            self.apply(Edit(title, (ImageChange(image, replace(image, is_verified=is_verified)),)))

    def read_history(self) -> None:
        """Show the history as it is."""
        self._edits.ask(self._dataset.history, _NUM_HISTORY, on_result=self._tell_history)

    def _tell_history(self, history: list[HistoryEntry]) -> None:
        self.history_read.emit(history, len(history) < _NUM_HISTORY)

    def _apply(self, edit: Edit | None, actor: str = "human") -> Edit | None:
        if edit is not None:
            self._dataset.apply(edit, actor=actor)
        return edit

    def _undo(self, past: str) -> Edit | None:
        """On the worker: what was taken back, in one piece, the step itself last."""
        edit = self._dataset.undo()
        if edit is None or not past or edit.title != past:
            return edit
        step = self._dataset.undo()
        return edit if step is None else Edit(step.title, edit.changes + step.changes)

    def _do(
        self,
        act: Callable[[], Edit | None],
        on_done: Callable[[_Done], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self._num_waiting += 1

        def take(done: _Done) -> None:
            self._num_waiting -= 1
            self._on_done(done)
            if on_done is not None:
                on_done(done)

        def refuse(error: Exception) -> None:
            self._num_waiting -= 1
            (on_error or (lambda e: self.said.emit(str(e))))(error)
            self._reread()

        self._edits.ask(self._work, act, self._image_id, on_result=take, on_error=refuse)

    def _work(self, act: Callable[[], Edit | None], image_id: int) -> _Done:
        """On the worker: act, then read what the window shows."""
        edit = act()
        regions = self._dataset.regions_of(image_id) if image_id else []
        return _Done(edit, image_id, regions, self._dataset.history(_NUM_HISTORY))

    def _on_done(self, done: _Done) -> None:
        if self._num_waiting == 0:  # else the canvas already shows more than this edit has made
            self.regions_read.emit(done.image_id, done.regions)
        self._tell_history(done.history)
        if done.edit is not None:
            self.applied.emit(done.edit)

    def _on_turned(self, done: _Done, nothing: str, word: str) -> None:
        if done.edit is None:
            if nothing:
                self.said.emit(nothing)
            return
        self.said.emit(f"{word}: {done.edit.title}")
        touched = images_of(done.edit)
        if touched and self._image_id not in touched:
            self.image_wanted.emit(min(touched))

    def _on_failed(self, edit: Edit, error: Exception) -> None:
        if isinstance(error, StorageFailed) and not self._dataset.is_read_only:
            self._unsaved.append(edit)
            self.not_saved.emit(str(error))
        elif isinstance(error, EditConflict):
            self.said.emit("Something else has changed this region meanwhile; it is shown as it is now.")
        else:
            self.said.emit(str(error))

    def _reread(self) -> None:
        image_id = self._image_id
        if image_id and not self._unsaved:
            self._edits.ask(
                self._dataset.regions_of,
                image_id,
                on_result=lambda regions: self.regions_read.emit(image_id, regions),
            )


def images_of(edit: Edit) -> set[int]:
    """The images that an edit touches."""
    touched: set[int] = set()
    for change in edit.changes:
        if isinstance(change, ClassChange):
            continue
        for value in (change.before, change.after):
            if isinstance(change, ImageChange):
                touched.add(change.after.id)
            elif isinstance(change, _OF_AN_IMAGE) and value is not None:
                touched.add(value.image_id)  # type: ignore[union-attr]  # both sides of these changes have one
    return touched


def phrases_of(edit: Edit) -> set[str]:
    """The phrases that regions have after an edit."""
    after = [change.after for change in edit.changes if isinstance(change, RegionChange)]
    return {region.phrase for region in after if region is not None and region.phrase}
