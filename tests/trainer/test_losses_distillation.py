import math

import pytest
import torch

from trainer.losses.distillation import distillation_loss, likeness_distillation_loss


def test_that_distillation_is_one_minus_the_cosine_and_teaches_the_student_alone():
    # Cosines 1, 0 and -1: mean of 0, 1, 2.
    student_32 = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]], requires_grad=True)
    teacher_32 = torch.tensor([[1.0, 0.0]] * 3, requires_grad=True)
    loss = distillation_loss(student_32, teacher_32)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert teacher_32.grad is None


def test_the_divergence_of_two_texts_derived_by_hand():
    # The teacher gives 3/4 and 1/4, the student halves: 3/4 log(3/2) + 1/4 log(1/2).
    teacher_12 = torch.tensor([[math.log(3.0), 0.0]], requires_grad=True)
    student_12 = torch.zeros(1, 2, requires_grad=True)
    loss = likeness_distillation_loss(student_12, teacher_12)
    loss.backward()
    assert loss.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), rel=1e-6)
    # The gradient of logits under a softmax: what is said minus what is wanted.
    assert student_12.grad.tolist() == [pytest.approx([0.5 - 0.75, 0.5 - 0.25])]
    assert teacher_12.grad is None


def test_that_a_student_that_agrees_up_to_a_constant_has_nothing_to_learn():
    logits_NU = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    assert likeness_distillation_loss(logits_NU + 3.0, logits_NU).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("loss", [distillation_loss, likeness_distillation_loss])
def test_that_no_box_costs_nothing_and_unequal_rows_are_refused(loss):
    assert loss(torch.zeros(0, 3, requires_grad=True), torch.zeros(0, 3)).item() == 0.0
    with pytest.raises(ValueError, match="shapes"):
        loss(torch.zeros(3, 4), torch.zeros(2, 4))
