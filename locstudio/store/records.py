"""Runs, checkpoints and saved searches, as the dataset remembers them.  Their files are elsewhere."""

from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from locstudio.store import schema


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution of the trainer.

    ``id`` is its folder's name; times are UTC, ISO 8601; ``config`` and ``metrics`` are JSON.  ``revision`` and
    ``snapshot_sha256`` say what it worked on: the dataset's revision and content at its snapshot.
    """

    id: str
    kind: str
    title: str = ""
    status: str = "running"
    created_at: str = ""
    ended_at: str = ""
    revision: int = 0
    config: str = "{}"
    metrics: str = "{}"
    error: str = ""
    snapshot_sha256: str = ""
    code_version: str = ""
    parent_run: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint the project knows.  ``path`` is its folder; at most one checkpoint of each ``model`` is active.

    ``gate`` is JSON of what decided that it may be used, empty where nothing did; ``note`` is a person's own.
    """

    id: str
    model: str
    name: str
    path: str
    run_id: str | None = None
    parent_id: str = ""
    created_at: str = ""
    metrics: str = "{}"
    is_active: bool = False
    snapshot_sha256: str = ""
    code_version: str = ""
    note: str = ""
    gate: str = ""


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A query that a person wants again.  ``query`` is JSON of whoever saved it."""

    id: int
    name: str
    query: str
    at: str = ""


def put_run(connection: Connection, row: RunRow) -> None:
    """Remember a run, or what has become of it."""
    _put(connection, schema.run, row)


def put_checkpoint(connection: Connection, row: CheckpointRow) -> None:
    """Remember a checkpoint; whether it is active is ``make_active``'s business."""
    table = schema.checkpoint
    active = connection.execute(select(table.c.is_active).where(table.c.id == row.id)).scalar()
    _put(connection, table, row, is_active=bool(active))


def make_active(connection: Connection, checkpoint_id: str, model: str = "cloc") -> None:
    """Make one checkpoint the active one of its model, or none of ``model`` when the name is empty.

    Raises:
        LookupError: there is no such checkpoint.
    """
    table = schema.checkpoint
    if checkpoint_id:
        found = connection.execute(select(table.c.model).where(table.c.id == checkpoint_id)).scalar()
        if found is None:
            raise LookupError(f"no checkpoint {checkpoint_id!r}")
        model = found
    connection.execute(update(table).where(table.c.is_active, table.c.model == model).values(is_active=False))
    connection.execute(update(table).where(table.c.id == checkpoint_id).values(is_active=True))


def put_saved_search(connection: Connection, name: str, query: str) -> int:
    """Keep a search under a name; the same name again replaces it."""
    table = schema.saved_search
    connection.execute(delete(table).where(table.c.name == name))
    key = connection.execute(insert(table).values(name=name, query=query, at=now())).inserted_primary_key
    assert key is not None
    return int(key[0])


def remove_saved_search(connection: Connection, search_id: int) -> None:
    """Forget a search."""
    connection.execute(delete(schema.saved_search).where(schema.saved_search.c.id == search_id))


def now() -> str:
    """This moment, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _put(connection: Connection, table: Table, row: RunRow | CheckpointRow, **instead: Any) -> None:
    values = dict(zip((f.name for f in fields(row)), astuple(row), strict=True)) | instead
    values["created_at"] = values["created_at"] or now()
    known = connection.execute(select(table.c.created_at).where(table.c.id == row.id)).scalar()
    if known is None:
        connection.execute(insert(table), values)
    else:
        connection.execute(update(table).where(table.c.id == row.id).values(values | {"created_at": known}))
