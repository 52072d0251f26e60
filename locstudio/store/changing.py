"""Changes put into the tables, each compared first with what is there.

Changes of one kind that follow each other go as one bundle: one read of their rows, one ``executemany`` for each thing
to do, so that 10,000 regions cost little more than their rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, bindparam, delete, func, insert, select, update

from locstudio.domain.edits import (
    CaptionChange,
    Change,
    ChoiceChange,
    ClassChange,
    ImageChange,
    RegionChange,
    RuleChange,
)
from locstudio.domain.errors import EditConflict
from locstudio.store import schema
from locstudio.store.filters import region_state_bit
from locstudio.store.ingesting import choice_of, put_choice, remove_choice
from locstudio.store.rows import (
    CAPTION_COLUMNS,
    CLASS_COLUMNS,
    IMAGE_COLUMNS,
    REGION_COLUMNS,
    RULE_COLUMNS,
    Row,
    caption_row,
    class_row,
    image_row,
    names_of,
    region_row,
    rule_row,
)

T = TypeVar("T")
_CHUNK = 900


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of change meets its table, whose identities are its first column.

    ``compares_all``: a change is refused when any column differs.
    """

    noun: str
    table: Table
    columns: tuple[Column[Any], ...]
    row: Callable[[Any], Row]
    names: tuple[str, ...]
    compares_all: bool = True


# A background scan may fill in hash and date of an image between two edits: only what an edit changes is compared.
_KINDS: dict[type[Change], _Kind] = {
    RegionChange: _Kind("box", schema.region, REGION_COLUMNS, region_row, names_of(REGION_COLUMNS)),
    ImageChange: _Kind("image", schema.image, IMAGE_COLUMNS, image_row, names_of(IMAGE_COLUMNS), compares_all=False),
    ClassChange: _Kind("class", schema.label_class, CLASS_COLUMNS, class_row, names_of(CLASS_COLUMNS)),
    CaptionChange: _Kind("caption", schema.caption, CAPTION_COLUMNS, caption_row, names_of(CAPTION_COLUMNS)),
    RuleChange: _Kind("rule for the phrase", schema.phrase_rule, RULE_COLUMNS, rule_row, names_of(RULE_COLUMNS)),
}


def apply_changes(connection: Connection, changes: Sequence[Change]) -> None:
    """Put changes into the tables, in their order.

    Raises:
        EditConflict: a ``before`` is not what the dataset holds, or something new has an identity that is taken.
        ValueError: a change turns one thing into another.
    """
    touched: set[int] = set()
    for choice in (change for change in changes if isinstance(change, ChoiceChange)):
        _apply_choice(connection, choice)
    for kind, pairs in _bundles([change for change in changes if not isinstance(change, ChoiceChange)]):
        _apply_bundle(connection, kind, pairs)
        if kind.table is schema.region:
            touched.update(_images_with_new_states(pairs))
    if touched:
        refresh_region_states(connection, touched)


def _apply_choice(connection: Connection, change: ChoiceChange) -> None:
    choice = change.after or change.before
    if choice is None:
        return
    place = (choice.old_id, choice.new_id, choice.key)
    if choice_of(connection, *place) != (change.before.chosen if change.before else None):
        raise EditConflict("Something else has been chosen here since this edit was begun.")
    if change.after is None:
        remove_choice(connection, *place)
    else:
        put_choice(connection, *place, change.after.chosen)


_Pair = tuple[Row | None, Row | None]


def _bundles(changes: Sequence[Change]) -> Iterator[tuple[_Kind, list[_Pair]]]:
    """Runs of one kind in which every identity occurs once."""
    for change_type, run in groupby(changes, key=type):
        kind = _KINDS[change_type]
        seen: set[int | str] = set()
        pairs: list[_Pair] = []
        for change in run:
            before = None if change.before is None else kind.row(change.before)
            after = None if change.after is None else kind.row(change.after)
            key = (before or after or (None,))[0]
            if key is None or (before and after and before[0] != after[0]):
                raise ValueError(f"a change must keep the identity of its {kind.noun}: {change}")
            if key in seen:
                yield kind, pairs
                seen, pairs = set(), []
            seen.add(key)
            pairs.append((before, after))
        yield kind, pairs


