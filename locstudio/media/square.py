"""The padded square that a model sees; engine and trainer make it here and nowhere else."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from locstudio.domain.geometry import Letterbox, UnitBox
from locstudio.media.decode import decode_upright, read_header, resized

PADDING = (124, 116, 104)
"""Neutral grey: ImageNet's mean colour, about zero after the models' normalisation."""

_MAX_STRETCHED = 8


def load_square(path: Path, side: int) -> tuple[NDArray[np.uint8], Letterbox]:
    """A picture resized into the middle of a square of ``side`` pixels, and the map of its boxes into that square.

    The array is (side, side, 3) RGB8.  Inside ``Letterbox.content(side)`` a picture larger than the square has exactly
    the pixels of ``decode_rgb(path, max_side=side)``; a smaller one is enlarged.

    Raises:
        ImageProblem: nothing of it can be decoded.
    """
    picture, header = decode_upright(path, side)
    letterbox = Letterbox(header.width, header.height)
    return _padded(picture, letterbox, side), letterbox


def load_stretched(path: Path, side: int, box: UnitBox | None = None) -> NDArray[np.uint8]:
    """A picture, or a box of it, stretched to a square of ``side`` pixels, whatever its shape: (side, side, 3) RGB8.

    Raises:
        ImageProblem: nothing of it can be decoded.
    """
    header = read_header(path)
    x0, y0, x1, y1 = box.as_tuple() if box is not None else (0.0, 0.0, 1.0, 1.0)
    longer = max(header.width, header.height)
    shorter = max(1.0, min(header.width * (x1 - x0), header.height * (y1 - y0)))
    # Decoded so that the shorter side is large enough, unless that side is a mere strip, or a speck.
    picture, _ = decode_upright(path, min(math.ceil(side * longer / shorter), _MAX_STRETCHED * side))
    width, height = picture.size
    inside = None if box is None else (x0 * width, y0 * height, x1 * width, y1 * height)
    return np.array(resized(picture, (side, side), inside))


def square_of(rgb_HW3: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], Letterbox]:
    """``load_square`` of pixels that are there already."""
    letterbox = Letterbox(rgb_HW3.shape[1], rgb_HW3.shape[0])
    return _padded(PillowImage.fromarray(rgb_HW3), letterbox, side), letterbox


def _padded(picture: PillowImage.Image, letterbox: Letterbox, side: int) -> NDArray[np.uint8]:
    left, top, right, bottom = letterbox.content(side)
    if picture.size != (right - left, bottom - top):
        picture = resized(picture, (right - left, bottom - top))
    square = np.empty((side, side, 3), np.uint8)
    square[:] = PADDING
    square[top:bottom, left:right] = np.asarray(picture)
    return square
