"""How hot classes are inside a box."""

import numpy as np
import pytest

from locstudio.domain.geometry import UnitBox
from locstudio.services.heat.inside import heat_inside

QUARTER = np.zeros((4, 4), np.uint8)
QUARTER[:2, :2] = 255


def test_that_a_box_on_the_hot_quarter_is_wholly_hot_and_the_rest_is_cold():
    found = heat_inside(QUARTER, UnitBox(0, 0, 0.5, 0.5))
    assert (found.mean, found.peak, found.around, found.rank) == pytest.approx((1, 1, 0, 100))


def test_that_cells_count_by_how_much_of_them_lies_inside():
    # The box covers a cell and a half of a row: 1 hot cell and half a cold one.
    found = heat_inside(QUARTER, UnitBox(0.25, 0, 0.625, 0.25))
    assert found.mean == pytest.approx(1 / 1.5)
    assert found.rank == pytest.approx(75)  # twelve of sixteen cells are no hotter


def test_that_the_mean_over_the_whole_image_is_that_of_the_map():
    heat = np.random.default_rng(3).integers(0, 256, (14, 14), np.uint8)
    found = heat_inside(heat, UnitBox(0, 0, 1, 1))
    assert found.mean == pytest.approx(heat.mean() / 255)
    assert found.around == 0


def test_that_inside_and_around_make_the_whole():
    heat = np.random.default_rng(4).integers(0, 256, (14, 14), np.uint8)
    box = UnitBox(0.13, 0.4, 0.77, 0.91)
    found = heat_inside(heat, box)
    assert found.mean * box.area + found.around * (1 - box.area) == pytest.approx(heat.mean() / 255)
