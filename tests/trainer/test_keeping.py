"""A model that learns from corrections is held to its parent elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from locstudio.jobs.configs import ClocTraining
from locstudio.models.checkpoint import load_checkpoint
from locstudio.models.cloc import Cloc
from trainer.batches import assemble
from trainer.data import KEPT_SIDES, TrainingImage, draws_of_step
from trainer.gradient import gradient_of
from trainer.optim import make_optimizer
from trainer.recipes.cloc import ClocStep, ClocStepConfig
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.cloc_model import can_keep, words_kept
from trainer.recipes.keeping import EVERYDAY_WORDS, Parent

_EMPTY = TrainingImage(
    image=None,  # type: ignore[arg-type] - nothing here looks at the file
    path=Path("unread.png"),
    boxes_R4=np.zeros((0, 4), np.float32),
    phrases=(),
    captions=("a scene",),
    objects_O4=np.zeros((0, 4), np.float32),
)


def batch_of(model: Cloc, *, num_images: int = 3) -> ClocBatch:
    torch.manual_seed(1)
    low_BM2 = torch.rand(num_images, 2, 2) * 0.5
    low_BK2 = torch.rand(num_images, 4, 2) * 0.5
    return ClocBatch(
        boxes_BM4=torch.cat([low_BM2, low_BM2 + 0.3], dim=2),
        valid_BM=torch.ones(num_images, 2, dtype=torch.bool),
        phrases=("a red cup", "a blue cup"),
        phrase_BM=torch.tensor([[0, 1]] * num_images),
        captions=(None,) * num_images,
        tokens_BND=torch.randn(num_images, model.config.tower.num_tokens, model.config.token_width),
        kept_boxes_BK4=torch.cat([low_BK2, low_BK2 + 0.4], dim=2),
        kept_words=tuple(EVERYDAY_WORDS[4 * row : 4 * row + 4] for row in range(num_images)),
    )


@pytest.fixture
def learning(tiny_checkpoint) -> Cloc:
    model = load_checkpoint(tiny_checkpoint)
    model.requires_grad_(False)
    for module in (model.prompter, model.image_project, model.text_project, model.grounding):
        module.requires_grad_(True)
    return model.eval()


def test_that_a_model_before_its_first_step_is_no_way_from_its_parent(learning):
    step = ClocStep(learning, ClocStepConfig(keep_weight=2.0), parent=Parent(learning))
    outputs = step.outputs(batch_of(learning))
    # 3 images with 4 boxes and 4 words each
    assert outputs.kept_ND.shape == outputs.parent_ND.shape == (24, learning.dim)
    assert step.contrast(outputs)["kept"].item() == pytest.approx(0.0, abs=1e-6)
    assert not outputs.parent_ND.requires_grad


def test_that_keeping_leaves_the_model_nearer_to_its_parent(learning):
    state = {name: value.clone() for name, value in learning.state_dict().items()}
    distances = []
    for weight in (0.0, 50.0):
        learning.load_state_dict(state)
        parent, batch = Parent(learning), batch_of(learning)
        step = ClocStep(learning, ClocStepConfig(keep_weight=weight), parent=parent)
        optimizer = make_optimizer(learning, learning_rate=1e-3, weight_decay=0.0)
        for _ in range(10):
            optimizer.zero_grad()
            gradient_of(step, batch)
            optimizer.step()
        outputs = ClocStep(learning, ClocStepConfig(keep_weight=1.0), parent=parent).outputs(batch)
        distances.append(1.0 - (outputs.kept_ND * outputs.parent_ND).sum(dim=1).mean().item())
    assert distances[1] < 0.5 * distances[0]


def test_that_the_gradient_in_parts_keeps_the_same(learning):
    step = ClocStep(learning, ClocStepConfig(keep_weight=5.0), parent=Parent(learning))
    with torch.no_grad():
        for parameter in learning.prompter.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    batch = batch_of(learning)
    found = []
    for micro_batch in (0, 1):
        learning.zero_grad(set_to_none=True)
        terms = gradient_of(step, batch, micro_batch)
        gradients = [parameter.grad for parameter in learning.parameters() if parameter.grad is not None]
        found.append((terms["kept"].item(), torch.cat([gradient.flatten() for gradient in gradients])))
    assert found[0][0] > 0
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-5)


def test_that_a_batch_without_boxes_to_keep_keeps_nothing(learning):
    step = ClocStep(learning, ClocStepConfig(keep_weight=5.0), parent=Parent(learning))
    outputs = step.outputs(replace(batch_of(learning), kept_boxes_BK4=None, kept_words=()))
    assert len(outputs.kept_ND) == 0
    assert step.contrast(outputs)["kept"].item() == 0.0


def test_that_a_tower_that_learns_and_an_extractor_that_begins_anew_keep_nothing(learning):
    learning.id = "cloc-0123456789abcdef"
    assert can_keep(learning, ClocTraining(keep_weight=1.0))
    assert not can_keep(learning, ClocTraining(keep_weight=0.0))
    assert not can_keep(learning, ClocTraining(keep_weight=1.0, is_tower_frozen=False))
    learning.id = ""
    assert words_kept(learning, ClocTraining(keep_weight=1.0)) == ()


def test_that_no_everyday_word_stands_twice():
    assert len(EVERYDAY_WORDS) == len(set(EVERYDAY_WORDS))


def test_that_a_region_with_phrase_and_class_is_described_by_either():
    boxes_R4 = np.array([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]], np.float32)
    image = replace(_EMPTY, boxes_R4=boxes_R4, phrases=("a red cup", "dog"), captions=(), names=("cup", ""))
    words = set()
    for step in range(20):
        draws = draws_of_step([image], step, batch_size=4, num_regions=2, seed=0)
        words |= set(assemble([image], draws).phrases)
    assert words == {"a red cup", "cup", "dog"}


def test_that_boxes_anywhere_are_boxes_of_the_square():
    draws = draws_of_step([_EMPTY], 0, batch_size=1, num_regions=1, seed=3, num_kept=500)
    kept_K4 = draws[0].kept_K4
    assert kept_K4.shape == (500, 4)
    assert (kept_K4 >= 0).all()
    assert (kept_K4 <= 1).all()
    assert (kept_K4[:, 2:] - kept_K4[:, :2] >= KEPT_SIDES[0] / 2 - 1e-6).all()
