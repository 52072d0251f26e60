"""Runs that train experts: what they leave, what a person's word changes, and what else may be asked of them."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from locstudio.domain.edits import ClassChange, Edit
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.class_results import read_class_results
from locstudio.jobs.configs import Comparison, Evaluation, Route, RunConfig
from locstudio.jobs.confusions import has_confusion, read_confusion
from locstudio.jobs.messages import Estimated, Evaluated, Finished, Progress, Saved, Started
from locstudio.jobs.predictions import read_gate
from locstudio.jobs.routing import read_routing
from locstudio.jobs.training_files import read_best, read_history
from locstudio.models.mobile_vmoe_files import load_vmoe

sys.path.insert(0, str(Path(__file__).parent))
from classified import failed, messages, notes
from routed import done, group, made, new_run


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("trainer.hooks.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 0)
    monkeypatch.setattr("os.fsync", lambda _: None)  # of a few small images an epoch is over before the disk is


def best_of(folder):
    return folder.path / read_best(folder).path


def test_that_a_run_leaves_a_twin_superclasses_experts_and_where_every_image_went(label):
    labelled = label(30, splits=("", "", "", "", "val"), num_labelled=29)
    folder = done(new_run(labelled))
    started = messages(folder, Started)[0]
    # 24 images to learn from, 4 steps an epoch, 2 epochs of the twin and 3 of the experts.
    assert (started.num_images, started.num_steps, started.steps_per_epoch) == (24, 20, 4)
    progress = [m for m in messages(folder, Progress) if m.loss is not None]
    assert [m.step for m in progress] == list(range(1, 21))
    assert [set(m.parts) for m in (progress[0], progress[-1])] == [{"dense"}, {"class", "router"}]
    evaluated = messages(folder, Evaluated)
    assert [m.step for m in evaluated] == [4, 8, 12, 16, 20]
    assert set(evaluated[0].metrics) == {"dense_top1"}
    names = {"top1", "superclass_top1", "router_accuracy", "margin", "dead_experts", "expert_1", "expert_2"}
    assert set(evaluated[-1].metrics) == names
    assert [m.path for m in messages(folder, Saved)] == [f"checkpoints/step_{step}" for step in (12, 16, 20)]
    assert isinstance(folder.last_event(), Finished)
    confusion = read_confusion(folder.results)
    assert (confusion.header.origin, sorted(np.bincount(confusion.header.group_of))) == ("clusters", [2, 2])
    assert confusion.header.dense_top1 == evaluated[1].metrics["dense_top1"]
    assert confusion.header.moe_top1 == read_best(folder).value
    assert confusion.counts.sum() == pytest.approx(confusion.header.num_images, rel=1e-3)
    info = checkpoint_info(best_of(folder))
    assert (info.model, info.num_experts, info.superclasses) == ("vmoe", 2, confusion.header.group_names)
    assert "## Experts" in (best_of(folder) / "card.md").read_text()
    table = read_routing(folder.results)
    # The best checkpoint has made the table, and its epoch is the table's.
    epoch = (read_best(folder).step - 8) // 4
    assert (table.header.checkpoint_id, table.header.epoch, table.header.num_epochs) == (info.id, epoch, 3)
    assert [one.epoch for one in table.header.epochs] == [1, 2, 3]
    assert table.header.epochs[-1].top1 == evaluated[-1].metrics["top1"]
    assert table.image_ids.tolist() == [image.id for image in labelled.images]
    assert table.held_out.sum() == 6  # those in the split, one of them without a label
    assert (table.truth[-1], table.superclasses[-1]) == (-1, -1)
    ids = np.array(table.header.class_ids)
    assert [labelled.truth[image.id][0] for image in labelled.images[:-1]] == ids[table.truth[:-1]].tolist()
    assert np.allclose(table.probabilities.astype(float).sum(axis=2), 1, atol=2e-3)


def test_that_superclasses_of_a_person_are_used_as_the_run_found_them(label):
    labelled = label(16)
    ids = group(labelled.dataset, warm=["red", "yellow"], cold=["green", "blue"])
    folder = new_run(labelled, num_experts=0)
    red = labelled.dataset.classes()[0]
    labelled.dataset.apply(Edit("Move", (ClassChange(red, replace(red, superclass_id=ids["cold"])),)))
    done(folder)
    header = read_confusion(folder.results).header
    assert (header.group_names, header.group_of, header.origin) == (("warm", "cold"), (0, 1, 1, 0), "person")
    assert load_vmoe(best_of(folder)).config.superclass_of == (0, 1, 1, 0)
    assert "Superclasses: the project's 2 as they were when the run was made." in notes(folder)
    assert labelled.dataset.classes()[0].superclass_id == ids["cold"]
    again = done(new_run(labelled, num_experts=0, num_epochs=1, num_dense_epochs=1))
    assert read_confusion(again.results).header.group_of == (1, 1, 1, 0)


@pytest.mark.parametrize("routing", ["image", "token", "random", "oracle", "dense"])
def test_that_every_way_to_choose_an_expert_can_be_trained(label, routing):
    changes = {"num_epochs": 1, "num_dense_epochs": 1, "num_active": 2, "num_moe_layers": 2}
    folder = done(new_run(label(16, splits=("", "val")), routing=routing, **changes))
    parts = [m.parts for m in messages(folder, Progress) if m.loss is not None]
    is_balanced = routing in ("image", "token")
    expected = {"class", "balance"} if is_balanced else {"dense" if routing == "dense" else "class"}
    assert set(parts[-1]) == expected
    metrics = messages(folder, Evaluated)[-1].metrics
    if routing == "dense":
        assert not has_confusion(folder.results)
        assert set(metrics) == {"top1"}
        return
    table = read_routing(folder.results)
    assert table.probabilities.shape == (16, 2 if routing == "token" else 1, 2)
    assert table.header.superclass_names == read_confusion(folder.results).header.group_names
    assert ("router_accuracy" in metrics) == (routing == "oracle")
    if routing == "oracle":
        assert metrics["router_accuracy"] == 1.0


def test_that_two_images_are_enough_and_a_class_without_any_is_told(label):
    folder = done(new_run(label(2), num_epochs=1, num_dense_epochs=1))
    said = " ".join(notes(folder))
    assert "2 classes are shown by no image that is learnt from, and will hardly be named: blue, yellow." in said
    assert len(read_routing(folder.results)) == 2


def test_that_an_image_that_cannot_be_read_is_told_and_left_out(label):
    labelled = label(14, num_labelled=12)
    for number in (3, 13):
        (Path(labelled.dataset.roots()[0].path) / labelled.images[number].path).write_bytes(b"no picture")
    folder = done(new_run(labelled, num_epochs=1, num_dense_epochs=1))
    assert sum("003.png" in text or "013.png" in text for text in notes(folder)) == 2
    assert len(read_routing(folder.results)) == 12
    for image in labelled.images:
        (Path(labelled.dataset.roots()[0].path) / image.path).write_bytes(b"no picture")
    assert "None of the images with a class can be read" in failed(new_run(labelled))


def test_that_a_run_goes_on_from_experts_and_matches_classes_by_name(label):
    labelled = label(16, splits=("", "", "", "val"))
    first = done(new_run(labelled))
    classes = labelled.dataset.classes()
    pink = replace(classes[3], name="pink")
    labelled.dataset.apply(Edit("Rename", (ClassChange(classes[3], pink),)))
    second = done(new_run(labelled, checkpoint=best_of(first), num_epochs=1, num_experts=0))
    (said,) = [text for text in notes(second) if "other classes" in text]
    assert "3 of the 4 are matched by name; 1 begin anew (pink); 1 of its own are left out (yellow)" in said
    assert "router_accuracy" in read_history(second).before  # what the experts can do before they learn again
    info = checkpoint_info(best_of(second))
    assert info.parent == checkpoint_info(best_of(first)).id
    assert info.superclasses == checkpoint_info(best_of(first)).superclasses
    assert messages(second, Started)[0].num_steps == 2  # there is no twin


def test_that_what_cannot_be_trained_is_said_before_anything_is_done(label, tiny_classifier):
    labelled = label(8)
    assert "of 3 layers 1 to 2 can have experts, not 3" in failed(new_run(labelled, num_moe_layers=3))
    assert "let it learn for an epoch or more" in failed(new_run(labelled, num_dense_epochs=0))
    assert "names the classes of images" in failed(new_run(labelled, checkpoint=tiny_classifier))
    one = label(6, name="one", num_labelled=1)
    assert "there is nothing to tell apart" in failed(new_run(one))


def test_that_a_dry_run_says_how_long_it_would_take_and_leaves_nothing(label):
    folder = done(new_run(label(16), is_dry_run=True))
    (said,) = messages(folder, Estimated)
    assert said.seconds > said.seconds_per_step > 0
    assert (said.num_images_to_encode, said.memory_bytes > 0, said.disk_bytes > 0) == (0, True, True)
    assert not list(folder.checkpoints.iterdir())
    assert not list(folder.results.iterdir())


def test_that_cells_of_the_packaged_tower_are_computed_once(label, monkeypatch):
    labelled = label(6)
    changes = {"trains": "head", "input_px": 0, "num_epochs": 1, "num_dense_epochs": 1}
    first = done(new_run(labelled, **changes))
    cells = labelled.project.cache / "tokens" / "cells-locstudio-lite-224-7"
    assert len(list(cells.iterdir())) == 6
    assert checkpoint_info(best_of(first)).token_grid == 7
    monkeypatch.setattr("locstudio.models.mobile_vmoe.MobileVmoe.cells", None)
    second = done(new_run(labelled, **changes))
    assert read_routing(second.results).scores.tobytes() == read_routing(first.results).scores.tobytes()


@pytest.fixture
def trained(label):
    """A project of images, some held out, and a run that is over."""
    labelled = label(20, splits=("", "", "", "val"))
    return labelled, done(new_run(labelled, num_epochs=2, num_dense_epochs=1))


def config_of(kind, checkpoint, **parts):
    return RunConfig(kind=kind, checkpoint=str(checkpoint), device="cpu", num_threads=1, **parts)


def test_that_routing_says_of_every_image_what_the_training_has_said(trained):
    labelled, first = trained
    folder = done(made(labelled, config_of("route", best_of(first), route=Route())))
    table, known = read_routing(folder.results), read_routing(first.results)
    assert (table.header.epoch, table.header.run_id, len(table)) == (0, folder.id, 20)
    assert table.experts.tolist() == known.experts.tolist()
    assert table.truth.tolist() == known.truth.tolist()
    some = tuple(image.id for image in labelled.images[:3])
    few = done(made(labelled, config_of("route", best_of(first), route=Route(image_ids=some))))
    assert set(some) <= set(read_routing(few.results).image_ids.tolist())
    dense = next((first.checkpoints / "dense").glob("step_*"))
    assert "has no experts, so nothing is routed" in failed(made(labelled, config_of("route", dense, route=Route())))


def test_that_an_evaluation_tells_each_class_and_what_was_taken_for_what(trained):
    labelled, first = trained
    evaluation = Evaluation(task="classes", held_out=first.id)
    folder = done(made(labelled, config_of("evaluate", best_of(first), evaluate=evaluation)))
    results = read_class_results(folder.results / "predictions")
    assert (results.num_images, results.num_held_out) == (5, 5)
    assert results.metrics["top1"] == pytest.approx(read_best(first).value)
    hits = sum(line.top1 * line.num_positives for line in results.classes if line.top1 is not None)
    assert hits == pytest.approx(results.metrics["top1"] * 5)
    assert read_confusion(folder.results).counts.sum() == pytest.approx(5, rel=1e-3)
    assert len(read_routing(folder.results)) == 5
    nothing = config_of("evaluate", best_of(first), evaluate=Evaluation(task="classes", split="other"))
    assert "no image in the split 'other' of which a class is known" in failed(made(labelled, nothing))


def test_that_a_comparison_decides_by_what_is_held_out_and_tells_what_moved(trained):
    labelled, first = trained
    other = done(new_run(labelled, num_epochs=1, num_dense_epochs=1, seed=5))
    comparison = Comparison(new=str(best_of(other)), held_out=other.id, margin=1.0)
    folder = done(made(labelled, config_of("compare", best_of(first), compare=comparison)))
    gate = read_gate(folder.results)
    assert gate.passed
    checks = {check.name: check for check in gate.checks}
    assert checks["metric"].old == pytest.approx(read_best(first).value)
    assert checks["metric"].new == pytest.approx(read_best(other).value)
    assert "of the images went to another expert" in checks["routing"].sentence
    assert len(read_routing(folder.results / "old")) == len(read_routing(folder.results / "new")) == 5
    same = Comparison(new=str(best_of(first)), held_out=first.id)
    again = read_gate(done(made(labelled, config_of("compare", best_of(first), compare=same))).results)
    assert (again.passed, again.checks[-1].new) == (True, 0.0)
