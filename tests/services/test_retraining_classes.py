"""What a person is told before she trains the classes and their heatmaps: counts, times, and what speaks against it."""

import shutil

import msgspec
import pytest

from locstudio.domain.edits import ClassChange, Edit, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Origin, Problem, Region, Review
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.messages import Estimated, Progress, Started, to_line
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.adoption import best_checkpoint
from locstudio.services.material import count_class_material
from locstudio.services.retrain_plan import ClassesChoice, RetrainChoice
from locstudio.services.retraining import (
    guess,
    is_dry_run,
    measured,
    plan_retraining,
    start_comparison,
    start_dry_run,
    start_retraining,
    sweep_dry_runs,
)
from locstudio.services.runs import list_runs
from locstudio.services.starting import CONSISTENCY_PRESETS

BOX = UnitBox(0.1, 0.1, 0.5, 0.5)
CHOICE = ClassesChoice()
SAID = Estimated(sequence=1, seconds=200.0, seconds_per_step=0.5, num_images_to_encode=9, memory_bytes=9, disk_bytes=8)


@pytest.fixture
def classes(dataset, tmp_path):
    """Two classes, four images and one that cannot be read; the ids of the classes."""
    root = dataset.add_root(tmp_path)
    images = [Image(0, root.id, f"{number}.png", 8, 8) for number in range(4)]
    dataset.add_images([*images, Image(0, root.id, "broken.png", 8, 8, problem=Problem.DAMAGED)])
    classes = [
        LabelClass(number, name, "#336699") for number, name in enumerate(("dog", "cat"), dataset.next_class_id())
    ]
    dataset.apply(Edit("Add classes", tuple(ClassChange(None, label) for label in classes)))
    return [label.id for label in classes]


def image_in(dataset, split):
    return dataset.add_images([Image(0, dataset.roots()[0].id, f"in_{split}.png", 8, 8, split=split)])[0]


def draw(dataset, image_id, class_id, **fields):
    fields = {"review": Review.ACCEPTED, "origin": Origin.HUMAN} | fields
    region = Region(dataset.next_region_id(), image_id, BOX, class_id=class_id, **fields)
    dataset.apply(Edit("Draw", (RegionChange(None, region),)))


def test_that_labels_and_true_regions_say_what_is_known_of_an_image(dataset, classes, make):
    dog, cat = classes
    make.label_image(dataset, 1, dog)
    make.label_image(dataset, 1, cat, "negative")
    draw(dataset, 1, dog)  # twice the same
    draw(dataset, 2, cat)
    draw(dataset, 2, dog, review=Review.PENDING, origin=Origin.MODEL)
    make.label_image(dataset, 3, dog, "unknown")
    make.label_image(dataset, 5, dog)  # cannot be read
    make.paint(dataset, 1, dog)
    material = count_class_material(dataset)
    assert (material.num_images, material.num_unlabelled, material.num_unusable) == (2, 2, 1)
    assert (material.num_positives, material.num_negatives, material.num_classes) == (2, 1, 2)
    assert (material.num_corrections, material.held_out_split, material.num_held_out) == (1, "", None)


def test_that_a_person_who_denies_a_class_is_believed_against_a_region(dataset, classes, make):
    draw(dataset, 1, classes[0])
    make.label_image(dataset, 1, classes[0], "negative")
    material = count_class_material(dataset)
    assert (material.num_positives, material.num_negatives) == (0, 1)


def test_that_a_split_of_the_project_is_told_in_images(dataset, classes, make):
    for image_id in (1, 2, image_in(dataset, "val")):
        make.label_image(dataset, image_id, classes[0])
    material = count_class_material(dataset)
    assert (material.held_out_split, material.num_held_out, material.num_images) == ("val", 1, 3)


def test_that_a_plan_says_what_is_learnt_from_and_why_it_cannot_begin(project, dataset, classes, first, make):
    plan = plan_retraining(project, dataset, first, CHOICE)
    assert len(plan.problems) == 1
    assert "no image is known to show a class" in plan.problems[0]
    make.label_image(dataset, image_in(dataset, "val"), classes[0])
    assert "Every labelled image lies in the split" in plan_retraining(project, dataset, first, CHOICE).problems[0]
    make.label_image(dataset, 1, classes[0])
    plan = plan_retraining(project, dataset, first, CHOICE)
    assert (plan.problems, plan.material.num_images, plan.estimate.source) == ((), 2, "guess")
    assert plan.parent != "first"  # that is the model of regions


