"""Measure a checkpoint on the ground truth of the collection.

Tasks: ``regions``: name a true box by the class names, without a template; ``retrieval``: regions and phrases find each
other; ``grounding``: a phrase finds its box.  Crowd and rejected regions, and proposals nobody has accepted, are no
ground truth.  Axes: R = regions of an image, T = texts, D = embedding width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import BoxArray, Letterbox, iou_matrix
from locstudio.domain.regions import Image, Problem
from locstudio.jobs.configs import Evaluation, Task
from locstudio.jobs.run_folder import write_whole
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from locstudio.store.dataset import Dataset, open_snapshot
from trainer.context import RunContext
from trainer.data import images_with_regions, is_ground_truth, phrase_of
from trainer.device import describe_device
from trainer.encoding import Encoded, TokenSource, bytes_of_tokens, cache_of, embed_texts
from trainer.hooks import ReportProgress
from trainer.images import Unreadable
from trainer.loop import Hook, StepMetrics, run_loop
from trainer.metrics import Floats, grounding_metrics, naming_metrics, retrieval_metrics

MAX_KEPT_BYTES = 4 << 30


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationImage:
    """One image with its true boxes (``unit`` frame) and the text of each, as a row of the list of texts."""

    image: Image
    path: Path
    boxes: BoxArray
    text_rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """What a task is measured on: images in the order of ids, and the distinct texts that describe their boxes."""

    task: Task
    images: tuple[EvaluationImage, ...]
    texts: tuple[str, ...]

    @property
    def num_regions(self) -> int:
        """Boxes with a text."""
        return sum(len(image.text_rows) for image in self.images)


def evaluate(context: RunContext) -> bool:
    """The recipe: write ``results/metrics.json``; True if it was stopped before the end.

    Raises:
        BadInput: there is no ground truth for the task, or none of its images can be read.
    """
    wanted = context.config.evaluate
    if wanted is None:
        raise BadInput("The run does not say what to evaluate.")
    model = load_checkpoint(Path(context.config.checkpoint), device=str(context.device))
    with open_snapshot(context.folder.snapshot) as dataset:
        truth = read_ground_truth(dataset, wanted.task, wanted.split)
    if not truth.images:
        raise BadInput(_nothing_to_measure(wanted))
    num_images = len(truth.images)
    context.reporter.started(
        device=describe_device(context.device),
        num_images=num_images,
        num_regions=truth.num_regions,
        num_steps=num_images,
    )
    keeps = num_images * bytes_of_tokens(model) <= MAX_KEPT_BYTES
    source = TokenSource(model, cache_of(model, context.cache), keeps=keeps)
    measured = measure(
        model,
        truth,
        source,
        hooks=[ReportProgress(context.reporter, num_images)],
        should_stop=context.should_stop,
        on_unreadable=context.reporter.note,
        alive=context.reporter.alive,
    )
    if measured is None:
        return True
    if not measured:
        raise BadInput("None of the images with ground truth can be read; nothing was measured.")
    document = {"task": wanted.task, "split": wanted.split, **measured}
    write_whole(context.folder.results / "metrics.json", msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    context.reporter.evaluated(0, measured)
    return False


def read_ground_truth(dataset: Dataset, task: Task, split: str = "") -> GroundTruth:
    """The true boxes that have a text for this task: the class's name for ``regions``, else the phrase.

    Of ``regions``, all class names that are in use are texts, also of classes without a box; elsewhere a region
    without a phrase is described by its class.
    """
    classes = [label for label in dataset.classes() if not label.is_retired]
    class_names = {label.id: label.name for label in classes}
    row_of: dict[str, int] = {}
    if task == "regions":
        row_of = {name: row for row, name in enumerate(dict.fromkeys(class_names.values()))}
    found = []
    for work in images_with_regions(dataset, split):
        if work.image.problem is not Problem.NONE:
            continue
        described = []
        for region in filter(is_ground_truth, work.regions):
            known = class_names.get(region.class_id, "") if region.class_id is not None else ""
            text = known if task == "regions" else phrase_of(region, class_names)
            if text:
                described.append((region.box.as_tuple(), row_of.setdefault(text, len(row_of))))
        if described:
            boxes = np.array([box for box, _ in described], np.float32)
            rows = tuple(row for _, row in described)
            found.append(EvaluationImage(work.image, work.path, boxes, rows))
    return GroundTruth(task, tuple(found), tuple(row_of))


def measure(
    model: Cloc,
    truth: GroundTruth,
    source: TokenSource,
    *,
    hooks: Sequence[Hook] = (),
    should_stop: Callable[[], bool] = lambda: False,
    on_unreadable: Callable[[str], None] = lambda _: None,
    alive: Callable[[], object] = lambda: None,
) -> dict[str, float] | None:
    """Metrics of the task, with ``n`` for how many queries they are over; empty if none, None if it was stopped."""
    text_TD = embed_texts(model, truth.texts, alive)
    seen: list[tuple[EvaluationImage, Floats]] = []

    def step(batch: list[tuple[EvaluationImage, Encoded | Unreadable]]) -> StepMetrics:
        for image, encoded in batch:
            if isinstance(encoded, Unreadable):
                on_unreadable(encoded.sentence)
            else:
                seen.append((image, _answers(model, truth.task, image, encoded, text_TD)))
        return StepMetrics(len(batch))

    num_done = 0

    def told(hook: Hook) -> Hook:
        return lambda _, metrics: hook(num_done, metrics)

    def count(_: int, metrics: StepMetrics) -> None:
        nonlocal num_done
        num_done += metrics.num_images

    end = run_loop(source.stream(truth.images), step, [count, *map(told, hooks)], should_stop=should_stop)
    if end.was_stopped:
        return None
    return _metrics(truth, seen, text_TD) if seen else {}


@torch.inference_mode()
def _answers(model: Cloc, task: Task, image: EvaluationImage, encoded: Encoded, text_TD: Tensor) -> Floats:
    """Of grounding: overlap of each phrase of the image with its best true box; else embeddings (R, D) of the boxes."""
    prepared = model.prepare(encoded.tokens, encoded.pixels)
    letterbox = Letterbox(image.image.width, image.image.height)
    if task != "grounding":
        square_R4 = torch.from_numpy(letterbox.to_square(image.boxes))
        return model.embed_boxes(prepared, square_R4).float().cpu().numpy()
    asked = list(dict.fromkeys(image.text_rows))
    square_T4, _ = model.ground(prepared, text_TD[asked])
    overlap_TR = iou_matrix(letterbox.to_unit(square_T4.float().cpu().numpy()), image.boxes)
    is_own_TR = np.array(image.text_rows)[None, :] == np.array(asked)[:, None]
    return np.where(is_own_TR, overlap_TR, 0.0).max(axis=1)


def _metrics(truth: GroundTruth, seen: Sequence[tuple[EvaluationImage, Floats]], text_TD: Tensor) -> dict[str, float]:
    answers = np.concatenate([answer for _, answer in seen]).astype(np.float32)
    if truth.task == "grounding":
        return {"n": len(answers), **grounding_metrics(answers)}
    rows = np.array([row for image, _ in seen for row in image.text_rows], np.int64)
    texts = text_TD.cpu().numpy()
    if truth.task == "regions":
        return {"n": len(rows), **naming_metrics(answers @ texts.T, rows)}
    return {"n": len(rows), **retrieval_metrics(answers, texts, rows)}


def _nothing_to_measure(wanted: Evaluation) -> str:
    what = {"regions": "box with a class", "images": "image with a caption"}
    where = f"in the split {wanted.split!r}" if wanted.split else "in this project"
    return f"There is no {what.get(wanted.task, 'box with a phrase')} {where}, so there is nothing to measure."
