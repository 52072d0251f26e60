"""A closer look: where the parts of a picture lie, and that their boxes come back into the whole."""

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from locstudio.domain.geometry import iou_matrix
from locstudio.domain.regions import Image
from locstudio.jobs.configs import Vesl
from locstudio.media.square import load_square, square_of
from locstudio.models.checkpoint import load_checkpoint
from trainer.vesl.closer import Part, in_whole, parts_of
from trainer.vesl.detectors import detector_of
from trainer.vesl.scene import Scene
from trainer.vesl.texts import TextMemory


def test_that_four_parts_cover_a_picture_and_neighbours_share_a_fifth():
    rgb = np.zeros((100, 200, 3), np.uint8)
    parts = list(parts_of(rgb))
    assert [(part.left, part.top, part.rgb.shape[:2]) for part in parts] == [
        (0, 0, (60, 120)),
        (80, 0, (60, 120)),
        (0, 40, (60, 120)),
        (80, 40, (60, 120)),
    ]


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (30, 1), (2, 2)])
def test_that_a_picture_of_hardly_any_size_has_parts_that_lie_in_it(shape):
    rgb = np.zeros((*shape, 3), np.uint8)
    for part in parts_of(rgb):
        assert min(part.rgb.shape[:2]) >= 1
        assert part.left + part.rgb.shape[1] <= shape[1]
        assert part.top + part.rgb.shape[0] <= shape[0]


def test_that_a_box_of_a_part_comes_back_where_it_is_in_the_whole():
    # The part at the lower right of 200 x 100 begins at (80, 40) and is 120 x 60.
    part = Part(80, 40, np.zeros((60, 120, 3), np.uint8))
    boxes, is_whole = in_whole(np.array([[0.25, 0.5, 0.5, 1.0]], np.float32), part, (100, 200))
    # x: 80 + 30 = 110 and 80 + 60 = 140 of 200; y: 40 + 30 = 70 and 100 of 100.
    np.testing.assert_allclose(boxes, [[0.55, 0.7, 0.7, 1.0]], atol=1e-6)
    assert is_whole.tolist() == [True]  # it ends at the picture's own edge, not at the part's


@pytest.mark.parametrize(
    ("box", "is_whole"),
    [
        ((0.0, 0.2, 0.5, 0.9), False),  # the part was cut off here, the thing goes on to the left
        ((0.2, 0.0, 0.5, 0.9), False),
        ((0.2, 0.2, 1.0, 1.0), True),
        ((0.2, 0.2, 0.5, 0.5), True),
    ],
)
def test_that_a_box_which_a_part_cuts_is_left_to_its_neighbour(box, is_whole):
    part = Part(80, 40, np.zeros((60, 120, 3), np.uint8))
    assert in_whole(np.array([box], np.float32), part, (100, 200))[1].tolist() == [is_whole]


def test_that_a_square_of_pixels_is_the_square_of_their_file(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Picture.fromarray(rgb).save(tmp_path / "noise.png")
    np.testing.assert_array_equal(square_of(rgb, 32)[0], load_square(tmp_path / "noise.png", 32)[0])


def test_that_a_closer_look_finds_what_the_whole_shows_and_more(tmp_path, tiny_checkpoint):
    model = load_checkpoint(tiny_checkpoint)
    path = tmp_path / "noise.png"
    rgb = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    Picture.fromarray(rgb).save(path)
    with torch.inference_mode():
        tokens = model.encode_image(model.preprocess(load_square(path, model.input_px)[0])[None])[0]
    scene = Scene(Image(1, 1, path.name, 90, 60), path, model.prepare(tokens))
    texts = TextMemory(model)
    whole, closer = (
        detector_of(Vesl(detector=name, num_boxes=20), model, texts).detect(scene, ["a dog", "a car"])
        for name in ("own", "closer")
    )
    num = len(whole.boxes_P4)
    np.testing.assert_array_equal(closer.boxes_P4[:num], whole.boxes_P4)
    assert len(closer.boxes_P4) > num
    assert (iou_matrix(closer.boxes_P4[num:], whole.boxes_P4).max(axis=1) < 1).any()
