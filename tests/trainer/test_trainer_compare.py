"""A new checkpoint takes the old one's place only if it loads, answers soundly and names no worse."""

import json
import shutil

import pytest
import torch

from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import Comparison, Evaluation, RunConfig
from locstudio.jobs.messages import Evaluated, Failed, Note, Started
from locstudio.jobs.predictions import PredictionFolder, read_gate
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import HeldOut, held_out_file, write_document
from locstudio.models.checkpoint import load_checkpoint, new_model, save_checkpoint
from locstudio.models.config import ClocConfig
from locstudio.models.towers import describe_open_clip
from trainer.__main__ import work
from trainer.encoding import TokenSource
from trainer.recipes.compare import smoke_fault

DEFINITION = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def compare(painted, old, new, *, held_out="", margin=0.01):
    config = RunConfig(
        kind="compare",
        checkpoint=str(old),
        device="cpu",
        compare=Comparison(new=str(new), held_out=held_out, margin=margin),
    )
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder, work(folder, None, lambda: False)


def check_of(folder, name):
    return next(check for check in read_gate(folder.results).checks if check.name == name)


@pytest.fixture
def altered(tiny_checkpoint, tmp_path):
    """Saves the tiny model after something was done to it."""

    def alter(change, name="altered"):
        model = load_checkpoint(tiny_checkpoint)
        with torch.no_grad():
            change(model)
        save_checkpoint(model, tmp_path / name, card="# altered\n", metrics={})
        return tmp_path / name

    return alter


def test_that_a_checkpoint_may_take_the_place_of_its_equal(paint, tiny_checkpoint):
    painted = paint(6, splits=("train", "train", "val"))
    folder, status = compare(painted, tiny_checkpoint, tiny_checkpoint)
    assert status == 0
    gate = read_gate(folder.results)
    assert gate.passed
    assert gate.old_id == gate.new_id == checkpoint_info(tiny_checkpoint).id
    assert [check.name for check in gate.checks] == ["loads", "dims", "answers", "metric", "grounding"]
    assert check_of(folder, "metric").old == check_of(folder, "metric").new
    assert gate.reasons == ()


def test_that_both_are_asked_everything_and_what_was_held_out_is_marked(paint, tiny_checkpoint, altered):
    painted = paint(6, splits=("train", "train", "val"))
    new = altered(lambda model: model.text_project.weight.mul_(-1))
    folder, _ = compare(painted, tiny_checkpoint, new)
    held_out = {image.id for image in painted.images if image.split == "val"}
    for name, checkpoint in (("old", tiny_checkpoint), ("new", new)):
        found = PredictionFolder(folder.results / name).read()
        assert found.summary.checkpoint_id == checkpoint_info(checkpoint).id
        assert (found.summary.num_images, found.summary.num_held_out_images) == (6, 2)
        assert sorted(found.regions.region_ids.tolist()) == sorted(region.id for region in painted.regions)
        for table in (found.regions, found.grounding, found.retrieval, found.images, found.detections):
            assert {int(key) for key in table.image_ids[table.is_held_out]} <= held_out
        assert {int(key) for key in found.regions.image_ids[found.regions.is_held_out]} == held_out
        # The numbers of what was held out are those of its rows.
        ranks = found.regions.ranks[found.regions.is_held_out]
        assert found.summary.held_out_metrics["top1"] == pytest.approx((ranks == 0).mean())
        assert found.summary.held_out_metrics["n_regions"] == 4
    said = [message for message in folder.read_events() if isinstance(message, Evaluated)]
    assert len(said) == 1
    started = next(message for message in folder.read_events() if isinstance(message, Started))
    assert (started.num_images, started.num_regions, started.num_held_out, started.num_steps) == (6, 8, 4, 12)


def metrics_of(painted, checkpoint):
    """What an evaluation says of naming."""
    config = RunConfig(kind="evaluate", checkpoint=str(checkpoint), device="cpu", evaluate=Evaluation(task="regions"))
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    assert work(folder, None, lambda: False) == 0
    return json.loads((folder.results / "metrics.json").read_text())


