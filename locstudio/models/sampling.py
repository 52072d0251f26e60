"""Grids of values over an image, looked at through a 3x3 matrix.  Values lie in the middle of their cells.

Axes: B = images, C = channels, H, W = cells of a grid, P = places.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from locstudio.domain.geometry import Letterbox


def letterbox_matrix(width: int, height: int) -> Tensor:
    """Takes points of the upright image (``unit``) to points of a model's padded square, float32 (3, 3)."""
    x0, y0, x1, y1 = Letterbox(width, height).to_square(np.array([[0.0, 0.0, 1.0, 1.0]], np.float32))[0].tolist()
    return torch.tensor([[x1 - x0, 0.0, x0], [0.0, y1 - y0, y0], [0.0, 0.0, 1.0]])


def sample(grid_BCHW: Tensor, matrix_B33: Tensor, size: int) -> Tensor:
    """T: what each view shows of a grid over the whole image (or square), bilinear, (B, C, size, size).

    ``matrix_B33`` takes points (x, y, 1) of the view to points of the grid's frame, both from 0 to 1.  Beyond the grid
    its border goes on.
    """
    middle = (torch.arange(size, device=grid_BCHW.device, dtype=torch.float32) + 0.5) / size
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    points_P3 = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)
    places_BP2 = (points_P3 @ matrix_B33.to(points_P3).transpose(1, 2))[..., :2]
    around_BHW2 = (2 * places_BP2 - 1).reshape(-1, size, size, 2).to(grid_BCHW.dtype)
    return F.grid_sample(grid_BCHW, around_BHW2, mode="bilinear", padding_mode="border", align_corners=False)
