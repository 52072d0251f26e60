"""Layers of a vision transformer, and an MLP of which there are several: each image computes the ones chosen for it.

Axes: B = images, N = tokens of an image (the class token first), D = token width, H = width inside an MLP, E = experts,
k = experts that compute, G = groups that choose together (an image with its tokens, or a token by itself), P = pairs of
a group and an expert, sorted by expert.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROUTER_STD = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Dispatch:
    """Which groups go through which expert.

    ``slices`` are expert, start and stop in the pairs sorted by expert.  ``group_P`` takes groups to pairs, and
    ``place_P`` their results back to where the gates are: a group's pairs side by side.  Both are None where the pairs
    are in order as they are.
    """

    gates_P11: Tensor
    num_groups: int
    num_active: int
    slices: tuple[tuple[int, int, int], ...]
    group_P: Tensor | None = None
    place_P: Tensor | None = None

    @classmethod
    def of(cls, experts_Gk: Tensor, gates_Gk: Tensor) -> "Dispatch":
        """Sort the choices (``experts_Gk``, int64) by expert; a result is multiplied by its gate."""
        num_groups, num_active = experts_Gk.shape
        gates_P11 = gates_Gk.reshape(-1, 1, 1)
        if num_groups == 1:
            chosen = enumerate(experts_Gk[0].tolist())
            return cls(gates_P11, 1, num_active, tuple((expert, place, place + 1) for place, expert in chosen))
        order_P = experts_Gk.flatten().argsort(stable=True)
        place_P = torch.empty_like(order_P)
        place_P[order_P] = torch.arange(len(order_P), device=order_P.device)
        return cls(gates_P11, num_groups, num_active, _slices(experts_Gk), order_P // num_active, place_P)

    @classmethod
    def in_order(cls, experts_G1: Tensor, gates_G1: Tensor) -> "Dispatch":
        """One expert a group, and the groups are sorted by expert already."""
        return cls(gates_G1[:, :, None], len(experts_G1), 1, _slices(experts_G1))


class Mlp(nn.Module):
    """Two linear maps with a GELU between.

    Matrices of all layers are drawn by their widths, as in the first vision transformer's code; DeiT's fixed 0.02 is
    far too little for tokens of 48 to 96 numbers.
    """

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.enter = nn.Linear(width, hidden)
        self.leave = nn.Linear(hidden, width)
        self.dropout = dropout
        for linear in (self.enter, self.leave):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x_GND: Tensor) -> Tensor:
        """Each token by itself; shape kept."""
        inside = F.gelu(self.enter(x_GND))
        return self.leave(F.dropout(inside, self.dropout) if self.training and self.dropout else inside)


class Experts(nn.Module):
    """E times the weights of one ``Mlp``, of which a group computes k.

    Source: V-MoE (arXiv:2106.05974), without its capacity: no group is ever left out.
    """

    def __init__(self, num_experts: int, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.enter_weight = nn.Parameter(torch.empty(num_experts, hidden, width))
        self.enter_bias = nn.Parameter(torch.zeros(num_experts, hidden))
        self.leave_weight = nn.Parameter(torch.empty(num_experts, width, hidden))
        self.leave_bias = nn.Parameter(torch.zeros(num_experts, width))
        self.dropout = dropout
        for weight_EXX in (self.enter_weight, self.leave_weight):
            for weight in weight_EXX.detach():
                nn.init.xavier_uniform_(weight)

    def forward(self, x_GND: Tensor, dispatch: Dispatch) -> Tensor:
        """The sum of the chosen experts' results, each times its gate; shape kept."""
        x_PND = x_GND
        if dispatch.group_P is not None:
            x_PND = x_GND.index_select(0, dispatch.group_P)
        elif dispatch.num_active > 1:
            x_PND = x_GND.expand(dispatch.num_active, -1, -1)
        if len(dispatch.slices) == 1:
            place = dispatch.slices[0][0]
            weights = (self.enter_weight, self.enter_bias, self.leave_weight, self.leave_bias)
            y_PND = self._mlp(x_PND, *(weight[place] for weight in weights))
        else:
            y_PND = self._of_slices(x_PND, dispatch.slices)
        if dispatch.place_P is not None:
            y_PND = y_PND.index_select(0, dispatch.place_P)
        y_PND = y_PND * dispatch.gates_P11
        return y_PND if dispatch.num_active == 1 else y_PND.unflatten(0, (-1, dispatch.num_active)).sum(dim=1)

    def _of_slices(self, x_PND: Tensor, slices: tuple[tuple[int, int, int], ...]) -> Tensor:
        # Taken apart at once, gradients of weights are put together at once; one by one, each is of the size of all.
        weights = (self.enter_weight, self.enter_bias, self.leave_weight, self.leave_bias)
        of_expert = list(zip(*(weight.unbind() for weight in weights), strict=True))
        rows = x_PND.flatten(0, 1)
        sizes = [(stop - start) * x_PND.shape[1] for _, start, stop in slices]
        parts = list(zip(rows.split(sizes), [of_expert[expert] for expert, _, _ in slices], strict=True))
        if torch.is_grad_enabled():
            return torch.cat([self._mlp(part, *weights) for part, weights in parts]).view_as(x_PND)
        # In place, without copies, and what needs no weights for all at once.
        inside, result = rows.new_empty(len(rows), self.enter_bias.shape[1]), torch.empty_like(rows)
        for (part, (enter, enter_bias, _, _)), into in zip(parts, inside.split(sizes), strict=True):
            torch.addmm(enter_bias, part, enter.t(), out=into)
        inside = F.gelu(inside)
        for (_, (_, _, leave, leave_bias)), part, into in zip(
            parts, inside.split(sizes), result.split(sizes), strict=True
        ):
            torch.addmm(leave_bias, part, leave.t(), out=into)
        return result.view_as(x_PND)

    def _mlp(self, x: Tensor, enter: Tensor, enter_bias: Tensor, leave: Tensor, leave_bias: Tensor) -> Tensor:
        inside = F.gelu(F.linear(x, enter, enter_bias))
        return F.linear(
            F.dropout(inside, self.dropout) if self.training and self.dropout else inside, leave, leave_bias
        )


