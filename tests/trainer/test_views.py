"""The geometry of views: there and back again."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locstudio.domain.geometry import Letterbox
from trainer.views import View, draw_view, fold_back, letterbox_matrix, sample, view_pixels

GRID = 14
shares = st.floats(0.05, 1.0)
flips = st.booleans()


@st.composite
def views(draw):
    wide, high = draw(shares), draw(shares)
    x0, y0 = draw(st.floats(0.0, 1.0 - wide)), draw(st.floats(0.0, 1.0 - high))
    return View((x0, y0, min(x0 + wide, 1.0), min(y0 + high, 1.0)), draw(flips))


@st.composite
def aligned(draw):
    """A window of whole cells of the heatmap, as many wide as high, and their number."""
    count = draw(st.integers(1, GRID))
    left, top = draw(st.integers(0, GRID - count)), draw(st.integers(0, GRID - count))
    window = (left / GRID, top / GRID, (left + count) / GRID, (top + count) / GRID)
    return View(window, draw(flips)), count, (slice(top, top + count), slice(left, left + count))


def record(view):
    return view.matrix()[None]


def heat(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(aligned(), st.integers(0, 100))
def test_that_back_and_there_again_is_the_identity_for_a_window_of_whole_cells(drawn, seed):
    view, count, _ = drawn
    shown = heat(seed, 1, 2, count, count)
    remembered = fold_back(torch.zeros(1, 2, GRID, GRID), shown, record(view), 0.0)
    torch.testing.assert_close(sample(remembered, record(view), count), shown, atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(aligned(), st.integers(0, 100))
def test_that_there_and_back_again_is_the_identity_inside_the_window_and_nothing_outside(drawn, seed):
    view, count, (rows, columns) = drawn
    whole = heat(seed, 1, 3, GRID, GRID)
    back = fold_back(torch.full_like(whole, -1.0), sample(whole, record(view), count), record(view), 0.0)
    torch.testing.assert_close(back[..., rows, columns], whole[..., rows, columns], atol=1e-5, rtol=0)
    back[..., rows, columns] = -1.0
    assert bool((back == -1.0).all())


@settings(max_examples=30, deadline=None)
@given(views(), st.integers(3, 20), st.floats(0.0, 1.0))
def test_that_constants_are_fixed_points(view, size, value):
    constant = torch.full((1, 2, GRID, GRID), value)
    shown = sample(constant, record(view), size)
    torch.testing.assert_close(shown, torch.full((1, 2, size, size), value))
    torch.testing.assert_close(fold_back(constant, shown, record(view), 0.8), constant)


@settings(max_examples=30, deadline=None)
@given(views(), st.integers(0, 100))
def test_that_cells_which_the_window_does_not_touch_stay_bit_for_bit(view, seed):
    before = heat(seed, 1, 2, GRID, GRID)
    after = fold_back(before, heat(seed + 1, 1, 2, 5, 5), record(view), 0.5)
    edges = np.arange(GRID) / GRID
    x0, y0, x1, y1 = view.window
    is_right_or_left = (edges >= x1) | (edges + 1 / GRID <= x0)
    is_above_or_below = (edges >= y1) | (edges + 1 / GRID <= y0)
    outside = torch.from_numpy(is_above_or_below[:, None] | is_right_or_left[None, :])
    assert torch.equal(after[..., outside], before[..., outside])


@settings(max_examples=20, deadline=None)
@given(views(), st.integers(1, 12), st.integers(0, 100))
def test_that_a_mirrored_view_shows_the_mirrored_maps(view, size, seed):
    whole = heat(seed, 1, 2, GRID, GRID)
    other = View(view.window, not view.is_flipped)
    mirrored = sample(whole, record(other), size).flip(3)
    torch.testing.assert_close(mirrored, sample(whole, record(view), size), atol=1e-5, rtol=0)
    shown = heat(seed + 1, 1, 2, size, size)
    torch.testing.assert_close(
        fold_back(whole, shown.flip(3), record(other), 0.3), fold_back(whole, shown, record(view), 0.3)
    )


@settings(max_examples=30, deadline=None)
@given(views())
def test_that_the_record_takes_the_corners_of_the_view_to_those_of_the_window(view):
    x0, y0, x1, y1 = view.window
    left, right = (x1, x0) if view.is_flipped else (x0, x1)
    corners = view.matrix() @ torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    torch.testing.assert_close(corners, torch.tensor([[left, right], [y0, y1], [1.0, 1.0]]), atol=1e-6, rtol=0)


def test_that_a_ramp_is_read_exactly_where_the_middles_of_cells_are_round_it():
    middles = (torch.arange(GRID) + 0.5) / GRID
    ramp = middles.expand(1, 1, GRID, GRID)  # each cell holds its own x
    view = View((0.25, 0.1, 0.75, 0.9))
    shown = sample(ramp, record(view), 4)
    # Middles of a quarter of half the image: 0.25 + (1, 3, 5, 7) / 16.
    torch.testing.assert_close(shown[0, 0, 0], torch.tensor([0.3125, 0.4375, 0.5625, 0.6875]))


def test_that_a_cell_half_seen_moves_half_as_far():
    view = View((0.0, 0.0, 0.125, 1.0))  # of four columns, half of the first
    after = fold_back(torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4), record(view), 0.8)
    assert after[0, 0, 0].tolist() == pytest.approx([0.1, 0.0, 0.0, 0.0], abs=1e-6)  # (1 - 0.8) / 2


def test_that_the_running_average_keeps_its_share_and_leaves_its_inputs_alone():
    running, shown = torch.full((1, 1, 4, 4), 0.5), torch.ones(1, 1, 4, 4, requires_grad=True)
    after = fold_back(running, shown, record(View()), 0.8)
    assert after[0, 0, 0, 0].item() == pytest.approx(0.8 * 0.5 + 0.2)
    assert not after.requires_grad
    assert running.unique().tolist() == [0.5]


def test_that_each_image_of_a_batch_has_its_own_view():
    whole = heat(3, 2, 1, GRID, GRID)
    both = [View((0.0, 0.0, 0.5, 0.5)), View((0.5, 0.5, 1.0, 1.0), is_flipped=True)]
    records = torch.stack([view.matrix() for view in both])
    shown = sample(whole, records, 7)
    torch.testing.assert_close(shown[:1], sample(whole[:1], records[:1], 7))
    torch.testing.assert_close(shown[1:], sample(whole[1:], records[1:], 7))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.02, 0.99), st.integers(1, 2000), st.integers(1, 2000))
def test_that_drawn_views_show_the_share_that_was_asked(seed, min_scale, width, height):
    x0, y0, x1, y1 = draw_view(np.random.default_rng(seed), (width, height), min_scale, flips=False).window
    area = (x1 - x0) * (y1 - y0)
    if max(width / height, height / width) > 4 / 3 / min_scale:  # no shape near a square shows so much
        assert min_scale - 1e-6 <= area <= 1.0
        assert (y1 - y0 if width > height else x1 - x0) == 1.0
        return
    ratio = (x1 - x0) * width / ((y1 - y0) * height)
    assert 0.75 - 1e-6 <= ratio <= 4 / 3 + 1e-6
    # Where chance has found no such window its middle is shown.
    is_middle = math.isclose((x0 + x1) / 2, 0.5) and math.isclose((y0 + y1) / 2, 0.5)
    assert min_scale - 1e-6 <= area <= 1.0 or is_middle


@pytest.mark.parametrize("size", [(5000, 10), (10, 5000)])
def test_that_every_part_of_a_very_long_image_is_shown_at_some_time(size):
    rng, running = np.random.default_rng(3), torch.zeros(1, 1, GRID, GRID)
    for _ in range(40):
        view = draw_view(rng, size, 0.25, flips=True)
        running = fold_back(running, torch.ones(1, 1, 4, 4), record(view), 0.8)
    assert running.min() > 0.5


def test_that_no_crop_is_the_whole_image_and_half_of_the_views_are_mirrored():
    rng = np.random.default_rng(0)
    drawn = [draw_view(rng, (640, 480), 1.0, flips=True) for _ in range(200)]
    assert {view.window for view in drawn} == {(0.0, 0.0, 1.0, 1.0)}
    assert 70 < sum(view.is_flipped for view in drawn) < 130


def test_that_the_same_chance_draws_the_same_view():
    first, second = (draw_view(np.random.default_rng(7), (640, 480), 0.25, flips=True) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("window", [(0.5, 0.0, 0.5, 1.0), (-0.1, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, math.nan)])
def test_that_a_window_which_is_no_part_of_the_image_is_refused(window):
    with pytest.raises(ValueError):
        View(window)


@pytest.mark.parametrize("min_scale", [0.0, -1.0, 1.5])
def test_that_an_impossible_share_is_refused(min_scale):
    with pytest.raises(ValueError):
        draw_view(np.random.default_rng(0), (4, 3), min_scale, flips=False)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000))
def test_that_the_matrix_of_a_letterbox_is_the_letterbox(width, height):
    corners = letterbox_matrix(width, height) @ torch.tensor([[0.2, 0.7], [0.3, 0.9], [1.0, 1.0]])
    box = Letterbox(width, height).to_square(np.array([[0.2, 0.3, 0.7, 0.9]], np.float32))[0]
    torch.testing.assert_close(corners[:2].T.reshape(-1), torch.from_numpy(box), atol=1e-6, rtol=0)


def test_that_the_pixels_of_a_view_are_those_of_its_window():
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[:30, :40] = (10, 20, 30)
    rgb[:30, 40:] = (200, 20, 30)
    upper = View((0.0, 0.0, 1.0, 0.5))
    pixels = view_pixels(rgb, upper, 8)
    assert pixels.shape == (8, 8, 3)
    assert pixels[:, 0, 0].tolist() == [10] * 8
    assert pixels[:, 7, 0].tolist() == [200] * 8
    mirrored = view_pixels(rgb, View(upper.window, is_flipped=True), 8)
    assert np.array_equal(mirrored, pixels[:, ::-1])
