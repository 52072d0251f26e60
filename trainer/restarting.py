"""A GPU that is lost in mid-run: the process begins once more from the checkpoint, and never a second time.

What CUDA has broken in a process stays broken, so a new program takes the process's place: its number, its pipes and
its mark in ``state.json`` stay, and whoever watches the run sees a note and then that it goes on.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from locstudio.jobs.run_folder import RunFolder, write_whole

EXIT_GPU_LOST = 74
_SIGNS = (
    "device-side assert",
    "unspecified launch failure",
    "an illegal memory access",
    "gpu has fallen off the bus",
    "device is lost",
    "device unavailable",
    "devices are busy or unavailable",
    "uncorrectable ecc error",
    "uncorrectable nvlink error",
    "no cuda-capable device",
    "cuda driver shutting down",
    "driver shutting down",
    "context is destroyed",
    "misaligned address",
    "hardware stack error",
    "illegal instruction was encountered",
)


def is_gpu_lost(error: BaseException) -> bool:
    """True for what CUDA says when a process cannot compute with it any more; running out of memory is not among it."""
    text = str(error).lower()
    if not isinstance(error, RuntimeError) or "out of memory" in text:
        return False
    return ("cuda" in text or "nvidia" in text) and any(sign in text for sign in _SIGNS)


def may_restart(folder: RunFolder, reason: str = "The GPU was lost.") -> bool:
    """True where the run has not been begun again by itself yet; remembers in its folder that it now is."""
    file = _file(folder)
    if file.exists():
        return False
    write_whole(file, f"{reason} The run was begun again from its last checkpoint.\n".encode())
    return True


def begin_again(folder: RunFolder, pipe: IO[bytes] | None, arguments: Sequence[str] = ()) -> None:
    """Put a new trainer in this process's place; returns only where the system refuses."""
    sys.stderr.flush()
    if pipe is not None:
        pipe.flush()
        os.dup2(pipe.fileno(), 1)
    arguments = arguments or [sys.executable, "-P", "-m", "trainer", str(folder.path)]
    os.execv(arguments[0], list(arguments))


def _file(folder: RunFolder) -> Path:
    return folder.path / "restarted.txt"
