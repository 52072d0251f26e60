"""A run as the window sees it: started or met, heard in order, asked to stop, ended, and its end told once and last."""

import os
import signal
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Finished, Heartbeat, Note
from locstudio.jobs.run_folder import RunFolder, write_whole
from locstudio.jobs.run_state import RunState, read_mark, stop_file, stop_wish
from locstudio.services import runs
from locstudio.ui.job_process import JobProcess

PREAMBLE = """
import os, signal, sys, time
from pathlib import Path
from locstudio.jobs.messages import *
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import Pulse, claim_run, stop_file, stop_wish
folder = RunFolder(Path(sys.argv[1]))
pulse = Pulse(folder, claim_run(folder))
log = EventLog(folder)
def say(kind, **fields):
    log.append(kind(sequence=log.next_sequence, **fields))
def wait_for(what):
    while not what():
        time.sleep(0.01)
def progress(step):
    say(Progress, step=step, num_steps=9, images_per_second=1.0, seconds_left=5.0)
"""
UNTIL_STOPPED = "say(Note, text='ready')\nwait_for(stop_file(folder).exists)\nsay(Finished, was_stopped=True)"
FOR_EVER = "say(Note, text='ready')\nwait_for(lambda: False)"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOR_EVER


@pytest.fixture
def folder(tmp_path):
    config = RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="regions"))
    return RunFolder.create(tmp_path / "project" / "runs", config)


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """Puts a script in the trainer's place."""

    def put(script):
        path = tmp_path / "stand_in.py"
        path.write_text(PREAMBLE + script)
        monkeypatch.setattr(runs, "TRAINER", (str(path),))

    return put


class Heard:
    """Everything a job has emitted, in order."""

    def __init__(self, job: JobProcess) -> None:
        self.all: list[tuple[str, object]] = []
        for name in ("message", "state_changed", "not_responding", "ended"):
            getattr(job, name).connect(lambda value, name=name: self.all.append((name, value)))

    def of(self, name: str) -> list:
        return [value for kind, value in self.all if kind == name]


@pytest.fixture
def job(qtbot):
    made = JobProcess(patience_s=0.3)
    yield made
    if made.folder is not None and (mark := read_mark(made.folder)) is not None and mark.is_alive():
        os.kill(mark.pid, signal.SIGKILL)
    made.close()


@pytest.fixture
def heard(job):
    return Heard(job)


def wait_for_note(qtbot, heard):
    qtbot.waitUntil(lambda: any(isinstance(m, Note) for m in heard.of("message")), timeout=10_000)


def start_and_wait(job, folder, qtbot):
    with qtbot.waitSignal(job.ended, timeout=15_000) as ended:
        assert job.start(folder)
    return ended.args[0]


def test_that_every_message_comes_once_in_order_and_the_end_is_last(job, heard, folder, trainer, qtbot):
    trainer("say(Note, text='begun')\nprogress(3)\nsay(Heartbeat)\nsay(Finished)")
    row = start_and_wait(job, folder, qtbot)
    assert (row.state, row.step, row.num_steps) == (RunState.DONE, 3, 9)
    assert [m.sequence for m in heard.of("message")] == [0, 1, 2, 3]
    assert heard.of("message") == list(folder.read_events())
    assert heard.all[-1] == ("ended", row)
    assert heard.all[-2] == ("state_changed", row)
    assert len(heard.of("ended")) == 1
    assert (job.folder, job.is_busy, job.summary) == (None, False, row)


def test_that_a_run_asked_to_stop_is_shown_stopping_and_then_stopped(job, heard, folder, trainer, qtbot):
    trainer(UNTIL_STOPPED)
    job.start(folder)
    wait_for_note(qtbot, heard)
    with qtbot.waitSignal(job.ended, timeout=10_000) as ended:
        job.stop()
    assert ended.args[0].state is RunState.STOPPED
    assert ended.args[0].can_resume


def test_that_the_end_of_the_epoch_is_another_wish_than_the_end_of_the_step(job, heard, folder, trainer, qtbot):
    trainer(FOR_EVER)
    job.start(folder)
    wait_for_note(qtbot, heard)
    job.stop_after_epoch()
    assert stop_wish(stop_file(folder)) == "epoch"
    qtbot.waitUntil(lambda: job.summary.state is RunState.STOPPING)
    job.stop()
    assert stop_wish(stop_file(folder)) == "step"


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)", "os.abort()"])
def test_that_an_end_without_a_last_word_can_be_resumed(job, heard, folder, trainer, qtbot, how):
    trainer(f"progress(4)\n{how}")
    row = start_and_wait(job, folder, qtbot)
    assert (row.state, row.step, row.can_resume) == (RunState.INTERRUPTED, 4, True), folder.log.read_text()
    trainer("say(Finished)")
    assert start_and_wait(job, folder, qtbot).state is RunState.DONE
    assert len(heard.of("ended")) == 2


def test_that_a_process_that_dies_before_its_first_word_has_an_end_too(job, heard, folder, trainer, qtbot):
    trainer("")
    Path(runs.TRAINER[0]).write_text("raise SystemExit('no such module')")
    row = start_and_wait(job, folder, qtbot)
    assert row.state is RunState.INTERRUPTED
    assert "no such module" in folder.log.read_text()


