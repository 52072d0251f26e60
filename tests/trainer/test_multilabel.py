"""What the claims about heatmaps rest on: what is told, how heat is measured, and that tables say what was found."""

import msgspec
import numpy as np
import pytest
import torch

from locstudio.models.consistency import Consistency, ConsistencyConfig
from locstudio.models.towers import lite_config
from locstudio.services.heat.turns import in_turns
from trainer.bundle import multilabel_scenes, multilabel_story
from trainer.bundle.multilabel_arms import ARMS, SWEEP, SWEPT, TRAINING, painted_boxes, run_arm, swept
from trainer.bundle.multilabel_card import claims_table, classes_card
from trainer.bundle.multilabel_fitting import Material, fit_classes, looked_at
from trainer.bundle.multilabel_measuring import (
    coverage_of,
    expected_precision,
    localisation,
    mean_precision,
    recovered,
)
from trainer.bundle.multilabel_scenes import NUM_FOLDS, LabelledScene, presence, single_positives, training_scenes
from trainer.bundle.photos import Photo

CELLS, WIDTH = 8, 80
SHORT = msgspec.structs.replace(TRAINING, num_epochs=12, grid=6, batch_size=6, learning_rate=2e-2)


def classifier(seed=0):
    torch.manual_seed(seed)
    config = ConsistencyConfig(
        name="tiny",
        classes=tuple(f"class {number}" for number in range(80)),
        tower=lite_config(),
        input_px=512,
        token_width=WIDTH,
        width=WIDTH,
        hidden=64,
        cell_grid=CELLS,
        grid=6,
    )
    return Consistency(config)


def known(num_scenes=24, seed=0):
    """Scenes of two classes each, one in the left half and one in the right; a class lights its own channel."""
    random = np.random.default_rng(seed)
    scenes, cells = (
        [],
        torch.randn(num_scenes, WIDTH, CELLS, CELLS, generator=torch.Generator().manual_seed(seed)) * 0.1,
    )
    for row in range(num_scenes):
        left, right = (int(one) for one in random.choice(6, 2, replace=False))
        cells[row, left, :, : CELLS // 2] += 3
        cells[row, right, :, CELLS // 2 :] += 3
        boxes = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]], np.float32)
        scenes.append(LabelledScene(f"scene {row}", (100, 100), boxes, (left, right)))
    return Material(scenes, cells.half(), presence(scenes))


def test_that_the_mean_precision_is_of_classes_that_occur():
    # Sorted: right, wrong, right: 1 * 1/2 + 2/3 * 1/2.  The second class is in no image.
    scores = np.array([[0.9, 0.3], [0.8, 0.2], [0.7, 0.1]], np.float32)
    truth = np.array([[True, False], [False, False], [True, False]])
    assert mean_precision(scores, truth) == pytest.approx(1 / 2 + 1 / 3)


def test_that_of_each_image_one_class_is_told_that_is_there_and_every_seed_draws_its_own():
    present = np.random.default_rng(0).random((40, 80)) < 0.1
    present[3] = False
    told = single_positives(present, 0)
    assert ((told == 1).sum(axis=1) == present.any(axis=1)).all()
    assert present[told == 1].all()
    assert set(np.unique(told)) == {-1, 1}
    assert (single_positives(present, 0) == told).all()
    assert (single_positives(present, 1) != told).any()


def test_that_a_mosaic_is_made_of_photos_of_one_fold_and_every_photo_is_in_four(monkeypatch):
    def photos(_data, _split):
        for number in range(20):
            rgb = np.full((30, 40, 3), number, np.uint8)
            yield Photo(f"{number:02d}.jpg", rgb, np.array([[0, 0, 40, 30]], np.float32), (("thing",),), (), (number,))

    monkeypatch.setattr(multilabel_scenes, "coco_photos", photos)
    scenes = [scene for _, scene in training_scenes(None, 64)]
    fold_of = {scene.source: scene.fold for scene in scenes if not scene.is_mosaic}
    mosaics = [scene for scene in scenes if scene.is_mosaic]
    parts = [name for scene in mosaics for name in scene.source.split("+")]
    assert sorted(parts) == sorted([*fold_of] * 4)
    assert all({fold_of[name] for name in scene.source.split("+")} == {scene.fold} for scene in mosaics)
    assert set(fold_of.values()) == set(range(NUM_FOLDS))
    assert all((scene.boxes_R4 >= 0).all() and (scene.boxes_R4 <= 1).all() for scene in scenes)


def test_that_heat_inside_the_box_points_and_overlaps_and_heat_beside_it_does_neither():
    scene = LabelledScene("photo", (10, 10), np.array([[0, 0, 0.5, 0.5]], np.float32), (3,))
    maps = np.zeros((1, 80, 4, 4), np.float32)
    maps[0, 3, :2, :2] = 1.0
    pointing, overlap = localisation([scene], maps, presence([scene]))
    assert pointing == 1.0
    assert overlap == pytest.approx(1.0, abs=0.05)
    pointing, overlap = localisation([scene], maps[..., ::-1].copy(), presence([scene]))
    assert (pointing, overlap) == (0.0, 0.0)
    assert coverage_of(scene, 3, 4).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_that_recovered_counts_hidden_classes_among_the_expected_alone():
    told = np.full((1, 5), -1, np.int8)
    told[0, 0] = 1
    present = np.array([[True, True, True, False, False]])
    averages = np.array([[0.0, 0.9, 0.1, 0.5, 0.0]], np.float32)
    # Of three expected one is told; the others are class 1, which is there, and class 3, which is not.
    assert recovered(averages, told, present, 3) == 0.5
    assert expected_precision(averages, told, present, (1, 2, 4)) == {1: 1.0, 2: 0.5, 4: 0.5}


