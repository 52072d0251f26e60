"""Training the mask head."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.models.mask_head import MaskConfig, MaskHead
from trainer.bundle.mask_samples import KIND_SHARES, KINDS, draw_prompts, joined_batches
from trainer.bundle.mask_scenes import MaskScenes
from trainer.losses.masks import mask_loss, reached_overlap
from trainer.optim import learning_rate_at, make_optimizer, set_learning_rate

_RATE = 2e-3
_WEIGHT_DECAY = 0.05
_COARSE_WEIGHT = 0.5
_OVERLAP_WEIGHT = 1.0
_MAX_NORM = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSchedule:
    """How long and on what.  ``composed_share`` is the share of composed scenes in a batch."""

    num_steps: int = 800
    num_scenes: int = 8
    per_scene: int = 4
    composed_share: float = 0.25
    rate: float = _RATE


def fit_masks(
    config: MaskConfig,
    photos: MaskScenes,
    rows: NDArray[np.int64],
    composed: MaskScenes,
    schedule: MaskSchedule,
    *,
    seed: int,
    say: Callable[[str], None],
) -> MaskHead:
    """Train a head on these scenes of photos and on all composed ones."""
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 61])
    head = MaskHead(config)
    optimizer = make_optimizer(head, learning_rate=schedule.rate, weight_decay=_WEIGHT_DECAY)
    rows = np.array([row for row in rows if photos.scenes[row].masks])
    num_composed = round(schedule.num_scenes * schedule.composed_share)
    begun, told = time.process_time(), []
    head.train()
    for number in range(schedule.num_steps):
        rate = learning_rate_at(number, peak=schedule.rate, num_warmup_steps=50, num_steps=schedule.num_steps)
        set_learning_rate(optimizer, rate)
        kind = KINDS[int(random.choice(len(KINDS), p=KIND_SHARES))]
        chosen = random.choice(rows, schedule.num_scenes - num_composed)
        prompts = draw_prompts(photos, chosen, kind, schedule.per_scene, random)
        chosen = random.integers(len(composed.scenes), size=num_composed)
        batch = joined_batches(prompts + draw_prompts(composed, chosen, kind, schedule.per_scene, random))
        logits, coarse, expected_B = head(batch.maps, batch.prompts)
        reached_B = reached_overlap(logits.detach(), batch.truth_BSS, batch.seen_BSS, batch.cells_B)
        loss = (
            mask_loss(logits, batch.truth_BSS, batch.seen_BSS)
            + _COARSE_WEIGHT * mask_loss(coarse, batch.truth_BSS, batch.seen_BSS)
            + _OVERLAP_WEIGHT * torch.nn.functional.mse_loss(expected_B, reached_B)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), _MAX_NORM)
        optimizer.step()
        if kind == "box":
            told.append(float(reached_B.mean()))
        if (number + 1) % 100 == 0:
            say(
                f"masks {number + 1} of {schedule.num_steps}, {time.process_time() - begun:.0f} CPU s: loss "
                f"{loss.item():.3f}, overlap from boxes {np.mean(told[-50:]):.3f}"
            )
    return head.eval().requires_grad_(False)
