"""The gradient of one batch of a Mobile V-MoE.

Axes: B = images, L = classes, E = experts.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from locstudio.jobs.configs import VmoeTraining
from locstudio.models.mobile_vmoe import MobileVmoe, Routed
from trainer.device import autocast
from trainer.losses.routing import importance_loss, load_loss, router_cross_entropy, superclass_targets
from trainer.losses.weighting import mean_of


@dataclass(frozen=True, slots=True, eq=False)
class VmoeBatch:
    """Images of a step.

    Attributes:
        inputs: Cells or pixels.
        target_BL: How much of an image each class takes; of mixed images mixed.
        weight_B: How much an image counts.
        seed_B: What a router by chance draws by; None to draw anew.
    """

    inputs: Tensor
    target_BL: Tensor
    weight_B: Tensor
    seed_B: Tensor

    def to(self, device: torch.device) -> "VmoeBatch":
        """On a device."""
        return VmoeBatch(
            self.inputs.to(device, non_blocking=True),
            self.target_BL.to(device, non_blocking=True),
            self.weight_B.to(device, non_blocking=True),
            self.seed_B.to(device, non_blocking=True),
        )

    def mixed(self, share: float, partner_B: Tensor) -> "VmoeBatch":
        """Each image mixed with its partner, and so its classes, of which it keeps ``share``.

        Source: mixup (arXiv:1710.09412).  What experts are drawn by stays the image's own.
        """
        return replace(
            self,
            inputs=torch.lerp(self.inputs[partner_B].float(), self.inputs.float(), share),
            target_BL=torch.lerp(self.target_BL[partner_B], self.target_BL, share),
            weight_B=torch.lerp(self.weight_B[partner_B], self.weight_B, share),
        )


class VmoeStep:
    """Adds the gradient of L_C + lambda L_router, or of L_C and the losses of balance.

    Args:
        model: What learns.
        training: How.
    """

    def __init__(self, model: MobileVmoe, training: VmoeTraining) -> None:
        self._model = model
        self._training = training
        self._is_taught = model.config.routing == "superclass"
        self._is_balanced = model.config.routing in ("image", "token")

    def __call__(self, batch: VmoeBatch) -> dict[str, Tensor]:
        """The terms by name, detached, ``loss`` among them; a loss that is no number adds nothing."""
        config = self._model.config
        group_BE = None
        if config.superclass_of:
            group_BE = superclass_targets(batch.target_BL, config.superclass_of, len(config.superclasses))
        with autocast(self._model.device):
            routed = self._model(
                batch.inputs,
                superclass_B=None if group_BE is None else group_BE.argmax(dim=1),
                seed_B=batch.seed_B,
            )
        classes = class_loss(routed.logits_BL.float(), batch.target_BL, batch.weight_B, self._training.label_smoothing)
        loss, terms = classes, {"dense" if config.routing == "dense" else "class": classes}
        if self._is_taught and group_BE is not None:
            router = router_cross_entropy(routed.router_logits[0].float(), group_BE, batch.weight_B)
            loss, terms = loss + self._training.router_weight * router, terms | {"router": router}
        elif self._is_balanced and routed.router_logits:
            balance = balance_of(routed, config.num_active)
            loss, terms = loss + self._training.balance_weight * balance, terms | {"balance": balance}
        if torch.isfinite(loss):
            loss.backward()
        return {"loss": loss.detach()} | {name: term.detach() for name, term in terms.items()}


def class_loss(logits_BL: Tensor, target_BL: Tensor, weight_B: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with the shares of classes, smoothed; the weighted mean over images, in nats.

    Args:
        logits_BL: Of the classes.
        target_BL: Shares, rows sum to one.
        weight_B: How much an image counts.
        smoothing: Share of the target that all classes have alike (arXiv:1512.00567).
    """
    log_BL = logits_BL.log_softmax(dim=1)
    own_B = -(target_BL * log_BL).sum(dim=1)
    loss_B = (1 - smoothing) * own_B - smoothing * log_BL.mean(dim=1)
    return mean_of(loss_B, weight_B)


def balance_of(routed: Routed, num_active: int) -> Tensor:
    """Importance and load losses, each the mean over routers, added."""
    pairs = list(zip(routed.router_logits, routed.noisy_logits, strict=True))
    importance = torch.stack([importance_loss(plain) for plain, _ in pairs]).mean()
    load = torch.stack([load_loss(plain, noisy, num_active) for plain, noisy in pairs]).mean()
    return importance + load
