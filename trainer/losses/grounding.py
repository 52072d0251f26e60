"""Losses about places.

Axes: R = regions in the batch, A = anchors, O = objects of one image.  Boxes are XYXY in the ``square`` frame.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.losses.weighting import mean_of

POSITIVE_IOU = 0.5
NEGATIVE_IOU = 0.4


def grounding_loss(
    found_R4: Tensor, true_R4: Tensor, valid_R: Tensor | None = None, weight_R: Tensor | None = None
) -> Tensor:
    """Mean squared error of corners: the squared distance of two boxes, divided by four, mean over valid regions.

    ``weight_R`` says how much each region counts.

    Raises:
        ValueError: the two inputs differ in shape.

    Source: CLOC (arXiv:2410.02746), equation 3.
    """
    if found_R4.shape != true_R4.shape:
        raise ValueError(f"found and true boxes differ in shape: {tuple(found_R4.shape)}, {tuple(true_R4.shape)}")
    if valid_R is not None:
        found_R4, true_R4 = found_R4[valid_R], true_R4[valid_R]
        weight_R = None if weight_R is None else weight_R[valid_R]
    if not len(found_R4):
        return found_R4.sum() * 0.0
    return mean_of(((found_R4 - true_R4) ** 2).sum(dim=-1), weight_R) / 4


def overlap_grounding_loss(found_R4: Tensor, true_R4: Tensor, weight_R: Tensor | None = None) -> Tensor:
    """Distance and overlap of boxes: 5/7 of the L1 distance of centres and sizes, 2/7 of one minus generalised IoU.

    ``weight_R`` says how much each region counts.

    Raises:
        ValueError: the two inputs differ in shape.

    Source: DETR (arXiv:2005.12872), its loss of boxes with the weights 5 and 2, divided by their sum.
    """
    if found_R4.shape != true_R4.shape:
        raise ValueError(f"found and true boxes differ in shape: {tuple(found_R4.shape)}, {tuple(true_R4.shape)}")
    if not len(found_R4):
        return found_R4.sum() * 0.0
    distance_R = (_centre_and_size(found_R4) - _centre_and_size(true_R4)).abs().sum(dim=1)
    giou_R, _ = paired_giou(found_R4, true_R4)
    return (5.0 * mean_of(distance_R, weight_R) + 2.0 * mean_of(1.0 - giou_R, weight_R)) / 7.0


@torch.no_grad()
def nearest_boxes(found_BM4: Tensor, boxes_BM4: Tensor, is_own_BMM: Tensor) -> Tensor:
    """For every box that was found, the one of its own phrase's boxes that it overlaps most (generalised IoU).

    A phrase with several boxes ("person") names any of them: its one found box shall go to the nearest, not to their
    mean.  With one found box a phrase this is the bipartite matching of DETR.

    Args:
        found_BM4: Boxes found for each phrase.
        boxes_BM4: True boxes of the same images.
        is_own_BMM: True where the third axis' box is one of the phrase on the second.

    Returns:
        True boxes, shape (B, M, 4); where a phrase has none, the box of its own row.

    Source: DETR (arXiv:2005.12872); MDETR (arXiv:2104.12763) for phrases with several boxes.
    """
    num_images, count, _ = boxes_BM4.shape
    pairs = (num_images, count, count, 4)
    found, true = found_BM4[:, :, None].expand(pairs), boxes_BM4[:, None].expand(pairs)
    giou, _ = paired_giou(found.reshape(-1, 4), true.reshape(-1, 4))
    giou_BMM = giou.view(pairs[:3]).masked_fill(~is_own_BMM, -torch.inf)
    best_BM = torch.where(
        is_own_BMM.any(dim=2), giou_BMM.argmax(dim=2), torch.arange(count, device=boxes_BM4.device)[None]
    )
    return boxes_BM4.gather(1, best_BM[..., None].expand(-1, -1, 4))


def total_loss(clip: Tensor, region_text: Tensor, grounding: Tensor, *, num_labelled: int, num_images: int) -> Tensor:
    """``clip + lambda (region_text + grounding)``, where lambda is the share of images in the batch that have regions.

    Raises:
        ValueError: the counts are not those of a batch.

    Source: CLOC (arXiv:2410.02746), equation 4 and Table A.
    """
    if not 0 <= num_labelled <= num_images or num_images == 0:
        raise ValueError(f"{num_labelled} labelled of {num_images} images is no batch")
    return clip + num_labelled / num_images * (region_text + grounding)


def proposal_loss(logits_A: Tensor, boxes_A4: Tensor, anchors_A4: Tensor, objects_O4: Tensor) -> Tensor:
    """Objectness and place of the proposals of one image.

    An anchor belongs to the object it overlaps most, if by at least 0.5, or if no anchor overlaps that object more.
    Its objectness shall be the overlap its box reaches now (no gradient), that of anchors below 0.4 zero; those between
    say nothing.  Its box shall overlap the object (generalised IoU).

    Args:
        logits_A: Objectness before the sigmoid.
        boxes_A4: Boxes that the anchors became.
        anchors_A4: The anchors, centre and size.
        objects_O4: True boxes, maybe none.

    Returns:
        Scalar, per positive anchor.

    Source: quality focal loss (arXiv:2006.04388), equation 3; generalised IoU (arXiv:1902.09630).
    """
    if not len(objects_O4):
        quality_A, is_counted_A = torch.zeros_like(logits_A), torch.ones_like(logits_A, dtype=torch.bool)
        return _quality_focal(logits_A, quality_A, is_counted_A) / 1.0
    half = anchors_A4[:, 2:] / 2
    overlap_AO = pairwise_iou(torch.cat([anchors_A4[:, :2] - half, anchors_A4[:, :2] + half], dim=1), objects_O4)
    best_A, owner_A = overlap_AO.max(dim=1)
    is_positive_A = best_A >= POSITIVE_IOU
    best_O = overlap_AO.argmax(dim=0)
    is_positive_A[best_O] = True
    owner_A[best_O] = torch.arange(len(objects_O4), device=owner_A.device)
    found_P4, true_P4 = boxes_A4[is_positive_A], objects_O4[owner_A[is_positive_A]]
    giou_P, iou_P = paired_giou(found_P4, true_P4)
    quality_A = torch.zeros_like(logits_A)
    quality_A[is_positive_A] = iou_P.detach()
    objectness = _quality_focal(logits_A, quality_A, is_positive_A | (best_A < NEGATIVE_IOU))
    num_positive = int(is_positive_A.sum())
    return objectness / num_positive + (1.0 - giou_P).mean()


def pairwise_iou(one_A4: Tensor, other_O4: Tensor) -> Tensor:
    """Intersection over union of all pairs, shape (A, O)."""
    low = torch.maximum(one_A4[:, None, :2], other_O4[None, :, :2])
    high = torch.minimum(one_A4[:, None, 2:], other_O4[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)
    union = _area(one_A4)[:, None] + _area(other_O4)[None] - shared
    return shared / union.clamp(min=1e-9)


def paired_giou(one_N4: Tensor, other_N4: Tensor) -> tuple[Tensor, Tensor]:
    """Generalised IoU in (-1, 1] and IoU of boxes row by row."""
    low = torch.maximum(one_N4[:, :2], other_N4[:, :2])
    high = torch.minimum(one_N4[:, 2:], other_N4[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    union = _area(one_N4) + _area(other_N4) - shared
    hull = torch.maximum(one_N4[:, 2:], other_N4[:, 2:]) - torch.minimum(one_N4[:, :2], other_N4[:, :2])
    hull_area = hull.prod(dim=1).clamp(min=1e-9)
    iou = shared / union.clamp(min=1e-9)
    return iou - (hull_area - union) / hull_area, iou


def _centre_and_size(boxes_N4: Tensor) -> Tensor:
    return torch.cat([(boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2, boxes_N4[:, 2:] - boxes_N4[:, :2]], dim=1)


def _quality_focal(logits_A: Tensor, quality_A: Tensor, is_counted_A: Tensor) -> Tensor:
    distance_A = (quality_A - logits_A.sigmoid()).abs() ** 2
    entropy_A = F.binary_cross_entropy_with_logits(logits_A, quality_A, reduction="none")
    return (distance_A * entropy_A)[is_counted_A].sum()


def _area(boxes_N4: Tensor) -> Tensor:
    return (boxes_N4[:, 2:] - boxes_N4[:, :2]).clamp(min=0).prod(dim=1)
