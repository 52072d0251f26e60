"""Row 82: the window is killed while a run goes on; the run goes on, and the next window has it again, whole."""

import os
import signal
import subprocess
import sys

import pytest

from locstudio.jobs.configs import Evaluation, RunConfig
from locstudio.jobs.messages import Finished, Progress
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState, read_mark
from locstudio.services.runs import list_runs, trainer_environment
from locstudio.store.project import Project
from locstudio.ui.job_process import JobProcess

TRAINER = """
import sys, time
from pathlib import Path
from locstudio.jobs.messages import Finished, Progress
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import Pulse, claim_run, stop_file
folder = RunFolder(Path(sys.argv[1]))
pulse = Pulse(folder, claim_run(folder))
log = EventLog(folder)
while not stop_file(folder).exists():
    step = log.next_sequence
    log.append(Progress(sequence=step, step=step, num_steps=1_000_000, images_per_second=1.0, seconds_left=1.0))
    pulse.beat()
    time.sleep(0.02)
log.append(Finished(sequence=log.next_sequence, was_stopped=True))
"""
WINDOW = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from locstudio.jobs.run_folder import RunFolder
from locstudio.services import runs
from locstudio.ui.job_process import JobProcess
app = QCoreApplication([])
runs.TRAINER = (sys.argv[2],)
job = JobProcess()
job.message.connect(lambda message: print(message.sequence, flush=True))
assert job.start(RunFolder(Path(sys.argv[1])))
app.exec()
"""


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "project")
    project.runs.mkdir(parents=True)
    return project


@pytest.fixture
def folder(project):
    config = RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="regions"))
    folder = RunFolder.create(project.runs, config)
    yield folder
    mark = read_mark(folder)
    if mark is not None and mark.is_alive():
        os.kill(mark.pid, signal.SIGKILL)


@pytest.fixture
def window(folder, tmp_path):
    """A process with a window's event loop that has started the run and heard five of its words."""
    for name, code in {"trainer": TRAINER, "window": WINDOW}.items():
        (tmp_path / f"{name}.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "window.py"), str(folder.path), str(tmp_path / "trainer.py")],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=trainer_environment(),
        start_new_session=True,
    )
    assert [int(process.stdout.readline()) for _ in range(5)] == [0, 1, 2, 3, 4]
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_row_82_that_a_run_outlives_the_window_and_the_next_one_meets_it(window, folder, project, qtbot, how):
    os.killpg(window.pid, how)  # the whole group, as a terminal that is closed does
    assert window.wait(timeout=10) == -how
    mark = read_mark(folder)
    assert mark.is_alive()
    [row] = list_runs(project)
    assert (row.state, row.has_process) == (RunState.RUNNING, True)

    job, words = JobProcess(), []
    job.message.connect(words.append)
    job.attach(row.folder)
    qtbot.waitUntil(lambda: len(words) > 20, timeout=15_000)
    assert read_mark(folder).pid == mark.pid
    with qtbot.waitSignal(job.ended, timeout=15_000) as ended:
        job.stop()
    assert ended.args[0].state is RunState.STOPPED
    assert [word.sequence for word in words] == list(range(len(words)))
    assert {type(word) for word in words[:-1]} == {Progress}
    assert isinstance(words[-1], Finished)
    job.close()


def test_row_82_that_a_run_which_died_while_no_window_was_there_can_be_resumed(window, folder, project, qtbot):
    os.killpg(window.pid, signal.SIGKILL)
    window.wait(timeout=10)
    os.kill(read_mark(folder).pid, signal.SIGKILL)
    job = JobProcess()
    with qtbot.waitSignal(job.ended, timeout=15_000) as ended:
        job.attach(folder)
    row = ended.args[0]
    assert (row.state, row.can_resume) == (RunState.INTERRUPTED, True)
    assert row.step >= 4
    assert "can be resumed" in row.sentence
    assert [row.state for row in list_runs(project)] == [RunState.INTERRUPTED]
    job.close()
