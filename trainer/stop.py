"""How a run is asked to stop: a line on stdin, a file ``stop`` in its folder, SIGTERM or SIGINT.

``stop`` asks for the end after this step, ``stop epoch`` for the end after this epoch (in the file: ``epoch``).
The end of stdin asks for nothing, since a run outlives the app that started it.
"""

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from locstudio.jobs.run_state import StopKind, stop_wish


class StopRequest:
    """Asks every source each time it is called: True once the run shall end after its step, and from then on.

    Nothing here waits or runs beside the loop: stdin is read only where bytes lie ready.  ``on_asked`` is called once,
    with the first wish of any kind.
    """

    def __init__(self, file: Path, stdin: int | None, on_asked: Callable[[], object] = lambda: None) -> None:
        self._file = file
        self._stdin = stdin
        self._on_asked = on_asked
        self._unread = b""
        self._num_signals = 0
        self._wish: StopKind | None = None

    def __call__(self) -> bool:
        return self._ask() == "step"

    def at_epoch_end(self) -> bool:
        """True once the run shall end no later than with this epoch."""
        return self._ask() is not None

    def listen_to_signals(self) -> None:
        """Take SIGTERM and SIGINT as a wish to stop after the step; a second one ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _ask(self) -> StopKind | None:
        if self._wish != "step":
            wishes = {self._wish, stop_wish(self._file), self._wish_on_stdin(), "step" if self._num_signals else None}
            before = self._wish
            self._wish = "step" if "step" in wishes else "epoch" if "epoch" in wishes else None
            if before is None and self._wish is not None:
                self._on_asked()
        return self._wish

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._num_signals += 1
        if self._num_signals > 1:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _wish_on_stdin(self) -> StopKind | None:
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
        words = {b" ".join(line.split()) for line in lines}
        return "step" if b"stop" in words else "epoch" if b"stop epoch" in words else None
