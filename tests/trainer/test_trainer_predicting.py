"""Proposals named by class: sure ones only, each thing once, none in the padding."""

import numpy as np
import pytest
import torch

from locstudio.domain.geometry import Letterbox
from locstudio.models.detector import Detected
from trainer.predicting import DETECTION_FLOOR, NUM_DETECTIONS, sure_ones

LEFT, NEAR_LEFT, RIGHT = (0.1, 0.3, 0.4, 0.6), (0.12, 0.3, 0.4, 0.6), (0.6, 0.3, 0.9, 0.6)
CAT, DOG = 0, 1


def kept(boxes, scores, class_rows, size=(100, 100), floor=DETECTION_FLOOR, limit=NUM_DETECTIONS):
    """What is kept of things the detector has told."""
    count = len(scores)
    told = Detected(
        boxes_P4=torch.tensor(boxes).reshape(-1, 4),
        objectness_P=torch.ones(count),
        phrase_P=torch.tensor(class_rows, dtype=torch.int64),
        score_P=torch.tensor(scores),
        vectors_PD=torch.zeros(count, 3),
    )
    return sure_ones(told, Letterbox(*size), floor=floor, limit=limit)


def test_that_what_is_unlikely_is_left_out():
    found = kept([LEFT, RIGHT], [DETECTION_FLOOR * 0.9, 0.9], [CAT, DOG])
    assert found.class_rows.tolist() == [DOG]
    assert found.scores == pytest.approx([0.9])
    assert found.boxes == pytest.approx(np.array([RIGHT]))
    assert len(kept([LEFT, RIGHT], [DETECTION_FLOOR * 0.9, 0.9], [CAT, DOG], floor=0.0).scores) == 2


def test_that_a_thing_is_told_once_of_each_class_and_the_surest_first():
    found = kept([NEAR_LEFT, LEFT, RIGHT], [0.5, 0.9, 0.7], [CAT, CAT, CAT])
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert found.boxes == pytest.approx(np.array([LEFT, RIGHT]))
    assert kept([NEAR_LEFT, LEFT], [0.5, 0.9], [DOG, CAT]).class_rows.tolist() == [CAT, DOG]


def test_that_boxes_in_the_padding_are_left_out():
    # An image twice as wide as high lies between a quarter and three quarters of the square.
    found = kept([(0.1, 0.0, 0.4, 0.2), LEFT], [0.9, 0.9], [CAT, CAT], size=(200, 100))
    assert found.boxes == pytest.approx(np.array([[0.1, 0.1, 0.4, 0.7]]), abs=1e-6)


def test_that_an_image_has_only_so_many_detections():
    boxes = [(0.01 + x / 10, 0.01 + y / 10, 0.09 + x / 10, 0.09 + y / 10) for x in range(6) for y in range(6)]
    found = kept(boxes, [0.5 + place / 100 for place in range(36)], [CAT] * 36)
    assert len(found.scores) == NUM_DETECTIONS
    assert found.scores.min() > 0.5 + (36 - NUM_DETECTIONS - 1) / 100


def test_that_an_image_without_a_proposal_has_no_detection():
    assert len(kept([], [], []).scores) == 0
