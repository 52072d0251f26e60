"""Batches for a Mobile V-MoE; a batch follows from (seed, step) alone.

Every image is seen once an epoch.  Half of the images are mirrored: cells of a mirrored picture are, but for the edges,
the mirrored cells.  Pixels are moved by up to an eighth of their side besides.

Axes: B = images.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from locstudio.jobs.configs import VmoeTraining
from trainer.class_batches import NUM_BATCHES_AHEAD, rows_of_step, steps_in_epoch
from trainer.images import loaded_ahead
from trainer.label_reading import Ints
from trainer.recipes.vmoe_lesson import VmoeLesson
from trainer.vmoe_inputs import VmoeInputs
from trainer.vmoe_measuring import seed_of
from trainer.vmoe_step import VmoeBatch

_MOVED = 8
_MIXING = 1 << 20
"""Keeps the draws of mixing apart from those of views."""


def vmoe_batches(
    lesson: VmoeLesson,
    rows: Ints,
    steps: range,
    training: VmoeTraining,
    inputs: VmoeInputs,
    *,
    seed: int,
    num_threads: int = 1,
) -> Iterator[VmoeBatch]:
    """The batch of every step, in order, made a little ahead.

    Args:
        lesson: All images of the run.
        rows: Those that are learnt from.
        steps: Numbers of the steps.
        training: How it is learnt.
        inputs: What the model takes of images.
        seed: Of the run.
        num_threads: Batches that are made at the same time.
    """

    def load(step: int) -> VmoeBatch:
        chosen = rows_of_step(rows, step, batch_size=training.batch_size, seed=seed)
        files = [lesson.images[row] for row in chosen.tolist()]
        rng = np.random.default_rng([seed, _MIXING, step])
        batch = VmoeBatch(
            inputs=seen_otherwise(inputs.batch(files), rng, moves=not inputs.has_cells),
            target_BL=torch.from_numpy(lesson.target_NL[chosen]),
            weight_B=torch.from_numpy(lesson.weight_N[chosen]),
            seed_B=torch.tensor([seed_of(file) for file in files]),
        )
        if training.mixup > 0 and len(files) > 1:
            share = float(rng.beta(training.mixup, training.mixup))
            batch = batch.mixed(max(share, 1 - share), torch.from_numpy(rng.permutation(len(files))))
        return batch

    num_ahead = max(NUM_BATCHES_AHEAD, num_threads + 1)
    for _, batch in loaded_ahead(steps, load, num_threads=num_threads, num_ahead=num_ahead):
        yield batch


def seen_otherwise(inputs: Tensor, rng: np.random.Generator, *, moves: bool) -> Tensor:
    """Half of the images mirrored; moved a little too, where they are pixels."""
    is_mirrored_B = torch.from_numpy(rng.random(len(inputs)) < 0.5)
    inputs = torch.where(is_mirrored_B[:, None, None, None], inputs.flip(3), inputs)
    side = inputs.shape[3]
    if not moves or side < _MOVED:
        return inputs
    most = side // _MOVED
    padded = F.pad(inputs, (most, most, most, most), mode="reflect")
    places = rng.integers(0, 2 * most + 1, (len(inputs), 2)).tolist()
    return torch.stack([each[:, y : y + side, x : x + side] for each, (y, x) in zip(padded, places, strict=True)])


def num_steps_of(num_images: int, num_epochs: int, batch_size: int) -> int:
    """Steps in which every image is seen ``num_epochs`` times."""
    return num_epochs * steps_in_epoch(num_images, batch_size) if num_epochs else 0
