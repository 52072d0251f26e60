"""SQLite files as files: copied whole, checked, made durable, given their name last."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from locstudio.domain.errors import StorageFailed
from locstudio.store.connections import Access, connect, failures_named
from locstudio.store.sqlite_library import sqlite_module

_PAGES_A_STEP = 4096


class CopyStopped(Exception):
    """Whoever asked for the copy does not want it any more."""


@contextmanager
def replaced_when_whole(path: Path) -> Iterator[Path]:
    """A name to write to; what is there is made durable and takes ``path``'s place when the block ends well."""
    with removed_afterwards(path) as partial:
        yield partial
        sync_file(partial)
        os.replace(partial, path)
        sync_folder(path.parent)


@contextmanager
def removed_afterwards(beside: Path) -> Iterator[Path]:
    """A name to write to, in the same folder, whose file is removed at the end with all that SQLite puts beside it."""
    partial = beside.with_name(f"{beside.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the file's content is on the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make renames inside the folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_database(
    source: Path, target: Path, *, access: Access = "read", should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Copy a database while others read and write it, check the copy, and give it its name.

    Raises:
        StorageFailed: the disk is full or broken, or the copy is damaged.
        CopyStopped: ``should_stop`` said so; nothing is left behind.
    """

    def progress(_status: int, _remaining: int, _total: int) -> None:
        if should_stop():
            raise CopyStopped

    with failures_named("The dataset was not copied"), replaced_when_whole(target) as partial:
        partial.touch()
        reading, writing = connect(source, access), connect(partial, "write")
        try:
            # An open read transaction holds the view steady, so the copy need not begin again after each edit.
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
            reading.backup(writing, pages=_PAGES_A_STEP, progress=progress, sleep=0)
            reading.execute("COMMIT")
            writing.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
            if problems := quick_check(writing):
                raise StorageFailed(f"The copy of the dataset is damaged: {problems[0]}")
        finally:
            reading.close()
            writing.close()


def quick_check(connection: Any) -> list[str]:
    """What SQLite finds wrong with the file's pages and rows, the indexes aside; empty when nothing."""
    try:
        said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(20)")]
    except sqlite_module().Error as error:
        return [str(error)]
    return [] if said == ["ok"] else said
