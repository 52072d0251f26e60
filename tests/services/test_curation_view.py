"""What is seen of the pool: thresholds as a view, filters, orders."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locstudio.domain.edits import add_regions
from locstudio.domain.geometry import UnitBox, iou_matrix
from locstudio.domain.regions import Origin, Region, Review
from locstudio.services.curation import deciding
from locstudio.services.curation.measures import Measures
from locstudio.services.curation.overlaps import LEAST_OVERLAP, edges_with_moved, overlap_edges, suppressed
from locstudio.services.curation.pool import pool_after, read_pool
from locstudio.services.curation.view import Order, Wish, rows_of

A, A_SHIFTED, B = (0.1, 0.1, 0.4, 0.4), (0.12, 0.1, 0.42, 0.4), (0.6, 0.1, 0.9, 0.4)
ROWS = [(1, A, "a dog", 0.9), (1, A_SHIFTED, "a cat", 0.5), (1, B, "a bird", 0.1), (2, A, "a dog", 0.3)]
EVERYTHING = Wish(min_score=0, max_overlap=1, reviews=frozenset(), order=Order.IMAGE, is_descending=False)


def plain_suppression(image_ids, boxes, scores, is_open, is_fixed, max_overlap):
    """Greedy non-maximum suppression as it is told: best first, one after the other."""
    gone = np.zeros(len(scores), bool)
    for image_id in np.unique(image_ids):
        rows = np.flatnonzero((image_ids == image_id) & (is_open | is_fixed))
        ious = iou_matrix(boxes[rows], boxes[rows])
        kept = [at for at, row in enumerate(rows) if is_fixed[row]]
        for at in np.argsort(-scores[rows], kind="stable"):
            if is_open[rows[at]]:
                if any(ious[at, other] > max_overlap for other in kept):
                    gone[rows[at]] = True
                else:
                    kept.append(int(at))
    return gone


def collection(data):
    """Boxes that lie close, with scores that are often equal."""
    num = data.draw(st.integers(0, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    low = rng.integers(0, 6, (num, 2)) / 10
    boxes = np.concatenate([low, low + rng.integers(1, 5, (num, 2)) / 10], axis=1).astype(np.float32)
    states = rng.integers(0, 4, num)
    scores = (rng.integers(0, 5, num) / 5).astype(np.float32)
    return rng.integers(1, 4, num), boxes, scores, states <= 1, states == 2


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data(), max_overlap=st.floats(LEAST_OVERLAP, 1))
def test_that_suppression_in_rounds_equals_plain_greedy_suppression_at_every_threshold(data, max_overlap):
    image_ids, boxes, scores, is_open, is_fixed = collection(data)
    edges = overlap_edges(image_ids, boxes, scores)
    expected = plain_suppression(image_ids, boxes, scores, is_open, is_fixed, max_overlap)
    assert suppressed(edges, max_overlap, is_open, is_fixed).tolist() == expected.tolist()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_that_edges_after_boxes_have_moved_are_those_of_the_new_boxes(data):
    image_ids, boxes, scores, _, _ = collection(data)
    if not len(boxes):
        return
    rows = np.unique(data.draw(st.lists(st.integers(0, len(boxes) - 1), min_size=1, max_size=4)))
    before = overlap_edges(image_ids, boxes, scores)
    moved = boxes.copy()
    moved[rows] = np.array([0.2, 0.2, 0.5, 0.6], np.float32)
    after = edges_with_moved(before, rows, image_ids, moved, scores)
    anew = overlap_edges(image_ids, moved, scores)
    assert (np.diff(after.ious) >= 0).all()
    for edges in (after, anew):
        assert len(set(zip(edges.better.tolist(), edges.worse.tolist(), strict=True))) == len(edges.ious)
    pairs = [sorted(zip(e.better.tolist(), e.worse.tolist(), e.ious.tolist(), strict=True)) for e in (after, anew)]
    assert pairs[0] == pairs[1]


@pytest.fixture
def pool(project, dataset, make):
    make.add_pictures(dataset)
    make.vesl_run(project, ROWS)
    return read_pool(project, dataset)


def test_that_thresholds_hide_and_destroy_nothing(pool):
    wish = replace(EVERYTHING, order=Order.SCORE, is_descending=True)
    assert rows_of(pool, wish).tolist() == [0, 1, 3, 2]
    assert rows_of(pool, replace(wish, min_score=0.2)).tolist() == [0, 1, 3]
    assert rows_of(pool, replace(wish, max_overlap=0.6)).tolist() == [0, 3, 2]
    assert rows_of(pool, replace(wish, min_score=0.95)).tolist() == []
    assert rows_of(pool, wish).tolist() == [0, 1, 3, 2]


def test_that_a_score_at_the_threshold_is_shown_although_it_was_rounded(pool):
    assert 0 in rows_of(pool, replace(EVERYTHING, min_score=0.9)).tolist()


def test_that_accepting_a_box_does_not_bring_what_it_hides_and_rejecting_it_does(pool, dataset):
    wish = Wish(order=Order.SCORE)
    assert rows_of(pool, wish).tolist() == [0, 3]
    accepted = pool_after(pool, deciding.accept(dataset, pool, [0]))
    assert rows_of(accepted, wish).tolist() == [3]
    rejected = pool_after(pool, deciding.reject(dataset, pool, [0]))
    assert rows_of(rejected, wish).tolist() == [1, 3]


def test_that_thresholds_do_not_speak_of_what_a_person_decided_or_drew(project, pool, dataset):
    drawn = Region(dataset.next_region_id(), 1, UnitBox(*A_SHIFTED), "a puppy", origin=Origin.HUMAN)
    dataset.apply(add_regions([drawn]))
    pool = read_pool(project, dataset)
    edit = deciding.accept(dataset, pool, [2])
    dataset.apply(edit)
    pool = pool_after(pool, edit)
    shown = rows_of(pool, replace(EVERYTHING, min_score=0.95, max_overlap=0.2)).tolist()
    assert [pool.phrases[pool.phrase_rows[row]] for row in shown] == ["a bird", "a puppy"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"phrases": frozenset({"a dog"})}, [0, 3]),
        ({"image_ids": frozenset({2})}, [3]),
        ({"words": "DOG a"}, [0, 3]),
        ({"words": "dog cat"}, []),
        ({"origins": frozenset({Origin.HUMAN})}, []),
        ({"origins": frozenset({Origin.MODEL})}, [0, 1, 2, 3]),
        ({"reviews": frozenset({Review.ACCEPTED})}, []),
        ({"class_ids": frozenset({0})}, [0, 1, 2, 3]),
        ({"class_ids": frozenset({7})}, []),
        ({"runs": frozenset({"another"})}, []),
    ],
)
def test_that_filters_are_met_together(pool, wanted, expected):
    assert sorted(rows_of(pool, replace(EVERYTHING, **wanted)).tolist()) == expected


def test_that_every_order_has_each_row_once_both_ways_and_unmeasured_rows_last(pool):
    nothing = np.full(3, np.nan, np.float32)
    measures = Measures(outlier=np.array([1, np.nan, 3], np.float32), disagreement=nothing, value=nothing)
    for order in Order:
        for is_descending in (False, True):
            wish = replace(EVERYTHING, order=order, is_descending=is_descending)
            for given_measures in (None, measures):
                assert sorted(rows_of(pool, wish, given_measures).tolist()) == [0, 1, 2, 3]
    # The fourth row came after the measuring.
    assert rows_of(pool, replace(EVERYTHING, order=Order.OUTLIER, is_descending=True), measures).tolist() == [
        2,
        0,
        1,
        3,
    ]
    assert rows_of(pool, replace(EVERYTHING, order=Order.OUTLIER), measures).tolist() == [0, 2, 1, 3]
