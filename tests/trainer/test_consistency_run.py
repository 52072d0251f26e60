"""Runs of the multi-label classifier: what they leave, and what a person's word changes."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from locstudio.domain.edits import ClassChange, CorrectionChange, Edit
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.heatmaps import Heatmaps, heatmaps_folder
from locstudio.jobs.messages import Estimated, Evaluated, Finished, Progress, Saved, Started
from locstudio.jobs.training_files import read_best, read_held_out
from locstudio.models.consistency_files import load_consistency
from trainer.__main__ import work
from trainer.checkpoint import step_folders
from trainer.class_paint import covered

sys.path.insert(0, str(Path(__file__).parent))
from classified import StopAfterStep, deny, everything_of, heat_of, messages, new_run, notes, say


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("trainer.hooks.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 0)
    monkeypatch.setattr("os.fsync", lambda _: None)  # of a few small images an epoch is over before the disk is


def test_that_a_run_leaves_a_checkpoint_and_heatmaps_of_every_image(label, tiny_classifier):
    labelled = label(9)
    folder = new_run(labelled, tiny_classifier)
    assert work(folder, None, lambda: False) == 0
    started = messages(folder, Started)[0]
    assert (started.num_images, started.num_regions, started.num_steps, started.steps_per_epoch) == (9, 9, 12, 3)
    progress = [m for m in messages(folder, Progress) if m.loss is not None]
    assert [m.step for m in progress] == list(range(1, 13))
    assert set(progress[0].parts) == {"classes", "consistency"}
    assert messages(folder, Saved)[-1].path == "checkpoints/step_12"
    assert isinstance(folder.last_event(), Finished)
    newest = folder.path / read_best(folder).path
    info = checkpoint_info(newest)
    assert (info.model, info.classes) == ("consistency", ("red", "green", "blue", "yellow"))
    assert info.parent == checkpoint_info(tiny_classifier).id
    heat = heat_of(folder)
    assert (heat.header.epoch, heat.header.num_epochs, heat.header.key_epochs) == (4, 4, (1, 4))
    assert heat.header.checkpoint_id == info.id
    assert heat.image_ids.tolist() == [image.id for image in labelled.images]
    for image in labelled.images:
        known = labelled.truth[image.id][0]
        assert heat.labels_NL[heat.rows[image.id], heat.positions[known]] == 1
        assert heat.scores_of(image.id, known).shape == (4,)
        assert len(heat.maps_of(image.id)) == 4
    assert "9 labels" in (newest / "card.md").read_text()
    again = load_consistency(newest)
    assert again.config.grid == 5


def test_that_a_new_model_on_the_packaged_tower_tells_what_is_there_and_where(paint):
    painted = paint(8)
    changes = {"num_epochs": 12, "learning_rate": 2e-2, "min_scale": 0.5, "grid": 8, "evaluate_every": 5}
    folder = new_run(painted, "", **changes)
    assert work(folder, None, lambda: False) == 0
    losses = [m.parts["classes"] for m in messages(folder, Progress) if m.loss is not None]
    assert np.mean(losses[-6:]) < 0.7 * np.mean(losses[:6])
    heat = heat_of(folder)
    there = heat.labels_NL == 1
    assert heat.averages_NL[there].mean() > heat.averages_NL[~there].mean() + 0.2
    inside, outside = [], []
    for region in painted.regions:
        map_WW = heat.map_of(region.image_id, region.class_id).astype(float)
        is_in = covered(np.array([region.box.as_tuple()], np.float32), 8) > 0.5
        inside.append(map_WW[is_in].mean())
        outside.append(map_WW[~is_in].mean())
    assert np.mean(inside) > np.mean(outside) + 25
    # Tokens lie where the CLOC model that ships with LocStudio would look for them.
    tokens = painted.project.cache / "tokens" / checkpoint_info(bundled_checkpoint()).id
    assert len(list(tokens.iterdir())) == 8
    model = load_consistency(step_folders(folder.checkpoints)[0])
    assert (model.config.width, model.config.cell_grid) == (192, 32)


def test_that_what_is_held_out_is_measured_and_not_learnt_from(label, tiny_classifier):
    labelled = label(15, splits=("", "", "", "", "val"), all_of_them=True)
    folder = new_run(labelled, tiny_classifier)
    assert work(folder, None, lambda: False) == 0
    held_out = read_held_out(folder)
    assert (held_out.split, len(held_out.image_ids), held_out.num_regions) == ("val", 3, 6)
    evaluated = messages(folder, Evaluated)
    assert [m.step for m in evaluated] == [0, 3, 6, 9, 12]
    assert all(set(m.metrics) == {"map"} for m in evaluated)
    best = read_best(folder)
    assert best.metric == "map"
    assert best.value == max(m.metrics["map"] for m in evaluated[1:])
    assert checkpoint_info(folder.path / best.path).metrics == {"map": best.value}
    heat = heat_of(folder)
    rows = [heat.rows[key] for key in held_out.image_ids]
    assert (heat.labels_NL[rows] == -1).all()
    assert (heat.averages_NL[rows] > 0).all()
    assert len(heat.maps_of(held_out.image_ids[0], epoch=4)) == 4


def test_that_images_without_a_label_have_heatmaps_too(label, tiny_classifier):
    labelled = label(8, num_labelled=5)
    folder = new_run(labelled, tiny_classifier)
    assert work(folder, None, lambda: False) == 0
    assert messages(folder, Started)[0].num_images == 5
    heat = heat_of(folder)
    rows = [heat.rows[image.id] for image in labelled.images[5:]]
    assert (heat.labels_NL[rows] == -1).all()
    assert (heat.maps_NKWW[rows].max(axis=(1, 2, 3)) > 0).all()


def test_that_one_class_is_learnt_with_a_sentence(label, tiny_classifier):
    labelled = label(4, num_labelled=0)
    first, *others = labelled.dataset.classes()
    changes = tuple(ClassChange(each, replace(each, is_retired=True)) for each in others)
    labelled.dataset.apply(Edit("Retire", changes))
    say(labelled.dataset, *(ImageLabel(image.id, first.id) for image in labelled.images[:3]))
    deny(labelled.dataset, labelled.images[3].id, first.id)
    folder = new_run(labelled, tiny_classifier)
    assert work(folder, None, lambda: False) == 0
    assert any("There is one class, red" in note for note in notes(folder))
    assert heat_of(folder).header.class_names == ("red",)


def test_that_classes_nobody_has_used_are_named_and_keep_what_the_checkpoint_knows(label, tiny_classifier):
    labelled = label(5, num_labelled=0)
    say(labelled.dataset, *(ImageLabel(image.id, 2 + at % 2) for at, image in enumerate(labelled.images)))
    folder = new_run(labelled, tiny_classifier, memory="none", flips=False, min_scale=1.0)
    assert work(folder, None, lambda: False) == 0
    assert any(
        "2 classes are known to be in no image that is learnt from: red, yellow" in note for note in notes(folder)
    )
    before, after = load_consistency(tiny_classifier), load_consistency(step_folders(folder.checkpoints)[0])
    assert torch.allclose(before.head.bias[0], after.head.bias[0], atol=1e-3)
    assert (after.head.bias[1:3] - before.head.bias[1]).abs().min() > 1e-3


def test_that_a_denied_class_is_learnt_to_be_absent(label, tiny_classifier):
    labelled = label(8)
    image_id, class_id = labelled.images[0].id, labelled.truth[labelled.images[0].id][1]
    changes = {"num_epochs": 8, "learning_rate": 0.05, "num_warmup_epochs": 0, "num_expected": 3, "memory": "none"}
    runs = [new_run(labelled, tiny_classifier, **changes)]
    deny(labelled.dataset, image_id, class_id)
    runs.append(new_run(labelled, tiny_classifier, **changes))
    scores = []
    for folder in runs:
        assert work(folder, None, lambda: False) == 0
        scores.append(heat_of(folder).scores_of(image_id, class_id)[-1])
    assert scores[1] < scores[0] - 0.05


@pytest.mark.parametrize(("kind", "sign"), [(Evidence.ADD, 1), (Evidence.REMOVE, -1)])
def test_that_paint_draws_the_heat_of_the_next_run(label, tiny_classifier, kind, sign):
    labelled = label(6)
    image, class_id = labelled.images[1], labelled.truth[labelled.images[1].id][0]
    changes = {"num_epochs": 8, "learning_rate": 0.05, "min_scale": 1.0, "flips": False, "correction_weight": 20.0}
    runs = [new_run(labelled, tiny_classifier, **changes)]
    stroke = Stroke(((0.2, 0.2), (0.2, 0.8)), 0.15)
    correction = HeatCorrection(labelled.dataset.next_correction_id(), image.id, class_id, kind, (stroke,))
    labelled.dataset.apply(Edit("Paint", (CorrectionChange(None, correction),)))
    runs.append(new_run(labelled, tiny_classifier, **changes))
    heat = []
    for folder in runs:
        assert work(folder, None, lambda: False) == 0
        heat.append(heat_of(folder).map_of(image.id, class_id).astype(float)[:, 1].mean())
    assert sign * (heat[1] - heat[0]) > 3


def test_that_boxes_count_for_nothing_where_they_are_not_wanted(paint, label, tiny_classifier):
    boxed, plain = paint(6, name="boxed"), label(6, name="plain", all_of_them=True)
    runs = [
        new_run(boxed, tiny_classifier),
        new_run(boxed, tiny_classifier, boxes=0.0),
        new_run(plain, tiny_classifier),
    ]
    for folder in runs:
        assert work(folder, None, lambda: False) == 0
    with_boxes, *without = (everything_of(folder) for folder in runs)
    assert without[0] == without[1] != with_boxes


def test_that_a_run_goes_on_from_what_an_earlier_one_remembers(label, tiny_classifier):
    labelled = label(6)
    first = new_run(labelled, tiny_classifier)
    assert work(first, None, lambda: False) == 0
    known = heatmaps_folder(first.results)
    second = new_run(labelled, tiny_classifier, known=str(known), momentum=1.0, num_epochs=1, num_warmup_epochs=9)
    lost = new_run(labelled, tiny_classifier, known=str(known) + " gone", num_epochs=1)
    for folder in (second, lost):
        assert work(folder, None, lambda: False) == 0
    before, after = Heatmaps.open(known), heat_of(second)
    assert np.array_equal(before.averages_NL, after.averages_NL)
    assert np.array_equal(before.maps_NKWW, after.maps_NKWW)
    assert any("There are no heatmaps" in note and "begins without them" in note for note in notes(lost))


def test_that_few_maps_are_kept_of_many_classes(label, tiny_classifier):
    labelled = label(6)
    folder = new_run(labelled, tiny_classifier, max_dense_classes=3, num_slots=2)
    assert work(folder, None, lambda: False) == 0
    heat = heat_of(folder)
    assert heat.header.num_slots == 2
    for image in labelled.images:
        kept = heat.maps_of(image.id)
        assert len(kept) == 2
        assert labelled.truth[image.id][0] in kept


@pytest.mark.parametrize("checkpoint", ["", "tiny"])
def test_that_a_backbone_learns_from_views_of_the_pixels(label, tiny_classifier, checkpoint):
    labelled = label(6, splits=("", "", "val"))
    training = {"trains": "all", "num_epochs": 2, "backbone": "test_resnet", "min_scale": 0.5}
    whole, broken = (
        new_run(labelled, tiny_classifier if checkpoint else "", batch_size=2, **training) for _ in range(2)
    )
    assert work(whole, None, lambda: False) == 0
    assert work(broken, None, StopAfterStep(broken, 3)) == 0
    assert work(broken, None, lambda: False) == 0
    assert everything_of(broken) == everything_of(whole)
    model = load_consistency(step_folders(whole.checkpoints)[0])
    assert model.config.trains == "all"
    if checkpoint:
        before = load_consistency(tiny_classifier)
        changed = [
            name
            for name, value in model.backbone.named_parameters()
            if not torch.equal(value, dict(before.backbone.named_parameters())[name])
        ]
        assert len(changed) > 5
    else:
        assert any("begins with random weights" in note for note in notes(whole))
    assert heat_of(whole).maps_NKWW.max() > 0


def test_that_a_single_positive_is_learnt_from_where_the_protocol_asks_for_it(label, tiny_classifier):
    labelled = label(6, all_of_them=True)
    folder = new_run(labelled, tiny_classifier, keeps_one=True, num_epochs=1)
    assert work(folder, None, lambda: False) == 0
    assert messages(folder, Started)[0].num_regions == 6
    heat = heat_of(folder)
    assert ((heat.labels_NL == 1).sum(axis=1) == 1).all()
    assert (heat.labels_NL == 0).sum() == 0


def test_that_a_dry_run_says_what_the_run_would_take_and_leaves_nothing(label, tiny_classifier):
    labelled = label(12, splits=("", "", "", "", "val"))
    folder = new_run(labelled, tiny_classifier, is_dry_run=True)
    assert work(folder, None, lambda: False) == 0
    (estimated,) = messages(folder, Estimated)
    assert estimated.seconds > estimated.seconds_per_step * 12 > 0
    assert estimated.num_images_to_encode == 12
    assert estimated.memory_bytes > 0
    assert estimated.disk_bytes > 12 * 4 * 25
    assert not list(folder.checkpoints.iterdir())
    assert not list(folder.results.iterdir())
    assert not list(labelled.project.cache.rglob("*.npy"))
    assert work(new_run(labelled, tiny_classifier), None, lambda: False) == 0
    again = new_run(labelled, tiny_classifier, is_dry_run=True)
    assert work(again, None, lambda: False) == 0
    assert messages(again, Estimated)[0].num_images_to_encode == 0
    pixels = new_run(labelled, tiny_classifier, is_dry_run=True, trains="all")
    assert work(pixels, None, lambda: False) == 0
    assert messages(pixels, Estimated)[0].num_images_to_encode == 0
