"""The picture with heat between it and its boxes, and the brush that corrects heat."""

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRect, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QWheelEvent
from PySide6.QtWidgets import QWidget

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.services.heat.shapes import value_at
from locstudio.ui import theme
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.commands import HEAT_COMMANDS, CanvasCommand
from locstudio.ui.canvas.mask_view import MaskView
from locstudio.ui.heatmaps.brush_tool import BrushKind, BrushTool
from locstudio.ui.heatmaps.heat_layer import heat_image, paint_heat, warm_parts
from locstudio.ui.heatmaps.heat_legend import Legend
from locstudio.ui.heatmaps.heat_marks import paint_brush, paint_strokes, paint_threshold
from locstudio.ui.heatmaps.shown_heat import ShownHeat

BRUSHES = {Tool.PAINT_IN: BrushKind.ADD, Tool.PAINT_OUT: BrushKind.REMOVE, Tool.ERASE: BrushKind.ERASE}


class HeatView(MaskView):
    """Shows heat, and takes the strokes of the brush.

    Signals:
        stroke_drawn: a ``BrushKind`` and a ``Stroke``, for the chosen class; answered by ``set_heat``.
        heat_asked: a ``CanvasCommand`` of ``HEAT_COMMANDS``.
        heat_pointed: the heat of the chosen class under the mouse in [0, 255], or None.
        brush_resized: the radius of the brush, as a share of the image's longer side.
    """

    stroke_drawn = Signal(object, object)
    heat_asked = Signal(object)
    heat_pointed = Signal(object)
    brush_resized = Signal(float)

    def __init__(self, allocate_id: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__(allocate_id, parent)
        self.brush = BrushTool()
        self._heat: ShownHeat | None = None
        self._legend = Legend()
        self._heat_image: tuple[QImage, tuple[QRect, ...]] | None = None

    @property
    def heat(self) -> ShownHeat | None:
        """What is shown of heat."""
        return self._heat

    @property
    def aimed_box(self) -> UnitBox | None:
        """The box of the heat that would be taken: the smallest under the mouse, else the largest piece's."""
        boxes = self._heat.boxes if self._heat is not None else ()
        x, y = self._unit_at(self.mouse) if self.mouse is not None else (-1.0, -1.0)
        under = [box for box in boxes if box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1]
        return min(under, key=lambda box: box.area, default=boxes[0] if boxes else None)

    def set_image(self, image: Image | None) -> None:
        """Show another image, at first without heat."""
        self.brush.cancel()
        self.set_heat(None)
        super().set_image(image)

    def set_heat(self, heat: ShownHeat | None) -> None:
        """Show this heat, or none; a stroke that goes on goes on."""
        self._heat, self._heat_image = heat, None
        self._tell_heat()
        self.update()

    def set_brush_radius(self, radius: float) -> None:
        """Give the brush another size, as a share of the image's longer side."""
        if radius != self.brush.radius:
            self.brush.radius = radius
            self._on_brush_resized()

    # Gestures and keys

    def take_heat_command(self, command: CanvasCommand) -> bool:
        """Whether a command was about heat: passed on, or done here where it is about the brush."""
        if command is CanvasCommand.ESCAPE and self.brush.cancel():
            self._forget_preview()
        elif command in (CanvasCommand.BRUSH_SMALLER, CanvasCommand.BRUSH_LARGER):
            self.brush.resize(1 if command is CanvasCommand.BRUSH_LARGER else -1)
            self._on_brush_resized()
        elif command is CanvasCommand.EDIT and self._means_box():
            self.heat_asked.emit(CanvasCommand.TAKE_HEAT)
        elif command in HEAT_COMMANDS:
            self.heat_asked.emit(command)
        else:
            return False
        return True

    def press_brush(self, event: QMouseEvent) -> bool:
        """Whether this press begins a stroke: left as the tool says, right or Alt+left the opposite."""
        kind = BRUSHES.get(self.box_tool.tool)
        if kind is None or not self.has_picture:
            return False
        is_right = event.button() is Qt.MouseButton.RightButton
        if not is_right and event.button() is not Qt.MouseButton.LeftButton:
            return False
        if self._heat is None or not self._heat.can_paint:
            if self._heat is None:
                self.editor.notice.emit(self.tr("There is no heat here that could be painted on."))
            else:
                self.editor.notice.emit(self.tr("This heat cannot be painted on: its class is none of the project's."))
            return True
        if is_right or event.modifiers() & Qt.KeyboardModifier.AltModifier:
            kind = kind.opposite
        self.brush.press(kind, self._unit_at(event.position()), self.image_size)
        self._forget_preview()
        return True

    def continue_brush(self, event: QMouseEvent) -> bool:
        """Whether this move went into a stroke."""
        if not self.brush.is_busy:
            return False
        if self.brush.move(self._unit_at(event.position())):
            self._heat_image = None
        self.update()
        return True

    def end_brush(self) -> bool:
        """Whether a stroke has ended by this release."""
        if not self.brush.is_busy:
            return False
        kind, heat = self.brush.kind, self._heat
        if heat is not None and kind is not BrushKind.ERASE:
            self.set_heat(heat.with_map(self.brush.preview(heat.chosen.map_WW)))  # until what was stored is shown
        stroke = self.brush.release()
        self._forget_preview()
        if heat is not None:
            self.stroke_drawn.emit(kind, stroke)
        return True

    def wheelEvent(self, event: QWheelEvent) -> None:
        """With a brush in hand, Ctrl+wheel is its size; else zoom."""
        if self.box_tool.tool in BRUSHES and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.brush.resize(event.angleDelta().y() / 120)
            self._on_brush_resized()
            event.accept()
        else:
            super().wheelEvent(event)

    def tell_pointer(self, at: QPointF) -> None:
        """Emit what is under the mouse, heat too."""
        super().tell_pointer(at)
        self._tell_heat(at)

    def _tell_heat(self, at: QPointF | None = None) -> None:
        if self._heat is None or at is None:
            self.heat_pointed.emit(None)
            return
        x, y = self._unit_at(at)
        is_inside = 0 <= x < 1 and 0 <= y < 1
        self.heat_pointed.emit(value_at(self._heat.chosen.map_WW, x, y) if is_inside else None)

    def _unit_at(self, at: QPointF) -> tuple[float, float]:
        x, y = self.view.to_px(at.x(), at.y())
        return x / self.image_size[0], y / self.image_size[1]

    def _means_box(self) -> bool:
        """Whether Enter means the box of the heat: nothing else is in hand."""
        is_free = self.box_tool.tool in BRUSHES or (self.box_tool.tool is Tool.SELECT and not self.editor.selected)
        return is_free and self._heat is not None and bool(self._heat.boxes)

    def _on_brush_resized(self) -> None:
        self.brush_resized.emit(self.brush.radius)
        self.update()

    def _forget_preview(self) -> None:
        self._heat_image = None
        self.update()

    # Painting

    def _made_image(self, heat: ShownHeat) -> tuple[QImage, tuple[QRect, ...]]:
        if self._heat_image is None:
            maps = [shown.map_WW for shown in heat.classes]
            maps[0] = self.brush.preview(maps[0])
            picture = heat_image(maps, heat.look, [shown.color for shown in heat.classes])
            self._heat_image = picture, warm_parts(picture)
        return self._heat_image

    @property
    def has_between(self) -> bool:
        """Whether there is heat, and a picture below it."""
        return self._heat is not None and self.has_picture

    def paint_between(self, painter: QPainter) -> None:
        """Paint heat, as the stroke that goes on makes it, and its threshold."""
        heat = self._heat
        assert heat is not None
        paint_heat(painter, *self._made_image(heat), self.image_size, self.view, self.width(), self.height())
        if not self.brush.is_busy:
            paint_threshold(painter, heat, self.aimed_box, self.image_size, self.view, QColor(theme.current().accent))

    def paint_over(self, painter: QPainter) -> None:
        """Paint what changes under the mouse, the strokes and the brush where it is in hand, and the legend."""
        super().paint_over(painter)
        kind = BRUSHES.get(self.box_tool.tool)
        if kind is not None and self.has_picture:
            if self._heat is not None:
                strokes = [(one.kind, stroke) for one in self._heat.corrections for stroke in one.strokes]
                paint_strokes(painter, strokes, self.image_size, self.view)
            is_here = self.mouse is not None and self.underMouse() and not self.is_panning
            paint_brush(painter, self.brush, kind, self.mouse if is_here else None, self.image_size, self.view)
        if self._heat is not None and self.has_picture:
            mouse = self.mouse if self.underMouse() else None
            look = theme.current()
            self._legend.paint(painter, self._heat, self.font(), look, self.width(), self.height(), mouse)
