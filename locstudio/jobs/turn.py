"""Runs that take turns: one at a time in a project, and one at a time on a GPU of this machine.

There is no daemon.  A run's process waits for its turn before it loads anything large; the turn is a file lock, which
the kernel takes from a process that dies, so none is ever stale.  First come, first served, among those who live.
"""

import fcntl
import os
import re
import tempfile
from pathlib import Path
from typing import IO

import platformdirs

from locstudio.jobs.configs import RunConfig
from locstudio.jobs.run_folder import RunFolder, without_links
from locstudio.jobs.run_state import read_mark

_KINDS = ("cloc", "compare", "consistency", "evaluate", "vmoe")
_MAX_ID_BYTES = 200
_GPU_FILE = re.compile(r"nvidia(\d+)")


def takes_turns(config: RunConfig) -> bool:
    """True for runs that must not go on together.

    Timing a few steps is over soon.  Indexing, routing and proposing do not wait: a person waits for them herself, they
    learn nothing and so need little memory, and they go on where they were if they have to end.
    """
    training = config.cloc or config.consistency or config.vmoe
    is_dry_run = training is not None and training.is_dry_run
    return config.kind in _KINDS and not is_dry_run


class Turn:
    """The turn of one run: asked for again and again until it is there, kept until ``release`` or the process's end."""

    def __init__(self, folder: RunFolder, config: RunConfig, *, devices: Path = Path("/dev")) -> None:
        self._folder = folder
        self._gpus = tuple(sorted(gpus_of(config, devices)))  # all in one order, so that no two wait for each other
        self._held: list[IO[bytes]] = []
        self._behind = ""

    @property
    def behind(self) -> str:
        """The run that was before this one when it asked last; empty if that is another project's, or none."""
        return self._behind

    def try_take(self) -> bool:
        """Take the turn if it is free and no other run has waited longer.

        Raises:
            OSError: the lock file cannot be made.
        """
        if not self._held and not self._take_in_project():
            return False
        self._behind = ""
        for number in self._gpus[len(self._held) - 1 :]:
            lock = _try_lock(_lock_folder() / f"gpu-{number}.lock")
            if lock is None:
                return False
            self._held.append(lock)
        return True

    def release(self) -> None:
        """Let the next one go on."""
        while self._held:
            self._held.pop().close()

    def _take_in_project(self) -> bool:
        path = self._folder.path.parent / "turn.lock"
        lock = _try_lock(path)
        if lock is None:
            with open(path, "rb") as holder:
                self._behind = holder.read(_MAX_ID_BYTES).decode(errors="replace").strip()
            return False
        if first := self._first_waiter():
            lock.close()
            self._behind = first
            return False
        lock.truncate(0)  # of our own file: ``_try_lock`` follows no link
        lock.write(self._folder.id.encode())
        lock.flush()
        self._held.append(lock)
        return True

    def _first_waiter(self) -> str:
        """The id of the living run that waits and came before this one; by its process, as clocks can be set."""
        own = read_mark(self._folder)
        if own is None:
            return ""
        waiters = []
        for path in self._folder.path.parent.iterdir():
            mark = read_mark(RunFolder(path)) if path.name != self._folder.id else None
            if mark is not None and mark.phase == "queued" and mark.is_alive():
                waiters.append((mark.created, path.name))
        first = min(waiters, default=(own.created, self._folder.id))
        return first[1] if first < (own.created, self._folder.id) else ""


def gpus_of(config: RunConfig, devices: Path = Path("/dev")) -> tuple[str, ...]:
    """The GPUs that the run would compute on, by the names that the machine gives them; none for the CPU.

    Torch would know for certain, but is only loaded by the run whose turn it is.
    """
    present = sorted(
        (match[1] for path in devices.glob("nvidia*") if (match := _GPU_FILE.fullmatch(path.name))), key=int
    )
    if config.device == "cpu" or not present:
        return ()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = present if chosen is None else [name.strip() for name in chosen.split(",") if name.strip()]
    number = config.device.partition(":")[2]
    first = int(number) if number.isdigit() else 0
    return tuple(visible[first : first + max(1, config.num_processes)])


def _try_lock(path: Path) -> IO[bytes] | None:
    lock = open(path, "a+b", opener=without_links)  # noqa: SIM115 - held for as long as the turn
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    except BaseException:
        lock.close()
        raise
    return lock


def _lock_folder() -> Path:
    """A folder of this user on this machine that no reboot outlives."""
    folder = Path(platformdirs.user_runtime_dir("locstudio"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    folder = Path(tempfile.gettempdir()) / f"locstudio-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
