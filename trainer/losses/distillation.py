"""Losses that take a teacher's word for it.

Axes: N = boxes a teacher has seen too, U = texts, D = embedding width.
"""

import torch.nn.functional as F
from torch import Tensor


def distillation_loss(student_ND: Tensor, teacher_ND: Tensor) -> Tensor:
    """Mean of one minus cosine between a student's embeddings and a teacher's, which gets no gradient; in [0, 2].

    Raises:
        ValueError: the two inputs differ in shape.

    Source: CLIPSelf (arXiv:2310.01403), equation 1.
    """
    _require_same_shape(student_ND, teacher_ND)
    if not len(student_ND):
        return student_ND.sum() * 0.0
    return (1.0 - F.cosine_similarity(student_ND, teacher_ND.detach(), dim=-1)).mean()


def likeness_distillation_loss(student_NU: Tensor, teacher_NU: Tensor) -> Tensor:
    """Mean divergence of what a student calls each box from what a teacher calls it, in nats.

    Args:
        student_NU: The student's logits of each box over the texts.
        teacher_NU: The teacher's logits over the same texts, its own embeddings and temperature; it gets no gradient.

    Returns:
        Scalar Kullback-Leibler divergence from teacher to student; zero if there are no boxes.

    Raises:
        ValueError: the two inputs differ in shape.

    Source: Hinton et al. (arXiv:1503.02531), with the texts as classes.  Not as in CLIPSelf: a teacher with a text
    projection of its own lives in another space, where cosines between the two say nothing.
    """
    _require_same_shape(student_NU, teacher_NU)
    if not student_NU.numel():
        return student_NU.sum() * 0.0
    wanted_NU = teacher_NU.detach().log_softmax(dim=1)
    return F.kl_div(student_NU.log_softmax(dim=1), wanted_NU, reduction="batchmean", log_target=True)


def _require_same_shape(one: Tensor, other: Tensor) -> None:
    if one.shape != other.shape:
        raise ValueError(
            f"rows must describe the same things, but the shapes are {tuple(one.shape)} and {tuple(other.shape)}"
        )
