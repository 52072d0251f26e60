"""What strokes and boxes show on heatmaps, and which of them goes first."""

import numpy as np
import pytest

from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke, painted
from trainer.class_paint import Paint, covered

GRID = 8
SIZES = [(64, 64), (128, 64)]
LEFT = np.array([[0.0, 0.0, 0.5, 1.0]], np.float32)
STROKE = HeatCorrection(1, 1, 1, Evidence.ADD, (Stroke(((0.75, 0.25), (0.75, 0.75)), 0.15),))


def paint_of(strokes, boxes, box_weight=1.0):
    return Paint(strokes, boxes, SIZES, grid=GRID, box_weight=box_weight)


def test_that_a_box_is_hot_inside_and_cold_outside():
    shown = paint_of({}, {1: {3: LEFT}}).of(1)
    assert shown.positions_P.tolist() == [3]
    assert (shown.value_PWW[0, :, :4] == 1).all()
    assert (shown.value_PWW[0, :, 4:] == 0).all()
    assert (shown.weight_PWW == 1).all()


def test_that_cells_are_covered_by_the_share_of_their_area():
    # A quarter of the width of cell 1, half of the height of cell 2.
    box = np.array([[1.75 / 8, 2.0 / 8, 3.0 / 8, 2.5 / 8]], np.float32)
    found = covered(box, GRID)
    assert found[2, 1] == pytest.approx(0.125)
    assert found[2, 2] == pytest.approx(0.5)
    assert found.sum() == pytest.approx(0.625)
    both = np.concatenate([box, np.array([[0.5, 0.5, 1.0, 1.0]], np.float32)])
    assert covered(both, GRID).sum() == pytest.approx(16.625)


def test_that_a_stroke_goes_before_a_box():
    value_WW, weight_WW = painted([STROKE], GRID, SIZES[0])
    shown = paint_of({0: {3: (STROKE,)}}, {0: {3: LEFT}}).of(0)
    is_painted = weight_WW == 1
    assert is_painted.any()
    assert (shown.value_PWW[0][is_painted] == value_WW[is_painted]).all()
    assert (shown.value_PWW[0][:, :4] == 1).all()
    assert (shown.weight_PWW == 1).all()


def test_that_boxes_that_are_meant_less_leave_the_rest_to_the_memory():
    shown = paint_of({0: {3: (STROKE,)}}, {0: {3: LEFT}}, box_weight=0.25).of(0)
    _, weight_WW = painted([STROKE], GRID, SIZES[0])
    assert shown.weight_PWW[0] == pytest.approx(0.25 + 0.75 * weight_WW)


def test_that_without_strokes_and_without_a_weight_of_boxes_nothing_is_shown():
    assert paint_of({}, {0: {3: LEFT}}, box_weight=0.0).of(0) is None
    assert paint_of({0: {3: (STROKE,)}}, {}).of(1) is None
    strokes = paint_of({0: {5: (STROKE,)}}, {0: {3: LEFT}}, box_weight=0.0).of(0)
    assert strokes.positions_P.tolist() == [5]
    value_WW, weight_WW = painted([STROKE], GRID, SIZES[0])
    assert strokes.weight_PWW[0] == pytest.approx(weight_WW)
    assert strokes.value_PWW[0] == pytest.approx(value_WW * weight_WW)
