"""A picture at halving sizes, so that the canvas always draws from a level near the zoom it shows."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

SMALLEST_SIDE = 1024


def mip_pyramid(rgb_HW3: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The picture itself, then each level half of the last, until the long side has at most 1024 pixels.

    Odd sides round up; a side never falls below one pixel.
    """
    levels = [rgb_HW3]
    while max(levels[-1].shape[:2]) > SMALLEST_SIDE:
        halved = PillowImage.fromarray(levels[-1]).reduce(2)
        levels.append(np.asarray(halved))
    return levels
