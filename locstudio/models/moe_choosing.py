"""Who chooses experts: a router's probabilities, chance, or somebody from outside.

Axes: B = images, N = tokens, D = token width, E = experts, k = experts that compute, X = rows of images, or of images
and tokens.
"""

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.models.moe_layers import ROUTER_STD


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One router's decision about rows X: images, or images and tokens."""

    probabilities_XE: Tensor
    experts_Xk: Tensor
    gates_Xk: Tensor
    logits_XE: Tensor | None = None
    noisy_XE: Tensor | None = None


def seed_of(identity: str) -> int:
    """What ``random`` draws an image's experts by, given its content's hash or another name."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:4], "big") & 0x7FFFFFFF


class Router(nn.Module):
    """Logits of the experts from an image's class token: a linear map without a bias, behind a norm of its own."""

    def __init__(self, width: int, num_experts: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.weight = nn.Parameter(torch.empty(num_experts, width))
        nn.init.trunc_normal_(self.weight, std=ROUTER_STD)

    def forward(self, token_BD: Tensor) -> Tensor:
        """Logits (B, E)."""
        return F.linear(self.norm(token_BD), self.weight)


def likeliest(logits_XE: Tensor, noise: float, config: VmoeConfig) -> Choice:
    """The k experts of the largest probabilities, which are their gates.

    Source: V-MoE (arXiv:2106.05974) and its public code: a softmax over all experts before the choice, and no sum of
    one after it, but where the configuration asks for that.
    """
    logits_XE = logits_XE.float()
    noisy_XE = logits_XE + noise * torch.randn_like(logits_XE) if noise else logits_XE
    probabilities_XE = noisy_XE.softmax(dim=-1)
    gates_Xk, experts_Xk = probabilities_XE.topk(config.num_active, dim=-1)
    if config.renormalises:
        gates_Xk = gates_Xk / gates_Xk.sum(dim=-1, keepdim=True)
    return Choice(probabilities_XE, experts_Xk, gates_Xk, logits_XE, noisy_XE)


def drawn(seed_B: Tensor, config: VmoeConfig) -> Choice:
    """k different experts by chance, the same for the same seed, and all with the same gate."""
    places_E = torch.arange(config.num_experts, device=seed_B.device)
    # The finisher of SplitMix64 (Steele et al., 2014), so that neighbouring seeds have nothing in common.
    mixed_BE = seed_B[:, None] * config.num_experts + places_E
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        mixed_BE = (mixed_BE ^ ((mixed_BE >> shift) & (2 ** (64 - shift) - 1))) * factor
    mixed_BE = mixed_BE ^ ((mixed_BE >> 31) & (2**33 - 1))
    experts_Bk = mixed_BE.argsort(dim=1)[:, : config.num_active]
    gates_Bk = torch.full(experts_Bk.shape, 1 / config.num_active, device=seed_B.device)
    probabilities_BE = torch.zeros(mixed_BE.shape, device=seed_B.device).scatter(1, experts_Bk, gates_Bk)
    return Choice(probabilities_BE, experts_Bk, gates_Bk)


def forced(choice: Choice, forced_X: Tensor) -> Choice:
    """One expert from outside in place of the chosen ones, with their gates together."""
    gates_X1 = choice.gates_Xk.sum(dim=-1, keepdim=True)
    forced_X1 = forced_X.to(gates_X1.device)[..., None]
    return Choice(choice.probabilities_XE, forced_X1, gates_X1, choice.logits_XE, choice.noisy_XE)


def of_images(choice: Choice, config: VmoeConfig) -> Choice:
    """What the tokens of each image chose, as shares of them."""
    first_BNE = F.one_hot(choice.experts_Xk[..., 0], config.num_experts)
    shares_BE = first_BNE.float().mean(dim=1)
    gates_Bk, experts_Bk = shares_BE.topk(choice.experts_Xk.shape[-1], dim=1)
    return Choice(shares_BE, experts_Bk, gates_Bk, choice.logits_XE, choice.noisy_XE)
