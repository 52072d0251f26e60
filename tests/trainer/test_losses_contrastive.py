import math

import pytest
import torch
import torch.nn.functional as F

from trainer.losses.contrastive import (
    MAX_LOG_SCALE,
    clip_loss,
    region_text_loss,
    similar_phrases,
    temperature,
)

ONE = torch.tensor(1.0)
AXES_33 = torch.eye(3)


def unit(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_that_indistinguishable_regions_cost_log_r():
    # All cosines are 1, so every softmax is uniform over 8 rows: -log(1/8).
    same_RD = torch.ones(8, 3) / math.sqrt(3)
    loss = region_text_loss(same_RD, same_RD, torch.tensor(10.0), max_similarity=None)
    assert loss.item() == pytest.approx(math.log(8), rel=1e-6)


def test_the_value_for_two_regions_derived_by_hand():
    # Cosines: own 1 and 1, crossed 0 and 0, scale 2: each row is -log(e^2 / (e^2 + e^0)) = log(1 + e^-2) = 0.126928.
    two_22 = torch.eye(2)
    loss = region_text_loss(two_22, two_22, torch.tensor(2.0))
    assert loss.item() == pytest.approx(0.126928, abs=1e-6)


def test_that_both_directions_count_equally():
    # Regions e1, e1; phrases e1, e2; scale 1.  Region to text: log(1 + e^-1), log(1 + e); text to region: log 2 twice.
    region_22 = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    text_22 = torch.eye(2)
    by_hand = ((math.log(1 + math.exp(-1)) + math.log(1 + math.e)) / 2 + math.log(2)) / 2
    assert region_text_loss(region_22, text_22, ONE).item() == pytest.approx(by_hand, rel=1e-6)


def test_that_the_same_phrase_twice_is_no_negative_in_either_direction():
    # Rows 0 and 1 have the same phrase.  Filtered, each of them has itself and row 2; row 2 has all three.
    # All region embeddings are e1, phrases e1, e1, e2, scale 1.
    region_32 = torch.tensor([[1.0, 0.0]] * 3)
    text_32 = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    to_text = (2 * math.log(1 + math.exp(-1)) + math.log(1 + 2 * math.e)) / 3
    to_region = (2 * math.log(2) + math.log(3)) / 3
    loss = region_text_loss(region_32, text_32, ONE)
    assert loss.item() == pytest.approx((to_text + to_region) / 2, rel=1e-6)


def test_that_the_filter_lets_no_gradient_through_what_it_removes():
    text_32 = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    assert similar_phrases(text_32, text_32, 0.9).requires_grad is False
    region_32 = torch.tensor([[0.6, 0.8]] * 3, requires_grad=True)
    region_text_loss(region_32, text_32, ONE).backward()
    assert torch.isfinite(text_32.grad).all()
    assert torch.isfinite(region_32.grad).all()


def test_that_at_exactly_the_limit_a_phrase_is_still_a_negative():
    similar = similar_phrases(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.9, math.sqrt(0.19)], [0.91, 0.0]]), 0.9)
    assert similar.tolist() == [[False, True]]


def test_that_padding_neither_asks_nor_answers():
    region_RD, text_RD = unit(6, 5), unit(6, 5, seed=1)
    valid_R = torch.tensor([True, True, False, True, False, True])
    padded = region_text_loss(region_RD, text_RD, torch.tensor(5.0), valid_R=valid_R)
    compact = region_text_loss(region_RD[valid_R], text_RD[valid_R], torch.tensor(5.0))
    assert padded.item() == pytest.approx(compact.item(), rel=1e-6)


def test_that_no_region_at_all_costs_nothing_and_can_be_differentiated():
    region_RD = unit(3, 4).requires_grad_()
    loss = region_text_loss(region_RD, unit(3, 4), ONE, valid_R=torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0
    assert region_RD.grad is not None


def test_that_further_phrases_are_negatives_of_regions_alone():
    # One region e1 with phrase e1, a further phrase e2, scale 1: region to text log(1 + e^-1), text to region log 1.
    loss = region_text_loss(AXES_33[:1], AXES_33[:1], ONE, further_KD=AXES_33[1:2])
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)) / 2, rel=1e-6)


def test_that_a_further_phrase_like_ones_own_is_left_out():
    loss = region_text_loss(AXES_33[:1], AXES_33[:1], ONE, further_KD=AXES_33[:1])
    assert loss.item() == 0.0


def test_that_exchanging_regions_and_phrases_changes_nothing():
    region_RD, text_RD = unit(7, 4), unit(7, 4, seed=2)
    here = region_text_loss(region_RD, text_RD, torch.tensor(3.0), max_similarity=None)
    there = region_text_loss(text_RD, region_RD, torch.tensor(3.0), max_similarity=None)
    assert here.item() == pytest.approx(there.item(), rel=1e-6)


def test_that_clip_is_the_region_loss_without_filter():
    image_BD, text_BD = unit(5, 4), unit(5, 4, seed=3)
    clip = clip_loss(image_BD, text_BD, torch.tensor(4.0))
    assert clip.item() == pytest.approx(
        region_text_loss(image_BD, text_BD, torch.tensor(4.0), max_similarity=None).item(), rel=1e-6
    )


def test_that_a_single_pair_costs_nothing():
    assert clip_loss(unit(1, 4), unit(1, 4, seed=1), ONE).item() == 0.0
    assert clip_loss(torch.zeros(0, 4), torch.zeros(0, 4), ONE).item() == 0.0


@pytest.mark.parametrize("loss", [clip_loss, region_text_loss])
def test_that_unequal_shapes_are_refused(loss):
    with pytest.raises(ValueError):
        loss(unit(3, 4), unit(2, 4), ONE)


def test_that_the_temperature_stops_at_a_hundred():
    log_scale = torch.tensor(MAX_LOG_SCALE + 1.0, requires_grad=True)
    factor = temperature(log_scale)
    factor.backward()
    assert factor.item() == pytest.approx(100.0, rel=1e-5)
    assert log_scale.grad.item() == 0.0
