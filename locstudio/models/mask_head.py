"""A small promptable mask head: Segment Anything's own prompt encoder and mask decoder, in the frame of a window.

Axes: B = prompts, K = points of a prompt, C = channels, N = tokens, H, W = cells of a map, S = side of a window's mask.

A window is a box in the ``square`` frame, a little larger than the thing.  Everything is sampled into it, tokens and
finer maps of the tower alike, so that a cup and a bus look equally large; few masks are enough to learn from.
"""

import math
from dataclasses import dataclass

import msgspec
import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from locstudio.models.config import TowerConfig

GRID = 12  # cells of a window's image embedding
MASK_SIDE = 4 * GRID  # logits of a window
FINE_WIDTHS = (24, 48)  # channels of the tower's maps at stride 4 and 8
BOX_MARGIN = 1.4  # side of a window in sides of the box it is for
POSITIVE, NEGATIVE, NO_POINT = 1, 0, -1

_FRAME_PX = 256  # the prompt encoder counts in pixels of a window; any number would do
_SMALLEST_SIDE = 1e-3
_DISC_RADIUS = 0.2  # of the window's side


class MaskConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``config.json`` of a mask head.

    Args:
        name: What it is called.
        tower: The towers whose maps it reads.
        token_width: Width of the tokens it reads.
        tokens_sha256: Names the map from the tower to tokens; see ``mask_segmenter.tokens_sha256``.
        dim: Width inside the head.
        depth: Layers of the decoder's transformer.
        dropout: Share of token channels left out while training.
    """

    name: str
    tower: TowerConfig
    token_width: int
    tokens_sha256: str
    dim: int = 128
    depth: int = 2
    dropout: float = 0.1
    format_version: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class ImageMaps:
    """What the head reads of one image: maps over the whole square, each of shape (1, C, H, W), float32.

    ``coarse`` are the tokens without the global one, ``middle`` and ``fine`` the tower's maps at stride 8 and 4,
    ``rgb`` the pixels, about zero.
    """

    coarse: Tensor
    middle: Tensor
    fine: Tensor
    rgb: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class WindowMaps:
    """The same, sampled into windows: (B, C, G, G) for ``coarse``, twice and four times as fine for the others."""

    coarse: Tensor
    middle: Tensor
    fine: Tensor
    rgb: Tensor
    sides_B2: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """What is asked, in the ``window`` frame (both sides of the window scaled to [0, 1]).

    ``points_BK2`` with ``labels_BK`` (1 inside the thing, 0 outside, -1 no point) and ``boxes_B4``; one may be None.
    """

    points_BK2: Tensor | None
    labels_BK: Tensor | None
    boxes_B4: Tensor | None


class MaskHead(nn.Module):
    """From maps in windows and prompts to mask logits and the overlap that each mask is expected to reach.

    Not in Segment Anything: logits begin with the ellipse inscribed in the box, or a disc around the points, from which
    the decoder only has to learn the difference; and convolutions that see the maps themselves refine what it says.
    """

    def __init__(self, config: MaskConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.enter_coarse = nn.Sequential(LayerNorm2d(config.token_width), nn.Conv2d(config.token_width, dim, 1))
        self.drop = nn.Dropout2d(config.dropout)
        self.enter_middle = nn.Sequential(
            LayerNorm2d(FINE_WIDTHS[1]), nn.Conv2d(FINE_WIDTHS[1], dim, 3, stride=2, padding=1)
        )
        self.size = nn.Linear(2, dim)
        self.look = nn.Sequential(
            nn.GELU(), nn.Conv2d(dim, dim, 5, padding=2, groups=dim), nn.Conv2d(dim, dim, 1), LayerNorm2d(dim)
        )
        self.prompt_encoder = PromptEncoder(
            embed_dim=dim,
            image_embedding_size=(GRID, GRID),
            input_image_size=(_FRAME_PX, _FRAME_PX),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            num_multimask_outputs=0,
            transformer=TwoWayTransformer(depth=config.depth, embedding_dim=dim, mlp_dim=2 * dim, num_heads=8),
            transformer_dim=dim,
            iou_head_depth=3,
            iou_head_hidden_dim=dim,
        )
        self.prior = nn.Parameter(torch.tensor([2.0, 0.0, 3.0, -1.0]))  # slope and height of ellipses, then of discs
        self.join_coarse = nn.Conv2d(dim, 24, 1)
        self.join_middle = nn.Sequential(LayerNorm2d(FINE_WIDTHS[1]), nn.Conv2d(FINE_WIDTHS[1], 24, 1))
        self.join = nn.Sequential(nn.GELU(), nn.Conv2d(24, 24, 3, padding=1), nn.GELU())
        self.enter_fine = nn.Sequential(LayerNorm2d(FINE_WIDTHS[0]), nn.Conv2d(FINE_WIDTHS[0], 12, 1))
        self.refine = nn.Sequential(
            nn.Conv2d(24 + 12 + 3 + 1, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, 1, 3, padding=1)
        )
        last = self.refine[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, maps: WindowMaps, prompts: Prompts) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, S, S), the coarse logits (B, S, S) that they refine, and expected overlaps (B,), about [0, 1]."""
        image_BCHW = self._embedding(maps)
        points = None
        if prompts.points_BK2 is not None:
            points = (prompts.points_BK2 * _FRAME_PX - 0.5, prompts.labels_BK)
        boxes = None if prompts.boxes_B4 is None else prompts.boxes_B4 * _FRAME_PX - 0.5
        painted = None if prompts.boxes_B4 is None else paint_boxes(prompts.boxes_B4, MASK_SIDE)[:, None]
        sparse_BKC, dense_BCHW = self.prompt_encoder(points=points, boxes=boxes, masks=painted)
        # The decoder takes one image embedding for all prompts; here each prompt has its own window, which enters where
        # a prompt's own map does.
        logits_B1SS, expected_B1 = self.mask_decoder(
            image_embeddings=torch.zeros_like(image_BCHW[:1]),
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse_BKC,
            dense_prompt_embeddings=dense_BCHW + image_BCHW,
            multimask_output=False,
        )
        logits_B1SS = logits_B1SS + self._first_guess(prompts)[:, None]
        joined = self.join(_twice(self.join_coarse(image_BCHW)) + self.join_middle(maps.middle))
        seen = torch.cat([_twice(joined), self.enter_fine(maps.fine), maps.rgb, logits_B1SS.clamp(-8, 8)], dim=1)
        refined_B1SS = logits_B1SS + self.refine(seen)
        return refined_B1SS[:, 0], logits_B1SS[:, 0], expected_B1[:, 0]

    def _first_guess(self, prompts: Prompts) -> Tensor:
        """Logits (B, S, S) that know no picture."""
        slope, height, disc_slope, disc_height = self.prior.unbind()
        if prompts.boxes_B4 is not None:
            return slope * (1 - ellipse_radius2(prompts.boxes_B4, MASK_SIDE)).clamp(min=-3) + height
        assert prompts.points_BK2 is not None
        assert prompts.labels_BK is not None
        return disc_slope * nearness(prompts.points_BK2, prompts.labels_BK, MASK_SIDE) + disc_height

    def _embedding(self, maps: WindowMaps) -> Tensor:
        sides = torch.log(maps.sides_B2.clamp(min=_SMALLEST_SIDE))
        entered = self.drop(self.enter_coarse(maps.coarse)) + self.enter_middle(maps.middle)
        return self.look(entered + self.size(sides)[:, :, None, None])


