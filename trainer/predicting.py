"""Ask a model everything that an evaluation measures.

Axes: R = regions of an image, C = classes, Q = phrases asked of it, P = proposals, T = texts, D = embedding width.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from locstudio.domain.geometry import Letterbox, suppress_overlaps
from locstudio.jobs.predictions import Predictions, Summary
from locstudio.models.cloc import Cloc
from locstudio.models.detector import Detected as Told
from locstudio.models.detector import detect
from trainer.encoding import Encoded, TokenSource, embed_texts
from trainer.ground_truth import EvaluationImage, GroundTruth
from trainer.images import Unreadable
from trainer.loop import Hook, StepMetrics, run_loop
from trainer.metrics import PROPOSAL_LIMITS, Floats
from trainer.prediction_tables import Detected, Found, ImageAnswers, Texts, put_together

NUM_PROPOSALS = max(PROPOSAL_LIMITS)
NUM_DETECTIONS = 20
DETECTION_FLOOR = 0.2
"""Weaker detections are not kept.  Those between this and what a worklist calls sure excuse the other checkpoint's.

Scores are likelihoods (``DetectionConfig``): on photos of coco_train that proposals and Prompter had not seen, a
quarter of those from here to 0.4 was right, and above that more than half.
"""
DETECTION_IOU = 0.5
_SMALLEST_SIDE = 1 / 512
NOTHING = Detected(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """The texts of a ground truth as the model embeds them, on its device."""

    class_CD: Tensor
    phrase_TD: Tensor
    caption_TD: Tensor


def predict(
    model: Cloc,
    truth: GroundTruth,
    source: TokenSource,
    *,
    split: str = "",
    held_out: Collection[int] = (),
    hooks: Sequence[Hook] = (),
    should_stop: Callable[[], bool] = lambda: False,
    on_unreadable: Callable[[str], None] = lambda _: None,
    alive: Callable[[], object] = lambda: None,
) -> Predictions | None:
    """Everything the model says to the questions of a ground truth, with its metrics; None if it was stopped.

    Images that cannot be read take no part.  ``held_out`` are the images that the model has not learnt from.  Hooks
    are told the number of images done.
    """
    names = [name for _, name in truth.classes] if truth.has("regions") or truth.has("proposals") else []
    questions = Questions(
        embed_texts(model, names, alive),
        embed_texts(model, () if truth.task == "proposals" else truth.phrases, alive),
        embed_texts(model, truth.captions, alive),
    )
    seen: list[ImageAnswers] = []
    num_done = 0

    def step(batch: list[tuple[EvaluationImage, Encoded | Unreadable]]) -> StepMetrics:
        nonlocal num_done
        for image, encoded in batch:
            if isinstance(encoded, Unreadable):
                on_unreadable(encoded.sentence)
            else:
                seen.append(answer(model, truth, image, encoded, questions))
        num_done += len(batch)
        return StepMetrics(len(batch))

    def told(hook: Hook) -> Hook:
        return lambda _, metrics: hook(num_done, metrics)

    end = run_loop(source.stream(truth.images), step, [told(hook) for hook in hooks], should_stop=should_stop)
    if end.was_stopped:
        return None
    texts = Texts(_numpy(questions.class_CD), _numpy(questions.phrase_TD), _numpy(questions.caption_TD))
    summary = Summary(
        checkpoint_id=model.id,
        name=model.config.name,
        split=split,
        logit_scale=float(model.logit_scale.detach().exp()),
    )
    return put_together(summary, truth, seen, texts, frozenset(held_out), alive)


@torch.inference_mode()
def answer(
    model: Cloc, truth: GroundTruth, image: EvaluationImage, encoded: Encoded, questions: Questions
) -> ImageAnswers:
    """Ask one image everything that belongs to the task."""
    prepared = model.prepare(encoded.tokens, encoded.pixels)
    letterbox = Letterbox(image.image.width, image.image.height)
    region_RD, image_D = np.zeros((0, model.dim), np.float32), np.zeros(model.dim, np.float32)
    if truth.has("regions") or truth.has("retrieval"):
        region_RD = _numpy(model.embed_boxes(prepared, torch.from_numpy(letterbox.to_square(image.boxes))))
    if truth.has("images"):
        image_D = _numpy(model.embed_image(prepared))
    asked = np.unique(image.phrase_rows[image.phrase_rows >= 0]) if truth.has("grounding") else np.zeros(0, np.int64)
    found = Found(asked, np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    if len(asked):
        square_Q4, cosine_Q = model.ground(prepared, questions.phrase_TD[torch.from_numpy(asked)])
        found = Found(asked, letterbox.to_unit(_numpy(square_Q4)), _numpy(cosine_Q))
    proposed = np.zeros((0, 4), np.float32)
    if truth.task == "proposals":
        proposed = letterbox.to_unit(_numpy(model.propose(prepared, NUM_PROPOSALS)[0]).reshape(-1, 4))
    detected = NOTHING
    if truth.task in ("proposals", "all") and len(questions.class_CD):
        told = detect(model, prepared, questions.class_CD, num_boxes=NUM_PROPOSALS)
        is_all = truth.task == "all"
        floor, limit = (DETECTION_FLOOR, NUM_DETECTIONS) if is_all else (0.0, NUM_PROPOSALS)
        detected = sure_ones(told, letterbox, floor=floor, limit=limit)
    return ImageAnswers(image, region_RD, image_D, found, detected, proposed)


def sure_ones(told: Told, letterbox: Letterbox, *, floor: float, limit: int) -> Detected:
    """At most ``limit`` things of an image, the surest first, none below ``floor``; of one class none overlaps another
    by half, and none lies in the padding.
    """
    boxes, class_rows, scores_P = (
        letterbox.to_unit(_numpy(told.boxes_P4)),
        told.phrase_P.cpu().numpy(),
        _numpy(told.score_P),
    )
    is_seen = ((boxes[:, 2:] - boxes[:, :2]) > _SMALLEST_SIDE).all(axis=1) & (scores_P >= floor)
    kept: list[int] = []
    for row in np.unique(class_rows[is_seen]):
        own = np.flatnonzero((class_rows == row) & is_seen)
        kept += own[suppress_overlaps(boxes[own], scores_P[own], DETECTION_IOU, limit)].tolist()
    best = np.array(sorted(kept, key=lambda place: -scores_P[place])[:limit], np.int64)
    return Detected(boxes[best], class_rows[best].astype(np.int64), scores_P[best])


def _numpy(values: Tensor) -> Floats:
    return values.detach().float().cpu().numpy()
