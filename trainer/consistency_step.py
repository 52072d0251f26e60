"""One step of the multi-label classifier: what it is asked, what it remembers, and what is remembered afterwards.

What a person has said goes before what is remembered: a class that is not there has a target of zero everywhere, one
that is there is expected, and where a heatmap was painted the target is what was painted and counts more.

Axes: B = images, L = classes, C = channels of a cell, S = side of an image's cells, G = side of a view's class maps,
W = side of a heatmap of the whole image.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.jobs.configs import ConsistencyTraining
from locstudio.models.consistency import Consistency
from trainer.losses.expected_negative import (
    assume_negative_loss,
    consistency_loss,
    entropy_maximisation_loss,
    expected_negative_loss,
    expected_negatives,
    large_loss_rejection,
)
from trainer.losses.spatial import spatial_consistency_loss
from trainer.views import fold_back, sample

SMOOTHING = 0.1
"""Of LS, as in Cole et al. (arXiv:2106.09708)."""
ENTROPY_WEIGHT = 0.1
"""Of EM, as for COCO in Zhou et al. (arXiv:2203.16219)."""
REJECTED_AN_EPOCH = 0.005
MAX_REJECTED = 0.05
"""Of LL-R: the share of entries that is left out grows by the first with each epoch, as in Kim et al.
(arXiv:2206.03740), up to what their ten epochs come to."""


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """What was painted on the heatmaps of a batch: the wanted values, and how far each cell was painted at all."""

    value_BLWW: Tensor
    weight_BLWW: Tensor

    def to(self, device: torch.device) -> "Painted":
        """The same on this device."""
        return Painted(self.value_BLWW.to(device), self.weight_BLWW.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class ClassBatch:
    """What one step sees.

    Attributes:
        rows_B: Rows of the images in the memory.
        inputs: Cells (B, C, S, S) of whole images, where ``cut_B33`` is given; else the views' pixels (B, 3, H, W).
        view_B33: Takes points of each view to points of its upright image (``unit``).
        cut_B33: Takes points of each view to points of its cells.
        label_BL: 1 there, 0 not there, -1 not known, int8.
        weight_BL: How much each class counts; one that counts nothing is not asked for.
        painted: None where nothing was painted on any of them.
    """

    rows_B: NDArray[np.int64]
    inputs: Tensor
    view_B33: Tensor
    cut_B33: Tensor | None
    label_BL: Tensor
    weight_BL: Tensor
    painted: Painted | None = None

    @property
    def num_images(self) -> int:
        """Images of the batch."""
        return len(self.rows_B)

    def to(self, device: torch.device) -> "ClassBatch":
        """The same on this device."""
        return ClassBatch(
            rows_B=self.rows_B,
            inputs=self.inputs.to(device),
            view_B33=self.view_B33.to(device),
            cut_B33=None if self.cut_B33 is None else self.cut_B33.to(device),
            label_BL=self.label_BL.to(device),
            weight_BL=self.weight_BL.to(device),
            painted=None if self.painted is None else self.painted.to(device),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """Running averages of a batch's images: scores (B, L) and heatmaps (B, L, W, W), both in [0, 1]."""

    averages_BL: Tensor
    maps_BLWW: Tensor


