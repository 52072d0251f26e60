"""Losses of classes of which few are known: 1 there, 0 not there, -1 not known.  Axes: B = images, L = classes.

Labels are int8 (B, L), logits float (B, L); weights (B, L) tell entries apart, see `trainer.losses.weighting`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.losses.weighting import mean_of


def expected_negatives(running_BL: Tensor, label_BL: Tensor, num_expected: int) -> Tensor:
    """Which classes count as not there, bool (B, L): all but the ``num_expected`` most likely ones.

    Those known to be there come first among the expected and are never negative, however many; those known not to be
    there always are.  Of equal averages the earlier class is expected.

    Args:
        running_BL: Running averages of the scores in [0, 1].
        label_BL: What is known.
        num_expected: Classes that an image is expected to show (K).

    Raises:
        ValueError: a negative number is expected.

    Source: the expected negative loss of arXiv:2203.06127; the rule of the K highest is a reconstruction.
    """
    if num_expected < 0:
        raise ValueError(f"an image shows at least no class, not {num_expected}")
    likely_BL = running_BL.masked_fill(label_BL == 1, torch.inf).masked_fill(label_BL == 0, -torch.inf)
    order_BL = likely_BL.argsort(dim=1, descending=True, stable=True)
    is_expected_BL = torch.zeros_like(likely_BL, dtype=torch.bool)
    is_expected_BL.scatter_(1, order_BL[:, :num_expected], value=True)
    return (label_BL == 0) | ((label_BL < 0) & ~is_expected_BL)


def assume_negative_loss(
    logits_BL: Tensor, label_BL: Tensor, weight_BL: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Binary cross-entropy that takes what is not known for not there; mean over images and classes, in nats.

    Args:
        logits_BL: What the model says.
        label_BL: What is known.
        weight_BL: How much each entry counts.
        smoothing: How far targets move towards one half; 0.1 is label smoothing as it is mostly used (LS).

    Source: Cole et al. (arXiv:2106.09708), AN and AN-LS.
    """
    target_BL = (label_BL == 1).to(logits_BL.dtype) * (1 - smoothing) + smoothing / 2
    return mean_of(F.binary_cross_entropy_with_logits(logits_BL, target_BL, reduction="none"), weight_BL)


def expected_negative_loss(
    logits_BL: Tensor, label_BL: Tensor, negative_BL: Tensor, weight_BL: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy of the known and of the expected negatives; what is expected but not known says nothing.

    Each entry counts alike, so that with nothing expected this is ``assume_negative_loss``.

    Args:
        logits_BL: What the model says.
        label_BL: What is known.
        negative_BL: What ``expected_negatives`` says.
        weight_BL: How much each entry counts.

    Source: arXiv:2203.06127 in words.
    """
    positive_BL = label_BL == 1
    target_BL = positive_BL.to(logits_BL.dtype)
    loss_BL = F.binary_cross_entropy_with_logits(logits_BL, target_BL, reduction="none")
    # Not in the reconstruction, where the negatives of an image together weigh as much as its positive.
    asked_BL = (positive_BL | negative_BL).to(loss_BL.dtype)
    return mean_of(loss_BL, asked_BL if weight_BL is None else weight_BL * asked_BL)


def entropy_maximisation_loss(
    logits_BL: Tensor, label_BL: Tensor, alpha: float, weight_BL: Tensor | None = None
) -> Tensor:
    """Cross-entropy of what is known, less ``alpha`` times the entropy of what is not; mean over images and classes.

    Source: Zhou et al. (arXiv:2203.16219), EM, with ``alpha`` 0.1 for COCO.
    """
    target_BL = (label_BL == 1).to(logits_BL.dtype)
    known_BL = F.binary_cross_entropy_with_logits(logits_BL, target_BL, reduction="none")
    # The entropy of a probability is the cross-entropy of its logit with itself.
    entropy_BL = F.softplus(logits_BL) - logits_BL * logits_BL.sigmoid()
    return mean_of(torch.where(label_BL < 0, -alpha * entropy_BL, known_BL), weight_BL)


def large_loss_rejection(logits_BL: Tensor, label_BL: Tensor, share: float, weight_BL: Tensor | None = None) -> Tensor:
    """``assume_negative_loss`` without the largest losses of the batch among what is not known.

    Args:
        logits_BL: What the model says.
        label_BL: What is known.
        share: Of all entries of the batch, how many are left out, rounded up; they count as zero in the mean.
        weight_BL: How much each entry counts.

    Source: Kim et al. (arXiv:2206.03740), LL-R.
    """
    target_BL = (label_BL == 1).to(logits_BL.dtype)
    loss_BL = F.binary_cross_entropy_with_logits(logits_BL, target_BL, reduction="none")
    is_unknown_BL = label_BL < 0
    num_rejected = min(math.ceil(share * loss_BL.numel()), int(is_unknown_BL.sum()))
    candidates = loss_BL.detach().masked_fill(~is_unknown_BL, -torch.inf).flatten()
    kept = torch.ones_like(candidates).scatter_(0, candidates.topk(num_rejected).indices, 0.0)
    return mean_of(loss_BL * kept.view_as(loss_BL), weight_BL)


def consistency_loss(logits_BL: Tensor, running_BL: Tensor) -> Tensor:
    """CL: how far scores are from their running averages, mean absolute difference of probabilities.

    The gradient goes through the scores alone.

    Source: arXiv:2203.06127; the absolute difference is of a public re-implementation.
    """
    return (logits_BL.sigmoid() - running_BL.detach()).abs().mean()
