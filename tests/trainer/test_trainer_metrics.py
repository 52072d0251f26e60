"""Metrics by small cases worked out by hand."""

import numpy as np
import pytest

from trainer.metrics import (
    average_precision,
    best_ranks,
    grounding_metrics,
    matches,
    naming_metrics,
    naming_ranks,
    proposal_metrics,
    recall_metrics,
)


def ints(*values):
    return np.array(values, np.int64)


def test_that_macc_averages_over_the_classes_that_occur():
    # Three regions of class 0, two of them named right; one of class 2, named wrong.  Class 1 does not occur.
    scores = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.2], [0.1, 0.9, 0.0], [0.5, 0.4, 0.1]], np.float32)
    true = ints(0, 0, 0, 2)
    rank, found = naming_ranks(scores, true)
    assert rank.tolist() == [0, 0, 1, 2]
    assert found.tolist() == [0, 0, 1, 0]
    metrics = naming_metrics(rank, true)
    assert metrics["top1"] == pytest.approx(2 / 4)
    assert metrics["macc"] == pytest.approx((2 / 3 + 0 / 1) / 2)
    assert metrics["top5"] == 1.0  # with three classes every answer is among the first five


def test_that_top5_needs_at_most_four_wrong_classes_before_the_right_one():
    scores = np.arange(7, dtype=np.float32)[None]  # class 6 stands first
    assert naming_metrics(naming_ranks(scores, ints(2))[0], ints(2))["top5"] == 1.0
    assert naming_metrics(naming_ranks(scores, ints(1))[0], ints(1))["top5"] == 0.0


def test_that_a_model_which_tells_nothing_apart_names_nothing():
    true = ints(0, 1, 2, 3)
    rank, found = naming_ranks(np.zeros((4, 10), np.float32), true)
    assert naming_metrics(rank, true) == {"top1": 0.0, "top5": 0.0, "macc": 0.0}
    assert (found != true).all()  # a tie is a mistake, and is shown as one


def test_that_naming_does_not_depend_on_the_order_of_classes():
    random = np.random.default_rng(0)
    scores, true, order = (
        random.normal(size=(30, 6)).astype(np.float32),
        random.integers(6, size=30),
        np.arange(6)[::-1],
    )
    rank, found = naming_ranks(scores, true)
    other_rank, other_found = naming_ranks(scores[:, order], order[true])
    assert rank.tolist() == other_rank.tolist()
    assert found.tolist() == order[other_found].tolist()
    assert naming_metrics(rank, true) == pytest.approx(naming_metrics(other_rank, order[true]))


def test_that_a_single_class_is_always_named_right():
    rank, found = naming_ranks(np.full((3, 1), 0.2, np.float32), ints(0, 0, 0))
    assert (rank.tolist(), found.tolist()) == ([0, 0, 0], [0, 0, 0])


def test_that_regions_and_labels_must_be_as_many():
    with pytest.raises(ValueError, match="3 rows of scores for 2 regions"):
        naming_ranks(np.zeros((3, 2), np.float32), ints(0, 1))


# Regions 0 and 1 are described by text 0, region 2 by text 1.
TEXT = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
REGION = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], np.float32)
PAIRS = np.array([[0, 0], [1, 0], [2, 1]], np.int64)


def test_that_retrieval_finds_any_region_of_a_phrase_and_the_one_phrase_of_a_region():
    assert best_ranks(REGION, TEXT, PAIRS, max_scores=1).tolist() == [0, 1, 0]  # region 1 lies nearer to text 1
    assert best_ranks(TEXT, REGION, PAIRS[:, ::-1], max_scores=1).tolist() == [0, 0]
    assert recall_metrics("r2t", ints(0, 1, 0)) == pytest.approx({"r2t_r1": 2 / 3, "r2t_r5": 1.0, "r2t_r10": 1.0})