def test_that_a_worse_checkpoint_is_refused_with_numbers_and_both_stay(paint, tiny_checkpoint, altered):
    painted = paint(8, splits=("val",))
    other = altered(lambda model: model.text_project.weight.mul_(-1))
    values = {path: metrics_of(painted, path) for path in (tiny_checkpoint, other)}
    better, worse = sorted(values, key=lambda path: -values[path]["top1"] - values[path]["macc"])
    expected = [(values[path]["top1"] + values[path]["macc"]) / 2 for path in (better, worse)]
    assert expected[0] > expected[1] + 0.01
    folder, status = compare(painted, better, worse)
    assert status == 0
    gate = read_gate(folder.results)
    assert not gate.passed
    metric = check_of(folder, "metric")
    assert (metric.old, metric.new) == pytest.approx(expected)
    assert gate.reasons == (metric.sentence,)
    assert "worse" in metric.sentence
    assert "at most 0.01 may be lost" in metric.sentence
    assert [message.text for message in folder.read_events() if isinstance(message, Note)] == [metric.sentence]
    assert PredictionFolder(folder.results / "new").is_present
    assert read_gate(compare(painted, worse, better)[0].results).passed
    assert read_gate(compare(painted, better, worse, margin=1.0)[0].results).passed


def test_that_a_damaged_checkpoint_is_refused_and_nothing_is_measured(paint, tiny_checkpoint, tmp_path):
    painted = paint(2)
    shutil.copytree(tiny_checkpoint, tmp_path / "cut")
    weights = tmp_path / "cut" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    folder, status = compare(painted, tiny_checkpoint, tmp_path / "cut")
    assert status == 0
    gate = read_gate(folder.results)
    assert (gate.passed, gate.new_id) == (False, "")
    assert gate.reasons == ("The checkpoint cut is damaged: weights.safetensors has changed. Copy the folder again.",)
    assert not PredictionFolder(folder.results / "old").is_present


def test_that_a_checkpoint_that_is_not_there_is_refused(paint, tiny_checkpoint, tmp_path):
    folder, status = compare(paint(2), tiny_checkpoint, tmp_path / "nowhere")
    assert status == 0
    assert not check_of(folder, "loads").passed


