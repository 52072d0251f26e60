"""Runs of the multi-label classifier: what they leave, how they go on, and what a person's word changes."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from locstudio.domain.edits import ClassChange, CorrectionChange, Edit
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.heatmaps import Heatmaps, heatmaps_folder
from locstudio.jobs.messages import Evaluated, Failed, Finished, Note, Progress, Saved, Started
from locstudio.jobs.training_files import read_best, read_held_out
from locstudio.models.consistency_files import load_consistency
from trainer.__main__ import work
from trainer.checkpoint import step_folders
from trainer.class_paint import covered

sys.path.insert(0, str(Path(__file__).parent))
from classified import deny, new_run, say


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("trainer.hooks.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 0)
    monkeypatch.setattr("os.fsync", lambda _: None)  # of a few small images an epoch is over before the disk is


class StopAfterStep:
    """Asks to stop once this step has been reported."""

    def __init__(self, folder, step):
        self.folder, self.step = folder, step

    def __call__(self):
        reached = [m.step for m in self.folder.read_events() if isinstance(m, Progress) and m.loss is not None]
        return bool(reached) and reached[-1] >= self.step


class Killed(BaseException):
    """Stands for kill -9: nothing of ours handles it."""


def killed_after(folder, step):
    reached = StopAfterStep(folder, step)

    def kill():
        if reached():
            raise Killed
        return False

    return kill


def messages(folder, kind):
    return [message for message in folder.read_events() if isinstance(message, kind)]


def notes(folder):
    return [message.text for message in messages(folder, Note)]


def heat_of(folder):
    return Heatmaps.open(heatmaps_folder(folder.results))


def everything_of(folder):
    """Weights and optimiser, and every byte of the memory that a reader or the next epoch sees."""
    newest = step_folders(folder.checkpoints)[0]
    state = {name: value.numpy().tobytes() for name, value in load_file(newest / "resume/state.safetensors").items()}
    heat = {path.name: path.read_bytes() for path in heatmaps_folder(folder.results).iterdir()}
    header = msgspec.json.decode(heat.pop("header.json"))
    header.pop("run_id")
    # The id is of the weights and the configuration, neither of which knows the run.
    return state | heat | {"header": header}


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


@pytest.mark.parametrize(
    "changes", [{}, {"num_slots": 2, "max_dense_classes": 3}, {"memory": "scores", "loss": "ll_r"}]
)
def test_that_a_resumed_run_ends_bitwise_where_an_unbroken_run_ends(label, tiny_classifier, monkeypatch, changes):
    monkeypatch.setattr("trainer.recipes.class_loop.SAVE_EVERY", 2)
    labelled = label(9, num_labelled=8, splits=("", "", "", "val"))
    whole, stopped, killed = (new_run(labelled, tiny_classifier, batch_size=2, **changes) for _ in range(3))
    assert work(whole, None, lambda: False) == 0
    assert work(stopped, None, StopAfterStep(stopped, 5)) == 0
    assert stopped.last_event().was_stopped
    with pytest.raises(Killed):
        work(killed, None, killed_after(killed, 8))
    for broken, first_step in ((stopped, 5), (killed, 8)):
        torch.manual_seed(1234)
        assert work(broken, None, lambda: False) == 0
        assert [m.first_step for m in messages(broken, Started)] == [0, first_step]
        assert everything_of(broken) == everything_of(whole)


def test_that_a_run_killed_after_its_memory_and_before_its_checkpoint_ends_where_an_unbroken_one_does(
    label, tiny_classifier, monkeypatch
):
    labelled = label(6)
    whole, killed = new_run(labelled, tiny_classifier), new_run(labelled, tiny_classifier)
    assert work(whole, None, lambda: False) == 0
    save = "trainer.recipes.class_loop.save_step"
    kept = __import__("trainer.checkpoint").checkpoint.save_step

    def dies(checkpoints, step, *values, **names):
        if step == 4:
            raise Killed
        return kept(checkpoints, step, *values, **names)

    with monkeypatch.context() as patch:
        patch.setattr(save, dies)
        with pytest.raises(Killed):
            work(killed, None, lambda: False)
    assert heat_of(killed).header.epoch == 2
    assert work(killed, None, lambda: False) == 0
    assert [m.first_step for m in messages(killed, Started)] == [0, 2]
    assert everything_of(killed) == everything_of(whole)


def test_that_a_run_goes_on_with_a_sentence_where_its_heatmaps_are_gone_or_of_another_epoch(label, tiny_classifier):
    labelled = label(6)
    gone, other = (new_run(labelled, tiny_classifier) for _ in range(2))
    for folder in (gone, other):
        assert work(folder, None, StopAfterStep(folder, 5)) == 0
    shutil.rmtree(heatmaps_folder(gone.results))
    newest = step_folders(other.checkpoints)[0] / "resume" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-9])
    shutil.rmtree(step_folders(other.checkpoints)[1])
    for folder in (gone, other):
        assert work(folder, None, lambda: False) == 0
        assert heat_of(folder).header.epoch == 4
    assert any("There are no heatmaps" in note and "remembers anew" in note for note in notes(gone))
    assert [m.first_step for m in messages(other, Started)] == [0, 0]


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


def test_that_an_image_that_cannot_be_read_is_said_and_left_out(label, tiny_classifier):
    labelled = label(6)
    (labelled.project.path.parent / "project images" / "002.png").write_bytes(b"no picture")
    folder = new_run(labelled, tiny_classifier)
    assert work(folder, None, lambda: False) == 0
    assert sum("002.png" in note for note in notes(folder)) == 1
    heat = heat_of(folder)
    gone = heat.rows[labelled.images[2].id]
    assert heat.scores_ENL[:, gone].max() == 0
    assert heat.averages_NL[gone].tolist() == [0, 0, 1, 0]  # what its label says, and nothing more
    assert heat.maps_NKWW[gone].max() == 0


def failed(folder):
    assert work(folder, None, lambda: False) != 0
    (message,) = messages(folder, Failed)
    return message.sentence


def test_that_a_project_that_says_nothing_of_classes_is_told_what_to_do(label, tiny_classifier):
    assert "No image has a class yet" in failed(new_run(label(3, num_labelled=0), tiny_classifier))
    labelled = label(4, name="all held out", splits=("val",))
    assert "lie in the split val" in failed(new_run(labelled, tiny_classifier))
    labelled = label(3, name="denied", num_labelled=0)
    deny(labelled.dataset, labelled.images[0].id, 1)
    assert "which classes images do not show" in failed(new_run(labelled, tiny_classifier))


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


@pytest.mark.slow
def test_that_a_run_whose_process_is_killed_goes_on_to_the_same_end(label, tiny_classifier):
    labelled = label(8)
    whole, killed = (new_run(labelled, tiny_classifier, num_epochs=8) for _ in range(2))
    assert work(whole, None, lambda: False) == 0
    program = "import sys; from trainer.__main__ import work; from pathlib import Path\n"
    program += "from locstudio.jobs.run_folder import RunFolder; import torch, trainer.hooks\n"
    program += "trainer.hooks.REPORT_SECONDS = 0.0; torch.set_num_threads(1)\n"
    program += "import trainer.recipes.train_cloc as recipe; recipe.MIN_FREE_BYTES = 0\n"
    program += "sys.exit(work(RunFolder(Path(sys.argv[1])), sys.stdout.buffer, lambda: False))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(killed.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    with process:
        for line in process.stdout:
            if b'"step":7,' in line:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not isinstance(killed.last_event(), Finished)
    assert work(killed, None, lambda: False) == 0
    assert everything_of(killed) == everything_of(whole)


def test_that_a_single_positive_is_learnt_from_where_the_protocol_asks_for_it(label, tiny_classifier):
    labelled = label(6, all_of_them=True)
    folder = new_run(labelled, tiny_classifier, keeps_one=True, num_epochs=1)
    assert work(folder, None, lambda: False) == 0
    assert messages(folder, Started)[0].num_regions == 6
    heat = heat_of(folder)
    assert ((heat.labels_NL == 1).sum(axis=1) == 1).all()
    assert (heat.labels_NL == 0).sum() == 0
