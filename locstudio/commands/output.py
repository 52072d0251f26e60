"""How results are printed: one JSON document, or lines for a person."""

import json
import sys
import time
from typing import Any


def print_json(document: Any) -> None:
    """One JSON document on stdout; numbers are finite, text is UTF-8 whatever the locale."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
    sys.stdout.buffer.write(text.encode("utf-8", errors="backslashreplace") + b"\n")
    sys.stdout.flush()


def say(line: str) -> None:
    """A line on stdout, with characters that the terminal cannot show escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    print(line.encode(encoding, errors="backslashreplace").decode(encoding))


class ProgressLine:
    """A line on stderr that is rewritten in place, at most ten times a second; silent when stderr is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = 0.0
        self._is_shown = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._is_shown and (now - self._last > 0.1 or done == total):
            self._last = now
            share = f"{done} of {total}" if total else str(done)
            end = "\n" if done == total else ""
            print(f"\r{self._what}: {share}\033[K", end=end, file=sys.stderr, flush=True)
