"""Superclasses out of what a model confuses."""

import numpy as np
import pytest

from trainer.clusters import names_of_groups, superclasses_of, ties_of


def planted(sizes, *, seed=0, within=1.0, between=0.05):
    """Counts of classes that are confused inside groups of these sizes, in a mixed order, and the groups."""
    rng = np.random.default_rng(seed)
    group_L = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    tie_LL = np.where(group_L[:, None] == group_L, within, between) * rng.random((len(group_L), len(group_L)))
    return tie_LL + 5 * np.eye(len(group_L)), group_L


def sets_of(group_L):
    return {frozenset(np.flatnonzero(np.asarray(group_L) == group).tolist()) for group in set(np.asarray(group_L))}


@pytest.mark.parametrize("sizes", [(4, 4, 4), (12, 9, 14, 10, 6), (20,) * 10])
def test_that_planted_groups_are_found_whatever_the_order_of_their_classes(sizes):
    counts_LL, group_L = planted(sizes)
    found_L = superclasses_of(counts_LL, len(sizes), max(sizes), min_size=2)
    assert sets_of(found_L) == sets_of(group_L)
    assert found_L.tolist() == superclasses_of(counts_LL, len(sizes), max(sizes), min_size=2).tolist()
    firsts = [found_L.tolist().index(group) for group in range(len(sizes))]
    assert firsts == sorted(firsts)


def test_that_no_group_is_larger_or_smaller_than_it_may_be():
    counts_LL, _ = planted((26, 2, 2))
    sizes = np.bincount(superclasses_of(counts_LL, 3, 12, min_size=5))
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True) or len(sizes) == 3
    assert (sizes.min() >= 5, sizes.max() <= 12, sizes.sum()) == (True, True, 30)
    # Ten classes do not fit into two groups of four, so there the bound gives way.
    assert np.bincount(superclasses_of(counts_LL[:10, :10], 2, 4)).tolist() == [5, 5]


def test_that_groups_of_a_person_stay_and_the_rest_goes_where_it_is_confused_most():
    counts_LL = np.eye(6)
    counts_LL[0, 5], counts_LL[1, 4], counts_LL[1, 5] = 1.0, 2.0, 0.5
    # Class 0 is taken for 5 alone, class 1 more for 4; of 2 and 3 nothing is known, so they go where there are fewest.
    assert superclasses_of(counts_LL, 2, 3, {4: 0, 5: 1}).tolist() == [1, 0, 0, 1, 0, 1]
    found_L = superclasses_of(planted((4, 4, 4))[0], 4, 3, {0: 1, 1: 1, 2: 1, 3: 0})
    assert (found_L[:4].tolist(), len(set(found_L.tolist()))) == ([1, 1, 1, 0], 4)


@pytest.mark.parametrize(
    ("counts_LL", "num_groups", "expected"),
    [
        (np.eye(3), 7, [0, 1, 2]),  # more experts than classes
        (np.ones((1, 1)), 4, [0]),  # one class
        (np.zeros((5, 5)), 2, [0, 1, 0, 1, 0]),  # nothing known
        (np.ones((4, 4)), 1, [0, 0, 0, 0]),
    ],
)
def test_that_there_are_groups_where_there_is_little_to_go_by(counts_LL, num_groups, expected):
    assert superclasses_of(counts_LL, num_groups, 3).tolist() == expected


def test_that_a_class_without_images_goes_by_what_is_taken_for_it():
    counts_LL, group_L = planted((5, 5))
    counts_LL[3] = 0.0
    assert sets_of(superclasses_of(counts_LL, 2, 5)) == sets_of(group_L)


def test_that_ties_are_shares_of_the_images_of_both_classes():
    # Of 4 images of class 0 one was taken for 1; of 2 of class 1 one for 0: (1/4 + 1/2) / 2.
    tie_LL = ties_of(np.array([[3.0, 1.0], [1.0, 1.0]]))
    assert tie_LL.tolist() == [[0.0, 0.375], [0.375, 0.0]]


def test_that_a_group_is_called_by_the_classes_that_are_confused_most_in_it():
    counts_LL = np.eye(5)
    counts_LL[0, 3] = counts_LL[2, 3] = 1.0
    counts_LL[0, 2] = 0.5
    names = names_of_groups(counts_LL, [0, 1, 0, 0, 1], ["ant", "bus", "cat", "dog", "egg"])
    assert names == ["dog, cat and 1 more", "bus, egg"]
    assert names_of_groups(counts_LL, [0, 0, 0, 0, 1], ["ant", "bus", "cat", "dog", "egg"])[1] == "egg"


@pytest.mark.parametrize(
    ("counts_LL", "num_groups", "fixed"),
    [
        (np.zeros((0, 0)), 2, None),
        (np.zeros((2, 3)), 2, None),
        (np.full((2, 2), np.nan), 2, None),
        (-np.eye(2), 2, None),
        (np.eye(2), 0, None),
        (np.eye(2), 2, {5: 0}),
    ],
)
def test_that_what_is_no_confusion_is_refused(counts_LL, num_groups, fixed):
    with pytest.raises(ValueError, match=r"."):
        superclasses_of(counts_LL, num_groups, 2, fixed)
