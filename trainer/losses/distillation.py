"""Losses that take a teacher's word for it.

Axes: N = boxes a teacher has seen too, D = embedding width.
"""

import torch.nn.functional as F
from torch import Tensor


def distillation_loss(student_ND: Tensor, teacher_ND: Tensor) -> Tensor:
    """Mean of one minus cosine between a student's embeddings and a teacher's, which gets no gradient; in [0, 2].

    Raises:
        ValueError: the two inputs differ in shape.

    Source: CLIPSelf (arXiv:2310.01403), equation 1.
    """
    if student_ND.shape != teacher_ND.shape:
        raise ValueError(
            f"rows must describe the same things, but the shapes are {tuple(student_ND.shape)} and "
            f"{tuple(teacher_ND.shape)}"
        )
    if not len(student_ND):
        return student_ND.sum() * 0.0
    return (1.0 - F.cosine_similarity(student_ND, teacher_ND.detach(), dim=-1)).mean()
