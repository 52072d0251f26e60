"""Boxes keep their meaning through every frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.domain.geometry import Letterbox, UnitBox, iou_matrix, iou_pairs, smallest_containing, suppress_overlaps

sides = st.integers(min_value=1, max_value=30_000)
corner = st.floats(min_value=0, max_value=1, allow_nan=False, width=32)


@st.composite
def unit_boxes(draw):
    x0, x1 = sorted(draw(st.tuples(corner, corner).filter(lambda pair: abs(pair[0] - pair[1]) > 1e-3)))
    y0, y1 = sorted(draw(st.tuples(corner, corner).filter(lambda pair: abs(pair[0] - pair[1]) > 1e-3)))
    return UnitBox(x0, y0, x1, y1)


@given(unit_boxes(), sides, sides)
def test_that_a_box_survives_the_letterbox_to_sub_pixel(box, width, height):
    letterbox = Letterbox(width, height)
    there = letterbox.to_square(np.array([box.as_tuple()], np.float32))
    back = letterbox.to_unit(there)[0]
    pixel_error = np.abs(back - np.array(box.as_tuple())) * np.array([width, height, width, height])
    # float32 keeps 24 bits: at 30,000 px of the longer side that is a few thousandths of a pixel.
    assert pixel_error.max() <= 0.01 + 4e-7 * max(width, height)


def test_that_the_long_side_fills_the_square_and_the_short_one_is_centred():
    # 200 x 100: x stays, y is halved and moved down by a quarter.
    square = Letterbox(200, 100).to_square(np.array([[0, 0, 1, 1], [0.5, 0.5, 1, 1]], np.float32))
    assert square.tolist() == [[0, 0.25, 1, 0.75], [0.5, 0.5, 1, 0.75]]
    assert Letterbox(200, 100).content(64) == (0, 16, 64, 48)


@given(sides, sides, st.sampled_from([224, 384, 512]))
def test_that_the_image_always_covers_at_least_one_pixel_of_the_square(width, height, side):
    left, top, right, bottom = Letterbox(width, height).content(side)
    assert 0 <= left < right <= side
    assert 0 <= top < bottom <= side


@given(st.tuples(*[st.floats(-1e6, 1e6)] * 4), sides, sides)
def test_that_corners_in_any_order_become_a_box_inside_the_image_or_a_refusal(corners, width, height):
    try:
        box = UnitBox.from_pixels(*corners, width, height)
    except ValueError:
        return
    assert 0 <= box.x0 < box.x1 <= 1
    assert 0 <= box.y0 < box.y1 <= 1


@pytest.mark.parametrize(
    "bad", [(0, 0, 0, 1), (0, 0, float("nan"), 1), (-0.1, 0, 1, 1), (0.5, 0, 0.4, 1), (0, 0, 1, 2)]
)
def test_that_a_box_without_area_or_outside_the_image_is_refused(bad):
    with pytest.raises(ValueError):
        UnitBox(*bad)


def test_that_overlap_is_the_shared_share():
    # Two unit squares shifted by half a side share 1/4 + nothing: 0.25 / (1 + 1 - 0.25).
    a = np.array([[0, 0, 1, 1]], np.float32)
    b = np.array([[0.5, 0.5, 1.5, 1.5], [0, 0, 1, 1], [2, 2, 3, 3], [0, 0, 0, 0]], np.float32)
    assert iou_matrix(a, b)[0].tolist() == pytest.approx([0.25 / 1.75, 1, 0, 0])


@given(st.lists(st.tuples(unit_boxes(), unit_boxes()), min_size=1, max_size=8))
def test_that_overlaps_of_pairs_are_the_diagonal_of_all_overlaps(pairs):
    a, b = (np.array([box.as_tuple() for box in boxes], np.float32) for boxes in zip(*pairs, strict=True))
    assert iou_pairs(a, b) == pytest.approx(np.diagonal(iou_matrix(a, b)))


def test_that_the_inner_of_nested_boxes_wins():
    boxes = np.array([[0, 0, 1, 1], [0.4, 0.4, 0.6, 0.6], [0.7, 0.7, 0.9, 0.9]], np.float32)
    assert smallest_containing(boxes, 0.5, 0.5) == 1
    assert smallest_containing(boxes, 0.1, 0.1) == 0
    assert smallest_containing(boxes[1:], 0.1, 0.1) is None


def test_that_suppression_keeps_the_best_of_each_heap():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3]], np.float32)
    assert suppress_overlaps(boxes, np.array([0.5, 0.9, 0.7], np.float32), 0.5, 10).tolist() == [1, 2]
    assert suppress_overlaps(boxes, np.array([0.5, 0.9, 0.7], np.float32), 0.5, 1).tolist() == [1]
