"""Colour tables for heat: lightness rises evenly, so that order is seen without colour too.  Axes: V = values (256).

Cividis looks the same to people with and without red-green blindness.  Viridis, cividis and magma are known maps of
matplotlib (dedicated to the public, CC0), kept as 17 points with straight lines between them: nowhere more than 7 of
255 from the original.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POINTS = {
    "viridis": "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1f9f88 27ad81 3dbc74 5cc863 81d34d"
    " aadc32 d5e21a fde725",
    "cividis": "00204d 002c69 06366e 2d426c 414d6b 52596c 61646f 6f7073 7d7c78 8b8779 9b9477 aca174 bcaf6f cebc68"
    " e0cb5e f2da50 ffea46",
    "magma": "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 cf4070 e55064 f4695c fb8761 fea571"
    " fec287 fde0a1 fcfdbf",
    "gray": "000000 ffffff",
}
COLORMAPS = tuple(_POINTS)
DEFAULT_COLORMAP = "viridis"


@cache
def color_table(name: str, *, is_inverted: bool = False) -> NDArray[np.uint8]:
    """The colours of the values 0 to 255, RGB, uint8 (V, 3), read-only.

    Raises:
        LookupError: there is no such colour map.
    """
    if name not in _POINTS:
        raise LookupError(f"no colour map {name!r}, only {', '.join(COLORMAPS)}")
    points_P3 = np.array([list(bytes.fromhex(point)) for point in _POINTS[name].split()], np.float64)
    places_P = np.linspace(0, 255, len(points_P3))
    values_V = np.arange(256)
    channels = [np.interp(values_V, places_P, points_P3[:, channel]) for channel in range(3)]
    table_V3 = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    table_V3 = table_V3[::-1].copy() if is_inverted else table_V3
    table_V3.setflags(write=False)
    return table_V3
