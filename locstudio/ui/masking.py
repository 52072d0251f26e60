"""Masks: from boxes or points on the canvas, through the engine, and back onto the canvas."""

from PySide6.QtCore import QObject, Signal

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.jobs.engine_messages import MAX_PROMPTS, Prompted, Segmented
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.mask_tool import FoundMask, PointsAsked
from locstudio.ui.engine_client import EngineClient


class Masking(QObject):
    """Asks the engine for what the canvas wants masked.

    A mask belongs to the image and the box it was asked for: when either has changed meanwhile, it is dropped.

    Signals:
        said: a sentence.
    """

    said = Signal(str)

    def __init__(self, engine: EngineClient, canvas: CanvasView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._canvas = canvas
        self._image: Image | None = None
        self._boxes: dict[int, list[Region]] = {}
        self._points = 0
        canvas.masks_requested.connect(self._on_masks_requested)
        canvas.points_changed.connect(self._on_points_changed)
        engine.segmented.connect(self._on_segmented)
        engine.refused.connect(self._on_refused)

    def set_image(self, image: Image) -> None:
        """Take another open image, which the engine knows already."""
        self._image = image
        self._boxes.clear()
        self._points = 0

    def _on_masks_requested(self, regions: list[Region]) -> None:
        if self._image is None or not self._can_ask():
            return
        self.said.emit("Masking …" if len(regions) == 1 else f"Masking {len(regions)} boxes …")
        asked = [Prompted(box=region.box.as_tuple()) for region in regions[:MAX_PROMPTS]]
        self._boxes[self._engine.segment(str(self._image.id), asked)] = regions[:MAX_PROMPTS]

    def _on_points_changed(self, asked: PointsAsked | None) -> None:
        if asked is None or self._image is None or not self._can_ask():
            self._points = 0
            if asked is None:
                self.said.emit("")  # what Enter would do is no longer true
            return
        prompt = Prompted(
            box=asked.box.as_tuple() if asked.box else None,
            points=[(point.x, point.y, point.is_inside) for point in asked.points],
        )
        self._points = self._engine.segment(str(self._image.id), [prompt], is_preview=True)

    def _can_ask(self) -> bool:
        if self._engine.state.phase in ("ready", "loading"):
            return True
        self.said.emit("The model could not be started; press Retry at the top right to try again.")
        return False

    def _on_segmented(self, number: int, reply: Segmented) -> None:
        if number == self._points:
            box = reply.boxes[0]
            self._canvas.show_mask(FoundMask(reply.masks[0], UnitBox(*box) if box else None))
            self.said.emit(f"{reply.name} expects an overlap of {reply.scores[0]:.2f}. Enter accepts, Esc cancels.")
        elif number in self._boxes:
            self._take_masks(self._boxes.pop(number), reply)

    def _take_masks(self, regions: list[Region], reply: Segmented) -> None:
        editor = self._canvas.editor
        present = {region.id: region.box for region in editor.boxes.regions}
        masks = {
            region.id: text
            for region, text in zip(regions, reply.masks, strict=True)
            if text and present.get(region.id) == region.box
        }
        if masks:
            self._canvas.take_masks(masks)
        num_missed = len(regions) - len(masks)
        if num_missed:
            self.said.emit("Nothing was found in this box." if num_missed == 1 else f"{num_missed} boxes got no mask.")
        else:
            made = "Mask" if len(masks) == 1 else f"{len(masks)} masks"
            self.said.emit(f"{made} by {reply.name}, expected overlap {sum(reply.scores) / len(reply.scores):.2f}.")

    def _on_refused(self, number: int, sentence: str) -> None:
        if number == self._points or self._boxes.pop(number, None) is not None:
            self.said.emit(sentence)
