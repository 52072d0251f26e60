"""Heat of the open image: over the picture and in its panel, corrected, and gone through by epochs."""

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.domain.edits import Edit
from locstudio.domain.heat_corrections import Stroke
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image
from locstudio.services.heat.shapes import percentile
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.canvas.heat_view import BRUSHES
from locstudio.ui.canvas.peek import PEEK_MS
from locstudio.ui.editing import images_of
from locstudio.ui.heatmaps.brush_tool import BrushKind
from locstudio.ui.heatmaps.class_rows import Key
from locstudio.ui.heatmaps.heat_bar import HeatBar
from locstudio.ui.heatmaps.heat_edits import HeatEdits
from locstudio.ui.heatmaps.heat_layer import HeatLook
from locstudio.ui.heatmaps.heat_panel import HeatPanel
from locstudio.ui.heatmaps.heat_reading import ReadHeat
from locstudio.ui.heatmaps.heat_showing import HeatShowing
from locstudio.ui.heatmaps.heat_source import HeatSource
from locstudio.ui.heatmaps.heat_words import epoch_words, note_of, origin_of, why_none
from locstudio.ui.heatmaps.shown_heat import ShownHeat

_OPACITY_STEP = 0.1
_NOT_A_CLASS = "{name} is no class of this project yet. Say that it is there (Y), and it becomes one."


