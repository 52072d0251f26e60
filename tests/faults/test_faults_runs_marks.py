"""Rows 81, 83 and 89: whose process a run is, whatever numbers and clocks say, and how one that hangs is ended."""

import os
import signal
import subprocess
import sys
import time

import msgspec
import psutil
import pytest

from locstudio.jobs import run_state
from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Finished, Note
from locstudio.jobs.run_folder import EventLog, RunFolder, write_whole
from locstudio.jobs.run_state import Pulse, RunMark, RunState, claim_run, hand_over, read_mark, state_of, stop_file
from locstudio.services.run_control import ask_to_end, end_run, kill_run
from locstudio.services.runs import describe_run, trainer_environment

NOTE = Note(sequence=0, text="half way")
DEAF = (
    "import signal, subprocess, sys\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print('ready', flush=True)\nsignal.pause()"
)


@pytest.fixture
def folder(tmp_path):
    config = RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="regions"))
    return RunFolder.create(tmp_path / "runs", config)


@pytest.fixture
def sleeper():
    """An innocent process in a session of its own."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def put_mark(folder, mark):
    write_whole(folder.path / "state.json", msgspec.json.encode(mark))


def test_row_83_that_after_a_reboot_another_process_with_the_number_is_neither_the_run_nor_ended(
    folder, sleeper, monkeypatch
):
    hand_over(folder, sleeper.pid)
    assert state_of(folder, NOTE) is RunState.RUNNING
    monkeypatch.setattr(run_state, "_boot", lambda: "the boot after this one")
    assert state_of(folder, NOTE) is RunState.INTERRUPTED
    assert describe_run(folder).can_resume
    assert not ask_to_end(folder)
    assert not kill_run(folder)
    assert list(end_run(folder)) == []
    assert sleeper.poll() is None


def test_row_83_that_a_number_given_to_another_process_of_the_same_boot_is_left_alone(folder, sleeper):
    mark = RunMark.of(sleeper.pid)
    put_mark(folder, msgspec.structs.replace(mark, created=mark.created - 5.0))
    assert state_of(folder, NOTE) is RunState.INTERRUPTED
    assert not kill_run(folder)
    assert sleeper.poll() is None


def test_row_83_that_the_run_may_be_begun_again_although_its_old_number_lives(folder, sleeper):
    mark = RunMark.of(sleeper.pid)
    put_mark(folder, msgspec.structs.replace(mark, created=mark.created - 5.0))
    assert claim_run(folder).pid == os.getpid()


@pytest.mark.parametrize("shift", [-365 * 86400.0, 3600.0])
def test_row_89_that_a_clock_that_is_set_neither_ends_a_run_nor_makes_it_silent(folder, sleeper, monkeypatch, shift):
    hand_over(folder, sleeper.pid)
    now, created = time.time, psutil.Process.create_time
    monkeypatch.setattr(time, "time", lambda: now() + shift)
    monkeypatch.setattr(psutil, "boot_time", lambda: now() + shift)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created(process) + shift)
    row = describe_run(folder)
    assert (row.state, row.is_silent) == (RunState.RUNNING, False)


def test_row_89_that_messages_are_in_the_order_of_their_numbers_whatever_the_files_times_say(folder):
    log = EventLog(folder)
    for number in range(3):
        log.append(Note(sequence=number, text=str(number)))
    log.append(Finished(sequence=3))
    log.close()
    os.utime(folder.events, (0, 0))
    assert [message.sequence for message in folder.read_events()] == [0, 1, 2, 3]
    claim_run(folder)
    (folder.path / "state.json").unlink()
    assert describe_run(folder).state is RunState.DONE


def test_row_81_that_a_run_which_has_not_beaten_for_a_minute_is_silent_and_one_that_beats_is_not(folder):
    now = [100.0]
    pulse = Pulse(folder, claim_run(folder), clock=lambda: now[0])
    now[0] += 3.0
    pulse.beat()
    mark = read_mark(folder)
    assert mark.heartbeat == 103.0
    assert not mark.is_silent(103.0 + 60.0)
    assert mark.is_silent(103.0 + 60.5)
    now[0] += 1.0
    pulse.beat()
    assert read_mark(folder).heartbeat == 103.0  # at most every two seconds
    now[0] += 1.5
    pulse.beat()
    assert read_mark(folder).heartbeat == 105.5


def test_row_81_that_who_waits_for_its_turn_is_never_silent(folder):
    claim_run(folder, "queued")
    assert not read_mark(folder).is_silent(time.monotonic() + 10_000)


def test_row_81_that_a_run_deaf_to_the_signal_is_killed_with_its_workers_and_can_be_resumed(folder):
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 1
    hand_over(folder, process.pid)
    sentences = list(end_run(folder, patience_s=0.2))
    assert len(sentences) == 2
    assert process.wait(timeout=10) == -signal.SIGKILL
    process.stdout.close()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert describe_run(folder).state is RunState.INTERRUPTED


def test_row_81_that_a_stopped_process_is_ended_too(folder, sleeper):
    hand_over(folder, sleeper.pid)
    os.kill(sleeper.pid, signal.SIGSTOP)
    list(end_run(folder, patience_s=0.1))
    assert sleeper.wait(timeout=10) < 0


def test_row_81_that_a_run_started_by_hand_is_ended_without_its_shell(folder):
    shell = subprocess.Popen(  # the run shares session and group with us, as in a terminal
        [sys.executable, "-c", DEAF], stdout=subprocess.PIPE
    )
    shell.stdout.readline()
    family = psutil.Process(shell.pid).children(recursive=True)
    hand_over(folder, shell.pid)
    list(end_run(folder, patience_s=0.1))
    assert shell.wait(timeout=10) == -signal.SIGKILL
    shell.stdout.close()
    assert not psutil.wait_procs(family, timeout=10)[1]  # and we are still here


def test_that_a_wish_made_between_the_start_and_the_first_breath_is_kept(folder):
    stop_file(folder).write_text("step")  # an old one
    hand_over(folder, os.getpid())
    assert not stop_file(folder).exists()
    stop_file(folder).write_text("step")  # a person is quick
    claim_run(folder)
    assert stop_file(folder).exists()
    assert state_of(folder, None) is RunState.STOPPING


def test_that_a_worker_dies_with_the_one_it_works_for():
    worker = (
        "import os, time; from trainer.lifeline import die_with_parent; die_with_parent(PARENT); "
        "print(os.getpid(), flush=True); time.sleep(600)"
    )
    parent = (
        "import os, subprocess, sys\n"
        f"code = {worker!r}.replace('PARENT', str(os.getpid()))\n"
        "subprocess.Popen([sys.executable, '-c', code]).wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE)
    working = psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.wait()
    process.stdout.close()
    assert not psutil.wait_procs([working], timeout=10)[1]


def test_that_a_worker_whose_parent_was_gone_before_it_could_ask_ends_at_once():
    code = "from trainer.lifeline import die_with_parent; die_with_parent(1 << 22); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


def test_that_a_rank_whose_supervisor_was_killed_while_it_loaded_torch_ends_at_once(folder):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    place = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCSTUDIO_SUPERVISED": str(gone.pid)}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainer", str(folder.path)],
        env={**trainer_environment(), **place},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 75, done.stderr.decode()
    assert not folder.events.exists()
