import math

import pytest
import torch

from locstudio.models.extractors import crop_pixels, roi_average
from locstudio.models.prompter import Prompter, box_weights, encode_points, sinusoids

BOXES_124 = torch.tensor([[[0.1, 0.2, 0.4, 0.9], [0.5, 0.5, 1.0, 1.0]]])


def make_prompter(**switches: object) -> Prompter:
    torch.manual_seed(0)
    return Prompter(width=32, dim=16, text_width=16, grid=4, **switches).eval()


def tokens(seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 17, 32, generator=torch.Generator().manual_seed(seed))


def test_the_first_frequencies_by_hand():
    # Width 4: frequencies 1 and 1e4 ** -0.5 = 0.01; positions are scaled by 100, so 0.02 gives angles 2 and 0.02.
    by_hand = [math.sin(2), math.sin(0.02), math.cos(2), math.cos(0.02)]
    assert sinusoids(torch.tensor(0.02), 4).tolist() == pytest.approx(by_hand, rel=1e-5)


def test_that_x_fills_the_first_half_and_y_the_second():
    here, there = encode_points(torch.tensor([[0.3, 0.7], [0.3, 0.1]]), 8)
    assert torch.equal(here[:4], there[:4])
    assert not torch.equal(here[4:], there[4:])


def test_that_the_weights_of_a_box_sum_to_one():
    weights = box_weights(torch.rand(1, 50, 2, 2).sort(dim=2).values.flatten(2), 6)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 50))
    assert (weights >= 0).all()


def test_that_the_whole_square_weighs_all_tokens_nearly_alike():
    # In one dimension of 4 cells the integral runs over [0.5, 3.5]: inner tents 1, outer tents a half.
    weights = box_weights(torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), 4).view(4, 4)
    line = torch.tensor([1 / 6, 1 / 3, 1 / 3, 1 / 6])
    torch.testing.assert_close(weights, line[:, None] * line[None])


def test_that_a_point_is_interpolated_between_its_neighbours():
    # A speck at x = 1.75 cells, y = 0.5: tokens at 1.5 and 2.5 share it three to one.
    speck = torch.tensor([[[1.75 / 4, 0.125, 1.75 / 4 + 1e-6, 0.125 + 1e-6]]])
    row = box_weights(speck, 4).view(4, 4)[0]
    torch.testing.assert_close(row, torch.tensor([0.0, 0.75, 0.25, 0.0]), atol=1e-2, rtol=0)


def test_that_the_average_by_weights_is_the_average_of_roi_align():
    # The same thing with infinitely many samples; 49 come close on a smooth map.
    ramp = torch.arange(4.0).repeat(4, 1).flatten()[None, :, None]
    box = torch.tensor([[[0.3, 0.3, 0.6, 0.7]]])
    exact = box_weights(box, 4) @ ramp
    torch.testing.assert_close(roi_average(ramp, box, 4), exact, atol=0.02, rtol=0)


@pytest.mark.parametrize("is_literal", [False, True])
@pytest.mark.parametrize("is_plain", [False, True])
def test_that_embeddings_have_length_one_and_follow_the_box(is_literal, is_plain):
    prompter = make_prompter(
        is_literal=is_literal, has_corner_embedding=not is_plain, has_box_bias=not is_plain, has_grid_position=True
    )
    found = prompter.embed_boxes(prompter.prepare(tokens()), BOXES_124)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(1, 2))
    assert not torch.allclose(found[0, 0], found[0, 1], atol=1e-4)


@pytest.mark.parametrize("is_literal", [False, True])
def test_that_boxes_do_not_see_each_other(is_literal):
    prompter = make_prompter(is_literal=is_literal)
    prepared = prompter.prepare(tokens())
    together = prompter.embed_boxes(prepared, BOXES_124)
    alone = prompter.embed_boxes(prepared, BOXES_124[:, 1:])
    torch.testing.assert_close(together[:, 1:], alone)


def test_that_folding_the_keys_weights_into_the_query_is_ordinary_attention():
    prompter = make_prompter(has_box_bias=False, has_grid_position=False)
    prepared = prompter.prepare(tokens())
    prompt = prompter.prompt_of_boxes(BOXES_124)[:, :1]
    own = prompter.norm_tokens(prompt)[0, 0]
    everything = torch.cat([prepared[0], own])
    weights = (prompter.query(own) @ prompter.key(everything).T / math.sqrt(32)).softmax(dim=-1)
    state = prompt[0, 0] + prompter.attended(weights @ prompter.value(everything))
    state = prompter.norm_out(state + prompter.mlp(prompter.norm_mlp(state))).mean(dim=0)
    by_hand = torch.nn.functional.normalize(prompter.project(state), dim=-1)
    torch.testing.assert_close(prompter.embed_boxes(prepared, BOXES_124[:, :1])[0, 0], by_hand, atol=1e-5, rtol=1e-4)


def test_that_with_the_bias_a_box_hears_its_own_tokens_first():
    prompter = make_prompter()
    box = torch.tensor([[[0.0, 0.0, 0.25, 0.25]]])
    base = prompter.embed_boxes(prompter.prepare(tokens()), box)
    inside, outside = tokens(), tokens()
    inside[0, 1] = -inside[0, 1]
    outside[0, 16] = -outside[0, 16]
    moved_inside = (prompter.embed_boxes(prompter.prepare(inside), box) - base).norm()
    moved_outside = (prompter.embed_boxes(prompter.prepare(outside), box) - base).norm()
    assert moved_inside > 5 * moved_outside


def test_that_no_boxes_give_no_embeddings():
    prompter = make_prompter()
    assert prompter.embed_boxes(prompter.prepare(tokens()), torch.zeros(1, 0, 4)).shape == (1, 0, 16)


def test_that_a_crop_of_a_square_box_is_its_pixels():
    pixels = torch.arange(64.0).view(1, 1, 8, 8).repeat(1, 3, 1, 1)
    crop = crop_pixels(pixels, torch.tensor([[[0.25, 0.25, 0.75, 0.75]]]), 4)
    torch.testing.assert_close(crop[0, 0, 0], pixels[0, 0, 2:6, 2:6])
