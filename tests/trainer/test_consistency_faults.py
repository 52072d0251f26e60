"""Runs of the multi-label classifier that are stopped, killed, or meet what is broken: how they go on."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from locstudio.jobs.heatmaps import heatmaps_folder
from locstudio.jobs.messages import Failed, Finished, Started
from trainer import consistency_step
from trainer.__main__ import work
from trainer.checkpoint import step_folders
from trainer.row_file import RowFile

sys.path.insert(0, str(Path(__file__).parent))
from classified import (
    Killed,
    StopAfterStep,
    deny,
    everything_of,
    failed,
    heat_of,
    killed_after,
    messages,
    new_run,
    notes,
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr("trainer.hooks.REPORT_SECONDS", 0.0)
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 0)
    monkeypatch.setattr("os.fsync", lambda _: None)  # of a few small images an epoch is over before the disk is


@pytest.mark.parametrize(
    "changes", [{}, {"num_slots": 2, "max_dense_classes": 3}, {"memory": "scores", "loss": "ll_r"}]
)
def test_that_a_resumed_run_ends_bitwise_where_an_unbroken_run_ends(label, tiny_classifier, monkeypatch, changes):
    monkeypatch.setattr("trainer.recipes.class_loop.SAVE_EVERY", 2)
    labelled = label(9, num_labelled=8, splits=("", "", "", "val"))
    whole, stopped, killed = (new_run(labelled, tiny_classifier, batch_size=2, **changes) for _ in range(3))
    assert work(whole, None, lambda: False) == 0
    assert work(stopped, None, StopAfterStep(stopped, 5)) == 0
    assert stopped.last_event().was_stopped
    with pytest.raises(Killed):
        work(killed, None, killed_after(killed, 8))
    for broken, first_step in ((stopped, 5), (killed, 8)):
        torch.manual_seed(1234)
        assert work(broken, None, lambda: False) == 0
        assert [m.first_step for m in messages(broken, Started)] == [0, first_step]
        assert everything_of(broken) == everything_of(whole)


def test_that_a_run_killed_after_its_memory_and_before_its_checkpoint_ends_where_an_unbroken_one_does(
    label, tiny_classifier, monkeypatch
):
    labelled = label(6)
    whole, killed = new_run(labelled, tiny_classifier), new_run(labelled, tiny_classifier)
    assert work(whole, None, lambda: False) == 0
    save = "trainer.recipes.class_loop.save_step"
    kept = __import__("trainer.checkpoint").checkpoint.save_step

    def dies(checkpoints, step, *values, **names):
        if step == 4:
            raise Killed
        return kept(checkpoints, step, *values, **names)

    with monkeypatch.context() as patch:
        patch.setattr(save, dies)
        with pytest.raises(Killed):
            work(killed, None, lambda: False)
    assert heat_of(killed).header.epoch == 2
    assert work(killed, None, lambda: False) == 0
    assert [m.first_step for m in messages(killed, Started)] == [0, 2]
    assert everything_of(killed) == everything_of(whole)


def test_that_a_run_goes_on_with_a_sentence_where_its_heatmaps_are_gone_or_of_another_epoch(label, tiny_classifier):
    labelled = label(6)
    gone, other = (new_run(labelled, tiny_classifier) for _ in range(2))
    for folder in (gone, other):
        assert work(folder, None, StopAfterStep(folder, 5)) == 0
    shutil.rmtree(heatmaps_folder(gone.results))
    newest = step_folders(other.checkpoints)[0] / "resume" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-9])
    shutil.rmtree(step_folders(other.checkpoints)[1])
    for folder in (gone, other):
        assert work(folder, None, lambda: False) == 0
        heat = heat_of(folder)
        assert heat.header.epoch == 4
        # Also of images that the epoch had seen before the run was stopped.
        assert (heat.averages_NL[heat.labels_NL == 1] > 0.4).all()
    assert any("There are no heatmaps" in note and "remembers anew" in note for note in notes(gone))
    assert [m.first_step for m in messages(other, Started)] == [0, 0]


def test_that_an_image_that_cannot_be_read_is_said_and_left_out(label, tiny_classifier):
    labelled = label(6)
    (labelled.project.path.parent / "project images" / "002.png").write_bytes(b"no picture")
    folder = new_run(labelled, tiny_classifier)
    assert work(folder, None, lambda: False) == 0
    assert sum("002.png" in note for note in notes(folder)) == 1
    heat = heat_of(folder)
    gone = heat.rows[labelled.images[2].id]
    assert heat.scores_ENL[:, gone].max() == 0
    assert heat.averages_NL[gone].tolist() == [0, 0, 1, 0]  # what its label says, and nothing more
    assert heat.maps_NKWW[gone].max() == 0


def test_that_a_run_that_finds_fewer_images_when_it_goes_on_ends_with_heatmaps_that_can_be_read(label, tiny_classifier):
    labelled = label(9)
    folder = new_run(labelled, tiny_classifier)
    assert work(folder, None, StopAfterStep(folder, 11)) == 0
    (labelled.project.path.parent / "project images" / "004.png").write_bytes(b"no picture")
    assert work(folder, None, lambda: False) == 0  # two steps an epoch now, and not three
    heat = heat_of(folder)
    assert heat.header.epoch == 4
    assert (heat.averages_NL[heat.labels_NL == 1] > 0.4).all()


def test_that_a_project_that_says_nothing_of_classes_is_told_what_to_do(label, tiny_classifier):
    assert "No image has a class yet" in failed(new_run(label(3, num_labelled=0), tiny_classifier))
    labelled = label(4, name="all held out", splits=("val",))
    assert "lie in the split val" in failed(new_run(labelled, tiny_classifier))
    labelled = label(3, name="denied", num_labelled=0)
    deny(labelled.dataset, labelled.images[0].id, 1)
    assert "which classes images do not show" in failed(new_run(labelled, tiny_classifier))


@pytest.mark.slow
def test_that_a_run_whose_process_is_killed_goes_on_to_the_same_end(label, tiny_classifier):
    labelled = label(8)
    whole, killed = (new_run(labelled, tiny_classifier, num_epochs=8) for _ in range(2))
    assert work(whole, None, lambda: False) == 0
    program = "import sys; from trainer.__main__ import work; from pathlib import Path\n"
    program += "from locstudio.jobs.run_folder import RunFolder; import torch, trainer.hooks\n"
    program += "trainer.hooks.REPORT_SECONDS = 0.0; torch.set_num_threads(1)\n"
    program += "import trainer.recipes.train_cloc as recipe; recipe.MIN_FREE_BYTES = 0\n"
    program += "sys.exit(work(RunFolder(Path(sys.argv[1])), sys.stdout.buffer, lambda: False))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(killed.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    with process:
        for line in process.stdout:
            if b'"step":7,' in line:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not isinstance(killed.last_event(), Finished)
    assert work(killed, None, lambda: False) == 0
    assert everything_of(killed) == everything_of(whole)


def test_that_a_full_disk_ends_the_run_with_a_sentence_and_it_goes_on_exactly_when_there_is_room(
    label, tiny_classifier, monkeypatch
):
    labelled = label(6)
    whole, full = new_run(labelled, tiny_classifier), new_run(labelled, tiny_classifier)
    assert work(whole, None, lambda: False) == 0
    write, count = RowFile.write, []

    def refuses(self, rows, values):
        count.append(1)
        if len(count) > 25:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, rows, values)

    with monkeypatch.context() as patch:
        patch.setattr(RowFile, "write", refuses)
        assert work(full, None, lambda: False) == 5
    (message,) = messages(full, Failed)
    assert "the disk is full; those of epoch 3 stand; free some space and resume the run" in message.sentence
    assert heat_of(full).header.epoch == 3
    assert work(full, None, lambda: False) == 0
    assert everything_of(full) == everything_of(whole)


def test_that_too_little_space_is_said_before_anything_is_done(label, tiny_classifier, monkeypatch):
    monkeypatch.setattr("trainer.recipes.train_cloc.MIN_FREE_BYTES", 1 << 60)
    folder = new_run(label(3), tiny_classifier)
    assert "of free space" in failed(folder)
    assert not heatmaps_folder(folder.results).exists()


def test_that_a_loss_that_is_no_number_sends_the_run_back_once(label, tiny_classifier, monkeypatch):
    monkeypatch.setattr("trainer.training_step.MAX_BAD_STEPS", 1)
    labelled = label(6)
    folder = new_run(labelled, tiny_classifier)
    loss, count = consistency_step.assume_negative_loss, []

    def bad(*values):
        count.append(1)
        return loss(*values) * (float("nan") if len(count) == 2 else 1.0)

    monkeypatch.setattr("trainer.consistency_step.assume_negative_loss", bad)
    assert work(folder, None, lambda: False) == 0
    assert any("The run goes on from step 0 with half the learning rate" in note for note in notes(folder))
    assert heat_of(folder).header.epoch == 4
    monkeypatch.setattr("trainer.consistency_step.assume_negative_loss", lambda *values: loss(*values) * float("nan"))
    other = new_run(labelled, tiny_classifier)
    assert "Half the learning rate did not help" in failed(other)
    assert (other.results / "bad_batch.json").is_file()


def test_that_a_stop_while_images_are_read_leaves_nothing_half_done(label, tiny_classifier):
    folder = new_run(label(5), tiny_classifier)
    assert work(folder, None, lambda: bool(messages(folder, Started))) == 0
    assert folder.last_event().was_stopped
    assert not list(folder.checkpoints.iterdir())
    assert work(folder, None, lambda: False) == 0
    assert heat_of(folder).header.epoch == 4
