"""Losses of classes of which few are known, by values derived by hand."""

import math

import pytest
import torch

from trainer.losses.expected_negative import (
    assume_negative_loss,
    consistency_loss,
    entropy_maximisation_loss,
    expected_negative_loss,
    expected_negatives,
    large_loss_rejection,
)

LOG2, LOG4 = math.log(2), math.log(4)
FIRST = torch.tensor([[1, -1, -1, -1]], dtype=torch.int8)
UNDECIDED = torch.zeros(1, 4)
QUARTER = math.log(1 / 3)  # the logit of a probability of one quarter


def labels(*rows):
    return torch.tensor(rows, dtype=torch.int8)


def test_that_all_but_the_most_likely_are_expected_negatives():
    running = torch.tensor([[0.1, 0.9, 0.5, 0.2]])
    # Two are expected: the known first one, however unlikely, and the second.
    assert expected_negatives(running, FIRST, 2).tolist() == [[False, False, True, True]]


def test_that_what_is_known_overrules_what_is_likely():
    running = torch.tensor([[0.0, 0.9, 0.8, 0.7]])
    known = labels([1, 0, 1, -1])
    # Known negatives always are; known positives never, also when more than expected; then nothing else is expected.
    assert expected_negatives(running, known, 1).tolist() == [[False, True, False, True]]
    assert expected_negatives(running, known, 3).tolist() == [[False, True, False, False]]


def test_that_expecting_nothing_makes_all_unknown_ones_negative_and_expecting_all_none():
    running = torch.rand(3, 5)
    known = labels([-1] * 5, [1, -1, -1, -1, 0], [1, 1, -1, -1, -1])
    assert torch.equal(expected_negatives(running, known, 0), known != 1)
    assert torch.equal(expected_negatives(running, known, 9), known == 0)


def test_that_equal_averages_are_expected_in_the_order_of_classes():
    assert expected_negatives(torch.zeros(1, 4), labels([-1, -1, -1, 1]), 2).tolist() == [[False, True, True, False]]


def test_that_an_image_cannot_show_fewer_than_no_class():
    with pytest.raises(ValueError, match="-1"):
        expected_negatives(torch.zeros(1, 4), FIRST, -1)


def test_that_an_undecided_model_pays_log_two_for_every_class():
    assert assume_negative_loss(UNDECIDED, FIRST).item() == pytest.approx(LOG2)


def test_assume_negative_by_hand():
    logits = torch.tensor([[QUARTER, QUARTER, QUARTER, QUARTER]])
    # A positive at a quarter costs log 4, three assumed negatives log 4/3 each.
    expected = (LOG4 + 3 * math.log(4 / 3)) / 4
    assert assume_negative_loss(logits, FIRST).item() == pytest.approx(expected)


