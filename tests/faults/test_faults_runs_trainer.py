"""Rows 7, 79, 80 and 81 on the trainer as it is: killed, out of space, without its GPU, hanging; nothing is lost."""

import importlib.util
import shutil
import signal
import subprocess
from pathlib import Path

import msgspec
import psutil
import pytest
import torch

from locstudio.domain.errors import StorageFailed
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining
from locstudio.jobs.messages import Failed, Finished, Note, Started
from locstudio.jobs.run_state import RunState, claim_run, read_mark
from locstudio.services import runs
from locstudio.services.run_control import end_run, resume
from trainer.__main__ import work
from trainer.checkpoint import step_folders
from trainer.restarting import EXIT_GPU_LOST, is_gpu_lost, may_restart

_spec = importlib.util.spec_from_file_location("trainer_room", Path(__file__).parents[1] / "trainer" / "conftest.py")
_room = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_room)
paint, tiny_checkpoint = _room.paint, _room.tiny_checkpoint

pytestmark = pytest.mark.slow
TRAINING = ClocTraining(num_steps=4, batch_size=3, regions_per_image=2, num_warmup_steps=2, evaluate_every=100)
LONG = msgspec.structs.replace(TRAINING, num_steps=100_000)
# The trainer, but it saves every second step, and is as the test wants it before it begins.
WRAPPED = """
import os, signal, sys
import trainer.__main__ as main
{before}
sys.exit(main.main())
"""
KILLED_AFTER_3 = """
import trainer.hooks
trainer.hooks.REPORT_SECONDS = 0.0
import trainer.recipes.cloc_loop as loop
loop.SAVE_EVERY = 2
from trainer.hooks import ReportProgress
report = ReportProgress.__call__
def killed(self, step, metrics):
    report(self, step, metrics)
    if step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
ReportProgress.__call__ = killed
"""


@pytest.fixture
def wrap(tmp_path, monkeypatch):
    """Puts the trainer with some lines before it in its place; with none, the trainer as it is."""
    plain = runs.TRAINER

    def put(before: str) -> None:
        path = tmp_path / "wrapped.py"
        path.write_text(WRAPPED.format(before=before))
        monkeypatch.setattr(runs, "TRAINER", (str(path),) if before else plain)

    return put


def new_run(painted, checkpoint, training=TRAINING):
    return runs.start_train(
        painted.project, painted.dataset, checkpoint, training=training, device="cpu", num_threads=1
    )


def wait_for_its_end(process: "subprocess.Popen[bytes]") -> int:
    process.stdin.close()
    process.stdout.read()
    process.stdout.close()
    return process.wait(timeout=60)


def test_row_80_that_a_killed_training_is_interrupted_and_resumes_to_the_same_end_bit_by_bit(
    paint, tiny_checkpoint, wrap
):
    painted = paint(6)
    whole, killed = new_run(painted, tiny_checkpoint), new_run(painted, tiny_checkpoint)
    assert work(whole, None, lambda: False) == 0
    wrap(KILLED_AFTER_3)
    assert wait_for_its_end(runs.launch(killed)) == -signal.SIGKILL
    row = runs.describe_run(killed)
    assert (row.state, row.step, row.saved_step, row.can_resume) == (RunState.INTERRUPTED, 3, 2, True)
    wrap("")
    assert wait_for_its_end(resume(killed)) == 0, killed.log.read_text()
    assert runs.describe_run(killed).state is RunState.DONE
    assert [m.first_step for m in killed.read_events() if isinstance(m, Started)] == [0, 2]
    ids = {checkpoint_info(step_folders(run.checkpoints)[0]).id for run in (whole, killed)}
    assert len(ids) == 1  # the id is the weights' own hash


FULL_AFTER_3 = """
import resource
import trainer.recipes.cloc_loop as loop
loop.SAVE_EVERY = 2
from trainer.hooks import ReportProgress
report = ReportProgress.__call__
def fill(self, step, metrics):
    report(self, step, metrics)
    if step == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
ReportProgress.__call__ = fill
"""


