"""Where the picture lies in the widget: the map between image pixels and screen pixels, zoom and pan."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

MAX_ZOOM = 64.0
KEEP_VISIBLE = 48.0  # screen pixels of the picture that a pan always leaves in sight
FIT_MARGIN = 16.0


class Fit(Enum):
    """What the zoom follows when the widget or the image changes; ``FREE`` once a person has zoomed or panned."""

    WHOLE = "whole"
    WIDTH = "width"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class View:
    """Screen position of the image's top left corner, and screen pixels per image pixel.

    Raises:
        ValueError: the scale is not positive.
    """

    scale: float = 1.0
    left: float = 0.0
    top: float = 0.0

    def __post_init__(self) -> None:
        if not self.scale > 0.0:
            raise ValueError(f"scale must be positive, not {self.scale}")

    def to_px(self, x: float, y: float) -> tuple[float, float]:
        """Image pixel (fractional, possibly outside the image) under a screen position."""
        return (x - self.left) / self.scale, (y - self.top) / self.scale

    def to_screen(self, x: float, y: float) -> tuple[float, float]:
        """Screen position of a point in image pixels."""
        return x * self.scale + self.left, y * self.scale + self.top

    def boxes_to_screen(self, px_N4: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes in image pixels as boxes on the screen."""
        screen_N4: NDArray[np.float64] = px_N4 * self.scale + np.array([self.left, self.top, self.left, self.top])
        return screen_N4

    def visible_px(self, width: float, height: float) -> tuple[float, float, float, float]:
        """The part of the (endless) image plane that a widget of this size shows, XYXY in image pixels."""
        return (*self.to_px(0.0, 0.0), *self.to_px(width, height))

    def panned(self, dx: float, dy: float) -> "View":
        """The view after dragging the picture by so many screen pixels."""
        return replace(self, left=self.left + dx, top=self.top + dy)

    def zoomed(self, factor: float, x: float, y: float, lowest: float, highest: float) -> "View":
        """The view after zooming, the image point under the screen position (x, y) kept where it is."""
        scale = min(max(self.scale * factor, lowest), highest)
        px_x, px_y = self.to_px(x, y)
        return View(scale, x - px_x * scale, y - px_y * scale)

    def kept_in_sight(self, image: tuple[int, int], widget: tuple[float, float]) -> "View":
        """The nearest view that still shows a part of the picture, so that nobody loses it."""

        def clamp(offset: float, length_px: int, room: float) -> float:
            length = length_px * self.scale
            keep = min(KEEP_VISIBLE, length, room / 2)
            return min(max(offset, keep - length), room - keep)

        return replace(self, left=clamp(self.left, image[0], widget[0]), top=clamp(self.top, image[1], widget[1]))


def fitted(image: tuple[int, int], widget: tuple[float, float], fit: Fit, highest: float = MAX_ZOOM) -> View:
    """The view that shows the whole picture, or its whole width, centred.

    Args:
        image: Width and height of the upright image in pixels.
        widget: Width and height of the widget in screen pixels.
        fit: ``WHOLE`` or ``WIDTH``.
        highest: Upper limit of the scale: a 1 x 1 picture does not become a wall.
    """
    room_x, room_y = (max(side - 2 * FIT_MARGIN, 1.0) for side in widget)
    across, down = room_x / max(image[0], 1), room_y / max(image[1], 1)
    scale = min(across if fit is Fit.WIDTH else min(across, down), highest)
    top = (widget[1] - image[1] * scale) / 2
    if fit is Fit.WIDTH:
        top = max(top, FIT_MARGIN) if image[1] * scale <= room_y else FIT_MARGIN
    return View(scale, round((widget[0] - image[0] * scale) / 2), round(top))


def lowest_scale(image: tuple[int, int], widget: tuple[float, float]) -> float:
    """The smallest scale worth having: a quarter of the one that shows the whole picture, at most 1."""
    return min(fitted(image, widget, Fit.WHOLE).scale / 4, 1.0)
