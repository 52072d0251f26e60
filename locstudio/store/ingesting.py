"""Rows with keys of their own: events of runs, taken in once however often, and choices between checkpoints."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from locstudio.store import schema
from locstudio.store.records import now


class RunEvent(NamedTuple):
    """One message of a run: its number within the run, its kind, the step it speaks of, and the whole as JSON."""

    sequence: int
    kind: str
    step: int | None
    body: str


def put_events(connection: Connection, run_id: str, events: Sequence[tuple[int, str, int | None, str]]) -> int:
    """Take events in; one whose number is known stays as it was.  Returns how many were new."""
    if not events:
        return 0
    query = select(func.count()).select_from(schema.run_event).where(schema.run_event.c.run_id == run_id)
    before = connection.execute(query).scalar_one()
    rows = [{"run_id": run_id, **RunEvent(*event)._asdict()} for event in events]
    connection.execute(insert_or(schema.run_event).on_conflict_do_nothing(), rows)
    return int(connection.execute(query).scalar_one()) - int(before)


def put_choice(connection: Connection, old_id: str, new_id: str, key: str, choice: str) -> None:
    """Remember what a person chose of one change; a later choice replaces it."""
    remove_choice(connection, old_id, new_id, key)
    row = {"old_id": old_id, "new_id": new_id, "key": key, "choice": choice, "at": now()}
    connection.execute(insert(schema.change_choice), row)


def choice_of(connection: Connection, old_id: str, new_id: str, key: str) -> str | None:
    """What a person chose of one change, if anything."""
    table = schema.change_choice.c
    query = select(table.choice).where(table.old_id == old_id, table.new_id == new_id, table.key == key)
    chosen: str | None = connection.execute(query).scalar()
    return chosen


def remove_choice(connection: Connection, old_id: str, new_id: str, key: str) -> None:
    """Forget what a person chose of one change."""
    table = schema.change_choice.c
    connection.execute(
        delete(schema.change_choice).where(table.old_id == old_id, table.new_id == new_id, table.key == key)
    )