def test_row_7_that_a_checkpoint_that_does_not_fit_leaves_the_old_one_and_nothing_half_written(
    paint, tiny_checkpoint, wrap
):
    folder = new_run(paint(6), tiny_checkpoint)
    wrap(FULL_AFTER_3)
    assert wait_for_its_end(runs.launch(folder)) == 5, folder.log.read_text()
    row = runs.describe_run(folder)
    assert (row.state, row.can_resume) == (RunState.FAILED, True)
    assert "disk" in row.sentence or "too large" in row.sentence
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == ["step_2"]
    checkpoint_info(folder.checkpoints / "step_2")
    wrap("")
    assert wait_for_its_end(resume(folder)) == 0, folder.log.read_text()
    assert [m.first_step for m in folder.read_events() if isinstance(m, Started)] == [0, 2]


HANGS = """
from trainer.hooks import ReportProgress
def hang(self, step, metrics):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    self._reporter.note("now it hangs")
    signal.pause()
ReportProgress.__call__ = hang
"""


def test_row_81_that_a_training_which_hangs_is_silent_and_ended_with_all_its_processes(paint, tiny_checkpoint, wrap):
    folder = new_run(paint(4), tiny_checkpoint, LONG)
    wrap(HANGS)
    process = runs.launch(folder)
    for line in process.stdout:
        if b"now it hangs" in line:
            break
    mark = read_mark(folder)
    assert mark.is_silent(mark.heartbeat + 61)
    family = [psutil.Process(mark.pid), *psutil.Process(mark.pid).children(recursive=True)]
    assert len(list(end_run(folder, patience_s=0.3))) == 2
    assert wait_for_its_end(process) == -signal.SIGKILL
    assert not psutil.wait_procs(family[1:], timeout=10)[1]
    assert runs.describe_run(folder).state is RunState.INTERRUPTED


LOSES_ITS_GPU = """
def lose(*_):
    raise RuntimeError("CUDA error: device-side assert triggered")
main.run_recipe = lose
"""


def test_row_79_that_a_run_that_loses_its_gpu_begins_again_once_in_the_same_process(paint, tiny_checkpoint, wrap):
    folder = new_run(paint(4), tiny_checkpoint)
    wrap(LOSES_ITS_GPU)
    process = runs.launch(folder)
    mark = read_mark(folder)
    assert wait_for_its_end(process) == 0, folder.log.read_text()
    assert read_mark(folder).pid == mark.pid == process.pid
    first, *_, last = folder.read_events()
    assert isinstance(first, Note)
    assert "begins again" in first.text
    assert isinstance(last, Finished)
    assert wait_for_its_end(runs.launch(folder)) == EXIT_GPU_LOST  # it is never begun again a second time
    assert isinstance(folder.last_event(), Failed)
    assert folder.last_event().exit_status == EXIT_GPU_LOST
    assert runs.describe_run(folder).state is RunState.FAILED


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        (RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("CUDA error: unspecified launch failure"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), False),
        (RuntimeError("shape '[2, 3]' is invalid for input of size 5"), False),
        (ValueError("CUDA error: device-side assert triggered"), False),
    ],
)
def test_row_79_that_a_lost_gpu_is_told_from_other_faults(error, is_lost):
    assert is_gpu_lost(error) is is_lost


def test_row_79_that_a_run_is_begun_again_by_itself_once_and_never_more(paint, tiny_checkpoint):
    folder = new_run(paint(1), tiny_checkpoint)
    assert [may_restart(folder) for _ in range(3)] == [True, False, False]
    claim_run(folder)  # nor after a person has resumed it
    assert not may_restart(folder)


def test_row_9_that_a_training_is_refused_with_both_sizes_where_less_than_2_gb_are_free(
    paint, tiny_checkpoint, monkeypatch
):
    painted = paint(2)
    usage = shutil.disk_usage(painted.project.path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=(2 << 30) - 100_000_000))
    with pytest.raises(StorageFailed, match=r"needs 2\.0 GB of free space at .*; there are 1\.9 GB"):
        new_run(painted, tiny_checkpoint)
    assert runs.list_runs(painted.project) == []
    assert not painted.project.runs.exists() or not list(painted.project.runs.iterdir())
