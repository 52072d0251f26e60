import math

import pytest
import torch
import torch.nn.functional as F

from trainer.losses.hardness import (
    NO_TEXT,
    altered_phrase_loss,
    sigmoid_region_text_loss,
    text_contrast_loss,
)

ONE = torch.tensor(1.0)


def unit(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_the_text_contrast_of_three_texts_derived_by_hand():
    # Texts e1, (0.6, 0.8), e2: cosines 0.6, 0 and 0.8.  The hardest other of each: 0.6, 0.8, 0.8; log exp is itself.
    text_32 = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    assert text_contrast_loss(text_32, num_hardest=1).item() == pytest.approx((0.6 + 0.8 + 0.8) / 3)
    # Both others of each: log(e^0.6 + e^0), log(e^0.6 + e^0.8), log(e^0 + e^0.8).
    both = math.log(math.exp(0.6) + 1) + math.log(math.exp(0.6) + math.exp(0.8)) + math.log(1 + math.exp(0.8))
    assert text_contrast_loss(text_32, num_hardest=10).item() == pytest.approx(both / 3, rel=1e-6)


def test_that_texts_that_are_the_same_are_not_pushed_apart():
    twice_32 = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # Each has one other at cosine 0, the third text has two of them: log 1, log 1, log 2.
    assert text_contrast_loss(twice_32).item() == pytest.approx(math.log(2) / 3, rel=1e-6)
    assert text_contrast_loss(twice_32[:2]).item() == 0.0
    assert text_contrast_loss(twice_32[:0]).item() == 0.0


def test_that_a_step_against_the_text_contrast_takes_texts_apart():
    text_UD = F.normalize(unit(6, 4) + 1.0, dim=1).requires_grad_()
    text_contrast_loss(text_UD).backward()
    moved = F.normalize(text_UD.detach() - 0.1 * text_UD.grad, dim=1)
    assert (moved @ moved.T).sum() < (text_UD @ text_UD.T).sum()


def test_that_a_phrase_among_equal_alterations_costs_the_log_of_their_number():
    # One right phrase and three altered ones at the same cosine: -log(1/4); a row without any says nothing.
    altered_23 = torch.tensor([[0.5, 0.5, 0.5], [NO_TEXT] * 3])
    loss = altered_phrase_loss(torch.tensor([0.5, 0.1]), altered_23, torch.tensor(7.0))
    assert loss.item() == pytest.approx(math.log(4), rel=1e-6)


def test_that_a_missing_alteration_is_no_rival():
    # Cosines 1 against 0 at scale 2: log(1 + e^-2) = 0.126928.
    loss = altered_phrase_loss(torch.tensor([1.0]), torch.tensor([[0.0, NO_TEXT]]), torch.tensor(2.0))
    assert loss.item() == pytest.approx(0.126928, abs=1e-6)


def test_that_no_alteration_at_all_costs_nothing_and_can_be_differentiated():
    own_R = torch.tensor([0.3, 0.4], requires_grad=True)
    loss = altered_phrase_loss(own_R, torch.full((2, 1), NO_TEXT), ONE)
    loss.backward()
    assert loss.item() == 0.0
    assert own_R.grad.tolist() == [0.0, 0.0]


def test_the_sigmoid_loss_of_two_regions_derived_by_hand():
    # Own cosines 1, crossed 0, scale 2, bias -1: own pairs cost log(1 + e^-1), crossed ones log(1 + e^-1): four terms
    # over two regions.
    two_22 = torch.eye(2)
    loss = sigmoid_region_text_loss(two_22, two_22, torch.tensor(2.0), bias=-1.0)
    assert loss.item() == pytest.approx(2 * math.log(1 + math.exp(-1)), rel=1e-6)


def test_that_the_sigmoid_loss_leaves_out_alike_phrases_but_never_the_own_one():
    same_22 = torch.tensor([[1.0, 0.0]] * 2)
    # Both phrases are the same, so only the two own pairs count: log(1 + e^(-1 - b)) each, over two regions.
    loss = sigmoid_region_text_loss(same_22, same_22, ONE, bias=0.0)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-6)
    unfiltered = sigmoid_region_text_loss(same_22, same_22, ONE, bias=0.0, max_similarity=None)
    assert unfiltered.item() == pytest.approx(math.log(1 + math.exp(-1)) + math.log(1 + math.e), rel=1e-6)


def test_that_further_phrases_belong_to_no_region():
    axes_22 = torch.eye(2)
    alone = sigmoid_region_text_loss(axes_22[:1], axes_22[:1], ONE, bias=0.0)
    more = sigmoid_region_text_loss(axes_22[:1], axes_22[:1], ONE, bias=0.0, further_KD=axes_22[1:])
    assert (more - alone).item() == pytest.approx(math.log(2), rel=1e-6)


def test_that_a_pair_costs_the_same_in_any_batch():
    # What a softmax cannot say: the loss of a batch is the sum of what its pairs cost alone.
    region_RD, text_RD = unit(5, 4), unit(5, 4, seed=1)
    whole = sigmoid_region_text_loss(region_RD, text_RD, torch.tensor(3.0), max_similarity=None) * 5
    rest = sigmoid_region_text_loss(region_RD[:4], text_RD[:4], torch.tensor(3.0), max_similarity=None) * 4
    logits_R = 3.0 * region_RD[4] @ text_RD.T - 10.0
    of_last = F.softplus(-logits_R[4]) + F.softplus(logits_R[:4]).sum()
    of_others = F.softplus(3.0 * region_RD[:4] @ text_RD[4] - 10.0).sum()
    assert whole.item() == pytest.approx((rest + of_last + of_others).item(), rel=1e-5)


def test_that_no_region_costs_nothing_and_unequal_rows_are_refused():
    assert sigmoid_region_text_loss(unit(0, 4), unit(0, 4), ONE).item() == 0.0
    with pytest.raises(ValueError, match="differ in shape"):
        sigmoid_region_text_loss(unit(3, 4), unit(2, 4), ONE)
