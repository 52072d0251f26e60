"""Thumbnails in a SQLite file of their own, deletable at any time.

A cache never stands in anybody's way: when its file is damaged it is made anew, when the disk is full or read-only
there is no cache, and one line in the log says so.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from locstudio.store.connections import connect
from locstudio.store.sqlite_library import journal_mode, sqlite_module

_log = logging.getLogger(__name__)

T = TypeVar("T")
_PAGE_BYTES = 16384
_CREATE = "CREATE TABLE IF NOT EXISTS thumbnail (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, jpeg BLOB NOT NULL)"


class ThumbnailStore:
    """JPEG bytes by key.  Callable from any thread; the oldest go first when ``limit_bytes`` is reached."""

    def __init__(self, path: Path, limit_bytes: int = 2 << 30) -> None:
        self._path = path
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._reading: Any = None
        self._writing: Any = None
        with self._lock:
            self._guarded(self._open)

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self._writing is not None

    def get(self, key: str) -> bytes | None:
        """The thumbnail under a key, or None."""
        with self._lock:
            return self._guarded(lambda: self._get(key))

    def put(self, key: str, jpeg: bytes) -> None:
        """Keep a thumbnail."""
        self.put_many([(key, jpeg)])

    def put_many(self, thumbnails: Iterable[tuple[str, bytes]]) -> None:
        """Keep several in one transaction, which is much faster than one by one."""
        rows = list(thumbnails)
        with self._lock:
            self._guarded(lambda: self._put(rows))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._close()

    def __enter__(self) -> "ThumbnailStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _guarded(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except (sqlite_module().Error, OSError, UnicodeDecodeError) as error:
            self._after(error)
            return None

    def _after(self, error: Exception) -> None:
        said = str(error).lower()
        if "locked" in said or "busy" in said:
            return
        self._close()
        if (
            isinstance(error, UnicodeDecodeError)
            or "malformed" in said
            or "not a database" in said
            or "corrupt" in said
        ):
            try:
                self._remove_files()
                self._open()
            except (sqlite_module().Error, OSError) as again:
                error = again
            else:
                _log.warning("the thumbnail cache %s was damaged and is made anew", self._path)
                return
        self._close()
        _log.warning("no thumbnails are kept in %s: %s", self._path, error)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        self._writing = connect(self._path, "write")
        for pragma in (f"page_size={_PAGE_BYTES}", f"journal_mode={journal_mode()}", "synchronous=OFF"):
            self._writing.execute(f"PRAGMA {pragma}")
        self._writing.execute(_CREATE)
        self._reading = connect(self._path, "read")

    def _get(self, key: str) -> bytes | None:
        if self._reading is None:
            return None
        row = self._reading.execute("SELECT jpeg FROM thumbnail WHERE key = ?", (_storable(key),)).fetchone()
        return bytes(row[0]) if row else None

    def _put(self, rows: list[tuple[str, bytes]]) -> None:
        if self._writing is None:
            return
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            self._make_room(sum(len(jpeg) for _, jpeg in rows))
            self._writing.executemany(
                "INSERT INTO thumbnail (key, jpeg) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET jpeg = excluded.jpeg",
                [(_storable(key), jpeg) for key, jpeg in rows],
            )
            self._writing.execute("COMMIT")
        except BaseException:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
            raise

    def _make_room(self, coming: int) -> None:
        pages, free = (
            self._writing.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")
        )
        over = (pages - free) * _PAGE_BYTES + coming - self._limit
        if over <= 0:
            return
        count, last = self._writing.execute("SELECT count(*), max(id) FROM thumbnail").fetchone()
        if count:
            # A tenth more than needed, so that not every put has to make room.
            share = min(1.0, (over + self._limit / 10) / ((pages - free) * _PAGE_BYTES))
            first = self._writing.execute("SELECT min(id) FROM thumbnail").fetchone()[0]
            self._writing.execute("DELETE FROM thumbnail WHERE id <= ?", (first + int((last - first + 1) * share),))

    def _close(self) -> None:
        for connection in (self._reading, self._writing):
            if connection is not None:
                connection.close()
        self._reading = self._writing = None

    def _remove_files(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _storable(key: str) -> str:
    """A key may be a path, and a path may hold bytes that are no UTF-8."""
    return key.encode("utf-8", "backslashreplace").decode()