def test_that_a_wrong_item_with_the_same_score_stands_before_the_right_one():
    same = np.ones((3, 1), np.float32)
    assert best_ranks(same, same, np.array([[0, 0], [1, 1], [1, 2], [2, 2]])).tolist() == [2, 1, 2]


def test_that_a_query_without_a_right_item_has_all_items_before_it():
    assert best_ranks(TEXT, REGION, np.array([[0, 0]])).tolist() == [0, 3]


def test_that_ranks_are_the_same_in_chunks_of_any_size_and_pairs_in_any_order():
    random = np.random.default_rng(0)
    region, text = random.normal(size=(37, 8)).astype(np.float32), random.normal(size=(11, 8)).astype(np.float32)
    pairs = np.stack([np.arange(37), random.integers(11, size=37)], axis=1)
    told = []
    assert len(best_ranks(text, region, pairs[:, ::-1], max_scores=5 * 37, alive=lambda: told.append(1))) == 11
    assert len(told) == 3
    whole = best_ranks(text, region, pairs[:, ::-1]).tolist()
    assert best_ranks(text, region, pairs[:, ::-1], max_scores=5 * 37).tolist() == whole
    assert best_ranks(text, region, pairs[::-1, ::-1], max_scores=4 * 37 + 1).tolist() == whole


def test_that_recall_counts_ranks_below_k():
    assert recall_metrics("t2i", ints(0, 4, 5, 10)) == {"t2i_r1": 0.25, "t2i_r5": 0.5, "t2i_r10": 0.75}


def test_that_a_hit_is_an_overlap_of_one_half_or_more():
    metrics = grounding_metrics(np.array([0.0, 0.49, 0.5, 1.0], np.float32))
    assert metrics["hit50"] == 0.5
    assert metrics["mean_iou"] == pytest.approx(1.99 / 4)


def test_that_nothing_to_measure_gives_no_number():
    nothing = np.zeros(0, np.int64)
    rank, found = naming_ranks(np.zeros((0, 3), np.float32), nothing)
    assert (rank.size, found.size) == (0, 0)
    assert naming_metrics(rank, nothing) == {}
    assert best_ranks(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), np.zeros((0, 2), np.int64)).size == 0
    assert recall_metrics("r2t", nothing) == {}
    assert grounding_metrics(np.zeros(0, np.float32)) == {}


def test_the_recall_of_proposals_by_hand():
    # The first box is covered by the third proposal, the second by the thirtieth, the third by none of 100.
    metrics = proposal_metrics(ints(2, 29, 100), np.array([0.75, 0.5, 0.4], np.float32))
    assert metrics["recall_24"] == pytest.approx(1 / 3)
    assert metrics["recall_100"] == pytest.approx(2 / 3)
    # An overlap of 0.75 reaches six of 0.5, 0.55 .. 0.95; one of 0.5 reaches one; one of 0.4 none.
    assert metrics["ar100"] == pytest.approx((6 + 1 + 0) / 30)
    assert proposal_metrics(ints(), np.zeros(0, np.float32)) == {}


def test_that_a_thing_is_found_once():
    # Both detections lie on the first box, the second of them on the other one too, though less.
    overlaps = np.array([[0.9, 0.0], [0.8, 0.6], [0.7, 0.0]], np.float32)
    assert matches(overlaps).tolist() == [True, True, False]
    assert matches(overlaps, 0.65).tolist() == [True, False, False]
    assert matches(np.zeros((2, 0), np.float32)).tolist() == [False, False]


def test_the_average_precision_by_hand():
    # Right, wrong, right of three true boxes: precision 1 at the first third, 2/3 at the second, the last is not found.
    assert average_precision(np.array([True, False, True]), 3) == pytest.approx((1 + 2 / 3) / 3)
    # Wrong, right, right: precision rises to 2/3 and counts as much before.
    assert average_precision(np.array([False, True, True]), 2) == pytest.approx(2 / 3)
    assert average_precision(np.array([True]), 1) == 1.0
    assert average_precision(np.zeros(0, np.bool_), 2) == 0.0
