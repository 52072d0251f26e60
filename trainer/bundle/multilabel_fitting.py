"""Training the multi-label classifier on cells in memory, with the step that a run of the studio takes.

Axes: S = scenes, L = classes, C = channels of a cell, H = side of the cells, B = images of a batch, W = side of a map.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.jobs.configs import ConsistencyTraining
from locstudio.models.consistency import Consistency
from trainer.bundle.multilabel_scenes import LabelledScene, LabelledSet
from trainer.consistency_step import ClassBatch, ConsistencyStep, Painted, learn
from trainer.optim import learning_rate_at, make_optimizer, set_learning_rate
from trainer.views import draw_view

NUM_WARMUP_STEPS = 20
_TOKENS_AT_ONCE = 16

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Scenes with their cells (S, C, H, H), float16, and what is there (S, L)."""

    scenes: list[LabelledScene]
    cells_SCHH: Tensor
    present_SL: NDArray[np.bool_]

    def of(self, rows: NDArray[np.int64]) -> "Material":
        """Some scenes alone."""
        scenes = [self.scenes[row] for row in rows]
        return Material(scenes, self.cells_SCHH[torch.from_numpy(rows)], self.present_SL[rows])

    def frames(self, model: Consistency) -> Tensor:
        """Takes points of each upright image to points of its cells, (S, 3, 3)."""
        return torch.stack([model.frame(*scene.size) for scene in self.scenes])


def material(model: Consistency, known: LabelledSet) -> Material:
    """The cells of every scene by the model's frozen part."""
    parts = []
    for start in range(0, len(known.scenes), _TOKENS_AT_ONCE):
        tokens = torch.from_numpy(np.array(known.tokens_SND[start : start + _TOKENS_AT_ONCE]))
        with torch.inference_mode():
            parts.append(model.cells_of_tokens(tokens).half())
    cells = torch.cat(parts).contiguous(memory_format=torch.channels_last)
    return Material(known.scenes, cells.clone(), known.present_SL)


class PlainMemory:
    """Running averages in plain arrays, float32, where ``HeatMemory`` has bytes.

    ``starts_with_label`` starts the heatmaps of told classes with ones too, as a public re-implementation has it; a run
    of the studio starts its scores alone.
    """

    def __init__(self, told_SL: NDArray[np.int8], training: ConsistencyTraining) -> None:
        grid = training.grid
        self.scores_SL: Floats = np.zeros(told_SL.shape, np.float32)
        self.averages_SL: Floats = np.zeros(told_SL.shape, np.float32)
        self.maps_SLWW: Floats = np.zeros((*told_SL.shape, grid, grid), np.float32)
        if training.starts_with_label:
            self.averages_SL[told_SL == 1] = 1.0
            self.maps_SLWW[told_SL == 1] = 1.0

    def rows_before(self, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Running-average scores (B, L) and heatmaps (B, L, W, W)."""
        return self.averages_SL[rows], self.maps_SLWW[rows]

    def put(self, rows: NDArray[np.int64], scores_BL: Floats, averages_BL: Floats, maps_BLWW: Floats) -> None:
        """Remember what came of these rows; of scores the newest alone."""
        self.scores_SL[rows] = scores_BL
        self.averages_SL[rows] = averages_BL
        self.maps_SLWW[rows] = maps_BLWW


AfterEpoch = Callable[[int, PlainMemory], None]


def fit_classes(
    model: Consistency,
    known: Material,
    told_SL: NDArray[np.int8],
    training: ConsistencyTraining,
    *,
    num_expected: int,
    seed: int,
    after_epoch: AfterEpoch = lambda _, __: None,
    weight_SL: Floats | None = None,
    painted: Painted | None = None,
) -> PlainMemory:
    """Train neck and head; what is remembered of every scene is returned.

    Args:
        model: What learns.
        known: Scenes and cells; what is there is looked at by nobody here.
        told_SL: What is told: 1 there, 0 not there, -1 nothing.
        training: How.
        num_expected: K of EN.
        seed: Of the order of scenes and of their views.
        after_epoch: Called before the first epoch and after each with the number of whole epochs.
        weight_SL: How much each entry counts; all alike where it is not given.
        painted: What is painted on the heatmaps of all scenes, as a person would.
    """
    random = np.random.default_rng([seed, 47])
    step = ConsistencyStep(model, training, num_expected=num_expected)
    optimizer = make_optimizer(model, learning_rate=training.learning_rate, weight_decay=training.weight_decay)
    memory, frames_S33 = PlainMemory(told_SL, training), known.frames(model)
    told, weights = torch.from_numpy(told_SL), np.ones(told_SL.shape, np.float32) if weight_SL is None else weight_SL
    num_steps = training.num_epochs * math.ceil(len(told_SL) / training.batch_size)
    number = 0
    after_epoch(0, memory)
    model.train()
    for epoch in range(training.num_epochs):
        for rows in _batches(len(told_SL), training.batch_size, random):
            rate = learning_rate_at(
                number, peak=training.learning_rate, num_warmup_steps=NUM_WARMUP_STEPS, num_steps=num_steps
            )
            set_learning_rate(optimizer, rate)
            sizes = [known.scenes[row].size for row in rows]
            views = [draw_view(random, size, training.min_scale, training.flips) for size in sizes]
            view_B33 = torch.stack([view.matrix() for view in views])
            batch = ClassBatch(
                rows_B=rows,
                inputs=known.cells_SCHH[torch.from_numpy(rows)],
                view_B33=view_B33,
                cut_B33=frames_S33[torch.from_numpy(rows)] @ view_B33,
                label_BL=told[torch.from_numpy(rows)],
                weight_BL=torch.from_numpy(weights[rows]),
                painted=None if painted is None else _of_batch(painted, rows),
            )
            optimizer.zero_grad(set_to_none=True)
            learn(step, batch, memory, epoch)
            optimizer.step()
            number += 1
        after_epoch(epoch + 1, memory)
        model.train()
    model.eval()
    return memory


@torch.inference_mode()
def looked_at(model: Consistency, known: Material) -> tuple[Floats, Floats]:
    """Scores (S, L) and heatmaps (S, L, W, W) of whole images, probabilities."""
    model.eval()
    frames_S33 = known.frames(model)
    scores, maps = [], []
    for start in range(0, len(known.scenes), _TOKENS_AT_ONCE):
        cells = known.cells_SCHH[start : start + _TOKENS_AT_ONCE].float()
        heat_BLWW, score_BL = model.heat(cells, frames_S33[start : start + _TOKENS_AT_ONCE])
        scores.append(score_BL.numpy())
        maps.append(heat_BLWW.numpy())
    return np.concatenate(scores), np.concatenate(maps)


def heat_cost(model: Consistency, known: Material, repeats: int = 10) -> float:
    """CPU milliseconds from an image's cells to its heatmaps, one thread."""
    one = known.of(np.array([0]))
    begun = time.process_time()
    for _ in range(repeats):
        looked_at(model, one)
    return 1000 * (time.process_time() - begun) / repeats


def _of_batch(painted: Painted, rows: NDArray[np.int64]) -> Painted:
    chosen = torch.from_numpy(rows)
    return Painted(painted.value_BLWW[chosen].float(), painted.weight_BLWW[chosen].float())


def _batches(count: int, size: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = random.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]
