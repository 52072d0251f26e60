"""Losses of the mask head.  Axes: B = prompts, S = side of a window's mask."""

import torch
import torch.nn.functional as F
from torch import Tensor

FOCAL_WEIGHT = 20.0
_FOCUS = 2.0


def mask_loss(logits_BSS: Tensor, truth_BSS: Tensor, seen_BSS: Tensor) -> Tensor:
    """Focal loss, twenty times, and dice loss of masks, means over the prompts; what is not seen counts nowhere.

    Source: Segment Anything (arXiv:2304.02643), section A.3, for both and their weights.
    """
    return FOCAL_WEIGHT * focal_loss(logits_BSS, truth_BSS, seen_BSS) + dice_loss(logits_BSS, truth_BSS, seen_BSS)


def focal_loss(logits_BSS: Tensor, truth_BSS: Tensor, seen_BSS: Tensor) -> Tensor:
    """Cross entropy of each seen cell, weighted by the square of how wrong it is; in nats.

    Source: Focal loss (arXiv:1708.02002), without the balance of classes.
    """
    entropy_BSS = F.binary_cross_entropy_with_logits(logits_BSS, truth_BSS, reduction="none")
    wrong_BSS = (logits_BSS.sigmoid() - truth_BSS).abs()
    per_cell_BSS = wrong_BSS**_FOCUS * entropy_BSS * seen_BSS
    return (per_cell_BSS.sum(dim=(1, 2)) / seen_BSS.sum(dim=(1, 2)).clamp(min=1)).mean()


def dice_loss(logits_BSS: Tensor, truth_BSS: Tensor, seen_BSS: Tensor) -> Tensor:
    """One minus twice the overlap over the sum of both masks, with one cell added to both sides."""
    shown_BSS = logits_BSS.sigmoid() * seen_BSS
    overlap_B = (shown_BSS * truth_BSS).sum(dim=(1, 2))
    both_B = (shown_BSS + truth_BSS * seen_BSS).sum(dim=(1, 2))
    return (1 - (2 * overlap_B + 1) / (both_B + 1)).mean()


def reached_overlap(logits_BSS: Tensor, truth_BSS: Tensor, seen_BSS: Tensor, cells_B: Tensor) -> Tensor:
    """Intersection over union (B,) of each mask with the whole truth: ``cells_B`` cells, beyond the window too."""
    shown_BSS = (logits_BSS > 0).float() * seen_BSS
    overlap_B = (shown_BSS * truth_BSS).sum(dim=(1, 2))
    whole_B = torch.maximum(cells_B, truth_BSS.sum(dim=(1, 2)))
    return overlap_B / (shown_BSS.sum(dim=(1, 2)) + whole_B - overlap_B).clamp(min=1)
