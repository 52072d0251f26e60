"""Work ahead of the tower: images are decoded in a few threads while it computes, and arrive in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.media.square import load_square

NUM_THREADS = 2
NUM_AHEAD = 16

_Item = TypeVar("_Item")
_Loaded = TypeVar("_Loaded")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that cannot be decoded, and the sentence why."""

    sentence: str


def loaded_ahead(
    items: Iterable[_Item],
    load: Callable[[_Item], _Loaded],
    *,
    num_threads: int = NUM_THREADS,
    num_ahead: int = NUM_AHEAD,
) -> Iterator[tuple[_Item, _Loaded]]:
    """Load items in the background, at most ``num_ahead`` before they are asked for, and yield them in order.

    ``items`` is drawn from as loading goes on, so it may be long.  Threads suffice: Pillow decodes and numpy reads
    outside the interpreter's lock.
    """
    waiting: deque[tuple[_Item, Future[_Loaded]]] = deque()
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="load")
    try:
        for item in items:
            waiting.append((item, pool.submit(load, item)))
            if len(waiting) >= num_ahead:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def load_pixels(path: Path, side: int) -> NDArray[np.uint8] | Unreadable:
    """The padded square of an image, uint8 (side, side, 3), or why there is none."""
    try:
        return load_square(path, side)[0]
    except BadInput as problem:
        return Unreadable(str(problem))
    except OSError as error:
        return Unreadable(f"{path.name} cannot be read: {error.strerror or error}.")


def batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Lists of ``size`` items, the last one possibly shorter."""
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
