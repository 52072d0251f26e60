"""The messages of a run as they are written: each one once, however often and from wherever one looks."""

import os

from locstudio.domain.errors import ProtocolError
from locstudio.jobs.messages import AnyMessage, from_line
from locstudio.jobs.run_folder import RunFolder

_BLOCK_BYTES = 256 * 1024
MAX_LINE_BYTES = 4 << 20


class RunTail:
    """Reads ``events.jsonl`` from where it stopped the last time.

    A message whose sequence is not above every one before it has been seen already and is left out; so is a line that
    is no message, or longer than ``MAX_LINE_BYTES``, which is counted.  A last line without its end is read once it is
    whole.  Numbers up to ``after`` count as seen.
    """

    def __init__(self, folder: RunFolder, *, after: int = -1) -> None:
        self._folder = folder
        self._offset = 0
        self._sequence = after
        self._file_id = (0, 0)
        self._num_unreadable = 0
        self._has_more = False

    @property
    def folder(self) -> RunFolder:
        """The run."""
        return self._folder

    @property
    def sequence(self) -> int:
        """The highest number read so far; -1 before the first."""
        return self._sequence

    @property
    def num_unreadable(self) -> int:
        """Whole lines that were no messages."""
        return self._num_unreadable

    @property
    def has_more(self) -> bool:
        """Whether the last look, in parts, ended before the end of the file."""
        return self._has_more

    def read(self, *, in_parts: bool = False) -> list[AnyMessage]:
        """What is new since the last look, in order; ``in_parts`` ends each look after a quarter of a megabyte."""
        return [message for message, _ in self.read_lines(in_parts=in_parts)]

    def read_lines(self, *, in_parts: bool = False) -> list[tuple[AnyMessage, bytes]]:
        """As ``read``, with the line of each message without its end."""
        self._has_more = False
        found: list[tuple[AnyMessage, bytes]] = []
        try:
            with open(self._folder.events, "rb") as file:
                self._begin_again_if_replaced(file.fileno())
                file.seek(self._offset)
                rest = b""
                while block := file.read(_BLOCK_BYTES):
                    *lines, rest = (rest + block).split(b"\n")
                    found.extend(self._taken(lines))
                    if len(rest) > MAX_LINE_BYTES:
                        rest = b""  # no line of ours: what is left of it is no message either
                    self._offset = file.tell() - len(rest)
                    if in_parts and lines and len(block) == _BLOCK_BYTES:
                        self._has_more = True
                        break
        except FileNotFoundError:
            return []
        return found

    def _taken(self, lines: list[bytes]) -> list[tuple[AnyMessage, bytes]]:
        taken = []
        for line in lines:
            try:
                message = from_line(line)
            except ProtocolError:
                self._num_unreadable += 1
                continue
            if message.sequence > self._sequence:
                self._sequence = message.sequence
                taken.append((message, line))
        return taken

    def _begin_again_if_replaced(self, descriptor: int) -> None:
        """Another file, or a shorter one, is read from its beginning; what is known already stays known."""
        status = os.fstat(descriptor)
        file_id = (status.st_dev, status.st_ino)
        if file_id != self._file_id or status.st_size < self._offset:
            self._file_id, self._offset = file_id, 0