def sample_windows(maps: ImageMaps, windows_B4: Tensor, *, is_flipped: bool = False) -> WindowMaps:
    """The maps in windows of the ``square`` frame; beyond the square its border goes on."""
    return WindowMaps(
        coarse=_sampled(maps.coarse, windows_B4, GRID, is_flipped),
        middle=_sampled(maps.middle, windows_B4, 2 * GRID, is_flipped),
        fine=_sampled(maps.fine, windows_B4, MASK_SIDE, is_flipped),
        rgb=_sampled(maps.rgb, windows_B4, MASK_SIDE, is_flipped),
        sides_B2=windows_B4[:, 2:] - windows_B4[:, :2],
    )


def windows_around(boxes_B4: Tensor, margin: float = BOX_MARGIN) -> Tensor:
    """Windows with the same centres as boxes and ``margin`` times their sides."""
    centres = (boxes_B4[:, :2] + boxes_B4[:, 2:]) / 2
    halves = (boxes_B4[:, 2:] - boxes_B4[:, :2]).clamp(min=_SMALLEST_SIDE) / 2 * margin
    return torch.cat([centres - halves, centres + halves], dim=1)


def to_window(points_BK2: Tensor, windows_B4: Tensor) -> Tensor:
    """Points of the ``square`` frame in the ``window`` frame of their row."""
    low, sides = windows_B4[:, None, :2], windows_B4[:, None, 2:] - windows_B4[:, None, :2]
    return (points_BK2 - low) / sides


