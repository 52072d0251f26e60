"""Batches of images with what is known of their classes; a batch follows from (seed, step) alone.

Every image is seen once an epoch, so the last batch of an epoch may be a smaller one.

Axes: B = images, L = classes, W = side of a heatmap.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from locstudio.jobs.configs import ConsistencyTraining
from trainer.class_paint import Paint
from trainer.consistency_step import ClassBatch, Painted
from trainer.images import loaded_ahead
from trainer.label_reading import Ints, LabelTable
from trainer.recipes.class_lesson import ClassImage
from trainer.views import View, draw_view

NUM_BATCHES_AHEAD = 3


def steps_in_epoch(num_images: int, batch_size: int) -> int:
    """Steps in which every image is seen once."""
    return max(1, -(-num_images // batch_size))


def order_of_epoch(rows: Ints, epoch: int, seed: int) -> Ints:
    """In which order the images of an epoch are seen."""
    return rows[np.random.default_rng([seed, epoch]).permutation(len(rows))]


def rows_of_step(rows: Ints, step: int, *, batch_size: int, seed: int) -> Ints:
    """The images of the step with this number, counted from 0."""
    epoch, place = divmod(step, steps_in_epoch(len(rows), batch_size))
    return order_of_epoch(rows, epoch, seed)[place * batch_size : (place + 1) * batch_size]


def rows_done(rows: Ints, step: int, *, batch_size: int, seed: int) -> Ints:
    """The images that this epoch has seen after so many steps."""
    epoch, place = divmod(step, steps_in_epoch(len(rows), batch_size))
    return order_of_epoch(rows, epoch, seed)[: place * batch_size]


def view_of(image: ClassImage, epoch: int, training: ConsistencyTraining, seed: int) -> View:
    """What of an image an epoch sees."""
    random = np.random.default_rng([seed, epoch, image.image.id])
    return draw_view(random, image.size, training.min_scale, training.flips)


def batches_of(
    images: Sequence[ClassImage],
    told: LabelTable,
    rows: Ints,
    steps: range,
    training: ConsistencyTraining,
    *,
    seed: int,
    paint: Paint,
    inputs: Callable[[Sequence[ClassImage], Sequence[View]], Tensor],
    frame: Callable[[int, int], Tensor] | None,
    num_threads: int = 1,
) -> Iterator[ClassBatch]:
    """The batch of every step, in order, made a little ahead.

    Args:
        images: All of the run.
        told: What is known of each.
        rows: Those that are learnt from.
        steps: Numbers of the steps.
        training: How it is learnt.
        seed: Of the run.
        paint: What is shown on heatmaps.
        inputs: Cells of whole images, or pixels of their views.
        frame: Takes points of an image of this width and height to points of its cells; None for pixels of views.
        num_threads: Batches that are made at the same time.
    """

    def load(step: int) -> ClassBatch:
        chosen = rows_of_step(rows, step, batch_size=training.batch_size, seed=seed)
        epoch = step // steps_in_epoch(len(rows), training.batch_size)
        files = [images[row] for row in chosen.tolist()]
        views = [view_of(file, epoch, training, seed) for file in files]
        view_B33 = torch.stack([view.matrix() for view in views])
        cut_B33 = None
        if frame is not None:
            cut_B33 = torch.stack([frame(*file.size) for file in files]) @ view_B33
        return ClassBatch(
            rows_B=chosen,
            inputs=inputs(files, views),
            view_B33=view_B33,
            cut_B33=cut_B33,
            label_BL=torch.from_numpy(told.labels_NL[chosen]),
            weight_BL=torch.from_numpy(told.weights_NL[chosen]),
            painted=_paint_of_batch(paint, chosen, len(told.class_ids), training.grid),
        )

    num_ahead = max(NUM_BATCHES_AHEAD, num_threads + 1)
    for _, batch in loaded_ahead(steps, load, num_threads=num_threads, num_ahead=num_ahead):
        yield batch


def _paint_of_batch(paint: Paint, rows_B: Ints, num_classes: int, grid: int) -> Painted | None:
    found = {at: shown for at, row in enumerate(rows_B.tolist()) if (shown := paint.of(row)) is not None}
    if not found:
        return None
    value_BLWW = torch.zeros(len(rows_B), num_classes, grid, grid)
    weight_BLWW = torch.zeros_like(value_BLWW)
    for at, shown in found.items():
        value_BLWW[at, shown.positions_P] = torch.from_numpy(shown.value_PWW)
        weight_BLWW[at, shown.positions_P] = torch.from_numpy(shown.weight_PWW)
    return Painted(value_BLWW, weight_BLWW)
