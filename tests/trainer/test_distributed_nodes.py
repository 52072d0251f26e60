"""A training by two torchruns with a process each, as on two machines that see the same files; both are this one."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from locstudio.jobs.messages import Finished, Saved, Started
from locstudio.jobs.run_state import RunState
from locstudio.services.runs import describe_run

sys.path.insert(0, str(Path(__file__).parent))
from shared_runs import environment, new_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_that_two_torchruns_started_by_hand_do_one_run(paint, tiny_checkpoint):
    folder = new_run(paint(6), tiny_checkpoint, num_processes=1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torchrun = [sys.executable, "-P", "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--local-addr=127.0.0.1"]
    nodes = [
        subprocess.Popen(
            [*torchrun, "-m", "trainer", str(folder.path)],
            env=environment(PYTHONSAFEPATH="1", GLOO_SOCKET_IFNAME="lo"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    try:
        ends = [node.communicate(timeout=200) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert [node.returncode for node in nodes] == [0, 0], b"\n".join(log for _, log in ends).decode()
    events = list(folder.read_events())
    assert isinstance(events[-1], Finished)
    assert describe_run(folder).state is RunState.DONE
    assert [m.device.rpartition(", ")[2] for m in events if isinstance(m, Started)] == ["2 processes"]
    assert [message.step for message in events if isinstance(message, Saved)][-1] == 6
    said = [output for output, _ in ends if output]
    assert said == [folder.events.read_bytes()]
