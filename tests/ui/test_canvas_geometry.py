"""Boxes under the mouse, views and snapping, without a window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Region
from locstudio.ui.canvas.box_tool import BoxTool, Drew, Ground, Keys, Placed, Tool, sides_at
from locstudio.ui.canvas.drag_geometry import Side, drawn, grown, moved, resized, to_unit
from locstudio.ui.canvas.overlay_boxes import BoxArrays
from locstudio.ui.canvas.snapping import SnapEdges, snap_shift
from locstudio.ui.canvas.view import MAX_ZOOM, Fit, View, fitted

sides_px = st.sampled_from([1, 2, 3, 17, 640, 30_000])
screens = st.floats(-3000, 5000, allow_nan=False)
scales = st.floats(0.01, 64.0)
keys = st.builds(Keys, st.booleans(), st.booleans(), st.booleans())


def ground(
    width: int,
    height: int,
    view: View,
    regions: tuple[Region, ...] = (),
    selected: frozenset[int] = frozenset(),
    query: tuple[float, float, float, float] | None = None,
) -> Ground:
    return Ground(width, height, view, BoxArrays.of(regions, width, height), selected, query, True)


@given(
    sides_px, sides_px, scales, screens, screens, st.lists(st.tuples(screens, screens), min_size=1, max_size=4), keys
)
def test_that_any_drag_draws_a_valid_box_inside_the_image(width, height, scale, x, y, path, held):
    here = ground(width, height, View(scale, 20, 30))
    tool = BoxTool()
    tool.tool = Tool.BOX
    tool.press((x, y), held, here)
    for point in path:
        tool.move(point, held, here)
    outcome = tool.release(path[-1], held, here)
    if outcome is None:
        assert max(abs(px - x) + abs(py - y) for px, py in path) < 8 or tool.is_drawing
        return
    assert isinstance(outcome, Drew)
    box = to_unit(outcome.box, width, height)  # raises where it is none
    assert (box.x1 - box.x0) * width > 1 - 1e-6
    assert (box.y1 - box.y0) * height > 1 - 1e-6


@given(
    sides_px,
    sides_px,
    st.tuples(*[st.floats(0, 1)] * 4),
    st.sampled_from([Side.LEFT, Side.TOP, Side.RIGHT | Side.BOTTOM, Side.LEFT | Side.TOP, Side.RIGHT]),
    screens,
    screens,
    st.booleans(),
)
def test_that_any_handle_dragged_anywhere_leaves_a_valid_box(width, height, corners, sides, x, y, is_square):
    start = drawn(
        (corners[0] * width, corners[1] * height), (corners[2] * width, corners[3] * height), width, height, False
    )
    box = to_unit(resized(start, sides, (x, y), width, height, is_square), width, height)
    assert 0 <= box.x0 < box.x1 <= 1
    assert 0 <= box.y0 < box.y1 <= 1


@given(st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_that_boxes_moved_together_keep_sizes_and_distances(dx, dy):
    boxes = np.array([[10.0, 20, 30, 60], [50, 5, 90, 15]])
    after = moved(boxes, dx, dy, 100, 80)
    assert after.min() >= 0
    assert (after[:, 2] <= 100).all()
    assert (after[:, 3] <= 80).all()
    np.testing.assert_allclose(after - after[0], boxes - boxes[0], atol=1e-9)


def test_that_a_drag_from_right_to_left_is_put_in_order():
    assert drawn((80, 70), (20, 10), 100, 100, False) == (20, 10, 80, 70)


def test_that_a_square_takes_the_longer_side_and_ends_at_the_image():
    assert drawn((10, 10), (40, 20), 100, 100, True) == (10, 10, 40, 40)
    # 90 wide was wished for, but only 30 are left below.
    assert drawn((5, 70), (95, 75), 100, 100, True) == (5, 70, 35, 100)


def test_that_a_side_dragged_across_the_other_turns_the_box_over():
    assert resized((20, 20, 40, 40), Side.LEFT, (60, 0), 100, 100, False) == (40, 20, 60, 40)


def test_that_growing_backwards_stops_at_one_pixel():
    assert grown((20, 20, 25, 40), -10, 0, 100, 100) == (20, 20, 21, 40)


def test_that_the_nearest_edge_attracts_within_the_tolerance_only():
    edges = SnapEdges.of(np.array([[20.0, 30, 60, 70]]), 100, 100)
    assert edges.snap_x(57.5, 3).value == 60
    assert edges.snap_x(56.5, 3).guide is None
    assert edges.snap_y(-1, 3).value == 0
    assert edges.snap_y(99, 3).guide == 100


def test_that_a_moved_box_snaps_by_its_nearer_end():
    shift = snap_shift(np.array([0.0, 50.0, 100.0]), 12.0, 48.5, 3.0)
    assert shift.value == pytest.approx(1.5)
    assert shift.guide == 50


def test_that_zooming_keeps_the_point_under_the_cursor():
    view = View(0.7, 33, -12)
    before = view.to_px(400, 300)
    assert view.zoomed(3.0, 400, 300, 0.01, 64).to_px(400, 300) == pytest.approx(before)


@pytest.mark.parametrize("image", [(1, 1), (30_000, 1), (1, 30_000), (4000, 3000)])
@pytest.mark.parametrize("fit", [Fit.WHOLE, Fit.WIDTH])
def test_that_every_shape_of_image_can_be_fitted(image, fit):
    view = fitted(image, (800, 600), fit)
    assert 0 < view.scale <= MAX_ZOOM
    assert view.kept_in_sight(image, (800, 600)).scale == view.scale


@given(sides_px, sides_px, scales, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_that_no_pan_loses_the_picture(width, height, scale, dx, dy):
    view = View(scale).panned(dx, dy).kept_in_sight((width, height), (800, 600))
    x0, y0 = view.to_screen(0, 0)
    x1, y1 = view.to_screen(width, height)
    assert x0 < 800
    assert y0 < 600
    assert x1 > -1e-6
    assert y1 > -1e-6


def test_that_the_inner_of_nested_boxes_is_hit():
    outer, inner = Region(1, 1, UnitBox(0.1, 0.1, 0.9, 0.9)), Region(2, 1, UnitBox(0.4, 0.4, 0.6, 0.6))
    here = ground(100, 100, View(), (inner, outer))
    assert BoxTool().hit((50, 50), here) == 2
    assert BoxTool().hit((20, 20), here) == 1
    assert BoxTool().hit((95, 95), here) is None


def test_that_a_box_is_hit_by_a_trembling_hand_just_beside_it():
    here = ground(100, 100, View(2.0), (Region(1, 1, UnitBox(0.4, 0.4, 0.6, 0.6)),))
    assert BoxTool().hit((77, 100), here) == 1  # 1.5 pixels left of the box are 3 on the screen
    assert BoxTool().hit((70, 100), here) is None


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
def test_that_handles_are_reached_at_the_same_distance_at_every_zoom(scale):
    box = (100.0, 100.0, 100.0 + 200 / scale, 100.0 + 200 / scale)  # always 200 screen pixels
    view = View(scale, -100 * scale + 50, -100 * scale + 50)  # its corner at (50, 50)
    assert sides_at((44, 44), box, view) == Side.LEFT | Side.TOP
    assert sides_at((150, 54), box, view) == Side.TOP
    assert sides_at((254, 254), box, view) == Side.RIGHT | Side.BOTTOM
    assert sides_at((150, 150), box, view) is Side.NONE
    assert sides_at((30, 44), box, view) is Side.NONE


def test_that_a_tiny_box_can_still_be_moved_by_its_middle():
    assert sides_at((56, 56), (50, 50, 62, 62), View()) is Side.NONE


def test_that_two_clicks_draw_what_one_drag_draws():
    here, tool, none = ground(100, 100, View()), BoxTool(), Keys(is_free=True)
    tool.tool = Tool.BOX
    tool.press((20, 20), none, here)
    assert tool.release((20, 20), none, here) is None
    tool.move((40, 50), none, here)
    assert tool.draft.drawn == (20, 20, 40, 50)
    tool.press((60, 70), none, here)
    assert tool.release((60, 70), none, here) == Drew((20, 20, 60, 70), False)


def test_that_a_half_drawn_box_survives_zoom_and_pan():
    tool, none = BoxTool(), Keys(is_free=True)
    tool.tool = Tool.BOX
    tool.press((20, 20), none, ground(100, 100, View()))
    tool.move((40, 40), none, ground(100, 100, View()))
    zoomed = ground(100, 100, View(4.0, -60, -60))  # pixel (20, 20) is at (20, 20) still
    tool.move((100, 100), none, zoomed)
    assert tool.release((100, 100), none, zoomed) == Drew((20, 20, 40, 40), False)


def test_that_snapping_meets_the_exact_edge_of_another_box_and_alt_prevents_it():
    other = Region(1, 1, UnitBox(0.405, 0.1, 0.8, 0.2))
    here, tool = ground(1000, 1000, View(), (other,)), BoxTool()
    tool.tool = Tool.BOX
    for held, expected in ((Keys(), 405.0), (Keys(is_free=True), 402.0)):
        tool.press((200, 400), held, here)
        outcome = tool.release((402, 600), held, here)
        assert isinstance(outcome, Drew)
        assert outcome.box[2] == pytest.approx(expected)


def test_that_a_locked_region_cannot_be_dragged():
    locked = Region(1, 1, UnitBox(0.2, 0.2, 0.8, 0.8), is_locked=True)
    here, tool = ground(100, 100, View(), (locked,), frozenset({1})), BoxTool()
    tool.press((50, 50), Keys(), here)
    tool.move((70, 70), Keys(), here)
    assert not isinstance(tool.release((70, 70), Keys(), here), Placed)
    assert tool.grip_at((20, 20), here) is None


def test_that_a_drag_inside_the_selection_moves_it_whatever_lies_there():
    outer, inner = Region(1, 1, UnitBox(0.1, 0.1, 0.8, 0.8)), Region(2, 1, UnitBox(0.4, 0.4, 0.5, 0.5))
    here, tool, held = ground(100, 100, View(), (outer, inner), frozenset({1})), BoxTool(), Keys(is_free=True)
    assert tool.press((45, 45), held, here) is None
    outcome = tool.release((55, 50), held, here)
    assert isinstance(outcome, Placed)
    assert outcome.boxes[1] == pytest.approx((20, 15, 90, 85))
