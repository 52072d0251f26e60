"""Reading the rows of a large JSON object or array one by one, in bounded memory.

The C scanner of Python's own ``json`` is used on purpose: it reads NaN, Infinity and integers of any length, so that a
bad number costs its row and not the file.  (ijson and msgspec refuse the whole file there.)
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from json.decoder import JSONDecodeError
from pathlib import Path
from typing import Any, BinaryIO

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown

_CHUNK = 1 << 20
MAX_ROW_CHARACTERS = 32 << 20
"""A single value longer than this is no annotation."""

_AFTER_A_NUMBER = tuple(" \t\n\r,]}")
_SPACE = re.compile(r"[ \t\n\r]*")


class DuplicateKey(ValueError):
    """An object of a row has one key twice, so nobody knows which is meant."""


class JsonRows:
    """The members of a JSON object in a file; arrays are given row by row, the rest is passed over.  Or one array.

    One pass, from front to back.  ``progress`` is called with bytes done and bytes in all.
    """

    def __init__(self, path: Path, progress: Callable[[int, int], None] | None = None) -> None:
        self._path = path
        self._progress = progress
        self._decoder = json.JSONDecoder(object_pairs_hook=without_duplicates)
        self._plain_decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._is_end = False

    def members(self, wanted: frozenset[str]) -> Iterator[tuple[str, Iterator[Any]]]:
        """Name and rows of every wanted member that is an array, in the file's order.

        A row is what JSON says, or a `DuplicateKey` (as a value) when it cannot be taken at its word.  The rows of one
        member must be read to their end before the next is asked for.

        Raises:
            BadInput: the file cannot be read, or is no JSON object.
        """
        try:
            with open(self._path, "rb") as file:
                self._begin(file)
                yield from self._members(wanted)
        except OSError as error:
            raise self._unreadable(error) from error

    def array(self) -> Iterator[Any]:
        """The rows of a file that is a JSON array, as `members` gives them.

        Raises:
            BadInput: the file cannot be read, or is no JSON array.
        """
        try:
            with open(self._path, "rb") as file:
                self._begin(file)
                if self._peek() != "[":
                    raise BadInput(f"{self._name} is {self._kind()}; it should be a JSON array.")
                yield from self._rows()
        except OSError as error:
            raise self._unreadable(error) from error

    @property
    def _name(self) -> str:
        return shown(self._path.name)

    def _begin(self, file: BinaryIO) -> None:
        start = file.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise BadInput(f"{self._name} is UTF-16 text; save it as UTF-8.")
        file.seek(0, 2)
        self._size = file.tell()
        file.seek(3 if start[:3] == codecs.BOM_UTF8 else 0)
        self._file = file
        self._read_as_text = codecs.getincrementaldecoder("utf-8")("strict").decode
        self._passed = 0

    def _members(self, wanted: frozenset[str]) -> Iterator[tuple[str, Iterator[Any]]]:
        if self._peek() != "{":
            raise BadInput(f"{self._name} is {self._kind()}; a COCO file is a JSON object with images and annotations.")
        self._at += 1
        if self._peek() == "}":
            return
        while True:
            if self._peek() != '"':
                raise self._broken("a name in double quotes is missing")
            name = self._value(self._plain_decoder)
            self._expect(":")
            if name in wanted and self._peek() == "[":
                yield name, self._rows()
            else:
                self._value(self._plain_decoder)
            if self._next_or_end("}"):
                return

    def _kind(self) -> str:
        return {"{": "a JSON object", "[": "a JSON array", "": "empty"}.get(self._peek(), "no JSON")

    def _rows(self) -> Iterator[Any]:
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            self._peek()
            try:
                yield self._value(self._decoder)
            except DuplicateKey as error:
                self._value(self._plain_decoder)
                yield error
            if self._next_or_end("]"):
                return

    def _next_or_end(self, end: str) -> bool:
        found = self._peek()
        if found not in (",", end):
            raise self._broken("the file ends in the middle" if found == "" else f"',' or '{end}' is missing")
        self._at += 1
        if found == ",":
            self._peek()
        return found == end

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            raise self._broken(f"'{sign}' is missing")
        self._at += 1
        self._peek()

    def _peek(self) -> str:
        """Step over white space; the character that follows, or "" at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _value(self, decoder: json.JSONDecoder) -> Any:
        """The value that begins here; the position moves behind it."""
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
            except JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - 32
                if not is_cut or not self._more(len(self._text) - self._at):
                    raise self._broken(_words(error)) from error
                continue
            except DuplicateKey:
                raise
            except RecursionError as error:
                raise self._broken("it is nested too deeply") from error
            except ValueError as error:  # an integer of more digits than Python converts
                raise self._broken(str(error).split(";")[0]) from error
            is_closed = isinstance(value, str | list | dict) or self._text[end : end + 1] in _AFTER_A_NUMBER
            if (end < len(self._text) and is_closed) or not self._more():  # a number may go on in the next piece
                self._at = end
                return value

    def _more(self, at_least: int = 0) -> bool:
        """Read on, dropping what has been passed; False at the end of the file."""
        if self._is_end:
            return False
        if len(self._text) - self._at > MAX_ROW_CHARACTERS:
            raise self._broken(f"one value is longer than {MAX_ROW_CHARACTERS >> 20} million characters")
        self._passed += self._at
        try:
            piece = self._file.read(max(_CHUNK, at_least))
        except OSError as error:
            raise self._unreadable(error) from error
        self._is_end = not piece
        try:
            text = self._read_as_text(piece, self._is_end)
        except UnicodeDecodeError as error:
            raise BadInput(f"{self._name} is not UTF-8 text near byte {self._file.tell() - len(piece)}.") from error
        self._text = self._text[self._at :] + text
        self._at = 0
        if self._progress:
            self._progress(self._file.tell(), self._size)
        return bool(text) or not self._is_end

    def _broken(self, reason: str) -> BadInput:
        place = self._passed + self._at
        return BadInput(f"{self._name} is no valid JSON near character {place}: {reason}.")

    def _unreadable(self, error: OSError) -> BadInput:
        return BadInput(f"{self._name} cannot be read: {(error.strerror or 'unknown error').lower()}.")


def _words(error: JSONDecodeError) -> str:
    return error.msg[:1].lower() + error.msg[1:]


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of its pairs.

    Raises:
        DuplicateKey: a key stands there twice.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise DuplicateKey(f"the key {shown(twice, 40)!r} stands there twice")
    return found
