"""Optimiser and learning rate.  The rate is a function of the step, so a resumed run needs no scheduler's memory."""

import math

import torch
from torch import nn

ADAM_BETAS = (0.9, 0.98)


def make_optimizer(module: nn.Module, *, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over the parameters that want gradients; vectors and scalars (norms, biases, temperature) do not decay.

    Source: CLOC (arXiv:2410.02746), Table A, for the betas.

    Raises:
        ValueError: nothing in the module wants a gradient.
    """
    wanted = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not wanted:
        raise ValueError("no parameter of the module wants a gradient")
    matrices = [parameter for parameter in wanted if parameter.ndim > 1]
    others = [parameter for parameter in wanted if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=learning_rate, betas=ADAM_BETAS)


def learning_rate_at(step: int, *, peak: float, num_warmup_steps: int, num_steps: int) -> float:
    """Rate of the step with this number, counted from 0: a line up to ``peak``, then a half cosine to 0.

    The first step has ``peak / num_warmup_steps``, step ``num_warmup_steps`` has ``peak``.
    """
    if step < num_warmup_steps:
        return peak * (step + 1) / num_warmup_steps
    share = (step - num_warmup_steps) / max(1, num_steps - num_warmup_steps)
    return peak * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
