"""Where a run stands, in one row: folded from its messages as they come, so that looking again costs next to nothing.

A summary is made in this order: is the process there, what has it said, what follows.  Whatever the process says
before it ends is then seen before its end.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from locstudio.jobs.configs import RunConfig
from locstudio.jobs.messages import AnyMessage, Evaluated, Failed, Finished, Progress, Saved, Started, Waiting
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunMark, RunState, living_mark, state_by
from locstudio.jobs.run_tail import RunTail

_MAX_REMEMBERED_RUNS = 2000
_INTERRUPTED = "The process ended without a last word; the run can be resumed."


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run as a list shows it: how far it is, what it measured last, and why it failed, if it did.

    Attributes:
        step: Steps done, of ``num_steps``; a run that reads ahead or embeds counts images.
        seconds_left: Until the end, as the run guesses; 0 where nobody knows.
        metrics: What was measured last.
        sentence: Why it failed, or what can be done about it.
        behind: The run that this one waits for, as long as it waits; empty also for a run of another project.
        has_process: A living process works on it, or waits to.
        is_silent: The process has not been at work for a minute, though it should.
    """

    folder: RunFolder
    kind: str
    state: RunState
    step: int = 0
    num_steps: int = 0
    seconds_left: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    sentence: str = ""
    title: str = ""
    device: str = ""
    num_images: int = 0
    num_regions: int = 0
    num_held_out: int = 0
    steps_per_epoch: int = 0
    saved_step: int | None = None
    images_per_second: float = 0.0
    behind: str = ""
    has_process: bool = False
    is_silent: bool = False

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.id

    @property
    def share(self) -> float:
        """How much is done, in [0, 1]; negative where nobody knows."""
        return min(1.0, self.step / self.num_steps) if self.num_steps else -1.0

    @property
    def can_resume(self) -> bool:
        """True where the run can be started again and goes on from its last checkpoint."""
        is_over = self.state in (RunState.STOPPED, RunState.FAILED, RunState.INTERRUPTED, RunState.QUEUED)
        return is_over and not self.has_process

    def to_json(self) -> dict[str, Any]:
        """The row as a document."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": str(self.state),
            "step": self.step,
            "num_steps": self.num_steps,
            "seconds_left": self.seconds_left,
            "metrics": self.metrics,
            "sentence": self.sentence,
            "behind": self.behind,
            "is_silent": self.is_silent,
        }


class RunReader:
    """One run, looked at again and again.  Not to be used from two threads at once.

    Raises:
        BadInput: the folder is no run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._config: RunConfig = folder.config()
        self._tail = RunTail(folder)
        self._last: AnyMessage | None = None
        self._row = RunSummary(folder, self._config.kind, RunState.QUEUED, title=self._config.title)

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self._config

    @property
    def has_more(self) -> bool:
        """Whether the last look, in parts, ended before the end of the file."""
        return self._tail.has_more

    def look(self, *, in_parts: bool = False) -> tuple[RunSummary, list[AnyMessage]]:
        """Where the run stands now, and what it has said since the last look."""
        living = living_mark(self._folder)
        messages = self._tail.read(in_parts=in_parts)
        for message in messages:
            self._row = _folded(self._row, message)
            self._last = message
        return self._summary(living), messages

    def _summary(self, living: RunMark | None) -> RunSummary:
        state = state_by(self._folder, living, self._last)
        sentence = self._last.sentence if isinstance(self._last, Failed) and living is None else ""
        return replace(
            self._row,
            state=state,
            sentence=_INTERRUPTED if state is RunState.INTERRUPTED else sentence,
            has_process=living is not None,
            behind=self._row.behind if state is RunState.QUEUED else "",
            is_silent=living is not None and living.is_silent(),
            # What a dead process has guessed is true no more.
            seconds_left=self._row.seconds_left if living is not None else 0.0,
        )


def describe_run(folder: RunFolder) -> RunSummary:
    """Where a run stands, from its messages and from whether its process lives.

    Raises:
        BadInput: the folder is no run.
    """
    return _readers.describe(folder)


class _Readers:
    """Readers of the runs that were looked at, so that only what is new is read; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers: OrderedDict[Path, RunReader] = OrderedDict()

    def describe(self, folder: RunFolder) -> RunSummary:
        with self._lock:
            reader = self._readers.pop(folder.path, None)
            if reader is None or not (folder.path / "config.json").exists():
                reader = RunReader(folder)
            self._readers[folder.path] = reader
            while len(self._readers) > _MAX_REMEMBERED_RUNS:
                self._readers.popitem(last=False)
            return reader.look()[0]


_readers = _Readers()


def _folded(row: RunSummary, message: AnyMessage) -> RunSummary:
    match message:
        case Waiting():
            return replace(row, behind=message.behind)
        case Started():
            return replace(
                row,
                step=message.first_step,
                num_steps=message.num_steps,
                device=message.device,
                num_images=message.num_images,
                num_regions=message.num_regions,
                num_held_out=message.num_held_out,
                steps_per_epoch=message.steps_per_epoch,
                behind="",
            )
        case Progress():
            return replace(
                row,
                step=message.step,
                num_steps=message.num_steps,
                seconds_left=message.seconds_left,
                images_per_second=message.images_per_second,
            )
        case Evaluated():
            return replace(row, metrics=message.metrics)
        case Saved():
            return replace(row, saved_step=message.step)
        case Finished() | Failed():
            return replace(row, behind="", seconds_left=0.0)
    return row
