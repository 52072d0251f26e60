"""Thumbnails as JPEG bytes.  Keeping them is `store.thumbnails`' work."""

from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from locstudio.media.decode import decode_rgb

QUALITY = 85


def thumbnail_jpeg(path: Path, side: int = 256) -> bytes:
    """A picture file as an upright JPEG whose long side has at most ``side`` pixels; small pictures keep their size.

    Raises:
        ImageProblem: nothing of it can be decoded.
    """
    return jpeg_of(decode_rgb(path, max_side=side))


def jpeg_of(rgb_HW3: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """RGB8 pixels as JPEG bytes."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(rgb_HW3), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return encoded
