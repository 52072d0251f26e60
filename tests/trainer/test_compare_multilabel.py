"""A new model of classes takes the old one's place only if it loads, answers soundly and finds them no worse."""

import msgspec
import numpy as np
import pytest
import torch

from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.class_results import ClassPrecision, ClassResults, has_class_results, read_class_results
from locstudio.jobs.configs import Comparison, RunConfig
from locstudio.jobs.messages import Evaluated, Started
from locstudio.jobs.predictions import read_gate
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import HeldOut, held_out_file, write_document
from locstudio.models.consistency_files import backbone_classifier, new_consistency, save_consistency
from trainer.__main__ import work
from trainer.recipes.compare_multilabel import gate_checks


def results(num_images=20, **precisions):
    classes = tuple(
        ClassPrecision(class_id=number, name=name, num_positives=3, num_negatives=4, average_precision=value)
        for number, (name, value) in enumerate(precisions.items(), 1)
    )
    return ClassResults(checkpoint_id="consistency-1", name="it", num_images=num_images, classes=classes)


@pytest.mark.parametrize(
    ("now", "passed", "words"),
    [(0.62, True, "better"), (0.405, True, "as well"), (0.395, True, "as well"), (0.38, False, "worse")],
)
def test_that_the_mean_over_shared_classes_decides_within_the_margin(now, passed, words):
    old, new = results(dog=0.4, cat=0.4, bus=0.9), results(dog=now, cat=now, bird=0.1)
    metric, told = gate_checks(old, new, 0.01)
    assert (metric.passed, metric.old, metric.new) == (passed, pytest.approx(0.4), pytest.approx(now))
    assert f"It finds 2 classes in 20 held-out images {words}:" in metric.sentence
    assert told.passed
    assert "does not know bus" in told.sentence


def test_that_models_without_a_class_in_common_are_not_compared():
    (metric, _) = gate_checks(results(bus=0.9), results(dog=0.4, cat=0.6), 0.01)
    assert (metric.passed, metric.old, metric.new) == (True, None, 0.5)
    assert "knows none of the 2 classes" in metric.sentence


def test_that_nothing_decides_where_nothing_was_held_out_or_measured():
    (metric,) = gate_checks(results(dog=0.9), results(dog=0.2), 0.01, "Nothing was held out.")
    assert metric.passed
    assert "On images that were learnt from too it is 0.200 against 0.900." in metric.sentence
    (metric,) = gate_checks(results(dog=None), results(dog=None), 0.01)
    assert metric.passed
    assert "No class could be measured" in metric.sentence


def classifier(folder, classes, seed=0):
    torch.manual_seed(seed)
    config = backbone_classifier("test_resnet", name=folder.name, classes=classes, input_px=64, width=16)
    model = new_consistency(msgspec.structs.replace(config, hidden=16, grid=5))
    with torch.no_grad():
        model.head.weight.normal_()
    save_consistency(model, folder, card="", metrics={})
    return folder


@pytest.fixture
def old(tmp_path):
    return classifier(tmp_path / "old", ("blue", "red", "green"))


def compare(labelled, old, new, held_out="", should_stop=lambda: False):
    wanted = Comparison(new=str(new), held_out=held_out)
    config = RunConfig(kind="compare", checkpoint=str(old), device="cpu", compare=wanted)
    folder = RunFolder.create(labelled.project.runs, config)
    labelled.dataset.snapshot(folder.snapshot)
    return folder, work(folder, None, should_stop)


def test_that_a_model_may_take_the_place_of_its_equal_and_both_leave_their_numbers(label, old, tmp_path):
    labelled = label(6, splits=("train", "train", "val"))
    new = classifier(tmp_path / "new", ("blue", "red", "green"))
    folder, status = compare(labelled, old, new)
    gate = read_gate(folder.results)
    assert (status, gate.passed) == (0, True)
    assert (gate.old_id, gate.new_id) == (checkpoint_info(old).id, checkpoint_info(new).id)
    assert "in 2 held-out images as well" in gate.checks[-1].sentence
    before, after = (read_class_results(folder.results / side) for side in ("old", "new"))
    assert before.metrics == after.metrics
    assert set(after.metrics) == {"map", "map_all", "n", "n_classes"}
    assert (before.num_images, before.num_held_out) == (2, 2)
    (started,) = [message for message in folder.read_events() if isinstance(message, Started)]
    assert (started.num_images, started.num_steps) == (2, 4)
    assert any(isinstance(message, Evaluated) for message in folder.read_events())


def test_that_what_the_training_has_held_out_is_measured(label, old, tmp_path):
    labelled = label(6)
    trained = RunFolder.create(labelled.project.runs, RunConfig(kind="consistency", checkpoint=str(old)))
    wanted = tuple(image.id for image in labelled.images[:3])
    write_document(held_out_file(trained), HeldOut(image_ids=wanted, num_regions=3))
    folder, _ = compare(labelled, old, classifier(tmp_path / "new", ("red",)), held_out=trained.id)
    found = read_class_results(folder.results / "new")
    assert (found.num_images, [line.name for line in found.classes]) == (3, ["red"])
    before = read_class_results(folder.results / "old")
    (of_red,) = [line.average_precision for line in before.classes if line.name == "red"]
    assert before.metrics["map"] == pytest.approx(of_red)  # of the classes that both know
    assert before.metrics["map_all"] != before.metrics["map"]


def test_that_a_damaged_model_is_not_measured(label, old, tmp_path):
    broken = classifier(tmp_path / "broken", ("red",))
    (broken / "weights.safetensors").write_bytes(b"")
    folder, status = compare(label(3), old, broken)
    gate = read_gate(folder.results)
    assert (status, gate.passed, gate.new_id, gate.checks[0].name) == (0, False, "", "loads")
    assert not has_class_results(folder.results / "new")


def test_that_a_model_which_answers_with_no_numbers_is_not_measured(label, old, tmp_path, monkeypatch):
    def no_numbers(model, files, **_):
        yield [(file, np.full(len(model.config.classes), np.nan, np.float32)) for file in files]

    monkeypatch.setattr("trainer.recipes.compare_multilabel.scores_of", no_numbers)
    folder, status = compare(label(3), old, classifier(tmp_path / "new", ("red",)))
    gate = read_gate(folder.results)
    assert (status, gate.passed, gate.checks[-1].name) == (0, False, "answers")
    assert not has_class_results(folder.results / "new")


def test_that_a_project_without_a_label_compares_nothing(label, old, tmp_path):
    folder, status = compare(label(2, num_labelled=0), old, classifier(tmp_path / "new", ("red",)))
    gate = read_gate(folder.results)
    assert (status, gate.passed) == (0, True)
    assert "No image that could be measured has a class" in gate.checks[-1].sentence


def test_that_a_stopped_comparison_decides_nothing_and_goes_on_where_it_was(label, old, tmp_path):
    labelled = label(6)
    new = classifier(tmp_path / "new", ("red",), seed=1)
    asked = iter([False] * 1 + [True] * 99)
    folder, status = compare(labelled, old, new, should_stop=lambda: next(asked))
    assert (status, read_gate(folder.results)) == (0, None)
    assert work(folder, None, lambda: False) == 0
    assert read_gate(folder.results).new_id == checkpoint_info(new).id
