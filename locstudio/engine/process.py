"""The engine as a child process: its own pipes, and an end that comes with its parent's.  Standard library only."""

import ctypes
import os
import select
import signal
import sys
from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1
MAX_LINE_BYTES = 16 << 20


def claim_pipes() -> tuple[int, int]:
    """Take stdin and stdout away from everyone else, and return private descriptors of both.

    Whatever a library prints from now on, in Python or C, goes to stderr.  Call it before libraries are imported.
    """
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = sys.stderr
    return requests, replies


def die_with_parent(parent_pid: int | None) -> None:
    """Have the system end this process when its parent ends (Linux; elsewhere the end of stdin does it).

    The parent may be gone before the request was made, hence the second look.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if parent_pid is not None and os.getppid() != parent_pid:
            os.kill(os.getpid(), signal.SIGTERM)


class LineReader:
    """Lines of a pipe as they come, read without buffering and without a thread.

    A daemon thread in ``sys.stdin.buffer`` would abort the interpreter at its exit.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.is_at_end = False

    def lines(self, *, wait: bool) -> Iterator[bytes]:
        """The complete lines that have come since the last call; with ``wait``, not before there is one or the end."""
        while not self.is_at_end and select.select([self._descriptor], [], [], None if wait else 0)[0]:
            chunk = os.read(self._descriptor, 1 << 16)
            self.is_at_end = not chunk
            *complete, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > MAX_LINE_BYTES:
                raise OverflowError(f"a line of more than {MAX_LINE_BYTES} bytes")
            for line in complete:
                if line.strip():
                    wait = False
                    yield line


def write_all(descriptor: int, line: bytes) -> None:
    """Write a whole line.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    view = memoryview(line)
    while view:
        view = view[os.write(descriptor, view) :]
