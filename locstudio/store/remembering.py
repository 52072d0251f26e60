"""What a dataset remembers besides edits: runs and their events, checkpoints, choices, searches, settings."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from locstudio.store.ingesting import choice_of, put_events
from locstudio.store.records import (
    CheckpointRow,
    RunRow,
    make_active,
    put_checkpoint,
    put_run,
    put_saved_search,
    remove_saved_search,
)
from locstudio.store.settings import write_setting
from locstudio.store.view import DatasetView

T = TypeVar("T")


class DatasetMemory(DatasetView, ABC):
    """A dataset's memory.  ``Dataset`` gives it the writer."""

    @abstractmethod
    def _write(self, work: Callable[[Connection], T], *, is_counted: bool = True) -> T:
        """Write in a transaction of its own; ``is_counted``: the dataset's revision grows."""

    def record_run(self, row: RunRow) -> None:
        """Remember a run, or what has become of it."""
        self._write(lambda connection: put_run(connection, row))

    def record_checkpoint(self, row: CheckpointRow) -> None:
        """Remember a checkpoint; it becomes active only by ``activate_checkpoint``."""
        self._write(lambda connection: put_checkpoint(connection, row))

    def activate_checkpoint(self, checkpoint_id: str, model: str = "cloc") -> None:
        """Make one checkpoint the active one of its model; an empty name means the bundled one of ``model``.

        Raises:
            LookupError: there is no such checkpoint.
        """
        self._write(lambda connection: make_active(connection, checkpoint_id, model))

    def ingest_events(self, run_id: str, events: Sequence[tuple[int, str, int | None, str]]) -> int:
        """Take messages of a run in: (sequence, kind, step or None, JSON).  Known numbers stay as they were.

        The dataset's revision does not grow: nothing that a person did has changed.

        Returns:
            How many were new.
        """
        return self._write(lambda connection: put_events(connection, run_id, events), is_counted=False)

    def choice(self, old_id: str, new_id: str, key: str) -> str | None:
        """What a person chose of one change between two checkpoints, if anything."""
        with self._read() as connection:
            return choice_of(connection, old_id, new_id, key)

    def save_search(self, name: str, query: str) -> int:
        """Keep a search under a name; the same name again replaces it."""
        return self._write(lambda connection: put_saved_search(connection, name, query))

    def forget_search(self, search_id: int) -> None:
        """Remove a saved search."""
        self._write(lambda connection: remove_saved_search(connection, search_id))

    def set_setting(self, key: str, value: str) -> None:
        """Remember a text under a key."""
        self._write(lambda connection: write_setting(connection, f"user.{key}", value))
