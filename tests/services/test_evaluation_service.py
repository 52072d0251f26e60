"""Looking into an evaluation: matrices, curves and recall of six regions, worked out by hand."""

import numpy as np
import pytest

from locstudio.jobs.predictions import (
    GroundingPredictions,
    ImageTextPredictions,
    PredictionFolder,
    Predictions,
    RegionPredictions,
    RetrievalPredictions,
    Summary,
)
from locstudio.services.evaluation import OTHERS, Evaluation, RegionList

CAT, DOG, COW, BIRD = range(4)


def ints(*values):
    return np.array(values, np.int64)


def floats(*values):
    return np.array(values, np.float32)


def boxes(count):
    return np.tile(floats(0.1, 0.2, 0.5, 0.6), (count, 1))


def regions(true, found, scores, held_out=None, ranks=None):
    count = len(true)
    return RegionPredictions(
        region_ids=np.arange(1, count + 1),
        image_ids=np.arange(101, count + 101),
        boxes=boxes(count),
        true_rows=ints(*true),
        found_rows=ints(*found),
        ranks=ints(*(ranks or [int(one != other) for one, other in zip(true, found, strict=True)])),
        is_held_out=np.array(held_out or [False] * count, np.bool_),
        scores=np.array(scores, np.float16).reshape(count, 4),
    )


def evaluation(**tables):
    summary = Summary(checkpoint_id="cloc-1", name="lite", metrics={"top1": 0.5}, held_out_metrics={"top1": 0.25})
    classes = ((11, "cat"), (12, "dog"), (13, "cow"), (14, "bird"))
    return Evaluation(Predictions(summary=summary, classes=classes, phrases=("a cat", "a dog", "a cow"), **tables))


# Six regions: four cats, of which one is taken for a dog and one for a cow; a dog that is right; a cow taken for a cat.
TRUE = (CAT, CAT, CAT, CAT, DOG, COW)
FOUND = (CAT, CAT, DOG, COW, DOG, CAT)
SCORES = [
    [0.75, 0.25, 0.0, 0.0],
    [0.5, 0.25, 0.0, 0.0],
    [0.25, 0.5, 0.0, 0.0],
    [0.125, 0.0, 0.25, 0.0],
    [0.25, 0.5, 0.0, 0.0],
    [0.5, 0.0, 0.25, 0.0],
]


@pytest.fixture
def six():
    return evaluation(regions=regions(TRUE, FOUND, SCORES, held_out=[True, False, True, False, False, False]))


def test_that_a_matrix_counts_every_region_once(six):
    matrix = six.confusion()
    assert matrix.names == ("cat", "dog", "cow")  # no region is a bird, and none was taken for one
    assert matrix.class_rows == (CAT, DOG, COW)
    assert matrix.counts.tolist() == [[2, 1, 1], [0, 1, 0], [1, 0, 0]]
    assert matrix.counts.sum() == 6


def test_that_classes_beyond_the_limit_share_a_row(six):
    # Cats take part in three mistakes, cows in two, dogs in one.
    matrix = six.confusion(limit=2)
    assert matrix.names == ("cat", "cow", "all others")
    assert matrix.class_rows == (CAT, COW, OTHERS)
    assert matrix.counts.tolist() == [[2, 1, 1], [1, 0, 0], [0, 0, 1]]
    assert six.regions_in_cell(0, 2, limit=2) == RegionList((3,), (103,))


def test_that_the_cells_hold_all_regions_and_none_twice(six):
    cells = [six.regions_in_cell(row, column) for row in range(3) for column in range(3)]
    assert sorted(region for cell in cells for region in cell.region_ids) == [1, 2, 3, 4, 5, 6]
    assert [len(cell) for cell in cells] == six.confusion().counts.ravel().tolist()


def test_that_a_cell_outside_the_matrix_is_refused(six):
    with pytest.raises(IndexError, match="no cell 0, 3"):
        six.regions_in_cell(0, 3)


