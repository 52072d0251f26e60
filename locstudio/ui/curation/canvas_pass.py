"""The canvas pass: what waits for review in the open image, one after another by one key each, then the next image.

The pass reads its keys before the canvas does, and gives the canvas back as it was when it is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QKeyEvent

from locstudio.domain.edits import change_regions
from locstudio.domain.regions import Region, Review
from locstudio.ui.background import LatestOnly
from locstudio.ui.browsing import Browsing
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.commands import digit_of
from locstudio.ui.curation.commands import NUM_SUGGESTIONS
from locstudio.ui.curation.pass_bar import PassBar
from locstudio.ui.curation.pass_keys import PassCommand, pass_command
from locstudio.ui.curation.pass_look import PassLook
from locstudio.ui.curation.pass_source import PassSource, Suggested, taken
from locstudio.ui.curation.pass_walk import PassWalk
from locstudio.ui.editing import Editing
from locstudio.ui.opening import Opening

_NOTHING = "Nothing waits for review."


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
        self._editing = editing
        self._source = source
        self._walk = PassWalk(canvas, browsing, opening, editing, source, self)
        self._walk.region_shown.connect(self._on_shown)
        self._walk.moved.connect(self._on_moved)
        self._walk.ended.connect(self._on_walked)
        self._walk.said.connect(self.said)
        self.bar = bar
        self._look = PassLook(canvas, self)
        self.chips = self._look.chips
        self._is_on = False
        self._suggested: tuple[Suggested, ...] = ()
        self._asks = LatestOnly(self)
        self._asks.arrived.connect(self._on_suggested)
        self._asks.failed.connect(lambda error: self.said.emit(str(error)))
        self.chips.chosen.connect(self.choose)
        bar.leave_wanted.connect(self.leave)
        bar.zoom_toggled.connect(self._on_zoom_toggled)

    # on and off -------------------------------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether the pass is on."""
        return self._is_on

    @property
    def current(self) -> Region | None:
        """The region that the keys are about; None while the next one is on its way."""
        return self._walk.current

    @property
    def suggested(self) -> tuple[Suggested, ...]:
        """What else the current region may be, by digit; empty until that is known."""
        return self._suggested

    @property
    def waiting(self) -> list[Region]:
        """The regions of the open image that wait, in the order in which they are asked about."""
        return self._walk.waiting

    def start(self) -> None:
        """Begin with the open image if something waits in it, else with the most valuable one."""
        if self._is_on:
            return
        images = list(self._source.pending_images())
        if not images:
            self.said.emit(_NOTHING)
            return
        self._is_on = True
        self._canvas.installEventFilter(self)
        self._look.begin()
        self._canvas.set_tool(Tool.SELECT)
        self.bar.show()
        self.toggled.emit(True)  # whoever shows the canvas does so now
        self._canvas.setFocus()
        self._walk.begin(images)

    def leave(self) -> None:
        """End the pass; the open image stays open."""
        if not self._is_on:
            return
        self._is_on = False
        self._canvas.removeEventFilter(self)
        self._asks.forget()
        self._walk.end()
        self._suggested = ()
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
            PassCommand.SKIP: self._walk.skip,
            PassCommand.BACK: self._walk.back,
            PassCommand.SUGGESTION: lambda: self.choose((digit_of(event) or 1) - 1),
            PassCommand.NEAR: self.bar.zoom.toggle,
            PassCommand.VERIFY: self._verify,
            PassCommand.UNDO: self._walk.undo,
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
        self._walk.advance()

    def reject_rest(self) -> None:
        """Reject everything of the image that still waits, in one step, and go on to the next image."""
        if not self._can_decide:
            return
        self._canvas.editor.flush()
        left = self.waiting
        if left:
            title = "Reject box" if len(left) == 1 else f"Reject {len(left)} boxes"
            self._change([(region, replace(region, review=Review.REJECTED)) for region in left], title)
        self._walk.remember()
        self._walk.go_to_next_image()

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
        self._walk.advance()

    def _change(self, pairs: Sequence[tuple[Region, Region]], title: str) -> None:
        """Show it at once, have it applied, and tell of a correction."""
        edit = change_regions(pairs, title)
        after = {change.after.id: change.after for change in edit.changes if isinstance(change.after, Region)}
        self._walk.count_decided(after)
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
            self._walk.go_to_next_image()

    # what is seen -----------------------------------------------------------------------------------------------

    def _on_zoom_toggled(self, is_near: bool) -> None:
        self._look.is_near_wanted = is_near
        if self._is_on:
            self._look.at(self._walk.current_id)

    def _on_shown(self) -> None:
        """A region is the current one: in sight, with its suggestions."""
        self._look.at(self._walk.current_id)
        self._forget_suggested()
        region = self.current
        if region is not None:
            self._asks.submit(_asked, self._source, region)

    def _on_moved(self) -> None:
        region = self.current
        if region is None:
            self._forget_suggested()
        self.bar.show_place(*self._walk.place)
        self.bar.show_detail("" if region is None else _words(region))

    def _on_walked(self, sentence: str) -> None:
        self.leave()
        self.said.emit(sentence)

    def _forget_suggested(self) -> None:
        self._suggested = ()
        self.chips.set_suggestions(())

    def _on_suggested(self, answer: tuple[int, tuple[Suggested, ...]]) -> None:
        region_id, suggested = answer
        if self._is_on and region_id == self._walk.current_id:
            self._suggested = suggested[:NUM_SUGGESTIONS]
            self._look.follow()
            self.chips.set_suggestions([(each.text, each.score) for each in self._suggested])


def _words(region: Region) -> str:
    score = "" if region.score is None else f"  {region.score:.2f}"
    return f"{region.phrase}{score}"


def _asked(source: PassSource, region: Region) -> tuple[int, tuple[Suggested, ...]]:
    return region.id, tuple(source.suggestions(region))
