"""Outlines and boxes of heat."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from locstudio.services.heat.shapes import (
    area_of,
    box_at,
    box_of_peak,
    contours,
    heat_boxes,
    peak_of,
    percentile,
    value_at,
)

MAPS = arrays.arrays(np.uint8, (7, 7))


def block(top, left, bottom, right, value=255, side=14):
    map_WW = np.zeros((side, side), np.uint8)
    map_WW[top:bottom, left:right] = value
    return map_WW


def test_that_half_of_a_plateau_is_outlined_along_the_edges_of_its_cells():
    # Between the middles of a hot cell and a cold one, heat has fallen to one half at the edge between both.
    (box,) = heat_boxes(block(3, 4, 6, 9, 200), 100)
    assert box.as_tuple() == pytest.approx((4 / 14, 3 / 14, 9 / 14, 6 / 14))


def test_that_heat_at_the_rim_is_outlined_by_the_rim_of_the_image():
    (outline,) = contours(np.full((5, 5), 9, np.uint8), 1)
    assert sorted(map(tuple, outline.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert area_of(outline) == pytest.approx(1)
    assert contours(np.zeros((5, 5), np.uint8), 0) == []


def test_that_pieces_come_largest_first_and_a_hole_has_a_negative_area():
    map_WW = np.maximum(block(1, 1, 8, 8), block(10, 10, 13, 13))
    map_WW[4, 4] = 0
    areas = [area_of(outline) for outline in contours(map_WW, 128)]
    assert areas[0] > areas[1] > 0 > areas[2]
    assert len(heat_boxes(map_WW, 128)) == 2


def test_that_the_box_at_a_point_is_that_of_the_piece_around_it():
    map_WW = np.maximum(block(1, 1, 4, 4), block(9, 9, 13, 13, 200))
    found = box_at(map_WW, 100, (11 / 14, 11 / 14))
    assert found is not None
    assert found.x0 > 0.6
    assert box_at(map_WW, 100, (0.5, 0.5)) is None
    peak = box_of_peak(map_WW)
    assert peak is not None
    assert peak.x1 < 0.4
    assert box_of_peak(np.zeros((14, 14), np.uint8)) is None


@settings(max_examples=30, deadline=None)
@given(MAPS, st.integers(1, 255))
def test_that_outlines_part_what_is_hotter_from_what_is_colder(map_WW, threshold):
    outlines = contours(map_WW, threshold)
    rows, columns = np.mgrid[:7, :7]
    inside = sum(_winds(outline, (columns + 0.5) / 7, (rows + 0.5) / 7) for outline in outlines)
    is_hot = map_WW >= threshold
    # A peak that hardly looks over the threshold is too small to have an outline.
    is_sure = np.abs(map_WW.astype(int) - threshold) > 100
    assert np.array_equal(
        (np.asarray(inside) > 0)[is_sure] if outlines else np.zeros(is_sure.sum(), bool), is_hot[is_sure]
    )


def _winds(outline, x, y):
    """How often an outline goes around points, +1 around heat and -1 around a hole."""
    other = np.roll(outline, -1, axis=0)
    total = np.zeros(x.shape)
    for (x0, y0), (x1, y1) in zip(outline, other, strict=True):
        at = (y0 <= y) != (y1 <= y)
        place = x0 + (y - y0) / (y1 - y0 if y1 != y0 else 1) * (x1 - x0)
        total += np.where(at & (place > x), np.sign(y1 - y0), 0)
    return total


def test_that_values_between_cells_are_bilinear_and_stay_the_same_beyond_the_outer_middles():
    map_WW = np.array([[0, 100], [200, 40]], np.uint8)
    assert value_at(map_WW, 0.25, 0.25) == 0
    assert value_at(map_WW, 0.5, 0.25) == 50
    assert value_at(map_WW, 0.5, 0.5) == 85
    assert value_at(map_WW, 1.0, 0.0) == 100
    assert value_at(np.array([[7]], np.uint8), 0.9, 0.1) == 7
    assert peak_of(map_WW) == ((0.25, 0.75), 200)
    assert percentile(map_WW, 40) == 50
