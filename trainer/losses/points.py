"""The loss of proposals from points.  Axes: A = points, O = objects of one image, P = points that have an object.

Boxes are XYXY in the ``square`` frame.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from locstudio.models.heads import ProposalHead
from locstudio.models.point_head import PointHead
from trainer.losses.grounding import paired_giou, pairwise_iou, proposal_loss

NUM_CANDIDATES = 9
_MIN_POINTS = 3
_BOX_WEIGHT = 2.0
_SAME_THING_IOU = 0.6
_REACH_CELLS, _REACH_SIDES = 0.75, 0.2  # how far from a centre its points lie: cells, or shares of the object's side
_REACH_OCTAVES = 0.8  # by how much a grid's own side differs from the object's, in doublings
_UNLEARNT = 0.15  # an overlap that every point is given, so that place and size decide before anything is learnt


def loss_of_proposals(head: PointHead | ProposalHead, logits_A: Tensor, boxes_A4: Tensor, objects_O4: Tensor) -> Tensor:
    """Objectness and place of what a head proposes in one image, as its kind is trained."""
    if isinstance(head, ProposalHead):
        return proposal_loss(logits_A, boxes_A4, head.anchors_A4, objects_O4)
    return point_loss(logits_A, boxes_A4, head.centre_A2, head.cell_A, head.side_A, objects_O4)


def point_loss(
    logits_A: Tensor, boxes_A4: Tensor, centre_A2: Tensor, cell_A: Tensor, side_A: Tensor, objects_O4: Tensor
) -> Tensor:
    """Objectness and place of the points of one image, per object.

    A point that has an object (see ``owners``) shall have the overlap its box reaches now as its objectness (no
    gradient), all others none; those without an object whose box overlaps one by more than 0.6 say nothing.  The points
    of an object share its weight in the loss of boxes, so that large things do not count more.

    Source: quality focal loss (arXiv:2006.04388), equation 3; generalised IoU (arXiv:1902.09630).
    """
    likely_A = logits_A.sigmoid()
    if not len(objects_O4):
        return (likely_A**2 * F.softplus(logits_A)).sum()
    with torch.no_grad():
        overlap_AO = pairwise_iou(boxes_A4, objects_O4)
        owner_A = owners(overlap_AO, centre_A2, cell_A, side_A, objects_O4)
        has_object_A = owner_A >= 0
        own_P = owner_A[has_object_A]
        quality_A = torch.zeros_like(logits_A)
        quality_A[has_object_A] = overlap_AO[has_object_A].gather(1, own_P[:, None])[:, 0]
        is_counted_A = has_object_A | (overlap_AO.amax(dim=1) <= _SAME_THING_IOU)
        share_P = 1.0 / torch.bincount(own_P, minlength=len(objects_O4)).float()[own_P]
    entropy_A = F.binary_cross_entropy_with_logits(logits_A, quality_A, reduction="none")
    objectness = ((quality_A - likely_A) ** 2 * entropy_A)[is_counted_A].sum()
    giou_P, _ = paired_giou(boxes_A4[has_object_A], objects_O4[own_P])
    return (objectness + _BOX_WEIGHT * (share_P * (1.0 - giou_P)).sum()) / len(objects_O4)


@torch.no_grad()
def owners(overlap_AO: Tensor, centre_A2: Tensor, cell_A: Tensor, side_A: Tensor, objects_O4: Tensor) -> Tensor:
    """Which object each point shall find, -1 for none, int64 (A,).

    A point's merit for an object falls with its distance from the object's centre and with the difference of their
    sizes, and grows with the overlap its box reaches.  Of the nine of most merit an object takes so many as their
    overlaps add up to, at least three; of several objects that want a point, the one it has most merit for has it.

    Source: OTA's simplification in YOLOX (arXiv:2107.08430) for the number, with soft bounds in place of hard ones.
    """
    sides_O2 = (objects_O4[:, 2:] - objects_O4[:, :2]).clamp(min=1e-4)
    apart_AO2 = (centre_A2[:, None] - (objects_O4[:, :2] + objects_O4[:, 2:])[None] / 2).abs()
    reach_AO2 = torch.maximum(_REACH_CELLS * cell_A[:, None, None], _REACH_SIDES * sides_O2[None])
    is_near_AO = (-0.5 * (apart_AO2 / reach_AO2).square().sum(dim=2)).exp()
    octaves_AO = (sides_O2.prod(dim=1).sqrt()[None] / side_A[:, None]).log2()
    is_alike_AO = (-0.5 * (octaves_AO / _REACH_OCTAVES).square()).exp()
    merit_AO = is_near_AO * is_alike_AO * (_UNLEARNT + overlap_AO)
    best_KO = merit_AO.topk(min(NUM_CANDIDATES, len(merit_AO)), dim=0).indices
    num_O = overlap_AO.gather(0, best_KO).sum(dim=0).round().clamp(min=_MIN_POINTS)
    is_wanted_KO = torch.arange(len(best_KO), device=num_O.device)[:, None] < num_O[None]
    wanted_AO = torch.zeros_like(merit_AO, dtype=torch.bool).scatter_(0, best_KO, is_wanted_KO)
    most_A, owner_A = merit_AO.masked_fill(~wanted_AO, -1.0).max(dim=1)
    return torch.where(most_A >= 0, owner_A, -1)
