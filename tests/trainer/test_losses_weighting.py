"""Regions that count less than others: values by hand, and who counts less."""

import math
from dataclasses import replace

import pytest
import torch

from locstudio.domain.edits import Edit, RegionChange
from locstudio.domain.regions import Origin, Review
from locstudio.jobs.configs import ClocTraining
from trainer.batches import assemble
from trainer.data import draws_of_step, read_training_images
from trainer.losses.contrastive import region_text_loss
from trainer.losses.grounding import grounding_loss, overlap_grounding_loss
from trainer.losses.hardness import NO_TEXT, altered_phrase_loss, sigmoid_region_text_loss
from trainer.losses.weighting import mean_of
from trainer.recipes.cloc_lesson import read_lesson

ONE = torch.tensor(1.0)
BOX = torch.tensor([[0.1, 0.1, 0.5, 0.5]])
HALF_2 = torch.tensor([1.0, 0.5])


def test_that_a_row_of_half_the_weight_counts_half():
    # (1 * 4 + 0.5 * 1) / 1.5 = 3
    assert mean_of(torch.tensor([4.0, 1.0]), HALF_2).item() == pytest.approx(3.0)
    assert mean_of(torch.tensor([4.0, 1.0]), None).item() == 2.5


def test_that_rows_of_one_weight_have_their_plain_mean_and_rows_without_any_none():
    assert mean_of(torch.tensor([4.0, 1.0]), torch.tensor([0.5, 0.5])).item() == pytest.approx(2.5)
    assert mean_of(torch.tensor([4.0, 1.0]), torch.zeros(2)).item() == 0.0
    with pytest.raises(ValueError, match="one for each"):
        mean_of(torch.ones(3), HALF_2)


def test_that_contrast_weighs_each_region_in_both_directions():
    # Regions e1, e1; phrases e1, e2; scale 1.  Region to text: log(1 + e^-1) and log(1 + e); text to region: log 2
    # twice.  The first region counts 1, the second 1/2.
    region_22, text_22 = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.eye(2)
    first = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    second = (math.log(1 + math.e) + math.log(2)) / 2
    loss = region_text_loss(region_22, text_22, ONE, weight_R=HALF_2)
    assert loss.item() == pytest.approx((first + 0.5 * second) / 1.5, rel=1e-6)


def test_that_padding_takes_its_weight_along():
    region_22, text_22 = torch.eye(3)[:2], torch.eye(3)[:2]
    padded = torch.cat([region_22[:1], torch.ones(1, 3), region_22[1:]])
    valid, weight = torch.tensor([True, False, True]), torch.tensor([1.0, 9.0, 0.5])
    loss = region_text_loss(padded, padded, ONE, valid_R=valid, weight_R=weight)
    assert loss.item() == pytest.approx(region_text_loss(region_22, text_22, ONE, weight_R=HALF_2).item(), rel=1e-6)
    found = torch.cat([BOX + 0.1, BOX + 5.0, BOX])
    loss = grounding_loss(found, BOX.repeat(3, 1), valid, weight)
    assert loss.item() == pytest.approx(0.01 / 1.5, rel=1e-5)


def test_that_a_judged_pair_weighs_as_its_region_does():
    # Cosines 1 and 0, bias 0, scale 1: own pairs cost log(1 + e^-1), the others log 2.  Alone, both regions cost alike;
    # a further phrase that is like none costs both log 2 more, so a weight changes nothing.
    axes_22 = torch.eye(3)[:2]
    each = math.log(1 + math.exp(-1)) + 2 * math.log(2)
    loss = sigmoid_region_text_loss(axes_22, axes_22, ONE, bias=0.0, further_KD=torch.eye(3)[2:], weight_R=HALF_2)
    assert loss.item() == pytest.approx(each, rel=1e-6)
    # The second region looks like the further phrase: log 2 for its own phrase and for the first, log(1 + e) there.
    region_22 = torch.eye(3)[[0, 2]]
    second = 2 * math.log(2) + math.log(1 + math.e)
    loss = sigmoid_region_text_loss(region_22, axes_22, ONE, bias=0.0, further_KD=torch.eye(3)[2:], weight_R=HALF_2)
    assert loss.item() == pytest.approx((each + 0.5 * second) / 1.5, rel=1e-6)


def test_that_altered_phrases_weigh_as_their_regions_do():
    # Own cosines 1 and 0, one altered phrase each of cosine 0, and a third region without any.
    own, altered = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([[0.0], [0.0], [NO_TEXT]])
    loss = altered_phrase_loss(own, altered, ONE, torch.tensor([1.0, 0.5, 7.0]))
    assert loss.item() == pytest.approx((math.log(1 + math.exp(-1)) + 0.5 * math.log(2)) / 1.5, rel=1e-6)


def test_that_found_boxes_weigh_as_their_regions_do():
    found_24, true_24 = torch.cat([BOX + 0.1, BOX]), BOX.repeat(2, 1)
    # The first costs 0.01, the second nothing: 0.01 / 1.5.
    assert grounding_loss(found_24, true_24, weight_R=HALF_2).item() == pytest.approx(0.01 / 1.5, rel=1e-5)
    one = overlap_grounding_loss(found_24[:1], true_24[:1]).item()
    assert overlap_grounding_loss(found_24, true_24, HALF_2).item() == pytest.approx(one / 1.5, rel=1e-5)


def test_that_only_what_a_model_proposed_and_nobody_changed_counts_less(paint):
    dataset = paint(4).dataset
    regions = dataset.region_page(0, 100)
    origins = [*Origin, *([Origin.HUMAN] * len(regions))][: len(regions)]
    changes = [
        RegionChange(region, replace(region, origin=origin, review=Review.ACCEPTED))
        for region, origin in zip(regions, origins, strict=True)
    ]
    dataset.apply(Edit("Origins", tuple(changes)))
    images = read_training_images(dataset, machine_weight=0.25)
    counted = [weight for image in images for weight in image.weights]
    assert sorted(set(counted)) == [0.25, 1.0]
    assert counted.count(0.25) == 1
    draws = draws_of_step(images, 0, batch_size=4, num_regions=8, seed=0)
    batch = assemble(images, draws, tokens_BND=torch.zeros(4, 1, 1))
    assert batch.weight_BM[batch.valid_BM].min() == 0.25
    assert (batch.weight_BM == 0.25).sum() == 1
    plain = read_training_images(dataset)
    assert {weight for image in plain for weight in image.weights} == {1.0}
    notes = []
    read_lesson(dataset, ClocTraining(hold_out=0.0, machine_weight=0.25), 0, notes.append)
    assert [note for note in notes if "counts" in note] == [
        "Of 8 regions, a model proposed 1 that nobody has changed; in training such a region counts 0.25 times as "
        "much as one that a person made."
    ]


def test_that_nothing_is_said_where_all_regions_are_alike(paint):
    notes = []
    read_lesson(paint(4).dataset, ClocTraining(hold_out=0.0), 0, notes.append)
    assert not [note for note in notes if "counts" in note]