def test_that_a_short_training_names_what_is_there_and_remembers_where():
    scenes, model = known(), classifier()
    told = scenes.present_SL.astype(np.int8)
    epochs = []
    memory = fit_classes(
        model, scenes, told, SHORT, num_expected=2, seed=0, after_epoch=lambda epoch, _: epochs.append(epoch)
    )
    scores, maps = looked_at(model, scenes)
    assert epochs == list(range(13))
    assert mean_precision(scores, scenes.present_SL) > 0.9
    assert localisation(scenes.scenes, maps, scenes.present_SL)[0] > 0.8
    assert memory.averages_SL[scenes.present_SL].mean() > memory.averages_SL[~scenes.present_SL].mean() + 0.3


def test_that_the_same_seed_trains_the_same_weights():
    scenes = known(8)
    told = single_positives(scenes.present_SL, 0)
    first, second = classifier(), classifier()
    for model in (first, second):
        fit_classes(model, scenes, told, SHORT, num_expected=2, seed=3)
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


def test_that_painted_boxes_say_where_a_class_is_and_nothing_of_classes_that_are_not_there():
    scenes = known(3)
    painted = painted_boxes(scenes, 6)
    left = scenes.scenes[0].class_index[0]
    assert painted.value_BLWW[0, left, :, :3].eq(1).all()
    assert painted.value_BLWW[0, left, :, 3:].eq(0).all()
    assert painted.weight_BLWW.amax(dim=(2, 3)).bool().numpy().tolist() == scenes.present_SL.tolist()


@pytest.fixture
def results(monkeypatch):
    """A run of every arm on next to nothing, one seed."""
    scenes, test = known(8), known(6, seed=1)
    pseudo = np.where(scenes.present_SL, 0.9, 0.0).astype(np.float32)
    arms = {name: ARMS[name] for name in ("an", "en_scl_pseudo", "shipped")}
    found = {}
    for name, arm in arms.items():
        short = msgspec.structs.replace(arm.training, num_epochs=1, grid=6)
        monkeypatch.setattr(type(arm), "training", property(lambda _, value=short: value))
        run = run_arm(arm, classifier(), scenes, test, 0, pseudo_SL=pseudo, say=lambda _: None)
        found[name] = [{**run, "cpu_s": 1.0}] * 2
        monkeypatch.undo()
    return {name: found.get(name, found["an"]) for name in ARMS}


def test_that_the_tables_have_a_row_for_every_arm_and_every_strength_of_crops(results):
    story = dict.fromkeys(
        ("before", "by_class", "surest", "random", "by_class_right", "surest_right", "random_right"), 0.5
    )
    table = claims_table(results, [{**story, "right_100": 0.7, "right_200": 0.6}] * 2)
    assert all(f"| {arm.title} |" in table for arm in ARMS.values() if arm.title)
    assert all(f"\n| {scale} | " in table for scale in SWEEP)
    assert "nan" not in table
    card = classes_card(results, ARMS["shipped"].training, 3.0)
    assert "most" in card
    assert "nan" not in card


def test_that_arms_of_the_sweep_differ_from_their_own_in_the_crop_alone():
    for name in SWEPT:
        for scale in SWEEP:
            expected = msgspec.structs.replace(ARMS[name].training, min_scale=scale)
            assert ARMS[swept(name, scale)].training == expected


def test_that_answers_of_the_worklist_are_what_is_there_and_the_rest_stays_untold(monkeypatch):
    monkeypatch.setattr(
        multilabel_story, "STORY", msgspec.structs.replace(SHORT, loss="en", memory="maps", num_epochs=2)
    )
    monkeypatch.setattr(multilabel_story, "NUM_ASKED", 10)
    photos, trained = known(), []
    fit = multilabel_story.fit_classes

    def remembering(model, photos, told_SL, *rest, **more):
        trained.append(told_SL)
        return fit(model, photos, told_SL, *rest, **more)

    monkeypatch.setattr(multilabel_story, "fit_classes", remembering)
    found = multilabel_story.tell(classifier, photos, known(6, seed=1), 2, 0)
    before, *answers = trained
    assert len(answers) == 3
    for answered in answers:
        changed = answered != before
        assert changed.sum() == 10
        assert (answered[changed] == photos.present_SL[changed]).all()
    assert all(0 <= share <= 1 for share in found.values())


def test_that_turn_by_turn_the_surest_of_each_class_come_first():
    # Of three classes: rows 0 and 3 are of class 0, row 4 of class 1, row 5 of class 2.
    listed_P = np.array([3, 0, 5, 4])
    assert multilabel_story.turn_by_turn(listed_P, 3).tolist() == [3, 5, 4, 0]
    assert in_turns(listed_P, np.arange(6) % 3).tolist() == [3, 5, 4, 0]  # as the studio's worklist has it
