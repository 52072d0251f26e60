"""Detection with phrases: the proposals of an image, each with the phrase that it shows most confidently.

Nothing is thresholded here: boxes that nearly coincide are told once, all others are left for a person's sliders.
Axes: P = proposals, T = phrases, D = embedding width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from locstudio.models.cloc import Cloc, PreparedImage
from locstudio.models.config import DetectionConfig

LOOSE_IOU = 0.7
"""Of two boxes that overlap more than this, only the more likely one is told; what overlaps less is the person's."""
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Detected:
    """What was found in an image, the most confident first.

    Attributes:
        boxes_P4: Boxes XYXY in the ``square`` frame, inside of it and with an area.
        objectness_P: How likely there is a thing at all, in [0, 1].
        phrase_P: Row of the most confident phrase, int64.
        score_P: How likely the box shows that phrase, in [0, 1].
        vectors_PD: Region embeddings, L2-normalised.
    """

    boxes_P4: Tensor
    objectness_P: Tensor
    phrase_P: Tensor
    score_P: Tensor
    vectors_PD: Tensor


@torch.inference_mode()
def detect(model: Cloc, prepared: PreparedImage, text_TD: Tensor, *, num_boxes: int = 100) -> Detected:
    """At most ``num_boxes`` boxes of an image with the best of these phrases for each; none where there is no phrase.

    Args:
        model: Whose proposals and embeddings are used.
        prepared: The image.
        text_TD: Embeddings of the phrases, L2-normalised.
        num_boxes: How many proposals are looked at.
    """
    boxes_P4, objectness_P = model.propose(prepared, num_boxes if len(text_TD) else 0, max_iou=LOOSE_IOU)
    objectness_P = objectness_P.to(model.device)
    vectors_PD = model.embed_boxes(prepared, boxes_P4)
    if not len(boxes_P4):
        return Detected(boxes_P4, objectness_P, torch.zeros(0, dtype=torch.int64), objectness_P, vectors_PD)
    cosine_PT, wanted = vectors_PD @ text_TD.to(model.device).T, model.config.detection
    share_P, phrase_P = shares(cosine_PT, float(model.logit_scale.exp()), wanted.nothing).max(dim=1)
    score_P = confidence(share_P, objectness_P, wanted)
    order_P = score_P.argsort(descending=True, stable=True)
    return Detected(
        boxes_P4=boxes_P4.to(model.device)[order_P],
        objectness_P=objectness_P[order_P],
        phrase_P=phrase_P[order_P],
        score_P=score_P[order_P],
        vectors_PD=vectors_PD[order_P],
    )


def shares(cosine_PT: Tensor, scale: float, nothing: float) -> Tensor:
    """How likely each phrase is in each box (P, T): a softmax over the phrases and over nothing at all.

    With one phrase it is a sigmoid, so that a phrase alone is no sure phrase.

    Args:
        cosine_PT: Likeness of boxes and phrases.
        scale: What turns a cosine into a logit.
        nothing: The cosine at which a phrase is as likely as no phrase.
    """
    nothing_P1 = torch.full_like(cosine_PT[:, :1], nothing)
    shares_PT: Tensor = (scale * torch.cat([cosine_PT, nothing_P1], dim=1)).softmax(dim=1)[:, :-1]
    return shares_PT


def confidence(share_P: Tensor, objectness_P: Tensor, wanted: DetectionConfig) -> Tensor:
    """How likely each box shows its phrase (P,); see ``DetectionConfig``."""
    logit_P = (
        wanted.bias
        + wanted.share_weight * share_P.clamp(min=_LEAST).log()
        + wanted.objectness_weight * objectness_P.clamp(min=_LEAST).log()
    )
    return logit_P.sigmoid()