def paint_boxes(boxes_B4: Tensor, side: int) -> Tensor:
    """Boxes in the ``window`` frame as maps (B, side, side): 1 inside, -1 outside, between the two on the edge."""
    centres = (torch.arange(side, device=boxes_B4.device) + 0.5) / side

    def covered(low_B: Tensor, high_B: Tensor) -> Tensor:
        near = torch.minimum(centres[None] - low_B[:, None], high_B[:, None] - centres[None])
        return (near * side + 0.5).clamp(0, 1)

    across = covered(boxes_B4[:, 0], boxes_B4[:, 2])
    down = covered(boxes_B4[:, 1], boxes_B4[:, 3])
    return 2 * down[:, :, None] * across[:, None, :] - 1


def ellipse_radius2(boxes_B4: Tensor, side: int) -> Tensor:
    """Squared distance (B, side, side) from the middle of boxes in the ``window`` frame; 1 on the inscribed ellipse."""
    steps = (torch.arange(side, device=boxes_B4.device) + 0.5) / side
    middle_B2 = (boxes_B4[:, :2] + boxes_B4[:, 2:]) / 2
    radius_B2 = ((boxes_B4[:, 2:] - boxes_B4[:, :2]) / 2).clamp(min=_SMALLEST_SIDE)
    across = ((steps[None] - middle_B2[:, :1]) / radius_B2[:, :1]) ** 2
    down = ((steps[None] - middle_B2[:, 1:]) / radius_B2[:, 1:]) ** 2
    return down[:, :, None] + across[:, None, :]


def nearness(points_BK2: Tensor, labels_BK: Tensor, side: int) -> Tensor:
    """How near (B, side, side) a place in the ``window`` frame is to a point inside the thing, from 1 down to 0."""
    steps = (torch.arange(side, device=points_BK2.device) + 0.5) / side
    across = (steps - points_BK2[..., :1]) ** 2
    down = (steps - points_BK2[..., 1:]) ** 2
    near_BKSS = torch.exp(-(down[..., :, None] + across[..., None, :]) / (2 * _DISC_RADIUS**2))
    return (near_BKSS * (labels_BK == POSITIVE)[..., None, None]).amax(dim=1)


def _twice(map_BCHW: Tensor) -> Tensor:
    return F.interpolate(map_BCHW, scale_factor=2, mode="bilinear", align_corners=False)


def _sampled(map_1CHW: Tensor, windows_B4: Tensor, side: int, is_flipped: bool) -> Tensor:
    steps = (torch.arange(side, device=windows_B4.device) + 0.5) / side
    across = windows_B4[:, None, 0] + (windows_B4[:, None, 2] - windows_B4[:, None, 0]) * steps
    down = windows_B4[:, None, 1] + (windows_B4[:, None, 3] - windows_B4[:, None, 1]) * steps
    if is_flipped:
        across = across.flip(1)
    grid_BHW2 = torch.stack(torch.broadcast_tensors(across[:, None, :], down[:, :, None]), dim=-1) * 2 - 1
    # Laid out as one tall picture, so that the map itself is not repeated.
    count = len(windows_B4)
    tall = F.grid_sample(
        map_1CHW, grid_BHW2.reshape(1, count * side, side, 2), padding_mode="border", align_corners=False
    )
    return tall.view(map_1CHW.shape[1], count, side, side).transpose(0, 1)


def spread(logits_SS: Tensor, window_px: tuple[float, float, float, float], width: int, height: int) -> Tensor:
    """The mask of a window (XYXY in pixels of the picture) as pixels (height, width) of the picture, bool.

    Only the part around positive logits is looked at, so that a small thing in a large picture costs little.
    """
    mask = torch.zeros(height, width, dtype=torch.bool)
    rows = (logits_SS > 0).any(dim=1).nonzero()
    columns = (logits_SS > 0).any(dim=0).nonzero()
    if not len(rows):
        return mask
    x0, y0, x1, y1 = window_px
    step_x, step_y = (x1 - x0) / logits_SS.shape[1], (y1 - y0) / logits_SS.shape[0]
    left = max(0, math.floor(x0 + (int(columns[0]) - 1) * step_x))
    right = min(width, math.ceil(x0 + (int(columns[-1]) + 2) * step_x))
    top = max(0, math.floor(y0 + (int(rows[0]) - 1) * step_y))
    bottom = min(height, math.ceil(y0 + (int(rows[-1]) + 2) * step_y))
    if left >= right or top >= bottom:
        return mask
    across = (torch.arange(left, right) + 0.5 - x0) / (x1 - x0) * 2 - 1
    down = (torch.arange(top, bottom) + 0.5 - y0) / (y1 - y0) * 2 - 1
    grid = torch.stack(torch.broadcast_tensors(across[None, :], down[:, None]), dim=-1)
    spread_HW = F.grid_sample(logits_SS[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]
    is_inside = (across.abs() <= 1)[None, :] & (down.abs() <= 1)[:, None]
    mask[top:bottom, left:right] = (spread_HW > 0) & is_inside
    return mask
