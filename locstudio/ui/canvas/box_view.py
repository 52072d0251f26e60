"""A picture with its boxes as they are seen: regions, marks, the search box, and what a gesture shows."""

from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRect
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QWidget

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Region
from locstudio.ui import theme
from locstudio.ui.canvas.backdrop import Showing, showing_for
from locstudio.ui.canvas.box_editor import BoxEditor
from locstudio.ui.canvas.box_tool import QUERY_ID, BoxTool, Ground, Tool
from locstudio.ui.canvas.chips import one_line
from locstudio.ui.canvas.drag_geometry import BoxPx, grown, moved, to_unit
from locstudio.ui.canvas.overlay import Marks, Overlay
from locstudio.ui.canvas.overlay_boxes import BoxArrays
from locstudio.ui.canvas.picture import Picture
from locstudio.ui.canvas.picture_view import PictureView

NO_BOXES = BoxArrays.of((), 1, 1)


class BoxView(PictureView):
    """Shows an image with its boxes.  What the mouse and the keys do with them is ``CanvasView``'s."""

    def __init__(self, allocate_id: Callable[[], int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Image canvas"))
        self.editor = BoxEditor(allocate_id, self)
        self.box_tool = BoxTool()
        self.query: BoxPx | None = None
        self.hover_id: int | None = None
        self.mouse: QPointF | None = None
        self.is_hidden = False
        self._overlay = Overlay(self.font(), theme.current())
        self._mark_boxes: tuple[UnitBox, ...] = ()
        self._mark_texts: tuple[str, ...] = ()
        self._revision = 0
        self.editor.changed.connect(self.on_boxes_changed)
        self.editor.stirred.connect(self.update)
        self.editor.selection_changed.connect(self.describe)
        self.describe()

    def set_image(self, image: Image | None) -> None:
        """Show another image, at first without picture and regions; pending nudges of the old one are asked for."""
        self.box_tool.cancel()
        size = (image.width, image.height) if image else (0, 0)
        self.query, self.hover_id = None, None
        self._mark_boxes = self._mark_texts = ()
        self.editor.set_image(image, size)
        self.begin(showing_for(image) if image else Showing.NOTHING, size, image.note if image else "")
        self.describe()

    def set_regions(self, regions: Sequence[Region]) -> None:
        """Show exactly these regions of the image; what is selected or dragged stays so by identity."""
        self.editor.set_regions(regions)
        if any(i != QUERY_ID and i not in self.editor.boxes.rows for i in self.box_tool.draft.placed):
            self.box_tool.cancel()
        if self.hover_id not in self.editor.boxes.rows:
            self.hover_id = None
        self.describe()

    def set_classes(self, classes: Sequence[LabelClass]) -> None:
        """Take the vocabulary: names, colours, and what the digits mean."""
        self._overlay.set_classes(classes)
        self.editor.set_classes(classes)

    def set_marks(self, boxes: Sequence[UnitBox], texts: Sequence[str] = ()) -> None:
        """Show found boxes (search hits, a grounded phrase) with a text each, instead of those shown before.

        Raises:
            ValueError: there are texts, but not one for each box.
        """
        if texts and len(texts) != len(boxes):
            raise ValueError(f"{len(boxes)} boxes, but {len(texts)} texts")
        self._mark_boxes, self._mark_texts = tuple(boxes), tuple(texts) or ("",) * len(boxes)
        self.on_boxes_changed()

    def set_query_box(self, box: UnitBox | None) -> None:
        """Show a search box, or none; asks for nothing."""
        self.query = box.to_pixels(*self.image_size) if box else None
        self.update()

    @property
    def query_box(self) -> UnitBox | None:
        """The search box, if there is one."""
        return to_unit(self.query, *self.image_size) if self.query else None

    def shift_query(self, dx: int, dy: int, is_resize: bool) -> None:
        """Move the search box by image pixels, or its right and bottom sides."""
        assert self.query is not None
        if is_resize:
            self.query = grown(self.query, dx, dy, *self.image_size)
        else:
            x0, y0, x1, y1 = moved(np.array([self.query]), dx, dy, *self.image_size)[0].tolist()
            self.query = (x0, y0, x1, y1)
        self.update()

    @property
    def selection(self) -> list[int]:
        """Identities of the selected regions."""
        return list(self.editor.selected)

    def select(self, ids: Sequence[int]) -> None:
        """Select these regions, and move the last of them into sight when it is out of it."""
        self.editor.select(ids)
        if not self.editor.selected:
            return
        rect = self.screen_rect(self.editor.selected[-1])
        if not rect.intersects(self.rect()):
            middle = self.rect().center() - rect.center()
            self.pan_by(middle.x(), middle.y())

    def screen_rect(self, region_id: int) -> QRect:
        """Where a region's box is on the widget.

        Raises:
            KeyError: the image has no such region.
        """
        x0, y0, x1, y1 = self.editor.place_of(region_id)
        (left, top), (right, bottom) = self.view.to_screen(x0, y0), self.view.to_screen(x1, y1)
        return QRect(round(left), round(top), max(round(right - left), 1), max(round(bottom - top), 1))

    @property
    def ground(self) -> Ground:
        """What lies under the mouse just now."""
        return Ground(
            *self.image_size,
            self.view,
            NO_BOXES if self.is_hidden else self.editor.boxes,
            frozenset(self.editor.selected),
            self.query,
            self.can_edit,
        )

    @property
    def can_edit(self) -> bool:
        """Whether boxes can be drawn and changed: nobody draws on a picture that she cannot see."""
        return self.has_picture and self.editor.image is not None and not self.is_hidden

    def _show(self, picture: Picture, showing: Showing) -> None:
        query = self.query_box
        super()._show(picture, showing)
        self.editor.set_size(picture.size)
        self.set_query_box(query)  # pixels of the size that was told are pixels of the true size now

    # Painting

    def on_boxes_changed(self) -> None:
        """Paint the boxes anew."""
        self._revision += 1
        self.update()

    def on_theme_changed(self) -> None:
        """Take the new colours."""
        self._overlay.restyle(self.font(), theme.current())
        super().on_theme_changed()

    def layer_state(self) -> tuple[object, ...]:
        """Boxes, and which of them are away from their place; the selection is not part of the layer."""
        return self._revision, self._displaced, self.is_hidden

    @property
    def _displaced(self) -> frozenset[int]:
        return frozenset(self.box_tool.draft.placed) | frozenset(self.editor.nudges)

    def paint_layer(self, painter: QPainter) -> None:
        """Paint regions and marks."""
        if self.is_hidden:
            return
        width, height = float(self.width()), float(self.height())
        px = np.array([box.to_pixels(*self.image_size) for box in self._mark_boxes], np.float64).reshape(-1, 4)
        marks = Marks(px, self._mark_texts)
        self._overlay.paint_layer(painter, self.editor.boxes, self._displaced, marks, self.view, width, height)

    def paint_over(self, painter: QPainter) -> None:
        """Paint the selection, what is under the mouse, the search box and the gesture."""
        if self.is_hidden:
            return
        width, height = float(self.width()), float(self.height())
        placed = self.box_tool.draft.placed
        boxes = self.editor.boxes
        if self.hover_id is not None and self.hover_id not in self.editor.selected and self.hover_id in boxes.rows:
            region = boxes.regions[boxes.rows[self.hover_id]]
            self._overlay.paint_hover(painter, region, self.editor.place_of(region.id), self.view, width, height)
        places = [(r, placed.get(r.id) or self.editor.place_of(r.id)) for r in self.editor.selected_regions]
        self._overlay.paint_selected(painter, places, self.view, width, height)
        query = placed.get(QUERY_ID) or self.query
        if query is not None:
            takes_hold = self.box_tool.tool in (Tool.SELECT, Tool.SEARCH)
            has_handles = self.can_edit and takes_hold and not self.box_tool.is_drawing
            self._overlay.paint_query(painter, query, self.view, has_handles)
        class_id = self.editor.next_class_id
        self._overlay.paint_draft(painter, self.box_tool.draft, class_id, self.image_size, self.view, width, height)
        self._paint_cross_hair(painter)

    def _paint_cross_hair(self, painter: QPainter) -> None:
        has_cross = self.box_tool.tool in (Tool.BOX, Tool.SEARCH, Tool.POINTS)
        is_wanted = has_cross and not self.box_tool.is_busy and not self.is_panning
        if not is_wanted or self.mouse is None or not self.can_edit or not self.underMouse():
            return
        x, y = round(self.mouse.x()), round(self.mouse.y())
        for color, shift in ((QColor(0, 0, 0, 90), 1), (QColor(255, 255, 255, 150), 0)):
            painter.setPen(QPen(color, 1))
            painter.drawLine(0, y + shift, self.width(), y + shift)
            painter.drawLine(x + shift, 0, x + shift, self.height())

    def describe(self) -> None:
        """Say in words what is here, for those who hear the screen instead of seeing it."""
        image = self.editor.image
        if image is None:
            self.setAccessibleDescription(self.tr("No image is open."))
            return
        names = [one_line(self._overlay.text_of(region)) for region in self.editor.selected_regions[:3]]
        self.setAccessibleDescription(
            self.tr("{name}: {boxes} boxes, {selected} selected. {phrases}. F6 leaves the canvas.").format(
                name=one_line(image.name),
                boxes=len(self.editor.boxes.regions),
                selected=len(self.editor.selected),
                phrases=", ".join(name for name in names if name),
            )
        )
