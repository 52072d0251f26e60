"""The way of a canvas pass: from region to region, on to the next image, back again, and to where an undo was made.

It opens images and selects regions; what a person decides there is the pass's.
"""

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.domain.edits import Edit, RegionChange
from locstudio.domain.regions import Image, Region, Review
from locstudio.domain.text import counted
from locstudio.ui.browsing import Browsing
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.curation.pass_source import TAKE_IN, PassSource
from locstudio.ui.editing import Editing
from locstudio.ui.opening import Opening

_DONE = "Everything that waited for review is decided."
_SKIPPED = "The pass is through. {count} still have something to review."


class PassWalk(QObject):
    """Knows which region is the current one, and which was and will be.

    Signals:
        region_shown: a region has become the current one; it is selected.
        moved: the place has changed; there is no current region while the next image is on its way.
        ended: nothing is left to go to; a sentence.
        said: a sentence for the status line.
    """

    region_shown = Signal()
    moved = Signal()
    ended = Signal(str)
    said = Signal(str)

    def __init__(
        self,
        canvas: CanvasView,
        browsing: Browsing,
        opening: Opening,
        editing: Editing,
        source: PassSource,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._browsing = browsing
        self._opening = opening
        self._editing = editing
        self._source = source
        self._is_on = False
        self._images: list[int] = []
        self._entered: set[int] = set()
        self._todos: dict[int, list[int]] = {}
        self._todo: list[int] = []
        self._current = 0
        self._trail: list[tuple[int, int]] = []
        self._decided: set[int] = set()
        self._wanted = 0
        self._leaving = 0
        self._taking_in = 0
        self._undone: Edit | None = None
        self._is_undoing = False
        self._undo_end = QTimer(self, interval=0, singleShot=True)
        self._undo_end.timeout.connect(self._end_undo)
        opening.regions_shown.connect(self._on_regions)
        editing.applied.connect(self._on_applied)
        canvas.selection_changed.connect(self._on_selection)

    # where it is ------------------------------------------------------------------------------------------------

    @property
    def current_id(self) -> int:
        """The identity of the current region; 0 while the next one is on its way."""
        return self._current

    @property
    def current(self) -> Region | None:
        """The current region; None while the next one is on its way."""
        boxes = self._canvas.editor.boxes
        row = boxes.rows.get(self._current)
        return None if row is None else boxes.regions[row]

    @property
    def waiting(self) -> list[Region]:
        """The regions of the open image that wait, in the order in which they are asked about."""
        boxes = self._canvas.editor.boxes
        return [boxes.regions[boxes.rows[region_id]] for region_id in self._todo if self._is_pending(region_id)]

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Number of the image, of how many; number of the region in it (0 for none), of how many."""
        image = self._opening.image
        number = self._images.index(image.id) + 1 if image is not None and image.id in self._images else 1
        at = self._todo.index(self._current) + 1 if self._current in self._todo else 0
        return number, max(len(self._images), 1), at, len(self._todo)

    @property
    def _num_skipped(self) -> int:
        """Images of the pass in which something was skipped."""
        return len({image_id for image_id, region_id in self._trail if region_id not in self._decided})

    # going ------------------------------------------------------------------------------------------------------

    def begin(self, images: Sequence[int]) -> None:
        """Go to the open image if it is among these, else to the first of them."""
        self._is_on = True
        self._entered, self._todos, self._trail, self._decided = set(), {}, [], set()
        self._is_undoing, self._wanted, self._leaving, self._taking_in = False, 0, 0, 0
        opened = self._browsing.image
        first = opened.id if opened is not None and opened.id in images else images[0]
        self._images = [first, *(image_id for image_id in images if image_id != first)]
        self._open(first)

    def end(self) -> None:
        """Stay where it is."""
        self._is_on = False
        self._current, self._todo = 0, []

    def skip(self) -> None:
        """Leave the region as it is and go on; an image that is still on its way is not skipped unseen."""
        image = self._browsing.image
        if self.current is not None:
            self.advance()
        elif image is not None and self._opening.shown_id == image.id and self._editing.is_idle:
            self.go_to_next_image()

    def back(self) -> None:
        """Go to the region before, decided or not, also in the image before."""
        if not self._trail:
            self.said.emit("This is where the pass began.")
            return
        image_id, region_id = self._trail.pop()
        opened = self._browsing.image
        if opened is not None and opened.id == image_id:
            self._show(region_id)
        else:
            self._wanted = region_id
            self._open(image_id)

    def advance(self) -> None:
        """Go to what waits next."""
        self.remember()
        place = self._todo.index(self._current) if self._current in self._todo else -1
        following = [region_id for region_id in self._todo[place + 1 :] if self._is_pending(region_id)]
        if following:
            self._show(following[0])
        else:
            self.go_to_next_image()

    def go_to_next_image(self) -> None:
        """Go to the next image in which something waits."""
        opened = self._browsing.image
        waiting = set(self._source.pending_images())
        place = self._images.index(opened.id) if opened is not None and opened.id in self._images else -1
        following = [i for i in self._images[place + 1 :] if i in waiting]
        if following:
            self._open(following[0])
        else:
            skipped = self._num_skipped
            self.ended.emit(_SKIPPED.format(count=counted(skipped, "image")) if skipped else _DONE)

    def remember(self) -> None:
        """Put the current region on the way back."""
        image = self._browsing.image
        if image is not None and self._current:
            self._trail.append((image.id, self._current))

    def count_decided(self, region_ids: Iterable[int]) -> None:
        """These were not skipped."""
        self._decided.update(region_ids)

    def _is_pending(self, region_id: int) -> bool:
        boxes = self._canvas.editor.boxes
        row = boxes.rows.get(region_id)
        return row is not None and boxes.regions[row].review is Review.PENDING

    def _open(self, image_id: int) -> None:
        self._current = 0
        self.moved.emit()
        if self._opening.shown_id == image_id:
            self._leaving = 0
            self._on_regions(list(self._canvas.editor.boxes.regions))
        else:
            self._leaving = self._opening.shown_id
            self._browsing.open_image(image_id)

    def _show(self, region_id: int) -> None:
        self._current = region_id
        self._canvas.select([region_id])
        self.region_shown.emit()
        self.moved.emit()

    # arriving ---------------------------------------------------------------------------------------------------

    def _on_regions(self, regions: list[Region]) -> None:
        """The regions of the open image are on the canvas: take in what is raw, then begin, or go on where it was."""
        image = self._opening.image
        if not self._is_on or image is None or image.id == self._leaving:
            return
        self._leaving = 0
        if self._is_undoing:
            self._undo_end.start()  # after everything else that follows an undo
            return
        if image.id not in self._entered:
            self._enter(image)
            return
        if image.id == self._taking_in and not self._editing.is_idle:
            return  # the regions come once more when they have been taken in
        self._taking_in = 0
        todo = self._todos.setdefault(image.id, [])
        if self._todo is not todo:
            self._todo, self._current = todo, 0
        known = {region.id: region for region in regions}
        todo[:] = [i for i in todo if i in known]
        todo += [i for i in self._source.in_order(_pending(regions)) if i not in todo]
        undone = [i for i in self._todo if i in self._decided and i in known and self._is_pending(i)]
        self._decided -= set(undone)
        if self._wanted in known:
            region_id, self._wanted = self._wanted, 0
            self._show(region_id)
        elif undone:
            self._show(undone[0])
        elif self._current not in known:
            self._current = 0
            self.advance()
        else:
            self.moved.emit()

    def _enter(self, image: Image) -> None:
        self._entered.add(image.id)
        self._todo, self._current = self._todos.setdefault(image.id, []), 0
        make = self._source.take_in(image.id)
        if make is None:
            self._on_regions(list(self._canvas.editor.boxes.regions))
        else:
            self._taking_in = image.id
            self._editing.apply_made(make, lambda error: self._on_refused(image, error), actor="vesl")

    def _on_refused(self, image: Image, error: Exception) -> None:
        self.said.emit(f"The proposals of {image.name} were not taken in: {error}")

    def _on_selection(self, ids: list[int]) -> None:
        """A click or Tab on another region that waits makes it the current one."""
        if self._is_on and len(ids) == 1 and ids[0] != self._current and ids[0] in self._todo:
            self._show(ids[0])

    # undoing ----------------------------------------------------------------------------------------------------

    def undo(self) -> None:
        """Take the newest step back; what the pass took in by itself is no step of the person's."""
        self._canvas.flush()
        self._is_undoing, self._undone = True, None
        self._editing.undo(past=TAKE_IN)

    def _on_applied(self, edit: Edit) -> None:
        if self._is_undoing:
            self._undone = edit

    def _end_undo(self) -> None:
        """Go on where the step that was taken back had been made."""
        edit, self._undone, self._is_undoing = self._undone, None, False
        opened = self._opening.image
        if not self._is_on or opened is None:
            return
        changes = [change for change in edit.changes if isinstance(change, RegionChange)] if edit else []
        gone = {change.before.image_id for change in changes if change.before is not None and change.after is None}
        self._entered -= gone  # what was taken in there is raw again
        sides = (changes[-1].before, changes[-1].after) if changes else ()
        place = next((region.image_id for region in sides if region is not None), opened.id)
        self._open(place)


def _pending(regions: Sequence[Region]) -> list[Region]:
    return [region for region in regions if region.review is Review.PENDING]
