"""Run lengths read the other way."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from locstudio.interchange import run_lengths
from locstudio.interchange.masks import BadMask
from locstudio.interchange.run_lengths import runs_of, strokes_of, turned


def painted(runs, num_lines, length):
    values = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return values.reshape(num_lines, length)


def plain_runs(mask):
    """By hand: count equal cells one after the other, starting with zeros."""
    runs, value = [0], 0
    for cell in mask.reshape(-1).tolist():
        if cell == value:
            runs[-1] += 1
        else:
            runs.append(1)
            value = cell
    return runs


def test_that_a_line_becomes_the_cells_of_as_many_columns():
    # 2 lines of 3: the second line is covered.  Down the columns: 0 1 0 1 0 1.
    assert runs_of(turned(strokes_of([3, 3], 3)), 3, 2) == [1, 1, 1, 1, 1, 1]


def test_that_a_full_mask_is_one_run_both_ways():
    assert runs_of(turned(strokes_of([0, 12], 4)), 4, 3) == [0, 12]


def test_that_an_empty_run_between_two_others_is_no_edge():
    assert runs_of(strokes_of([1, 2, 0, 3, 2], 4), 2, 4) == [1, 5, 2]


@settings(max_examples=150, deadline=None)
@given(
    mask=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1)),
    stripe=st.sampled_from([1, 7, 1 << 21]),
)
def test_that_turning_reads_the_same_picture_down_its_columns_however_narrow_the_stripes(mask, stripe):
    if not mask.any():
        with pytest.raises(BadMask, match="covers nothing"):
            strokes_of(plain_runs(mask), mask.shape[1])
        return
    before, run_lengths._STRIPE_CELLS = run_lengths._STRIPE_CELLS, stripe
    try:
        strokes = strokes_of(plain_runs(mask), mask.shape[1])
        across = turned(strokes)
        assert runs_of(strokes, *mask.shape) == [*plain_runs(mask)]
        assert runs_of(across, *mask.T.shape) == plain_runs(np.ascontiguousarray(mask.T))
        assert runs_of(turned(across), *mask.shape) == plain_runs(mask)
    finally:
        run_lengths._STRIPE_CELLS = before


def test_that_a_mask_that_claims_a_huge_picture_is_refused_in_little_memory():
    tracemalloc.start()
    try:
        with pytest.raises(BadMask, match="too large"):
            turned(strokes_of([0, 1 << 40], 1 << 22))
        with pytest.raises(BadMask, match="too large"):
            strokes_of([0, 1 << 60], 1)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_that_a_large_mask_is_turned_in_bounded_memory():
    tracemalloc.start()
    try:
        across = turned(strokes_of([0, 8_000 * 8_000], 8_000))
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()
    assert runs_of(across, 8_000, 8_000) == [0, 8_000 * 8_000]
