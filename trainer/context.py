"""What every recipe is given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from locstudio.jobs.configs import RunConfig
from locstudio.jobs.run_folder import RunFolder
from trainer.distributed import ALONE, Ranks
from trainer.reporting import Reporter


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run: its folder and configuration, whom to tell, when to stop, where to compute.

    ``should_stop`` is asked before every step, ``stops_at_epoch_end`` where an epoch ends.
    ``ranks`` are the processes that do the run together, of which only the first writes its folder and speaks.
    """

    folder: RunFolder
    config: RunConfig
    reporter: Reporter
    should_stop: Callable[[], bool]
    device: torch.device
    stops_at_epoch_end: Callable[[], bool] = lambda: False
    ranks: Ranks = ALONE

    @property
    def cache(self) -> Path:
        """The project's cache: a run lies in ``PROJECT/runs``."""
        return self.folder.path.parent.parent / "cache"


Recipe = Callable[[RunContext], bool]
"""Does the run and returns True if it was stopped before its end."""
