"""The arithmetic of search."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locstudio.index.nearest import best, single


def test_that_every_finite_half_becomes_the_same_single():
    """All 65,536 patterns, but infinities and NaN."""
    halves = np.arange(65_536, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    assert np.array_equal(single(halves), halves.astype(np.float32))
    assert np.array_equal(np.signbit(single(halves)), np.signbit(halves))


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 35))
def test_that_the_best_are_the_first_of_a_stable_sort(scores, top):
    values = np.array(scores, np.float32)
    assert best(values, top).tolist() == np.argsort(-values, kind="stable")[:top].tolist()


@pytest.mark.parametrize("top", [0, -1])
def test_that_none_of_many_is_none(top):
    assert best(np.ones(3, np.float32), top).tolist() == []
