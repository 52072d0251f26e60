"""Waiting for a run: its messages in order, its last word, and what a run without one is called."""

import os
import signal
import sys
import time

import psutil
import pytest

from locstudio.domain.errors import JobCrashed, ProtocolError, UserError
from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Failed, Finished, Heartbeat, Note
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services import runs
from locstudio.store.project import Project

PREAMBLE = """
import sys, time
from pathlib import Path
from locstudio.jobs.messages import *
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import claim_run, stop_file
folder = RunFolder(Path(sys.argv[1]))
claim_run(folder)
log = EventLog(folder)
def say(kind, **fields):
    sys.stdout.buffer.write(log.append(kind(sequence=log.next_sequence, **fields)))
    sys.stdout.buffer.flush()
"""


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "project")
    project.runs.mkdir(parents=True)
    return project


@pytest.fixture
def folder(project):
    config = RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="regions"))
    return RunFolder.create(project.runs, config)


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """Puts a script in the trainer's place; it has ``folder`` and ``say``."""

    def put(script):
        path = tmp_path / "stand_in.py"
        path.write_text(PREAMBLE + script)
        monkeypatch.setattr(runs, "TRAINER", (str(path),))

    return put


def test_that_messages_come_in_order_and_the_last_one_is_returned(folder, trainer):
    trainer("say(Note, text='begun')\nsay(Heartbeat)\nprint('for the log', file=sys.stderr)\nsay(Finished)")
    seen = []
    assert runs.run_and_wait(folder, seen.append) == Finished(sequence=2)
    assert seen == [Note(sequence=0, text="begun"), Heartbeat(sequence=1), Finished(sequence=2)]
    assert folder.log.read_text() == "for the log\n"
    assert runs.describe_run(folder).state is RunState.DONE


def test_that_a_failure_is_a_last_word_and_shown_in_the_list(folder, project, trainer):
    trainer("say(Failed, sentence='The disk is full.', exit_status=5)\nsys.exit(5)")
    assert runs.run_and_wait(folder) == Failed(sequence=0, sentence="The disk is full.", exit_status=5)
    (row,) = runs.list_runs(project)
    assert (row.state, row.sentence) == (RunState.FAILED, "The disk is full.")
    assert row.to_json()["state"] == "failed"


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("", "ended with status 0"),
        ("sys.exit(3)", "ended with status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by signal 9"),
    ],
)
def test_that_an_end_without_a_last_word_is_a_crash_and_the_run_interrupted(folder, project, trainer, ending, how):
    trainer(f"say(Progress, step=3, num_steps=9, images_per_second=1.0, seconds_left=6.0)\n{ending}")
    with pytest.raises(JobCrashed, match=how):
        runs.run_and_wait(folder)
    (row,) = runs.list_runs(project)
    assert (row.state, row.step, row.num_steps) == (RunState.INTERRUPTED, 3, 9)
    assert "can be resumed" in row.sentence


def test_that_an_interrupted_run_can_be_started_again(folder, trainer):
    trainer("say(Note, text='first')")
    with pytest.raises(JobCrashed):
        runs.run_and_wait(folder)
    trainer("say(Finished)")
    assert runs.run_and_wait(folder) == Finished(sequence=1)


def test_that_a_line_which_is_no_message_ends_the_process(folder, trainer):
    trainer("print('Loading weights...', flush=True)\ntime.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(ProtocolError, match="Loading weights"):
        runs.run_and_wait(folder)
    assert time.monotonic() - begun < 20
    assert not [child for child in psutil.Process().children() if child.cmdline()[-1:] == [str(folder.path)]]


def test_that_a_request_to_stop_reaches_the_run_through_its_folder(folder, trainer):
    trainer(
        "say(Note, text='ready')\n"
        "while not stop_file(folder).exists(): time.sleep(0.01)\n"
        "say(Finished, was_stopped=True)"
    )
    last = runs.run_and_wait(folder, lambda message: runs.request_stop(folder))
    assert last.was_stopped
    assert runs.describe_run(folder).state is RunState.STOPPED


def test_that_a_run_outlives_the_one_who_started_it(folder, trainer):
    trainer(
        "say(Note, text='ready')\n"
        "assert sys.stdin.read() == ''\n"  # whoever started it is gone
        "log.append(Finished(sequence=log.next_sequence))"
    )
    process = runs.launch(folder)
    process.stdout.readline()
    assert os.getsid(process.pid) == process.pid  # a session of its own: no terminal and no window ends it
    assert runs.describe_run(folder).state is RunState.RUNNING
    process.stdout.close()
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    assert runs.describe_run(folder).state is RunState.DONE


def test_that_ctrl_c_asks_the_run_to_stop_and_waits_for_its_last_word(folder, trainer):
    # A shell that starts the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    trainer(
        "say(Note, text='ready')\n"
        "while not stop_file(folder).exists(): time.sleep(0.01)\n"
        "say(Finished, was_stopped=True)"
    )

    def interrupt(message):
        if isinstance(message, Note):
            signal.raise_signal(signal.SIGINT)

    try:
        assert runs.run_and_wait(folder, interrupt).was_stopped
    finally:
        signal.signal(signal.SIGINT, before)


def test_that_a_run_is_found_by_a_part_of_its_name_that_no_other_has(project, folder):
    config = folder.config()
    other = RunFolder.create(project.runs, config)
    assert runs.find_run(project, folder.id) == folder
    assert runs.find_run(project, other.id[-6:]) == other
    with pytest.raises(UserError, match="2 runs are called 'evaluate'"):
        runs.find_run(project, "evaluate")
    with pytest.raises(UserError, match="No run is called 'train'"):
        runs.find_run(project, "train")


def test_that_folders_which_are_no_runs_are_left_out_of_the_list(project, folder):
    (project.runs / "notes").mkdir()
    broken = project.runs / "20260101T000000Z-embed-abcdef"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    assert [row.id for row in runs.list_runs(project)] == [folder.id]
    assert runs.list_runs(Project(project.path / "nowhere")) == []


def test_that_the_trainer_never_comes_from_the_working_folder(folder, tmp_path, monkeypatch):
    stranger = tmp_path / "stranger" / "trainer"
    stranger.mkdir(parents=True)
    (stranger / "__main__.py").write_text("print('code of a stranger')")
    monkeypatch.chdir(stranger.parent)
    assert "-P" in runs.TRAINER
    monkeypatch.setattr(runs, "TRAINER", (*runs.TRAINER[:-1], "trainer", "--help"))
    process = runs.launch(folder)
    out, _ = process.communicate(timeout=20)
    assert b"RUN_FOLDER" in out or "RUN_FOLDER" in folder.log.read_text()
    assert b"stranger" not in out
    assert sys.executable