def test_that_a_curve_has_a_point_for_each_distinct_score(six):
    # As candidates for "cat", highest first (true ones in capitals): CAT 0.75 | CAT 0.5, cow 0.5 | CAT 0.25, dog 0.25 |
    # CAT 0.125.  Equal scores come in together.
    curve = six.precision_recall(CAT)
    assert curve.thresholds.tolist() == [0.75, 0.5, 0.25, 0.125]
    assert curve.recall == pytest.approx([1 / 4, 2 / 4, 3 / 4, 4 / 4])
    assert curve.precision == pytest.approx([1 / 1, 2 / 3, 3 / 5, 4 / 6])
    assert curve.num_positives == 4
    # Each step of recall counts with the precision it ends at, as in scikit-learn's average_precision_score.
    assert curve.average_precision == pytest.approx((1 + 2 / 3 + 3 / 5 + 4 / 6) / 4)


def test_that_a_perfect_order_has_an_average_precision_of_one(six):
    # The dog scores 0.5, so does a cat: of two at the first threshold one is right.
    assert six.precision_recall(DOG).average_precision == pytest.approx(0.5)
    alone = evaluation(regions=regions((CAT, DOG), (CAT, CAT), [[0.5, 0, 0, 0], [0.25, 0, 0, 0]]))
    assert alone.precision_recall(CAT).average_precision == 1.0


def test_that_average_precision_is_the_sum_over_the_points_of_the_curve():
    random = np.random.default_rng(0)
    true, scores = random.integers(4, size=300), random.integers(0, 20, size=(300, 4)) / 32  # many ties
    found = regions(true.tolist(), scores.argmax(axis=1).tolist(), scores)
    for class_row in (None, CAT, DOG, COW, BIRD):
        curve = evaluation(regions=found).precision_recall(class_row)
        by_points = np.sum(np.diff(curve.recall, prepend=0) * curve.precision)
        assert curve.average_precision == pytest.approx(by_points, rel=1e-5)


def test_that_the_curve_of_all_names_ends_at_top1(six):
    # Best scores: 0.75 right, 0.5 (2 right: regions 2, 5; 2 wrong: 3, 6), 0.25 wrong.
    curve = six.precision_recall()
    assert curve.thresholds.tolist() == [0.75, 0.5, 0.25]
    assert curve.precision == pytest.approx([1, 3 / 5, 3 / 6])
    assert curve.recall == pytest.approx([1 / 6, 3 / 6, 3 / 6])
    assert curve.recall[-1] == sum(one == other for one, other in zip(TRUE, FOUND, strict=True)) / 6


def test_that_a_point_of_a_curve_leads_to_its_regions(six):
    at = six.regions_at(0.5, CAT)
    assert (at.right.region_ids, at.wrong.region_ids, at.missed.region_ids) == ((1, 2), (6,), (3, 4))
    at = six.regions_at(0.5)
    assert (at.right.region_ids, at.wrong.region_ids, at.missed.region_ids) == ((1, 2, 5), (3, 6), (4,))


def test_that_a_class_without_regions_has_no_numbers(six):
    cat, _, _, bird = six.classes()
    assert (cat.class_id, cat.num_regions, cat.top1) == (11, 4, 0.5)
    assert (bird.num_regions, bird.top1, bird.average_precision) == (0, None, None)
    assert six.precision_recall(BIRD).average_precision is None
    assert len(six.precision_recall(BIRD).precision) == 0


def test_that_what_was_held_out_can_be_looked_at_alone(six):
    alone = six.only_held_out()
    assert alone.confusion().counts.tolist() == [[1, 1], [0, 0]]  # cats 1 and 3, one taken for a dog
    assert (six.metrics, alone.metrics) == ({"top1": 0.5}, {"top1": 0.25})
    assert alone.regions_in_cell(0, 1) == RegionList((3,), (103,))


def test_that_an_evaluation_without_regions_is_empty_and_no_error():
    empty = evaluation()
    assert empty.confusion().counts.shape == (0, 0)
    assert empty.precision_recall().average_precision is None
    assert empty.precision_recall(CAT).average_precision is None
    assert [result.top1 for result in empty.classes()] == [None] * 4
    assert all(empty.recall_at_k(direction) == {} for direction in ("r2t", "t2r", "i2t", "t2i"))
    assert all(len(empty.missed_at(1, direction)) == 0 for direction in ("r2t", "t2r", "i2t", "t2i"))
    assert empty.overlaps() == ()
    assert len(empty.regions_with_overlap(0, 1)) == 0
    assert empty.only_held_out().confusion().names == ()


