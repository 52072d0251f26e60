"""JSON of a run or a checkpoint, read as what it is: data that may come from a stranger."""

import os
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

MAX_JSON_BYTES = 256 << 20
_T = TypeVar("_T")


def read_json(path: Path, kind: type[_T]) -> _T:
    """The document in a file.

    Raises:
        OSError: it cannot be read, or is no file (a pipe would be waited for without end).
        msgspec.MsgspecError: it is larger than ``MAX_JSON_BYTES``, nested without end, or no such document.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path.name} is no file")
        content = file.read(MAX_JSON_BYTES + 1)
    if len(content) > MAX_JSON_BYTES:
        raise msgspec.DecodeError(f"larger than {MAX_JSON_BYTES >> 20} MiB")
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"not UTF-8: {error}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
