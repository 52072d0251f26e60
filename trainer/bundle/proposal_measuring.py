"""What proposals are compared by: those of a head, and two that need no training.

Axes: P = boxes of an image, D = embedding width, T = names.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstudio.domain.geometry import BoxArray, iou_matrix, suppress_overlaps
from locstudio.models.cloc import GROUNDING_CANDIDATES, Cloc, PreparedImage
from locstudio.models.detector import confidence, shares
from trainer.bundle.features import SceneSet
from trainer.bundle.measuring import prepared_scene
from trainer.metrics import average_precision, matches, proposal_metrics

NUM_BOXES = 100
_SAME_CLASS_IOU = 0.5
_SLIDING = ((0.1, 0.05), (0.2, 0.1), (0.35, 0.15), (0.6, 0.2), (0.9, 0.05))  # sides and steps, in squares
_RATIOS = (0.5, 1.0, 2.0)
_SLIDING_IOU = 0.6

Propose = Callable[[int, PreparedImage], tuple[Tensor, Tensor]]
"""From a scene's row and the scene to at most 100 boxes (P, 4) with objectness, the likeliest first."""


@dataclass(frozen=True, slots=True, eq=False)
class _Named:
    """Detections of one image, the surest first, and its true boxes."""

    boxes: BoxArray
    class_rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    true: BoxArray
    true_rows: NDArray[np.int64]


@torch.inference_mode()
def proposals_measured(
    model: Cloc, scenes: SceneSet, names: Sequence[str], propose: Propose | None = None
) -> dict[str, float]:
    """Recall, average recall, precision by class names, grounding by class names, CPU milliseconds an image.

    Where nothing else proposes, the model does.  Grounding is the app's, the first 60 of these boxes its candidates.
    """
    text_TD = model.embed_texts(list(names))
    ranks, overlaps, found, grounded, spent = [], [], [], [], []
    for row, scene in enumerate(scenes.scenes):
        prepared = prepared_scene(model, scenes, row)
        begun = time.process_time()
        boxes_P4, objectness_P = propose(row, prepared) if propose else model.propose(prepared, NUM_BOXES)
        spent.append(1000 * (time.process_time() - begun))
        overlap_RP = iou_matrix(scene.boxes_R4, boxes_P4.numpy())
        covers_RP = np.concatenate([overlap_RP >= 0.5, np.ones((len(overlap_RP), 1), np.bool_)], axis=1)
        first_R = covers_RP.argmax(axis=1)
        ranks.append(np.where(first_R == len(boxes_P4), NUM_BOXES, first_R))
        overlaps.append(overlap_RP.max(axis=1, initial=0.0))
        truth = np.array(scene.class_index, np.int64)
        found.append(_named(model, prepared, text_TD, boxes_P4, objectness_P, scene.boxes_R4, truth))
        present = np.unique(truth)
        if len(present):
            candidates = boxes_P4[:GROUNDING_CANDIDATES], objectness_P[:GROUNDING_CANDIDATES]
            boxes_T4, _ = model.ground(prepared, text_TD[torch.from_numpy(present)], candidates)
            for box, one in zip(boxes_T4.numpy(), present, strict=True):
                grounded.append(float(iou_matrix(box[None], scene.boxes_R4[truth == one]).max()))
    measures = proposal_metrics(np.concatenate(ranks).astype(np.int64), np.concatenate(overlaps))
    hits = fmean(overlap >= 0.5 for overlap in grounded)
    return measures | {
        "ap50": _precision(found),
        "ground_hit50": hits,
        "ground_mean_iou": fmean(grounded),
        "propose_ms": fmean(spent),
    }


def _named(
    model: Cloc,
    prepared: PreparedImage,
    text_TD: Tensor,
    boxes_P4: Tensor,
    objectness_P: Tensor,
    true: BoxArray,
    true_rows: NDArray[np.int64],
) -> _Named:
    """As ``locstudio.models.detector`` scores boxes, each class told once at a place."""
    wanted, cosine_PT = model.config.detection, model.embed_boxes(prepared, boxes_P4) @ text_TD.T
    share_P, class_P = shares(cosine_PT, float(model.logit_scale.exp()), wanted.nothing).max(dim=1)
    scores, class_rows = confidence(share_P, objectness_P, wanted).numpy(), class_P.numpy()
    boxes, kept = boxes_P4.numpy(), []
    for one in np.unique(class_rows):
        own = np.flatnonzero(class_rows == one)
        kept += own[suppress_overlaps(boxes[own], scores[own], _SAME_CLASS_IOU, NUM_BOXES)].tolist()
    order = np.array(sorted(kept, key=lambda place: -scores[place]), np.int64)
    return _Named(boxes[order], class_rows[order], scores[order], true, true_rows)


def _precision(found: Sequence[_Named]) -> float:
    """Average precision at an overlap of a half, averaged over the classes that occur."""
    precisions = []
    for one in np.unique(np.concatenate([image.true_rows for image in found])):
        scores, rights, num_true = [], [], 0
        for image in found:
            own = image.class_rows == one
            true = image.true[image.true_rows == one]
            rights.append(matches(iou_matrix(image.boxes[own], true)))
            scores.append(image.scores[own])
            num_true += len(true)
        order = np.argsort(-np.concatenate(scores), kind="stable")
        precisions.append(average_precision(np.concatenate(rights)[order], num_true))
    return fmean(precisions)


def sliding(model: Cloc, names: Sequence[str]) -> Propose:
    """Boxes of five sizes and three shapes everywhere, ranked by how surely the Prompter names one of these."""
    with torch.inference_mode():
        text_TD = model.embed_texts(list(names))
    boxes_S4 = torch.from_numpy(sliding_boxes())

    def propose(_: int, prepared: PreparedImage) -> tuple[Tensor, Tensor]:
        cosine_ST = torch.cat([model.embed_boxes(prepared, part) for part in boxes_S4.split(256)]) @ text_TD.T
        share_S = shares(cosine_ST, float(model.logit_scale.exp()), model.config.detection.nothing).amax(dim=1)
        kept = suppress_overlaps(boxes_S4.numpy(), share_S.numpy(), _SLIDING_IOU, NUM_BOXES)
        # What the Prompter is sure of has been said by the share; objectness knows nothing beside it.
        return boxes_S4[kept], torch.full((len(kept),), 0.5)

    return propose


def sliding_boxes() -> BoxArray:
    """Boxes (S, 4) of the ``square`` frame that lie inside it."""
    found = []
    for side, step in _SLIDING:
        for ratio in _RATIOS:
            width, height = min(1.0, side * ratio**0.5), min(1.0, side / ratio**0.5)
            for y in np.arange(0.0, 1.0 - height + 1e-6, step):
                found += [(x, y, x + width, y + height) for x in np.arange(0.0, 1.0 - width + 1e-6, step)]
    return np.clip(np.array(found, np.float32), 0.0, 1.0)


def listed(boxes_of: Callable[[str], BoxArray], scenes: SceneSet) -> Propose:
    """Boxes that something else has made, by the name of the photo, in its own order."""

    def propose(row: int, _: PreparedImage) -> tuple[Tensor, Tensor]:
        boxes = boxes_of(scenes.scenes[row].source)[:NUM_BOXES]
        return torch.from_numpy(boxes.astype(np.float32)), torch.full((len(boxes),), 0.5)

    return propose
