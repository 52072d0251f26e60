"""How far a review is, how fast it goes, and how long it will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from locstudio.services.curation.table import ACCEPTED, EDITED, MODEL, REJECTED, Pool
from locstudio.store.dataset import Dataset
from locstudio.store.edit_log import HistoryEntry

_NUM_STEPS = 200
_PAUSE_S = 120.0
"""Who has not decided anything for so long was doing something else."""
_MOST_A_STEP = 100
"""A step that decides thousands says nothing of how fast the next ones are decided."""
_MIN_STEPS = 3


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """Of what machines have proposed, how much a person has decided.

    Attributes:
        total: What was decided, and what waits above the thresholds.
        decided: Accepted, rejected, or corrected.
        accepted: As it was, or corrected.
        rejected: Refused.
        per_minute: Decisions in a minute of work, pauses left out; 0 while it cannot be told.
        seconds_left: For what waits, at this speed; 0 while it cannot be told.
        phrases: For each phrase how many are decided, and of how many.
    """

    total: int
    decided: int
    accepted: int
    rejected: int
    per_minute: float
    seconds_left: float
    phrases: dict[str, tuple[int, int]]


def review_progress(dataset: Dataset, pool: Pool, among: NDArray[np.bool_] | None = None) -> ReviewProgress:
    """How far the review is; ``among``: of what waits only these rows count, such as those above the thresholds."""
    waits = pool.is_provisional if among is None else pool.is_provisional & among
    of_machine = pool.is_there & ((pool.origins == MODEL) | (pool.origins == EDITED))
    is_rejected = of_machine & (pool.reviews == REJECTED)
    is_accepted = of_machine & ((pool.reviews == ACCEPTED) | ((pool.origins == EDITED) & ~is_rejected))
    is_decided = is_accepted | is_rejected
    decided, waiting = int(np.count_nonzero(is_decided)), int(np.count_nonzero(waits))
    per_minute = decisions_per_minute(dataset.history(_NUM_STEPS))
    counts = [np.bincount(pool.phrase_rows[mask], minlength=len(pool.phrases)) for mask in (is_decided, waits)]
    return ReviewProgress(
        total=decided + waiting,
        decided=decided,
        accepted=int(np.count_nonzero(is_accepted)),
        rejected=int(np.count_nonzero(is_rejected)),
        per_minute=per_minute,
        seconds_left=60 * waiting / per_minute if per_minute else 0.0,
        phrases={
            phrase: (int(done), int(done + left))
            for phrase, done, left in zip(pool.phrases, *counts, strict=True)
            if phrase and done + left
        },
    )


def decisions_per_minute(history: Sequence[HistoryEntry]) -> float:
    """Changes that a person has made in a minute of work, of the newest steps; 0 while there are too few.

    A pause of more than two minutes is no work; clocks that were set back are no work either.
    """
    steps = [entry for entry in history if entry.actor == "human" and not entry.is_undone and entry.num_changes]
    times = [datetime.fromisoformat(entry.at).timestamp() for entry in steps]
    seconds, num, num_steps = 0.0, 0, 0
    for later, earlier, step in zip(times, times[1:], steps, strict=False):
        if 0 <= later - earlier <= _PAUSE_S:
            seconds += later - earlier
            num += min(step.num_changes, _MOST_A_STEP)
            num_steps += 1
    return 60 * num / seconds if num_steps >= _MIN_STEPS and seconds >= 1 else 0.0
