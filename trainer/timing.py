"""How long parts of a run take, for a dry run."""

import statistics
import time
from collections.abc import Iterable

import psutil

MAX_SECONDS = 30.0
"""No part is timed for longer than this."""


def times_of(parts: Iterable[object]) -> list[float]:
    """Seconds of each part, as it is drawn; no more are drawn after ``MAX_SECONDS``."""
    times: list[float] = []
    begun = time.monotonic()
    for _ in parts:
        times.append(time.monotonic() - begun)
        if sum(times) > MAX_SECONDS:
            break
        begun = time.monotonic()
    return times


def typical(times: list[float]) -> float:
    """The median without the first, which also made things ready; 0 of nothing."""
    return statistics.median(times[1:] or times) if times else 0.0


def process_age() -> float:
    """Seconds since this process was started: what starting takes."""
    return max(0.0, time.time() - psutil.Process().create_time())