def test_that_a_run_that_does_not_answer_is_killed_with_all_its_processes(job, heard, folder, trainer, qtbot):
    trainer("import subprocess\nsubprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n" + DEAF)
    job.start(folder)
    wait_for_note(qtbot, heard)
    process = psutil.Process(read_mark(folder).pid)
    family = [process, *process.children(recursive=True)]
    assert len(family) == 2
    with qtbot.waitSignal(job.ended, timeout=10_000) as ended:
        job.end()
    assert ended.args[0].state is RunState.INTERRUPTED
    _, alive = psutil.wait_procs(family[1:], timeout=5)
    assert not alive


def test_that_a_run_that_answers_the_signal_is_not_killed(job, heard, folder, trainer, qtbot):
    trainer(
        "asked = []\nsignal.signal(signal.SIGTERM, lambda *_: asked.append(1))\n"
        "say(Note, text='ready')\nwait_for(lambda: asked)\nsay(Finished, was_stopped=True)"
    )
    job.start(folder)
    wait_for_note(qtbot, heard)
    with qtbot.waitSignal(job.ended, timeout=10_000) as ended:
        job.end()
    assert ended.args[0].state is RunState.STOPPED


def test_that_a_run_goes_on_when_its_window_leaves_and_is_met_again(job, heard, folder, trainer, qtbot):
    trainer("progress(1)\n" + UNTIL_STOPPED)
    job.start(folder)
    wait_for_note(qtbot, heard)
    job.leave()
    assert read_mark(folder).is_alive()
    other = JobProcess()
    heard_again = Heard(other)
    other.attach(folder)
    wait_for_note(qtbot, heard_again)
    assert heard_again.of("message") == heard.of("message")
    assert other.summary.state is RunState.RUNNING
    with qtbot.waitSignal(other.ended, timeout=10_000) as ended:
        other.stop()
    assert ended.args[0].state is RunState.STOPPED
    assert heard.of("ended") == []
    other.close()


def test_that_a_run_that_goes_on_is_not_started_a_second_time(job, heard, folder, trainer, qtbot):
    trainer(UNTIL_STOPPED)
    job.start(folder)
    wait_for_note(qtbot, heard)
    pid = read_mark(folder).pid
    other = JobProcess()
    assert other.start(folder)
    qtbot.waitUntil(lambda: other.summary is not None)
    assert read_mark(folder).pid == pid
    with qtbot.waitSignals([job.ended, other.ended], timeout=10_000):
        other.stop()
    other.close()


def test_that_a_run_that_is_over_ends_at_once_when_it_is_met(job, heard, folder, trainer, qtbot):
    trainer("say(Note, text='begun')\nsay(Finished)")
    start_and_wait(job, folder, qtbot)
    heard.all.clear()
    with qtbot.waitSignal(job.ended, timeout=5_000) as ended:
        job.attach(folder)
    assert ended.args[0].state is RunState.DONE
    assert [type(m) for m in heard.of("message")] == [Note, Finished]


def test_that_nothing_is_told_once_whoever_listens_has_left(job, folder, trainer, qtbot):
    trainer("say(Note, text='begun')\nsay(Finished)")
    seen = []
    job.ended.connect(seen.append)
    job.message.connect(lambda _: job.leave())
    job.start(folder)
    qtbot.waitUntil(lambda: not job.is_busy, timeout=10_000)
    assert seen == []
    job.message.disconnect()
    with qtbot.waitSignal(job.ended, timeout=10_000):
        job.attach(folder)


def test_that_a_run_that_hangs_is_said_so_until_it_beats_again(job, heard, folder, trainer, qtbot):
    trainer(FOR_EVER)
    job.start(folder)
    wait_for_note(qtbot, heard)
    mark = read_mark(folder)
    old = msgspec.structs.replace(mark, heartbeat=time.monotonic() - 61)
    with qtbot.waitSignal(job.not_responding, timeout=5_000) as said:
        write_whole(folder.path / "state.json", msgspec.json.encode(old))
    assert said.args == [True]
    assert job.summary.is_silent
    with qtbot.waitSignal(job.not_responding, timeout=5_000) as said:
        write_whole(folder.path / "state.json", msgspec.json.encode(mark))
    assert said.args == [False]


def test_that_a_long_history_arrives_in_order_without_holding_the_window(job, heard, folder, trainer, qtbot):
    trainer("for n in range(9_000): say(Note, text='x' * 40)\nsay(Finished)")
    row = start_and_wait(job, folder, qtbot)
    assert row.state is RunState.DONE
    assert [m.sequence for m in heard.of("message")] == list(range(9_001))


def test_that_a_folder_which_is_no_run_ends_with_a_sentence(job, tmp_path, qtbot):
    (tmp_path / "nothing").mkdir()
    with qtbot.waitSignal(job.ended, timeout=5_000) as ended:
        job.attach(RunFolder(tmp_path / "nothing"))
    assert ended.args[0].state is RunState.FAILED
    assert "is not a run folder" in ended.args[0].sentence


def test_that_a_run_has_a_session_of_its_own_and_neither_our_stdin_nor_our_stdout(job, heard, folder, trainer, qtbot):
    trainer("assert sys.stdin.read() == ''\nprint('unheard')\n" + FOR_EVER)
    job.start(folder)
    wait_for_note(qtbot, heard)
    pid = read_mark(folder).pid
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert Heartbeat(sequence=0) not in heard.of("message")
