"""How well a multi-label model knows the classes of labelled images.  Axes: N = images, L = classes, B = a batch."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.jobs.class_results import ClassPrecision, ClassResults
from locstudio.media.square import load_stretched
from locstudio.models.consistency import Consistency
from locstudio.store.dataset import Dataset, ImageFilter
from trainer.cells import bytes_of_tokens, cell_tokens
from trainer.class_precision import average_precisions
from trainer.context import RunContext
from trainer.encoding import BATCH_ON_CPU, BATCH_ON_GPU, TokenSource
from trainer.images import Unreadable, batched, loaded_ahead
from trainer.label_reading import LabelTable, read_labels
from trainer.loop import Hook, StepMetrics, run_loop
from trainer.recipes.class_lesson import ClassImage

MAX_KEPT_BYTES = 4 << 30
_PAGE = 500
_Scored = list[tuple[ClassImage, NDArray[np.float32] | Unreadable]]


@dataclass(frozen=True, slots=True, eq=False)
class ClassTruth:
    """Images of whose classes something is known, and what: one row of ``table`` an image."""

    images: tuple[ClassImage, ...]
    table: LabelTable

    def known_to(self, class_names: Collection[str]) -> LabelTable:
        """The table of these classes alone."""
        places = [place for place, name in enumerate(self.table.class_names) if name in class_names]
        return replace(
            self.table,
            class_ids=tuple(self.table.class_ids[place] for place in places),
            class_names=tuple(self.table.class_names[place] for place in places),
            labels_NL=self.table.labels_NL[:, places],
            weights_NL=self.table.weights_NL[:, places],
        )


def read_class_truth(dataset: Dataset, split: str = "", image_ids: Collection[int] | None = None) -> ClassTruth:
    """What is known of the classes of images, without those of which nothing is.

    Args:
        dataset: The snapshot of the run.
        split: Only its images; empty for all.
        image_ids: Only these; None for all.
    """
    table = read_labels(dataset)
    table = table.rows(np.flatnonzero(table.has_label_N))
    if image_ids is not None:
        table = table.of_images(image_ids)
    labelled = frozenset(table.image_ids.tolist())
    images = tuple(_images(dataset, split, labelled))
    return ClassTruth(images, table.of_images([one.image.id for one in images]))


def measure_classes(
    context: RunContext,
    model: Consistency,
    truth: ClassTruth,
    *,
    split: str = "",
    class_names: Collection[str] | None = None,
    held_out: Collection[int] = (),
    hooks: Sequence[Hook] = (),
) -> ClassResults | None:
    """The average precision of every class that project and model both know; None if the run was stopped.

    What is not known of an image counts as not there, see `trainer.class_precision`.  Images that cannot be read are
    noted and take no part.

    Args:
        context: The run.
        model: What is measured, on its device, in evaluation mode.
        truth: What is true.
        split: What the results are said to be of.
        class_names: Only these classes; None for all that both know.
        held_out: Images that the model has not learnt from.
        hooks: Told the number of images done.
    """
    names = set(model.config.classes) if class_names is None else set(class_names) & set(model.config.classes)
    table = truth.known_to(names)
    places = [model.config.classes.index(name) for name in table.class_names]
    rows = {int(image_id): row for row, image_id in enumerate(table.image_ids)}
    scores_NL = np.full(table.labels_NL.shape, np.nan, np.float32)
    num_done = 0

    def step(batch: _Scored) -> StepMetrics:
        nonlocal num_done
        for file, scores_L in batch:
            if isinstance(scores_L, Unreadable):
                context.reporter.note(scores_L.sentence)
            else:
                scores_NL[rows[file.image.id]] = scores_L[places]
        num_done += len(batch)
        context.reporter.alive()
        return StepMetrics(len(batch))

    def told(hook: Hook) -> Hook:
        return lambda _, metrics: hook(num_done, metrics)

    scored = scores_of(model, truth.images, cache=context.cache, runs=context.folder.path.parent)
    end = run_loop(scored, step, [told(hook) for hook in hooks], should_stop=context.should_stop)
    if end.was_stopped:
        return None
    is_read_N = np.isfinite(scores_NL).all(axis=1)
    if not is_read_N.any():
        raise BadInput("None of the labelled images can be read; nothing was measured.")
    return _results(model, table.rows(np.flatnonzero(is_read_N)), scores_NL[is_read_N], split, held_out)


def scores_of(model: Consistency, files: Sequence[ClassImage], *, cache: Path, runs: Path) -> Iterator[_Scored]:
    """Scores (L,) in [0, 1] of whole images, or why there are none, batch by batch and in order.

    Args:
        model: The model.
        files: The images.
        cache: The project's cache, where tokens of a frozen backbone are and are kept, unless they take much space.
        runs: The project's runs.
    """
    if model.config.trains == "all":
        yield from _scores_of_pixels(model, files)
        return
    keeps = len(files) * bytes_of_tokens(model) <= MAX_KEPT_BYTES
    source = TokenSource(model, cell_tokens(model, cache, runs), keeps=keeps)
    for batch in source.stream(files):
        scored: _Scored = []
        for file, encoded in batch:
            if isinstance(encoded, Unreadable):
                scored.append((file, encoded))
            else:
                with torch.inference_mode():
                    cells_1CSS = model.cells_of_tokens(encoded.tokens[None])
                    _, scores_1L = model.heat(cells_1CSS, model.frame(*file.size)[None])
                scored.append((file, scores_1L[0].cpu().numpy()))
        yield scored


def _scores_of_pixels(model: Consistency, files: Sequence[ClassImage]) -> Iterator[_Scored]:
    def load(file: ClassImage) -> torch.Tensor | Unreadable:
        try:
            return model.preprocess(load_stretched(file.path, model.input_px))
        except BadInput as problem:
            return Unreadable(str(problem))
        except OSError as error:
            return Unreadable(f"{file.path.name} cannot be read: {error.strerror or error}.")

    size = BATCH_ON_GPU if model.device.type == "cuda" else BATCH_ON_CPU
    for batch in batched(loaded_ahead(files, load), size):
        scored: _Scored = [(file, got) for file, got in batch if isinstance(got, Unreadable)]
        sound = [(file, got) for file, got in batch if isinstance(got, torch.Tensor)]
        if sound:
            with torch.inference_mode():
                cells_BCSS = model.cells(torch.stack([pixels for _, pixels in sound]).to(model.device))
                _, scores_BL = model.heat(cells_BCSS, torch.eye(3).expand(len(sound), 3, 3))
            scored += [(file, row) for (file, _), row in zip(sound, scores_BL.cpu().numpy(), strict=True)]
        yield scored


def _images(dataset: Dataset, split: str, wanted: Collection[int]) -> Iterator[ClassImage]:
    roots = {root.id: Path(root.path) for root in dataset.roots()}
    last = 0
    while page := dataset.image_page(ImageFilter(split=split, order="id"), after_id=last, limit=_PAGE):
        for image in page:
            if image.id in wanted:
                yield ClassImage(image, roots[image.root_id] / image.path)
        last = page[-1].id


def _results(
    model: Consistency, table: LabelTable, scores_NL: NDArray[np.float32], split: str, held_out: Collection[int]
) -> ClassResults:
    precision_L = average_precisions(scores_NL, table.labels_NL)
    num_there_L = table.num_positives_L
    classes = tuple(
        ClassPrecision(
            class_id=class_id,
            name=name,
            num_positives=int(num_there),
            num_negatives=len(table) - int(num_there),
            average_precision=None if np.isnan(precision) else float(precision),
        )
        for class_id, name, num_there, precision in zip(
            table.class_ids, table.class_names, num_there_L, precision_L, strict=True
        )
    )
    is_measured_L = ~np.isnan(precision_L)
    metrics = {"n": float(len(table)), "n_classes": float(is_measured_L.sum())}
    if is_measured_L.any():
        metrics = {"map": float(precision_L[is_measured_L].mean())} | metrics
    return ClassResults(
        checkpoint_id=model.id,
        name=model.config.name,
        split=split,
        num_images=len(table),
        num_held_out=sum(image_id in held_out for image_id in table.image_ids.tolist()),
        metrics=metrics,
        classes=classes,
    )
