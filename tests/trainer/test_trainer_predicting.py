"""Proposals named by class: sure ones only, each thing once, none in the padding."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from locstudio.domain.geometry import Letterbox
from trainer.predicting import DETECTION_FLOOR, NUM_DETECTIONS, detect

CLASSES = torch.eye(3)
LEFT, NEAR_LEFT, RIGHT = (0.1, 0.3, 0.4, 0.6), (0.12, 0.3, 0.4, 0.6), (0.6, 0.3, 0.9, 0.6)


def model_of(boxes, objectness, directions, scale=10.0):
    """Proposes these boxes, whose embeddings point at these classes."""
    boxes_P4, region_PD = torch.tensor(boxes), F.normalize(torch.tensor(directions), dim=1)

    def embed(_, asked_P4):
        return torch.stack([region_PD[int((boxes_P4 == box).all(dim=1).nonzero()[0, 0])] for box in asked_P4])

    return SimpleNamespace(
        proposed=(boxes_P4, torch.tensor(objectness)),
        embed_boxes=embed,
        logit_scale=torch.tensor(math.log(scale)),
    )


def detected(*arguments, size=(100, 100)):
    model = model_of(*arguments)
    return detect(model, None, Letterbox(*size), CLASSES, model.proposed)


CAT, DOG = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]


def test_that_the_score_is_the_classes_share_times_objectness():
    found = detected([LEFT], [0.5], [CAT])
    share = math.exp(10) / (math.exp(10) + 2)
    assert found.class_rows.tolist() == [0]
    assert found.scores == pytest.approx([0.5 * share])
    assert found.boxes == pytest.approx(np.array([LEFT]))


def test_that_what_is_unlikely_is_left_out():
    assert len(detected([LEFT, RIGHT], [DETECTION_FLOOR / 2, 0.9], [CAT, CAT]).scores) == 1
    # Between two classes the share is a half, so objectness must be twice the floor.
    assert len(detected([LEFT], [1.9 * DETECTION_FLOOR], [[1.0, 1.0, 0.0]], 100.0).scores) == 0


def test_that_a_thing_is_told_once_of_each_class_and_the_surest_first():
    found = detected([NEAR_LEFT, LEFT, RIGHT], [0.5, 0.9, 0.7], [CAT, CAT, CAT])
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert found.boxes == pytest.approx(np.array([LEFT, RIGHT]))
    found = detected([NEAR_LEFT, LEFT], [0.5, 0.9], [DOG, CAT])
    assert found.class_rows.tolist() == [0, 1]


def test_that_boxes_in_the_padding_are_left_out():
    # An image twice as wide as high lies between a quarter and three quarters of the square.
    found = detected([(0.1, 0.0, 0.4, 0.2), LEFT], [0.9, 0.9], [CAT, CAT], size=(200, 100))
    assert found.boxes == pytest.approx(np.array([[0.1, 0.1, 0.4, 0.7]]), abs=1e-6)


def test_that_an_image_has_only_so_many_detections():
    boxes = [(0.01 + x / 10, 0.01 + y / 10, 0.09 + x / 10, 0.09 + y / 10) for x in range(6) for y in range(6)]
    found = detected(boxes, [0.5 + place / 100 for place in range(36)], [CAT] * 36)
    assert len(found.scores) == NUM_DETECTIONS
    assert found.scores.min() > 0.5 + (36 - NUM_DETECTIONS - 1) / 100


def test_that_an_image_without_a_proposal_has_no_detection():
    model = model_of(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 3), np.float32))
    model.embed_boxes = lambda *_: torch.zeros(0, 3)
    assert len(detect(model, None, Letterbox(10, 10), CLASSES, model.proposed).scores) == 0