class Attention(nn.Module):
    """Every token looks at all tokens of its image."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.enter = nn.Linear(width, 3 * width)
        self.leave = nn.Linear(width, width)
        for matrix in (*self.enter.weight.detach().chunk(3), self.leave.weight):
            nn.init.xavier_uniform_(matrix)
        for linear in (self.enter, self.leave):
            nn.init.zeros_(linear.bias)

    def forward(self, x_BND: Tensor) -> Tensor:
        """What the tokens saw; shape kept."""
        query, key, value = self.enter(x_BND).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.leave(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention, then an MLP or experts; each reads the normalised tokens and adds to them (pre-norm, as DeiT's).

    Args:
        width: Of a token.
        heads: Of the attention.
        hidden: Width inside the MLP, or inside each expert.
        num_experts: 0 for a plain MLP.
        has_shared_expert: One more MLP beside the experts, that always computes.
        has_router: The layer has its own router, for single tokens.
        dropout: Share of the numbers left out inside MLPs while training.
        drop_path: Share of the images for which a part of the layer is left out while training.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        num_experts: int = 0,
        has_shared_expert: bool = False,
        has_router: bool = False,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        is_plain = num_experts == 0
        self.mlp = Mlp(width, hidden, dropout) if is_plain or has_shared_expert else None
        self.experts = None if is_plain else Experts(num_experts, width, hidden, dropout)
        self.router = nn.Linear(width, num_experts, bias=False) if has_router else None
        if self.router is not None:
            nn.init.trunc_normal_(self.router.weight, std=ROUTER_STD)
        self.drop_path = drop_path

    def forward(self, x_BND: Tensor, dispatch: Dispatch | None = None) -> Tensor:
        """Both parts; a layer with experts must be told whom to ask."""
        x_BND = self.attend(x_BND)
        return self.compute(x_BND, self.mlp_norm(x_BND), dispatch)

    def attend(self, x_BND: Tensor) -> Tensor:
        """The first part."""
        return x_BND + self._dropped(self.attention(self.attention_norm(x_BND)))

    def compute(self, x_BND: Tensor, normed_BND: Tensor, dispatch: Dispatch | None) -> Tensor:
        """The second part, given ``mlp_norm`` of what the first has made."""
        result_BND = None if self.mlp is None else self.mlp(normed_BND)
        if self.experts is not None:
            assert dispatch is not None
            if dispatch.num_groups == len(normed_BND):
                by_experts = self.experts(normed_BND, dispatch)
            else:
                groups_GND = normed_BND.reshape(dispatch.num_groups, -1, normed_BND.shape[2])
                by_experts = self.experts(groups_GND, dispatch).view_as(x_BND)
            result_BND = by_experts if result_BND is None else result_BND + by_experts
        assert result_BND is not None
        return x_BND + self._dropped(result_BND)

    def _dropped(self, x_BND: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return x_BND
        kept_B11 = x_BND.new_empty(len(x_BND), 1, 1).bernoulli_(1 - self.drop_path)
        return x_BND * (kept_B11 / (1 - self.drop_path))


def _slices(experts_Gk: Tensor) -> tuple[tuple[int, int, int], ...]:
    slices, start = [], 0
    for expert, count in enumerate(experts_Gk.flatten().bincount().tolist()):
        if count:
            slices.append((expert, start, start + count))
        start += count
    return tuple(slices)
