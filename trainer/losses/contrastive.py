"""Contrastive losses of CLOC.

Axes: B = captioned images, R = regions in the batch, K = further phrases, N = any rows, D = embedding width.

All embeddings are L2-normalised and float32; ``logit_scale`` is a scalar, already exponentiated (1 / temperature).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.losses.weighting import mean_of

MAX_LOG_SCALE = math.log(100.0)
_SAME = 0.9999


def temperature(log_scale: Tensor) -> Tensor:
    """The factor on cosines, never above 100; where the cap holds, it passes no gradient.

    Source: CLIP (arXiv:2103.00020), section 2.5.
    """
    return log_scale.clamp(max=MAX_LOG_SCALE).exp()


def clip_loss(image_BD: Tensor, text_BD: Tensor, logit_scale: Tensor) -> Tensor:
    """Symmetric InfoNCE between images and their captions, in nats; zero for fewer than two pairs, which say nothing.

    Raises:
        ValueError: the two inputs differ in shape.

    Source: CLOC (arXiv:2410.02746), equation 1.
    """
    _require_same_shape(image_BD, text_BD)
    if len(image_BD) < 2:
        return image_BD.sum() * 0.0
    logits_BB = logit_scale * image_BD @ text_BD.T
    own_B = torch.arange(len(logits_BB), device=logits_BB.device)
    return (F.cross_entropy(logits_BB, own_B) + F.cross_entropy(logits_BB.T, own_B)) / 2


def region_text_loss(
    region_RD: Tensor,
    text_RD: Tensor,
    logit_scale: Tensor,
    *,
    valid_R: Tensor | None = None,
    max_similarity: float | None = 0.9,
    further_KD: Tensor | None = None,
    has_unique_keys: bool = False,
    weight_R: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE between the regions of a batch and their phrases.

    Row ``r`` of both inputs describes the same region; every other valid row is a negative, also one of the same image.

    Args:
        region_RD: Region embeddings.
        text_RD: Phrase embeddings.
        logit_scale: Scalar, already exponentiated.
        valid_R: False where a row is padding; such a row neither asks nor answers.
        max_similarity: Pairs of different rows whose phrases are more alike than this are left out of both
            denominators; None leaves nothing out.  No gradient flows through this comparison.
        further_KD: Phrases of no region here, further negatives for the regions.  Not in the paper, whose batches of
            32,768 images need none.
        has_unique_keys: A phrase that several regions share is one key for the other regions, not several.  Not in the
            paper: in a small batch full of people, "person" would otherwise be pushed away as often as it occurs, and a
            person's chance with it.
        weight_R: How much each region counts, as one that asks; as a negative of others each counts alike.  Not in the
            paper, which has no region that a person has drawn.

    Returns:
        Scalar mean over valid regions, in nats; zero if there are none.

    Raises:
        ValueError: the two inputs differ in shape.

    Source: CLOC (arXiv:2410.02746), equation 2 and the text filter of section 3.
    """
    _require_same_shape(region_RD, text_RD)
    if valid_R is not None:
        region_RD, text_RD = region_RD[valid_R], text_RD[valid_R]
        weight_R = None if weight_R is None else weight_R[valid_R]
    if not len(region_RD):
        return region_RD.sum() * 0.0
    own_R = torch.arange(len(region_RD), device=region_RD.device)
    logits_RR = logit_scale * region_RD @ text_RD.T
    clash_RR = similar_phrases(text_RD, text_RD, max_similarity).fill_diagonal_(False)
    to_text = masked_RR = logits_RR.masked_fill(clash_RR, -torch.inf)
    if has_unique_keys:
        same_RR = similar_phrases(text_RD, text_RD, _SAME)
        shared_R = same_RR.sum(dim=1).clamp(min=1).log()
        to_text = masked_RR - torch.where(same_RR, 0.0, shared_R)
    if further_KD is not None and len(further_KD):
        clash_RK = similar_phrases(text_RD, further_KD, max_similarity)
        further_RK = (logit_scale * region_RD @ further_KD.T).masked_fill(clash_RK, -torch.inf)
        to_text = torch.cat([to_text, further_RK], dim=1)
    to_text_R = F.cross_entropy(to_text, own_R, reduction="none")
    to_region_R = F.cross_entropy(masked_RR.T, own_R, reduction="none")
    return mean_of((to_text_R + to_region_R) / 2, weight_R)


@torch.no_grad()
def similar_phrases(one_RD: Tensor, other_KD: Tensor, max_similarity: float | None) -> Tensor:
    """True where two phrases mean the same, shape (R, K), bool; all False without a limit."""
    if max_similarity is None:
        return torch.zeros(len(one_RD), len(other_KD), dtype=torch.bool, device=one_RD.device)
    return one_RD @ other_KD.T > max_similarity


def _require_same_shape(one: Tensor, other: Tensor) -> None:
    if one.shape != other.shape:
        raise ValueError(
            f"rows must describe the same things, but the shapes are {tuple(one.shape)} and {tuple(other.shape)}"
        )
