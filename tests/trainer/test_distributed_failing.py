"""A training by several processes that cannot go on says why, and does not begin again and again."""

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from locstudio.jobs.messages import Failed, Note, Started
from locstudio.jobs.run_state import RunState
from locstudio.services.runs import describe_run

sys.path.insert(0, str(Path(__file__).parent))
from shared_runs import TRAINING, environment, going, is_step, messages_of, new_run, ranks_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_that_a_process_that_hangs_ends_all_and_the_second_loss_ends_the_run(paint, tiny_checkpoint, monkeypatch):
    monkeypatch.setenv("LOCSTUDIO_RANK_PATIENCE_S", "12")
    training = msgspec.structs.replace(TRAINING, num_steps=100_000, batch_size=2, evaluate_every=100_000)
    folder = new_run(paint(4), tiny_checkpoint, training)
    events, hung = [], None
    with going(folder) as process:
        for message in messages_of(process):
            events.append(message)
            if not is_step(message) or sum(isinstance(event, Started) for event in events) == (1 if hung else 0):
                continue
            ranks = ranks_of(process)
            if hung is None:
                hung = ranks[1]
                hung.send_signal(signal.SIGSTOP)
            else:
                ranks[0].kill()
        assert process.wait(timeout=120) == 70, folder.log.read_text()
    assert not hung.is_running()
    notes = [message.text for message in events if isinstance(message, Note)]
    assert any("begin again from the last checkpoint" in note for note in notes)
    assert sum(isinstance(event, Started) for event in events) == 2
    assert isinstance(events[-1], Failed)
    assert "lost" in events[-1].sentence
    assert "begun again once already" in events[-1].sentence
    assert describe_run(folder).state is RunState.FAILED


def test_that_a_batch_too_small_to_be_shared_is_refused_once_and_in_words(paint, tiny_checkpoint):
    training = msgspec.structs.replace(TRAINING, batch_size=1)
    folder = new_run(paint(4), tiny_checkpoint, training)
    with going(folder) as process:
        events = list(messages_of(process))
        assert process.wait(timeout=120) == 4, folder.log.read_text()
    assert isinstance(events[-1], Failed)
    assert events[-1].sentence == "A batch has 1 images, which 2 processes cannot share; start fewer processes."
    assert sum(isinstance(event, Started) for event in events) == 1


def test_that_processes_started_by_hand_say_the_same(paint, tiny_checkpoint):
    folder = new_run(paint(4), tiny_checkpoint, msgspec.structs.replace(TRAINING, batch_size=1), num_processes=1)
    torchrun = [sys.executable, "-P", "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d"]
    torchrun += ["--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1", "-m", "trainer", str(folder.path)]
    done = subprocess.run(
        torchrun, env=environment(PYTHONSAFEPATH="1", GLOO_SOCKET_IFNAME="lo"), capture_output=True, timeout=200
    )
    assert done.returncode == 1
    last = folder.last_event()
    assert isinstance(last, Failed), done.stderr.decode()
    assert (last.exit_status, "cannot share" in last.sentence) == (4, True)
    assert done.stdout == folder.events.read_bytes()
    assert describe_run(folder).state is RunState.FAILED
