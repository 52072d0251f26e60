"""Losses of routers.

Axes: B = images, E = experts, L = classes, M = whatever is routed: images, or tokens of images.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from trainer.losses.weighting import mean_of


def superclass_targets(target_BL: Tensor, superclass_of: Sequence[int], num_superclasses: int) -> Tensor:
    """Targets (B, E) of the router: those of the classes, summed over each superclass.

    Args:
        target_BL: Share of each class; of mixed images mixed.
        superclass_of: Superclass of each class.
        num_superclasses: E.

    Raises:
        ValueError: there is not one superclass for each class.
    """
    if len(superclass_of) != target_BL.shape[1]:
        raise ValueError(f"{len(superclass_of)} superclasses are not one for each of {target_BL.shape[1]} classes")
    places_L = torch.tensor(list(superclass_of), dtype=torch.int64, device=target_BL.device)
    return target_BL.new_zeros(len(target_BL), num_superclasses).index_add(1, places_L, target_BL)


def router_cross_entropy(
    router_logits_BE: Tensor, superclass_target_BE: Tensor, weight_B: Tensor | None = None
) -> Tensor:
    """Cross-entropy of the router's full softmax, before the choice, with the superclass; mean over images, in nats.

    Args:
        router_logits_BE: Of all experts.
        superclass_target_BE: What ``superclass_targets`` gives; a row of zeros says nothing.
        weight_B: How much each image counts.

    Raises:
        ValueError: the two differ in shape.

    Source: Mobile V-MoE (arXiv:2309.04354), L_g, weighted there by 0.3.
    """
    if router_logits_BE.shape != superclass_target_BE.shape:
        raise ValueError(f"{tuple(router_logits_BE.shape)} logits, {tuple(superclass_target_BE.shape)} targets")
    loss_B = -(superclass_target_BE * router_logits_BE.float().log_softmax(dim=1)).sum(dim=1)
    known_B = (superclass_target_BE.sum(dim=1) > 0).to(loss_B.dtype)
    return mean_of(loss_B, known_B if weight_B is None else weight_B * known_B)


def importance_loss(router_logits_ME: Tensor) -> Tensor:
    """How unequally probability is spread over experts: the squared coefficient of variation of its sums; 0 is even.

    Source: V-MoE (arXiv:2106.05974), appendix A.2, as its public code has it, of logits without noise.
    """
    return _squared_variation(router_logits_ME.float().softmax(dim=-1).flatten(0, -2).sum(dim=0))


def load_loss(router_logits_ME: Tensor, noisy_logits_ME: Tensor, num_active: int) -> Tensor:
    """How unequally experts are likely to be chosen, were the noise drawn again: a squared coefficient of variation.

    Args:
        router_logits_ME: Without noise.
        noisy_logits_ME: With the noise by which experts were chosen; its standard deviation is 1 / E.
        num_active: Experts that are chosen (k).

    Raises:
        ValueError: the two differ in shape.

    Source: V-MoE (arXiv:2106.05974), appendix A.2, as its public code has it.
    """
    if router_logits_ME.shape != noisy_logits_ME.shape:
        raise ValueError(f"{tuple(router_logits_ME.shape)} logits, {tuple(noisy_logits_ME.shape)} with noise")
    num_experts = router_logits_ME.shape[-1]
    logits_ME, noisy_ME = router_logits_ME.float().flatten(0, -2), noisy_logits_ME.float().flatten(0, -2)
    threshold_M1 = noisy_ME.topk(num_active, dim=1).values[:, -1:]
    missing_ME = (threshold_M1 - logits_ME) * num_experts
    chosen_ME = 0.5 * torch.erfc(missing_ME / math.sqrt(2))
    return _squared_variation(chosen_ME.mean(dim=0))


def _squared_variation(amount_E: Tensor) -> Tensor:
    return amount_E.var(unbiased=False) / amount_E.mean().clamp(min=torch.finfo(amount_E.dtype).tiny) ** 2
