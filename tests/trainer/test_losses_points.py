"""The loss of points, by values derived by hand."""

import math

import pytest
import torch

from locstudio.models.heads import ProposalHead
from locstudio.models.point_head import PointHead, points
from trainer.losses.grounding import pairwise_iou, proposal_loss
from trainer.losses.points import loss_of_proposals, owners, point_loss

MIDDLE = torch.tensor([[0.4, 0.4, 0.6, 0.6]])


def squares(centres, sides):
    return torch.cat([centres - sides[:, None] / 2, centres + sides[:, None] / 2], dim=1)


def grids():
    """Points of an 8 x 8 grid's four, with the boxes they stand for before they learn."""
    centres, cells, sides = points(8)
    return centres, cells, sides, squares(centres, sides)


def two_points(boxes, logits, objects):
    """The loss of a point on the object and one far from it."""
    centres, cells, sides = torch.tensor([[0.5, 0.5], [0.05, 0.05]]), torch.full((2,), 0.03), torch.full((2,), 0.2)
    return point_loss(torch.tensor(logits), boxes, centres, cells, sides, objects).item()


def test_that_a_sure_and_right_point_costs_nothing():
    boxes = torch.cat([MIDDLE, torch.tensor([[0.0, 0.0, 0.1, 0.1]])])
    # The second is no candidate: so far away its merit is nothing.  Yet there are only two, so it is asked too.
    assert two_points(boxes[:1].expand(2, 4), [40.0, 40.0], MIDDLE) == pytest.approx(0.0, abs=1e-5)


def test_the_cost_of_undecided_points_by_hand():
    # Both points take the object, their boxes are right: (1 - 1/2)^2 log 2 each, and nothing for the boxes.
    assert two_points(MIDDLE.expand(2, 4), [0.0, 0.0], MIDDLE) == pytest.approx(0.5 * math.log(2), rel=1e-5)
    # The boxes overlap half of the object: GIoU 1/2, both share one weight of 2: 2 (1 - 1/2); quality 1/2, so that
    # undecided is right and costs nothing.
    half = torch.tensor([[0.4, 0.4, 0.5, 0.6]]).expand(2, 4)
    assert two_points(half, [0.0, 0.0], MIDDLE) == pytest.approx(1.0, rel=1e-5)


def test_that_without_objects_every_point_shall_be_silent():
    boxes = MIDDLE.expand(2, 4)
    assert two_points(boxes, [0.0, 0.0], torch.zeros(0, 4)) == pytest.approx(0.5 * math.log(2), rel=1e-5)
    assert two_points(boxes, [-40.0, -40.0], torch.zeros(0, 4)) == pytest.approx(0.0, abs=1e-6)


def test_that_an_object_is_found_by_points_near_its_middle_of_its_size():
    centres, cells, sides, boxes = grids()
    for side in (0.035, 0.09, 0.22, 0.55):
        thing = squares(torch.tensor([[0.5, 0.5]]), torch.tensor([side]))
        owner = owners(pairwise_iou(boxes, thing), centres, cells, sides, thing)
        own = owner >= 0
        assert 3 <= int(own.sum()) <= 9
        assert ((sides[own] / side).log2().abs() < 1.4).all()
        assert ((centres[own] - 0.5).abs() <= torch.maximum(cells[own], torch.tensor(side))[:, None]).all()


def test_that_two_things_at_one_place_each_have_points():
    centres, cells, sides, boxes = grids()
    things = squares(torch.tensor([[0.5, 0.5], [0.5, 0.5]]), torch.tensor([0.09, 0.55]))
    owner = owners(pairwise_iou(boxes, things), centres, cells, sides, things)
    assert set(owner.tolist()) == {-1, 0, 1}


def test_that_a_duplicate_of_a_thing_is_not_told_that_nothing_is_there():
    centres, cells, sides, boxes = grids()
    boxes[:] = MIDDLE  # every point has found the thing
    logits = torch.full((len(boxes),), 2.0, requires_grad=True)
    point_loss(logits, boxes, centres, cells, sides, MIDDLE).backward()
    owner = owners(pairwise_iou(boxes, MIDDLE), centres, cells, sides, MIDDLE)
    assert (logits.grad[owner < 0] == 0).all()
    assert (logits.grad[owner >= 0] < 0).all()


def test_that_a_large_thing_counts_no_more_than_a_small_one():
    centres, cells, sides, boxes = grids()
    costs = []
    for side in (0.06, 0.4):
        thing = squares(torch.tensor([[0.5, 0.5]]), torch.tensor([side]))
        away = (boxes + 5.0).requires_grad_(True)  # GIoU of boxes far away is near -1 whatever their size
        costs.append(point_loss(torch.full((len(boxes),), -40.0), away, centres, cells, sides, thing).item())
    assert costs == pytest.approx([4.0, 4.0], rel=0.02)


def test_that_each_head_is_trained_as_its_kind():
    torch.manual_seed(0)
    tokens = torch.randn(1, 17, 8)
    old, new = ProposalHead(width=8, grid=4, hidden=8), PointHead(width=8, grid=4, hidden=8, fine=4).eval()
    logits, boxes = old(tokens)
    expected = proposal_loss(logits[0], boxes[0], old.anchors_A4, MIDDLE)
    assert torch.equal(loss_of_proposals(old, logits[0], boxes[0], MIDDLE), expected)
    logits, boxes = new(tokens)
    expected = point_loss(logits[0], boxes[0], new.centre_A2, new.cell_A, new.side_A, MIDDLE)
    assert torch.equal(loss_of_proposals(new, logits[0], boxes[0], MIDDLE), expected)
