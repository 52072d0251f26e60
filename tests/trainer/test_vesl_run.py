"""A VESL run: what it proposes, for whom first, and that it loses nothing when it ends early."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from locstudio.domain.edits import CaptionChange, ClassChange, Edit, ImageChange, change_regions, delete_regions
from locstudio.domain.regions import Caption, Origin, Review
from locstudio.jobs.configs import RunConfig, Vesl
from locstudio.jobs.messages import Evaluated, Finished, Note, Progress, Started
from locstudio.jobs.raw_proposals import Manifest, read_raw_proposals
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import stop_file
from locstudio.jobs.turn import takes_turns
from locstudio.media.square import load_square
from locstudio.models.checkpoint import load_checkpoint
from locstudio.services.runs import trainer_environment
from locstudio.store.dataset import open_snapshot
from trainer.__main__ import work
from trainer.encoding import TokenSource
from trainer.recipes.vesl import images_by_need
from trainer.stop import StopRequest
from trainer.vesl.proposals import ImageProposals, ProposalFilling

COLORS = ("red", "green", "blue", "yellow")


def new_run(painted, checkpoint, **asked):
    asked = {"min_score": 0.0, "num_boxes": 12} | asked
    config = RunConfig(kind="vesl", checkpoint=str(checkpoint), device="cpu", vesl=Vesl(**asked))
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder


def do(folder, stop=None):
    return work(folder, None, stop or StopRequest(stop_file(folder), None))


def proposals_of(folder):
    found = read_raw_proposals(folder.results)
    assert found is not None
    return found


def notes_of(folder):
    return [message.text for message in folder.read_events() if isinstance(message, Note)]


class StopAfter:
    """Asks to stop once it has been asked so often."""

    def __init__(self, num_steps):
        self.num_left = num_steps

    def __call__(self):
        self.num_left -= 1
        return self.num_left < 0


def without_captions(painted):
    captions = [caption for image in painted.images for caption in painted.dataset.captions_of(image.id)]
    painted.dataset.apply(Edit("Remove captions", tuple(CaptionChange(caption, None) for caption in captions)))


def test_that_captions_become_phrases_and_phrases_boxes(paint, tiny_checkpoint):
    painted = paint(5)
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    found = proposals_of(folder)
    assert set(found.phrases) == {f"a {color} box" for color in COLORS}
    assert sorted(found.seen_image_ids.tolist()) == [image.id for image in painted.images]
    assert len(found) > 0
    for row in range(len(found)):
        caption = found.captions[found.caption_rows[row]]
        start, end = found.spans[row].tolist()
        assert caption.image_id == found.image_ids[row]
        assert caption.text[start:end] == found.phrases[found.phrase_rows[row]]
        assert caption.id > 0
    assert {caption.text for caption in found.captions} == {
        caption.text for image in painted.images for caption in painted.dataset.captions_of(image.id)
    }
    for image in painted.images:
        scores = np.asarray(found.scores, np.float32)[found.image_ids == image.id]
        assert 0 < len(scores) <= 12
        assert (np.diff(scores) <= 0).all()
    assert not (folder.results / "proposals.partial").exists()


def test_that_the_vectors_are_those_of_the_runs_own_prompter(paint, tiny_checkpoint):
    painted = paint(2)
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    found, model = proposals_of(folder), load_checkpoint(tiny_checkpoint)
    assert (found.manifest.checkpoint_id, found.manifest.dim) == (model.id, model.dim)
    for image in painted.images:
        rows = np.flatnonzero(found.image_ids == image.id)
        square, letterbox = load_square(painted.dataset.image_file(image), model.input_px)
        with torch.inference_mode():
            prepared = model.prepare(model.encode_image(model.preprocess(square)[None])[0].half())
            boxes = torch.from_numpy(letterbox.to_square(found.boxes[rows]))
            vectors = model.embed_boxes(prepared, boxes).numpy()
        np.testing.assert_allclose(found.vectors[rows], vectors, atol=0.02)


def test_that_the_run_says_how_far_it_is_and_how_much_it_found(paint, tiny_checkpoint):
    painted = paint(3)
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    messages = list(folder.read_events())
    assert isinstance(messages[0], Started)
    assert (messages[0].num_images, messages[0].num_steps, messages[0].first_step) == (3, 3, 0)
    assert [message.step for message in messages if isinstance(message, Progress)][-1] == 3
    (measured,) = [message.metrics for message in messages if isinstance(message, Evaluated)]
    found = proposals_of(folder)
    assert measured == {"n_images": 3, "n_captions": 3, "n_phrases": len(found.phrases), "n_proposals": len(found)}
    assert isinstance(messages[-1], Finished)


def test_that_images_nobody_has_reviewed_come_first_and_then_those_with_few_regions(paint, tiny_checkpoint):
    painted = paint(4)
    pending = [region for region in painted.regions if region.image_id != painted.images[0].id]
    proposed = [replace(region, review=Review.PENDING, origin=Origin.MODEL) for region in pending]
    painted.dataset.apply(change_regions(zip(pending, proposed, strict=True), "Doubt"))
    painted.dataset.apply(delete_regions([painted.dataset.regions_of(painted.images[2].id)[0]]))
    folder = new_run(painted, tiny_checkpoint)
    ids = [image.id for image in painted.images]
    with open_snapshot(folder.snapshot) as snapshot:
        assert images_by_need(snapshot) == [ids[2], ids[1], ids[3], ids[0]]
        assert images_by_need(snapshot, [ids[0], ids[3]]) == [ids[3], ids[0]]
    assert do(folder) == 0
    assert proposals_of(folder).seen_image_ids.tolist() == [ids[2], ids[1], ids[3], ids[0]]


def test_that_only_the_images_of_a_selection_are_looked_at(paint, tiny_checkpoint):
    painted = paint(4)
    folder = new_run(painted, tiny_checkpoint, image_ids=(painted.images[2].id,))
    assert do(folder) == 0
    assert set(proposals_of(folder).image_ids.tolist()) == {painted.images[2].id}
    assert proposals_of(folder).seen_image_ids.tolist() == [painted.images[2].id]


def test_that_phrases_of_the_person_take_the_place_of_the_captions(paint, tiny_checkpoint):
    folder = new_run(paint(2), tiny_checkpoint, phrases=("a red box", "A  red box", " ", "a cat"))
    assert do(folder) == 0
    found = proposals_of(folder)
    assert set(found.phrases) == {"a red box", "a cat"}
    assert found.captions == ()
    assert (found.caption_rows == -1).all()


def test_that_class_names_are_looked_for_besides_where_the_run_asks_so(paint, tiny_checkpoint):
    painted = paint(2)
    retired = painted.dataset.classes()[0]
    painted.dataset.apply(Edit("Retire", (ClassChange(retired, replace(retired, is_retired=True)),)))
    folder = new_run(painted, tiny_checkpoint, has_class_names=True)
    assert do(folder) == 0
    names = {label.name for label in painted.dataset.classes()} - {retired.name}
    assert names < set(proposals_of(folder).phrases)
    assert retired.name not in proposals_of(folder).phrases


def test_that_an_image_without_a_caption_is_looked_through_for_the_classes(paint, tiny_checkpoint):
    painted = paint(2)
    without_captions(painted)
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    assert set(proposals_of(folder).phrases) == set(COLORS)
    assert notes_of(folder) == [
        "2 images gave no phrases by a caption; the names of the classes were looked for in them."
    ]


def test_that_without_captions_and_classes_the_phrases_of_the_collection_are_looked_for(paint, tiny_checkpoint):
    painted = paint(2)
    without_captions(painted)
    retired = [ClassChange(label, replace(label, is_retired=True)) for label in painted.dataset.classes()]
    painted.dataset.apply(Edit("Retire", tuple(retired)))
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    assert set(proposals_of(folder).phrases) == {region.phrase for region in painted.regions}
    assert "the phrases that the collection uses" in notes_of(folder)[0]


def test_that_a_project_with_nothing_to_look_for_gives_no_proposals_and_says_why(paint, tiny_checkpoint):
    painted = paint(2)
    without_captions(painted)
    painted.dataset.apply(delete_regions(painted.regions))
    retired = [ClassChange(label, replace(label, is_retired=True)) for label in painted.dataset.classes()]
    painted.dataset.apply(Edit("Retire", tuple(retired)))
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    assert len(proposals_of(folder)) == 0
    assert len(proposals_of(folder).seen_image_ids) == 2
    assert "nothing was looked for" in notes_of(folder)[0]


def test_that_the_plain_captioners_captions_say_by_their_source_who_made_them(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("trainer.vesl.captions.PLAIN_MIN_SCORE", 0.0)
    monkeypatch.setattr("trainer.vesl.captions.PlainCaptioner.__init__.__defaults__", (0.0,))
    painted = paint(2)
    without_captions(painted)
    folder = new_run(painted, tiny_checkpoint, captioner="classes")
    assert do(folder) == 0
    found = proposals_of(folder)
    assert found.manifest.captioner == "LocStudio's plain captioner, from detected classes"
    assert len(found.captions) == 2
    for caption in found.captions:
        assert (caption.id, caption.origin, caption.source) == (0, Origin.MODEL, f"vesl:{folder.id} plain")
    assert (found.caption_rows >= 0).any()


def test_that_an_image_which_cannot_be_read_is_a_note_and_the_others_are_looked_at(paint, tiny_checkpoint):
    painted = paint(4)
    painted.dataset.image_file(painted.images[1]).write_bytes(b"<html>not found</html>")
    painted.dataset.image_file(painted.images[2]).unlink()
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    assert len(notes_of(folder)) == 2
    assert sorted(proposals_of(folder).seen_image_ids.tolist()) == [painted.images[0].id, painted.images[3].id]
    assert [message.step for message in folder.read_events() if isinstance(message, Progress)][-1] == 4


def test_that_weights_which_are_not_there_end_the_run_with_a_sentence(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = new_run(paint(1), tiny_checkpoint, detector="owlv2")
    assert do(folder) == 4
    assert "not on this machine" in folder.last_event().sentence


def test_that_a_project_without_images_is_refused_with_a_sentence(paint, tiny_checkpoint):
    folder = new_run(paint(0), tiny_checkpoint)
    assert do(folder) == 4
    assert "no image" in folder.last_event().sentence


def test_that_proposing_waits_for_no_other_run(paint, tiny_checkpoint):
    assert not takes_turns(new_run(paint(0), tiny_checkpoint).config())


def columns(found):
    names = ("image_ids", "boxes_q", "phrase_rows", "scores", "objectness", "caption_rows", "spans", "vectors")
    return [np.asarray(getattr(found, name)) for name in (*names, "seen_image_ids")]


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("trainer.vesl.proposals.IMAGES_PER_SHARD", 2)


def test_that_a_stopped_run_leaves_what_it_has_and_keeps_its_rows_when_it_goes_on(paint, tiny_checkpoint, small_shards):
    painted = paint(7)
    whole = new_run(painted, tiny_checkpoint)
    assert do(whole) == 0
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder, StopAfter(3)) == 0
    assert folder.last_event().was_stopped
    part = proposals_of(folder)
    assert len(part.seen_image_ids) == 3
    assert do(folder) == 0
    assert not folder.last_event().was_stopped
    started = [message for message in folder.read_events() if isinstance(message, Started)]
    assert started[-1].first_step == 3
    found = proposals_of(folder)
    for here, there in zip(columns(found), columns(proposals_of(whole)), strict=True):
        np.testing.assert_array_equal(here, there)
    for early, late in zip(columns(part), columns(found), strict=True):
        np.testing.assert_array_equal(early, late[: len(early)])
    assert found.phrases[: len(part.phrases)] == part.phrases
    assert found.captions[: len(part.captions)] == part.captions


def test_that_a_broken_shard_is_done_again(paint, tiny_checkpoint, small_shards):
    painted = paint(6)
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder, StopAfter(5)) == 0
    shards = sorted((folder.results / "proposals.partial").iterdir())
    assert len(shards) == 3
    shards[1].write_bytes(shards[1].read_bytes()[:100])
    assert do(folder) == 0
    assert sorted(proposals_of(folder).seen_image_ids.tolist()) == [image.id for image in painted.images]


def test_that_no_image_is_there_twice_when_a_run_dies_again_after_a_broken_shard(tmp_path, small_shards):
    def put(*image_ids):
        filling = ProposalFilling(tmp_path, 3)
        for image_id in image_ids:
            filling.put(nothing_in(image_id))
        filling.commit()

    put(1, 2)
    put(3)  # stopped
    put(4, 5)
    broken = tmp_path / "proposals.partial" / "shard_000001.npz"
    broken.write_bytes(broken.read_bytes()[:100])
    put(3, 4)  # killed
    put(5)
    manifest = Manifest(checkpoint_id="c", detector="d", dim=3, num_rows=0, num_images=0)
    found = ProposalFilling(tmp_path, 3).write(manifest)
    assert found.seen_image_ids.tolist() == [1, 2, 3, 4, 5]


def nothing_in(image_id):
    none = np.zeros(0, np.float32)
    boxes, vectors = np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32)
    return ImageProposals(image_id, (), (), boxes, np.zeros(0, np.int64), none, none, vectors)


@pytest.mark.timeout(240)
def test_that_a_run_which_is_killed_goes_on_after_its_last_shard(paint, tiny_checkpoint):
    painted = paint(140)
    folder = new_run(painted, tiny_checkpoint)
    shard = folder.results / "proposals.partial" / "shard_000000.npz"
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", str(folder.path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=trainer_environment(),
    )
    try:
        while not shard.exists() and process.poll() is None:
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert read_raw_proposals(folder.results) is None
    assert do(folder) == 0
    started = [message for message in folder.read_events() if isinstance(message, Started)]
    assert started[-1].first_step >= 64
    found = proposals_of(folder)
    assert sorted(found.seen_image_ids.tolist()) == [image.id for image in painted.images]
    assert len(np.unique(found.image_ids)) == len(painted.images)


def test_that_after_an_edited_caption_only_the_later_steps_run_again(paint, tiny_checkpoint, monkeypatch):
    painted = paint(3)
    image = painted.images[1]
    assert do(new_run(painted, tiny_checkpoint)) == 0
    (caption,) = painted.dataset.captions_of(image.id)
    edited = replace(caption, text="a purple box", origin=Origin.EDITED)
    painted.dataset.apply(Edit("Edit caption", (CaptionChange(caption, edited),)))
    again = new_run(painted, tiny_checkpoint, image_ids=(image.id,))
    monkeypatch.setattr(TokenSource, "_through_tower", lambda *_: pytest.fail("the tower was asked again"))
    assert do(again) == 0
    assert proposals_of(again).phrases == ("a purple box",)
    assert proposals_of(again).captions[0].text == "a purple box"


def test_that_several_captions_of_an_image_share_its_phrases(paint, tiny_checkpoint):
    painted = paint(1)
    key = painted.images[0].id
    further = Caption(painted.dataset.next_caption_id(), key, "A Red box on a shelf")
    blank = Caption(painted.dataset.next_caption_id(), key, "  ")
    painted.dataset.apply(Edit("Caption", (CaptionChange(None, further), CaptionChange(None, blank))))
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    found = proposals_of(folder)
    assert found.phrases == ("a red box", "a green box", "a shelf")
    assert len(found.captions) == 2
    of_shelf = found.caption_rows[found.phrase_rows == 2]
    assert (of_shelf == 1).all()


def test_that_images_of_any_name_are_looked_at(paint, tiny_checkpoint):
    painted = paint(4)
    names = ("hund 🐕.png", "a\nb.png", os.fsdecode(b"caf\xe9.png"), "\u202egnp.exe.png")
    changes = []
    for image, name in zip(painted.images, names, strict=True):
        path = painted.dataset.image_file(image)
        path.rename(path.with_name(name))
        changes.append(ImageChange(image, replace(image, path=name)))
    painted.dataset.apply(Edit("Rename", tuple(changes)))
    folder = new_run(painted, tiny_checkpoint)
    assert do(folder) == 0
    assert notes_of(folder) == []
    assert len(proposals_of(folder).seen_image_ids) == 4
