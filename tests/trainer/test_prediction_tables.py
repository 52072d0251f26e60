"""Proposals and detections of images, put together and counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from locstudio.domain.regions import Image
from locstudio.jobs.predictions import Summary
from trainer.ground_truth import EvaluationImage, GroundTruth
from trainer.prediction_tables import Detected, Found, ImageAnswers, Texts, put_together

LEFT, RIGHT, ELSEWHERE = (0.1, 0.1, 0.4, 0.4), (0.6, 0.6, 0.9, 0.9), (0.1, 0.6, 0.2, 0.9)
CAT, DOG, COW = 0, 1, 2


def boxes(*corners):
    return np.array(corners, np.float32).reshape(-1, 4)


def ints(*values):
    return np.array(values, np.int64)


def answers(number, true, class_rows, proposed, detected):
    """An image with true boxes, what is proposed in it, and detections (box, class, score)."""
    asked = EvaluationImage(
        image=Image(number, 1, f"{number}.jpg", 10, 10),
        path=Path(f"{number}.jpg"),
        region_ids=ints(*(10 * number + place for place in range(len(true)))),
        boxes=boxes(*true),
        class_rows=ints(*class_rows),
        phrase_rows=ints(*(-1 for _ in true)),
    )
    found = Detected(
        boxes(*(box for box, _, _ in detected)),
        ints(*(row for _, row, _ in detected)),
        np.array([score for _, _, score in detected], np.float32),
    )
    nothing = Found(ints(), boxes(), np.zeros(0, np.float32))
    return ImageAnswers(asked, np.zeros((0, 1)), np.zeros(1), nothing, found, boxes(*proposed))


def together(*seen, held_out=()):
    classes = ((1, "cat"), (2, "dog"), (3, "cow"))
    truth = GroundTruth("proposals", tuple(one.asked for one in seen), classes)
    none = np.zeros((0, 1), np.float32)
    return put_together(
        Summary(checkpoint_id="cloc-1", name="tiny"), truth, seen, Texts(none, none, none), frozenset(held_out)
    )


def test_that_each_true_box_knows_which_proposal_covers_it():
    found = together(answers(1, [LEFT, RIGHT], [CAT, -1], [ELSEWHERE, LEFT], [])).proposals
    assert found.region_ids.tolist() == [10, 11]
    assert found.ranks.tolist() == [1, 100]
    assert found.ious.tolist() == pytest.approx([1.0, 0.0])
    assert found.has_class.tolist() == [True, False]


def test_the_precision_of_detections_by_hand():
    # Cat: the surest is right, in the other image it lies elsewhere: 1 of 1.  Dog: never detected: 0.  A cow is
    # detected where none is, but no true box is a cow, so there is no precision of cows.
    seen = (
        answers(1, [LEFT, RIGHT], [CAT, DOG], [], [(LEFT, CAT, 0.9), (RIGHT, COW, 0.8)]),
        answers(2, [RIGHT], [DOG], [], [(LEFT, CAT, 0.5)]),
    )
    assert together(*seen).summary.metrics["ap50"] == pytest.approx((1 + 0) / 2)


def test_that_a_surer_mistake_in_another_image_costs_precision():
    seen = (answers(1, [LEFT], [CAT], [], [(LEFT, CAT, 0.5)]), answers(2, [LEFT], [DOG], [], [(LEFT, CAT, 0.9)]))
    # Cat: wrong, then right: 1/2; dog: 0.
    assert together(*seen).summary.metrics["ap50"] == pytest.approx((1 / 2 + 0) / 2)
    # In the first image alone there is no mistake, and no dog.
    held_out = together(*seen, held_out=[1]).summary.held_out_metrics
    assert held_out["ap50"] == 1.0
    assert held_out["n_proposals"] == 1


def test_that_without_a_proposal_nothing_is_recalled():
    metrics = together(answers(1, [LEFT], [CAT], [], [])).summary.metrics
    assert (metrics["recall_100"], metrics["ar100"], metrics["ap50"]) == (0.0, 0.0, 0.0)
