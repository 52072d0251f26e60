"""Runs that train experts and are stopped, killed, short of disk, or of a loss that is no number."""

import errno
import os
import sys
from pathlib import Path

import pytest

from locstudio.domain.errors import StorageFailed
from locstudio.jobs.messages import Failed, Started
from locstudio.jobs.routing import read_routing
from trainer.__main__ import work
from trainer.checkpoint import step_folders
from trainer.stop import StopRequest

sys.path.insert(0, str(Path(__file__).parent))
from classified import Killed, StopAfterStep, failed, killed_after, messages, notes
from routed import done, everything_of, new_run

SMALL = {"num_epochs": 2, "num_dense_epochs": 2}
"""Two steps an epoch of twelve images: four of the twin, four of the experts."""


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("trainer.hooks.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 0)
    monkeypatch.setattr("os.fsync", lambda _: None)


def test_that_a_run_that_was_stopped_or_killed_in_either_stage_ends_where_an_unbroken_one_ends(label):
    labelled = label(12)
    whole = everything_of(done(new_run(labelled, **SMALL)))
    stopped = new_run(labelled, **SMALL)
    for step in (1, 3, 5, 7):
        assert work(stopped, None, StopAfterStep(stopped, step)) == 0
        assert stopped.last_event().was_stopped
    assert everything_of(done(stopped)) == whole
    killed = new_run(labelled, **SMALL)
    for step in (3, 6):  # of the twin's second epoch and the experts' first
        with pytest.raises(Killed):
            work(killed, None, killed_after(killed, step))
    assert everything_of(done(killed)) == whole


def test_that_a_run_killed_while_it_writes_goes_on_to_the_same_end(label, monkeypatch):
    labelled = label(12)
    replace, count = os.replace, [0]

    def counted(*places, **options):
        count[0] += 1
        if count[0] == last[0]:
            raise Killed
        replace(*places, **options)

    monkeypatch.setattr("os.replace", counted)
    last = [-1]
    whole = everything_of(done(new_run(labelled, **SMALL)))
    killed = new_run(labelled, **SMALL)
    num_kills = 0
    # Each part of the run is killed a few renames further on than the one before had come.
    for distance in (2, 5, 9, 3, 7, 4, 6):
        last[0] = count[0] + distance
        try:
            work(killed, None, lambda: False)
        except Killed:
            num_kills += 1
    last[0] = -1
    assert num_kills >= 5
    assert everything_of(done(killed)) == whole


class WishAfterStep(StopRequest):
    """Asks for the end of the epoch once this step has been reported."""

    def __init__(self, folder, step):
        super().__init__(folder.path / "stop", None)
        self.folder, self.reached = folder, StopAfterStep(folder, step)

    def __call__(self):
        if self.reached():
            (self.folder.path / "stop").write_text("epoch")
        return super().__call__()


def test_that_a_run_stops_at_the_end_of_an_epoch_of_either_stage(label):
    labelled = label(12)
    folder = new_run(labelled, **SMALL)
    for step, checkpoints, name in ((1, "dense", "step_2"), (5, ".", "step_6")):
        (folder.path / "stop").unlink(missing_ok=True)
        assert work(folder, None, WishAfterStep(folder, step)) == 0
        assert folder.last_event().was_stopped
        assert step_folders(folder.checkpoints / checkpoints)[0].name == name


def test_that_a_full_disk_ends_the_run_with_a_sentence_and_it_goes_on_exactly_when_there_is_room(label, monkeypatch):
    labelled = label(12)
    whole = everything_of(done(new_run(labelled, **SMALL)))
    full = new_run(labelled, **SMALL)
    write, count = sys.modules["trainer.recipes.vmoe_routing"].write_routing, []

    def refuses(results, table):
        count.append(1)
        if len(count) == 2:
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise StorageFailed(f"{results} could not be written: {error.strerror}.") from error
        write(results, table)

    monkeypatch.setattr("trainer.recipes.vmoe_routing.write_routing", refuses)
    assert work(full, None, lambda: False) == 5
    (message,) = messages(full, Failed)
    assert "could not be written: No space left on device" in message.sentence
    assert read_routing(full.results).header.epoch == 1
    assert everything_of(done(full)) == whole


def test_that_too_little_space_is_said_before_anything_is_done(label, monkeypatch):
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 1 << 60)
    folder = new_run(label(6))
    assert "of free space" in failed(folder)
    assert not list(folder.checkpoints.iterdir())


@pytest.mark.parametrize("at", [2, 6])
def test_that_a_loss_that_is_no_number_sends_the_run_back_once(label, monkeypatch, at):
    monkeypatch.setattr("trainer.training_step.MAX_BAD_STEPS", 1)
    labelled = label(12)
    folder = new_run(labelled, **SMALL)
    loss, count = sys.modules["trainer.vmoe_step"].class_loss, []

    def bad(*values):
        count.append(1)
        return loss(*values) * (float("nan") if len(count) == at else 1.0)

    monkeypatch.setattr("trainer.vmoe_step.class_loss", bad)
    done(folder)
    back = {2: 0, 6: 4}[at]
    assert any(f"The run goes on from step {back} with half the learning rate" in note for note in notes(folder))
    assert read_routing(folder.results).header.epoch == 2
    if at == 2:
        monkeypatch.setattr("trainer.vmoe_step.class_loss", lambda *values: loss(*values) * float("nan"))
        other = new_run(labelled, **SMALL)
        assert "Half the learning rate did not help" in failed(other)
        assert (other.results / "bad_batch.json").is_file()


def test_that_damaged_checkpoints_and_results_are_made_again(label):
    labelled = label(12)
    folder = new_run(labelled, **SMALL)
    whole = everything_of(done(new_run(labelled, **SMALL)))
    assert work(folder, None, StopAfterStep(folder, 7)) == 0
    (step_folders(folder.checkpoints)[0] / "resume/state.safetensors").write_bytes(b"damaged")
    (folder.results / "routing/routing.safetensors").write_bytes(b"damaged")
    (folder.results / "confusion/confusion.safetensors").write_bytes(b"damaged")
    done(folder)
    said = " ".join(notes(folder))
    assert "An earlier one is tried" in said
    assert "It is measured anew" in said
    found = everything_of(folder)
    # What was said of the epoch before is gone with the table; all else is as it would have been.
    assert [one.epoch for one in found.pop("header").epochs] in ([1, 2], [2])
    whole.pop("header")
    assert found == whole


def test_that_a_stop_while_images_are_read_leaves_nothing_half_done(label):
    folder = new_run(label(12), **SMALL)
    assert work(folder, None, lambda: bool(messages(folder, Started))) == 0
    assert folder.last_event().was_stopped
    assert not list(folder.checkpoints.iterdir())
    done(folder)
