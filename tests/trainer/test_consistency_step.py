"""A step of the multi-label classifier: what it asks, what it remembers, and what a person's word changes."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from locstudio.jobs.configs import ConsistencyTraining
from locstudio.models.consistency import Consistency, ConsistencyConfig
from locstudio.models.towers import lite_config
from trainer.consistency_step import ClassBatch, ConsistencyStep, Painted, Remembered, learn, ramp
from trainer.views import View

GRID, WIDTH = 6, 8
TRAINING = ConsistencyTraining(grid=GRID, num_warmup_epochs=0, num_ramp_epochs=1, beta=1.0)


def model_of(num_classes=3, seed=0):
    torch.manual_seed(seed)
    config = ConsistencyConfig(
        name="tiny",
        classes=tuple(f"class {number}" for number in range(num_classes)),
        tower=lite_config(),
        input_px=512,
        token_width=WIDTH,
        width=WIDTH,
        hidden=8,
        cell_grid=8,
        grid=GRID,
    )
    model = Consistency(config)
    torch.nn.init.normal_(model.head.weight)
    return model


def batch_of(labels, views=(), painted=None, weights=None):
    label_BL = torch.tensor(labels, dtype=torch.int8)
    views = views or [View()] * len(label_BL)
    matrix_B33 = torch.stack([view.matrix() for view in views])
    return ClassBatch(
        rows_B=np.arange(len(label_BL)),
        inputs=torch.randn(len(label_BL), WIDTH, 8, 8, generator=torch.Generator().manual_seed(5)).half(),
        view_B33=matrix_B33,
        cut_B33=matrix_B33,
        label_BL=label_BL,
        weight_BL=torch.ones(label_BL.shape) if weights is None else torch.tensor(weights),
        painted=painted,
    )


def remembered(num_images=1, num_classes=3, value=0.0):
    return Remembered(
        torch.full((num_images, num_classes), value), torch.full((num_images, num_classes, GRID, GRID), value)
    )


def run(model, batch, before, training=TRAINING, epoch=0, num_expected=1):
    model.zero_grad()
    terms, score_BL, after = ConsistencyStep(model, training, num_expected=num_expected)(batch, before, epoch)
    gradient = torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None])
    return terms, score_BL, after, gradient


def changed(**values):
    return msgspec.structs.replace(TRAINING, **values)


def test_that_averages_move_by_what_the_momentum_leaves_and_cells_outside_the_view_stay():
    model = model_of()
    view = View((0.5, 0.0, 1.0, 1.0))
    before = remembered(value=0.25)
    _, score_BL, after, _ = run(model, batch_of([[1, -1, -1]], [view]), before, changed(momentum=0.75))
    assert torch.allclose(after.averages_BL, 0.75 * 0.25 + 0.25 * score_BL, atol=1e-6)
    assert torch.equal(after.maps_BLWW[..., :3], before.maps_BLWW[..., :3])
    assert (after.maps_BLWW[..., 3:] != 0.25).all()
    assert not after.maps_BLWW.requires_grad


def test_that_the_whole_view_folds_in_what_the_maps_say():
    model = model_of()
    batch = batch_of([[1, -1, -1]])
    _, score_BL, after, _ = run(model, batch, remembered(), changed(momentum=0.0))
    with torch.no_grad():
        heat_BLGG, expected_BL = model.heat(batch.inputs.float(), torch.eye(3)[None])
    assert torch.allclose(after.maps_BLWW, heat_BLGG, atol=1e-6)
    assert torch.allclose(score_BL, expected_BL, atol=1e-6)


def test_that_consistency_waits_and_then_grows():
    training = changed(num_warmup_epochs=2, num_ramp_epochs=4)
    assert [ramp(epoch, training) for epoch in range(8)] == [0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    assert ramp(0, changed(num_warmup_epochs=0, num_ramp_epochs=0)) == 1


def test_that_a_memory_of_what_the_model_says_costs_nothing():
    model, batch = model_of(), batch_of([[-1, -1, -1]])
    _, _, after, _ = run(model, batch, remembered(), changed(momentum=0.0, memory="none"))
    for memory in ("scores", "maps"):
        terms, _, _, _ = run(model, batch, after, changed(memory=memory, beta=2.0))
        assert terms["consistency"] < 1e-6
        terms, _, _, _ = run(model, batch, remembered(), changed(memory=memory, beta=2.0))
        assert terms["consistency"] > 0.01
        assert terms["loss"] == pytest.approx(float(terms["classes"] + 2 * terms["consistency"]))


@pytest.mark.parametrize("loss", ["an", "ls", "en", "em", "ll_r"])
def test_that_every_loss_pulls_up_what_is_there(loss):
    model = model_of()
    batch = batch_of([[1, -1, 0]])
    training = changed(loss=loss, memory="none")
    _, first_BL, _, _ = run(model, batch, remembered(), training)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(20):
        run(model, batch, remembered(), training, epoch=3)
        optimizer.step()
    _, last_BL, _, _ = run(model, batch, remembered(), training)
    assert last_BL[0, 0] > first_BL[0, 0]
    assert last_BL[0, 2] < max(0.1, first_BL[0, 2])


def test_that_expected_classes_are_left_alone_after_the_warm_up_and_the_denied_never():
    model = model_of(4)
    before = remembered(num_classes=4)
    before = replace(before, averages_BL=torch.tensor([[0.0, 0.9, 0.8, 0.1]]))
    bias = {}
    for name, label, epoch in (("expected", -1, 5), ("denied", 0, 5), ("early", -1, 0)):
        training = changed(memory="none", num_warmup_epochs=3)
        run(model, batch_of([[1, label, -1, -1]]), before, training, epoch=epoch, num_expected=2)
        bias[name] = model.head.bias.grad.clone()
    assert bias["expected"][1] == 0
    assert bias["expected"][2] > 0
    assert bias["denied"][1] > 0
    assert bias["denied"][2] == 0  # the place of the denied class is the next one's
    assert (bias["early"][1:] > 0).all()


def test_that_a_class_that_counts_nothing_takes_no_part_and_no_place():
    model = model_of(4)
    before = replace(remembered(num_classes=4), averages_BL=torch.tensor([[0.0, 0.9, 0.8, 0.1]]))
    batch = batch_of([[1, -1, -1, -1]], weights=[[1.0, 0.0, 1.0, 1.0]])
    run(model, batch, before, changed(memory="none"), num_expected=2)
    assert model.head.bias.grad[1] == 0
    assert model.head.bias.grad[2] == 0  # expected, where class 1 would have been
    assert model.head.bias.grad[3] > 0


def test_that_one_class_alone_is_learnt_without_anything_expected():
    model = model_of(1)
    terms, _, _, _ = run(model, batch_of([[1], [-1]]), remembered(2, 1), num_expected=3)
    assert torch.isfinite(terms["loss"])
    assert model.head.bias.grad.abs().max() > 0


def test_that_a_class_a_person_has_denied_has_a_target_of_zero_whatever_is_remembered():
    model = model_of()
    hot = remembered(value=1.0)
    pull = {}
    for label in (-1, 0):
        training = changed(beta=100.0, memory="maps")
        run(model, batch_of([[1, label, -1]]), hot, training)
        pull[label] = model.head.bias.grad[1].item()
    assert pull[-1] < 0 < pull[0]


def test_that_what_was_painted_is_the_target_and_counts_more():
    model = model_of()
    value_BLWW, weight_BLWW = torch.zeros(1, 3, GRID, GRID), torch.zeros(1, 3, GRID, GRID)
    weight_BLWW[0, 1, :3] = 1.0
    before = remembered(value=1.0)
    found = {}
    for memory in ("maps", "scores", "none"):
        training = changed(memory=memory, loss="an", correction_weight=5.0, beta=1.0)
        run(model, batch_of([[1, -1, -1]]), before, training)
        plain = model.head.bias.grad.clone()
        run(model, batch_of([[1, -1, -1]], painted=Painted(value_BLWW, weight_BLWW)), before, training)
        found[memory] = model.head.bias.grad - plain
        assert found[memory][1] > 0
        assert found[memory][[0, 2]].abs().max() < 1e-6
    # Painted cells pull by 5 with any memory; with heatmaps they no longer pull by 1 the other way.
    assert found["maps"][1] == pytest.approx(float(found["none"][1]) * 6 / 5, rel=1e-4)
    assert found["scores"][1] == pytest.approx(float(found["none"][1]), rel=1e-4)


def test_that_paint_follows_the_view():
    model = model_of()
    value_BLWW, weight_BLWW = torch.zeros(1, 3, GRID, GRID), torch.zeros(1, 3, GRID, GRID)
    weight_BLWW[0, 1, :, :2] = 1.0
    training = changed(memory="none", loss="an")
    gradients = []
    for view in (View((0.5, 0.0, 1.0, 1.0)), View((0.0, 0.0, 0.5, 1.0), is_flipped=True)):
        plain = run(model, batch_of([[1, -1, -1]], [view]), remembered(), training)[3]
        painted = Painted(value_BLWW, weight_BLWW)
        gradients.append(run(model, batch_of([[1, -1, -1]], [view], painted), remembered(), training)[3] - plain)
    assert gradients[0].abs().max() == 0
    assert gradients[1].abs().max() > 0


class Shelf:
    """A memory of one row that keeps what it is given."""

    def __init__(self):
        self.values = (np.full((1, 3), 0.5, np.float32), np.full((1, 3, GRID, GRID), 0.5, np.float32))

    def rows_before(self, rows):
        return self.values

    def put(self, rows, scores_BL, averages_BL, maps_BLWW):
        self.rows, self.scores, self.values = rows, scores_BL, (averages_BL, maps_BLWW)


def test_that_a_batch_is_learnt_and_remembered_but_not_if_its_loss_is_no_number():
    model, shelf = model_of(), Shelf()
    step = ConsistencyStep(model, TRAINING, num_expected=1)
    terms = learn(step, batch_of([[1, -1, -1]]), shelf, 2)
    assert set(terms) == {"loss", "classes", "consistency"}
    assert (shelf.values[0] != 0.5).all()
    known = shelf.values
    with torch.no_grad():
        model.head.weight[0, 0] = torch.nan
    terms = learn(step, batch_of([[1, -1, -1]]), shelf, 2)
    assert not torch.isfinite(terms["loss"])
    assert np.array_equal(shelf.values[0], known[0])
    assert np.array_equal(shelf.values[1], known[1])
