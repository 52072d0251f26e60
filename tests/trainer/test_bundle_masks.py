"""What the mask head learns from: masks in windows, prompts that mean them, and how well plain shapes do."""

import numpy as np
import pytest
import torch

from locstudio.models.mask_head import MASK_SIDE, NEGATIVE, NO_POINT, POSITIVE, MaskConfig
from locstudio.models.towers import lite_config
from trainer.bundle.mask_card import mask_card
from trainer.bundle.mask_fitting import MaskSchedule, fit_masks
from trainer.bundle.mask_measuring import SIZES, MaskScores
from trainer.bundle.mask_samples import KINDS, MAX_POINTS, draw_prompts, joined_batches
from trainer.bundle.mask_scenes import MaskPhoto, MaskScenes, TrueMask, scenes_of

SQUARE = [[20, 30, 60, 30, 60, 50, 20, 50]]  # 40 x 20 pixels of a photo of 100 x 80


def true_mask(scale=4):
    values = np.zeros((22 * scale, 42 * scale), np.uint8)
    values[scale:-scale, scale:-scale] = 255
    return TrueMask(values, 19, 29, scale, (20, 30, 60, 50))


def photo(*masks):
    return MaskPhoto("photo", np.full((80, 100, 3), 128, np.uint8), masks or (true_mask(),))


@pytest.fixture
def scenes():
    """Two scenes, one whole and one zoomed, with maps of noise."""
    random = np.random.default_rng(0)
    made = [scene for _, scene in scenes_of(iter([photo()]), 128, 3, random)]
    count = len(made)

    def noise(*shape):
        return random.normal(size=(count, *shape)).astype(np.float16)

    rgb = random.integers(0, 255, (count, 128, 128, 3), np.uint8)
    return MaskScenes(made, noise(65, 16), noise(48, 16, 16), noise(24, 32, 32), rgb)


def test_that_a_mask_is_seen_in_a_window_of_its_photo():
    seen = true_mask().seen_in((0, 0, 100, 80), (100, 80))
    rows, columns = np.nonzero(seen)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (30, 50, 20, 60)
    assert true_mask().area_in((0, 0, 100, 80)) == pytest.approx(800)
    assert true_mask().area_in((40, 0, 100, 80)) == pytest.approx(400)
    assert true_mask().seen_in((20, 30, 60, 50), (8, 8)).all()


def test_that_a_scene_says_where_the_photo_lies_in_its_square():
    (square, scene), *_ = scenes_of(iter([photo()]), 200, 0, np.random.default_rng(0))
    assert square.shape == (200, 200, 3)
    assert (scene.scale, scene.left, scene.top) == (2.0, 0.0, 20.0)
    assert scene.boxes_R4[0] * 200 == pytest.approx([40, 80, 120, 120])


def test_that_what_is_mostly_cut_off_is_left_out_of_a_part():
    for _, scene in list(scenes_of(iter([photo()]), 128, 40, np.random.default_rng(1)))[1:]:
        for mask, box in zip(scene.masks, scene.boxes_R4, strict=True):
            assert mask.area_in(scene.part) >= 0.4 * mask.area_in((0, 0, 100, 80))
            assert (box[2:] > box[:2]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_that_prompts_mean_the_mask_that_they_come_with(scenes, kind):
    random = np.random.default_rng(3)
    for _ in range(6):
        batch = joined_batches(draw_prompts(scenes, np.array([0, 0]), kind, 2, random))
        assert batch.truth_BSS.shape == (2, MASK_SIDE, MASK_SIDE)
        assert (batch.cells_B >= batch.truth_BSS.sum(dim=(1, 2)) * 0.8).all()
        assert (batch.prompts.boxes_B4 is None) == (kind == "points")
        if batch.prompts.points_BK2 is None:
            continue
        assert batch.prompts.labels_BK.shape == (2, MAX_POINTS)
        for points, labels, truth in zip(
            batch.prompts.points_BK2, batch.prompts.labels_BK, batch.truth_BSS, strict=True
        ):
            assert labels[0] == POSITIVE
            for (x, y), label in zip(points, labels, strict=True):
                column, row = int(x * MASK_SIDE), int(y * MASK_SIDE)
                is_clear = label != NO_POINT and 1 <= column < MASK_SIDE - 1 and 1 <= row < MASK_SIDE - 1
                around = truth[row - 1 : row + 2, column - 1 : column + 2]
                if is_clear and len(around.unique()) == 1:  # away from the edge there is no doubt
                    assert around[0, 0] == (0 if label == NEGATIVE else 1)


def test_that_the_same_seed_draws_the_same_prompts(scenes):
    (one,), (other,) = (draw_prompts(scenes, np.array([0]), "both", 2, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(one.prompts.points_BK2, other.prompts.points_BK2)
    assert torch.equal(one.truth_BSS, other.truth_BSS)


def test_that_scenes_without_masks_give_no_prompts():
    empty = [scene for _, scene in scenes_of(iter([MaskPhoto("x", np.zeros((8, 8, 3), np.uint8), ())]), 64, 0, None)]
    zeros = [np.zeros((1, *shape), np.float16) for shape in ((17, 4), (48, 8, 8), (24, 16, 16))]
    scenes = MaskScenes(empty, *zeros, np.zeros((1, 64, 64, 3), np.uint8))
    assert draw_prompts(scenes, np.array([0]), "box", 2, np.random.default_rng(0)) == []
    with pytest.raises(ValueError, match="none of these scenes"):
        joined_batches([])


def test_that_a_few_steps_of_training_leave_a_head_that_learns_no_more(scenes):
    config = MaskConfig(name="tiny", tower=lite_config(), token_width=16, tokens_sha256="", dim=16, depth=1)
    schedule = MaskSchedule(num_steps=3, num_scenes=2, per_scene=1, composed_share=0.5)
    head = fit_masks(config, scenes, np.array([0]), scenes, schedule, seed=0, say=lambda _: None)
    assert not head.training
    assert not any(parameter.requires_grad for parameter in head.parameters())
    assert all(bool(torch.isfinite(tensor).all()) for tensor in head.state_dict().values())


def test_that_the_card_has_a_line_for_every_rival():
    scores = MaskScores(areas=[100.0, 5_000.0, 50_000.0], expected=[0.3, 0.6, 0.9])
    for values in scores.overlaps.values():
        values += [0.5, 0.6, 0.7]
    assert [scores.count(size) for size in SIZES] == [3, 1, 1, 1]
    assert scores.mean("box", "large") == 0.7
    card = mask_card([scores, scores], MaskSchedule())
    assert "| the plain box | 0.600 | 0.500 | 0.600 | 0.700 |" in card
    assert "| mask head, from the box | 0.600 ± 0.000 |" in card
