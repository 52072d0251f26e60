"""What a process of a run that ends in trouble leaves behind, since of several only the first speaks.

``RUN/ranks/rank_R.json``; gone again once somebody has told the person, or the run goes on.
"""

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from locstudio.jobs.json_files import read_json
from locstudio.jobs.run_folder import RunFolder, write_whole


class LastWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a process of a run could not go on.

    Attributes:
        rank: Its number.
        sentence: For the person.
        exit_status: As ``Failed`` names it.
        at: Seconds since 1970, by the clock of its machine.
        can_go_on: False for what would only happen again: a wrong input, a full disk.
        is_echo: True for a process that failed only because another one was gone.
    """

    rank: int
    sentence: str
    exit_status: int
    at: float
    can_go_on: bool
    is_echo: bool


def leave_words(
    folder: RunFolder, rank: int, sentence: str, exit_status: int, *, can_go_on: bool, is_echo: bool
) -> None:
    """Write why this process ends; where that cannot be written, its log has it."""
    words = LastWords(
        rank=rank, sentence=sentence, exit_status=exit_status, at=time.time(), can_go_on=can_go_on, is_echo=is_echo
    )
    with contextlib.suppress(OSError):
        _folder(folder).mkdir(exist_ok=True)
        write_whole(_folder(folder) / f"rank_{rank}.json", msgspec.json.encode(words) + b"\n")


def read_words(folder: RunFolder) -> list[LastWords]:
    """What the processes left, the first that ended first; files that are not whole are left out."""
    words = []
    for path in _folder(folder).glob("rank_*.json"):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            words.append(read_json(path, LastWords))
    return sorted(words, key=lambda one: one.at)


def cause_of(words: Sequence[LastWords]) -> LastWords | None:
    """The words that say why the processes ended: of what cannot go on first, never of an echo; None if nobody says."""
    causes = [one for one in words if not one.is_echo]
    return next((one for one in causes if not one.can_go_on), causes[0] if causes else None)


def forget_words(folder: RunFolder) -> None:
    """Remove what was left."""
    shutil.rmtree(_folder(folder), ignore_errors=True)


def _folder(folder: RunFolder) -> Path:
    return folder.path / "ranks"
