"""How a run is asked to stop: a line ``stop`` on stdin, a file ``stop`` in its folder, SIGTERM or SIGINT.

The end of stdin asks for nothing, since a run outlives the app that started it.
"""

import os
import select
import signal
from pathlib import Path
from types import FrameType


class StopRequest:
    """Asks every source each time it is called; once True, always True.

    Nothing here waits or runs beside the loop: stdin is read only where bytes lie ready.
    """

    def __init__(self, file: Path, stdin: int | None) -> None:
        self._file = file
        self._stdin = stdin
        self._unread = b""
        self._is_asked = False

    def __call__(self) -> bool:
        if not self._is_asked:
            self._is_asked = self._file.exists() or self._stdin_says_stop()
        return self._is_asked

    def listen_to_signals(self) -> None:
        """Take SIGTERM and SIGINT as a wish to stop after the step; a second one ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._is_asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._is_asked = True

    def _stdin_says_stop(self) -> bool:
        while self._stdin is not None and select.select([self._stdin], [], [], 0)[0]:
            try:
                chunk = os.read(self._stdin, 4096)
            except OSError:
                chunk = b""
            if not chunk:
                self._stdin = None
                break
            self._unread = (self._unread + chunk)[-8192:]
        *lines, self._unread = self._unread.split(b"\n")
        return any(line.strip() == b"stop" for line in lines)
