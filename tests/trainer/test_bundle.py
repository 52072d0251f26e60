"""What the bundled checkpoint is made with: scenes keep boxes on their things, batches are drawn as said."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from trainer.bundle.arms import ARMS, RunningMean
from trainer.bundle.card import table
from trainer.bundle.colours import tinted, tinted_photos
from trainer.bundle.features import TINTED, SceneSet, as_tensor, joined, random_boxes
from trainer.bundle.measuring import naming_scores
from trainer.bundle.photos import Photo
from trainer.bundle.sampling import Sampling, batches
from trainer.bundle.scenes import Scene, composed, flipped, mosaics, plain, zoomed
from trainer.bundle.teacher import teach
from trainer.recipes.attributes import COLOURS


def marked_photo(width: int = 120, height: int = 80) -> Photo:
    """Grey with a green rectangle, which its only box surrounds."""
    rgb = np.full((height, width, 3), 128, np.uint8)
    rgb[20:50, 30:90] = (0, 255, 0)
    return Photo(
        name="marked",
        rgb=rgb,
        boxes_R4=np.array([[30, 20, 90, 50]], np.float32),
        phrases=(("green thing", "thing"),),
        captions=("a green thing",),
        class_index=(3,),
        is_exhaustive=True,
    )


def green_extent(square: np.ndarray) -> np.ndarray:
    """The box of what is rather green, in the ``square`` frame."""
    is_green = (square[..., 1].astype(int) - square[..., 0]) > 60
    rows, columns = np.flatnonzero(is_green.any(axis=1)), np.flatnonzero(is_green.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / len(square)


@pytest.mark.parametrize("is_flipped", [False, True])
def test_that_a_box_stays_on_its_thing_in_the_padded_square(is_flipped):
    square, scene = plain(marked_photo(), 240, is_flipped=is_flipped)
    np.testing.assert_allclose(scene.boxes_R4[0], green_extent(square), atol=2 / 240)


@pytest.mark.parametrize("seed", range(8))
def test_that_a_box_stays_on_its_thing_in_a_zoom(seed):
    square, scene = zoomed(marked_photo(), 240, np.random.default_rng(seed))
    for box in scene.boxes_R4:
        np.testing.assert_allclose(box, green_extent(square), atol=4 / 240)


def test_that_flipping_twice_is_nothing():
    square, scene = plain(marked_photo(), 64)
    again, restored = flipped(*flipped(square, scene))
    np.testing.assert_array_equal(again, square)
    np.testing.assert_allclose(restored.boxes_R4, scene.boxes_R4, atol=1e-6)


def test_that_mosaics_show_every_photo_once_where_their_boxes_say():
    whole = [
        Photo(str(n), np.full((50, 40, 3), (0, 255, 0), np.uint8), np.array([[0, 0, 40, 50]], np.float32), ((str(n),),))
        for n in range(23)
    ]
    made = list(mosaics(whole, 200, np.random.default_rng(0)))
    shown = [words[0] for _, scene in made for words in scene.phrases]
    assert sorted(shown) == sorted(str(n) for n in range(23))
    for square, scene in made:
        for x0, y0, x1, y1 in (scene.boxes_R4 * 200).round().astype(int):
            inside = square[y0:y1, x0:x1].astype(int)
            assert (inside[..., 1] - inside[..., 0] > 60).all()
            assert not scene.is_exhaustive


def scene_set() -> SceneSet:
    square_scenes = [plain(marked_photo(), 32)[1] for _ in range(5)]
    tiles = [scene for _, scene in mosaics([marked_photo()], 32, np.random.default_rng(0))]
    return SceneSet([*square_scenes, *tiles], np.zeros((6, 17, 8), np.float16))


def test_that_batches_follow_from_the_seed_alone():
    sampling = Sampling(batch_size=4, num_regions=2)
    first, second, other = (
        list(batches(scene_set(), range(6), sampling, num_steps=2, seed=seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first[1].boxes_BM4, second[1].boxes_BM4)
    assert first[1].phrases == second[1].phrases
    assert not torch.equal(first[1].boxes_BM4, other[1].boxes_BM4)


def test_that_a_batch_pads_and_says_so():
    (batch,) = batches(scene_set(), range(6), Sampling(batch_size=4, num_regions=3), num_steps=1, seed=0)
    assert batch.boxes_BM4.shape == (4, 3, 4)
    assert batch.valid_BM.tolist() == [[True, False, False]] * 4
    words = {batch.phrases[row] for row in batch.phrase_BM[batch.valid_BM]}
    assert words <= {"green thing", "thing"}
    assert batch.tokens_BND.shape == (4, 17, 8)


def test_that_random_boxes_lie_in_the_square_and_have_area():
    boxes = random_boxes(200, np.random.default_rng(0))
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()
    assert ((boxes[:, 2:] - boxes[:, :2]) > 0.04).all()


def test_the_three_scores_by_hand():
    # Classes 0, 0, 0, 1 of 6: named rightly, wrongly (second best), wrongly (worst), rightly.
    scores = torch.tensor(
        [
            [9.0, 1, 0, 0, 0, 0],
            [5.0, 9, 0, 0, 0, 0],
            [0.0, 9, 8, 7, 6, 5],
            [0.0, 9, 0, 0, 0, 0],
        ]
    )
    found = naming_scores(scores, torch.tensor([0, 0, 0, 1]))
    assert found == pytest.approx({"top1": 2 / 4, "top5": 3 / 4, "macc": (1 / 3 + 1) / 2})


def test_that_a_running_mean_of_one_value_is_that_value():
    layer = torch.nn.Linear(2, 1)
    mean = RunningMean(layer)
    before = layer.weight.detach().clone()
    for step in range(50):
        mean.fold(step)
    mean.put_back()
    torch.testing.assert_close(layer.weight.detach(), before)


def test_that_the_table_shows_mean_and_spread_and_a_dash_for_what_was_not_measured():
    rows = table({"prompter": [{"top1": 0.5}, {"top1": 0.6}], "crop": [{"top1": 0.4}]}).splitlines()
    assert f"- **prompter**: {ARMS['prompter'].title}" in rows
    assert any(row.startswith("| **prompter** | 2 | 0.550 +- 0.071 | - |") for row in rows)
    assert any(row.startswith("| **crop** | 1 | 0.400 | - |") for row in rows)


def test_that_a_quarter_shows_its_photo_where_the_boxes_say():
    square, scene = composed([marked_photo()] * 4, 240, np.random.default_rng(3))
    assert scene.class_index == (3,) * 4
    is_green = (square[..., 1].astype(int) - square[..., 0]) > 60
    assert is_green.sum() == pytest.approx(sum(np.prod(b[2:] - b[:2]) * 240**2 for b in scene.boxes_R4), rel=0.1)
    for x0, y0, x1, y1 in (scene.boxes_R4 * 240).round().astype(int):
        assert is_green[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].all()


def test_that_a_box_too_small_to_be_seen_is_left_out_of_a_quarter():
    tiny = replace(marked_photo(), boxes_R4=np.array([[30, 20, 33, 23]], np.float32))
    assert len(composed([tiny] * 4, 240, np.random.default_rng(3))[1].boxes_R4) == 0


@pytest.mark.parametrize("colour", COLOURS)
def test_that_a_tinted_photo_has_its_colour_and_is_called_by_it(colour):
    grey = Photo("a", np.full((4, 4, 3), 150, np.uint8), np.array([[0, 0, 4, 4]], np.float32), (("bus", "coach"),))
    painted = tinted(grey, colour, np.random.default_rng(0))
    assert painted.phrases == ((f"{colour} bus",),)
    red, green, blue = (int(value) for value in painted.rgb[0, 0])
    strongest = {"red": red, "green": green, "blue": blue}
    if colour in strongest:
        assert strongest[colour] == max(red, green, blue)
    if colour in ("black", "white", "grey"):
        assert max(red, green, blue) - min(red, green, blue) <= 5


def test_that_photos_whose_names_say_a_colour_are_not_tinted():
    square, box = np.zeros((4, 4, 3), np.uint8), np.array([[0, 0, 4, 4]], np.float32)
    photos = [Photo(name, square, box, ((name,),)) for name in ("red fox", "bus", "car")]
    painted = tinted_photos(photos, 9, np.random.default_rng(0))
    assert sorted(photo.name for photo in painted) == ["bus", "car"]


def test_that_two_sets_are_read_as_one():
    first, second = scene_set(), scene_set()
    first.tokens_SNC[:] = 1
    both = joined(first, second)
    assert len(both.scenes) == 12
    assert as_tensor(both.tokens_SNC, np.array([5, 6]))[:, 0, 0].tolist() == [1.0, 0.0]


def test_that_a_tinted_thing_is_no_rival_of_what_it_is():
    scenes = scene_set()
    tile = replace(scenes.scenes[5], phrases=(("red bus",),))
    names = replace(tile, phrases=(("bus",),)), replace(tile, phrases=(("cat",),))
    coloured = SceneSet([*scenes.scenes[:5], *names, replace(tile, source=TINTED)], np.zeros((8, 17, 8), np.float16))
    sampling = Sampling(batch_size=2, mosaic_share=0.5)
    for batch in batches(coloured, range(8), sampling, num_steps=12, seed=0):
        assert "cat" in batch.phrases
        used = {batch.phrases[row] for row in batch.phrase_BM[batch.valid_BM].tolist()}
        assert ("bus" in batch.phrases) is ("red bus" not in used)


def test_that_a_teacher_speaks_of_its_own_boxes_alone():
    teacher = {0: np.full((1, 4), 2.0, np.float32)}
    (batch,) = batches(scene_set(), range(5), Sampling(batch_size=8), num_steps=1, seed=0, teacher=teacher)
    says = batch.teacher_BKE.any(dim=2)
    assert says.any()
    assert not says[:, 1:].any()
    assert torch.equal(batch.teacher_boxes_BK4, batch.boxes_BM4)


class TwoWords:
    """A text tower that knows two words."""

    def text_features(self, texts: list[str]) -> torch.Tensor:
        return torch.eye(4)[[0 if text == "cat" else 1 for text in texts]]


def test_that_a_teacher_knows_a_thing_by_its_crop_and_says_so_of_every_view_of_it():
    # Ten photos with a cat and a dog at the same places: only the crops tell them apart.  Row 2k is the plain scene of
    # photo k, row 2k + 1 a zoom that shows its second thing alone.
    boxes = np.array([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]], np.float32)
    scenes, crops = [], {}
    random = np.random.default_rng(0)
    for number in range(10):
        words = (("cat",), ("dog",)) if number % 2 else (("dog",), ("cat",))
        scenes.append(Scene(str(number), boxes, words, (), (), is_exhaustive=True, places=(0, 1)))
        scenes.append(Scene(str(number), boxes[:1], words[1:], (), (), is_exhaustive=True, places=(1,)))
        signs = np.array([[1.0 if word == ("cat",) else -1.0] for word in words])
        crops[2 * number] = (signs + random.normal(0, 0.1, (2, 4))).astype(np.float16)
    tokens = random.normal(0, 1, (20, 17, 4)).astype(np.float16)
    said = teach(TwoWords(), SceneSet(scenes, tokens), crops, list(range(20)), seed=0)
    assert sorted(said) == list(range(20))
    for row, scene in enumerate(scenes):
        assert [("cat" if cat > dog else "dog",) for cat, dog, *_ in said[row]] == list(scene.phrases)
        np.testing.assert_allclose(np.linalg.norm(said[row], axis=1), 1.0, atol=1e-5)


def test_that_a_teacher_says_nothing_of_photos_it_was_not_given():
    box = np.array([[0.1, 0.1, 0.4, 0.4]], np.float32)
    words = ("cat", "dog", "cat")
    scenes = [
        Scene(str(row), box, ((word,),), (), (), is_exhaustive=True, places=(0,)) for row, word in enumerate(words)
    ]
    crops = {row: np.ones((1, 4), np.float16) for row in range(3)}
    said = teach(TwoWords(), SceneSet(scenes, np.ones((3, 17, 4), np.float16)), crops, [1, 2], seed=0)
    assert sorted(said) == [1, 2]


def test_that_what_is_said_of_a_photo_does_not_come_from_its_own_words():
    box = np.array([[0.1, 0.1, 0.4, 0.4]], np.float32)
    random = np.random.default_rng(0)
    crops = {row: random.normal(0, 1, (1, 4)).astype(np.float16) for row in range(6)}
    tokens = random.normal(0, 1, (6, 17, 4)).astype(np.float16)
    said = []
    for own in ("cat", "dog"):
        words = (own, "dog", "cat", "dog", "cat", "dog")
        scenes = [Scene(f"{row}", box, ((word,),), (), (), True, (0,)) for row, word in enumerate(words)]
        said.append(teach(TwoWords(), SceneSet(scenes, tokens), crops, list(range(6)), seed=0))
    # Photo 5 is taught beside photo 0, so it too hears nothing of what photo 0 is; photo 1 does.
    np.testing.assert_array_equal(said[0][0], said[1][0])
    np.testing.assert_array_equal(said[0][5], said[1][5])
    assert not np.allclose(said[0][1], said[1][1])
