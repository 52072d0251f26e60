"""Whether a run lives is told from its own process, never from a number that another process may carry."""

import os
import subprocess
import sys

import msgspec
import pytest

from locstudio.domain.errors import UserError
from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Failed, Finished, Note
from locstudio.jobs.run_folder import RunFolder, write_whole
from locstudio.jobs.run_state import ProcessMark, RunState, claim_run, hand_over, read_mark, state_of, stop_file

NOTE = Note(sequence=0, text="half way")


@pytest.fixture
def folder(tmp_path):
    config = RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="regions"))
    return RunFolder.create(tmp_path / "runs", config)


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()


def mark_of(process):
    return ProcessMark.of(process.pid)


def put_mark(folder, mark):
    write_whole(folder.path / "state.json", msgspec.json.encode(mark))


def test_that_a_run_nobody_has_begun_is_queued(folder):
    assert state_of(folder, None) is RunState.QUEUED


def test_that_a_run_is_running_while_its_process_lives_and_stopping_once_asked(folder):
    claim_run(folder)
    assert state_of(folder, NOTE) is RunState.RUNNING
    stop_file(folder).touch()
    assert state_of(folder, NOTE) is RunState.STOPPING


def test_that_a_dead_process_without_a_last_word_was_interrupted(folder, sleeper):
    put_mark(folder, mark_of(sleeper))
    assert state_of(folder, NOTE) is RunState.RUNNING
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, and a zombie still
    assert state_of(folder, NOTE) is RunState.INTERRUPTED
    sleeper.wait()
    assert state_of(folder, NOTE) is RunState.INTERRUPTED
    assert state_of(folder, None) is RunState.INTERRUPTED


@pytest.mark.parametrize("change", [{"created": 1.0}, {"boot": "another boot"}, {"host": "another machine"}])
def test_that_another_process_with_the_same_number_is_not_the_run(folder, change):
    put_mark(folder, msgspec.structs.replace(ProcessMark.of(os.getpid()), **change))
    assert state_of(folder, NOTE) is RunState.INTERRUPTED


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (Finished(sequence=1), RunState.DONE),
        (Finished(sequence=1, was_stopped=True), RunState.STOPPED),
        (Failed(sequence=1, sentence="No.", exit_status=4), RunState.FAILED),
    ],
)
def test_that_the_last_word_decides_once_the_process_is_gone(folder, last, state):
    put_mark(folder, msgspec.structs.replace(ProcessMark.of(os.getpid()), boot="another boot"))
    assert state_of(folder, last) is state


def test_that_two_processes_cannot_work_on_one_run(folder, sleeper):
    put_mark(folder, mark_of(sleeper))
    with pytest.raises(UserError, match=f"already going on .process {sleeper.pid}"):
        claim_run(folder)


def test_that_going_on_with_a_run_forgets_the_wish_to_stop(folder):
    stop_file(folder).touch()
    claim_run(folder)
    assert not stop_file(folder).exists()
    assert read_mark(folder).pid == os.getpid()


def test_that_an_unreadable_state_counts_as_none(folder):
    (folder.path / "state.json").write_bytes(b"{")
    assert read_mark(folder) is None
    assert state_of(folder, NOTE) is RunState.INTERRUPTED


def test_that_a_resumed_run_is_running_as_soon_as_its_process_exists(folder, sleeper):
    put_mark(folder, msgspec.structs.replace(ProcessMark.of(os.getpid()), boot="another boot"))
    stop_file(folder).touch()
    stopped = Finished(sequence=1, was_stopped=True)
    assert state_of(folder, stopped) is RunState.STOPPED
    hand_over(folder, sleeper.pid)
    assert state_of(folder, stopped) is RunState.RUNNING


def test_that_a_run_whose_process_lives_is_handed_to_no_other(folder, sleeper):
    theirs = msgspec.structs.replace(mark_of(sleeper))
    put_mark(folder, theirs)
    hand_over(folder, os.getpid())
    assert read_mark(folder).pid == sleeper.pid
    with pytest.raises(UserError, match="already going on"):
        claim_run(folder)


def test_that_a_process_which_has_ended_already_is_handed_nothing(folder, sleeper):
    sleeper.kill()
    sleeper.wait()
    hand_over(folder, sleeper.pid)
    assert read_mark(folder) is None