def test_that_a_known_negative_is_an_assumed_one():
    logits = torch.randn(1, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(assume_negative_loss(logits, FIRST), assume_negative_loss(logits, labels([1, 0, 0, -1])))


def test_label_smoothing_by_hand():
    # Targets 0.95 and 0.05 at a quarter: t log 4 + (1 - t) log 4/3.
    logits = torch.full((1, 2), QUARTER)
    positive = 0.95 * LOG4 + 0.05 * math.log(4 / 3)
    negative = 0.05 * LOG4 + 0.95 * math.log(4 / 3)
    loss = assume_negative_loss(logits, labels([1, -1]), smoothing=0.1)
    assert loss.item() == pytest.approx((positive + negative) / 2)


def test_that_smoothing_is_least_where_the_model_says_the_target():
    logit = torch.tensor([[math.log(0.95 / 0.05)]], requires_grad=True)
    assume_negative_loss(logit, labels([1]), smoothing=0.1).backward()
    assert logit.grad.item() == pytest.approx(0.0, abs=1e-6)


def test_that_weights_tell_entries_apart():
    logits = torch.tensor([[QUARTER, 0.0]])
    # The positive at a quarter counts half, the negative at one half fully: (log 4 / 2 + log 2) / 1.5.
    loss = assume_negative_loss(logits, labels([1, -1]), torch.tensor([[0.5, 1.0]]))
    assert loss.item() == pytest.approx((LOG4 / 2 + LOG2) / 1.5)


def test_that_expecting_nothing_is_assuming_negatives():
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    known = labels([1, -1, -1, 0, -1, -1], [-1, 1, -1, -1, -1, -1], [0, 0, 1, 1, -1, -1])
    negative = expected_negatives(torch.rand(3, 6), known, 0)
    loss = expected_negative_loss(logits, known, negative)
    assert loss.item() == pytest.approx(assume_negative_loss(logits, known).item())


def test_that_what_is_expected_but_not_known_says_nothing():
    negative = torch.tensor([[False, False, True, True]])
    logits = torch.tensor([[QUARTER, 5.0, QUARTER, QUARTER]], requires_grad=True)
    expected_negative_loss(logits, FIRST, negative).backward()
    assert logits.grad[0, 1].item() == 0.0
    assert logits.grad[0, 0].item() < 0 < logits.grad[0, 2].item()


def test_expected_negatives_by_hand():
    logits = torch.tensor([[QUARTER, 5.0, QUARTER, QUARTER]])
    negative = torch.tensor([[False, False, True, True]])
    third = math.log(4 / 3)
    assert expected_negative_loss(logits, FIRST, negative).item() == pytest.approx((LOG4 + 2 * third) / 3)


def test_that_an_image_without_a_word_and_without_a_negative_costs_nothing():
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    assert expected_negative_loss(torch.randn(1, 4), labels([-1] * 4), nothing).item() == 0.0


def test_entropy_maximisation_by_hand():
    logits = torch.tensor([[QUARTER, QUARTER, 0.0, QUARTER]])
    known = labels([1, 0, -1, -1])
    entropy = 0.25 * LOG4 + 0.75 * math.log(4 / 3)
    expected = (LOG4 + math.log(4 / 3) - 0.1 * (LOG2 + entropy)) / 4
    assert entropy_maximisation_loss(logits, known, 0.1).item() == pytest.approx(expected)


def test_that_entropy_draws_the_unknown_towards_one_half_and_no_further():
    logits = torch.tensor([[-2.0, 2.0, 0.0]], requires_grad=True)
    entropy_maximisation_loss(logits, labels([-1, -1, -1]), 1.0).backward()
    below, above, at = logits.grad[0].tolist()
    assert below < 0 < above
    assert at == pytest.approx(0.0, abs=1e-7)


def test_that_entropy_is_finite_where_the_model_is_certain():
    assert math.isfinite(entropy_maximisation_loss(torch.tensor([[200.0, -200.0]]), labels([-1, -1]), 1.0).item())


def test_that_the_largest_losses_of_the_unknown_are_left_out():
    logits = torch.tensor([[-9.0, 3.0, 2.0, 0.0], [-9.0, 9.0, 0.0, 0.0]], requires_grad=True)
    known = labels([1, -1, -1, -1], [1, 0, -1, -1])
    large_loss_rejection(logits, known, 0.25).backward()  # two of eight entries
    is_left_out = logits.grad == 0
    # The positives and the known negative are worse, but known.
    assert is_left_out.tolist() == [[False, True, True, False], [False, False, False, False]]


def test_large_loss_rejection_by_hand():
    logits = torch.zeros(1, 4)
    # One of four is left out and counts as zero: three times log 2 over four.
    assert large_loss_rejection(logits, FIRST, 0.1).item() == pytest.approx(3 * LOG2 / 4)
    assert large_loss_rejection(logits, FIRST, 0.0).item() == pytest.approx(LOG2)
    assert large_loss_rejection(logits, FIRST, 1.0).item() == pytest.approx(LOG2 / 4)  # never the known one


def test_consistency_by_hand():
    logits = torch.tensor([[0.0, QUARTER]])
    assert consistency_loss(logits, torch.tensor([[0.9, 0.25]])).item() == pytest.approx(0.2)


def test_that_consistency_moves_the_scores_and_never_the_memory():
    logits = torch.zeros(1, 2, requires_grad=True)
    running = torch.tensor([[0.9, 0.1]], requires_grad=True)
    consistency_loss(logits, running).backward()
    assert logits.grad[0, 0].item() < 0 < logits.grad[0, 1].item()
    assert running.grad is None
