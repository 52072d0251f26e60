"""Evaluation counts what is true, and only that."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from locstudio.domain.edits import ClassChange, Edit, add_regions, change_regions
from locstudio.domain.geometry import Letterbox, UnitBox, iou_pairs
from locstudio.domain.regions import Origin, Region, Review
from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Evaluated, Failed
from locstudio.jobs.predictions import PredictionFolder
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import HeldOut, held_out_file, write_document
from locstudio.media.square import load_square
from locstudio.models.checkpoint import load_checkpoint
from trainer.__main__ import work
from trainer.data import is_ground_truth
from trainer.ground_truth import read_ground_truth
from trainer.metrics import naming_metrics, naming_ranks
from trainer.predicting import DETECTION_FLOOR, NUM_DETECTIONS


def evaluate(painted, checkpoint, task, split=""):
    evaluation = Evaluation(task=task, split=split)
    config = RunConfig(kind="evaluate", checkpoint=str(checkpoint), device="cpu", evaluate=evaluation)
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder, work(folder, None, lambda: False)


def metrics_of(folder):
    return json.loads((folder.results / "metrics.json").read_text())


def test_that_regions_are_named_as_asking_the_model_one_by_one_says(paint, tiny_checkpoint):
    painted = paint(5)
    folder, status = evaluate(painted, tiny_checkpoint, "regions")
    assert status == 0
    model = load_checkpoint(tiny_checkpoint)
    names = [label.name for label in painted.dataset.classes()]
    similarity, classes = [], []
    with torch.inference_mode():
        text = model.embed_texts(names).numpy()
        for region in painted.regions:
            image = painted.dataset.image(region.image_id)
            square, letterbox = load_square(painted.dataset.image_file(image), model.input_px)
            tokens = model.encode_image(model.preprocess(square)[None])[0].half()
            box = torch.from_numpy(letterbox.to_square(np.array([region.box.as_tuple()], np.float32)))
            similarity.append(model.embed_boxes(model.prepare(tokens), box).numpy()[0] @ text.T)
            classes.append([label.id for label in painted.dataset.classes()].index(region.class_id))
    rank, _ = naming_ranks(np.array(similarity), np.array(classes))
    expected = naming_metrics(rank, np.array(classes))
    found = metrics_of(folder)
    assert (found.pop("task"), found.pop("split"), found.pop("n")) == ("regions", "", 10)
    assert found == pytest.approx(expected)
    said = [message for message in folder.read_events() if isinstance(message, Evaluated)]
    assert said[0].metrics == {"n": 10, **found}


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("retrieval", {"r2t_r1", "r2t_r5", "r2t_r10", "t2r_r1", "t2r_r5", "t2r_r10"}),
        ("grounding", {"mean_iou", "hit50"}),
        ("images", {"i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"}),
        ("proposals", {"recall_24", "recall_100", "ar100", "ap50"}),
    ],
)
def test_that_each_task_gives_its_own_numbers(paint, tiny_checkpoint, task, names):
    folder, status = evaluate(paint(4), tiny_checkpoint, task)
    assert status == 0
    found = metrics_of(folder)
    assert set(found) == {"task", "split", "n"} | names
    assert found["n"] == (4 if task == "images" else 8)  # two regions an image, each with a phrase of its own
    assert all(0 <= found[name] <= 1 for name in names)


def test_that_all_tasks_at_once_give_the_numbers_of_each_alone(paint, tiny_checkpoint):
    painted = paint(5)
    together = metrics_of(evaluate(painted, tiny_checkpoint, "all")[0])
    for task in ("regions", "retrieval", "grounding", "images"):
        alone = metrics_of(evaluate(painted, tiny_checkpoint, task)[0])
        del alone["task"], alone["split"]
        assert together.pop(f"n_{task}") == alone.pop("n")
        assert {name: together.pop(name) for name in alone} == pytest.approx(alone)
    assert together == {"task": "all", "split": ""}


def test_that_the_numbers_are_those_of_the_regions_that_are_kept(paint, tiny_checkpoint):
    folder, _ = evaluate(paint(5), tiny_checkpoint, "all")
    metrics, found = metrics_of(folder), PredictionFolder(folder.results / "predictions").read()
    assert found.summary.metrics == {name: metrics[name] for name in found.summary.metrics}
    regions = found.regions
    assert metrics["top1"] == pytest.approx((regions.found_rows == regions.true_rows).mean())
    assert ((regions.ranks == 0) == (regions.found_rows == regions.true_rows)).all()
    assert metrics["mean_iou"] == pytest.approx(iou_pairs(found.grounding.found, found.grounding.true_boxes).mean())
    names = [name for _, name in found.classes]
    assert [found.phrases[row] for row in found.retrieval.phrase_rows] == [
        f"a {names[row]} box" for row in regions.true_rows
    ]
    assert found.retrieval.region_ids.tolist() == regions.region_ids.tolist()
    assert (found.detections.scores >= DETECTION_FLOOR).all()
    assert np.bincount(found.detections.image_ids).max(initial=0) <= NUM_DETECTIONS


def test_that_proposals_are_measured_against_each_true_box(paint, tiny_checkpoint):
    painted = paint(4)
    folder, _ = evaluate(painted, tiny_checkpoint, "proposals")
    found, metrics = PredictionFolder(folder.results / "predictions").read(), metrics_of(folder)
    table = found.proposals
    assert sorted(table.region_ids.tolist()) == sorted(region.id for region in painted.regions)
    model = load_checkpoint(tiny_checkpoint)
    image = painted.dataset.image(painted.regions[0].image_id)
    square, letterbox = load_square(painted.dataset.image_file(image), model.input_px)
    with torch.inference_mode():
        prepared = model.prepare(model.encode_image(model.preprocess(square)[None])[0].half())
        boxes = letterbox.to_unit(model.propose(prepared, 100)[0].numpy())
    row = table.region_ids.tolist().index(painted.regions[0].id)
    overlaps = iou_pairs(boxes, np.repeat(table.boxes[row : row + 1], len(boxes), axis=0))
    assert table.ious[row] == pytest.approx(overlaps.max(), abs=1e-6)
    assert table.ranks[row] == (np.flatnonzero(overlaps >= 0.5)[0] if overlaps.max() >= 0.5 else 100)
    assert metrics["recall_100"] == pytest.approx((table.ranks < 100).mean())
    assert found.regions is None
    assert len(found.detections.scores) > 0


def test_that_a_region_with_a_phrase_alone_is_a_thing_to_be_proposed(paint, tiny_checkpoint):
    painted = paint(2)
    regions = [replace(region, class_id=None) for region in painted.regions]
    painted.dataset.apply(change_regions(zip(painted.regions, regions, strict=True), "Without classes"))
    folder, status = evaluate(painted, tiny_checkpoint, "proposals")
    assert status == 0
    assert not PredictionFolder(folder.results / "predictions").read().proposals.has_class.any()
    assert set(metrics_of(folder)) == {"task", "split", "n", "recall_24", "recall_100", "ar100"}


def test_that_of_a_thing_that_is_missing_there_is_no_number(paint, tiny_checkpoint):
    painted = paint(3)
    painted.dataset.undo()  # the captions
    found = metrics_of(evaluate(painted, tiny_checkpoint, "all")[0])
    assert "top1" in found
    assert not {"n_images", "i2t_r1", "t2i_r1"} & set(found)
    folder, status = evaluate(painted, tiny_checkpoint, "images")
    assert status == 4
    assert folder.last_event().sentence == (
        "There is no image with a caption in this project, so there is nothing to measure."
    )


def test_that_images_with_the_same_caption_are_each_a_right_answer(paint, tiny_checkpoint):
    painted = paint(8)  # the colours repeat after four images, and so do the captions
    found = PredictionFolder(evaluate(painted, tiny_checkpoint, "images")[0].results / "predictions").read().images
    assert len(found.caption_ids) == 8
    assert found.ranks_t2i[:4].tolist() == found.ranks_t2i[4:].tolist()
    assert found.ranks_i2t.max() < 4  # four distinct texts


def test_that_what_a_run_has_held_out_is_measured_alone(paint, tiny_checkpoint):
    painted = paint(4)
    run = RunFolder(painted.project.runs / "20260101T000000Z-cloc-abcdef")
    write_document(held_out_file(run), HeldOut(image_ids=(painted.images[1].id,), num_regions=2))
    for held_out, status in ((run.id, 0), ("20260101T000000Z-cloc-fedcba", 4)):
        evaluation = Evaluation(task="all", held_out=held_out)
        config = RunConfig(kind="evaluate", checkpoint=str(tiny_checkpoint), device="cpu", evaluate=evaluation)
        folder = RunFolder.create(painted.project.runs, config)
        painted.dataset.snapshot(folder.snapshot)
        assert work(folder, None, lambda: False) == status
        if status == 0:
            found = PredictionFolder(folder.results / "predictions").read()
            assert found.regions.image_ids.tolist() == [painted.images[1].id] * 2
            assert found.regions.is_held_out.all()
            assert found.summary.held_out_metrics == found.summary.metrics
    assert folder.last_event().sentence.startswith(f"The run {held_out} does not say what it held out")


def test_that_images_of_held_out_splits_are_marked(paint, tiny_checkpoint):
    painted = paint(4, splits=("train", "test"))
    found = PredictionFolder(evaluate(painted, tiny_checkpoint, "all")[0].results / "predictions").read()
    held_out = {image.id for image in painted.images if image.split == "test"}
    assert set(found.regions.image_ids[found.regions.is_held_out].tolist()) == held_out
    assert found.summary.held_out_metrics["n_regions"] == 4


def test_that_numbers_of_what_is_held_out_are_those_of_measuring_it_alone(paint, tiny_checkpoint):
    painted = paint(9, splits=("train", "train", "val"))
    whole = PredictionFolder(evaluate(painted, tiny_checkpoint, "all")[0].results / "predictions").summary()
    alone = PredictionFolder(evaluate(painted, tiny_checkpoint, "all", "val")[0].results / "predictions").summary()
    assert whole.held_out_metrics == pytest.approx(alone.metrics)
    assert alone.held_out_metrics == pytest.approx(alone.metrics)
    assert whole.metrics["n_regions"] == 3 * alone.metrics["n_regions"]


def test_that_a_second_evaluation_from_cached_tokens_gives_the_same_numbers(paint, tiny_checkpoint):
    painted = paint(5)
    first, _ = evaluate(painted, tiny_checkpoint, "retrieval")
    cached = list((painted.project.cache / "tokens").rglob("*.npy"))
    assert len(cached) == 5
    second, _ = evaluate(painted, tiny_checkpoint, "retrieval")
    assert metrics_of(first) == metrics_of(second)


def test_that_a_split_is_measured_alone(paint, tiny_checkpoint):
    painted = paint(6, splits=("train", "val", "val"))
    assert metrics_of(evaluate(painted, tiny_checkpoint, "regions", "val")[0])["n"] == 8
    assert metrics_of(evaluate(painted, tiny_checkpoint, "regions", "train")[0])["n"] == 4
    assert metrics_of(evaluate(painted, tiny_checkpoint, "regions")[0])["n"] == 12


def test_that_an_empty_split_is_refused_with_a_sentence(paint, tiny_checkpoint):
    folder, status = evaluate(paint(2), tiny_checkpoint, "regions", "tset")
    assert status == 4
    assert isinstance(folder.last_event(), Failed)
    assert (
        folder.last_event().sentence
        == "There is no box with a class in the split 'tset', so there is nothing to measure."
    )


TRUE = Region(1, 1, UnitBox(0, 0, 1, 1), review=Review.PENDING, origin=Origin.HUMAN)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"origin": Origin.IMPORTED}, True),
        ({"origin": Origin.EDITED}, True),
        ({"origin": Origin.MODEL}, False),
        ({"origin": Origin.MODEL, "review": Review.ACCEPTED}, True),
        ({"review": Review.REJECTED}, False),
        ({"is_crowd": True}, False),
    ],
)
def test_that_a_proposal_is_true_once_accepted_and_what_is_rejected_or_a_crowd_never(change, counts):
    assert is_ground_truth(replace(TRUE, **change)) is counts


def test_that_all_classes_are_answers_also_those_without_a_box(paint):
    painted = paint(1)
    truth = read_ground_truth(painted.dataset, "regions")
    assert [name for _, name in truth.classes] == ["red", "green", "blue", "yellow"]
    assert truth.num_regions == 2


def test_that_nothing_is_named_by_a_retired_class(paint):
    painted = paint(1)
    red = painted.dataset.classes()[0]
    painted.dataset.apply(Edit("Retire", (ClassChange(red, replace(red, is_retired=True)),)))
    truth = read_ground_truth(painted.dataset, "all")
    assert [name for _, name in truth.classes] == ["green", "blue", "yellow"]
    assert truth.images[0].class_rows.tolist() == [-1, 0]  # the red box keeps its phrase and no class
    assert truth.phrases == ("a red box", "a green box")
    undescribed = [replace(region, phrase="") for region in painted.regions]
    painted.dataset.apply(change_regions(zip(painted.regions, undescribed, strict=True), "Empty"))
    assert read_ground_truth(painted.dataset, "all").phrases == ("green",)


def test_that_classes_of_the_same_name_are_one_answer(paint):
    painted = paint(1)
    red, green, *_ = painted.dataset.classes()
    painted.dataset.apply(Edit("Rename", (ClassChange(green, replace(green, name="red")),)))
    truth = read_ground_truth(painted.dataset, "regions")
    assert truth.classes[0] == (red.id, "red")
    assert truth.images[0].class_rows.tolist() == [0, 0]


def test_that_a_region_without_words_takes_part_in_no_task(paint):
    painted = paint(1)
    image = painted.images[0]
    painted.dataset.apply(add_regions([Region(painted.dataset.next_region_id(), image.id, UnitBox(0, 0, 0.5, 0.5))]))
    for task in ("regions", "retrieval", "grounding"):
        assert read_ground_truth(painted.dataset, task).num_regions == 2


def test_that_a_snapshot_does_not_see_later_edits(paint, tiny_checkpoint):
    painted = paint(2)
    config = RunConfig(
        kind="evaluate", checkpoint=str(tiny_checkpoint), device="cpu", evaluate=Evaluation(task="regions")
    )
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    before = painted.regions[0]
    painted.dataset.apply(change_regions([(before, replace(before, review=Review.REJECTED))], "Reject"))
    assert work(folder, None, lambda: False) == 0
    assert metrics_of(folder)["n"] == 4
    assert metrics_of(evaluate(painted, tiny_checkpoint, "regions")[0])["n"] == 3


def test_that_overlap_does_not_depend_on_the_frame():
    # The letterbox scales both sides alike, so a quarter of a box stays a quarter.
    from locstudio.domain.geometry import iou_matrix

    boxes = np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], np.float32)
    square = Letterbox(96, 64).to_square(boxes)
    assert iou_matrix(square[:1], square[1:]) == pytest.approx(iou_matrix(boxes[:1], boxes[1:]))
