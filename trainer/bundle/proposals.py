"""Training the proposal head; it reads the tokens alone, so it is trained once for all arms."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from locstudio.models.cloc import Cloc
from trainer.bundle.arms import RunningMean
from trainer.bundle.features import SceneSet, as_tensor
from trainer.losses.grounding import proposal_loss
from trainer.optim import learning_rate_at, make_optimizer, set_learning_rate

_RATE = 2e-3


def fit_proposals(
    model: Cloc,
    scenes: SceneSet,
    rows: Sequence[int],
    *,
    num_steps: int,
    batch_size: int,
    seed: int,
    say: Callable[[str], None],
) -> None:
    """Train the head on scenes where everything has its box: photos plain, flipped and zoomed."""
    random = np.random.default_rng([seed, 29])
    photos = [row for row in rows if scenes.scenes[row].is_exhaustive]
    head = model.proposals.requires_grad_(True)
    optimizer = make_optimizer(head, learning_rate=_RATE, weight_decay=0.05)
    mean = RunningMean(head)
    begun = time.process_time()
    for number in range(num_steps):
        set_learning_rate(optimizer, learning_rate_at(number, peak=_RATE, num_warmup_steps=20, num_steps=num_steps))
        chosen = random.choice(photos, batch_size)
        logits_BA, boxes_BA4 = head(as_tensor(scenes.tokens_SNC, chosen))
        losses = [
            proposal_loss(logits_A, boxes_A4, head.anchors_A4, torch.from_numpy(scenes.scenes[row].boxes_R4))
            for logits_A, boxes_A4, row in zip(logits_BA, boxes_BA4, chosen, strict=True)
        ]
        loss = torch.stack(losses).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        mean.fold(number)
        if (number + 1) % 50 == 0:
            say(f"proposals {number + 1} of {num_steps}, {time.process_time() - begun:.0f} CPU s: {loss.item():.3f}")
    mean.put_back()
    head.requires_grad_(False)
