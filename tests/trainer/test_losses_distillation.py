import pytest
import torch

from trainer.losses.distillation import distillation_loss


def test_that_distillation_is_one_minus_the_cosine_and_teaches_the_student_alone():
    # Cosines 1, 0 and -1: mean of 0, 1, 2.
    student_32 = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]], requires_grad=True)
    teacher_32 = torch.tensor([[1.0, 0.0]] * 3, requires_grad=True)
    loss = distillation_loss(student_32, teacher_32)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert teacher_32.grad is None


def test_that_no_box_costs_nothing_and_unequal_rows_are_refused():
    assert distillation_loss(torch.zeros(0, 3, requires_grad=True), torch.zeros(0, 3)).item() == 0.0
    with pytest.raises(ValueError, match="shapes"):
        distillation_loss(torch.zeros(3, 4), torch.zeros(2, 4))
