"""How a training by several processes ends when somebody wants it to, and that none of them is left."""

import os
import signal
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
import torch
from safetensors.torch import load_file

from locstudio.jobs.messages import Finished, Progress, Saved
from locstudio.jobs.run_state import RunState
from locstudio.services.runs import describe_run

sys.path.insert(0, str(Path(__file__).parent))
from shared_runs import TRAINING, going, is_step, messages_of, new_run, ranks_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
LONG = msgspec.structs.replace(TRAINING, num_steps=100_000, batch_size=4, evaluate_every=100_000)


def test_that_a_wish_to_stop_reaches_every_process_and_the_run_is_saved(paint, tiny_checkpoint):
    folder = new_run(paint(6), tiny_checkpoint, LONG)
    with going(folder) as process:
        next(message for message in messages_of(process) if is_step(message))
        ranks = ranks_of(process)
        process.send_signal(signal.SIGTERM)
        events = list(messages_of(process))
        assert process.wait(timeout=120) == 0, folder.log.read_text()
    assert len(ranks) == 2
    assert not any(rank.is_running() for rank in ranks)
    assert events[-1] == Finished(sequence=events[-1].sequence, was_stopped=True)
    assert describe_run(folder).state is RunState.STOPPED
    saved = [message for message in events if isinstance(message, Saved)][-1]
    assert saved.step >= max([message.step for message in events if isinstance(message, Progress)], default=1)
    assert torch.isfinite(load_file(folder.path / saved.path / "weights.safetensors")["logit_scale"])
    assert not (folder.path / "ranks").exists()


def test_that_no_process_outlives_one_that_leads_and_is_killed(paint, tiny_checkpoint):
    folder = new_run(paint(6), tiny_checkpoint, LONG)
    with going(folder) as process:
        next(message for message in messages_of(process) if is_step(message))
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 3  # torchrun and two ranks, each in a session of its own
        assert all(os.getsid(child.pid) != os.getsid(process.pid) for child in family)
        process.kill()
        _, left = psutil.wait_procs(family, timeout=20)
        assert left == []
    assert describe_run(folder).state is RunState.INTERRUPTED
