"""Whose process a run is, where it stands, and whether it still lives.

``state.json`` in the run folder names the process by its id, its creation time and the machine's boot, so that an id
that was given to another process, after a reboot or not, is never taken for the run.  Its times are counted from the
boot and by the monotonic clock: a clock that is set back a year neither ends a run nor makes it old.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

import msgspec
import psutil

from locstudio.domain.errors import UserError
from locstudio.jobs.json_files import read_json
from locstudio.jobs.messages import AnyMessage, Failed, Finished
from locstudio.jobs.run_folder import RunFolder, write_whole

Phase = Literal["queued", "running", "stopping"]
StopKind = Literal["step", "epoch"]

BEAT_S = 2.0
SILENT_S = 60.0


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
    """One process of one boot of one machine.  ``created`` is in seconds since that boot (elsewhere: since 1970)."""

    pid: int
    created: float
    boot: str
    host: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """The mark of a living process.

        Raises:
            psutil.NoSuchProcess: there is none.
        """
        return cls(pid=pid, created=_created(pid), boot=_boot(), host=os.uname().nodename)

    def is_alive(self) -> bool:
        """True while that very process runs; False for a process of another machine, which cannot be seen."""
        if not self.is_of_this_boot():
            return False
        try:
            is_same = abs(_created(self.pid) - self.created) < 0.01
            return bool(is_same and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False

    def is_of_this_boot(self) -> bool:
        """True for a process, living or not, of this machine since it was started."""
        return self.host == os.uname().nodename and self.boot == _boot()


class RunMark(ProcessMark, frozen=True, kw_only=True):
    """What ``state.json`` holds: the process, how far it is, and when it was last seen at work.

    ``heartbeat`` is in seconds of the machine's monotonic clock, and None where nobody has said.
    """

    phase: Phase = "running"
    heartbeat: float | None = None

    def is_silent(self, now: float | None = None) -> bool:
        """True when the process has not been at work for a minute, though it should; ``now`` is monotonic."""
        if self.heartbeat is None or self.phase == "queued" or not self.is_of_this_boot():
            return False
        return (time.monotonic() if now is None else now) - self.heartbeat > SILENT_S


class Pulse:
    """Keeps ``state.json`` fresh.  Whoever does the work calls it from there, so that a loop that hangs falls silent.

    The mark may be of another process: the first of several that torchrun has started beats for the one that leads.
    """

    def __init__(self, folder: RunFolder, mark: RunMark, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._mark = mark
        self._clock = clock
        self._beaten_at = clock()

    @property
    def phase(self) -> Phase:
        """The phase that was written last."""
        return self._mark.phase

    def beat(self) -> None:
        """Say that the run is at work; written at most every two seconds."""
        if self._clock() - self._beaten_at >= BEAT_S:
            self._write(self._mark.phase)

    def enter(self, phase: Phase) -> None:
        """Say that another phase begins."""
        if phase != self._mark.phase:
            self._write(phase)

    def _write(self, phase: Phase) -> None:
        self._beaten_at = self._clock()
        self._mark = msgspec.structs.replace(self._mark, phase=phase, heartbeat=self._beaten_at)
        # A heart that cannot be written, on a full disk, is no reason to stop beating.
        with contextlib.suppress(OSError):
            _replace_mark(self._folder, self._mark)


def claim_run(folder: RunFolder, phase: Phase = "running") -> RunMark:
    """Write the calling process into ``state.json``, and forget a wish to stop that is older than this process.

    Raises:
        UserError: another living process works on the run.
    """
    mark = read_mark(folder)
    if mark is not None and mark.pid != os.getpid() and mark.is_alive():
        raise UserError(f"The run {folder.id} is already going on (process {mark.pid}).")
    own: RunMark = msgspec.structs.replace(RunMark.of(os.getpid()), phase=phase, heartbeat=time.monotonic())
    if mark is None or not _is_same(mark, own):
        stop_file(folder).unlink(missing_ok=True)
    write_whole(_state_file(folder), _encoded(own))
    return own


def hand_over(folder: RunFolder, pid: int) -> None:
    """Say that this new process works on the run, before it can say so itself.

    Without it a run that is resumed would look, for as long as Python takes to start, as its last word left it.
    Where another living process works on the run, the new one shall find its mark, and refuse.
    """
    with contextlib.suppress(psutil.Error):
        new: RunMark = msgspec.structs.replace(RunMark.of(pid), heartbeat=time.monotonic())
        known = read_mark(folder)
        if known is None or not known.is_alive():
            stop_file(folder).unlink(missing_ok=True)
            write_whole(_state_file(folder), _encoded(new))


def read_mark(folder: RunFolder) -> RunMark | None:
    """The process that worked on the run last, or None before the first."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return read_json(_state_file(folder), RunMark)
    return None