class Heating(QObject):
    """Shows heat while it is wanted, and turns what a person says of it into edits.

    Signals:
        said: a sentence.
        pointed: what the heat under the mouse is, in words; empty where there is none.
        train_wanted: the person wants to train the heatmaps.
        switched: whether heat is over the picture.
    """

    said = Signal(str)
    pointed = Signal(str)
    train_wanted = Signal()
    switched = Signal(bool)

    def __init__(
        self,
        source: HeatSource,
        edits: HeatEdits,
        canvas: CanvasView,
        panel: HeatPanel,
        bar: HeatBar,
        parent: QObject | None = None,
        *,
        can_edit: bool = True,
    ) -> None:
        super().__init__(parent)
        self.showing = HeatShowing()
        self._source, self._edits = source, edits
        self._canvas, self._panel, self._bar = canvas, panel, bar
        self._can_edit = can_edit
        self._read: ReadHeat | None = None
        self._is_on = self._is_watched = self._must_complain = False
        self._wanted_class = 0
        self._bar_pause = QTimer(self, singleShot=True, interval=PEEK_MS + 50)
        self._bar_pause.timeout.connect(self._show_bar)
        source.arrived.connect(self._on_read)
        source.failed.connect(self.said)
        edits.refused.connect(self._on_refused)
        canvas.heat_asked.connect(self.run)
        canvas.stroke_drawn.connect(self._on_stroke)
        canvas.heat_pointed.connect(self._on_pointed)
        canvas.tool_changed.connect(self._on_tool)
        canvas.brush_resized.connect(panel.look.set_radius)
        self._connect_panel(panel, bar)

    def _connect_panel(self, panel: HeatPanel, bar: HeatBar) -> None:
        panel.toggled.connect(self.switch)
        panel.run_chosen.connect(self._source.set_run)
        panel.train_wanted.connect(self.train_wanted)
        panel.look.look_changed.connect(self._on_look)
        panel.look.lock_wanted.connect(self._on_lock)
        panel.look.command_wanted.connect(self._canvas.run)
        panel.look.radius_changed.connect(self._canvas.set_brush_radius)
        panel.classes.class_chosen.connect(self._on_class_chosen)
        panel.classes.shown_toggled.connect(self._on_other_toggled)
        panel.classes.presence_wanted.connect(self._say_of)
        bar.threshold_changed.connect(self._on_threshold)
        bar.box_wanted.connect(self._take_box)
        bar.close_wanted.connect(self._put_away)
        bar.epochs.epoch_chosen.connect(self._source.set_epoch)

    @property
    def is_on(self) -> bool:
        """Whether heat is over the picture, or will be as soon as it is there."""
        return self._is_on

    # Wishes

    def set_image(self, image: Image | None) -> None:
        """Take another open image; the same one again may have other fields."""
        if image is None or self._source.image is None or image.id != self._source.image.id:
            self._read = None
            self.showing.is_fixed = self.showing.is_fixed and self._is_on
        self._source.set_image(image)

    def set_watched(self, is_watched: bool) -> None:
        """Say whether the panel is in front, so that it is to be filled also while heat is off."""
        self._is_watched = is_watched
        self._source.set_active(self._is_on or is_watched)

    def show_class(self, class_id: int) -> None:
        """Switch heat on and look at this class, now or as soon as the heat of the open image has been read."""
        self._wanted_class = class_id
        self.switch(True)

    def switch(self, is_on: bool) -> None:
        """Show heat, or hide it.  The class that is shown first is the most telling one."""
        self._is_on = self._must_complain = is_on
        if is_on and self._read is not None:
            self._choose(self._read)
        elif not is_on:
            self._wanted_class = 0
        self._source.set_active(is_on or self._is_watched)
        self._show()
        self._bar_pause.start()  # a peek is over by then, and moves nothing
        self.switched.emit(is_on)
        if is_on and self._read is not None and self._read.is_looking:
            self.said.emit(note_of(self._read)[0])

    def _show_bar(self) -> None:
        if self._canvas.heat is not None:
            self._bar.show()

    def _put_away(self) -> None:
        self.switch(False)
        self._bar.hide()

    def run(self, command: CanvasCommand) -> None:
        """Do what a key or a menu asks for."""
        if command is CanvasCommand.HEAT:
            self.switch(not self._is_on)
        elif not self._is_on:
            self.said.emit("Heat is off; press E to see it.")
        else:
            acts: dict[CanvasCommand, Callable[[], object]] = {
                CanvasCommand.NEXT_HEAT: self._choose_next,
                CanvasCommand.FAINTER: lambda: self._step_opacity(-_OPACITY_STEP),
                CanvasCommand.STRONGER: lambda: self._step_opacity(_OPACITY_STEP),
                CanvasCommand.LOWER: lambda: self._bar.step_threshold(-1),
                CanvasCommand.HIGHER: lambda: self._bar.step_threshold(1),
                CanvasCommand.EARLIER: lambda: self._bar.epochs.step(-1),
                CanvasCommand.LATER: lambda: self._bar.epochs.step(1),
                CanvasCommand.PRESENT: lambda: self._say_of(self.showing.chosen, Presence.POSITIVE),
                CanvasCommand.ABSENT: lambda: self._say_of(self.showing.chosen, Presence.NEGATIVE),
                CanvasCommand.TAKE_HEAT: self._take_box,
            }
            acts[command]()

    def refresh(self) -> None:
        """Look again: runs, or the model in use, may be others."""
        self._source.read_again(forgets_found=True)

    def on_applied(self, edit: Edit) -> None:
        """An edit is on disk: read again what is said of the open image."""
        image = self._source.image
        # While more is on its way, the canvas already shows more than this edit has made.
        if image is not None and image.id in images_of(edit) and self._edits.is_idle:
            self._source.read_again()

    def close(self) -> None:
        """Wait for what is being read."""
        self._bar_pause.stop()
        self._source.close()

    # Heat that has been read

    def _on_read(self, read: ReadHeat) -> None:
        is_new = self._read is None or (read.is_found and not self._read.is_found)
        self._read = read
        if is_new:
            self.showing.rows = read.rows
            self._choose(read)
        else:
            self.showing.keep(read.rows)
        self._show()
        if self._is_on and self._must_complain and not read.is_looking:
            self._must_complain = False
            if not self.showing.has_heat:
                self.said.emit(why_none(read))

    def _choose(self, read: ReadHeat) -> None:
        regions = self._canvas.editor.selected_regions
        self.showing.take(read.rows, [region.class_id for region in regions if region.class_id is not None])
        if self._wanted_class and self.showing.choose_class(self._wanted_class):
            self._wanted_class = 0

    def _show(self) -> None:
        """Everything as the state is: canvas, bar and panel."""
        read, showing = self._read, self.showing
        self._panel.set_on(self._is_on)
        heat = showing.shown(read, can_paint=self._can_edit) if read is not None and self._is_on else None
        self._canvas.set_heat(heat)
        if heat is not None and not self._bar.isVisible():
            self._bar_pause.start()
        if read is None:
            return
        row = showing.row
        if read.run is not None:
            self._bar.epochs.set_epochs(read.key_epochs, read.newest, read.num_epochs, read.epoch)
        else:
            self._bar.epochs.set_epochs((), 0, 0)
        if row is not None:
            self._bar.epochs.set_curve(row.trajectory_E)
        self._bar.set_origin(epoch_words(read) or origin_of(read), has_epochs=read.run is not None)
        self._offer_box(heat)
        self._panel.set_runs(read.runs, read.run.id if read.run is not None else "", read.model_name)
        self._panel.set_hues(showing.hues() if self._is_on else {})
        self._panel.look.set_look(showing.look)
        self._panel.look.set_can_paint(self._can_edit and heat is not None and heat.can_paint)
        if showing.has_heat or read.is_looking:
            text, is_warning = note_of(read)
            self._panel.show_rows(read.rows, showing.chosen, text, is_warning=is_warning)
        else:
            self._panel.show_nothing(why_none(read), can_train=not read.runs)

    # What a person does

    def _on_tool(self, tool: Tool) -> None:
        self._panel.look.set_tool(tool)
        if tool in BRUSHES and not self._is_on:
            self.switch(True)

    def _on_class_chosen(self, key: Key) -> None:
        if not self.showing.choose(key):
            self.said.emit(f"There is no heat of {key[1]} in this image.")
            return
        self.switch(True) if not self._is_on else self._show()

    def _choose_next(self) -> None:
        self.showing.choose_next()
        self._show()

    def _on_other_toggled(self, key: Key) -> None:
        if not self._is_on:
            self._on_class_chosen(key)
            return
        if not self.showing.toggle_other(key):
            self.said.emit(f"{key[1]} cannot be shown too: it has no heat here, or six classes are shown already.")
        self._show()

    def _on_look(self, look: HeatLook) -> None:
        self.showing.look = look
        self._show_canvas()

    def _on_lock(self) -> None:
        self.showing.lock()
        self._show()

    def _step_opacity(self, by: float) -> None:
        self.showing.step_opacity(by)
        self._panel.look.set_look(self.showing.look)
        self._show_canvas()

    def _on_threshold(self, threshold: int) -> None:
        self.showing.threshold = threshold
        self._show_canvas()

    def _show_canvas(self) -> None:
        """Only the canvas: what is said in the panel is as it was."""
        if self._read is None or not self._is_on:
            return
        heat = self.showing.shown(self._read, can_paint=self._can_edit)
        self._canvas.set_heat(heat)
        self._offer_box(heat)

    def _offer_box(self, heat: ShownHeat | None) -> None:
        self._bar.set_active(heat is not None, len(heat.boxes) if heat is not None else 0)

    def _on_pointed(self, value: float | None) -> None:
        row = self.showing.row
        if value is None or row is None or row.map_WW is None:
            self.pointed.emit("")
        else:
            self.pointed.emit(f"{row.name} {value / 255:.2f}, hotter than {percentile(row.map_WW, value):.0f} %")

    def _say_of(self, key: Key | None, presence: Presence) -> None:
        row = next((row for row in self.showing.rows if row.key == key), None)
        if self._read is not None and row is not None and self._may_edit():
            self._edits.say(self._read.image, row, presence)

    def _on_stroke(self, kind: BrushKind, stroke: Stroke) -> None:
        read, row = self._read, self.showing.row
        if read is not None and row is not None and self._may_edit():
            self._edits.stroke(read.image, row, kind, stroke, read.checkpoint_id)

    def _take_box(self) -> None:
        read, row = self._read, self.showing.row
        box = self._canvas.aimed_box
        if read is None or row is None or not self._may_edit():
            return
        if not row.class_id:
            self.said.emit(_NOT_A_CLASS.format(name=row.name))
        elif box is None:
            self.said.emit("Nothing here is as hot as the threshold; lower it (Shift+[).")
        else:
            self._edits.take_box(read.image, row, box)

    def _may_edit(self) -> bool:
        if not self._can_edit:
            self.said.emit("This project is open read-only: look at the heat, but corrections are refused.")
        return self._can_edit

    def _on_refused(self, sentence: str) -> None:
        self.said.emit(sentence)
        self._source.read_again()  # what was shown of the edit is taken back
