"""What a person is told before she retrains: counts, times, and what speaks against it."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from locstudio.domain.edits import Edit, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Origin, Problem, Region, Review
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.configs import ClocTraining
from locstudio.jobs.messages import Estimated, Progress, Saved, to_line
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.material import count_material
from locstudio.services.retrain_plan import RetrainChoice
from locstudio.services.retraining import (
    forget_run,
    guess,
    is_dry_run,
    measured,
    plan_retraining,
    start_comparison,
    start_dry_run,
    start_retraining,
    sweep_dry_runs,
)
from locstudio.services.runs import PRESETS, list_runs
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project
from locstudio.store.records import CheckpointRow, RunRow

BOX = UnitBox(0.1, 0.1, 0.5, 0.5)
SAID = Estimated(
    sequence=1, seconds=200.0, seconds_per_step=0.5, num_images_to_encode=9, memory_bytes=1_300_000_000, disk_bytes=140
)


def checkpoint_at(folder: Path, name: str) -> Path:
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    tower = {"model": "stand-in", "input_px": 32, "num_tokens": 17}
    (partial / "config.json").write_text(json.dumps({"name": name, "dim": 4, "token_width": 4, "tower": tower}))
    (partial / "weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (partial / "card.md").write_text("# fake\n")
    (partial / "metrics.json").write_text("{}")
    seal_checkpoint(partial, folder)
    return folder


@pytest.fixture
def project(tmp_path):
    made = create_project(tmp_path / "project")
    Dataset.create(made).close()
    return made


@pytest.fixture
def dataset(project, tmp_path):
    with Dataset.open(project) as dataset:
        root = dataset.add_root(tmp_path)
        images = [Image(0, root.id, f"{number}.png", 8, 8) for number in range(4)]
        dataset.add_images([*images, Image(0, root.id, "broken.png", 8, 8, problem=Problem.DAMAGED)])
        yield dataset


@pytest.fixture
def checkpoint(tmp_path):
    return checkpoint_at(tmp_path / "old", "old")


def add(dataset, image_id, phrase="a dog", **fields):
    fields = {"review": Review.ACCEPTED, "origin": Origin.HUMAN} | fields
    region = Region(dataset.next_region_id(), image_id, BOX, phrase, **fields)
    dataset.apply(Edit("Draw", (RegionChange(None, region),)))


def image_in(dataset, split):
    return dataset.add_images([Image(0, dataset.roots()[0].id, f"in_{split}.png", 8, 8, split=split)])[0]


# counting -------------------------------------------------------------------------------------------------------


def test_that_only_what_counts_as_true_and_has_words_is_learnt_from(dataset):
    add(dataset, 1)
    add(dataset, 1, review=Review.PENDING, origin=Origin.IMPORTED)
    add(dataset, 2, phrase="  ")
    add(dataset, 2, review=Review.REJECTED)
    add(dataset, 3, review=Review.PENDING, origin=Origin.MODEL)
    add(dataset, 5)
    material = count_material(dataset)
    assert (material.num_regions, material.num_images) == (2, 1)
    assert (material.num_pending, material.num_unusable) == (1, 1)
    assert material.num_held_out is None


def test_that_pending_proposals_count_where_they_are_wanted(dataset):
    add(dataset, 3, review=Review.PENDING, origin=Origin.MODEL)
    material = count_material(dataset, include_pending=True)
    assert (material.num_regions, material.num_images) == (1, 1)


def test_that_the_first_split_with_ground_truth_is_held_out(dataset):
    add(dataset, image_in(dataset, "test"))
    add(dataset, image_in(dataset, "val"))
    add(dataset, 4)
    material = count_material(dataset)
    assert (material.held_out_split, material.num_held_out, material.num_regions) == ("val", 1, 3)


# choosing -------------------------------------------------------------------------------------------------------


def test_that_a_choice_of_steps_fits_warm_up_and_evaluations_to_them():
    training = RetrainChoice(num_steps=12).training()
    assert (training.num_steps, training.num_warmup_steps, training.evaluate_every) == (12, 3, 4)
    assert RetrainChoice(preset="standard").training().num_steps == PRESETS["standard"].num_steps
    assert RetrainChoice(has_text_filter=False).training().text_filter is None


# times ----------------------------------------------------------------------------------------------------------


def test_that_a_guess_without_earlier_runs_says_that_it_is_one():
    estimate = guess(ClocTraining(num_steps=100, batch_size=32), 50, [])
    assert estimate.source == "guess"
    assert guess(ClocTraining(num_steps=200, batch_size=32), 50, []).seconds > estimate.seconds


def test_that_a_guess_goes_by_the_last_run_with_batches_of_that_size(project, dataset, checkpoint):
    folder = start_retraining(project, dataset, checkpoint, RetrainChoice())
    num_steps, size = PRESETS["quick"].num_steps, PRESETS["quick"].batch_size
    progress = [
        Progress(
            sequence=step,
            step=step,
            num_steps=num_steps,
            images_per_second=4.0,
            seconds_left=2.0 * (num_steps - step),
            loss=1.0,
        )
        for step in range(1, 5)
    ]
    folder.events.write_bytes(b"".join(map(to_line, progress)))
    quick, other = RetrainChoice().training(), RetrainChoice(preset="standard").training()
    runs = list_runs(project)
    assert guess(quick, 0, runs).source == "earlier runs"
    assert guess(quick, 0, runs).seconds == pytest.approx(
        guess(quick, 0, []).seconds - num_steps * size * 0.016 + num_steps * 2.0
    )
    assert guess(other, 0, runs).source == "guess"


def test_that_what_was_measured_holds_for_another_number_of_steps():
    quick = RetrainChoice().training()
    assert measured(SAID, quick, quick).seconds == 200.0
    assert measured(SAID, quick, RetrainChoice(num_steps=quick.num_steps + 100).training()).seconds == 250.0
    assert measured(SAID, quick, quick).source == "measured"


# the plan -------------------------------------------------------------------------------------------------------


def test_that_a_plan_without_anything_to_learn_from_says_what_to_do(project, dataset, checkpoint):
    plan = plan_retraining(project, dataset, checkpoint, RetrainChoice())
    assert plan.parent == "old"
    assert plan.problems[0].startswith("There is nothing to learn from yet")


def test_that_a_plan_without_a_model_cannot_start(project, dataset):
    add(dataset, 1)
    assert plan_retraining(project, dataset, None, RetrainChoice()).problems == (
        "This installation has no model to train from.",
    )


def test_that_a_plan_with_every_region_held_out_says_so(project, dataset, checkpoint):
    add(dataset, image_in(dataset, "val"))
    plan = plan_retraining(project, dataset, checkpoint, RetrainChoice())
    assert "“val”, which is measured and never learnt from" in plan.problems[0]


def test_that_a_full_disk_is_said_with_both_sizes(project, dataset, checkpoint, monkeypatch):
    add(dataset, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    plan = plan_retraining(project, dataset, checkpoint, RetrainChoice())
    assert plan.problems == ("Training needs 2.1 GB of free space; there are 1.0 GB. Make room, then retrain.",)


# runs -----------------------------------------------------------------------------------------------------------


def test_that_a_run_has_the_name_and_settings_that_were_chosen(project, dataset, checkpoint):
    choice = RetrainChoice(num_steps=12, seed=7, title="  after the birds ", include_pending=True)
    config = start_retraining(project, dataset, checkpoint, choice).config()
    assert (config.title, config.seed, config.cloc) == ("after the birds", 7, choice.training())
    assert start_retraining(project, dataset, checkpoint, RetrainChoice()).config().title == "Quick"


def test_that_dry_runs_left_behind_are_swept_and_others_are_not(project, dataset, checkpoint):
    dry = start_dry_run(project, dataset, checkpoint, RetrainChoice())
    real = start_retraining(project, dataset, checkpoint, RetrainChoice())
    assert is_dry_run(dry)
    assert not is_dry_run(real)
    sweep_dry_runs(project)
    assert [run.id for run in list_runs(project)] == [real.id]
    forget_run(real)
    assert list_runs(project) == []
    assert not is_dry_run(RunFolder(project.runs / "gone"))


def test_that_a_comparison_is_made_of_what_a_training_has_saved(project, dataset, checkpoint):
    folder = start_retraining(project, dataset, checkpoint, RetrainChoice())
    assert start_comparison(project, dataset, folder) is None
    checkpoint_at(folder.checkpoints / "step_8", "new")
    folder.events.write_bytes(to_line(Saved(sequence=0, step=8, path="checkpoints/step_8")))
    config = start_comparison(project, dataset, folder).config()
    assert config.kind == "compare"
    assert config.parent_run == config.compare.held_out == folder.id
    assert config.compare.new == str((folder.checkpoints / "step_8").resolve())
    row = next(row for row in dataset.checkpoints() if row.run_id == folder.id)
    assert not row.is_active
    dataset.activate_checkpoint(row.id)
    assert start_comparison(project, dataset, folder) is None


def test_that_settings_of_a_dry_run_are_those_of_the_run_it_stands_for(project, dataset, checkpoint):
    choice = RetrainChoice(num_steps=12)
    training = start_dry_run(project, dataset, checkpoint, choice).config().cloc
    assert msgspec.structs.replace(training, is_dry_run=False) == choice.training()


def test_that_a_plan_counts_corrections_only_where_it_is_known_what_the_model_has_seen(project, dataset, checkpoint):
    add(dataset, 1)
    assert plan_retraining(project, dataset, checkpoint, RetrainChoice()).num_newer is None
    folder = start_retraining(project, dataset, checkpoint, RetrainChoice())
    info = checkpoint_info(checkpoint)
    dataset.record_run(RunRow(folder.id, "cloc", revision=dataset.revision(), snapshot_sha256="ab" * 32))
    dataset.record_checkpoint(CheckpointRow(info.id, "cloc", info.name, str(checkpoint), run_id=folder.id))
    dataset.activate_checkpoint(info.id)
    assert plan_retraining(project, dataset, checkpoint, RetrainChoice()).num_newer == 0
    add(dataset, 1)
    assert plan_retraining(project, dataset, checkpoint, RetrainChoice()).num_newer == 1
