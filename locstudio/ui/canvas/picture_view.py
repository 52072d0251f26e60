"""A picture that can be zoomed and panned, or an honest word on why there is none.  Knows nothing of boxes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from locstudio.ui import theme
from locstudio.ui.canvas.backdrop import Showing, paint_sentence, paint_tile, sentence_for
from locstudio.ui.canvas.layers import Layers
from locstudio.ui.canvas.picture import Picture
from locstudio.ui.canvas.view import MAX_ZOOM, Fit, View, fitted, lowest_scale

WHEEL_STEP = 1.2
KEY_STEP = 1.25
UNKNOWN_SIZE = (640, 480)  # of the grey tile for an image whose size nobody knows

_BY_KEYBOARD = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason, Qt.FocusReason.ShortcutFocusReason)


class PictureView(QWidget):
    """Shows a picture through a mip pyramid; everything below ``paint_over`` is kept in one cached layer.

    While there is something ``between`` the picture and what lies on it, each of the two has a layer of its own.

    Signals:
        zoom_changed: device pixels per image pixel, 1.0 = 100 %.
        pointer_moved: (x, y), the image pixel under the mouse, or None outside the picture.
    """

    zoom_changed = Signal(float)
    pointer_moved = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 120)
        self.showing = Showing.NOTHING
        self.view = View()
        self.image_size = UNKNOWN_SIZE
        self._picture: Picture | None = None
        self._note = ""
        self._fit = Fit.WHOLE
        self._layers = Layers()
        self._pan_from: QPointF | None = None
        self._is_space_held = False
        self._has_keyboard_focus = False
        theme.notifier.changed.connect(self.on_theme_changed)

    # What is shown

    def begin(self, showing: Showing, size: tuple[int, int], note: str = "") -> None:
        """Take another image, of which only the size is known; fits it into the widget."""
        self._picture, self._note, self.showing = None, note, showing
        self._fit = Fit.WHOLE
        self._take_size(size)
        self._refit()
        self.repaint_layer()

    def show_preview(self, rgb: NDArray[np.uint8], size: tuple[int, int]) -> None:
        """Show a small RGB array stretched to the picture's true size (width, height), until the picture is here.

        Raises:
            ValueError: the array is not RGB8 or the size has no area.
        """
        if self.showing is not Showing.PICTURE:
            self._show(Picture.from_arrays([rgb], size), Showing.PREVIEW)

    def show_picture(self, pyramid: "Picture | Sequence[NDArray[np.uint8]]", size: tuple[int, int]) -> None:
        """Show the picture itself.

        Args:
            pyramid: RGB arrays, the largest first; or a ``Picture`` made of them in the worker, which spares the
                window's thread the conversion (20 ms for 12 MP).
            size: Width and height of the upright image.

        Raises:
            ValueError: an array is not RGB8 or the size has no area.
        """
        picture = pyramid if isinstance(pyramid, Picture) else Picture.from_arrays(pyramid, size)
        self._show(picture, Showing.PICTURE)

    def show_missing(self, sentence: str = "") -> None:
        """Show a grey tile: the file is not there."""
        self._show_problem(Showing.MISSING, sentence)

    def show_damaged(self, sentence: str = "") -> None:
        """Show a grey tile: the file cannot be read."""
        self._show_problem(Showing.DAMAGED, sentence)

    @property
    def has_picture(self) -> bool:
        """Whether pixels are on the screen, be they of a preview."""
        return self._picture is not None

    def _show(self, picture: Picture, showing: Showing) -> None:
        self._picture, self.showing = picture, showing
        self._take_size(picture.size)
        self.repaint_layer()

    def _show_problem(self, showing: Showing, sentence: str) -> None:
        self._picture, self.showing, self._note = None, showing, sentence
        self.repaint_layer()

    def _take_size(self, size: tuple[int, int]) -> None:
        size = size if min(size) > 0 else UNKNOWN_SIZE
        if size != self.image_size:
            self.image_size = size
            self._refit()

    # Zoom and pan

    @property
    def zoom(self) -> float:
        """Device pixels per image pixel, 1.0 = 100 %."""
        return self.view.scale * self.devicePixelRatioF()

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom, keeping the image point at a screen position (the middle, where none is given) in its place."""
        place = at or QRectF(self.rect()).center()
        room = (float(self.width()), float(self.height()))
        highest = MAX_ZOOM / self.devicePixelRatioF()
        lowest = min(lowest_scale(self.image_size, room), self.view.scale)
        self._fit = Fit.FREE
        self._look(self.view.zoomed(factor, place.x(), place.y(), lowest, highest))

    def zoom_full(self) -> None:
        """One image pixel on one device pixel."""
        self.zoom_by(1.0 / self.zoom)

    def fit(self, fit: Fit = Fit.WHOLE) -> None:
        """Show the whole picture or its whole width, and keep doing so when the widget changes its size."""
        self._fit = fit
        self._refit()

    def _refit(self) -> None:
        if self._fit is not Fit.FREE:
            room = (float(self.width()), float(self.height()))
            self._look(fitted(self.image_size, room, self._fit, MAX_ZOOM / self.devicePixelRatioF()))

    def _look(self, view: View) -> None:
        old = self.view.scale
        self.view = view.kept_in_sight(self.image_size, (self.width(), self.height()))
        self.update()
        if self.view.scale != old:
            self.zoom_changed.emit(self.zoom)

    def pan_by(self, dx: float, dy: float) -> None:
        """Move the picture by screen pixels."""
        self._fit = Fit.FREE
        self._look(self.view.panned(dx, dy))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor."""
        steps = event.angleDelta().y() / 120.0
        if steps:
            self.zoom_by(WHEEL_STEP**steps, event.position())
        event.accept()

    def begin_pan(self, event: QMouseEvent) -> bool:
        """Whether this press begins a pan: middle button, or left with Space held."""
        is_space_drag = event.button() is Qt.MouseButton.LeftButton and self._is_space_held
        if event.button() is not Qt.MouseButton.MiddleButton and not is_space_drag:
            return False
        self._pan_from = event.position()
        self.setCursor(Qt.CursorShape.ClosedHandCursor)
        return True

    def continue_pan(self, event: QMouseEvent) -> bool:
        """Whether this move went into a pan; also pans while a box is drawn with the button held and Space pressed."""
        is_left_held = bool(event.buttons() & Qt.MouseButton.LeftButton)
        if self._pan_from is None and self._is_space_held and is_left_held:
            self._pan_from = event.position()
        if self._pan_from is None:
            return False
        shift = event.position() - self._pan_from
        self._pan_from = event.position()
        self.pan_by(shift.x(), shift.y())
        return True

    def end_pan(self) -> bool:
        """Whether a pan has ended by this release."""
        was_panning, self._pan_from = self._pan_from is not None, None
        return was_panning

    def hold_space(self, is_held: bool) -> None:
        """Space makes the left button pan."""
        self._is_space_held = is_held
        if not is_held:
            self._pan_from = None

    @property
    def is_panning(self) -> bool:
        """Whether the mouse moves the picture, or would with the button down."""
        return self._pan_from is not None or self._is_space_held

    # Painting

    def paint_layer(self, painter: QPainter) -> None:
        """Paint what lies on the picture and is cached with it."""

    def layer_state(self) -> tuple[object, ...]:
        """What ``paint_layer`` depends on beside the view: while it stays equal, the cached layer is shown."""
        return ()

    @property
    def has_between(self) -> bool:
        """Whether ``paint_between`` paints something."""
        return False

    def paint_between(self, painter: QPainter) -> None:
        """Paint what lies on the picture, under ``paint_layer``, and changes more often than both."""

    def paint_over(self, painter: QPainter) -> None:
        """Paint what changes under the mouse."""

    def repaint_layer(self) -> None:
        """Throw the cached layers away."""
        self._layers.clear()
        self.update()

    def on_theme_changed(self) -> None:
        """Take the new colours."""
        self.repaint_layer()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the layers, anew if something in them has changed, and what lies over them."""
        size, ratio = self.size(), self.devicePixelRatioF()
        with QPainter(self) as painter:  # ends also when something fails: Qt dies of a painter left open
            if self.has_between:
                painter.drawPixmap(0, 0, self._layers.ground((self.view,), size, ratio, self._paint_ground))
                self.paint_between(painter)
                key = (self.view, self.layer_state())
                painter.drawPixmap(0, 0, self._layers.top(key, size, ratio, self._paint_top))
            else:
                key = (self.view, self.layer_state())
                painter.drawPixmap(0, 0, self._layers.whole(key, size, ratio, self._paint_whole))
            self.paint_over(painter)
            if self.hasFocus() and self._has_keyboard_focus:
                painter.setPen(QPen(QColor(theme.current().accent), 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _paint_whole(self, painter: QPainter) -> None:
        self._paint_ground(painter)
        self._paint_top(painter)

    def _paint_ground(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), QColor(theme.current().canvas))
        if self._picture is not None:
            self._picture.paint(painter, self.view, self.width(), self.height(), self.devicePixelRatioF())
        elif self.showing is not Showing.NOTHING:
            left, top = self.view.to_screen(0, 0)
            right, bottom = self.view.to_screen(*self.image_size)
            paint_tile(painter, QRectF(left, top, right - left, bottom - top), theme.current(), self._is_problem)

    def _paint_top(self, painter: QPainter) -> None:
        self.paint_layer(painter)
        if self._picture is None:
            text = sentence_for(self.showing, self._note)
            paint_sentence(painter, text, QRectF(self.rect()), self.font(), theme.current(), self._is_problem)

    @property
    def _is_problem(self) -> bool:
        return self.showing in (Showing.MISSING, Showing.DAMAGED)

    # What Qt tells

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit again, or keep the middle of what is seen in the middle."""
        if self._fit is Fit.FREE and event.oldSize().isValid():
            grown = event.size() - event.oldSize()
            self._look(self.view.panned(grown.width() / 2, grown.height() / 2))
        self._refit()
        super().resizeEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse is over no pixel any more."""
        self.pointer_moved.emit(None)
        super().leaveEvent(event)

    def tell_pointer(self, at: QPointF) -> None:
        """Emit ``pointer_moved`` for a screen position."""
        x, y = self.view.to_px(at.x(), at.y())
        is_inside = 0 <= x < self.image_size[0] and 0 <= y < self.image_size[1]
        self.pointer_moved.emit((int(x), int(y)) if is_inside and self.showing is not Showing.NOTHING else None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the focus when the keyboard brought it."""
        self._has_keyboard_focus = event.reason() in _BY_KEYBOARD
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Keys that were held are held no more, as far as this widget will ever know."""
        self.hold_space(False)
        super().focusOutEvent(event)
        self.update()
