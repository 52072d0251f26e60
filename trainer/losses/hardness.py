"""Losses beyond the paper: more from few texts.

Axes: R = regions, U = texts, K = further phrases, A = altered phrases, H = hardest other texts, D = embedding width.

All embeddings are L2-normalised and float32; ``logit_scale`` is a scalar, already exponentiated (1 / temperature).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.losses.contrastive import similar_phrases
from trainer.losses.weighting import mean_of

SIGMOID_BIAS = -10.0
NO_TEXT = -2.0  # no cosine
_SAME_TEXT = 0.95
_NUM_HARDEST = 10


def text_contrast_loss(text_UD: Tensor, *, num_hardest: int = _NUM_HARDEST, same: float = _SAME_TEXT) -> Tensor:
    """Push each text from those most like it: textual intra-modal contrastive loss (TIC).

    Args:
        text_UD: Embeddings of texts, in any order, also several times.
        num_hardest: How many other texts count for each, the most alike first.
        same: Texts more alike than this are the same text and do not count.

    Returns:
        Scalar mean over texts of ``log(sum(exp(cosine)))`` over the hardest others; those that have none are left out,
        and it is zero if that leaves nothing.

    Source: FG-CLIP 2 (arXiv:2510.10921), L_TIC.  Not in the paper: where a text has fewer others than ``num_hardest``,
    the missing ones are left out (there they count as cosine zero).
    """
    similarity_UU = text_UD @ text_UD.T
    # Including each text itself: its cosine with itself is one.
    is_same_UU = (similarity_UU.detach() > same).fill_diagonal_(True)
    hardest_UH = similarity_UU.masked_fill(is_same_UU, -torch.inf).topk(min(num_hardest, len(text_UD)), dim=1).values
    has_others_U = (hardest_UH > -torch.inf).any(dim=1)
    if not has_others_U.any():
        return text_UD.sum() * 0.0
    return hardest_UH[has_others_U].logsumexp(dim=1).mean()


def altered_phrase_loss(
    own_R: Tensor, altered_RA: Tensor, logit_scale: Tensor, weight_R: Tensor | None = None
) -> Tensor:
    """Cross-entropy of a region's phrase against the same phrase with one attribute altered.

    Args:
        own_R: Cosine of each region with its phrase.
        altered_RA: Its cosines with phrases that differ in a colour, a size, a material; ``NO_TEXT`` where there is
            no further one.
        logit_scale: Scalar, already exponentiated.
        weight_R: How much each region counts; None where all count alike.

    Returns:
        Scalar mean over the regions that have an altered phrase, in nats; zero if none has.

    Source: FG-CLIP (arXiv:2505.05071), hard fine-grained negatives, one right phrase against ten altered ones.
    """
    is_text_RA = altered_RA > NO_TEXT
    has_any_R = is_text_RA.any(dim=1)
    if not has_any_R.any():
        return own_R.sum() * 0.0
    # Scaled before it is masked: an infinite logit times the scale would leave the scale without a finite gradient.
    scaled_RA = (logit_scale * altered_RA).masked_fill(~is_text_RA, -torch.inf)
    logits_RA = torch.cat([logit_scale * own_R[:, None], scaled_RA], dim=1)[has_any_R]
    first_R = torch.zeros(len(logits_RA), dtype=torch.int64, device=logits_RA.device)
    if weight_R is None:
        return F.cross_entropy(logits_RA, first_R)
    return mean_of(F.cross_entropy(logits_RA, first_R, reduction="none"), weight_R[has_any_R])


def sigmoid_region_text_loss(
    region_RD: Tensor,
    text_RD: Tensor,
    logit_scale: Tensor,
    *,
    max_similarity: float | None = 0.9,
    further_KD: Tensor | None = None,
    bias: float = SIGMOID_BIAS,
    weight_R: Tensor | None = None,
) -> Tensor:
    """Every pair of a region and a phrase is judged alone: does it belong together?

    Args:
        region_RD: Region embeddings.
        text_RD: Embeddings of their phrases; row ``r`` of both describes the same region.
        logit_scale: Scalar, already exponentiated.
        max_similarity: Pairs of different rows whose phrases are more alike than this are left out; None leaves nothing
            out.
        further_KD: Phrases of no region here; they belong to none.
        bias: Added to all logits, since almost all pairs do not belong together.
        weight_R: How much each region counts, with all pairs that it is in as a region; None where all count alike.

    Returns:
        Scalar: the sum of binary cross-entropies over pairs, divided by the number of regions, in nats; zero if there
        are none.

    Raises:
        ValueError: the two inputs differ in shape.

    Source: SigLIP (arXiv:2303.15343), equation 1.  Not in the paper: the bias is not learned (its first value there),
    and alike phrases are left out as in CLOC.
    """
    if region_RD.shape != text_RD.shape:
        raise ValueError(f"regions and phrases differ in shape: {tuple(region_RD.shape)}, {tuple(text_RD.shape)}")
    if not len(region_RD):
        return region_RD.sum() * 0.0
    keys_UD = text_RD if further_KD is None else torch.cat([text_RD, further_KD])
    logits_RU = logit_scale * region_RD @ keys_UD.T + bias
    own_RU = torch.eye(len(region_RD), len(keys_UD), dtype=torch.bool, device=region_RD.device)
    is_counted_RU = own_RU | ~similar_phrases(text_RD, keys_UD, max_similarity)
    losses_RU = F.binary_cross_entropy_with_logits(logits_RU, own_RU.to(logits_RU.dtype), reduction="none")
    if weight_R is None:
        return losses_RU[is_counted_RU].sum() / len(region_RD)
    return mean_of((losses_RU * is_counted_RU).sum(dim=1), weight_R)
