"""Reading JSON lines one by one, in bounded memory; a line that is broken costs itself and no other."""

import codecs
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown
from locstudio.interchange.json_stream import DuplicateKey, without_duplicates

MAX_LINE = 16 << 20
"""Bytes; a longer line is no annotation."""

_CHUNK = 1 << 20


class BrokenLine(ValueError):
    """A line that is no JSON, with the reason; given as a value."""


class JsonLines:
    """The lines of a file, from front to back.  ``progress`` is called with bytes done and bytes in all."""

    def __init__(self, path: Path, progress: Callable[[int, int], None] | None = None) -> None:
        self._path = path
        self._progress = progress
        self._decoder = json.JSONDecoder(object_pairs_hook=without_duplicates)

    def __iter__(self) -> Iterator[Any]:
        """What JSON says, a `DuplicateKey` or a `BrokenLine`; empty lines are passed over.

        Raises:
            BadInput: the file cannot be read.
        """
        try:
            size = self._path.stat().st_size
            with open(self._path, "rb") as file:
                if file.read(3) != codecs.BOM_UTF8:
                    file.seek(0)
                told = 0
                while line := file.readline(MAX_LINE):
                    if not line.endswith(b"\n") and len(line) == MAX_LINE:
                        _pass_over(file)
                        yield BrokenLine("its line is too long")
                    elif not line.isspace():
                        yield self._value(line)
                    if self._progress and file.tell() - told > _CHUNK:
                        told = file.tell()
                        self._progress(told, size)
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            raise BadInput(f"{shown(self._path.name)} cannot be read: {reason}.") from error

    def _value(self, line: bytes) -> Any:
        try:
            return self._decoder.decode(line.decode())
        except DuplicateKey as error:
            return error
        except RecursionError:
            return BrokenLine("it is nested too deeply")
        except UnicodeDecodeError:
            return BrokenLine("it is no UTF-8 text")
        except ValueError:  # no JSON, or a number of more digits than Python converts
            return BrokenLine("it is no valid JSON")


def _pass_over(file: BinaryIO) -> None:
    """Go behind the end of the line."""
    while (piece := file.readline(_CHUNK)) and not piece.endswith(b"\n"):
        pass
