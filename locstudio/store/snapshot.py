"""A snapshot: the dataset at one revision, as one SQLite file that nobody changes.

It holds what a run may learn from (images, classes, captions, regions, corrections) and not the log of edits.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Table

from locstudio.domain.errors import StorageFailed
from locstudio.store import schema
from locstudio.store.connections import Access, connect, failures_named
from locstudio.store.files import removed_afterwards, replaced_when_whole
from locstudio.store.words import WORD_TABLES

# In the order in which they refer to each other.
TABLES: tuple[Table, ...] = (
    schema.image_root,
    schema.image,
    schema.superclass,
    schema.label_class,
    schema.phrase_rule,
    schema.image_class,
    schema.caption,
    schema.region,
    schema.heatmap_correction,
)
_LEFT_OUT = tuple(table for table in schema.metadata.sorted_tables if table not in (*TABLES, schema.setting))
# Where images lie and what is derived from regions is no content.
_NOT_CONTENT = {("image_root", "path"), ("image", "region_states")}
# Hashed only where they hold something, so that content of an older schema keeps its hash.
_ADDED_LATER = frozenset({"phrase_rule"})
_ROWS_A_TIME = 5000
HASH_SETTING = "content_sha256"


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot that was written.  Equal content has an equal ``sha256``, whenever and wherever it was taken."""

    path: Path
    sha256: str
    revision: int
    num_images: int
    num_regions: int


def write_snapshot(source: Path, target: Path, access: Access = "read") -> SnapshotInfo:
    """Write the dataset as it is now to ``target``, all of one revision, while others go on working.

    Raises:
        StorageFailed: there is no room, or ``target`` exists.
    """
    if target.exists():
        raise StorageFailed(f"{target} is there already.")
    with (
        failures_named("The snapshot was not written"),
        replaced_when_whole(target) as partial,
        removed_afterwards(target) as whole,
    ):
        _vacuum(source, access, whole)
        connection = connect(whole, "write")
        try:
            # The whole is made durable at the end, before it has its name.
            for statement in (
                "PRAGMA synchronous=OFF",
                "PRAGMA foreign_keys=OFF",
                "PRAGMA journal_mode=DELETE",
                "BEGIN",
            ):
                connection.execute(statement)
            for table in _LEFT_OUT:
                connection.execute(f"DELETE FROM {table.name}")
            connection.execute("DELETE FROM setting WHERE key NOT IN ('revision', 'written_by')")
            for words in WORD_TABLES:  # an index remembers words of texts that are gone
                connection.execute(f"INSERT INTO {words}({words}) VALUES ('rebuild')")
            sha256 = content_hash(connection)
            connection.execute("INSERT INTO setting VALUES (?, ?)", (HASH_SETTING, sha256))
            connection.execute("COMMIT")
            revision = connection.execute("SELECT value FROM setting WHERE key = 'revision'").fetchone()
            counts = [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("image", "region")]
        finally:
            connection.close()
        # A second time: what was deleted must not remain in free pages.
        _vacuum(whole, "write", partial)
    return SnapshotInfo(target, sha256, int(revision[0]) if revision else 0, *counts)


def _vacuum(source: Path, access: Access, target: Path) -> None:
    connection = connect(source, access)
    try:
        connection.execute("VACUUM INTO ?", (os.fspath(target),))
    finally:
        connection.close()


def content_hash(connection: Any) -> str:
    """SHA-256 over every row of a dataset that is content, in the order of identities.

    Args:
        connection: A bare DB-API connection.
    """
    digest = hashlib.sha256()
    for table in TABLES:
        if table.name in _ADDED_LATER and not _has_rows(connection, table.name):
            continue
        columns = [column.name for column in table.c if (table.name, column.name) not in _NOT_CONTENT]
        order = ", ".join(column.name for column in table.primary_key)
        digest.update(f"\n{table.name}: {', '.join(columns)}\n".encode())
        cursor = connection.execute(f"SELECT {', '.join(columns)} FROM main.{table.name} ORDER BY {order}")
        while rows := cursor.fetchmany(_ROWS_A_TIME):
            digest.update(msgspec.msgpack.encode(rows))
    return digest.hexdigest()


def _has_rows(connection: Any, name: str) -> bool:
    is_there = connection.execute("SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?", (name,))
    return bool(is_there.fetchone() and connection.execute(f"SELECT 1 FROM main.{name} LIMIT 1").fetchone())


def snapshot_hash(path: Path) -> str:
    """The hash of a snapshot's content, computed anew."""
    connection = connect(path, "frozen")
    try:
        with failures_named("Not read"):
            return content_hash(connection)
    finally:
        connection.close()
