"""Embedding a project: every vector is what the model says, and nothing is done twice."""

import json
import shutil
from dataclasses import replace

import numpy as np
import torch

from locstudio.domain.edits import add_regions, change_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Region
from locstudio.index.region_index import RegionIndex
from locstudio.index.rows import PROPOSAL
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.configs import Embedding, RunConfig
from locstudio.jobs.messages import Finished, Note, Progress, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import stop_file
from locstudio.media.square import load_square
from locstudio.models.checkpoint import load_checkpoint
from trainer.__main__ import work
from trainer.recipes.embed import embed_image
from trainer.stop import StopRequest


def new_run(painted, checkpoint, **embedding):
    config = RunConfig(kind="embed", checkpoint=str(checkpoint), device="cpu", embed=Embedding(**embedding))
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder


def do(folder, stop=None):
    return work(folder, None, stop or StopRequest(stop_file(folder), None))


class StopAfter:
    """Asks to stop once it has been asked so often."""

    def __init__(self, num_steps):
        self.num_left = num_steps

    def __call__(self):
        self.num_left -= 1
        return self.num_left < 0


def expected_vectors(checkpoint, painted, image):
    """The vectors of an image's regions, asked of the model directly."""
    model = load_checkpoint(checkpoint)
    regions = [region for region in painted.regions if region.image_id == image.id]
    square, letterbox = load_square(painted.dataset.image_file(image), model.input_px)
    boxes = letterbox.to_square(np.array([region.box.as_tuple() for region in regions], np.float32))
    with torch.inference_mode():
        tokens = model.encode_image(model.preprocess(square)[None])[0]
        return regions, model.embed_boxes(model.prepare(tokens), torch.from_numpy(boxes)).numpy()


def test_that_the_index_of_five_images_holds_what_the_model_says(paint, tiny_checkpoint):
    painted = paint(5)
    folder = new_run(painted, tiny_checkpoint, num_proposals=6)
    assert do(folder) == 0
    model_id = load_checkpoint(tiny_checkpoint).id
    index = RegionIndex.open(folder.results / "index", model_id)
    assert index.region_ids().tolist() == [region.id for region in painted.regions]
    for image in painted.images:
        regions, vectors = expected_vectors(tiny_checkpoint, painted, image)
        for region, vector in zip(regions, vectors, strict=True):
            np.testing.assert_allclose(index.vector_of_region(region.id), vector, atol=2e-3)
        rows = index.rows_of_image(image.id)
        assert 0 < (rows.kinds == PROPOSAL).sum() <= 6
    texts = Vocabulary.open(folder.results / "index", model_id).texts
    assert set(texts) == {f"a {color} box" for color in ("red", "green", "blue", "yellow")} | {
        "red",
        "green",
        "blue",
        "yellow",
    }
    events = list(folder.read_events())
    assert (events[0].num_images, events[0].num_regions) == (5, 10)
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert [m.step for m in events if isinstance(m, Progress)][-1] == 5


def test_that_an_image_which_cannot_be_read_is_a_note_and_the_others_are_embedded(paint, tiny_checkpoint):
    painted = paint(4)
    (painted.dataset.image_file(painted.images[1])).write_bytes(b"<html>not found</html>")
    (painted.dataset.image_file(painted.images[2])).unlink()
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    notes = [message.text for message in folder.read_events() if isinstance(message, Note)]
    assert len(notes) == 2
    assert any("001.png" in note for note in notes)
    index = RegionIndex.open(folder.results / "index", load_checkpoint(tiny_checkpoint).id)
    kept = {painted.images[0].id, painted.images[3].id}
    assert index.region_ids().tolist() == [region.id for region in painted.regions if region.image_id in kept]


def contents(folder):
    model_rows = RegionIndex.open(
        folder.results / "index", json.loads((folder.results / "index" / "manifest.json").read_text())["checkpoint_id"]
    )
    ids = model_rows.region_ids()
    return ids, np.stack([model_rows.vector_of_region(int(key)) for key in ids])


