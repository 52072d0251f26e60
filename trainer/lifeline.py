"""No process outlives the one it works for."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int = 0) -> None:
    """Have the kernel end this process when its parent is gone, however that ended.

    torchrun has it called for it, and its ranks call it first thing.  Elsewhere than on Linux nothing happens.

    Args:
        parent_pid: The parent, if this process knows; one that is gone already ends it at once.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent_pid and os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)
