"""Training the proposal head; it reads the tokens alone, so it is trained once for all arms."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.models.cloc import Cloc
from trainer.bundle.arms import RunningMean
from trainer.bundle.features import SceneSet, as_tensor
from trainer.losses.points import loss_of_proposals
from trainer.optim import learning_rate_at, make_optimizer, set_learning_rate

BATCH_SIZE = 8
_WARMUP = 50
_DECAY = 0.995
_MAX_NORM = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Steps from a learning rate down to none; each round starts from the running mean that the one before has left."""

    num_steps: int
    learning_rate: float


ROUNDS = (Round(num_steps=700, learning_rate=2e-3), Round(num_steps=400, learning_rate=1.2e-3))


def fit_proposals(
    model: Cloc,
    scenes: SceneSet,
    rows: Sequence[int],
    *,
    rounds: Sequence[Round] = ROUNDS,
    seed: int,
    say: Callable[[str], None],
) -> None:
    """Train the head on scenes where everything has its box: photos plain, flipped, zoomed and four on a square."""
    random = np.random.default_rng([seed, 29])
    photos = [row for row in rows if scenes.scenes[row].is_exhaustive]
    head = model.proposals.requires_grad_(True).train()
    begun = time.process_time()
    for one in rounds:
        optimizer = make_optimizer(head, learning_rate=one.learning_rate, weight_decay=0.05)
        mean = RunningMean(head, _DECAY)
        for number in range(one.num_steps):
            rate = learning_rate_at(number, peak=one.learning_rate, num_warmup_steps=_WARMUP, num_steps=one.num_steps)
            set_learning_rate(optimizer, rate)
            loss = _loss(model, scenes, random.choice(photos, BATCH_SIZE))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), _MAX_NORM)
            optimizer.step()
            mean.fold(number)
            if (number + 1) % 50 == 0:
                spent = time.process_time() - begun
                say(f"proposals {number + 1} of {one.num_steps}, {spent:.0f} CPU s: {loss.item():.3f}")
        mean.put_back()
    head.requires_grad_(False).eval()


def _loss(model: Cloc, scenes: SceneSet, chosen: NDArray[np.int64]) -> torch.Tensor:
    head = model.proposals
    # Half of the time on a CPU, and the same recall.
    with torch.autocast("cpu", torch.bfloat16):
        logits_BA, boxes_BA4 = head(as_tensor(scenes.tokens_SNC, chosen))
    total, num_objects = logits_BA.new_zeros((), dtype=torch.float32), 0
    for logits_A, boxes_A4, row in zip(logits_BA.float(), boxes_BA4.float(), chosen, strict=True):
        objects_O4 = torch.from_numpy(scenes.scenes[row].boxes_R4)
        # Every object of a batch counts alike, not every image.
        total = total + max(1, len(objects_O4)) * loss_of_proposals(head, logits_A, boxes_A4, objects_O4)
        num_objects += len(objects_O4)
    return total / max(1, num_objects)