def test_that_a_stopped_run_goes_on_where_it_stopped_and_ends_with_the_same_index(paint, tiny_checkpoint):
    painted = paint(14)
    whole = new_run(painted, tiny_checkpoint)
    assert do(whole) == 0
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder, StopAfter(2)) == 0
    assert folder.last_event().was_stopped
    assert not (folder.results / "index").exists()
    assert do(folder) == 0
    assert not folder.last_event().was_stopped
    assert not (folder.results / "index.partial").exists()
    steps = [message.step for message in folder.read_events() if isinstance(message, Progress)]
    assert steps[-1] == 14
    for left, right in zip(contents(whole), contents(folder), strict=True):
        np.testing.assert_array_equal(left, right)


def test_that_rows_of_unchanged_images_are_taken_over_and_those_of_changed_ones_are_not(
    paint, tiny_checkpoint, monkeypatch
):
    painted = paint(6)
    first = new_run(painted, tiny_checkpoint)
    assert do(first) == 0
    moved = painted.regions[0]
    image = painted.images[5]
    painted.dataset.apply(change_regions([(moved, replace(moved, box=UnitBox(0.5, 0.5, 0.9, 0.9)))], "Move box"))
    painted.dataset.apply(
        add_regions([Region(painted.dataset.next_region_id(), image.id, UnitBox(0.1, 0.1, 0.3, 0.4), "something new")])
    )
    replaced = painted.images[3]
    shutil.copy(painted.dataset.image_file(painted.images[0]), painted.dataset.image_file(replaced))

    second = new_run(painted, tiny_checkpoint, known=str(first.results / "index"))
    encoded, real = [], embed_image
    monkeypatch.setattr(
        "trainer.recipes.embed.embed_image",
        lambda model, work, *rest: encoded.append(work.image.id) or real(model, work, *rest),
    )
    assert do(second) == 0
    assert encoded == [moved.image_id, replaced.id, image.id]
    assert [m.step for m in second.read_events() if isinstance(m, Progress)][-1] == 6

    monkeypatch.undo()
    anew = new_run(painted, tiny_checkpoint)
    assert do(anew) == 0
    for left, right in zip(contents(anew), contents(second), strict=True):
        np.testing.assert_allclose(left, right, atol=2e-3)


def test_that_a_project_without_images_gives_an_empty_index(paint, tiny_checkpoint):
    folder = new_run(paint(0), tiny_checkpoint)
    assert do(folder) == 0
    assert len(RegionIndex.open(folder.results / "index", load_checkpoint(tiny_checkpoint).id)) == 0


def test_that_a_damaged_checkpoint_ends_the_run_with_a_sentence(paint, tiny_checkpoint, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_checkpoint, damaged)
    content = (damaged / "weights.safetensors").read_bytes()
    (damaged / "weights.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    folder = new_run(paint(1), damaged)
    assert do(folder) == 4
    last = folder.last_event()
    assert "damaged" in last.sentence
    assert last.exit_status == 4


def test_that_a_fault_of_ours_is_delivered_with_its_log(paint, tiny_checkpoint, monkeypatch, capsys):
    monkeypatch.setattr("trainer.recipes.embed.fill_index", lambda *_: 1 / 0)
    folder = new_run(paint(1), tiny_checkpoint)
    assert do(folder) == 70
    assert "ZeroDivisionError" in folder.last_event().sentence
    assert "Traceback" in capsys.readouterr().err


def test_that_a_full_disk_is_named(paint, tiny_checkpoint, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainer.recipes.embed.fill_index", refuse)
    folder = new_run(paint(1), tiny_checkpoint)
    assert do(folder) == 5
    assert "disk is full" in folder.last_event().sentence


def test_that_proposals_lie_inside_the_image(paint, tiny_checkpoint):
    painted = paint(2)
    folder = new_run(painted, tiny_checkpoint, num_proposals=20)
    assert do(folder) == 0
    index = RegionIndex.open(folder.results / "index", load_checkpoint(tiny_checkpoint).id)
    for image in painted.images:
        boxes = index.rows_of_image(image.id).boxes
        assert (boxes[:, :2] < boxes[:, 2:]).all()
        assert ((boxes >= 0) & (boxes <= 1)).all()
