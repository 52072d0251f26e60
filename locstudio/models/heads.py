"""Small heads on top of the Prompter and the tokens.

Axes: B = images, N = tokens, C = token width, T = texts, A = anchors, P = proposals.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from locstudio.domain.geometry import suppress_overlaps

ANCHOR_SIDES = (0.04, 0.09, 0.2, 0.42, 0.8)
ANCHOR_RATIOS = (0.45, 1.0, 2.2)
_MAX_LOG_SCALE = 2.0
_RARE = -4.0  # logit of objectness at the start: few anchors hold an object


class GroundingHead(nn.Module):
    """From the state of a text to its box: two layers with GELU, corners through a sigmoid.

    Source: CLOC (arXiv:2410.02746), "BoxHead".  The paper leaves the output open; here a sigmoid, and corners put in
    order, so that every answer is a box.
    """

    def __init__(self, *, width: int, hidden: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, 4))

    def forward(self, states_BTC: Tensor) -> Tensor:
        """Boxes (B, T, 4) in the ``square`` frame, XYXY."""
        corners = self.layers(states_BTC).sigmoid()
        first, second = corners[..., :2], corners[..., 2:]
        return torch.cat([torch.minimum(first, second), torch.maximum(first, second)], dim=-1)


class ProposalHead(nn.Module):
    """Where objects are, of any class: for each cell of the grid and each of 15 anchor shapes, an objectness and a box.

    A box is the anchor moved and scaled as in Faster R-CNN (arXiv:1506.01497); objectness is trained towards the
    overlap that the box reaches.
    """

    anchors_A4: Tensor

    def __init__(self, *, width: int, grid: int, hidden: int = 192) -> None:
        super().__init__()
        self.grid = grid
        self.num_shapes = len(ANCHOR_SIDES) * len(ANCHOR_RATIOS)
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Conv2d(width, hidden, 1)
        self.look = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.GELU(),
        )
        self.wide = nn.Sequential(nn.Conv2d(hidden, hidden, 7, padding=9, dilation=3, groups=hidden), nn.GELU())
        self.leave = nn.Conv2d(2 * hidden, 5 * self.num_shapes, 1)
        nn.init.normal_(self.leave.weight, std=0.01)
        self.leave.bias = nn.Parameter(torch.tensor([_RARE, 0.0, 0.0, 0.0, 0.0]).repeat(self.num_shapes))
        self.register_buffer("anchors_A4", anchors(grid), persistent=False)

    def forward(self, tokens_BNC: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, A) of objectness and boxes (B, A, 4) in the ``square`` frame, XYXY, not yet cut at its edges."""
        maps = self.norm(tokens_BNC[:, 1:]).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        near = self.look(self.enter(maps))
        out = self.leave(torch.cat([near, self.wide(near)], dim=1)).flatten(2).transpose(1, 2)
        out = out.reshape(len(out), len(self.anchors_A4), 5)
        return out[..., 0], decode_boxes(out[..., 1:], self.anchors_A4)


def anchors(grid: int) -> Tensor:
    """Centre-size anchors (A, 4) of a grid in the ``square`` frame: every cell, then every shape."""
    cells = (torch.arange(grid) + 0.5) / grid
    y, x = torch.meshgrid(cells, cells, indexing="ij")
    centres = torch.stack([x, y], dim=-1).reshape(-1, 1, 2)
    shapes = torch.tensor([(side * ratio**0.5, side / ratio**0.5) for side in ANCHOR_SIDES for ratio in ANCHOR_RATIOS])
    return torch.cat([centres.expand(-1, len(shapes), -1), shapes.expand(len(centres), -1, -1)], dim=-1).reshape(-1, 4)


def decode_boxes(offsets_BA4: Tensor, anchors_A4: Tensor) -> Tensor:
    """Boxes XYXY of anchors moved by a share of their sides and scaled by an exponential, at most e squared."""
    centre = anchors_A4[:, :2] + offsets_BA4[..., :2] * anchors_A4[:, 2:]
    half = anchors_A4[:, 2:] * offsets_BA4[..., 2:].clamp(-_MAX_LOG_SCALE, _MAX_LOG_SCALE).exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def best_proposals(
    boxes_A4: NDArray[np.float32], scores_A: NDArray[np.float32], *, limit: int, max_iou: float = 0.6
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """At most ``limit`` boxes cut at the square's edges, best first, none overlapping a better one by more than
    ``max_iou``.
    """
    boxes = np.clip(boxes_A4, 0.0, 1.0)
    rows = np.flatnonzero(((boxes[:, 2:] - boxes[:, :2]) > 1e-3).all(axis=1))
    rows = rows[np.argsort(-scores_A[rows], kind="stable")[: 20 * limit]]
    keep = rows[suppress_overlaps(boxes[rows], scores_A[rows], max_iou, limit)]
    return boxes[keep], scores_A[keep]
