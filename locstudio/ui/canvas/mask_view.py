"""The picture with its boxes and masks, and the points that ask for a mask."""

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter
from PySide6.QtWidgets import QWidget

from locstudio.domain.regions import Image
from locstudio.ui import theme
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.box_view import BoxView
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.canvas.mask_painter import MaskPainter
from locstudio.ui.canvas.mask_tool import FoundMask, MaskPoint, MaskTool, PointsAsked


class MaskView(BoxView):
    """Shows masks under the boxes, and takes the clicks of the point tool.

    Signals:
        masks_requested: the regions (list of ``Region``) that want a mask from their boxes; answered by ``take_masks``.
        points_changed: ``PointsAsked``, answered by ``show_mask``, or None when the points are gone.
        mask_accepted: the ``UnitBox`` and the mask (str) of a new region.
    """

    masks_requested = Signal(list)
    points_changed = Signal(object)
    mask_accepted = Signal(object, str)

    def __init__(self, allocate_id: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__(allocate_id, parent)
        self.mask_tool = MaskTool()
        self._masks = MaskPainter()

    def set_image(self, image: Image | None) -> None:
        """Show another image; points of the old one are forgotten."""
        self.forget_points()
        super().set_image(image)

    def show_mask(self, found: FoundMask) -> None:
        """Show what the points have led to."""
        if self.mask_tool.is_busy:
            self.mask_tool.found = found
            self.update()

    def take_masks(self, masks: dict[int, str]) -> None:
        """Give regions masks, in one edit: those that were asked for with ``masks_requested``."""
        self.editor.set_masks(masks)

    def forget_points(self) -> None:
        """Take the points and their mask away."""
        if self.mask_tool.is_busy:
            self.mask_tool.clear()
            self.points_changed.emit(None)
            self.update()

    def ask_masks(self) -> None:
        """Wish for masks of the selected regions that are not locked."""
        self.editor.flush()
        free = [region for region in self.editor.selected_regions if not region.is_locked]
        if free:
            self.masks_requested.emit(free)
        else:
            self.editor.notice.emit(self.tr("Select a box first. Then G masks what is in it."))

    def press_point(self, event: QMouseEvent) -> bool:
        """Whether this press was a point: left inside the thing, right or Alt+left outside it."""
        if self.box_tool.tool is not Tool.POINTS or not self.can_edit:
            return False
        is_right = event.button() is Qt.MouseButton.RightButton
        if not is_right and event.button() is not Qt.MouseButton.LeftButton:
            return False
        x, y = self.view.to_px(event.position().x(), event.position().y())
        width, height = self.image_size
        if 0 <= x < width and 0 <= y < height:
            is_inside = not is_right and not event.modifiers() & Qt.KeyboardModifier.AltModifier
            self._add(MaskPoint(x / width, y / height, is_inside))
        return True

    def take_mask_command(self, command: CanvasCommand) -> bool:
        """Whether a command was meant for the points: Enter accepts, Esc cancels, Delete takes the newest back."""
        if self.box_tool.tool is not Tool.POINTS or not self.mask_tool.is_busy:
            return False
        if command is CanvasCommand.EDIT:
            self._accept()
        elif command is CanvasCommand.ESCAPE:
            self.forget_points()
        elif command is CanvasCommand.DELETE:
            self.mask_tool.take_back()
            self._tell()
        else:
            return False
        return True

    def _add(self, point: MaskPoint) -> None:
        selected = self.editor.selected_regions
        region_id = selected[0].id if len(selected) == 1 and not selected[0].is_locked else 0
        if self.mask_tool.add(point, region_id):
            self._tell()
        else:
            self.editor.notice.emit(self.tr("The first point must be in the thing; further ones may be outside it."))

    def _tell(self) -> None:
        self.update()
        if not self.mask_tool.is_busy:
            self.points_changed.emit(None)
            return
        row = self.editor.boxes.rows.get(self.mask_tool.region_id)
        box = None if row is None else self.editor.boxes.regions[row].box
        self.points_changed.emit(PointsAsked(self.mask_tool.points, box))

    def _accept(self) -> None:
        found, region_id = self.mask_tool.found, self.mask_tool.region_id
        if found is None:
            self.editor.notice.emit(self.tr("The mask is not here yet."))
        elif not found.text or found.box is None:
            self.editor.notice.emit(self.tr("Nothing was found here. Click somewhere else in the thing."))
        else:
            self.forget_points()
            if region_id in self.editor.boxes.rows:
                self.editor.set_masks({region_id: found.text}, is_by_points=True)
            else:
                self.mask_accepted.emit(found.box, found.text)

    # Painting

    def paint_layer(self, painter: QPainter) -> None:
        """Paint masks, and boxes over them."""
        if not self.is_hidden:
            away = self._displaced
            shown = self.editor.boxes.regions
            colored = [(r, self._overlay.color_of(r)) for r in shown if r.mask and r.id not in away]
            self._masks.paint(painter, colored, self.view)
        super().paint_layer(painter)

    def paint_over(self, painter: QPainter) -> None:
        """Paint what changes under the mouse, and the points with their mask."""
        super().paint_over(painter)
        if self.is_hidden or not self.mask_tool.is_busy:
            return
        if self.mask_tool.found is not None and self.mask_tool.found.text:
            accent = QColor(theme.current().accent)
            self._masks.paint_preview(painter, self.mask_tool.found.text, accent, self.view)
        self._masks.paint_points(painter, self.mask_tool.points, self.image_size, self.view)
