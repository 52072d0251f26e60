"""What is held out, what is measured on it, which checkpoint is the best, and what is said of a project that lacks."""

from dataclasses import replace

import msgspec
import pytest

from locstudio.domain.edits import ClassChange, Edit, RegionChange
from locstudio.domain.regions import LabelClass, Origin, Review
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.messages import Evaluated, Failed, Finished, Note, Sampled, Saved, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import HeldOut, read_best, read_held_out, read_history, read_samples
from trainer.__main__ import work
from trainer.checkpoint import step_folders
from trainer.data import read_training_images
from trainer.holding_out import choose_held_out, is_drawn
from trainer.recipes.cloc_measuring import measured_ids
from trainer.samples import choose_samples

TRAINING = ClocTraining(num_steps=6, batch_size=4, regions_per_image=2, num_warmup_steps=2, evaluate_every=2)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("trainer.hooks.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 0)


def new_run(painted, checkpoint, **changes):
    training = msgspec.structs.replace(TRAINING, **changes)
    config = RunConfig(kind="cloc", checkpoint=str(checkpoint), device="cpu", num_threads=1, seed=3, cloc=training)
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder


def notes(folder):
    return [message.text for message in folder.read_events() if isinstance(message, Note)]


def test_that_a_named_split_is_what_is_held_out(paint):
    held_out = choose_held_out(paint(6, splits=("train", "val", "test")).dataset, 0.5)
    assert (held_out.split, len(held_out.image_ids), held_out.num_regions) == ("val", 2, 4)


def test_that_without_a_split_the_same_images_are_held_out_whatever_is_added(paint):
    few, many = paint(20, name="few"), paint(40, name="many")
    first, second = (choose_held_out(painted.dataset, 0.3) for painted in (few, many))
    assert first.split == second.split == ""
    assert first.num_regions == 2 * len(first.image_ids) >= 8
    names = [
        {image.path for image in painted.images if image.id in held_out.image_ids}
        for painted, held_out in ((few, first), (many, second))
    ]
    assert names[0] == names[1] & {image.path for image in few.images}
    assert 4 <= len(names[1]) <= 20


def test_that_copies_of_an_image_are_on_one_side(paint):
    (image,) = paint(1).images
    copies = [replace(image, path=f"{name}.png", sha256="ab" * 32) for name in "abcdef"]
    assert len({is_drawn(copy, 0.5) for copy in copies}) == 1


def test_that_a_project_too_small_to_spare_any_holds_nothing_out(paint):
    assert choose_held_out(paint(5).dataset, 0.2) == HeldOut()
    assert choose_held_out(paint(5, name="all").dataset, 1.0) == HeldOut()  # nothing would be left to learn
    assert choose_held_out(paint(20, name="asked").dataset, 0.0) == HeldOut()


def test_that_a_run_neither_learns_nor_counts_what_it_holds_out_and_says_what_that_is(paint, tiny_checkpoint):
    painted = paint(24)
    folder = new_run(painted, tiny_checkpoint, hold_out=0.4)
    assert work(folder, None, lambda: False) == 0
    held_out = read_held_out(folder)
    started = next(message for message in folder.read_events() if isinstance(message, Started))
    assert started.num_held_out == held_out.num_regions >= 8
    assert started.num_images == 24 - len(held_out.image_ids)
    assert started.steps_per_epoch == started.num_images // 4
    learnt = read_training_images(painted.dataset, held_out=held_out.image_ids)
    assert not {image.image.id for image in learnt} & set(held_out.image_ids)
    assert len(learnt) == started.num_images


def test_that_the_best_checkpoint_is_kept_named_and_embedded(paint, tiny_checkpoint, monkeypatch):
    measured = iter([0.1, 0.9, 0.5, 0.2, 0.3, 0.4, 0.3])
    monkeypatch.setattr(
        "trainer.recipes.cloc_measuring.HeldOutMeasure.__call__",
        lambda self: {"top1": (value := next(measured)), "macc": value},
    )
    monkeypatch.setattr("trainer.recipes.cloc_loop.SAVE_EVERY", 2)
    folder = new_run(paint(8, splits=("train", "val")), tiny_checkpoint, num_steps=12)
    assert work(folder, None, lambda: False) == 0
    best = read_best(folder)
    assert (best.step, best.path, best.value) == (2, "checkpoints/step_2", 0.9)
    assert [path.name for path in step_folders(folder.checkpoints)] == ["step_12", "step_10", "step_2"]
    saved = {m.step for m in folder.read_events() if isinstance(m, Saved)}
    assert saved == {2, 4, 6, 8, 10, 12}
    info = checkpoint_info(folder.path / best.path)
    assert info.metrics == {"top1": 0.9, "macc": 0.9}
    RegionIndex.open(folder.results / "index", info.id).close()
    assert any("those of step 2" in note for note in notes(folder))


def test_that_the_best_step_is_saved_between_two_regular_ones(paint, tiny_checkpoint, monkeypatch):
    measured = iter([0.1, 0.2, 0.8, 0.3])
    monkeypatch.setattr(
        "trainer.recipes.cloc_measuring.HeldOutMeasure.__call__",
        lambda self: {"top1": (value := next(measured)), "macc": value},
    )
    folder = new_run(paint(8, splits=("train", "val")), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    assert [m.step for m in folder.read_events() if isinstance(m, Saved)] == [2, 4, 6]
    assert read_best(folder).step == 4


def test_that_without_a_measure_the_newest_checkpoint_is_the_best(paint, tiny_checkpoint):
    folder = new_run(paint(4), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    assert read_best(folder).step == 6
    assert read_best(folder).value is None
    assert [m for m in folder.read_events() if isinstance(m, Evaluated)] == []
    assert read_history(folder).before == {}
    assert any("nothing is measured" in note for note in notes(folder))
    assert checkpoint_info(folder.checkpoints / "step_6").metrics == {}


def test_that_a_run_measures_the_model_it_starts_from_and_remembers_every_measure(paint, tiny_checkpoint):
    folder = new_run(paint(8, splits=("train", "val")), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    evaluated = {m.step: m.metrics for m in folder.read_events() if isinstance(m, Evaluated)}
    assert sorted(evaluated) == [0, 2, 4, 6]
    history = read_history(folder)
    assert history.evaluations == evaluated
    assert history.before == evaluated[0]


def test_that_samples_are_of_the_same_regions_every_time(paint, tiny_checkpoint):
    painted = paint(30, splits=("train", "val", "val"))
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    said = [m for m in folder.read_events() if isinstance(m, Sampled)]
    assert [m.step for m in said] == [0, 2, 4, 6]
    samples = [read_samples(folder.path / message.path) for message in said]
    regions = [[(region.region_id, region.truth) for region in sample.regions] for sample in samples]
    assert regions[0] == regions[1] == regions[2] == regions[3]
    assert len(regions[0]) == 12
    of = {region.id: region for region in painted.regions}
    names = {label.id: label.name for label in painted.dataset.classes()}
    for region in samples[0].regions:
        assert region.box == of[region.region_id].box.as_tuple()
        assert region.truth == names[of[region.region_id].class_id]
        shares = [share for _, share in region.guesses]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1.001
        assert {name for name, _ in region.guesses} <= set(names.values())


def test_that_samples_show_every_name_before_any_name_twice(paint):
    painted = paint(40)
    held_out = choose_held_out(painted.dataset, 0.5)
    choice = choose_samples(painted.dataset, held_out)
    truths = [truth for image in choice.images for truth in image.truths]
    assert len(truths) == 12
    assert set(truths) == {"red", "green", "blue", "yellow"}
    assert len(choice.images) == 12


def test_that_regions_without_a_class_are_sampled_by_their_phrases(paint, tiny_checkpoint):
    painted = paint(8, splits=("train", "val"))
    changes = tuple(RegionChange(r, replace(r, class_id=None)) for r in painted.regions)
    painted.dataset.apply(Edit("No classes", changes))
    folder = new_run(painted, tiny_checkpoint, num_steps=2)
    assert work(folder, None, lambda: False) == 0
    (message, *_) = [m for m in folder.read_events() if isinstance(m, Sampled)]
    assert all(region.truth.startswith("a ") for region in read_samples(folder.path / message.path).regions)


def edit_regions(painted, **values):
    changes = tuple(RegionChange(region, replace(region, **values)) for region in painted.regions)
    painted.dataset.apply(Edit("Change regions", changes))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"review": Review.REJECTED, "origin": Origin.MODEL}, "All 8 proposed regions are rejected"),
        ({"review": Review.PENDING, "origin": Origin.MODEL}, "8 proposals wait for a review"),
        ({"phrase": "", "class_id": None}, "describe some regions"),
    ],
)
def test_that_a_run_with_nothing_to_learn_says_what_is_missing(paint, tiny_checkpoint, values, sentence):
    painted = paint(4)
    edit_regions(painted, **values)
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, lambda: False) == 4
    assert isinstance(folder.last_event(), Failed)
    assert sentence in folder.last_event().sentence


