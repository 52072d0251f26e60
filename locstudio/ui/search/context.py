"""The part of an image that a hit's tile shows: the box and what is around it."""

from locstudio.domain.geometry import UnitBox

_AROUND = 1.5  # side of the view in longer sides of the box
_SMALLEST = 0.14  # of the shorter side of the image, so that a tiny box is seen in its place


def context_of(box: UnitBox, width: int, height: int, smallest: float = _SMALLEST) -> UnitBox:
    """A view of the image around the box: square where the image is large enough, always inside the image.

    Args:
        box: What the view must contain.
        width: Of the upright image, in pixels.
        height: The same.
        smallest: Least side of the view, as a share of the image's shorter side.
    """
    x0, y0, x1, y1 = box.to_pixels(width, height)
    side = max((x1 - x0) * _AROUND, (y1 - y0) * _AROUND, min(width, height) * smallest)
    left, right = _span(x0, x1, side, width)
    top, bottom = _span(y0, y1, side, height)
    return UnitBox(left / width, top / height, right / width, bottom / height)


def _span(low: float, high: float, side: float, limit: float) -> tuple[float, float]:
    side = min(max(side, high - low), limit)
    start = min(max((low + high - side) / 2, 0.0), limit - side)
    return start, min(start + side, limit)


def inside(box: UnitBox, view: UnitBox) -> tuple[float, float, float, float]:
    """The corners of the box in shares of the view, XYXY, cut at its edges."""
    width, height = view.x1 - view.x0, view.y1 - view.y0
    return (
        min(max((box.x0 - view.x0) / width, 0.0), 1.0),
        min(max((box.y0 - view.y0) / height, 0.0), 1.0),
        min(max((box.x1 - view.x0) / width, 0.0), 1.0),
        min(max((box.y1 - view.y0) / height, 0.0), 1.0),
    )
