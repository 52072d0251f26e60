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
from locstudio.models.cloc import GROUNDING_CANDIDATES, Cloc, PreparedImage
from trainer.encoding import Encoded, TokenSource, embed_texts
from trainer.ground_truth import EvaluationImage, GroundTruth
from trainer.images import Unreadable
from trainer.loop import Hook, StepMetrics, run_loop
from trainer.metrics import Floats
from trainer.prediction_tables import Detected, Found, ImageAnswers, Texts, put_together

NUM_DETECTIONS = 20
DETECTION_FLOOR = 0.2
"""Weaker detections are not kept.  Those between this and what a worklist calls sure excuse the other checkpoint's."""
DETECTION_IOU = 0.5
_SMALLEST_SIDE = 1 / 512


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
    are told the number of images done.  Proposals are named only where everything is measured.
    """
    questions = Questions(
        embed_texts(model, [name for _, name in truth.classes] if truth.has("regions") else [], alive),
        embed_texts(model, truth.phrases, alive),
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
    names_proposals = truth.task == "all" and len(questions.class_CD) > 0
    proposed = model.propose(prepared, GROUNDING_CANDIDATES) if len(asked) or names_proposals else None
    found = Found(asked, np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    if len(asked):
        square_Q4, cosine_Q = model.ground(prepared, questions.phrase_TD[torch.from_numpy(asked)], proposed)
        found = Found(asked, letterbox.to_unit(_numpy(square_Q4)), _numpy(cosine_Q))
    detected = Detected(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
    if names_proposals and proposed is not None:
        detected = detect(model, prepared, letterbox, questions.class_CD, proposed)
    return ImageAnswers(image, region_RD, image_D, found, detected)


@torch.inference_mode()
def detect(
    model: Cloc, prepared: PreparedImage, letterbox: Letterbox, class_CD: Tensor, proposed: tuple[Tensor, Tensor]
) -> Detected:
    """At most ``NUM_DETECTIONS`` things of an image, the surest first; of one class none overlaps another by half.

    ``proposed`` are the model's proposals: boxes (P, 4) in the ``square`` frame, and objectness.  The score
    is the class's share of the softmax over all classes, times objectness.
    """
    square_P4, objectness_P = proposed
    boxes_P4 = letterbox.to_unit(_numpy(square_P4).reshape(-1, 4))
    inside = np.flatnonzero(((boxes_P4[:, 2:] - boxes_P4[:, :2]) > _SMALLEST_SIDE).all(axis=1))
    region_PD = model.embed_boxes(prepared, square_P4[torch.from_numpy(inside)])
    share_P, class_P = (model.logit_scale.exp() * region_PD @ class_CD.T).softmax(dim=1).max(dim=1)
    scores, class_rows = _numpy(share_P) * _numpy(objectness_P)[inside], class_P.cpu().numpy()
    boxes = boxes_P4[inside]
    kept: list[int] = []
    for row in np.unique(class_rows[scores >= DETECTION_FLOOR]):
        own = np.flatnonzero((class_rows == row) & (scores >= DETECTION_FLOOR))
        kept += own[suppress_overlaps(boxes[own], scores[own], DETECTION_IOU, NUM_DETECTIONS)].tolist()
    best = np.array(sorted(kept, key=lambda place: -scores[place])[:NUM_DETECTIONS], np.int64)
    return Detected(boxes[best], class_rows[best].astype(np.int64), scores[best])


def _numpy(values: Tensor) -> Floats:
    return values.detach().float().cpu().numpy()