def test_that_the_newest_heatmaps_can_be_gone_on_from(project, dataset, classes, first, make):
    assert plan_retraining(project, dataset, first, CHOICE).remembered == ""
    heat = make.write_heat(make.classes_run(project))
    make.classes_run(project)  # newer, and without
    assert plan_retraining(project, dataset, first, CHOICE).remembered == str(heat)
    assert plan_retraining(project, dataset, first, RetrainChoice()).remembered == ""


def test_that_few_epochs_have_few_to_warm_up_and_a_choice_wins_over_its_preset():
    training = ClassesChoice(num_epochs=5, loss="an", memory="none", min_scale=1.0, keeps_one=True).training()
    assert (training.num_epochs, training.num_warmup_epochs, training.num_ramp_epochs) == (5, 1, 1)
    assert (training.loss, training.memory, training.min_scale, training.keeps_one) == ("an", "none", 1.0, True)
    assert ClassesChoice(preset="standard").training().num_epochs == CONSISTENCY_PRESETS["standard"].num_epochs


def test_that_the_guess_follows_earlier_runs_of_the_same_kind(project, make):
    training = CHOICE.training()
    run = make.classes_run(project)
    config = msgspec.structs.replace(run.config(), consistency=training)
    timed = RunFolder.create(project.runs, config)
    report = Progress(sequence=0, step=10, num_steps=20, loss=1.0, images_per_second=9.0, seconds_left=5.0)
    timed.events.write_bytes(to_line(report))
    runs = list_runs(project)
    some, many = guess(training, 16, runs), guess(training, 160, runs)
    assert some.source == "earlier runs"
    steps = training.num_epochs * (160 - 16) // training.batch_size
    assert many.seconds - some.seconds == pytest.approx(steps * 0.5 + 144 * 0.12)
    assert guess(RetrainChoice().training(), 16, runs).source == "guess"


def test_that_a_measured_time_follows_the_number_of_epochs():
    started = Started(sequence=0, device="CPU", num_images=40, num_regions=40, num_steps=36, steps_per_epoch=3)
    short, long = ClassesChoice(num_epochs=12).training(), ClassesChoice(num_epochs=22).training()
    assert measured(SAID, short, short, started).seconds == 200
    assert measured(SAID, short, long, started).seconds == 200 + 10 * 3 * 0.5
    assert measured(SAID, short, long, started).memory_bytes == 9


def test_that_a_run_has_the_chosen_settings_and_a_dry_run_is_swept_away(project, dataset, classes):
    folder = start_retraining(project, dataset, None, ClassesChoice(num_epochs=4, seed=2))
    config = folder.config()
    assert (config.kind, config.title, config.seed) == ("consistency", "Heatmaps, quick", 2)
    assert config.consistency == ClassesChoice(num_epochs=4).training()
    dry = start_dry_run(project, dataset, None, CHOICE)
    assert [is_dry_run(run) for run in (folder, dry)] == [False, True]
    sweep_dry_runs(project)
    assert [run.id for run in list_runs(project)] == [folder.id]


def test_that_a_training_of_classes_is_compared_with_the_classes_in_use(project, dataset, tmp_path, monkeypatch, make):
    home = tmp_path / "assets"
    make.write_checkpoint(home / "checkpoints" / "cloc-lite", "cloc-lite")
    make.write_checkpoint(home / "checkpoints" / "consistency-lite", "consistency-lite", classes=["dog"])
    monkeypatch.setattr("locstudio.jobs.assets.assets_folder", lambda: home)
    run = make.classes_run(project)
    config = start_comparison(project, dataset, run).config()
    assert config.checkpoint == str(home / "checkpoints" / "consistency-lite")
    assert (config.compare.new, config.parent_run) == (str(best_checkpoint(run)), run.id)
    (row,) = dataset.checkpoints()
    assert (row.id, row.model) == (checkpoint_info(best_checkpoint(run)).id, "consistency")
    shutil.rmtree(home / "checkpoints" / "consistency-lite")
    assert start_comparison(project, dataset, run) is None  # there is nothing to compare with
