"""What a multi-label model sees in whole images: scores and heatmaps, and how good they are on what is held out.

Axes: B = images, L = classes, W = side of a heatmap.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.domain.errors import BadInput
from locstudio.jobs.configs import ConsistencyTraining
from locstudio.media.decode import decode_rgb
from locstudio.media.square import load_stretched
from locstudio.models.consistency import Consistency
from trainer.cells import CellSource
from trainer.class_precision import average_precisions
from trainer.images import Unreadable, batched
from trainer.label_reading import Ints
from trainer.recipes.class_lesson import ClassImage, ClassLesson
from trainer.recipes.cloc_measuring import measured_ids
from trainer.views import View, view_pixels

BATCH = 16
BEST_METRIC = "map"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was seen of some rows, probabilities."""

    rows: Ints
    scores_BL: NDArray[np.float32]
    maps_BLWW: NDArray[np.float32]


class Eyes:
    """Turns images into what the model takes: cells of whole images, or pixels of views.

    Args:
        model: The model.
        training: How it is trained.
        cells: Cells of images, where the backbone is frozen; else None.
    """

    def __init__(self, model: Consistency, training: ConsistencyTraining, cells: CellSource | None) -> None:
        self._model = model
        self._cells = cells
        # So many pixels of an image that the smallest view still has as many as the model takes.
        self._max_side = math.ceil(model.input_px / math.sqrt(training.min_scale))

    def inputs(self, files: Sequence[ClassImage], views: Sequence[View]) -> Tensor:
        """What a step takes of these images.

        Raises:
            BadInput: one can no longer be read.
        """
        if self._cells is not None:
            return self._cells.batch(files)
        return torch.stack([self._pixels(file, view) for file, view in zip(files, views, strict=True)])

    @torch.no_grad()
    def look(self, files: Sequence[ClassImage]) -> tuple[Tensor, Tensor]:
        """Heatmaps (B, L, W, W) and scores (B, L) of whole images."""
        if self._cells is not None:
            cells_BCSS = self._cells.batch(files).to(self._model.device).float()
        else:
            cells_BCSS = self._model.cells(torch.stack([self._whole(file) for file in files]).to(self._model.device))
        frame_B33 = torch.stack([self._model.frame(*file.size) for file in files])
        return self._model.heat(cells_BCSS, frame_B33)

    def problem_of(self, file: ClassImage) -> Unreadable | None:
        """Why an image cannot be read, or None."""
        try:
            decode_rgb(file.path, max_side=self._model.input_px)
        except BadInput as problem:
            return Unreadable(str(problem))
        except OSError as error:
            return Unreadable(f"{file.path.name} cannot be read: {error.strerror or error}.")
        return None

    def _pixels(self, file: ClassImage, view: View) -> Tensor:
        with _still_readable(file):
            rgb_HW3 = decode_rgb(file.path, max_side=self._max_side)
        return self._model.preprocess(view_pixels(rgb_HW3, view, self._model.input_px)).cpu()

    def _whole(self, file: ClassImage) -> Tensor:
        with _still_readable(file):
            return self._model.preprocess(load_stretched(file.path, self._model.input_px)).cpu()


def seen(model: Consistency, eyes: Eyes, images: Sequence[ClassImage], rows: Ints) -> Iterator[Seen]:
    """Look at rows of the images, batch by batch, with the model as it is when the first is asked for."""
    was_training = model.training
    model.eval()
    try:
        for batch in batched(rows.tolist(), BATCH):
            maps_BLWW, scores_BL = eyes.look([images[row] for row in batch])
            yield Seen(np.array(batch, np.int64), scores_BL.cpu().numpy(), maps_BLWW.cpu().numpy())
    finally:
        model.train(was_training)


@contextmanager
def _still_readable(file: ClassImage) -> Iterator[None]:
    try:
        yield
    except (BadInput, OSError) as problem:
        raise BadInput(
            f"{file.path.name} can no longer be read. The run needs it; put the file back and resume the run."
        ) from problem


class HeldOutClasses:
    """Measures a model on the held-out images that have a label; empty where there are none.

    Args:
        model: What is measured, as it is when called.
        eyes: Its eyes.
        lesson: All images.
        unreadable: Rows that are left out.
        alive: Called between the parts.
    """

    def __init__(
        self,
        model: Consistency,
        eyes: Eyes,
        lesson: ClassLesson,
        unreadable: Ints,
        alive: Callable[[], object] = lambda: None,
    ) -> None:
        self._model = model
        self._eyes = eyes
        self._lesson = lesson
        self._alive = alive
        is_measured_N = np.isin(lesson.truth.image_ids, measured_ids(lesson.held_out))
        rows = np.flatnonzero(is_measured_N & lesson.truth.has_label_N)
        self.rows: Ints = np.setdiff1d(rows, unreadable)

    def __call__(self) -> dict[str, float]:
        """``map``: the mean of the average precisions of the classes that are in some of the images."""
        scores: list[NDArray[np.float32]] = []
        for part in seen(self._model, self._eyes, self._lesson.images, self.rows):
            scores.append(part.scores_BL)
            self._alive()
        if not scores:
            return {}
        found_L = average_precisions(np.concatenate(scores), self._lesson.truth.labels_NL[self.rows])
        return {} if np.isnan(found_L).all() else {BEST_METRIC: float(np.nanmean(found_L))}
