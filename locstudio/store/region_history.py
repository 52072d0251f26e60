"""The history of one region: every edit that speaks of it, found without reading the log."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, bindparam, select

from locstudio.domain.edits import RegionChange
from locstudio.domain.regions import Region
from locstudio.store.edit_log import decode_changes
from locstudio.store.schema import edit, edit_region

_lines = (
    select(edit.c.at, edit.c.actor, edit.c.title, edit.c.state, edit.c.changes)
    .join(edit_region, edit_region.c.edit_id == edit.c.id)
    .where(edit_region.c.region_id == bindparam("of"))
    .order_by(edit.c.id)
)


@dataclass(frozen=True, slots=True)
class RegionEdit:
    """What one edit made of a region.  ``at`` is UTC, ISO 8601; ``undone`` is also what can no longer be redone."""

    at: str
    actor: str
    title: str
    kind: Literal["done", "undone"]
    before: Region | None
    after: Region | None


def edits_of_region(connection: Connection, region_id: int) -> list[RegionEdit]:
    """Every edit of a region, oldest first; of an edit that changed it twice, where it began and where it ended."""
    found = []
    for line in connection.execute(_lines, {"of": region_id}):
        changes = [
            change
            for change in decode_changes(line.changes or b"[]")
            if isinstance(change, RegionChange)
            and any(value is not None and value.id == region_id for value in (change.before, change.after))
        ]
        if changes:
            kind: Literal["done", "undone"] = "done" if line.state == "done" else "undone"
            found.append(RegionEdit(line.at, line.actor, line.title, kind, changes[0].before, changes[-1].after))
    return found