def stop_file(folder: RunFolder) -> Path:
    """The file whose existence asks the run to stop; it also reaches a run whose pipe is gone.

    It holds ``epoch`` for "after the epoch", and anything else for "after the step".
    """
    return folder.path / "stop"


def ask_to_stop(folder: RunFolder, kind: StopKind = "step") -> None:
    """Ask the run to stop; a wish for "after the epoch" does not weaken an earlier one for "after the step"."""
    if kind == "step" or stop_wish(stop_file(folder)) != "step":
        write_whole(stop_file(folder), kind.encode())


def stop_wish(file: Path) -> StopKind | None:
    """What the stop file asks for, or None where there is none."""
    try:
        with open(file, "rb") as wish:
            return "epoch" if wish.read(16).strip() == b"epoch" else "step"
    except OSError:
        return None


def state_of(folder: RunFolder, last: AnyMessage | None) -> RunState:
    """Where the run stands, given its last message: from the living process first, then from its last word.

    Read the mark first and ``last`` afterwards (``state_by``) where the run may be ending meanwhile.
    """
    return state_by(folder, living_mark(folder), last)


def living_mark(folder: RunFolder) -> RunMark | None:
    """The mark of the run's process if it lives."""
    mark = read_mark(folder)
    return mark if mark is not None and mark.is_alive() else None


def state_by(folder: RunFolder, living: RunMark | None, last: AnyMessage | None) -> RunState:
    """As ``state_of``, for a mark that was looked for before the last message was read.

    In this order a run that ends between the two looks is seen running once more; in the other one it would look
    as if it had died without a word.
    """
    if living is not None:
        if living.phase == "stopping" or stop_file(folder).exists():
            return RunState.STOPPING
        return RunState.QUEUED if living.phase == "queued" else RunState.RUNNING
    if isinstance(last, Finished):
        return RunState.STOPPED if last.was_stopped else RunState.DONE
    if isinstance(last, Failed):
        return RunState.FAILED
    return RunState.QUEUED if last is None and read_mark(folder) is None else RunState.INTERRUPTED


def _state_file(folder: RunFolder) -> Path:
    return folder.path / "state.json"


def _encoded(mark: RunMark) -> bytes:
    return msgspec.json.encode(mark) + b"\n"


def _replace_mark(folder: RunFolder, mark: RunMark) -> None:
    """Replace the mark without waiting for the disk: after a power loss another boot tells that the run is gone."""
    partial = folder.path / f"state.json.{secrets.token_hex(4)}.partial"
    try:
        partial.write_bytes(_encoded(mark))
        os.replace(partial, _state_file(folder))
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _is_same(one: ProcessMark, other: ProcessMark) -> bool:
    return one.pid == other.pid and one.boot == other.boot and abs(one.created - other.created) < 0.01


def _created(pid: int) -> float:
    """When the process was made.  Where the kernel tells it, by a clock that nobody can set.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return float(psutil.Process(pid).create_time())


def _boot() -> str:
    """Identity of this boot of the machine; boot time where the kernel tells no id."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return str(round(psutil.boot_time()))
