"""The two wishes to stop, by each way they can come; and the pulse that beats while a run speaks."""

import os
import signal
import subprocess
import sys

import pytest

from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Estimated, Sampled, Waiting
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import Pulse, ask_to_stop, claim_run, read_mark, stop_file
from trainer.reporting import HEARTBEAT_SECONDS, Reporter
from trainer.stop import StopRequest


@pytest.fixture
def folder(tmp_path):
    config = RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="regions"))
    return RunFolder.create(tmp_path / "runs", config)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_that_the_end_of_the_epoch_does_not_stop_the_step(folder):
    stop = StopRequest(stop_file(folder), None)
    assert (stop(), stop.at_epoch_end()) == (False, False)
    ask_to_stop(folder, "epoch")
    assert (stop(), stop.at_epoch_end()) == (False, True)
    ask_to_stop(folder)
    assert (stop(), stop.at_epoch_end()) == (True, True)


@pytest.mark.parametrize(
    ("lines", "step", "epoch"),
    [
        (b"stop\n", True, True),
        (b"stop epoch\n", False, True),
        (b" stop  epoch \r\n", False, True),
        (b"stop epoch\nstop\n", True, True),
        (b"stopp\nepoch\n", False, False),
        (b"stop epo", False, False),
    ],
)
def test_that_lines_on_stdin_ask_for_the_one_or_the_other(folder, pipe, lines, step, epoch):
    stop = StopRequest(stop_file(folder), pipe[0])
    os.write(pipe[1], lines)
    assert (stop(), stop.at_epoch_end()) == (step, epoch)
    assert (stop(), stop.at_epoch_end()) == (step, epoch)  # and it stays so


def test_that_an_empty_stop_file_means_the_step(folder):
    stop_file(folder).touch()
    assert StopRequest(stop_file(folder), None)()


def test_that_a_wish_is_remembered_when_its_file_is_gone_and_told_once(folder):
    told = []
    stop = StopRequest(stop_file(folder), None, on_asked=lambda: told.append(1))
    ask_to_stop(folder, "epoch")
    assert stop.at_epoch_end()
    stop_file(folder).unlink()
    assert stop.at_epoch_end()
    assert not stop()
    ask_to_stop(folder)
    assert stop()
    assert told == [1]


@pytest.mark.parametrize(("asked_before", "num_signals", "status"), [(True, 1, 0), (False, 1, 0), (False, 2, -15)])
def test_that_the_first_signal_is_a_wish_even_after_another_wish_and_the_second_ends(
    folder, asked_before, num_signals, status
):
    if asked_before:
        ask_to_stop(folder)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom trainer.stop import StopRequest\n"
        f"stop = StopRequest(Path({str(stop_file(folder))!r}), None)\nstop()\nstop.listen_to_signals()\n"
        f"for _ in range({num_signals}): os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.exit(0 if stop() else 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == status
    assert signal.SIGTERM == 15


def test_that_whoever_speaks_beats_and_silence_is_broken_by_a_heartbeat(folder, monkeypatch):
    now = [50.0]
    monkeypatch.setattr("trainer.reporting.time.monotonic", lambda: now[0])
    pulse = Pulse(folder, claim_run(folder), clock=lambda: now[0])
    log = EventLog(folder)
    reporter = Reporter(log, None, pulse)
    now[0] += 3.0
    reporter.alive()
    assert read_mark(folder).heartbeat == 53.0
    assert log.next_sequence == 0  # too soon for a word
    now[0] += HEARTBEAT_SECONDS
    reporter.alive()
    assert log.next_sequence == 1
    assert read_mark(folder).heartbeat == 53.0 + HEARTBEAT_SECONDS
    now[0] += 3.0
    reporter.note("a word")
    assert read_mark(folder).heartbeat == 56.0 + HEARTBEAT_SECONDS
    log.close()


def test_that_waiting_samples_and_estimates_are_said_with_their_numbers(folder):
    log = EventLog(folder)
    reporter = Reporter(log, None)
    reporter.waiting("another")
    reporter.sampled(4, "results/samples/step_4.json")
    reporter.estimated(seconds=9.5, seconds_per_step=0.5, num_images_to_encode=3, memory_bytes=7, disk_bytes=8)
    log.close()
    assert list(folder.read_events()) == [
        Waiting(sequence=0, behind="another"),
        Sampled(sequence=1, step=4, path="results/samples/step_4.json"),
        Estimated(sequence=2, seconds=9.5, seconds_per_step=0.5, num_images_to_encode=3, memory_bytes=7, disk_bytes=8),
    ]


def test_that_a_disk_that_takes_no_mark_does_not_stop_the_run(folder, monkeypatch):
    pulse = Pulse(folder, claim_run(folder))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locstudio.jobs.run_state.os.replace", full)
    pulse.enter("stopping")
    assert pulse.phase == "stopping"
    assert read_mark(folder).phase == "running"
    assert list(folder.path.glob("*.partial")) == []
