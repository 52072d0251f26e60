"""Heat over a picture, as a picture.  Axes: W = side of a heatmap, H = height and V = width of the picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from locstudio.services.heat.colormaps import DEFAULT_COLORMAP, color_table


def heat_picture(
    rgb_HV3: NDArray[np.uint8],
    map_WW: NDArray[np.uint8],
    *,
    colormap: str = DEFAULT_COLORMAP,
    opacity: float = 0.6,
    low: int = 0,
    high: int = 255,
    is_inverted: bool = False,
) -> NDArray[np.uint8]:
    """A picture with heat over it, between the cells as everywhere bilinear.

    Args:
        rgb_HV3: The upright picture.
        map_WW: Its heat.
        colormap: One of ``COLORMAPS``.
        opacity: Of the heat, in [0, 1], everywhere the same, so that a colour always means the same value.
        low: What has the first colour of the map; colder is like it.
        high: What has the last one.
        is_inverted: Take the colours from the other end.

    Raises:
        LookupError: there is no such colour map.
        ValueError: ``high`` is not above ``low``.
    """
    if high <= low:
        raise ValueError(f"heat is drawn from a lower to a higher value, not from {low} to {high}")
    height, width = rgb_HV3.shape[:2]
    whole = PillowImage.fromarray(np.asarray(map_WW, np.float32)).resize(
        (width, height), PillowImage.Resampling.BILINEAR
    )
    value_HV = np.clip((np.asarray(whole) - low) * (255 / (high - low)), 0, 255)
    colors_HV3 = color_table(colormap, is_inverted=is_inverted)[np.rint(value_HV).astype(np.uint8)]
    mixed_HV3 = rgb_HV3 * np.float32(1 - opacity) + colors_HV3 * np.float32(opacity)
    return np.rint(mixed_HV3).astype(np.uint8)
