"""Evaluation of classes counts what is known of images, and only that."""

import json

import msgspec
import numpy as np
import pytest
import torch

from locstudio.jobs.class_results import read_class_results
from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Evaluated, Failed, Note, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import HeldOut, held_out_file, write_document
from locstudio.media.square import load_square, load_stretched
from locstudio.models.consistency import Consistency
from locstudio.models.consistency_files import (
    backbone_classifier,
    load_consistency,
    new_consistency,
    save_consistency,
)
from trainer.__main__ import work
from trainer.class_precision import average_precision_of


def save_classifier(folder, classes, trains="head"):
    torch.manual_seed(0)
    config = backbone_classifier("test_resnet", name="tiny", classes=classes, input_px=64, width=16)
    model = new_consistency(msgspec.structs.replace(config, hidden=16, grid=5, trains=trains))
    with torch.no_grad():
        model.head.weight.normal_()
    save_consistency(model, folder, card="", metrics={})
    return folder


@pytest.fixture
def classifier(tmp_path):
    """Knows two of the colours, in an order of its own, and something else."""
    return save_classifier(tmp_path / "classifier", ("blue", "something else", "red"))


def evaluate(labelled, checkpoint, split="", held_out="", should_stop=lambda: False):
    wanted = Evaluation(task="multilabel", split=split, held_out=held_out)
    config = RunConfig(kind="evaluate", checkpoint=str(checkpoint), device="cpu", evaluate=wanted)
    folder = RunFolder.create(labelled.project.runs, config)
    labelled.dataset.snapshot(folder.snapshot)
    return folder, work(folder, None, should_stop)


def metrics_of(folder):
    return json.loads((folder.results / "metrics.json").read_text())


def said(folder, kind):
    return [message for message in folder.read_events() if isinstance(message, kind)]


@torch.inference_mode()
def scores_by_hand(labelled, checkpoint, images):
    model = load_consistency(checkpoint)
    found = {}
    for image in images:
        path = labelled.dataset.image_file(image)
        if model.config.trains == "all":
            cells = model.cells(model.preprocess(load_stretched(path, model.input_px))[None])
        else:
            tokens = model.encode_image(model.preprocess(load_square(path, model.input_px)[0])[None])
            cells = model.cells_of_tokens(tokens.half())
        scores = model.heat(cells, model.frame(image.width, image.height)[None])[1][0]
        found[image.id] = dict(zip(model.config.classes, scores.tolist(), strict=True))
    return found


def precision_by_hand(labelled, checkpoint, images, name):
    scores = scores_by_hand(labelled, checkpoint, images)
    class_id = next(each.id for each in labelled.dataset.classes() if each.name == name)
    is_there = np.array([class_id in labelled.truth[image.id] for image in images])
    return average_precision_of(np.array([scores[image.id][name] for image in images]), is_there)


@pytest.mark.parametrize("trains", ["head", "all"])
def test_that_the_mean_average_precision_is_what_asking_image_by_image_says(label, tmp_path, trains):
    labelled = label(6, all_of_them=True)
    classifier = save_classifier(tmp_path / "classifier", ("blue", "something else", "red"), trains)
    folder, status = evaluate(labelled, classifier)
    assert status == 0
    expected = {name: precision_by_hand(labelled, classifier, labelled.images, name) for name in ("red", "blue")}
    found = metrics_of(folder)
    assert (found.pop("task"), found.pop("split")) == ("multilabel", "")
    assert found == pytest.approx({"map": np.mean(list(expected.values())), "n": 6, "n_classes": 2})
    assert said(folder, Evaluated)[0].metrics == pytest.approx(found)
    results = read_class_results(folder.results / "predictions")
    assert {one.name: one.average_precision for one in results.classes} == pytest.approx(expected)
    assert results.checkpoint_id == load_consistency(classifier).id
    assert results.num_images == 6


def test_that_images_and_labels_are_counted(label, classifier):
    labelled = label(6, all_of_them=True, num_labelled=4)
    folder, _ = evaluate(labelled, classifier)
    results = read_class_results(folder.results / "predictions")
    known = labelled.images[:4]
    for one in results.classes:
        num_there = sum(one.class_id in labelled.truth[image.id] for image in known)
        assert (one.num_positives, one.num_negatives) == (num_there, 4 - num_there)
    started = said(folder, Started)[0]
    assert started.num_images == 4
    assert started.num_regions == sum(one.num_positives for one in results.classes)