def test_that_a_project_whose_only_words_are_held_out_says_so(paint, tiny_checkpoint):
    folder = new_run(paint(3, splits=("val",)), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 4
    assert "the split val, which is only measured" in folder.last_event().sentence


def test_that_one_image_is_enough_to_learn_from(paint, tiny_checkpoint):
    folder = new_run(paint(1), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    assert isinstance(folder.last_event(), Finished)


def test_that_regions_of_one_name_are_learnt_with_a_word_of_warning(paint, tiny_checkpoint):
    painted = paint(4)
    edit_regions(painted, phrase="a box", class_id=None)
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    assert any("nothing to tell apart" in note for note in notes(folder))


def test_that_classes_without_a_region_are_named(paint, tiny_checkpoint):
    painted = paint(4)
    empty = painted.dataset.next_class_id()
    label = LabelClass(empty, "violet", "#123456")
    painted.dataset.apply(Edit("Add class", (ClassChange(None, label),)))
    edit_regions(painted, phrase="")
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    assert "One class has no region to learn from: violet." in notes(folder)


def test_that_a_class_retired_during_training_changes_nothing_of_the_run(paint, tiny_checkpoint):
    painted = paint(8, splits=("train", "val"))
    first, second = (new_run(painted, tiny_checkpoint) for _ in range(2))
    assert work(first, None, lambda: False) == 0
    red = next(label for label in painted.dataset.classes() if label.name == "red")
    retired = replace(red, name="crimson", is_retired=True)

    def retire():
        if not next(label for label in painted.dataset.classes() if label.id == red.id).is_retired:
            painted.dataset.apply(Edit("Retire", (ClassChange(red, retired),)))
        return False

    assert work(second, None, retire) == 0
    ids = [checkpoint_info(run.path / read_best(run).path).id for run in (first, second)]
    assert ids[0] == ids[1]


def test_that_a_class_retired_before_training_names_nothing(paint, tiny_checkpoint):
    painted = paint(4)
    edit_regions(painted, phrase="")
    red = next(label for label in painted.dataset.classes() if label.name == "red")
    painted.dataset.apply(Edit("Retire", (ClassChange(red, replace(red, is_retired=True)),)))
    phrases = {phrase for image in read_training_images(painted.dataset) for phrase in image.phrases}
    assert phrases == {"green", "blue", "yellow"}


def test_that_of_many_held_out_images_some_are_measured_and_read_before_the_first_step(
    paint, tiny_checkpoint, monkeypatch
):
    monkeypatch.setattr("trainer.recipes.cloc_measuring.MAX_IMAGES", 3)
    painted = paint(12, splits=("train", "val"))
    held_out = choose_held_out(painted.dataset, 0.2)
    ids = measured_ids(held_out)
    assert len(ids) == 3
    assert ids == measured_ids(held_out)
    assert set(ids) < set(held_out.image_ids)
    folder = new_run(painted, tiny_checkpoint, num_steps=2)
    seen = []

    def stop_before_measuring():
        cached = len(list((painted.project.cache / "tokens").rglob("*.npy")))
        seen.append(cached)
        return cached == 9  # six that are learnt, three that are measured

    assert work(folder, None, stop_before_measuring) == 0
    assert folder.last_event().was_stopped
    assert max(seen) == 9
