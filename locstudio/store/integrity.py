"""Whether a dataset holds together: its pages, its references, its derived values, and its log of edits."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DatabaseError

from locstudio.domain.edits import (
    CaptionChange,
    Change,
    ClassChange,
    CorrectionChange,
    LabelChange,
    RegionChange,
    RuleChange,
    SuperclassChange,
)
from locstudio.domain.errors import StorageFailed
from locstudio.store import schema
from locstudio.store.edit_log import decode_changes
from locstudio.store.filters import region_state_bit
from locstudio.store.rows import (
    CAPTION_COLUMNS,
    CLASS_COLUMNS,
    CORRECTION_COLUMNS,
    LABEL_COLUMNS,
    REGION_COLUMNS,
    RULE_COLUMNS,
    SUPERCLASS_COLUMNS,
    Key,
    Row,
    caption_row,
    class_row,
    correction_of,
    correction_row,
    key_of,
    label_row,
    region_row,
    rule_row,
    superclass_row,
)

_MOST = 20


def problems_of(connection: Connection, *, with_replay: bool) -> list[str]:
    """Sentences about everything that is wrong; empty when nothing is."""
    found: list[str] = []
    checks: list[Callable[[Connection], list[str]]] = [_pages, _references, _states, _strokes]
    if with_replay:
        checks.append(replay_problems)
    for check in checks:
        try:
            found += check(connection)
        except (DatabaseError, StorageFailed, UnicodeDecodeError) as error:
            found.append(f"The dataset cannot be read to its end: {getattr(error, 'orig', error)}")
            break
    return found


def _pages(connection: Connection) -> list[str]:
    said = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST})")]
    return [] if said == ["ok"] else [f"The dataset's file is damaged: {line}" for line in said]


def _references(connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_MOST)
    return [f"Row {row[1]} of {row[0]} refers to a {row[2]} that is not there." for row in rows]


def _states(connection: Connection) -> list[str]:
    region, image = schema.region.c, schema.image.c
    bits = func.coalesce(func.sum(region_state_bit().distinct()), 0)
    real = select(region.image_id, bits.label("bits")).group_by(region.image_id).subquery()
    query = (
        select(image.id)
        .select_from(schema.image.outerjoin(real, real.c.image_id == image.id))
        .where(image.region_states != func.coalesce(real.c.bits, 0))
        .limit(_MOST)
    )
    return [
        f"Image {row[0]} is filed under review states that its boxes do not have." for row in connection.execute(query)
    ]


def _strokes(connection: Connection) -> list[str]:
    found = []
    for row in connection.execute(select(*CORRECTION_COLUMNS).order_by(CORRECTION_COLUMNS[0])):
        try:
            correction_of(row)
        except ValueError as error:
            found.append(f"What was painted as heat correction {row[0]} cannot be read: {error}.")
            if len(found) == _MOST:
                break
    return found


_Kept = dict[Key, int]


def replay_problems(connection: Connection) -> list[str]:
    """Apply the whole log to nothing, and compare what comes out with the tables."""
    regions: _Kept = {}
    captions: _Kept = {}
    classes: _Kept = {}
    superclasses: _Kept = {}
    rules: _Kept = {}
    labels: _Kept = {}
    corrections: _Kept = {}
    for change in _replayed(connection):
        match change:
            case RegionChange(before, after):
                _keep(regions, before.id if before else None, region_row(after) if after else None)
            case CaptionChange(said, says):
                _keep(captions, said.id if said else None, caption_row(says) if says else None)
            case ClassChange(was, becomes):
                _keep(classes, was.id if was else None, class_row(becomes) if becomes else None)
            case SuperclassChange(grouped, groups):
                _keep(superclasses, grouped.id if grouped else None, superclass_row(groups) if groups else None)
            case RuleChange(stood, stands):
                _keep(rules, stood.phrase if stood else None, rule_row(stands) if stands else None)
            case LabelChange(told, tells):
                _keep(labels, key_of(label_row(told), 2) if told else None, label_row(tells) if tells else None, 2)
            case CorrectionChange(had, has):
                _keep(corrections, had.id if had else None, correction_row(has) if has else None)
            case _:
                pass  # images come from a scan; only a few of their fields come from edits
    return [
        *_differences(connection, "box", REGION_COLUMNS, regions),
        *_differences(connection, "caption", CAPTION_COLUMNS, captions),
        *_differences(connection, "class", CLASS_COLUMNS, classes),
        *_differences(connection, "superclass", SUPERCLASS_COLUMNS, superclasses),
        *_differences(connection, "rule for the phrase", RULE_COLUMNS, rules),
        *_differences(connection, "label (image, class)", LABEL_COLUMNS, labels, 2),
        *_differences(connection, "heat correction", CORRECTION_COLUMNS, corrections),
    ]


def _replayed(connection: Connection) -> Iterator[Change]:
    table = schema.edit
    changes_of: dict[int, tuple[Change, ...]] = {}
    for line in connection.execute(select(table.c.id, table.c.kind, table.c.of_id).order_by(table.c.id)).all():
        origin = line.of_id or line.id
        if line.kind == "do":
            changes_of.clear()
        if origin not in changes_of:
            stored = connection.execute(select(table.c.changes).where(table.c.id == origin)).scalar()
            changes_of[origin] = decode_changes(stored or b"[]")
        changes = changes_of[origin]
        if line.kind == "undo":
            for change in reversed(changes):
                yield type(change)(change.after, change.before)  # type: ignore[arg-type]  # each swaps its own pair
        else:
            yield from changes


def _keep(kept: _Kept, old: Key | None, row: Row | None, num_keys: int = 1) -> None:
    if row is None:
        if old is not None:
            kept.pop(old, None)
    else:
        kept[key_of(row, num_keys)] = hash(row)


def _differences(
    connection: Connection, noun: str, columns: tuple[Any, ...], kept: _Kept, num_keys: int = 1
) -> list[str]:
    found: list[str] = []
    for row in connection.execute(select(*columns).order_by(*columns[:num_keys])):
        key = key_of(row, num_keys)
        if kept.pop(key, None) != hash(tuple(row)):
            found.append(f"The {noun} {key} is not what the log of edits says.")
            if len(found) == _MOST:
                return found
    found += [f"The {noun} {key} is in the log of edits and not in the dataset." for key in list(kept)[:_MOST]]
    return found[:_MOST]