@pytest.fixture
def retrieval():
    # Three regions of two phrases, the third phrase was not asked for.  Region 2 and image 102 are held out.
    return evaluation(
        retrieval=RetrievalPredictions(
            region_ids=ints(1, 2, 3),
            image_ids=ints(101, 101, 102),
            phrase_rows=ints(0, 0, 1),
            ranks_r2t=ints(0, 4, 10),
            is_held_out=np.array([False, True, False]),
            ranks_t2r=ints(0, 5, 0),
        ),
        images=ImageTextPredictions(
            image_ids=ints(101, 102),
            ranks_i2t=ints(0, 7),
            is_held_out=np.array([False, True]),
            caption_ids=ints(1, 2, 3, 4),
            caption_image_ids=ints(101, 102, 102, 102),
            ranks_t2i=ints(0, 1, 1, 0),
        ),
        held_out_retrieval=RetrievalPredictions(ints(2), ints(101), ints(0), ints(3), np.array([True]), ints(0, 1, 1)),
        held_out_images=ImageTextPredictions(
            ints(102), ints(6), np.array([True]), ints(2, 3, 4), ints(102, 102, 102), ints(0, 0, 0)
        ),
    )


def test_that_recall_counts_ranks_below_k(retrieval):
    assert retrieval.recall_at_k("r2t") == pytest.approx({1: 1 / 3, 5: 2 / 3, 10: 2 / 3})
    assert retrieval.recall_at_k("t2r") == {1: 0.5, 5: 0.5, 10: 1.0}
    assert retrieval.recall_at_k("i2t") == {1: 0.5, 5: 0.5, 10: 1.0}
    assert retrieval.recall_at_k("t2i") == {1: 0.5, 5: 1.0, 10: 1.0}


def test_that_missed_queries_lead_to_regions_or_whole_images(retrieval):
    assert retrieval.missed_at(1) == RegionList((2, 3), (101, 102))
    assert retrieval.missed_at(5) == RegionList((3,), (102,))
    assert retrieval.missed_at(1, "t2r") == RegionList((3,), (102,))
    assert retrieval.missed_at(5, "i2t") == RegionList((None,), (102,))
    assert retrieval.missed_at(1, "t2i") == RegionList((None,), (102,))


def test_that_held_out_recall_is_among_what_was_held_out(retrieval):
    alone = retrieval.only_held_out()
    assert alone.recall_at_k("r2t") == {1: 0.0, 5: 1.0, 10: 1.0}
    assert alone.recall_at_k("t2r") == {1: 1.0, 5: 1.0, 10: 1.0}
    assert alone.recall_at_k("i2t") == {1: 0.0, 5: 0.0, 10: 1.0}
    assert alone.recall_at_k("t2i") == {1: 1.0, 5: 1.0, 10: 1.0}
    assert alone.missed_at(5, "i2t") == RegionList((None,), (102,))


def test_that_overlaps_lead_to_the_regions_of_their_phrases():
    found = evaluation(
        grounding=GroundingPredictions(
            ints(1, 2, 3), ints(101, 101, 102), ints(0, 1, 2), boxes(3), boxes(3),
            floats(0.0, 0.5, 1.0), floats(0.1, 0.2, 0.3), np.zeros(3, np.bool_),
        )
    )  # fmt: skip
    assert found.overlaps(4) == (1, 0, 1, 1)
    assert found.regions_with_overlap(0.5, 0.75) == RegionList((2,), (101,))
    assert found.regions_with_overlap(0.75, 1.0) == RegionList((3,), (102,))


def test_that_an_evaluation_is_opened_from_its_folder(six, tmp_path):
    PredictionFolder(tmp_path / "predictions").write(six.predictions)
    assert Evaluation.open(tmp_path / "predictions").confusion().counts.tolist() == six.confusion().counts.tolist()
