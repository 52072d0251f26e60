"""A run that goes on: asked to stop, ended if it does not answer, started again; and what it says, as it says it.

Each wish reaches the run through its folder, so it does not matter who has started it, or whether that one still is.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunMark, ask_to_stop, living_mark
from locstudio.jobs.run_tail import RunTail
from locstudio.services.runs import launch

__all__ = [
    "PATIENCE_S",
    "RunTail",
    "ask_to_end",
    "end_run",
    "kill_run",
    "process_of",
    "resume",
    "stop_after_epoch",
    "stop_after_step",
]

PATIENCE_S = 20.0


def stop_after_step(folder: RunFolder) -> None:
    """Ask the run to save and stop after the step it is at."""
    ask_to_stop(folder, "step")


def stop_after_epoch(folder: RunFolder) -> None:
    """Ask the run to save and stop after the epoch it is in; an earlier wish for "after the step" stands."""
    ask_to_stop(folder, "epoch")


def end_run(folder: RunFolder, *, patience_s: float = PATIENCE_S) -> Iterator[str]:
    """End a run that does not stop by itself, telling in a sentence what is done before it is waited for.

    First it is asked by signal, which a working run answers by saving; after ``patience_s`` seconds its whole process
    group is killed, so that no worker of it is left.
    """
    process = process_of(folder)
    if process is None:
        return
    try:
        yield "Asking the run to end."
        ask_to_end(folder)
        if _has_ended(process, patience_s):
            return
        yield "It does not answer; its processes are ended. What it has saved stays."
        kill_run(folder)
        _has_ended(process, patience_s)
    finally:
        os.close(process)


def ask_to_end(folder: RunFolder) -> bool:
    """Send SIGTERM to the run's process: it saves and ends after its step.  False if there is none."""
    return _signal(folder, signal.SIGTERM)


def kill_run(folder: RunFolder) -> bool:
    """Kill the run's process and every process of its group at once.  False if there is none.

    The mark is compared first: a number that another process carries by now is left alone.
    """
    mark = living_mark(folder)
    if mark is None:
        return False
    family = _family(mark)
    if _has_own_group(mark):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(os.getpgid(mark.pid), signal.SIGKILL)
    for process in family:
        with suppress(psutil.Error):
            process.kill()
    return True


def process_of(folder: RunFolder) -> int | None:
    """A descriptor that becomes readable when the run's process ends, also if it is not our child; to be closed.

    None without a living process.

    Raises:
        OSError: the system has no such descriptors; ask ``living_mark`` from time to time.
    """
    mark = living_mark(folder)
    if mark is None:
        return None
    try:
        descriptor = os.pidfd_open(mark.pid)
    except ProcessLookupError:
        return None
    if mark.is_alive():  # looked at again: the number may have become another process's in between
        return descriptor
    os.close(descriptor)
    return None


def resume(folder: RunFolder) -> "subprocess.Popen[bytes]":
    """Start a run again that was stopped, interrupted or has failed; it goes on from its last checkpoint."""
    return launch(folder)


def _signal(folder: RunFolder, number: signal.Signals) -> bool:
    try:
        process = process_of(folder)
    except (AttributeError, OSError):  # a system without descriptors of processes
        mark = living_mark(folder)
        if mark is not None:
            os.kill(mark.pid, number)
        return mark is not None
    if process is None:
        return False
    try:
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(process)
    return True


def _family(mark: RunMark) -> list[psutil.Process]:
    """The process and all that descend from it, the youngest first."""
    try:
        process = psutil.Process(mark.pid)
        return [*reversed(process.children(recursive=True)), process]
    except psutil.Error:
        return []


def _has_own_group(mark: RunMark) -> bool:
    """Whether its process group is the run's alone: one that was started by hand shares ours, or its shell's."""
    try:
        return os.getsid(mark.pid) != os.getsid(0) and os.getpgid(mark.pid) != os.getpgrp()
    except ProcessLookupError:
        return False


def _has_ended(process: int, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
