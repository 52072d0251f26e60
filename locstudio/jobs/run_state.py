"""Whose process a run is, and whether it still lives.

``state.json`` in the run folder names the process by its id, its creation time and the machine's boot, so that an id
that was given to another process, after a reboot or not, is never taken for the run.
"""

import contextlib
import os
from enum import StrEnum
from pathlib import Path

import msgspec
import psutil

from locstudio.domain.errors import UserError
from locstudio.jobs.messages import AnyMessage, Failed, Finished
from locstudio.jobs.run_folder import RunFolder, write_whole


class RunState(StrEnum):
    """Where a run stands.  ``INTERRUPTED``: its process is gone without a last word; it can be resumed."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class ProcessMark(msgspec.Struct, frozen=True, kw_only=True):
    """One process of one boot of one machine.  ``created`` is in seconds since 1970, as the system counts it."""

    pid: int
    created: float
    boot: str
    host: str

    @classmethod
    def of(cls, pid: int) -> "ProcessMark":
        """The mark of a living process.

        Raises:
            psutil.NoSuchProcess: there is none.
        """
        process = psutil.Process(pid)
        return cls(pid=process.pid, created=process.create_time(), boot=_boot(), host=os.uname().nodename)

    def is_alive(self) -> bool:
        """True while that very process runs; False for a process of another machine, which cannot be seen."""
        if self.host != os.uname().nodename or self.boot != _boot():
            return False
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.created) < 0.01
            return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


def claim_run(folder: RunFolder) -> None:
    """Write the calling process into ``state.json`` and forget an earlier wish to stop.

    Raises:
        UserError: another living process works on the run.
    """
    mark = read_mark(folder)
    if mark is not None and mark.pid != os.getpid() and mark.is_alive():
        raise UserError(f"The run {folder.id} is already going on (process {mark.pid}).")
    stop_file(folder).unlink(missing_ok=True)
    write_whole(_state_file(folder), msgspec.json.encode(ProcessMark.of(os.getpid())) + b"\n")


def hand_over(folder: RunFolder, pid: int) -> None:
    """Say that this new process works on the run, before it can say so itself.

    Without it a run that is resumed would look, for as long as Python takes to start, as its last word left it.
    """
    with contextlib.suppress(psutil.Error):
        stop_file(folder).unlink(missing_ok=True)
        write_whole(_state_file(folder), msgspec.json.encode(ProcessMark.of(pid)) + b"\n")


def read_mark(folder: RunFolder) -> ProcessMark | None:
    """The process that worked on the run last, or None before the first."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(_state_file(folder).read_bytes(), type=ProcessMark)
    return None


def stop_file(folder: RunFolder) -> Path:
    """The file whose existence asks the run to stop after its step; it also reaches a run whose pipe is gone."""
    return folder.path / "stop"


def state_of(folder: RunFolder, last: AnyMessage | None) -> RunState:
    """Where the run stands, given its last message: from the living process first, then from its last word."""
    mark = read_mark(folder)
    if mark is not None and mark.is_alive():
        return RunState.STOPPING if stop_file(folder).exists() else RunState.RUNNING
    if isinstance(last, Finished):
        return RunState.STOPPED if last.was_stopped else RunState.DONE
    if isinstance(last, Failed):
        return RunState.FAILED
    return RunState.QUEUED if mark is None and last is None else RunState.INTERRUPTED


def _state_file(folder: RunFolder) -> Path:
    return folder.path / "state.json"


def _boot() -> str:
    """Identity of this boot of the machine; boot time where the kernel tells no id."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return str(round(psutil.boot_time()))
