"""Losses of routers, by values derived by hand."""

import math

import pytest
import torch

from trainer.losses.routing import importance_loss, load_loss, router_cross_entropy, superclass_targets


def test_that_a_superclass_is_wanted_as_much_as_its_classes_together():
    target_BL = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    assert superclass_targets(target_BL, [1, 0, 1], 3).tolist() == [[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]]
    with pytest.raises(ValueError, match="2 superclasses"):
        superclass_targets(target_BL, [1, 0], 2)


def test_that_targets_of_mixed_images_are_mixed_targets():
    one, other = torch.eye(4)[[0]], torch.eye(4)[[3]]
    mixed = superclass_targets(0.7 * one + 0.3 * other, (0, 0, 1, 1), 2)
    torch.testing.assert_close(mixed, torch.tensor([[0.7, 0.3]]))


def test_that_a_router_that_knows_nothing_costs_log_e():
    logits_BE, target_BE = torch.zeros(3, 5), torch.eye(5)[[0, 2, 4]]
    assert router_cross_entropy(logits_BE, target_BE).item() == pytest.approx(math.log(5))


def test_that_the_softmax_is_of_all_experts():
    # -log(e^2 / (e^2 + e^1 + e^0)), and half of each of two.
    logits_BE = torch.tensor([[2.0, 1.0, 0.0]])
    norm = math.log(math.e**2 + math.e + 1)
    assert router_cross_entropy(logits_BE, torch.tensor([[1.0, 0, 0]])).item() == pytest.approx(norm - 2)
    assert router_cross_entropy(logits_BE, torch.tensor([[0.5, 0.5, 0]])).item() == pytest.approx(norm - 1.5)


def test_that_an_image_without_a_superclass_says_nothing():
    logits_BE = torch.tensor([[2.0, 0.0], [9.0, 0.0]], requires_grad=True)
    target_BE = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    loss = router_cross_entropy(logits_BE, target_BE)
    assert loss.item() == pytest.approx(math.log(1 + math.e**2))
    loss.backward()
    assert logits_BE.grad[1].tolist() == [0.0, 0.0]
    assert router_cross_entropy(logits_BE, torch.zeros(2, 2)).item() == 0.0


def test_that_images_count_as_much_as_they_weigh():
    logits_BE, target_BE = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]), torch.tensor([[1.0, 0], [1.0, 0]])
    # log 2 once, log(4/3) three times.
    loss = router_cross_entropy(logits_BE, target_BE, torch.tensor([0.25, 0.75]))
    assert loss.item() == pytest.approx(0.25 * math.log(2) + 0.75 * math.log(4 / 3))
    with pytest.raises(ValueError, match="logits"):
        router_cross_entropy(logits_BE, torch.ones(2, 3))


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 3)])
def test_that_even_routers_cost_nothing_and_one_expert_for_all_costs_e_minus_one(shape):
    # All to one of E experts: variance (E - 1) / E**2, mean 1 / E, so E - 1.
    even, one = torch.zeros(shape), torch.tensor([0.0, 50.0, 0.0]).expand(shape)
    assert importance_loss(even).item() == pytest.approx(0, abs=1e-9)
    assert importance_loss(one).item() == pytest.approx(2, rel=1e-5)
    # An expert that has won before wins with half the draws at its own threshold.
    assert load_loss(even, even, 1).item() == pytest.approx(0, abs=1e-9)
    assert load_loss(one, one, 1).item() == pytest.approx(2, rel=1e-5)


def test_that_importance_is_spread_over_the_batch_and_not_over_each_image():
    assert importance_loss(50 * torch.eye(4)).item() == pytest.approx(0, abs=1e-6)
    # Sums of 1.5, 0.5: variance 0.25, mean 1.
    logits_ME = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]])
    assert importance_loss(logits_ME).item() == pytest.approx(0.25)


def test_that_load_is_the_chance_to_win_with_the_noise_drawn_again():
    # Two experts, noise of standard deviation 1/2, threshold 1: chances of logits 1 and 0 are 1/2 and P(z > 2).
    chance = 0.5 * math.erfc(2 / math.sqrt(2))
    mean, apart = (0.5 + chance) / 2, (0.5 - chance) / 2
    loss = load_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.3]]), 1)
    assert loss.item() == pytest.approx((apart / mean) ** 2, rel=1e-5)
    # With k = 2 the second noisy logit is the threshold.
    second = [0.5 * math.erfc((0.3 - logit) * 2 / math.sqrt(2)) for logit in (1.0, 0.0)]
    mean, apart = sum(second) / 2, (second[0] - second[1]) / 2
    loss = load_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.3]]), 2)
    assert loss.item() == pytest.approx((apart / mean) ** 2, rel=1e-5)
    with pytest.raises(ValueError, match="with noise"):
        load_loss(torch.zeros(2, 3), torch.zeros(3, 3), 1)


def test_that_both_losses_teach_a_router_to_spread():
    logits_ME = torch.tensor([[1.0, 0.2, 0.0], [0.9, 0.1, 0.3]], requires_grad=True)
    (importance_loss(logits_ME) + load_loss(logits_ME, logits_ME.detach() + 0.01, 1)).backward()
    assert logits_ME.grad.sum(dim=0)[0] > 0
    assert torch.isfinite(logits_ME.grad).all()
