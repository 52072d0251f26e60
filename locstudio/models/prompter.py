"""The Prompter of CLOC: a box or a text, asked of an image's tokens, becomes an embedding.

Axes: B = images, R = boxes or texts of an image, P = prompt tokens of one of them, N = image tokens, C = token width,
E = embedding width, G = side of the token grid.

Source: CLOC (arXiv:2410.02746), section 3.  A prompt is vectorised, put before the image tokens, and the whole passes a
transformer encoder of one layer and one head, then the Prompter's own average pooler and projection.  Two forms:

* ``literal``, the paper's: all tokens attend to all, the pooler averages all.  Nothing can be kept between boxes.
* ``prompter``: image tokens are only keys and values, so they are normalised once an image, and a box costs its own few
  tokens.  The pooler averages what is left, the prompt's tokens.  Not in the paper.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoids(values: Tensor, width: int) -> Tensor:
    """Encode numbers in [0, 1] by sines and cosines of geometrically spaced frequencies, ``width`` on a last axis.

    Source: Vaswani et al. (arXiv:1706.03762), with positions scaled to 0..100, so that a pixel makes a difference.
    """
    frequencies = torch.exp(-math.log(1e4) * torch.arange(width // 2, device=values.device) * 2 / width)
    angles = values[..., None] * 100.0 * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def encode_points(points: Tensor, width: int) -> Tensor:
    """Sinusoids of points (..., 2) in the ``square`` frame: x in the first half of ``width``, y in the second."""
    return torch.cat([sinusoids(points[..., 0], width // 2), sinusoids(points[..., 1], width // 2)], dim=-1)


def box_weights(boxes_BR4: Tensor, grid: int) -> Tensor:
    """Share of every grid token in the bilinear average over a box, shape (B, R, G * G); rows sum to one.

    The average of RoIAlign with infinitely many samples: each token is a tent of one cell's half-width, integrated over
    the box.  A box smaller than a cell is interpolated between its neighbours.
    """
    scaled = boxes_BR4.clamp(0, 1) * grid
    across = _tent_integral(scaled[..., 0], scaled[..., 2], grid)
    down = _tent_integral(scaled[..., 1], scaled[..., 3], grid)
    weights = (down[..., :, None] * across[..., None, :]).flatten(-2)
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-12)


def _tent_integral(low: Tensor, high: Tensor, grid: int) -> Tensor:
    # A thousandth of a cell keeps the quotient away from 0 / 0 where a box has lost its extent.
    high = torch.maximum(high, low + 1e-3)
    centres = torch.arange(grid, device=low.device) + 0.5
    # Beyond the outermost centres the outermost token speaks, as a clamped sample would.
    low, high = low.clamp(0.5, grid - 0.5), high.clamp(0.5, grid - 0.5)
    low = torch.minimum(low, high - 1e-3)
    return _tent(high[..., None] - centres) - _tent(low[..., None] - centres)


def _tent(offset: Tensor) -> Tensor:
    """Integral of the tent max(0, 1 - |t|) from minus infinity to ``offset``."""
    t = offset.clamp(-1, 1)
    return torch.where(t < 0, (t + 1) ** 2 / 2, 1 - (1 - t) ** 2 / 2)


# With corner embeddings the sinusoids enter at a tenth: they shall choose tokens, not be learned by heart.
_PLACE_SCALE = 0.1


class Prompter(nn.Module):
    """One pre-norm transformer layer, one head, over a prompt and an image's tokens.

    Args:
        width: Width of a token.
        dim: Width of an embedding.
        text_width: Width of the text embeddings that prompt it.
        grid: Side of the token grid; the token before the grid is the global one.
        is_literal: The paper's form; see above.
        mlp_ratio: Width of the MLP in token widths.
        has_corner_embedding: Add a learned vector to each corner, so that they differ in more than their values.
        has_box_bias: Add ``log(eps + box_weights)`` to the attention of a box's tokens, with a learned ``eps`` for each
            corner.  At the start the layer is then the average of RoIAlign; attention by content is learned on top.
        has_grid_position: Add the sinusoids of its cell to each token's key.
        dropout: Share left out, while training, of what attention gathered and inside the MLP.
    """

    position_NC: Tensor

    def __init__(
        self,
        *,
        width: int,
        dim: int,
        text_width: int,
        grid: int,
        is_literal: bool = False,
        mlp_ratio: float = 2.0,
        has_corner_embedding: bool = True,
        has_box_bias: bool = True,
        has_grid_position: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width, self.grid, self.is_literal = width, grid, is_literal
        self.has_box_bias = has_box_bias
        # Without gain: keys and values follow it with weights of their own; what is kept of an image learns nothing.
        self.norm_tokens = nn.LayerNorm(width, elementwise_affine=False)
        self.norm_mlp = nn.LayerNorm(width)
        self.norm_out = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.attended = nn.Linear(width, width)
        hidden = round(width * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width))
        self.drop = nn.Dropout(dropout)
        self.text_prompt = nn.Linear(text_width, width)
        self.project = nn.Linear(width, dim)
        self.corner_2C = nn.Parameter(torch.zeros(2, width)) if has_corner_embedding else None
        # A thousand tokens share eps: these leave 0.2 % and 5 % of the first attention outside of the box.  With -9 and
        # -6 it was 11 % and 72 %, and names of boxes were worse (top-1 on coco_dev 0.527 against 0.556, three seeds).
        self.log_eps_2 = nn.Parameter(torch.tensor([-13.0, -10.0])) if has_box_bias else None
        cells = (torch.arange(grid) + 0.5) / grid
        centres = torch.stack(torch.meshgrid(cells, cells, indexing="xy"), dim=-1).reshape(-1, 2)
        positions = encode_points(centres, width) if has_grid_position else torch.zeros(grid * grid, width)
        self.register_buffer("position_NC", F.pad(positions, (0, 0, 1, 0)), persistent=False)
        for layer in (self.query, self.key):
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(width / 384))
        for layer in (self.query, self.value, self.attended, self.text_prompt):
            nn.init.zeros_(layer.bias)

    def prepare(self, tokens_BNC: Tensor) -> Tensor:
        """What boxes and texts need of an image, once: its normalised tokens (B, N, C)."""
        return tokens_BNC if self.is_literal else self.norm_tokens(tokens_BNC)

    def prompt_of_boxes(self, boxes_BR4: Tensor) -> Tensor:
        """Two tokens a box, top-left and bottom-right, shape (B, R, 2, C)."""
        corners = encode_points(boxes_BR4.unflatten(-1, (2, 2)), self.width)
        return corners if self.corner_2C is None else _PLACE_SCALE * corners + self.corner_2C

    def embed_boxes(self, prepared_BNC: Tensor, boxes_BR4: Tensor) -> Tensor:
        """Embeddings (B, R, E) of boxes in the ``square`` frame, L2-normalised."""
        bias = None
        if self.log_eps_2 is not None:
            inside = F.pad(box_weights(boxes_BR4, self.grid), (1, 0))
            bias = torch.log(inside[:, :, None] + self.log_eps_2.exp()[:, None])
        states = self._attend(self.prompt_of_boxes(boxes_BR4), prepared_BNC, bias)
        return F.normalize(self.project(states), dim=-1)

    def state_of_texts(self, prepared_BNC: Tensor, text_BRE: Tensor) -> Tensor:
        """Pooled states (B, R, C) of text prompts, for the grounding head."""
        return self._attend(self.text_prompt(text_BRE)[:, :, None], prepared_BNC, None)

    def _attend(self, prompt_BRPC: Tensor, prepared_BNC: Tensor, bias_BRPN: Tensor | None) -> Tensor:
        if self.is_literal:
            return self._attend_all(prompt_BRPC, prepared_BNC, bias_BRPN)
        x = prompt_BRPC
        own = self.norm_tokens(x)
        query = self.query(own)
        # (x W_k) . q = x . (W_k^T q): the keys' weights are applied to the few queries, never to the many tokens,
        # and so are the values' weights, after the average.  The result is the same, box after box and in training.
        asked = query @ self.key.weight
        scale = 1 / math.sqrt(self.width)
        logits = torch.einsum("brpc,bnc->brpn", asked, prepared_BNC) + torch.einsum(
            "brpc,nc->brpn", asked, self.position_NC
        )
        logits = logits * scale if bias_BRPN is None else logits * scale + bias_BRPN
        own_logits = torch.einsum("brpc,brqc->brpq", asked, own) * scale
        if bias_BRPN is not None:
            # Two prompt tokens would outweigh an image whose weights sum to one: they start at a hundredth of it.
            own_logits = own_logits - math.log(100.0)
        weights = torch.cat([logits, own_logits], dim=-1).softmax(dim=-1)
        num_image = prepared_BNC.shape[1]
        average = torch.einsum("brpn,bnc->brpc", weights[..., :num_image], prepared_BNC)
        average = average + torch.einsum("brpq,brqc->brpc", weights[..., num_image:], own)
        x = x + self.attended(self.value(self.drop(average)))
        x = x + self.mlp(self.norm_mlp(x))
        return self.norm_out(x).mean(dim=2)

    def _attend_all(self, prompt_BRPC: Tensor, tokens_BNC: Tensor, bias_BRPN: Tensor | None) -> Tensor:
        num_images, num_boxes, num_own, _ = prompt_BRPC.shape
        image = (tokens_BNC + self.position_NC)[:, None].expand(-1, num_boxes, -1, -1)
        x = torch.cat([prompt_BRPC, image], dim=2).flatten(0, 1)
        normed = self.norm_tokens(x)
        mask = None
        if bias_BRPN is not None:
            mask = F.pad(bias_BRPN.flatten(0, 1), (num_own, 0, 0, tokens_BNC.shape[1]))
        mixed = F.scaled_dot_product_attention(self.query(normed), self.key(normed), self.value(normed), attn_mask=mask)
        x = x + self.attended(self.drop(mixed))
        x = x + self.mlp(self.norm_mlp(x))
        return self.norm_out(x).mean(dim=1).unflatten(0, (num_images, num_boxes))
