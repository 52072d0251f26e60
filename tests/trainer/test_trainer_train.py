"""Training: the batches follow from the step, a resumed run ends bitwise where an unbroken one ends, losses fall."""

import shutil

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.messages import Evaluated, Failed, Finished, Note, Progress, Saved, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import read_best
from trainer.__main__ import work
from trainer.batches import assemble
from trainer.checkpoint import step_folders
from trainer.data import at_most, draws_of_step, read_training_images, steps_per_epoch
from trainer.training_step import LossDiverged, TrainingStep

TRAINING = ClocTraining(
    num_steps=6, batch_size=4, regions_per_image=2, num_warmup_steps=2, evaluate_every=3, hold_out=0.0
)


def new_run(painted, checkpoint, training=TRAINING):
    config = RunConfig(kind="cloc", checkpoint=str(checkpoint), device="cpu", num_threads=1, seed=3, cloc=training)
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder


class StopAfterStep:
    """Asks to stop before the step with this number, counted from 0, whatever happens before the loop."""

    def __init__(self, folder, step):
        self.folder, self.step = folder, step

    def __call__(self):
        reached = [m.step for m in self.folder.read_events() if isinstance(m, Progress)]
        return bool(reached) and reached[-1] >= self.step


@pytest.fixture(autouse=True)
def _every_step_is_reported(monkeypatch):
    monkeypatch.setattr("trainer.hooks.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 0)


def state_of(folder):
    return load_file(folder / "resume" / "state.safetensors")


def test_that_a_resumed_run_ends_bitwise_where_an_unbroken_run_ends(paint, tiny_checkpoint):
    painted = paint(9)
    whole, broken = new_run(painted, tiny_checkpoint), new_run(painted, tiny_checkpoint)
    assert work(whole, None, lambda: False) == 0
    assert work(broken, None, StopAfterStep(broken, 2)) == 0
    assert broken.last_event() == Finished(sequence=broken.last_event().sequence, was_stopped=True)
    assert [path.name for path in step_folders(broken.checkpoints)] == ["step_2"]
    torch.manual_seed(1234)
    assert work(broken, None, lambda: False) == 0

    left, right = state_of(step_folders(whole.checkpoints)[0]), state_of(step_folders(broken.checkpoints)[0])
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name
    ids = [checkpoint_info(step_folders(run.checkpoints)[0]).id for run in (whole, broken)]
    assert ids[0] == ids[1]
    starts = [message.first_step for message in broken.read_events() if isinstance(message, Started)]
    assert starts == [0, 2]
    assert [m.sequence for m in broken.read_events()] == list(range(len(list(broken.read_events()))))


class Killed(BaseException):
    """Stands for kill -9: nothing of ours handles it."""


def test_that_a_killed_run_goes_on_from_its_last_checkpoint_to_the_same_end(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("trainer.recipes.cloc_loop.SAVE_EVERY", 2)
    painted = paint(9)
    whole, killed = new_run(painted, tiny_checkpoint), new_run(painted, tiny_checkpoint)
    assert work(whole, None, lambda: False) == 0
    reached = StopAfterStep(killed, 5)

    def kill():
        if reached():
            raise Killed
        return False

    with pytest.raises(Killed):
        work(killed, None, kill)
    with open(killed.events, "ab") as events:
        events.write(b'{"kind":"progress","seq')
    assert work(killed, None, lambda: False) == 0
    starts = [message.first_step for message in killed.read_events() if isinstance(message, Started)]
    assert starts == [0, 4]
    left, right = state_of(step_folders(whole.checkpoints)[0]), state_of(step_folders(killed.checkpoints)[0])
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_that_a_run_reports_saves_and_ends_with_an_index_of_its_own_checkpoint(paint, tiny_checkpoint):
    painted = paint(8, splits=("train", "train", "val", "train"))
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    events = list(folder.read_events())
    assert (events[0].num_images, events[0].num_regions, events[0].num_steps) == (6, 12, 6)
    assert events[0].num_held_out == 4
    assert [m.step for m in events if isinstance(m, Evaluated)] == [0, 3, 6]
    assert {"top1", "top5", "macc", "mean_iou", "hit50"} == set(
        next(m for m in events if isinstance(m, Evaluated)).metrics
    )
    assert [m.path for m in events if isinstance(m, Saved)][-1] == "checkpoints/step_6"
    progress = [m for m in events if isinstance(m, Progress) and m.loss is not None]
    assert [m.step for m in progress] == [1, 2, 3, 4, 5, 6]
    assert set(progress[0].parts) == {"clip", "region_text", "grounding"}
    info = checkpoint_info(folder.path / "checkpoints/step_6")
    assert info.parent == checkpoint_info(tiny_checkpoint).id
    assert info.id != info.parent
    assert "macc" in info.metrics
    best = checkpoint_info(folder.path / read_best(folder).path)
    assert len(RegionIndex.open(folder.results / "index", best.id).region_ids()) == 16


def test_that_the_loss_falls_on_what_is_seen_again_and_again(paint, tiny_checkpoint):
    painted = paint(8)
    training = msgspec.structs.replace(TRAINING, num_steps=60, batch_size=8, learning_rate=3e-3)
    folder = new_run(painted, tiny_checkpoint, training)
    assert work(folder, None, lambda: False) == 0
    losses = [m.loss for m in folder.read_events() if isinstance(m, Progress) and m.loss is not None]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_that_a_damaged_checkpoint_is_passed_over_with_a_note(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("trainer.recipes.cloc_loop.SAVE_EVERY", 2)
    painted = paint(5)
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, StopAfterStep(folder, 4)) == 0
    newest, older = step_folders(folder.checkpoints)
    content = (newest / "resume" / "state.safetensors").read_bytes()
    (newest / "resume" / "state.safetensors").write_bytes(content[: len(content) // 2])
    assert work(folder, None, lambda: False) == 0
    notes = [message.text for message in folder.read_events() if isinstance(message, Note)]
    assert any(f"{newest.name} is damaged" in note for note in notes)
    starts = [message.first_step for message in folder.read_events() if isinstance(message, Started)]
    assert starts[1] == int(older.name.removeprefix("step_"))


def test_that_a_project_without_words_cannot_be_trained_on(paint, tiny_checkpoint):
    folder = new_run(paint(0), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 4
    assert isinstance(folder.last_event(), Failed)
    assert "describe some regions" in folder.last_event().sentence


def test_that_tokens_which_someone_deletes_in_the_middle_are_made_again(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("trainer.tokens.MAX_REMEMBERED_BYTES", 0)
    painted = paint(6)
    folder = new_run(painted, tiny_checkpoint)

    def delete_tokens():
        for file in (painted.project.cache / "tokens").rglob("*.npy"):
            file.unlink()
        return False

    assert work(folder, None, delete_tokens) == 0
    assert isinstance(folder.last_event(), Finished)


def test_that_no_more_images_are_read_than_the_steps_can_show(paint):
    images = read_training_images(paint(8).dataset)
    assert at_most(images, 100, seed=1) == images
    few = at_most(images, 3, seed=1)
    assert [image.image.id for image in few] == sorted(image.image.id for image in few)
    assert len(few) == 3
    assert few == at_most(images, 3, seed=1) != at_most(images, 3, seed=2)


def test_that_training_is_refused_where_too_little_space_is_left(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 1 << 60)
    folder = new_run(paint(2), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 5
    assert "free space" in folder.last_event().sentence


def test_that_an_image_that_is_gone_is_left_out_of_training(paint, tiny_checkpoint):
    painted = paint(6)
    painted.dataset.image_file(painted.images[2]).unlink()
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    assert any("002.png" in m.text for m in folder.read_events() if isinstance(m, Note))


def test_that_an_unfrozen_tower_learns_and_is_kept_in_the_checkpoint(paint, tiny_checkpoint):
    painted = paint(4)
    training = msgspec.structs.replace(TRAINING, num_steps=2, is_tower_frozen=False)
    folder = new_run(painted, tiny_checkpoint, training)
    assert work(folder, None, lambda: False) == 0
    before = load_file(tiny_checkpoint / "weights.safetensors")
    after = load_file(folder.path / "checkpoints/step_2" / "weights.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("towers.clip.visual") for name in changed)
    assert any(name.startswith("prompter.") for name in changed)


def test_that_a_frozen_tower_and_the_proposal_head_stay_as_they_were(paint, tiny_checkpoint):
    folder = new_run(paint(4), tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    before = load_file(tiny_checkpoint / "weights.safetensors")
    after = load_file(folder.path / "checkpoints/step_6" / "weights.safetensors")
    assert {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])} <= {
        "prompter",
        "image_project",
        "text_project",
        "grounding",
        "logit_scale",
    }


def test_that_every_image_is_seen_once_an_epoch_in_an_order_of_its_own(paint):
    images = read_training_images(paint(8).dataset)
    options = {"batch_size": 3, "num_regions": 2, "seed": 5}
    assert steps_per_epoch(8, 3) == 2
    epochs = [
        [draw.position for step in (2 * epoch, 2 * epoch + 1) for draw in draws_of_step(images, step, **options)]
        for epoch in range(3)
    ]
    assert all(len(set(epoch)) == 6 for epoch in epochs)  # two whole batches of three
    assert epochs[0] != epochs[1]
    again = [draw.position for draw in draws_of_step(images, 4, **options)]
    assert again == epochs[2][:3]


def test_that_held_out_images_are_not_learnt_from(paint):
    painted = paint(6, splits=("train", "val", "test"))
    assert {image.image.split for image in read_training_images(painted.dataset)} == {"train"}


def test_that_a_batch_pads_regions_and_names_each_phrase_once(paint):
    painted = paint(4)
    images = read_training_images(painted.dataset)
    draws = draws_of_step(images, 0, batch_size=4, num_regions=1, seed=0)
    batch = assemble(images, draws)
    assert batch.boxes_BM4.shape == (4, 1, 4)
    assert bool(batch.valid_BM.all())
    assert len(set(batch.phrases)) == len(batch.phrases)
    for at, draw in enumerate(draws):
        image = images[draw.position]
        region = draw.regions[0]
        words = image.words_for(region, by_name=draw.by_name[0])
        assert batch.phrases[batch.phrase_BM[at, 0]] == words
        assert words in (image.phrases[region], image.names[region])
        np.testing.assert_array_equal(batch.boxes_BM4[at, 0].numpy(), image.boxes_R4[region])
        assert batch.captions[at] == image.captions[0]


def test_that_a_loss_that_is_no_number_changes_nothing_and_ends_the_run_at_the_third_time():
    weight = torch.nn.Parameter(torch.ones(2))

    def gradient_of(batch):
        loss = (weight * batch).sum()
        loss.backward()
        return {"loss": loss.detach()}

    step = TrainingStep(
        gradient_of,
        lambda batch: 1,
        torch.optim.SGD([weight], lr=0.1),
        lambda number: 0.1,
    )
    nothing = torch.full((2,), torch.nan)
    assert step(nothing).loss is None
    assert step(nothing).loss is None
    assert torch.equal(weight.detach(), torch.ones(2))
    assert step(torch.ones(2)).loss.item() == 2.0
    assert torch.allclose(weight.detach(), torch.full((2,), 0.9))
    step(nothing)
    step(nothing)
    with pytest.raises(LossDiverged, match="no number 3 times in a row, last in step 6"):
        step(nothing)


def test_that_tokens_of_a_frozen_tower_are_shared_with_the_new_checkpoint(paint, tiny_checkpoint):
    painted = paint(4)
    folder = new_run(painted, tiny_checkpoint)
    assert work(folder, None, lambda: False) == 0
    new_id = checkpoint_info(step_folders(folder.checkpoints)[0]).id
    shared = sorted((painted.project.cache / "tokens" / new_id).glob("*.npy"))
    assert len(shared) == 4
    assert all(path.stat().st_nlink == 2 for path in shared)
    shutil.rmtree(painted.project.cache)
