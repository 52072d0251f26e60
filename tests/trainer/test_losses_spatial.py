"""The loss of heatmaps that remember, by values derived by hand."""

import pytest
import torch

from trainer.losses.expected_negative import consistency_loss
from trainer.losses.spatial import spatial_consistency_loss


def test_that_maps_equal_to_what_is_remembered_cost_nothing():
    maps = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert spatial_consistency_loss(maps, maps.sigmoid()).item() == 0.0


def test_spatial_consistency_by_hand():
    maps, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 0.5], [0.5, 0.1]]]])
    assert spatial_consistency_loss(maps, target).item() == pytest.approx((0.5 + 0 + 0 + 0.4) / 4)
    weight = torch.tensor([[[[5.0, 1.0], [1.0, 1.0]]]])
    assert spatial_consistency_loss(maps, target, weight).item() == pytest.approx((5 * 0.5 + 0.4) / 8)


def test_that_maps_of_one_cell_have_the_loss_of_scores():
    logits, running = torch.randn(3, 5), torch.rand(3, 5)
    of_maps = spatial_consistency_loss(logits[..., None, None], running[..., None, None])
    assert of_maps.item() == pytest.approx(consistency_loss(logits, running).item())


def test_that_the_gradient_goes_through_the_maps_alone():
    maps = torch.zeros(1, 1, 2, 2, requires_grad=True)
    target = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]], requires_grad=True)
    spatial_consistency_loss(maps, target).backward()
    assert target.grad is None
    assert maps.grad.sign().flatten().tolist() == [-1.0, 0.0, 1.0, 1.0]


def test_that_maps_of_another_side_are_refused():
    with pytest.raises(ValueError, match="14, 14"):
        spatial_consistency_loss(torch.zeros(1, 1, 7, 7), torch.zeros(1, 1, 14, 14))
