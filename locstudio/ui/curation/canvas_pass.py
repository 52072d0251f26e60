"""The canvas pass: what waits for review in the open image, one after another by one key each, then the next image.

The pass reads its keys before the canvas does, and gives the canvas back as it was when it is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QKeyEvent

from locstudio.domain.edits import Edit, RegionChange, change_regions
from locstudio.domain.regions import Image, Region, Review
from locstudio.domain.text import counted
from locstudio.ui.background import LatestOnly
from locstudio.ui.browsing import Browsing
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.commands import digit_of
from locstudio.ui.curation.commands import NUM_SUGGESTIONS
from locstudio.ui.curation.pass_bar import PassBar
from locstudio.ui.curation.pass_keys import PassCommand, pass_command
from locstudio.ui.curation.pass_look import PassLook
from locstudio.ui.curation.pass_source import TAKE_IN, PassSource, Suggested, taken
from locstudio.ui.editing import Editing
from locstudio.ui.opening import Opening

_NOTHING = "Nothing waits for review."
_DONE = "Everything that waited for review is decided."
_SKIPPED = "The pass is through. {count} still have something to review."


class CanvasPass(QObject):
    """Walks through pending regions on the canvas.

    Signals:
        toggled: whether the pass is on.
        said: a sentence for the status line.
        corrected: a ``Region`` as it was and as the person left it, when she rejected or relabelled it.
    """

    toggled = Signal(bool)
    said = Signal(str)
    corrected = Signal(object, object)

    def __init__(
        self,
        canvas: CanvasView,
        browsing: Browsing,
        opening: Opening,
        editing: Editing,
        bar: PassBar,
        source: PassSource,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._browsing = browsing
        self._opening = opening
        self._editing = editing
        self._source = source
        self.bar = bar
        self._look = PassLook(canvas, self)
        self.chips = self._look.chips
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
        self._suggested: tuple[Suggested, ...] = ()
        self._asks = LatestOnly(self)
        self._asks.arrived.connect(self._on_suggested)
        self._asks.failed.connect(lambda error: self.said.emit(str(error)))
        self.chips.chosen.connect(self.choose)
        bar.leave_wanted.connect(self.leave)
        bar.zoom_toggled.connect(self._on_zoom_toggled)
        opening.regions_shown.connect(self._on_regions)
        editing.applied.connect(self._on_applied)
        canvas.selection_changed.connect(self._on_selection)

    # on and off -------------------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether the pass is on."""
        return self._is_on

    @property
    def current(self) -> Region | None:
        """The region that the keys are about; None while the next one is on its way."""
        boxes = self._canvas.editor.boxes
        row = boxes.rows.get(self._current)
        return None if row is None else boxes.regions[row]

    @property
    def suggested(self) -> tuple[Suggested, ...]:
        """What else the current region may be, by digit; empty until that is known."""
        return self._suggested

    @property
    def waiting(self) -> list[Region]:
        """The regions of the open image that wait, in the order in which they are asked about."""
        boxes = self._canvas.editor.boxes
        return [boxes.regions[boxes.rows[region_id]] for region_id in self._todo if self._is_pending(region_id)]

    def start(self) -> None:
        """Begin with the open image if something waits in it, else with the most valuable one."""
        if self._is_on:
            return
        images = list(self._source.pending_images())
        if not images:
            self.said.emit(_NOTHING)
            return
        self._is_on = True
        self._entered, self._todos, self._trail, self._decided = set(), {}, [], set()
        self._is_undoing, self._wanted, self._leaving, self._taking_in = False, 0, 0, 0
        opened = self._browsing.image
        if opened is not None and opened.id in images:
            images.remove(opened.id)
            images.insert(0, opened.id)
        self._images = images
        self._canvas.installEventFilter(self)
        self._look.begin()
        self._canvas.set_tool(Tool.SELECT)
        self.bar.show()
        self.toggled.emit(True)  # whoever shows the canvas does so now
        self._canvas.setFocus()
        self._open(images[0])

    def leave(self) -> None:
        """End the pass; the open image stays open."""
        if not self._is_on:
            return
        self._is_on = False
        self._canvas.removeEventFilter(self)
        self._asks.forget()
        self._current, self._todo, self._suggested = 0, [], ()
        self._look.end()
        self.bar.hide()
        self.toggled.emit(False)

    def close(self) -> None:
        """End the pass and wait for what was asked."""
        self.leave()
        self._asks.close()

    # keys -------------------------------------------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Read the keys of the pass before the canvas does; the rest is the canvas's."""
        if watched is self._canvas and self._is_on:
            act = self._act_of(event) if isinstance(event, QKeyEvent) else None
            if act is not None:
                event.accept()
                # A key that is held must not decide of what nobody has seen; its release is nobody's.
                if event.type() == QEvent.Type.KeyPress and not cast(QKeyEvent, event).isAutoRepeat():
                    act()
                return True
        return super().eventFilter(watched, event)

    def _act_of(self, event: QKeyEvent) -> Callable[[], None] | None:
        """What a key does in the pass; None where it is the canvas's."""
        is_drawing = self._canvas.tool is not Tool.SELECT or self._canvas.box_tool.is_busy
        command = pass_command(event, is_drawing=is_drawing)
        acts: dict[PassCommand | None, Callable[[], None]] = {
            PassCommand.ACCEPT: lambda: self._decide(Review.ACCEPTED),
            PassCommand.REJECT: lambda: self._decide(Review.REJECTED),
            PassCommand.REJECT_REST: self.reject_rest,
            PassCommand.SKIP: self.skip,
            PassCommand.BACK: self.back,
            PassCommand.SUGGESTION: lambda: self.choose((digit_of(event) or 1) - 1),
            PassCommand.NEAR: self.bar.zoom.toggle,
            PassCommand.VERIFY: self._verify,
            PassCommand.UNDO: self._undo,
            PassCommand.LEAVE: self.leave,
        }
        return acts.get(command)

    # deciding ---------------------------------------------------------------------------------------------------

    @property
    def _can_decide(self) -> bool:
        """Nobody decides of what she does not see."""
        return self.current is not None and self._canvas.has_picture and not self._canvas.is_hidden

    def _decide(self, review: Review) -> None:
        region = self.current
        if region is None or not self._can_decide:
            return
        self._canvas.editor.flush()
        region = self.current or region
        if region.review is not review:
            word = "Accept" if review is Review.ACCEPTED else "Reject"
            self._change([(region, replace(region, review=review))], f"{word} box")
        self._advance()

    def reject_rest(self) -> None:
        """Reject everything of the image that still waits, in one step, and go on to the next image."""
        if not self._can_decide:
            return
        self._canvas.editor.flush()
        left = self.waiting
        if left:
            title = "Reject box" if len(left) == 1 else f"Reject {len(left)} boxes"
            self._change([(region, replace(region, review=Review.REJECTED)) for region in left], title)
        self._remember()
        self._next_image()

    def choose(self, number: int) -> None:
        """Take a suggestion: the region gets its phrase and class and is accepted, in one step."""
        region = self.current
        if region is None or not self._can_decide or number >= len(self._suggested):
            return
        if region.is_locked:
            self.said.emit("A locked box keeps its name. Press L to unlock it.")
            return
        self._canvas.editor.flush()
        region = self.current or region
        new = taken(region, self._suggested[number])
        if new != region:
            self._change([(region, new)], f"Relabel box: {self._suggested[number].text}")
        self._advance()

    def _change(self, pairs: Sequence[tuple[Region, Region]], title: str) -> None:
        """Show it at once, have it applied, and tell of a correction."""
        edit = change_regions(pairs, title)
        after = {change.after.id: change.after for change in edit.changes if isinstance(change.after, Region)}
        self._decided |= set(after)
        self._canvas.set_regions([after.get(region.id, region) for region in self._canvas.editor.boxes.regions])
        self._editing.apply(edit)
        if len(pairs) == 1:
            old = pairs[0][0]
            new = after[old.id]
            if new.review is Review.REJECTED or (new.phrase, new.class_id) != (old.phrase, old.class_id):
                self.corrected.emit(old, new)

    def _verify(self) -> None:
        """The image is checked as a whole: on to the next one."""
        image = self._browsing.image
        if image is not None:
            self._canvas.flush()
            self._editing.verify(image)
            self._next_image()

    def _undo(self) -> None:
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

    # walking ----------------------------------------------------------------------------------------------------

    def skip(self) -> None:
        """Leave the region as it is and go on; an image that is still on its way is not skipped unseen."""
        image = self._browsing.image
        if self.current is not None:
            self._advance()
        elif image is not None and self._opening.shown_id == image.id and self._editing.is_idle:
            self._next_image()

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

    def _advance(self) -> None:
        self._remember()
        place = self._todo.index(self._current) if self._current in self._todo else -1
        following = [region_id for region_id in self._todo[place + 1 :] if self._is_pending(region_id)]
        if following:
            self._show(following[0])
        else:
            self._next_image()

    def _remember(self) -> None:
        """Put the current region on the way back."""
        image = self._browsing.image
        if image is not None and self._current:
            self._trail.append((image.id, self._current))

    def _is_pending(self, region_id: int) -> bool:
        boxes = self._canvas.editor.boxes
        row = boxes.rows.get(region_id)
        return row is not None and boxes.regions[row].review is Review.PENDING

    def _next_image(self) -> None:
        opened = self._browsing.image
        waiting = set(self._source.pending_images())
        place = self._images.index(opened.id) if opened is not None and opened.id in self._images else -1
        following = [i for i in self._images[place + 1 :] if i in waiting]
        if following:
            self._open(following[0])
        else:
            skipped = self._num_skipped
            self.leave()
            self.said.emit(_SKIPPED.format(count=counted(skipped, "image")) if skipped else _DONE)

    @property
    def _num_skipped(self) -> int:
        """Images of the pass in which something was skipped."""
        return len({image_id for image_id, region_id in self._trail if region_id not in self._decided})

    def _open(self, image_id: int) -> None:
        self._current = 0
        self._suggested = ()
        self.chips.set_suggestions(())
        self._say()
        if self._opening.shown_id == image_id:
            self._leaving = 0
            self._on_regions(list(self._canvas.editor.boxes.regions))
        else:
            self._leaving = self._opening.shown_id
            self._browsing.open_image(image_id)

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
            self._advance()
        else:
            self._say()

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

    def _show(self, region_id: int) -> None:
        """Make a region the current one: selected, in sight, with its suggestions."""
        self._current = region_id
        self._canvas.select([region_id])
        self._look.at(self._current)
        self._suggested = ()
        self.chips.set_suggestions(())
        region = self.current
        if region is not None:
            self._asks.submit(_asked, self._source, region)
        self._say()

    def _on_selection(self, ids: list[int]) -> None:
        """A click or Tab on another region that waits makes it the current one."""
        if self._is_on and len(ids) == 1 and ids[0] != self._current and ids[0] in self._todo:
            self._show(ids[0])

    # what is seen -----------------------------------------------------------------------------------------------

    def _on_zoom_toggled(self, is_near: bool) -> None:
        self._look.is_near_wanted = is_near
        if self._is_on:
            self._look.at(self._current)

    def _say(self) -> None:
        image = self._opening.image
        place = self._images.index(image.id) + 1 if image is not None and image.id in self._images else 1
        at = self._todo.index(self._current) + 1 if self._current in self._todo else 0
        self.bar.show_place(place, max(len(self._images), 1), at, len(self._todo))
        region = self.current
        self.bar.show_detail("" if region is None else _words(region))

    def _on_suggested(self, answer: tuple[int, tuple[Suggested, ...]]) -> None:
        region_id, suggested = answer
        if self._is_on and region_id == self._current:
            self._suggested = suggested[:NUM_SUGGESTIONS]
            self._look.follow()
            self.chips.set_suggestions([(each.text, each.score) for each in self._suggested])


def _pending(regions: Sequence[Region]) -> list[Region]:
    return [region for region in regions if region.review is Review.PENDING]


def _words(region: Region) -> str:
    score = "" if region.score is None else f"  {region.score:.2f}"
    return f"{region.phrase}{score}"


def _asked(source: PassSource, region: Region) -> tuple[int, tuple[Suggested, ...]]:
    return region.id, tuple(source.suggestions(region))