def test_that_classes_the_checkpoint_does_not_know_are_named_and_left_out(label, classifier):
    labelled = label(6, all_of_them=True)
    folder, _ = evaluate(labelled, classifier)
    others = {each.name for each in labelled.dataset.classes()} - {"red", "blue"}
    assert others
    (note,) = [one.text for one in said(folder, Note) if "does not know" in one.text]
    assert all(name in note for name in others)
    assert {one.name for one in read_class_results(folder.results / "predictions").classes} == {"red", "blue"}


def test_that_a_checkpoint_that_knows_no_class_is_refused_with_what_to_do(label, tmp_path):
    stranger = save_classifier(tmp_path / "stranger", ("okapi",))
    folder, status = evaluate(label(4), stranger)
    assert status == 4
    assert "knows none of the" in said(folder, Failed)[0].sentence
    assert "Choose a checkpoint" in said(folder, Failed)[0].sentence


@pytest.mark.parametrize("split", ["", "val"])
def test_that_without_a_label_there_is_nothing_to_measure(label, classifier, split):
    labelled = label(4, num_labelled=0 if not split else 4)
    folder, status = evaluate(labelled, classifier, split)
    assert status == 4
    assert "nothing to measure" in said(folder, Failed)[0].sentence


def test_that_only_the_split_is_measured_and_said_to_be_unlearnt(label, classifier):
    labelled = label(6, splits=("train", "val"), all_of_them=True)
    folder, status = evaluate(labelled, classifier, "val")
    assert status == 0
    results = read_class_results(folder.results / "predictions")
    assert (results.split, results.num_images, results.num_held_out) == ("val", 3, 3)
    folder, _ = evaluate(labelled, classifier)
    results = read_class_results(folder.results / "predictions")
    assert (results.num_images, results.num_held_out) == (6, 3)


def test_that_only_what_a_run_held_out_is_measured(label, classifier):
    labelled = label(6, all_of_them=True)
    run = RunFolder.create(labelled.project.runs, RunConfig(kind="consistency", checkpoint="", device="cpu"))
    chosen = tuple(image.id for image in labelled.images[1:4])
    write_document(held_out_file(run), HeldOut(image_ids=chosen, num_regions=6))
    folder, status = evaluate(labelled, classifier, held_out=run.path.name)
    assert status == 0
    results = read_class_results(folder.results / "predictions")
    assert (results.num_images, results.num_held_out) == (3, 3)


def test_that_an_image_that_cannot_be_read_takes_no_part(label, classifier):
    labelled = label(5, all_of_them=True)
    labelled.dataset.image_file(labelled.images[2]).write_bytes(b"no picture")
    folder, status = evaluate(labelled, classifier)
    assert status == 0
    assert metrics_of(folder)["n"] == 4
    assert any(labelled.images[2].path in one.text for one in said(folder, Note))


def test_that_where_no_image_can_be_read_it_is_said(label, classifier):
    labelled = label(2)
    for image in labelled.images:
        labelled.dataset.image_file(image).unlink()
    folder, status = evaluate(labelled, classifier)
    assert status == 4
    assert "None of the labelled images can be read" in said(folder, Failed)[0].sentence


def test_that_a_second_evaluation_finds_the_tokens_of_the_first(label, classifier, monkeypatch):
    labelled = label(4, all_of_them=True)
    first = metrics_of(evaluate(labelled, classifier)[0])
    monkeypatch.setattr(Consistency, "encode_image", lambda *_: pytest.fail("encoded again"))
    assert metrics_of(evaluate(labelled, classifier)[0]) == first


def test_that_it_stops_between_images(label, classifier):
    asked = []

    def after_two():
        asked.append(1)
        return len(asked) > 2

    folder, _ = evaluate(label(6), classifier, should_stop=after_two)
    assert not (folder.results / "metrics.json").exists()


def test_that_a_model_of_regions_is_refused(label, tiny_checkpoint):
    folder, status = evaluate(label(4), tiny_checkpoint)
    assert status == 6
    assert "names regions; here one is needed that names the classes of images" in said(folder, Failed)[0].sentence