def _apply_bundle(connection: Connection, kind: _Kind, pairs: list[_Pair]) -> None:
    current = _rows(connection, kind, [(before or after or ())[0] for before, after in pairs])
    gone: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    changed: list[tuple[Row, Row]] = []
    for before, after in pairs:
        if before is None:
            assert after is not None
            if after[0] in current:
                raise EditConflict(f"The {kind.noun} {after[0]} is there already.")
            new.append(dict(zip(kind.names, after, strict=True)))
            continue
        _compare(kind, current.get(before[0]), before, after)
        if after is None:
            gone.append({"key": before[0]})
        elif before != after:
            changed.append((before, after))
    if gone:
        connection.execute(delete(kind.table).where(kind.columns[0] == bindparam("key")), gone)
    if changed:
        _update(connection, kind, changed)
    if new:
        connection.execute(insert(kind.table), new)


def _update(connection: Connection, kind: _Kind, pairs: list[tuple[Row, Row]]) -> None:
    # Only columns that change anywhere in the bundle: the others' indexes and triggers are left alone.
    width = range(1, len(kind.columns))
    columns = [c for c in width if any(before[c] != after[c] for before, after in pairs)]
    statement = update(kind.table).where(kind.columns[0] == bindparam("key"))
    if kind.compares_all:
        values: dict[str, Any] = {kind.names[c]: bindparam(f"new_{c}") for c in columns}
        rows = [{"key": after[0], **{f"new_{c}": after[c] for c in columns}} for _, after in pairs]
        connection.execute(statement.values(values), rows)
        return
    for before, after in pairs:
        own = {kind.names[c]: after[c] for c in columns if before[c] != after[c]}
        connection.execute(statement.values(own), {"key": after[0]})


def _compare(kind: _Kind, found: Row | None, before: Row, after: Row | None) -> None:
    if found is None:
        raise EditConflict(f"The {kind.noun} {before[0]} is not in the dataset any more.")
    if kind.compares_all or after is None:
        is_same = found == before
    else:
        is_same = all(f == b for f, b, a in zip(found, before, after, strict=True) if a != b)
    if not is_same:
        raise EditConflict(f"The {kind.noun} {before[0]} has changed since this edit was begun.")


def _rows(connection: Connection, kind: _Kind, keys: Sequence[int | str]) -> dict[int | str, Row]:
    query = select(*kind.columns).where(kind.columns[0].in_(bindparam("keys", expanding=True)))
    found: dict[int | str, Row] = {}
    for chunk in chunks(keys):
        for row in connection.execute(query, {"keys": chunk}):
            found[row[0]] = tuple(row)
    return found


def _images_with_new_states(pairs: Iterable[_Pair]) -> set[int]:
    """Images whose ``region_states`` may differ now: regions that came, went, or changed review, origin or image."""
    key = [REGION_COLUMNS.index(schema.region.c[name]) for name in ("image_id", "review", "origin")]
    images: set[int] = set()
    for before, after in pairs:
        old = None if before is None else tuple(before[c] for c in key)
        new = None if after is None else tuple(after[c] for c in key)
        if old != new:
            images.update(state[0] for state in (old, new) if state is not None)
    return images


def refresh_region_states(connection: Connection, image_ids: Iterable[int]) -> None:
    """Count anew which states the regions of these images are in."""
    bits = (
        select(func.coalesce(func.sum(region_state_bit().distinct()), 0))
        .where(schema.region.c.image_id == schema.image.c.id)
        .scalar_subquery()
    )
    statement = (
        update(schema.image).where(schema.image.c.id.in_(bindparam("keys", expanding=True))).values(region_states=bits)
    )
    for chunk in chunks(sorted(image_ids)):
        connection.execute(statement, {"keys": chunk})


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Pieces short enough for one ``IN``."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
