import math

import numpy as np
import pytest
import torch

from locstudio.domain.geometry import iou_matrix
from trainer.losses.grounding import (
    grounding_loss,
    nearest_boxes,
    overlap_grounding_loss,
    paired_giou,
    pairwise_iou,
    proposal_loss,
    total_loss,
)

BOX = torch.tensor([[0.1, 0.1, 0.5, 0.5]])


def test_that_an_error_of_a_tenth_in_every_corner_costs_a_hundredth():
    # Four squared errors of 0.01, divided by four.
    assert grounding_loss(BOX + 0.1, BOX).item() == pytest.approx(0.01, rel=1e-5)


def test_that_one_wrong_corner_counts_a_quarter():
    # 0.2 squared is 0.04; a quarter of it is 0.01.  Two regions, one of them right: 0.005.
    found_24 = torch.cat([BOX + torch.tensor([0.0, 0.0, 0.0, 0.2]), BOX])
    assert grounding_loss(found_24, BOX.repeat(2, 1)).item() == pytest.approx(0.005, rel=1e-5)


def test_that_padded_regions_do_not_count():
    found_24 = torch.cat([BOX + 0.1, BOX + 5.0])
    loss = grounding_loss(found_24, BOX.repeat(2, 1), torch.tensor([True, False]))
    assert loss.item() == pytest.approx(0.01, rel=1e-5)
    assert grounding_loss(BOX, BOX + 1, torch.tensor([False])).item() == 0.0


def test_that_unequal_boxes_are_refused():
    with pytest.raises(ValueError):
        grounding_loss(BOX, BOX.repeat(2, 1))


def test_that_lambda_is_the_share_of_labelled_images():
    # 1 + 2/8 (3 + 5) = 3.
    clip, regions, places = torch.tensor(1.0), torch.tensor(3.0), torch.tensor(5.0)
    assert total_loss(clip, regions, places, num_labelled=2, num_images=8).item() == pytest.approx(3.0)
    assert total_loss(clip, regions, places, num_labelled=0, num_images=8).item() == pytest.approx(1.0)


@pytest.mark.parametrize(("labelled", "images"), [(1, 0), (3, 2), (-1, 2)])
def test_that_impossible_counts_are_refused(labelled, images):
    with pytest.raises(ValueError):
        total_loss(torch.tensor(1.0), torch.tensor(1.0), torch.tensor(1.0), num_labelled=labelled, num_images=images)


def test_that_overlaps_agree_with_the_domain():
    boxes = np.sort(np.random.default_rng(0).random((9, 2, 2)), axis=1).reshape(9, 4).astype(np.float32)
    ours = pairwise_iou(torch.from_numpy(boxes), torch.from_numpy(boxes)).numpy()
    np.testing.assert_allclose(ours, iou_matrix(boxes, boxes), atol=1e-6)


def test_the_generalised_overlap_of_two_boxes_apart():
    # Unit squares at 0 and 2: no overlap, union 2, hull 3: 0 - (3 - 2) / 3.
    giou, iou = paired_giou(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[2.0, 0.0, 3.0, 1.0]]))
    assert giou.item() == pytest.approx(-1 / 3, rel=1e-6)
    assert iou.item() == 0.0


def anchors() -> torch.Tensor:
    return torch.tensor([[0.3, 0.3, 0.4, 0.4], [0.8, 0.8, 0.2, 0.2]])


def test_that_a_sure_and_right_proposal_costs_nothing():
    # The first anchor is the object exactly, its logit says so, and the other's says nothing is there.
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.7, 0.7, 0.9, 0.9]])
    loss = proposal_loss(torch.tensor([40.0, -40.0]), boxes, anchors(), BOX)
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


def test_the_cost_of_an_undecided_proposal():
    # Both logits are 0: positive (1 - 0.5)^2 log 2, negative (0 - 0.5)^2 log 2, one positive; the box is right.
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.7, 0.7, 0.9, 0.9]])
    loss = proposal_loss(torch.zeros(2), boxes, anchors(), BOX)
    assert loss.item() == pytest.approx(0.5 * math.log(2), rel=1e-5)


def test_that_without_objects_every_anchor_shall_be_silent():
    loss = proposal_loss(torch.zeros(2), torch.rand(2, 4), anchors(), torch.zeros(0, 4))
    assert loss.item() == pytest.approx(0.5 * math.log(2), rel=1e-5)


def test_that_an_object_no_anchor_fits_still_has_its_best_one():
    # A sliver overlaps the second anchor by far less than a half; that anchor's box still learns from it.
    sliver = torch.tensor([[0.7, 0.8, 0.9, 0.81]])
    boxes = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.7, 0.7, 0.9, 0.9]], requires_grad=True)
    proposal_loss(torch.full((2,), -5.0), boxes, anchors(), sliver).backward()
    assert boxes.grad[0].abs().sum() == 0
    assert boxes.grad[1].abs().sum() > 0


def test_the_distance_and_overlap_of_a_shifted_box_derived_by_hand():
    # Sides 0.4, shifted right by 0.4: centres differ by 0.4, sizes by nothing; the boxes touch, IoU 0, hull 0.8 x 0.4
    # of which the boxes fill all, GIoU 0.  5/7 of 0.4 and 2/7 of 1.
    shifted = BOX + torch.tensor([0.4, 0.0, 0.4, 0.0])
    assert overlap_grounding_loss(shifted, BOX).item() == pytest.approx((5 * 0.4 + 2) / 7, rel=1e-5)
    assert overlap_grounding_loss(BOX, BOX).item() == pytest.approx(0.0, abs=1e-6)
    assert overlap_grounding_loss(BOX[:0], BOX[:0]).item() == 0.0
    with pytest.raises(ValueError, match="differ in shape"):
        overlap_grounding_loss(BOX, BOX.repeat(2, 1))


def test_that_a_box_far_away_is_still_pulled():
    far = torch.tensor([[0.8, 0.8, 0.9, 0.9]], requires_grad=True)
    overlap_grounding_loss(far, BOX).backward()
    assert (far.grad[0, :2] > 0).all()


def test_that_a_phrase_of_two_boxes_shall_find_the_nearer_one():
    # Rows 0 and 1 are two boxes of one phrase, row 2 is another phrase; what was found lies at the second box.
    left, right = [0.0, 0.0, 0.2, 0.2], [0.7, 0.7, 0.9, 0.9]
    boxes_134 = torch.tensor([[left, right, left]])
    found_134 = torch.tensor([[[0.6, 0.6, 0.9, 0.9]] * 3])
    is_own = torch.tensor([[[True, True, False], [True, True, False], [False, False, True]]])
    assert torch.equal(nearest_boxes(found_134, boxes_134, is_own), torch.tensor([[right, right, left]]))


def test_that_a_row_without_boxes_of_its_own_keeps_its_box():
    boxes_124 = torch.rand(1, 2, 4, generator=torch.Generator().manual_seed(0))
    none = torch.zeros(1, 2, 2, dtype=torch.bool)
    assert torch.equal(nearest_boxes(boxes_124.flip(1), boxes_124, none), boxes_124)
