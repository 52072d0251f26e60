"""Proposals from points of four grids, the finest twice as fine as the tokens.

Axes: B = images, N = tokens, C = token width, A = points, H, W = cells of a grid, E = channels.  Maps are BHWE, so that
norms and linear maps act on the last axis.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POINT_SIDES = (0.035, 0.09, 0.22, 0.55)
"""Side of the box, as a share of the square, that a point of each grid stands for before it learns; finest first."""
_MAX_LOG_SCALE = 2.5
_RARE = -4.5  # logit of objectness at the start: few points hold an object
_DROPOUT = 0.1
_TOKEN_DROPOUT = 0.2


class PointHead(nn.Module):
    """Where objects are, of any class: every point of four grids has one objectness and one box.

    Tokens are narrowed, looked at on coarser and coarser grids and brought back (a feature pyramid, arXiv:1612.03144);
    what is below a token's size is read from a grid twice as fine.  A box is the point moved by cells, and the grid's
    side scaled by an exponential.  Objectness is trained towards the overlap that the box reaches.
    """

    centre_A2: Tensor
    cell_A: Tensor
    side_A: Tensor

    def __init__(self, *, width: int, grid: int, hidden: int = 128, fine: int = 48) -> None:
        """Raises ``ValueError`` where the grid cannot be halved twice."""
        super().__init__()
        if grid % 4:
            raise ValueError(f"a grid of {grid} x {grid} tokens cannot be halved twice")
        self.grid = grid
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Linear(width, hidden)
        self.look_1 = Look(hidden)
        self.to_half = nn.Linear(4 * hidden, hidden)
        self.look_half = nn.Sequential(Look(hidden), Look(hidden))
        self.to_quarter = nn.Linear(4 * hidden, hidden)
        self.look_quarter = nn.Sequential(Look(hidden), Look(hidden))
        self.from_quarter = nn.Linear(hidden, hidden)
        self.again_half = Look(hidden)
        self.from_half = nn.Linear(hidden, hidden)
        self.again_1 = Look(hidden)
        self.to_double = nn.Linear(hidden, 4 * fine)
        self.look_double = Look(fine)
        self.leave = nn.ModuleList([_leave(channels) for channels in (fine, hidden, hidden, hidden)])
        centres, cells, sides = points(grid)
        self.register_buffer("centre_A2", centres, persistent=False)
        self.register_buffer("cell_A", cells, persistent=False)
        self.register_buffer("side_A", sides, persistent=False)

    def forward(self, tokens_BNC: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, A) of objectness and boxes (B, A, 4) in the ``square`` frame, XYXY, not yet cut at its edges."""
        grid_BNC = self.norm(tokens_BNC[:, 1:])
        if self.training:  # the same channels are left out everywhere in an image
            kept_B1C = F.dropout(torch.ones_like(grid_BNC[:, :1]), _TOKEN_DROPOUT)
            grid_BNC = grid_BNC * kept_B1C
        whole = self.look_1(self.enter(grid_BNC).unflatten(1, (self.grid, self.grid)))
        half = self.look_half(self.to_half(folded(whole)))
        quarter = self.look_quarter(self.to_quarter(folded(half)))
        half = self.again_half(half + widened(self.from_quarter(quarter)))
        whole = self.again_1(whole + widened(self.from_half(half)))
        double = self.look_double(unfolded(self.to_double(whole)))
        maps = zip(self.leave, (double, whole, half, quarter), strict=True)
        out_BA5 = torch.cat([leave(grid).flatten(1, 2) for leave, grid in maps], dim=1).float()
        centre_BA2 = self.centre_A2 + out_BA5[..., 1:3] * self.cell_A[:, None]
        scale_BA2 = out_BA5[..., 3:].clamp(-_MAX_LOG_SCALE, _MAX_LOG_SCALE).exp()
        half_BA2 = self.side_A[:, None] * scale_BA2 / 2
        return out_BA5[..., 0], torch.cat([centre_BA2 - half_BA2, centre_BA2 + half_BA2], dim=-1)


class Look(nn.Module):
    """Each cell with its eight neighbours, then by itself: what it adds to what it was.

    Source: ConvNeXt (arXiv:2201.03545), its block, three cells wide and twice as deep inside.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.up = nn.Linear(channels, 2 * channels)
        self.down = nn.Linear(2 * channels, channels)

    def forward(self, map_BHWE: Tensor) -> Tensor:
        """A map of the same shape."""
        near = self.near(map_BHWE.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        added = self.down(F.gelu(self.up(self.norm(near))))
        return map_BHWE + F.dropout(added, _DROPOUT, self.training)


def points(grid: int) -> tuple[Tensor, Tensor, Tensor]:
    """Centres (A, 2), cell sides (A,) and box sides (A,) of the four grids, the finest first, row by row."""
    centres, cells, sides = [], [], []
    for count, side in zip((2 * grid, grid, grid // 2, grid // 4), POINT_SIDES, strict=True):
        steps = (torch.arange(count) + 0.5) / count
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        centres.append(torch.stack([x, y], dim=-1).reshape(-1, 2))
        cells.append(torch.full((count * count,), 1 / count))
        sides.append(torch.full((count * count,), side))
    return torch.cat(centres), torch.cat(cells), torch.cat(sides)


def folded(map_BHWE: Tensor) -> Tensor:
    """Four cells as one: half the height and width, four times the channels."""
    batch, height, width, channels = map_BHWE.shape
    cells = map_BHWE.reshape(batch, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 2, 4, 5)
    return cells.reshape(batch, height // 2, width // 2, 4 * channels)


def unfolded(map_BHWE: Tensor) -> Tensor:
    """One cell as four: twice the height and width, a quarter of the channels."""
    batch, height, width, channels = map_BHWE.shape
    cells = map_BHWE.reshape(batch, height, width, 2, 2, channels // 4).permute(0, 1, 3, 2, 4, 5)
    return cells.reshape(batch, 2 * height, 2 * width, channels // 4)


def widened(map_BHWE: Tensor) -> Tensor:
    """Every cell four times."""
    return map_BHWE.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)


def _leave(channels: int) -> nn.Sequential:
    last = nn.Linear(channels, 5)
    nn.init.normal_(last.weight, std=0.01)
    last.bias = nn.Parameter(torch.tensor([_RARE, 0.0, 0.0, 0.0, 0.0]))
    return nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU(), last)
