"""Training one arm for a number of passes, and what it is then worth.

Axes: B = photos of a batch, L = classes, E = experts, R = routers, S = photos.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from locstudio.models.mobile_vmoe import MobileVmoe, Routed
from trainer.bundle.experts_arms import BALANCE_WEIGHT, ROUTER_WEIGHT, Arm, Table
from trainer.bundle.experts_photos import Source
from trainer.losses.routing import importance_loss, load_loss, router_cross_entropy, superclass_targets
from trainer.optim import learning_rate_at, make_optimizer, set_learning_rate

LABEL_SMOOTHING = 0.1
WEIGHT_DECAY = 0.05
_MAX_GRADIENT = 1.0
_WARMUP_SHARE = 0.08
_WHOLE_SHARE = 0.15
"""Of the steps, the last ones, in which all cells are seen."""
_AT_ONCE = 250
_TRAIN_LOOKED_AT = 2_000
_DEAD = 0.1
"""An expert that takes less than this part of an equal share is called dead."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a model said of photos: the place of the likeliest class, probabilities (S, L), first experts (S,) of the
    first router, and what all its routers took, (R, E)."""

    first_S: NDArray[np.int64]
    probabilities_SL: NDArray[np.float32]
    expert_S: NDArray[np.int64]
    load_RE: NDArray[np.float64]


class _Teacher(nn.Module):
    """A linear map to superclasses from the class token behind one layer, as a router reads it; for training alone."""

    def __init__(self, model: MobileVmoe, after: int, num_groups: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(model.config.width)
        self.linear = nn.Linear(model.config.width, num_groups, bias=False)
        self._token: list[Tensor] = []
        model.layers[after - 1].register_forward_hook(lambda _, __, x_BND: self._token.append(x_BND[:, 0]))

    def logits(self) -> Tensor:
        """Of the batch that the model has just seen, (B, E)."""
        logits_BE: Tensor = self.linear(self.norm(self._token[-1]))
        self._token.clear()
        return logits_BE


def begin_larger(model: MobileVmoe) -> None:
    """Draw the matrices of the layers anew by their size (Glorot): at these widths the usual 0.02 is next to nothing.

    After 40,000 photos a dense model with a convolutional stem has 2.3 % of the test photos right instead of 1.4 %.
    """
    for layer in model.layers:
        for name, weight in layer.named_parameters():
            if weight.ndim == 2:
                nn.init.xavier_uniform_(weight)
            elif weight.ndim == 3:
                for one in weight:
                    nn.init.xavier_uniform_(one)
            assert weight.ndim < 4, name


def fit(model: MobileVmoe, arm: Arm, table: Table, known: Source, group_of: tuple[int, ...], seed: int) -> float:
    """Train a new model; ``model`` is in evaluation mode afterwards.

    Batches, views and mixtures are drawn by the seed, so they are the same for every arm of a table.

    Args:
        model: What learns.
        arm: What it is told.
        table: How long.
        known: Photos to learn from.
        group_of: Superclass of each class; of arms without superclasses nobody reads it.
        seed: Of everything drawn here; the model's first weights are drawn already.

    Returns:
        CPU seconds.
    """
    draw = torch.Generator().manual_seed(1000 + seed)
    mixing = np.random.default_rng([seed, 6])
    torch.manual_seed(2000 + seed)
    parts = nn.ModuleList([model])
    teacher = None
    if arm.teaches_superclass:
        teacher = _Teacher(model, model.config.depth - arm.changes.get("num_moe_layers", 2), arm.num_experts)
        parts.append(teacher)
    optimizer = make_optimizer(parts, learning_rate=table.learning_rate, weight_decay=WEIGHT_DECAY)
    num_steps = max(1, table.num_passes // table.batch_size)
    begun = time.process_time()
    model.train()
    rows_of_epoch = torch.empty(0, dtype=torch.int64)
    for step in range(num_steps):
        if len(rows_of_epoch) < table.batch_size:
            rows_of_epoch = torch.cat([rows_of_epoch, torch.randperm(len(known), generator=draw)])
        rows_B, rows_of_epoch = rows_of_epoch[: table.batch_size], rows_of_epoch[table.batch_size :]
        set_learning_rate(
            optimizer,
            learning_rate_at(
                step, peak=table.learning_rate, num_warmup_steps=int(_WARMUP_SHARE * num_steps), num_steps=num_steps
            ),
        )
        share = float(mixing.beta(table.mixup, table.mixup)) if table.mixup else 0.0
        inputs, target_BL = _mixed(known, rows_B, len(model.config.classes), draw, share)
        num_tokens = table.num_tokens if step < (1 - _WHOLE_SHARE) * num_steps else 0
        loss = _loss(
            _partly(model, num_tokens, draw), model.config.num_active, arm, inputs, target_BL, group_of, rows_B, teacher
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), _MAX_GRADIENT)
        optimizer.step()
    model.eval()
    for layer in model.layers:
        layer._forward_hooks.clear()
    return time.process_time() - begun


@torch.inference_mode()
def look(
    model: MobileVmoe,
    photos: Source,
    *,
    group_of: tuple[int, ...] = (),
    forced: bool = False,
    ids_S: Tensor | None = None,
) -> Seen:
    """What a model says of photos.

    Args:
        model: In evaluation mode.
        photos: To be looked at as they are.
        group_of: The true superclass of each class, where the model may know it (an oracle), or where it is ``forced``.
        forced: Every photo is computed by the expert of its true superclass, whoever was chosen.
        ids_S: What chance draws by; without it numbers that no photo had while training.
    """
    ids_S = torch.arange(len(photos)) + 2**32 if ids_S is None else ids_S
    truth_S = torch.tensor(group_of)[photos.labels_S] if group_of else None
    found: list[Routed] = []
    for start in range(0, len(photos), _AT_ONCE):
        rows_B = torch.arange(start, min(start + _AT_ONCE, len(photos)))
        true_B = None if truth_S is None else truth_S[rows_B]
        forced_B = true_B if forced else None
        found.append(model(photos.plain(rows_B), superclass_B=true_B, forced_B=forced_B, seed_B=ids_S[rows_B]))
    probabilities_SL = torch.cat([one.logits_BL for one in found]).softmax(dim=1)
    num_routers, num_experts = found[0].router_BRE.shape[1:]
    load_RE = np.zeros((num_routers, num_experts))
    expert_S = np.full(len(photos), -1, np.int64)
    if num_routers:
        if model.config.routing == "token":
            load_RE = torch.cat([one.router_BRE for one in found]).mean(dim=0).double().numpy()
        else:
            expert_S = torch.cat([one.experts_BRk[:, 0, 0] for one in found]).numpy()
            load_RE[0] = np.bincount(expert_S, minlength=num_experts) / len(photos)
    return Seen(probabilities_SL.argmax(dim=1).numpy(), probabilities_SL.numpy(), expert_S, load_RE)


def worth(model: MobileVmoe, arm: Arm, known: Source, test: Source, group_of: tuple[int, ...]) -> dict[str, object]:
    """Measures of a trained arm: shares of photos, and what its routers did with the test photos."""
    is_oracle = arm.routing == "oracle"
    seen = look(model, test, group_of=group_of if is_oracle else ())
    truth_S = test.labels_S.numpy()
    rows = np.arange(0, len(known), max(1, len(known) // _TRAIN_LOOKED_AT))
    known = known.part(rows)
    of_train = look(model, known, group_of=group_of if is_oracle else (), ids_S=torch.from_numpy(rows))
    top5_S5 = np.argpartition(-seen.probabilities_SL, 5, axis=1)[:, :5]
    found: dict[str, object] = {
        "top1": float((seen.first_S == truth_S).mean()),
        "top5": float((top5_S5 == truth_S[:, None]).any(axis=1).mean()),
        "train_top1": float((of_train.first_S == known.labels_S.numpy()).mean()),
    }
    if len(seen.load_RE):
        found |= _of_routers(seen.load_RE)
    if group_of and arm.routing in ("superclass", "oracle"):
        group_S = np.array(group_of)[truth_S]
        chosen = look(model, test) if is_oracle else seen
        found["router_accuracy"] = float((chosen.expert_S == group_S).mean())
        found["own_route_top1"] = float((chosen.first_S == truth_S).mean())
        by_truth = look(model, test, group_of=group_of, forced=True)
        found["oracle_route_top1"] = float((by_truth.first_S == truth_S).mean())
    return found


def confusion(model: MobileVmoe, held_out: Source) -> NDArray[np.float32]:
    """How much of the held-out photos of class t were taken for class p, in probabilities, (L, L)."""
    seen = look(model, held_out)
    counts_LL = np.zeros((len(model.config.classes),) * 2, np.float32)
    np.add.at(counts_LL, held_out.labels_S.numpy(), seen.probabilities_SL)
    return counts_LL


@torch.inference_mode()
def latency_ms(model: MobileVmoe, photos: Source, count: int, repeats: int) -> float:
    """CPU milliseconds of one call for so many photos, one thread, the median."""
    inputs = photos.plain(torch.arange(count) % len(photos))
    seed_B = torch.arange(count)
    spent = []
    for _ in range(repeats + 2):
        begun = time.process_time()
        model(inputs, seed_B=seed_B)
        spent.append(time.process_time() - begun)
    return 1000 * float(np.median(spent[2:]))


def _mixed(
    known: Source, rows_B: Tensor, num_classes: int, draw: torch.Generator, share: float
) -> tuple[Tensor, Tensor]:
    """Views and targets (B, L), each mixed with another one of the batch."""
    inputs = known.views(rows_B, draw)
    target_BL = F.one_hot(known.labels_S[rows_B], num_classes).float()
    if not share:
        return inputs, target_BL
    other_B = torch.randperm(len(rows_B), generator=draw)
    return torch.lerp(inputs, inputs[other_B], share), torch.lerp(target_BL, target_BL[other_B], share)


Forward = Callable[..., Routed]


def _partly(model: MobileVmoe, num_tokens: int, draw: torch.Generator) -> Forward:
    """The model, seeing so many cells of each photo of a batch and the class token; all of them where that is 0.

    Source: PatchDropout (arXiv:2208.07220); here a batch drops the same cells everywhere.
    """
    if not num_tokens:
        return model
    places = torch.randperm(model.config.grid**2, generator=draw)[:num_tokens].sort().values
    seen = {"position": model.position[:, torch.cat([torch.zeros(1, dtype=torch.int64), 1 + places])]}

    def forward(inputs: Tensor, **options: Tensor | None) -> Routed:
        cells_BF1N = inputs.flatten(2)[:, :, None, places]
        routed: Routed = functional_call(model, seen, (cells_BF1N,), options)
        return routed

    return forward


def _loss(
    model: Forward,
    num_active: int,
    arm: Arm,
    inputs: Tensor,
    target_BL: Tensor,
    group_of: tuple[int, ...],
    rows_B: Tensor,
    teacher: _Teacher | None,
) -> Tensor:
    taught = arm.routing in ("superclass", "oracle") or teacher is not None
    group_BE = superclass_targets(target_BL, group_of, arm.num_experts) if taught else None
    truth_B = None if group_BE is None else group_BE.argmax(dim=1)
    routed = model(inputs, superclass_B=truth_B, seed_B=rows_B)
    loss = F.cross_entropy(routed.logits_BL, target_BL, label_smoothing=LABEL_SMOOTHING)
    if teacher is not None and group_BE is not None:
        return loss + ROUTER_WEIGHT * router_cross_entropy(teacher.logits(), group_BE)
    for logits, noisy in zip(routed.router_logits, routed.noisy_logits, strict=True):
        if group_BE is not None:
            loss = loss + ROUTER_WEIGHT * router_cross_entropy(logits, group_BE)
        else:
            balance = importance_loss(logits) + load_loss(logits, noisy, num_active)
            loss = loss + BALANCE_WEIGHT * balance
    return loss


def _of_routers(load_RE: NDArray[np.float64]) -> dict[str, object]:
    """Entropy of the loads in shares of the largest possible, and dead experts, over all routers."""
    num_routers, num_experts = load_RE.shape
    entropy_R = -(load_RE * np.log(np.maximum(load_RE, 1e-12))).sum(axis=1) / np.log(max(num_experts, 2))
    return {
        "load": [[round(share, 4) for share in row] for row in load_RE.tolist()],
        "entropy": float(entropy_R.mean()),
        "num_dead": int((load_RE < _DEAD / num_experts).sum()),
        "num_experts": num_routers * num_experts,
    }
