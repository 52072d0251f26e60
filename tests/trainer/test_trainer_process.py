"""The trainer as a process of its own, started as the app starts it."""

import os
import signal
import subprocess
import sys
import time

import msgspec
import psutil
import pytest

from locstudio.domain.errors import JobCrashed
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining
from locstudio.jobs.messages import Finished, Progress, Saved, Started
from locstudio.jobs.run_state import RunState, claim_run, read_mark
from locstudio.services import runs

pytestmark = pytest.mark.slow

LONG = ClocTraining(num_steps=100_000, batch_size=4, regions_per_image=2, num_warmup_steps=2, evaluate_every=100_000)


def at_first_step(do):
    """Calls ``do`` once the optimiser has begun."""
    done = []

    def on_message(message):
        if isinstance(message, Progress) and message.loss is not None and not done:
            done.append(True)
            do()

    return on_message


def test_that_a_project_is_embedded_and_adopted_by_a_process_of_its_own(paint, tiny_checkpoint):
    painted = paint(5)
    folder = runs.start_embed(painted.project, painted.dataset, tiny_checkpoint, num_proposals=4, device="cpu")
    seen = []
    last = runs.run_and_wait(folder, seen.append)
    assert isinstance(last, Finished), folder.log.read_text()
    assert seen == list(folder.read_events())
    assert isinstance(seen[0], Started)
    adopted = runs.adopt_index(painted.project, painted.dataset, folder)
    index = RegionIndex.open(painted.project.index, painted.dataset.active_checkpoint().id)
    assert adopted["rows"] == len(index) >= len(painted.regions)


@pytest.mark.parametrize("how", ["SIGTERM", "line on stdin", "file"])
def test_that_a_training_asked_to_stop_saves_and_says_so(paint, tiny_checkpoint, how):
    painted = paint(4)
    folder = runs.start_train(painted.project, painted.dataset, tiny_checkpoint, training=LONG, device="cpu")
    process = runs.launch(folder)
    try:
        for line in process.stdout:
            if b'"loss":' in line and b'"loss":null' not in line:
                break
        asked = time.monotonic()
        if how == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        elif how == "file":
            runs.request_stop(folder)
        else:
            process.stdin.write(b"stop\n")
            process.stdin.flush()
        process.stdout.read()
        assert process.wait(timeout=15) == 0, folder.log.read_text()
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
    assert time.monotonic() - asked < 10
    assert folder.last_event().was_stopped
    assert runs.describe_run(folder).state is RunState.STOPPED
    saved = [message for message in folder.read_events() if isinstance(message, Saved)][-1]
    assert checkpoint_info(folder.path / saved.path).parent == checkpoint_info(tiny_checkpoint).id


def test_that_a_killed_training_is_interrupted_and_leaves_no_process(paint, tiny_checkpoint):
    painted = paint(4)
    folder = runs.start_train(painted.project, painted.dataset, tiny_checkpoint, training=LONG, device="cpu")
    with pytest.raises(JobCrashed, match="signal 9"):
        runs.run_and_wait(folder, at_first_step(lambda: os.kill(read_mark(folder).pid, signal.SIGKILL)))
    (row,) = runs.list_runs(painted.project)
    assert row.state is RunState.INTERRUPTED
    assert row.num_steps == LONG.num_steps
    assert not psutil.pid_exists(read_mark(folder).pid)


def trainer(*arguments):
    command = [sys.executable, *runs.TRAINER, *arguments]
    return subprocess.run(command, env=runs.trainer_environment(), capture_output=True, text=True, timeout=30)


def test_that_a_folder_which_is_no_run_is_refused_with_a_sentence(tmp_path):
    done = trainer(str(tmp_path))
    assert done.returncode == 4
    assert "is not a run folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert trainer().returncode == 2


def test_that_a_run_which_goes_on_is_not_started_twice(paint, tiny_checkpoint):
    painted = paint(1)
    folder = runs.start_train(painted.project, painted.dataset, tiny_checkpoint, training=LONG, device="cpu")
    claim_run(folder)  # this process stands for the trainer that is at work
    done = trainer(str(folder.path))
    assert done.returncode == 2
    assert f"already going on (process {os.getpid()})" in done.stderr
    assert folder.last_event() is None


def test_that_only_messages_reach_stdout_whatever_a_library_prints(paint, tiny_checkpoint, monkeypatch):
    painted = paint(1)
    monkeypatch.setenv("PYTHONWARNINGS", "always")
    folder = runs.start_evaluate(painted.project, painted.dataset, tiny_checkpoint, task="grounding", device="cpu")
    last = runs.run_and_wait(folder)
    assert isinstance(last, Finished), folder.log.read_text()
    assert msgspec.json.decode((folder.results / "metrics.json").read_bytes())["n"] == 2
