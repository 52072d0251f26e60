"""Losses of the mask head.  A logit of ln 3 is a probability of 3/4."""

import math

import pytest
import torch

from trainer.losses.masks import FOCAL_WEIGHT, dice_loss, focal_loss, mask_loss, reached_overlap

SURE = 40.0


def grid(*rows):
    return torch.tensor([rows], dtype=torch.float32)


def test_that_focal_loss_is_cross_entropy_times_the_squared_error():
    # Truth 1 at probability 3/4: -ln 0.75 * 0.25^2; truth 0 at probability 3/4: -ln 0.25 * 0.75^2; their mean.
    expected = (-math.log(0.75) * 0.0625 - math.log(0.25) * 0.5625) / 2
    logits = torch.full((1, 1, 2), math.log(3))
    assert focal_loss(logits, grid([1, 0]), torch.ones(1, 1, 2)).item() == pytest.approx(expected, rel=1e-5)


def test_that_dice_loss_is_nought_for_the_truth_and_near_one_for_its_opposite():
    truth = torch.zeros(1, 20, 20)
    truth[:, :10] = 1
    seen = torch.ones_like(truth)
    assert dice_loss((truth * 2 - 1) * SURE, truth, seen).item() == pytest.approx(0, abs=1e-6)
    # No overlap, 200 + 200 cells: 1 - 1 / 401.
    assert dice_loss((1 - truth * 2) * SURE, truth, seen).item() == pytest.approx(1 - 1 / 401, rel=1e-5)


def test_that_what_is_not_seen_counts_nowhere():
    truth, seen = grid([1, 0], [1, 1]), grid([1, 1], [0, 0])
    one, other = grid([2, -1], [5, -7]), grid([2, -1], [-9, 3])
    for loss in (focal_loss, dice_loss):
        assert loss(one, truth * seen, seen).item() == pytest.approx(loss(other, truth * seen, seen).item())


def test_that_the_two_losses_are_weighed_as_in_the_paper():
    logits, truth, seen = grid([1, -2], [0.5, 3]), grid([1, 0], [0, 1]), torch.ones(1, 2, 2)
    expected = FOCAL_WEIGHT * focal_loss(logits, truth, seen) + dice_loss(logits, truth, seen)
    assert mask_loss(logits, truth, seen).item() == pytest.approx(expected.item())
    assert FOCAL_WEIGHT == 20


def test_that_the_part_of_a_thing_beyond_the_window_lowers_the_overlap():
    logits, truth, seen = grid([9, 9], [-9, -9]), grid([1, 1], [0, 0]), torch.ones(1, 2, 2)
    assert reached_overlap(logits, truth, seen, torch.tensor([2.0])).item() == 1
    assert reached_overlap(logits, truth, seen, torch.tensor([4.0])).item() == 0.5  # 2 of 4 cells
