"""A training by two processes, started as the app starts it: what it leaves is what one process leaves."""

import signal

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, RunConfig
from locstudio.jobs.messages import Evaluated, Finished, Progress, Saved, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.training_files import read_best
from locstudio.services import runs
from trainer.__main__ import work
from trainer.checkpoint import step_folders

pytestmark = pytest.mark.slow

TRAINING = ClocTraining(num_steps=6, batch_size=5, regions_per_image=2, num_warmup_steps=2, evaluate_every=3)


def new_run(painted, checkpoint, training=TRAINING, num_processes=1):
    config = RunConfig(
        kind="cloc",
        checkpoint=str(checkpoint),
        device="cpu",
        num_threads=1,
        seed=3,
        cloc=training,
        num_processes=num_processes,
    )
    folder = RunFolder.create(painted.project.runs, config)
    painted.dataset.snapshot(folder.snapshot)
    return folder


def files_of(folder):
    """Every file of the run folder by its path, without what only a process of its own leaves."""
    return {
        path.relative_to(folder.path).as_posix()
        for path in folder.path.rglob("*")
        if path.is_file() and path.name not in ("state.json", "log.txt", "turn.lock")
    }


def test_that_two_processes_leave_the_folder_and_the_weights_that_one_leaves(paint, tiny_checkpoint):
    painted = paint(11, splits=("train", "train", "val"))
    alone, shared = new_run(painted, tiny_checkpoint), new_run(painted, tiny_checkpoint, num_processes=2)
    assert work(alone, None, lambda: False) == 0
    seen = []
    last = runs.run_and_wait(shared, seen.append)
    assert isinstance(last, Finished), shared.log.read_text()
    assert seen == list(shared.read_events())
    assert [message.sequence for message in seen] == list(range(len(seen)))

    assert files_of(shared) == files_of(alone)
    one, two = (load_file(step_folders(run.checkpoints)[0] / "resume" / "state.safetensors") for run in (alone, shared))
    assert one.keys() == two.keys()
    begun = load_file(tiny_checkpoint / "weights.safetensors")
    for name in one:
        if name.startswith("model."):
            moved = (one[name] - begun[name.removeprefix("model.")]).abs().max()
            assert (two[name] - one[name]).abs().max() <= 1e-5 + 0.02 * moved, name
    assert any((one[f"model.{name}"] - begun[name]).abs().max() > 1e-4 for name in begun if f"model.{name}" in one)
    started = [message for message in seen if isinstance(message, Started)]
    assert [message.device.rpartition(", ")[2] for message in started] == ["2 processes"]
    expected = [message for message in alone.read_events() if isinstance(message, Evaluated)]
    measured = [message for message in seen if isinstance(message, Evaluated)]
    assert [message.step for message in measured] == [message.step for message in expected]
    for found, wanted in zip(measured, expected, strict=True):
        assert found.metrics == pytest.approx(wanted.metrics, abs=1e-3)
    best = shared.path / read_best(shared).path
    index = RegionIndex.open(shared.results / "index", checkpoint_info(best).id)
    assert len(index.region_ids()) == 22


def test_that_a_wish_to_stop_reaches_every_process_and_the_run_is_saved(paint, tiny_checkpoint):
    painted = paint(6)
    training = msgspec.structs.replace(TRAINING, num_steps=100_000, batch_size=4, evaluate_every=100_000)
    folder = new_run(painted, tiny_checkpoint, training, num_processes=2)
    process = runs.launch(folder)
    try:
        for line in process.stdout:
            if b'"loss":' in line and b'"loss":null' not in line:
                break
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=30) == 0, folder.log.read_text()
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
    events = list(folder.read_events())
    assert events[-1] == Finished(sequence=events[-1].sequence, was_stopped=True)
    saved = [message for message in events if isinstance(message, Saved)][-1]
    assert saved.step == [message for message in events if isinstance(message, Progress)][-1].step
    assert torch.isfinite(load_file(folder.path / saved.path / "weights.safetensors")["logit_scale"])
    assert "lost" not in folder.log.read_text()
