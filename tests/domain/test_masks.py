"""Masks as pixels, run lengths, outlines and boxes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from locstudio.domain.geometry import UnitBox
from locstudio.domain.masks import counts_of, mask_as_runs, mask_of_runs, outlines_of, outlines_of_text, tight_box

masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def inside_of(outlines, shape):
    """Which pixel centres lie inside: left of them an odd number of upright edges is crossed."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    crossings = np.zeros(shape, int)
    for outline in outlines:
        for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
            if x0 == x1:
                crossings += (rows > min(y0, y1)) & (rows < max(y0, y1)) & (columns > x0)
    return crossings % 2 == 1


def test_that_run_lengths_are_those_of_coco():
    # Two rows, three columns.  Down the columns 0 1, 1 1, 0 0: runs of 1, 3 and 2, a character each, from "0" on.
    mask = np.array([[0, 1, 0], [1, 1, 0]], bool)
    assert json.loads(mask_as_runs(mask)) == {"size": [2, 3], "counts": "132"}


@given(masks)
def test_that_a_mask_comes_back_from_its_run_lengths(mask):
    runs = json.loads(mask_as_runs(mask))
    assert runs["size"] == list(mask.shape)
    assert np.array_equal(mask_of_runs(counts_of(runs["counts"]), mask.shape[1], mask.shape[0]), mask)


@given(masks)
def test_that_outlines_hold_exactly_the_pixels_of_the_mask(mask):
    assert np.array_equal(inside_of(outlines_of(mask), mask.shape), mask)


def test_that_run_lengths_of_long_runs_come_back():
    mask = np.zeros((3000, 700), bool)
    mask[10:2900, 300:500] = True
    counts = counts_of(json.loads(mask_as_runs(mask))["counts"])
    assert max(counts) > 2**19
    assert np.array_equal(mask_of_runs(counts, 700, 3000), mask)


@pytest.mark.parametrize("text", ["1", "~", "P"])
def test_that_a_damaged_string_is_refused(text):
    with pytest.raises(ValueError, match="run lengths"):
        mask_of_runs(counts_of(text), 4, 4)


def test_that_the_tight_box_touches_the_mask_on_all_sides():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 4:10] = True
    assert tight_box(mask) == UnitBox(0.2, 0.2, 0.5, 0.5)
    assert tight_box(np.zeros((3, 3), bool)) is None


def test_that_polygons_are_their_own_outlines():
    (outline,) = outlines_of_text("[[0, 0, 4, 0, 4, 3]]")
    assert outline.tolist() == [[0, 0], [4, 0], [4, 3]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '{"size":[2,2],"counts":[9]}',
        '{"size":[2],"counts":"12"}',
        "[[1]]",
        "7",
        '{"size":[999999999,999999999],"counts":[999999998000000001]}',
    ],
)
def test_that_a_damaged_mask_has_no_outline(text):
    assert outlines_of_text(text) == []


def test_that_a_mask_larger_than_a_screen_is_outlined_in_place():
    mask = np.zeros((4000, 3000), bool)
    mask[500:3500, 600:2400] = True
    (outline,) = outlines_of(mask)
    assert outline.min(axis=0) == pytest.approx([600, 500], abs=4)
    assert outline.max(axis=0) == pytest.approx([2400, 3500], abs=4)
