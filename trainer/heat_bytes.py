"""Running averages in bytes.

A byte is too coarse to average by: with a momentum of 0.8 a value within 2.5 / 255 of what it should become would stay
where it is.  So a value is rounded up or down by a threshold that changes from epoch to epoch, the same for every run;
what is kept is right on average, and zero and one are exact.

Axes: B = images, K = maps an image, W = side of a map.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_GOLDEN = 0.6180339887498949


def to_bytes(maps_BKWW: Floats, threshold_WW: Floats) -> NDArray[np.uint8]:
    """Shares in [0, 1] as bytes, rounded up where what is left of a byte is more than ``1 - threshold_WW``."""
    scaled_BKWW = np.multiply(maps_BKWW, np.float32(255))
    scaled_BKWW += threshold_WW
    return np.clip(scaled_BKWW, 0, 255, out=scaled_BKWW).astype(np.uint8)


def threshold_of(grid: int, epoch: int) -> Floats:
    """For every cell a number in [0, 1) that fills the range evenly over epochs, and over cells."""
    cells = np.arange(grid * grid, dtype=np.float64).reshape(grid, grid)
    found_WW = (cells * 0.7548776662466927 + epoch * _GOLDEN + 0.5) % 1.0
    # Away from the ends, so that a whole number of bytes stays one whatever float32 makes of it.
    return np.clip(found_WW, 0.002, 0.998).astype(np.float32)
