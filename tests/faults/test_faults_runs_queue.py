"""Row 84: two runs of one project take turns, first come, first served, and a dead one holds nobody up."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Finished, Note, Waiting
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState, read_mark
from locstudio.jobs.turn import Turn
from locstudio.services import runs
from locstudio.services.run_control import stop_after_step
from locstudio.ui.job_process import JobProcess

# The trainer as it is, but what it does when its turn has come takes no model and ends when it is asked to.
STAND_IN = """
import sys, time
import trainer.__main__ as trainer
from locstudio.jobs.run_folder import EventLog
from locstudio.jobs.messages import Finished, Note

def work(folder, pipe, should_stop, pulse):
    assert "torch" not in sys.modules
    log = EventLog(folder)
    log.append(Note(sequence=log.next_sequence, text="at work"))
    while not should_stop():
        time.sleep(0.01)
    log.append(Finished(sequence=log.next_sequence, was_stopped=True))
    log.close()
    return 0

trainer.work = work
trainer.TURN_POLL_S = 0.05
sys.exit(trainer.main())
"""
CONFIG = RunConfig(kind="evaluate", checkpoint="/c", device="cpu", evaluate=Evaluation(task="regions"))


@pytest.fixture
def start(tmp_path, monkeypatch, qtbot):
    """Starts runs of one project; each is heard by a ``JobProcess`` of its own."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(runs, "TRAINER", (str(script),))
    jobs = []

    def begin() -> JobProcess:
        folder = RunFolder.create(tmp_path / "project" / "runs", CONFIG)
        job = JobProcess()
        job.words = []
        job.message.connect(job.words.append)
        jobs.append((job, folder))
        assert job.start(folder)
        return job

    yield begin
    for job, folder in jobs:
        mark = read_mark(folder)
        if mark.is_alive():
            os.kill(mark.pid, signal.SIGKILL)
        job.close()


def wait_for_word(qtbot, job, kind):
    qtbot.waitUntil(lambda: any(isinstance(word, kind) for word in job.words), timeout=15_000)


def test_row_84_that_the_second_run_waits_behind_the_first_and_begins_when_it_is_done(start, qtbot):
    first = start()
    wait_for_word(qtbot, first, Note)
    second = start()
    wait_for_word(qtbot, second, Waiting)
    assert second.words == [Waiting(sequence=0, behind=first.folder.id)]
    qtbot.waitUntil(lambda: second.summary.state is RunState.QUEUED and second.summary.has_process)
    assert second.summary.behind == first.folder.id
    with qtbot.waitSignal(first.ended, timeout=10_000):
        first.stop()
    wait_for_word(qtbot, second, Note)
    qtbot.waitUntil(lambda: second.summary.state is RunState.RUNNING, timeout=10_000)
    assert second.summary.behind == ""


def test_row_84_that_a_run_begins_when_the_one_before_it_is_killed(start, qtbot):
    first = start()
    wait_for_word(qtbot, first, Note)
    second = start()
    wait_for_word(qtbot, second, Waiting)
    with qtbot.waitSignal(first.ended, timeout=10_000) as ended:
        os.kill(read_mark(first.folder).pid, signal.SIGKILL)
    assert ended.args[0].state is RunState.INTERRUPTED
    wait_for_word(qtbot, second, Note)


def test_row_84_that_three_runs_go_in_the_order_in_which_they_came(start, qtbot):
    first = start()
    wait_for_word(qtbot, first, Note)
    others = []
    for _ in range(2):
        others.append(start())
        wait_for_word(qtbot, others[-1], Waiting)
    second, third = others
    with qtbot.waitSignal(first.ended, timeout=10_000):
        first.stop()
    wait_for_word(qtbot, second, Note)
    assert not any(isinstance(word, Note) for word in third.words)
    with qtbot.waitSignal(second.ended, timeout=10_000):
        second.stop()
    wait_for_word(qtbot, third, Note)


def test_row_84_that_a_killed_waiter_is_passed_over(start, qtbot):
    first = start()
    wait_for_word(qtbot, first, Note)
    second, third = start(), start()
    wait_for_word(qtbot, second, Waiting)
    wait_for_word(qtbot, third, Waiting)
    with qtbot.waitSignal(second.ended, timeout=10_000) as ended:
        os.kill(read_mark(second.folder).pid, signal.SIGKILL)
    assert ended.args[0].state is RunState.INTERRUPTED
    with qtbot.waitSignal(first.ended, timeout=10_000):
        first.stop()
    wait_for_word(qtbot, third, Note)


def test_row_84_that_a_run_can_be_stopped_while_it_waits_and_resumed_later(start, qtbot):
    first = start()
    wait_for_word(qtbot, first, Note)
    second = start()
    folder = second.folder
    wait_for_word(qtbot, second, Waiting)
    with qtbot.waitSignal(second.ended, timeout=10_000) as ended:
        second.stop()
    assert (ended.args[0].state, ended.args[0].can_resume) == (RunState.STOPPED, True)
    assert second.words == [Waiting(sequence=0, behind=first.folder.id), Finished(sequence=1, was_stopped=True)]
    assert second.start(folder)
    qtbot.waitUntil(lambda: sum(isinstance(word, Waiting) for word in second.words) >= 3, timeout=15_000)
    with qtbot.waitSignal(second.ended, timeout=10_000):
        stop_after_step(folder)


def test_row_84_that_a_queued_real_trainer_has_not_loaded_torch(tmp_path):
    folder = RunFolder.create(tmp_path / "project" / "runs", CONFIG)
    holder = Turn(RunFolder.create(tmp_path / "project" / "runs", CONFIG), CONFIG)
    assert holder.try_take()
    process = runs.launch(folder)
    try:
        assert b'"waiting"' in process.stdout.readline()
        maps = {row.path for row in psutil.Process(process.pid).memory_maps()}
        assert not any("libtorch" in path for path in maps)
        assert read_mark(folder).phase == "queued"
        process.stdin.write(b"stop\n")
        process.stdin.flush()
        assert b'"was_stopped":true' in process.stdout.readline()
        assert process.wait(timeout=15) == 0
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        holder.release()


def test_row_84_that_a_lock_file_that_cannot_be_made_is_said_and_not_hung_on(tmp_path):
    folder = RunFolder.create(tmp_path / "project" / "runs", CONFIG)
    (folder.path.parent / "turn.lock").mkdir()
    done = subprocess.run(
        [sys.executable, *runs.TRAINER, str(folder.path)],
        env=runs.trainer_environment(),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert done.returncode == 5
    assert "turn.lock" in folder.last_event().sentence
