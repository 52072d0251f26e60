"""What is painted on a heatmap, cell by cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locstudio.domain.heat_corrections import (
    Evidence,
    HeatCorrection,
    Stroke,
    corrected,
    coverage,
    painted,
    strokes_from_text,
    strokes_to_text,
)

SQUARE = (600, 600)


def correction(kind: Evidence, *points: tuple[float, float], radius: float = 0.2, id: int = 1) -> HeatCorrection:
    return HeatCorrection(id, 1, 1, kind, (Stroke(points, radius),))


def test_that_a_dot_covers_the_share_of_the_picture_that_its_circle_has():
    # A circle of radius .25 covers pi / 16 = .196 of a square.
    assert coverage([Stroke(((0.5, 0.5),), 0.25)], 28, SQUARE).mean() == pytest.approx(np.pi / 16, abs=0.005)


def test_that_the_brush_is_round_in_the_picture_and_not_in_the_grid():
    # In an image twice as wide as high the radius of .25 is a quarter of the width and half of the height.
    covered_GG = coverage([Stroke(((0.5, 0.5),), 0.25)], 16, (800, 400))
    assert covered_GG[:, 7].sum() == pytest.approx(16, abs=0.5)
    assert covered_GG[7].sum() == pytest.approx(8, abs=0.5)


def test_that_a_stroke_covers_the_way_between_its_points():
    covered_GG = coverage([Stroke(((0.0, 0.5), (1.0, 0.5)), 0.125)], 8, SQUARE)
    assert (covered_GG[3:5] == 1).all()
    assert (covered_GG[[0, 1, 6, 7]] == 0).all()


def test_that_a_brush_smaller_than_a_cell_still_marks_the_cell_it_passes():
    covered_GG = coverage([Stroke(((0.5, 0.5),), 0.0001)], 7, SQUARE)
    assert covered_GG[3, 3] > 0
    assert covered_GG.sum() == covered_GG[3, 3]


def test_that_a_stroke_beside_the_picture_covers_nothing():
    assert not coverage([Stroke(((3.0, -2.0),), 0.1)], 14, SQUARE).any()


def test_that_the_later_of_two_corrections_wins_where_they_overlap():
    in_first = correction(Evidence.ADD, (0.5, 0.5), id=1)
    out_later = correction(Evidence.REMOVE, (0.5, 0.5), id=2)
    value_GG, weight_GG = painted([out_later, in_first], 14, SQUARE)
    middle = weight_GG == 1
    assert middle.any()
    assert (value_GG[middle] == 0).all()


def test_that_heat_is_one_where_evidence_was_painted_in_and_stays_elsewhere():
    heat_GG = np.full((14, 14), 90, np.uint8)
    shown_GG = corrected(heat_GG, [correction(Evidence.ADD, (0.25, 0.25))], SQUARE)
    assert shown_GG[3, 3] == 255
    assert shown_GG[12, 12] == 90


def test_that_heat_without_corrections_is_given_back_as_it_is():
    heat_GG = np.zeros((4, 4), np.uint8)
    assert corrected(heat_GG, [], SQUARE) is heat_GG


unit = st.floats(-0.5, 1.5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=6), st.floats(1e-3, 1))
def test_that_strokes_are_read_as_they_were_written(points, radius):
    (read,) = strokes_from_text(strokes_to_text([Stroke(tuple(points), radius)]))
    assert np.allclose(read.points, points, atol=1e-5)
    assert read.radius == pytest.approx(radius, abs=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "[1]",
        "{}x",
        '[{"radius": 1}]',
        '[{"radius": 0.1, "points": []}]',
        '[{"radius": 0, "points": [[0, 0]]}]',
        '[{"radius": 0.1, "points": [[0, NaN]]}]',
        '[{"radius": 0.1, "points": [[0, 1, 2]]}]',
        '[{"radius": "wide", "points": [[0, 1]]}]',
        "[" * 5000 + "]" * 5000,
    ],
)
def test_that_a_strangers_strokes_are_refused_and_never_crash(text):
    with pytest.raises(ValueError):
        strokes_from_text(text)
