"""The rivals the Prompter is measured against: RoIAlign on the tokens, and encoding the crop again.

Axes: B = images, R = boxes of an image, N = image tokens, C = token width, E = embedding width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from locstudio.models.prompter import encode_points

_SAMPLES = 7


class RoiAlign(nn.Module):
    """Average of 7 x 7 bilinear samples in a box, a norm, a linear map ("CLOC without Prompter", Table 2 row 4)."""

    def __init__(self, *, width: int, dim: int, text_width: int, grid: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.grid, self.width = grid, width
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)
        self.project = nn.Linear(width, dim)
        self.text_prompt = nn.Linear(text_width, width)

    def prepare(self, tokens_BNC: Tensor) -> Tensor:
        """The tokens as they are."""
        return tokens_BNC

    def embed_boxes(self, prepared_BNC: Tensor, boxes_BR4: Tensor) -> Tensor:
        """Embeddings (B, R, E) of boxes in the ``square`` frame, L2-normalised."""
        return F.normalize(
            self.project(self.drop(self.norm(roi_average(prepared_BNC[:, 1:], boxes_BR4, self.grid)))), dim=-1
        )

    def state_of_texts(self, prepared_BNC: Tensor, text_BRE: Tensor) -> Tensor:
        """Pooled states (B, R, C) of texts: tokens and their places, weighted by likeness to the text."""
        asked = self.text_prompt(text_BRE)
        keys = self.norm(prepared_BNC[:, 1:])
        weights = (torch.einsum("brc,bnc->brn", asked, keys) / self.width**0.5).softmax(dim=-1)
        cells = (torch.arange(self.grid, device=asked.device) + 0.5) / self.grid
        centres = torch.stack(torch.meshgrid(cells, cells, indexing="xy"), dim=-1).reshape(-1, 2)
        return torch.einsum("brn,bnc->brc", weights, keys + encode_points(centres, self.width))


def roi_average(grid_BNC: Tensor, boxes_BR4: Tensor, grid: int) -> Tensor:
    """Mean of 7 x 7 bilinear samples of a token grid in each box, shape (B, R, C).

    Source: He et al., Mask R-CNN (arXiv:1703.06870), with aligned half-cell centres.
    """
    steps = (torch.arange(_SAMPLES, device=grid_BNC.device) + 0.5) / _SAMPLES
    x = boxes_BR4[..., 0, None] + steps * (boxes_BR4[..., 2, None] - boxes_BR4[..., 0, None])
    y = boxes_BR4[..., 1, None] + steps * (boxes_BR4[..., 3, None] - boxes_BR4[..., 1, None])
    points = torch.stack(
        [x[:, :, None, :].expand(-1, -1, _SAMPLES, -1), y[:, :, :, None].expand(-1, -1, -1, _SAMPLES)], -1
    )
    maps = grid_BNC.transpose(1, 2).unflatten(2, (grid, grid))
    sampled = F.grid_sample(maps, points.flatten(2, 3) * 2 - 1, padding_mode="border", align_corners=False)
    return sampled.mean(dim=-1).transpose(1, 2)


def crop_pixels(pixels_B3HW: Tensor, boxes_BR4: Tensor, side: int) -> Tensor:
    """Square crops (B, R, 3, side, side) around each box, its long side filling the crop, sampled bilinearly."""
    centre = (boxes_BR4[..., :2] + boxes_BR4[..., 2:]) / 2
    half = (boxes_BR4[..., 2:] - boxes_BR4[..., :2]).amax(dim=-1, keepdim=True) / 2
    steps = (torch.arange(side, device=pixels_B3HW.device) + 0.5) / side * 2 - 1
    x = centre[..., 0, None] + half * steps
    y = centre[..., 1, None] + half * steps
    points = torch.stack([x[:, :, None, :].expand(-1, -1, side, -1), y[:, :, :, None].expand(-1, -1, -1, side)], dim=-1)
    num_boxes = boxes_BR4.shape[1]
    crops = F.grid_sample(pixels_B3HW, points.flatten(1, 2) * 2 - 1, padding_mode="border", align_corners=False)
    return crops.unflatten(2, (num_boxes, side)).transpose(1, 2)