class Memory(Protocol):
    """What keeps running averages by row: ``trainer.heat_memory.HeatMemory``."""

    def rows_before(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...

    def put(
        self,
        rows: NDArray[np.int64],
        scores_BL: NDArray[np.float32],
        averages_BL: NDArray[np.float32],
        maps_BLWW: NDArray[np.float32],
    ) -> None: ...


class ConsistencyStep:
    """Adds the gradient of a batch.  It keeps nothing: what is remembered comes in and goes out.

    Args:
        model: What learns; ``maps`` and ``score`` of it, and ``cells`` where views are cut out of pixels.
        training: How.
        num_expected: Classes that an image is expected to show (K).
    """

    def __init__(self, model: Consistency, training: ConsistencyTraining, *, num_expected: int) -> None:
        self._model = model
        self._training = training
        # Of all classes at least one is not there, or nothing would be told from anything.
        self._num_expected = min(num_expected, len(model.config.classes) - 1)

    def __call__(
        self, batch: ClassBatch, before: Remembered, epoch: int
    ) -> tuple[dict[str, Tensor], Tensor, Remembered]:
        """Add the gradient.

        Args:
            batch: What is seen.
            before: What was remembered of these images.
            epoch: Whole epochs that were done before this one.

        Returns:
            The terms of the loss by name, ``loss`` among them; the scores (B, L); and what is to be remembered.
        """
        maps_BLGG = self._model.maps(self._cells(batch))
        logits_BL = self._model.score(maps_BLGG)
        wanted = _as_said(before, batch)
        classes = self._classes(logits_BL, wanted.averages_BL, batch, epoch)
        emphasis = ramp(epoch, self._training)
        consistency = self._consistency(maps_BLGG, logits_BL, wanted, batch, emphasis)
        loss = classes + self._training.beta * consistency
        loss.backward()
        with torch.no_grad():
            score_BL = logits_BL.sigmoid()
            after = Remembered(
                torch.lerp(score_BL, before.averages_BL, self._training.momentum),
                fold_back(before.maps_BLWW, maps_BLGG.sigmoid(), batch.view_B33, self._training.momentum),
            )
        terms = {"loss": loss.detach(), "classes": classes.detach(), "consistency": consistency.detach()}
        return terms, score_BL, after

    def _cells(self, batch: ClassBatch) -> Tensor:
        side = self._training.view_grid or self._training.grid
        if batch.cut_B33 is not None:
            return sample(batch.inputs.float(), batch.cut_B33, side)
        cells_BCSS = self._model.cells(batch.inputs)
        if self._training.view_grid in (0, cells_BCSS.shape[-1]):
            return cells_BCSS
        whole_B33 = torch.eye(3, device=cells_BCSS.device).expand(len(cells_BCSS), 3, 3)
        return sample(cells_BCSS, whole_B33, side)

    def _classes(self, logits_BL: Tensor, average_BL: Tensor, batch: ClassBatch, epoch: int) -> Tensor:
        label_BL, weight_BL, loss = batch.label_BL, batch.weight_BL, self._training.loss
        if loss == "ls":
            return assume_negative_loss(logits_BL, label_BL, weight_BL, SMOOTHING)
        if loss == "em":
            return entropy_maximisation_loss(logits_BL, label_BL, ENTROPY_WEIGHT, weight_BL)
        if loss == "ll_r":
            share = min(REJECTED_AN_EPOCH * epoch, MAX_REJECTED)
            return large_loss_rejection(logits_BL, label_BL, share, weight_BL)
        if loss == "an" or epoch < self._training.num_warmup_epochs:
            return assume_negative_loss(logits_BL, label_BL, weight_BL)
        # A class that is not asked for takes no place among the expected.
        likely_BL = average_BL.masked_fill(weight_BL == 0, -1.0)
        negative_BL = expected_negatives(likely_BL, label_BL, self._num_expected)
        return expected_negative_loss(logits_BL, label_BL, negative_BL, weight_BL)

    def _consistency(
        self, maps_BLGG: Tensor, logits_BL: Tensor, wanted: Remembered, batch: ClassBatch, emphasis: float
    ) -> Tensor:
        memory, painted = self._training.memory, batch.painted
        total = logits_BL.new_zeros(())
        if memory == "scores" and emphasis > 0:
            total = emphasis * consistency_loss(logits_BL, wanted.averages_BL)
        if painted is None and (memory != "maps" or emphasis == 0):
            return total
        side = maps_BLGG.shape[-1]
        target_BLGG = sample(wanted.maps_BLWW, batch.view_B33, side)
        base = emphasis if memory == "maps" else 0.0
        if painted is None:
            return total + base * spatial_consistency_loss(maps_BLGG, target_BLGG)
        seen_BLGG = sample(painted.weight_BLWW, batch.view_B33, side)
        weight_BLGG = torch.lerp(torch.full_like(seen_BLGG, base), self._correction(seen_BLGG), seen_BLGG)
        # The mean over all cells, as without paint, of what each cell counts.
        return total + weight_BLGG.mean() * spatial_consistency_loss(maps_BLGG, target_BLGG, weight_BLGG)

    def _correction(self, like: Tensor) -> Tensor:
        return torch.full_like(like, self._training.correction_weight)


def learn(step: ConsistencyStep, batch: ClassBatch, memory: Memory, epoch: int) -> dict[str, Tensor]:
    """Add the gradient of a batch and remember what came of it; a loss that is no number leaves no trace there."""
    device = batch.label_BL.device
    averages_BL, maps_BLWW = memory.rows_before(batch.rows_B)
    before = Remembered(torch.from_numpy(averages_BL).to(device), torch.from_numpy(maps_BLWW).to(device))
    terms, score_BL, after = step(batch, before, epoch)
    if not torch.isfinite(terms["loss"]):
        score_BL, after = before.averages_BL, before
    memory.put(batch.rows_B, _numbers(score_BL), _numbers(after.averages_BL), _numbers(after.maps_BLWW))
    return terms


def ramp(epoch: int, training: ConsistencyTraining) -> float:
    """How much of its weight the consistency term has after this many epochs."""
    since = epoch - training.num_warmup_epochs
    return 0.0 if since < 0 else min(1.0, (since + 1) / max(1, training.num_ramp_epochs))


def _as_said(before: Remembered, batch: ClassBatch) -> Remembered:
    """What is remembered, where nobody has said otherwise."""
    label_BL = batch.label_BL
    averages_BL = before.averages_BL.masked_fill(label_BL == 1, 1.0).masked_fill(label_BL == 0, 0.0)
    maps_BLWW = before.maps_BLWW * (label_BL != 0)[..., None, None]
    if batch.painted is not None:
        maps_BLWW = torch.lerp(maps_BLWW, batch.painted.value_BLWW, batch.painted.weight_BLWW)
    return Remembered(averages_BL, maps_BLWW)


def _numbers(values: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = values.cpu().numpy()
    return found
