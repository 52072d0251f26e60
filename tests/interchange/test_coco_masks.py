"""Polygons and run lengths, by hand and against a painted mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.interchange.masks import BadMask, area_of_mask, box_of_mask, mask_text, scaled_polygons, size_of_mask


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths in columns, beginning with zeros, counted the slow way."""
    runs, current = [0], False
    for value in mask.T.ravel().tolist():
        if bool(value) != current:
            runs.append(0)
            current = bool(value)
        runs[-1] += 1
    return runs


def compressed(runs: list[int]) -> str:
    """COCO's string form, after the reference's rleToString."""
    text = ""
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        is_more = True
        while is_more:
            bits = value & 0x1F
            value >>= 5
            is_more = value != -1 if bits & 0x10 else value != 0
            text += chr((bits | 0x20 if is_more else bits) + 48)
    return text


def test_that_a_polygon_is_boxed_by_its_corners_and_measured_by_the_shoelace():
    square = [[2, 3, 6, 3, 6, 9, 2, 9]]
    assert box_of_mask(square) == (2, 3, 6, 9)
    assert area_of_mask(square) == 24
    assert size_of_mask(square) is None
    assert scaled_polygons(square, 0.5, 2) == [[1, 6, 3, 6, 3, 18, 1, 18]]


def test_that_run_lengths_go_down_the_columns():
    # 3 high, 4 wide: one zero, then five ones = rows 1-2 of column 0 and all of column 1.
    mask = {"size": [3, 4], "counts": [1, 5, 6]}
    assert box_of_mask(mask) == (0, 0, 2, 3)
    assert area_of_mask(mask) == 5
    assert size_of_mask(mask) == (4, 3)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0.02, 0.98))
def test_that_both_forms_of_run_lengths_give_the_box_and_area_of_the_painted_mask(height, width, seed, density):
    mask = np.random.default_rng(seed).random((height, width)) < density
    runs = runs_of(mask)
    for counts in (runs, compressed(runs)):
        segmentation = {"size": [height, width], "counts": counts}
        assert mask_text(segmentation) is not None
        assert area_of_mask(segmentation) == mask.sum()
        if mask.any():
            ys, xs = np.nonzero(mask)
            assert box_of_mask(segmentation) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        else:
            with pytest.raises(BadMask):
                box_of_mask(segmentation)


def test_that_a_mask_is_kept_as_it_came():
    assert mask_text([[1.5, 2, 3, 4, 5, 6.25]]) == "[[1.5,2,3,4,5,6.25]]"
    assert mask_text({"size": [1, 2], "counts": "11"}) == '{"size":[1,2],"counts":"11"}'
    assert [mask_text(nothing) for nothing in (None, [], {})] == [None, None, None]


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [[1, 2, 3, 4, 5, "6"]],
        [1, 2, 3, 4, 5, 6],
        "polygon",
        {"counts": [1, 2]},
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": "\x01\x02"},
        {"size": [2, 2], "counts": "oooooooooooooooooooo"},
        {"size": [0, 2], "counts": []},
        {"size": [2.0, 2], "counts": [4]},
        {"size": [True, 4], "counts": [4]},
    ],
)
def test_that_what_is_no_mask_is_refused(segmentation):
    with pytest.raises(BadMask):
        mask_text(segmentation)