def test_that_weights_that_are_no_numbers_are_refused(paint, tiny_checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    from locstudio.jobs.checkpoint_folder import seal_checkpoint

    shutil.copytree(tiny_checkpoint, tmp_path / "nan.partial")
    weights = load_file(tmp_path / "nan.partial" / "weights.safetensors")
    weights["text_project.weight"][0, 0] = float("nan")
    save_file(weights, tmp_path / "nan.partial" / "weights.safetensors")
    seal_checkpoint(tmp_path / "nan.partial", tmp_path / "nan")
    folder, _ = compare(paint(2), tiny_checkpoint, tmp_path / "nan")
    assert not check_of(folder, "loads").passed
    assert "not finite" in check_of(folder, "loads").sentence
    assert read_gate(folder.results).new_id == checkpoint_info(tmp_path / "nan").id


def test_that_answers_that_are_no_numbers_are_refused(paint, tiny_checkpoint, altered):
    # Finite weights whose product overflows to infinity, and infinity over infinity is no number.
    def explode(model):
        model.prompter.norm_out.weight.fill_(6e4)
        for parameter in model.prompter.parameters():
            parameter.data = parameter.data.clamp(-6e4, 6e4)
        model.image_project.bias.fill_(0.0)
        model.image_project.weight.fill_(0.0)

    folder, _ = compare(paint(2), tiny_checkpoint, altered(explode))
    check = check_of(folder, "answers")
    assert not check.passed
    assert "length one" in check.sentence  # a projection to nothing has no direction
    assert not PredictionFolder(folder.results / "new").is_present


def test_that_smoke_finds_values_that_are_no_numbers(paint, tiny_checkpoint):
    model = load_checkpoint(tiny_checkpoint)
    with torch.no_grad():
        model.text_project.weight[0, 0] = float("nan")
    assert smoke_fault(model, [], TokenSource(model, None, keeps=False)) == (
        "The new checkpoint embeds texts in values that are no numbers."
    )


def test_that_embeddings_of_another_width_are_refused(paint, tiny_checkpoint, tmp_path):
    torch.manual_seed(0)
    tower = describe_open_clip("tiny", definition=DEFINITION)
    other = new_model(ClocConfig(name="wide", tower=tower, dim=32, token_width=32))
    save_checkpoint(other, tmp_path / "wide", card="# wide\n", metrics={})
    folder, _ = compare(paint(2), tiny_checkpoint, tmp_path / "wide")
    check = check_of(folder, "dims")
    assert (check.passed, check.old, check.new) == (False, 24, 32)
    assert "32 numbers" in check.sentence


def test_that_where_nothing_was_held_out_the_gate_says_so_and_passes(paint, tiny_checkpoint):
    folder, _ = compare(paint(1), tiny_checkpoint, tiny_checkpoint)
    metric = check_of(folder, "metric")
    assert (metric.passed, metric.old, metric.new) == (True, None, None)
    assert "Nothing was held out" in metric.sentence
    assert PredictionFolder(folder.results / "new").read().summary.held_out_metrics == {}


def test_that_the_held_out_images_of_a_run_decide(paint, tiny_checkpoint):
    painted = paint(6, splits=("val",))
    run = RunFolder(painted.project.runs / "20260101T000000Z-cloc-abcdef")
    chosen = tuple(image.id for image in painted.images[:2])
    write_document(held_out_file(run), HeldOut(image_ids=chosen, num_regions=4))
    folder, _ = compare(painted, tiny_checkpoint, tiny_checkpoint, held_out=run.id)
    found = PredictionFolder(folder.results / "new").read()
    assert set(found.regions.image_ids[found.regions.is_held_out].tolist()) == set(chosen)
    assert "the 4 held-out boxes" in check_of(folder, "metric").sentence


@pytest.mark.parametrize("content", [None, b"[]"])
def test_that_a_run_that_does_not_say_what_it_held_out_is_named_in_the_gate(paint, tiny_checkpoint, content):
    painted = paint(3, splits=("val",))
    run = RunFolder(painted.project.runs / "20260101T000000Z-cloc-abcdef")
    if content is not None:
        run.results.mkdir(parents=True)
        held_out_file(run).write_bytes(content)
    folder, status = compare(painted, tiny_checkpoint, tiny_checkpoint, held_out=run.id)
    assert status == 0
    metric = check_of(folder, "metric")
    assert metric.passed
    assert run.id in metric.sentence


def test_that_a_project_without_ground_truth_is_compared_without_numbers(paint, tiny_checkpoint):
    painted = paint(2)
    painted.dataset.undo()  # the captions
    painted.dataset.undo()  # the regions
    folder, status = compare(painted, tiny_checkpoint, tiny_checkpoint)
    assert status == 0
    assert read_gate(folder.results).passed
    found = PredictionFolder(folder.results / "new").read()
    assert (found.summary.metrics, found.regions, found.grounding) == ({}, None, None)


def test_that_an_interrupted_comparison_does_not_ask_the_old_one_again(paint, tiny_checkpoint, altered):
    painted = paint(3)
    new = altered(lambda model: model.text_project.weight.mul_(-1))
    config = RunConfig(kind="compare", checkpoint=str(tiny_checkpoint), device="cpu", compare=Comparison(new=str(new)))
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    asked = iter([False] * 4)  # before every image; the second image of the new checkpoint is not begun
    assert work(folder, None, lambda: next(asked, True)) == 0
    assert read_gate(folder.results) is None
    first = PredictionFolder(folder.results / "old")
    written_at = (first.path / "summary.json").stat().st_mtime_ns
    assert not PredictionFolder(folder.results / "new").is_present
    assert work(folder, None, lambda: False) == 0
    assert read_gate(folder.results) is not None
    assert (first.path / "summary.json").stat().st_mtime_ns == written_at


def test_that_a_run_outside_the_project_cannot_be_named(paint, tiny_checkpoint):
    folder, status = compare(paint(2), tiny_checkpoint, tiny_checkpoint, held_out="../../elsewhere")
    assert status == 0
    assert "is no run of this project" in check_of(folder, "metric").sentence


def test_that_the_old_checkpoint_must_be_readable(paint, tiny_checkpoint, tmp_path):
    folder, status = compare(paint(1), tmp_path / "nowhere", tiny_checkpoint)
    assert status == 4
    assert isinstance(folder.last_event(), Failed)
