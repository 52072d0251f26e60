"""How the region of a pass is seen: from near where it is small, with the chips beside it wherever it moves."""

from PySide6.QtCore import QEvent, QObject, QTimer

from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.view import Fit
from locstudio.ui.curation.suggestion_chips import SuggestionChips

SMALL = 64  # screen pixels: a box whose longer side is shorter is shown from near
_NEAR = 0.25  # of the canvas that the box then takes
_MAX_FACTOR = 5.0  # so that what is around it still says what it is
_MARGIN = 16


class PassLook(QObject):
    """Moves the view of a canvas, as little as it can, and the chips with it."""

    def __init__(self, canvas: CanvasView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._region_id = 0
        self.is_near_wanted = True
        self.chips = SuggestionChips(canvas)
        self._follow = QTimer(self, interval=0, singleShot=True)
        self._follow.timeout.connect(self.follow)

    def begin(self) -> None:
        """Follow the canvas from now on."""
        self._canvas.installEventFilter(self)

    def end(self) -> None:
        """Let go of the canvas, and show its whole picture."""
        self._canvas.removeEventFilter(self)
        self._region_id = 0
        self.chips.hide()
        self._canvas.fit(Fit.WHOLE)

    def at(self, region_id: int) -> None:
        """Look at a region: as it is where it can be seen well, from near where it is small, else the whole picture."""
        canvas = self._canvas
        self._region_id = region_id
        if region_id not in canvas.editor.boxes.rows:
            return
        rect = canvas.screen_rect(region_id)
        if not self.is_near_wanted:
            canvas.fit(Fit.WHOLE)
            return
        inner = canvas.rect().adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        if inner.contains(rect) and max(rect.width(), rect.height()) >= SMALL:
            return
        canvas.fit(Fit.WHOLE)
        rect = canvas.screen_rect(region_id)
        longer = max(rect.width(), rect.height())
        if longer < SMALL:
            middle = canvas.rect().center() - rect.center()
            canvas.pan_by(middle.x(), middle.y())
            factor = min(_NEAR * min(canvas.width(), canvas.height()) / longer, _MAX_FACTOR)
            canvas.zoom_by(max(factor, 1.0))

    def follow(self) -> None:
        """Put the chips beside the region as it is on the screen now."""
        if self._region_id in self._canvas.editor.boxes.rows:
            self.chips.place_beside(self._canvas.screen_rect(self._region_id))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The canvas is painted anew: zoomed, panned, or the box was moved."""
        if watched is self._canvas and event.type() == QEvent.Type.Paint:
            self._follow.start()
        return super().eventFilter(watched, event)
