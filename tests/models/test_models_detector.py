"""What is found in an image by phrases: every box once, the surest first, unsure of a phrase alone."""

import math

import numpy as np
import pytest
import torch

from locstudio.domain.geometry import iou_matrix
from locstudio.models.config import DetectionConfig
from locstudio.models.detector import LOOSE_IOU, confidence, detect, shares


@pytest.fixture(scope="module")
def prepared(tiny):
    square = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with torch.inference_mode():
        return tiny.prepare(tiny.encode_image(tiny.preprocess(square)[None])[0])


def test_that_what_is_found_comes_surest_first_with_its_best_phrase(tiny, prepared):
    text_TD = tiny.embed_texts(["a dog", "a red car", "grass"])
    found = detect(tiny, prepared, text_TD, num_boxes=9)
    count = len(found.boxes_P4)
    assert 0 < count <= 9
    assert found.vectors_PD.shape == (count, tiny.dim)
    assert (found.score_P.diff() <= 0).all()
    for values in (found.score_P, found.objectness_P, found.boxes_P4):
        assert ((values >= 0) & (values <= 1)).all()
    with torch.inference_mode():
        assert torch.equal(found.phrase_P, (found.vectors_PD @ text_TD.T).argmax(dim=1))
        torch.testing.assert_close(found.vectors_PD, tiny.embed_boxes(prepared, found.boxes_P4))


def test_that_boxes_overlap_but_do_not_coincide(tiny, prepared):
    found = detect(tiny, prepared, tiny.embed_texts(["a dog"]), num_boxes=240)
    boxes = found.boxes_P4.numpy()
    overlaps = iou_matrix(boxes, boxes)
    np.fill_diagonal(overlaps, 0.0)
    assert 0.6 < overlaps.max() <= LOOSE_IOU


def test_that_detecting_twice_finds_the_same(tiny, prepared):
    text_TD = tiny.embed_texts(["a dog", "a cat"])
    first, second = (detect(tiny, prepared, text_TD, num_boxes=12) for _ in range(2))
    assert torch.equal(first.boxes_P4, second.boxes_P4)
    assert torch.equal(first.score_P, second.score_P)


def test_that_without_a_phrase_nothing_is_found(tiny, prepared):
    found = detect(tiny, prepared, torch.zeros(0, tiny.dim))
    assert found.boxes_P4.shape == (0, 4)
    assert found.vectors_PD.shape == (0, tiny.dim)
    assert found.phrase_P.dtype == torch.int64


def test_that_a_phrase_alone_is_not_sure_of_itself():
    unlike_11, like_11 = torch.tensor([[0.0]]), torch.tensor([[0.5]])
    assert shares(unlike_11, 20.0, 0.2).item() < 0.05
    assert shares(like_11, 20.0, 0.2).item() > 0.95


def test_that_two_like_phrases_share_what_one_would_have():
    # Two equal cosines and nothing: e / (2 e + n) each.
    both = shares(torch.tensor([[0.4, 0.4]]), 10.0, 0.2)[0]
    nothing = shares(torch.tensor([[0.4]]), 10.0, 0.2).item()
    odds = nothing / (1 - nothing)
    assert both.tolist() == pytest.approx([odds / (2 * odds + 1)] * 2, rel=1e-5)


def test_the_confidence_of_a_box_by_hand():
    # Share 1/2, objectness 1/4: 1 + 2 log(1/2) + 1/2 log(1/4) = 1 - 3 log 2.
    wanted = DetectionConfig(share_weight=2.0, objectness_weight=0.5, bias=1.0)
    found = confidence(torch.tensor([0.5, 0.0]), torch.tensor([0.25, 0.25]), wanted)
    assert found[0].item() == pytest.approx(1 / (1 + math.exp(-(1 - 3 * math.log(2)))), rel=1e-5)
    assert found[1].item() < 1e-9
