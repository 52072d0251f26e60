"""The canvas: one picture with its boxes, under mouse and keyboard."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Review
from locstudio.ui.canvas.box_editor import NUDGE_IDLE_MS
from locstudio.ui.canvas.box_tool import QUERY_ID, Chose, Drew, Outcome, Placed, Tool
from locstudio.ui.canvas.commands import ARROWS, COMMANDS, CanvasCommand, KeyMap, digit_of, keys_of
from locstudio.ui.canvas.cursors import cursor_for
from locstudio.ui.canvas.drag_geometry import BoxPx, middle_half, to_unit
from locstudio.ui.canvas.heat_view import BRUSHES
from locstudio.ui.canvas.peek import Peek
from locstudio.ui.canvas.phrase_view import PhraseView
from locstudio.ui.canvas.picture_view import KEY_STEP
from locstudio.ui.canvas.view import Fit

LARGE_STEP = 10  # image pixels


class CanvasView(PhraseView):
    """Shows an image with its regions, marks and search box, and turns gestures and keys into wishes.

    After every ``edit_requested`` whoever applies the edit, or refuses to, answers with ``set_regions``; until then the
    canvas shows the edit as if it were done.  The selection is kept by identity.

    Signals:
        edit_requested: an ``Edit``; identities of new regions come from the ``allocate_id`` given at construction.
        selection_changed: identities of the selected regions (list of int).
        box_dragging: a ``UnitBox`` and the region's identity (0: the search box, or a box that is being drawn), at
            every step while a single box follows the mouse or the arrow keys.
        box_released: the same, once, when that box has come to rest; a newly drawn region already has its identity.
        query_box_requested: a ``UnitBox`` to search with, after ``box_released`` of the search box.
        query_box_cleared: the person took the search box away.
        verified_requested: the person has checked this image.
        tool_changed: a ``Tool``.
        notice: a sentence for the status bar.
    """

    edit_requested = Signal(object)
    selection_changed = Signal(list)
    box_dragging = Signal(object, object)
    box_released = Signal(object, object)
    query_box_requested = Signal(object)
    query_box_cleared = Signal()
    verified_requested = Signal()
    tool_changed = Signal(object)
    notice = Signal(str)

    def __init__(self, allocate_id: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__(allocate_id, parent)
        self.keys = KeyMap()
        self._query_rest = QTimer(self, singleShot=True, interval=NUDGE_IDLE_MS)
        self._query_rest.timeout.connect(self._release_query)
        self._peek = Peek()
        self._is_repeating = False
        self.mask_accepted.connect(self._put)
        self.editor.edit_requested.connect(self.edit_requested)
        self.editor.selection_changed.connect(self.selection_changed)
        self.editor.notice.connect(self.notice)
        self.editor.nudging.connect(self.box_dragging)
        self.editor.nudged.connect(self.box_released)

    def set_image(self, image: Image | None) -> None:
        """Show another image, at first without picture and regions; what is unfinished of the old one is asked for."""
        self.flush()
        self._query_rest.stop()
        super().set_image(image)

    # Commands

    @property
    def tool(self) -> Tool:
        """The tool in hand."""
        return self.box_tool.tool

    def set_tool(self, tool: Tool) -> None:
        """Take a tool; a half-drawn box is forgotten."""
        self.box_tool.cancel()
        self.brush.cancel()
        self.forget_points()
        self._is_repeating = False
        if tool is not self.box_tool.tool:
            self.box_tool.tool = tool
            self.tool_changed.emit(tool)
        self._point_at()

    def run(self, command: CanvasCommand) -> None:
        """Do what a menu entry, a palette line or a key asks for."""
        if self.take_mask_command(command) or self.take_heat_command(command):
            return
        acts: dict[CanvasCommand, Callable[[], object]] = {
            CanvasCommand.DRAW: lambda: self.set_tool(Tool.BOX),
            CanvasCommand.SEARCH: lambda: self.set_tool(Tool.SEARCH),
            CanvasCommand.REPEAT: self._repeat,
            CanvasCommand.SELECT: lambda: self.set_tool(Tool.SELECT),
            CanvasCommand.POINTS: lambda: self.set_tool(Tool.POINTS),
            CanvasCommand.PAINT_IN: lambda: self.set_tool(Tool.PAINT_IN),
            CanvasCommand.PAINT_OUT: lambda: self.set_tool(Tool.PAINT_OUT),
            CanvasCommand.ERASE: lambda: self.set_tool(Tool.ERASE),
            CanvasCommand.MASK: self.ask_masks,
            CanvasCommand.TIGHTEN: self.editor.tighten,
            CanvasCommand.ESCAPE: self._escape,
            CanvasCommand.EDIT: self._edit_or_put,
            CanvasCommand.DELETE: self.editor.delete,
            CanvasCommand.DUPLICATE: self.editor.duplicate,
            CanvasCommand.COPY: self.editor.copy,
            CanvasCommand.PASTE: self._paste,
            CanvasCommand.SELECT_ALL: lambda: self.editor.select(self.editor.boxes.rows),
            CanvasCommand.NEXT: lambda: self._step(1),
            CanvasCommand.PREVIOUS: lambda: self._step(-1),
            CanvasCommand.HIDE: lambda: self._set_hidden(not self.is_hidden),
            CanvasCommand.LOCK: self.editor.lock,
            CanvasCommand.ACCEPT: lambda: self.editor.review(Review.ACCEPTED),
            CanvasCommand.REJECT: lambda: self.editor.review(Review.REJECTED),
            CanvasCommand.VERIFY: self.verified_requested.emit,
            CanvasCommand.ZOOM_IN: lambda: self.zoom_by(KEY_STEP),
            CanvasCommand.ZOOM_OUT: lambda: self.zoom_by(1 / KEY_STEP),
            CanvasCommand.ZOOM_FULL: self.zoom_full,
            CanvasCommand.FIT: lambda: self.fit(Fit.WHOLE),
            CanvasCommand.FIT_WIDTH: lambda: self.fit(Fit.WIDTH),
        }
        acts[command]()

    def _repeat(self) -> None:
        """Draw again, with the label of the box before, and ask for no phrase."""
        self.set_tool(Tool.BOX)
        self._is_repeating = True
        self.editor.next_class_id = self.editor.last_class_id

    def _escape(self) -> None:
        """One step back: the gesture, the tool, the search box, the selection.  Never more than one, never out."""
        if self.box_tool.cancel():
            self.update()
        elif self.tool is not Tool.SELECT:
            self.set_tool(Tool.SELECT)
        elif self.query is not None:
            self.set_query_box(None)
            self.query_box_cleared.emit()
        else:
            self.editor.select(())

    def _edit_or_put(self) -> None:
        """With a drawing tool and no mouse, a box in the middle of what is seen; else the phrase of the selection."""
        if self.tool not in (Tool.BOX, Tool.SEARCH) or not self.can_edit:
            self.edit_phrase()
            return
        seen = self.view.visible_px(self.width(), self.height())
        self._drew(middle_half(seen, *self.image_size), self.tool is Tool.SEARCH)

    def _paste(self) -> None:
        if self.can_edit:
            self.editor.paste()

    def _step(self, by: int) -> None:
        self.editor.step(by)
        self.select(self.selection)

    def _set_hidden(self, is_hidden: bool) -> None:
        self.is_hidden, self.hover_id = is_hidden, None
        self.box_tool.cancel()
        self.on_boxes_changed()
        if is_hidden:
            self.notice.emit(self.tr("Boxes are hidden. Press H to show them."))

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a pan or a gesture of the tool."""
        self.phrase_editor.leave()
        self.mouse = event.position()
        if self.begin_pan(event) or self.press_point(event) or self.press_brush(event):
            return
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        if not self.can_edit and self.tool is not Tool.SELECT:
            self.notice.emit(self.tr("Boxes can be drawn as soon as the picture is shown."))
        self.editor.flush()
        self._take(self.box_tool.press(self._at, keys_of(event), self.ground))
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Pan, carry the gesture on, or show what lies under the mouse."""
        self.mouse = event.position()
        self.tell_pointer(self.mouse)
        if self.continue_pan(event) or self.continue_brush(event):
            return
        if not self.box_tool.is_busy:
            self._point_at()
            return
        before = self.box_tool.draft
        self.box_tool.move(self._at, keys_of(event), self.ground)
        draft = self.box_tool.draft
        if draft != before:
            if draft.drawn is not None:
                self.box_dragging.emit(to_unit(draft.drawn, *self.image_size), QUERY_ID)
            elif len(draft.placed) == 1:
                ((region_id, box),) = draft.placed.items()
                self.box_dragging.emit(to_unit(box, *self.image_size), region_id)
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the pan or the gesture."""
        self.mouse = event.position()
        if self.end_pan() or self.end_brush():
            self._point_at()
            return
        if event.button() is Qt.MouseButton.LeftButton:
            self._take(self.box_tool.release(self._at, keys_of(event), self.ground))
            self._point_at()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Edit the phrase of the box under the mouse; with a drawing tool it is just another press."""
        hit = self.box_tool.hit((event.position().x(), event.position().y()), self.ground)
        if self.tool is Tool.SELECT and hit is not None and event.button() is Qt.MouseButton.LeftButton:
            self.box_tool.cancel()
            self.editor.select([hit])
            self.edit_phrase()
        else:
            self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor; a half-drawn box stays, an open phrase editor does not."""
        self.phrase_editor.leave()
        super().wheelEvent(event)

    @property
    def _at(self) -> tuple[float, float]:
        assert self.mouse is not None
        return self.mouse.x(), self.mouse.y()

    def _take(self, outcome: Outcome | None) -> None:
        if isinstance(outcome, Drew):
            self._drew(outcome.box, outcome.is_query)
        elif isinstance(outcome, Placed) and QUERY_ID in outcome.boxes:
            self.query = outcome.boxes[QUERY_ID]
            self._release_query()
        elif isinstance(outcome, Placed):
            self.editor.place(outcome.boxes, outcome.is_resize)
            if len(outcome.boxes) == 1:
                ((region_id, box),) = outcome.boxes.items()
                self.box_released.emit(to_unit(box, *self.image_size), region_id)
        elif isinstance(outcome, Chose):
            (self.editor.toggle if outcome.adds else self.editor.select)(outcome.ids)
        self.update()

    def _drew(self, box: BoxPx, is_query: bool) -> None:
        unit = to_unit(box, *self.image_size)
        if is_query:
            self.query = box
            self.editor.select(())
            self._release_query()
            return
        self._put(unit)

    def _put(self, unit: UnitBox, mask: str | None = None) -> None:
        is_labelled = self._is_repeating or self.editor.next_class_id is not None
        region_id = self.editor.add(unit, self.editor.last_phrase if self._is_repeating else "", mask)
        self.set_tool(Tool.SELECT)
        self.box_released.emit(unit, region_id)
        if not is_labelled:
            self.edit_phrase()

    def _release_query(self) -> None:
        self._query_rest.stop()
        if self.query is not None:
            unit = to_unit(self.query, *self.image_size)
            self.box_released.emit(unit, QUERY_ID)
            self.query_box_requested.emit(unit)
            self.update()

    def _point_at(self) -> None:
        """Show with cursor and light what a press at the mouse would do."""
        self.update()
        if self.is_panning:
            self.setCursor(Qt.CursorShape.OpenHandCursor)
            return
        if self.mouse is None:
            return
        ground = self.ground
        grip = self.box_tool.grip_at(self._at, ground)
        self.hover_id = self.box_tool.hit(self._at, ground) if self.tool is Tool.SELECT else None
        if grip is not None:
            self.setCursor(cursor_for(grip[1]))
        elif self.tool in BRUSHES:
            self.setCursor(Qt.CursorShape.BlankCursor)  # its ring is painted
        elif self.tool is not Tool.SELECT:
            self.setCursor(Qt.CursorShape.CrossCursor if self.can_edit else Qt.CursorShape.ForbiddenCursor)
        else:
            is_on_selected = self.hover_id is not None and self.hover_id in self.editor.selected
            self.setCursor(Qt.CursorShape.SizeAllCursor if is_on_selected else Qt.CursorShape.ArrowCursor)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is under the mouse any more."""
        self.hover_id = None
        super().leaveEvent(event)
        self.update()

    # Keyboard

    def event(self, event: QEvent) -> bool:
        """Keep the keys whose release matters, and those that mean something only here, from the window's shortcuts."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            command = self.keys.command_for(event)
            is_own = event.key() in ARROWS or event.key() == Qt.Key.Key_Space or digit_of(event) is not None
            if is_own or (command is not None and COMMANDS[command].is_held):
                event.accept()
                return True
        return super().event(event)

    def focusNextPrevChild(self, is_next: bool) -> bool:
        """Tab steps through the regions while there are any; F6 leaves the canvas then."""
        return super().focusNextPrevChild(is_next) if not self.editor.boxes.regions else False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Run the command of the key; arrows nudge, digits label, Space pans."""
        command, digit = self.keys.command_for(event), digit_of(event)
        if event.key() == Qt.Key.Key_Space and not event.modifiers():
            if not event.isAutoRepeat():
                self.hold_space(True)
                self._point_at()
        elif command is not None and COMMANDS[command].is_held:
            if not event.isAutoRepeat():
                self._peek.press(command)
                self.run(command)
        elif command is not None:
            self.run(command)
        elif event.key() in ARROWS:
            self._nudge(event)
        elif digit is not None:
            self.editor.choose_class(digit)
        elif event.key() == Qt.Key.Key_F6:
            super().focusNextPrevChild(True)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """End what lasts as long as a key is held."""
        if event.isAutoRepeat():
            return
        if event.key() == Qt.Key.Key_Space:
            self.hold_space(False)
            self._point_at()
        elif self._peek.is_down(self.keys.command_for(event)):
            self._end_peek()
        else:
            super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """A peek ends here: its key's release will be told to somebody else."""
        self._end_peek()
        super().focusOutEvent(event)

    def _end_peek(self) -> None:
        command = self._peek.end()
        if command is not None:
            self.run(command)

    def _nudge(self, event: QKeyEvent) -> None:
        if not self.can_edit:
            return
        dx, dy = ARROWS[Qt.Key(event.key())]
        step = LARGE_STEP if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        is_resize = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if self.editor.selected:
            self.editor.nudge(dx * step, dy * step, is_resize)
        elif self.query is not None:
            self.shift_query(dx * step, dy * step, is_resize)
            self.box_dragging.emit(to_unit(self.query, *self.image_size), QUERY_ID)
            self._query_rest.start()
        else:
            self.pan_by(-40 * dx, -40 * dy)
