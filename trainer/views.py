"""What part of an image a training step sees, and the way back.

A view is a window of the upright image, maybe mirrored.  It is one 3x3 matrix that takes a point of the view to a
point of the image, both in ``unit`` frames; crop, flip and scale are exact, whatever the side of a grid.  Values of a
grid lie in the middle of its cells.

Axes: B = images, L = classes, W = side of a heatmap of the whole image, G = side of a view's maps.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from locstudio.models.sampling import letterbox_matrix, sample

__all__ = ["View", "draw_view", "fold_back", "letterbox_matrix", "sample", "view_pixels"]

_MAX_RATIO = 4 / 3
_TRIES = 10
_SLIVER = 1e-4  # of a cell; what rounding makes of an edge between two cells is no part of either


@dataclass(frozen=True, slots=True)
class View:
    """A window (x0, y0, x1, y1) of an image in the ``unit`` frame, mirrored left to right or not.

    Raises:
        ValueError: the window has no area or leaves the image.
    """

    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    is_flipped: bool = False

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.window
        if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            raise ValueError(f"a view is a part of the image, not {self.window}")

    def matrix(self) -> Tensor:
        """The record of the view: takes points (x, y, 1) of the view to points of the image, float32 (3, 3)."""
        x0, y0, x1, y1 = self.window
        wide, left = (x0 - x1, x1) if self.is_flipped else (x1 - x0, x0)
        return torch.tensor([[wide, 0.0, left], [0.0, y1 - y0, y0], [0.0, 0.0, 1.0]])


def draw_view(rng: np.random.Generator, size: tuple[int, int], min_scale: float, flips: bool) -> View:
    """A random view: a share of the image's area from ``min_scale`` to 1, of a shape from 3:4 to 4:3 in pixels.

    Args:
        rng: Where chance comes from.
        size: Width and height of the image in pixels; only their ratio matters.
        min_scale: Smallest share of the area; 1 is the whole image, always.
        flips: Mirror every other view.

    Raises:
        ValueError: the share is not in (0, 1].

    Source: GoogLeNet's training (arXiv:1409.4842), with the tries and the fall-back that torchvision has.  Not there:
    an image too long for such shapes is shown in windows of its whole short side, for its middle alone would be seen.
    """
    if not 0 < min_scale <= 1:
        raise ValueError(f"a view shows a share of the image in (0, 1], not {min_scale}")
    window = (0.0, 0.0, 1.0, 1.0) if min_scale == 1 else _draw_window(rng, size[0] / size[1], min_scale)
    return View(window, is_flipped=bool(flips and rng.random() < 0.5))


def view_pixels(rgb_HW3: NDArray[np.uint8], view: View, side: int) -> NDArray[np.uint8]:
    """The pixels (side, side, 3) of a view, its window stretched to a square."""
    height, width = rgb_HW3.shape[:2]
    x0, y0, x1, y1 = view.window
    # Cut first: a resampling reads pixels beyond the box that it is given.
    left, top, right, bottom = int(x0 * width), int(y0 * height), math.ceil(x1 * width), math.ceil(y1 * height)
    box = (x0 * width - left, y0 * height - top, x1 * width - left, y1 * height - top)
    cut = PillowImage.fromarray(rgb_HW3[top:bottom, left:right])
    picture = cut.resize((side, side), PillowImage.Resampling.BILINEAR, box=box)
    pixels_HW3 = np.asarray(picture)
    return np.ascontiguousarray(pixels_HW3[:, ::-1] if view.is_flipped else pixels_HW3)


def fold_back(running_BLWW: Tensor, view_BLGG: Tensor, matrix_B33: Tensor, momentum: float) -> Tensor:
    """T's inverse: heatmaps of whole images after a view of each is averaged in (inputs are left alone).

    A cell that the window covers becomes ``momentum`` times what it was plus the rest times the view's value there; one
    that it covers in part moves by that part of it, and one outside stays bit for bit.

    Args:
        running_BLWW: What is remembered.
        view_BLGG: Probabilities of the views; no gradient goes through.
        matrix_B33: The records of the views, of crops and flips only.
        momentum: How much of the past stays.
    """
    side = running_BLWW.shape[-1]
    seen_BLWW = sample(view_BLGG.detach(), torch.linalg.inv(matrix_B33), side)
    moves_B1WW = (1 - momentum) * _coverage(matrix_B33, side)[:, None]
    return torch.lerp(running_BLWW, seen_BLWW, moves_B1WW.expand_as(running_BLWW))


def _coverage(matrix_B33: Tensor, side: int) -> Tensor:
    """The share of each cell of a heatmap that lies in the window, (B, W, W)."""
    ends_B32 = matrix_B33 @ matrix_B33.new_tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    low_B2, high_B2 = ends_B32[:, :2].amin(dim=2), ends_B32[:, :2].amax(dim=2)
    edge = torch.arange(side, device=matrix_B33.device, dtype=matrix_B33.dtype)
    inside_B2W = torch.minimum(edge + 1, side * high_B2[..., None]) - torch.maximum(edge, side * low_B2[..., None])
    inside_B2W = ((inside_B2W - _SLIVER) / (1 - 2 * _SLIVER)).clamp(0.0, 1.0)
    return inside_B2W[:, 1, :, None] * inside_B2W[:, 0, None, :]


def _draw_window(rng: np.random.Generator, image_ratio: float, min_scale: float) -> tuple[float, float, float, float]:
    if max(image_ratio, 1 / image_ratio) > _MAX_RATIO / min_scale:
        share = rng.uniform(min_scale, 1.0)
        start = rng.uniform(0.0, 1.0 - share)
        end = min(start + share, 1.0)
        return (start, 0.0, end, 1.0) if image_ratio > 1 else (0.0, start, 1.0, end)
    for _ in range(_TRIES):
        area = rng.uniform(min_scale, 1.0)
        ratio = math.exp(rng.uniform(-math.log(_MAX_RATIO), math.log(_MAX_RATIO))) / image_ratio
        wide, high = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if wide <= 1 and high <= 1:
            x0, y0 = rng.uniform(0.0, 1.0 - wide), rng.uniform(0.0, 1.0 - high)
            return x0, y0, min(x0 + wide, 1.0), min(y0 + high, 1.0)
    wide = min(1.0, _MAX_RATIO / image_ratio)
    high = min(1.0, _MAX_RATIO * image_ratio)
    return (1 - wide) / 2, (1 - high) / 2, (1 + wide) / 2, (1 + high) / 2
