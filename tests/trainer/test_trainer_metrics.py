"""Metrics by small cases worked out by hand."""

import numpy as np
import pytest

from trainer.metrics import grounding_metrics, naming_metrics, retrieval_metrics


def test_that_macc_averages_over_the_classes_that_occur():
    # Three regions of class 0, two of them named right; one of class 2, named wrong.  Class 1 does not occur.
    similarity = np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.2], [0.1, 0.9, 0.0], [0.5, 0.4, 0.1]], np.float32)
    metrics = naming_metrics(similarity, np.array([0, 0, 0, 2]))
    assert metrics["top1"] == pytest.approx(2 / 4)
    assert metrics["macc"] == pytest.approx((2 / 3 + 0 / 1) / 2)
    assert metrics["top5"] == 1.0  # with three classes every answer is among the first five


def test_that_top5_needs_at_most_four_wrong_classes_before_the_right_one():
    similarity = np.arange(7, dtype=np.float32)[None]  # class 6 stands first
    assert naming_metrics(similarity, np.array([2]))["top5"] == 1.0
    assert naming_metrics(similarity, np.array([1]))["top5"] == 0.0


def test_that_a_model_which_tells_nothing_apart_names_nothing():
    metrics = naming_metrics(np.zeros((4, 10), np.float32), np.array([0, 1, 2, 3]))
    assert metrics == {"top1": 0.0, "top5": 0.0, "macc": 0.0}


def test_that_regions_and_labels_must_be_as_many():
    with pytest.raises(ValueError, match="3 rows of similarity for 2 regions"):
        naming_metrics(np.zeros((3, 2), np.float32), np.array([0, 1]))


def test_that_retrieval_finds_any_region_of_a_phrase_and_the_one_phrase_of_a_region():
    # Regions 0 and 1 are described by text 0, region 2 by text 1.
    text = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    region = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], np.float32)
    metrics = retrieval_metrics(region, text, np.array([0, 0, 1]), chunk=1)
    assert metrics["r2t_r1"] == pytest.approx(2 / 3)  # region 1 lies nearer to text 1
    assert metrics["t2r_r1"] == 1.0  # text 0 -> region 0, text 1 -> region 2
    assert metrics["r2t_r5"] == metrics["t2r_r10"] == 1.0


def test_that_retrieval_is_the_same_in_chunks_of_any_size():
    random = np.random.default_rng(0)
    region = random.normal(size=(37, 8)).astype(np.float32)
    text = random.normal(size=(11, 8)).astype(np.float32)
    owner = random.integers(11, size=37)
    assert retrieval_metrics(region, text, owner, chunk=5) == retrieval_metrics(region, text, owner, chunk=1000)


def test_that_a_hit_is_an_overlap_of_one_half_or_more():
    metrics = grounding_metrics(np.array([0.0, 0.49, 0.5, 1.0], np.float32))
    assert metrics["hit50"] == 0.5
    assert metrics["mean_iou"] == pytest.approx(1.99 / 4)


def test_that_nothing_to_measure_gives_no_number():
    nothing = np.zeros(0, np.int64)
    assert naming_metrics(np.zeros((0, 3), np.float32), nothing) == {}
    assert retrieval_metrics(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), nothing) == {}
    assert grounding_metrics(np.zeros(0, np.float32)) == {}
