"""Runs of the trainer: start one, wait for it, list them.

Runs are made by ``starting``, and what they made is taken into the project by ``adoption``; their doors are here too.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import locstudio
from locstudio.domain.errors import BadInput, JobCrashed, ProtocolError, UserError
from locstudio.jobs.messages import (
    AnyMessage,
    Failed,
    Finished,
    from_line,
)
from locstudio.jobs.run_folder import RunFolder, without_links
from locstudio.jobs.run_state import ask_to_stop, hand_over
from locstudio.services.adoption import adopt_checkpoint, adopt_index, settle_adoption
from locstudio.services.run_summary import RunSummary, describe_run
from locstudio.services.runs_of import run_folders
from locstudio.services.starting import (
    PRESETS,
    start_compare,
    start_consistency,
    start_embed,
    start_evaluate,
    start_route,
    start_train,
    start_vmoe,
)
from locstudio.store.project import Project

__all__ = [
    "PRESETS",
    "RunSummary",
    "adopt_checkpoint",
    "adopt_index",
    "describe_run",
    "find_run",
    "launch",
    "list_runs",
    "request_stop",
    "run_and_wait",
    "settle_adoption",
    "start_compare",
    "start_consistency",
    "start_embed",
    "start_evaluate",
    "start_route",
    "start_train",
    "start_vmoe",
    "trainer_environment",
]

TRAINER = ("-P", "-m", "trainer")
"""Arguments of Python that start the trainer; ``-P``, so that no package in a stranger's folder is taken for it."""


def find_run(project: Project, run_id: str) -> RunFolder:
    """The run with this id, or the only one whose id contains it.

    Raises:
        UserError: there is none, or there are several.
    """
    ids = [folder.id for folder in run_folders(project)]
    found = [run_id] if run_id in ids else [known for known in ids if run_id in known]
    if len(found) != 1:
        what = f"{len(found)} runs are called" if found else "No run is called"
        raise UserError(f"{what} {run_id!r}; `locstudio runs {project.path}` lists them.")
    return RunFolder(project.runs / found[0])


def trainer_environment() -> dict[str, str]:
    """The environment of a trainer: ours, with the packages of this very LocStudio first.

    It is offline, unless a person has set HF_HUB_OFFLINE=0.
    """
    root = str(Path(locstudio.__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"HF_HUB_OFFLINE": "1", **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def launch(folder: RunFolder, *, is_heard: bool = True) -> subprocess.Popen[bytes]:
    """Start the trainer on a run, new or broken off.

    It has its own session, so neither the window's end nor its terminal's ends the run.  Its stdout is the protocol,
    its log goes to ``log.txt``; a line ``stop`` on its stdin asks it to stop after the step.  One that is not heard
    has neither stdin nor stdout; its folder says the same.
    """
    pipe = subprocess.PIPE if is_heard else subprocess.DEVNULL
    with open(folder.log, "ab", opener=without_links) as log:
        process = subprocess.Popen(
            [sys.executable, *TRAINER, str(folder.path)],
            stdin=pipe,
            stdout=pipe,
            stderr=log,
            env=trainer_environment(),
            start_new_session=True,
        )
    hand_over(folder, process.pid)
    return process


def run_and_wait(folder: RunFolder, on_message: Callable[[AnyMessage], object] = lambda _: None) -> Finished | Failed:
    """Start the trainer, hand on its messages as they come, and return the last one.

    Ctrl-C asks the run to stop after its step and goes on waiting; a second one leaves it to itself.

    Raises:
        JobCrashed: it ended without a last word; it can be resumed.
        ProtocolError: it said something that is no message; it has been ended.
    """
    process = launch(folder)
    assert process.stdin is not None
    assert process.stdout is not None
    last: AnyMessage | None = None
    was_asked = False
    try:
        while True:
            try:
                line = process.stdout.readline()
                if not line:
                    break
                last = from_line(line)
                on_message(last)
            except KeyboardInterrupt:
                if was_asked:
                    raise
                was_asked = True
                request_stop(folder)
        status = process.wait()
    except ProtocolError:
        process.kill()
        process.wait()
        raise
    finally:
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
    if isinstance(last, Finished | Failed):
        return last
    raise JobCrashed(_crash_sentence(folder, status))


def request_stop(folder: RunFolder) -> None:
    """Ask a run to stop after its step, also one that another app has started."""
    ask_to_stop(folder)


def list_runs(project: Project) -> list[RunSummary]:
    """The project's runs, newest first; a folder that is no run is left out."""
    rows = []
    for folder in run_folders(project):
        with suppress(BadInput):
            rows.append(describe_run(folder))
    return sorted(rows, key=lambda row: row.id, reverse=True)


def _crash_sentence(folder: RunFolder, status: int) -> str:
    how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"The run {folder.id} {how} without a last word; it can be resumed. Its log is {folder.log}."
