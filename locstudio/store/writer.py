"""The one writer: a thread that owns the only read-write connection of a dataset."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, IntegrityError

from locstudio.domain.errors import StorageFailed
from locstudio.store.connections import failures_named, make_engine
from locstudio.store.settings import bump_revision

T = TypeVar("T")


class Writer:
    """Runs functions one after the other, each in a transaction of its own, on its own thread.

    A failed commit is never tried again on the same connection: what the disk holds is read anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = make_engine(path, "write")
        self._inode = os.stat(path).st_ino
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dataset-writer")
        self.revision = 0

    def submit(self, work: Callable[[Connection], T], *, is_counted: bool = True) -> "Future[T]":
        """Queue a function that writes; its result, or its error by our own name, arrives in the future.

        ``is_counted``: the dataset's revision grows, so that whoever remembers what it has read reads it again.
        """
        return self._thread.submit(self._write, work, is_counted)

    def run(self, work: Callable[[Connection], T], *, is_counted: bool = True) -> T:
        """Write and wait until it is on disk."""
        return self.submit(work, is_counted=is_counted).result()

    def run_outside(self, work: Callable[[Connection], T]) -> T:
        """Run a function on the writer's thread that manages its transactions itself, or needs none."""
        return self._thread.submit(self._outside, work).result()

    def drain(self) -> None:
        """Finish what is queued; nothing can be queued after this."""
        self._thread.shutdown(wait=True)

    def close(self) -> None:
        """Fold the log into the file and close; all readers must be closed by now, or the log stays beside it."""
        self.drain()
        self._engine.dispose()

    def _write(self, work: Callable[[Connection], T], is_counted: bool) -> T:
        self._refuse_replaced_file()
        with failures_named():
            try:
                with self._engine.begin() as connection:
                    result = work(connection)
                    revision = bump_revision(connection) if is_counted else self.revision
                    self._refuse_replaced_file()
            except IntegrityError:
                raise
            except DatabaseError:
                self._engine.dispose()
                raise
        self.revision = revision
        return result

    def _outside(self, work: Callable[[Connection], T]) -> T:
        with failures_named(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return work(connection)

    def _refuse_replaced_file(self) -> None:
        # A deleted file keeps "saving" without a word: the system holds it open for us alone.
        try:
            is_same = os.stat(self._path).st_ino == self._inode
        except FileNotFoundError:
            is_same = False
        if not is_same:
            raise StorageFailed(
                f"Not saved: {self._path} was deleted or replaced while it was open. Put it back, or restore a backup."
            )
