"""Changes put into the tables, each compared first with what is there.

Changes of one kind that follow each other go as one bundle: one read of their rows, one ``executemany`` for each thing
to do, so that 10,000 regions cost little more than their rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, delete, func, insert, select, tuple_, update

from locstudio.domain.edits import (
    CaptionChange,
    Change,
    ChoiceChange,
    ClassChange,
    CorrectionChange,
    ImageChange,
    LabelChange,
    RegionChange,
    RuleChange,
    SuperclassChange,
)
from locstudio.domain.errors import EditConflict
from locstudio.store import schema
from locstudio.store.filters import region_state_bit
from locstudio.store.ingesting import choice_of, put_choice, remove_choice
from locstudio.store.rows import (
    CAPTION_COLUMNS,
    CLASS_COLUMNS,
    CORRECTION_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    REGION_COLUMNS,
    RULE_COLUMNS,
    SUPERCLASS_COLUMNS,
    Key,
    Row,
    canonical_correction,
    caption_row,
    class_row,
    correction_row,
    image_row,
    key_of,
    label_row,
    names_of,
    region_row,
    rule_row,
    superclass_row,
)

T = TypeVar("T")
_CHUNK = 900


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of change meets its table, whose identities are its first ``num_keys`` columns.

    ``compares_all``: a change is refused when any column differs.  ``canonical``: a row as LocStudio would write it,
    where another program may have written the same otherwise.
    """

    noun: str
    table: Table
    columns: tuple[Column[Any], ...]
    row: Callable[[Any], Row]
    names: tuple[str, ...]
    compares_all: bool = True
    num_keys: int = 1
    canonical: Callable[[Row], Row] = tuple


# A background scan may fill in hash and date of an image between two edits: only what an edit changes is compared.
_KINDS: dict[type[Change], _Kind] = {
    RegionChange: _Kind("box", schema.region, REGION_COLUMNS, region_row, names_of(REGION_COLUMNS)),
    ImageChange: _Kind("image", schema.image, IMAGE_COLUMNS, image_row, names_of(IMAGE_COLUMNS), compares_all=False),
    ClassChange: _Kind("class", schema.label_class, CLASS_COLUMNS, class_row, names_of(CLASS_COLUMNS)),
    SuperclassChange: _Kind(
        "superclass", schema.superclass, SUPERCLASS_COLUMNS, superclass_row, names_of(SUPERCLASS_COLUMNS)
    ),
    CaptionChange: _Kind("caption", schema.caption, CAPTION_COLUMNS, caption_row, names_of(CAPTION_COLUMNS)),
    LabelChange: _Kind("label", schema.image_class, LABEL_COLUMNS, label_row, names_of(LABEL_COLUMNS), num_keys=2),
    CorrectionChange: _Kind(
        "heat correction",
        schema.heatmap_correction,
        CORRECTION_COLUMNS,
        correction_row,
        names_of(CORRECTION_COLUMNS),
        canonical=canonical_correction,
    ),
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
        seen: set[Key] = set()
        pairs: list[_Pair] = []
        for change in run:
            before = None if change.before is None else kind.row(change.before)
            after = None if change.after is None else kind.row(change.after)
            row = before or after
            key = None if row is None else key_of(row, kind.num_keys)
            if key is None or (before and after and key != key_of(after, kind.num_keys)):
                raise ValueError(f"a change must keep the identity of its {kind.noun}: {change}")
            if key in seen:
                yield kind, pairs
                seen, pairs = set(), []
            seen.add(key)
            pairs.append((before, after))
        yield kind, pairs


def _apply_bundle(connection: Connection, kind: _Kind, pairs: list[_Pair]) -> None:
    keys = [key_of(before or after or (), kind.num_keys) for before, after in pairs]
    current = _rows(connection, kind, keys)
    gone: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    changed: list[tuple[Row, Row]] = []
    for key, (before, after) in zip(keys, pairs, strict=True):
        if before is None:
            assert after is not None
            if key in current:
                raise EditConflict(f"The {_named(kind, after)} is there already.")
            new.append(dict(zip(kind.names, after, strict=True)))
            continue
        _compare(kind, current.get(key), before, after)
        if after is None:
            gone.append(_place(kind, before))
        elif before != after:
            changed.append((before, after))
    if gone:
        connection.execute(delete(kind.table).where(*_is_row(kind)), gone)
    if changed:
        _update(connection, kind, changed)
    if new:
        connection.execute(insert(kind.table), new)


def _update(connection: Connection, kind: _Kind, pairs: list[tuple[Row, Row]]) -> None:
    # Only columns that change anywhere in the bundle: the others' indexes and triggers are left alone.
    width = range(kind.num_keys, len(kind.columns))
    columns = tuple(c for c in width if any(before[c] != after[c] for before, after in pairs))
    rows_of: dict[tuple[int, ...], list[Row]] = {columns: [after for _, after in pairs]}
    if not kind.compares_all:  # what a row itself does not change may be another's meanwhile
        rows_of = {}
        for before, after in pairs:
            rows_of.setdefault(tuple(c for c in columns if before[c] != after[c]), []).append(after)
    for own, rows in rows_of.items():
        values: dict[str, Any] = {kind.names[c]: bindparam(f"new_{c}") for c in own}
        statement = update(kind.table).where(*_is_row(kind)).values(values)
        connection.execute(statement, [_place(kind, row) | {f"new_{c}": row[c] for c in own} for row in rows])


def _is_row(kind: _Kind) -> list[ColumnElement[bool]]:
    return [kind.columns[c] == bindparam(f"key_{c}") for c in range(kind.num_keys)]


def _place(kind: _Kind, row: Row) -> dict[str, Any]:
    return {f"key_{c}": row[c] for c in range(kind.num_keys)}


def _named(kind: _Kind, row: Row) -> str:
    """What a sentence calls the row: "box 12", "label of class 3 of image 12"."""
    if kind.table is schema.image_class:
        return f"{kind.noun} of class {row[1]} of image {row[0]}"
    return f"{kind.noun} {row[0]}"


def _compare(kind: _Kind, found: Row | None, before: Row, after: Row | None) -> None:
    if found is None:
        raise EditConflict(f"The {_named(kind, before)} is not in the dataset any more.")
    if kind.compares_all or after is None:
        is_same = found == before
    else:
        is_same = all(f == b for f, b, a in zip(found, before, after, strict=True) if a != b)
    if not is_same:
        raise EditConflict(f"The {_named(kind, before)} has changed since this edit was begun.")


def _rows(connection: Connection, kind: _Kind, keys: Sequence[Key]) -> dict[Key, Row]:
    identity: ColumnElement[Any] = kind.columns[0] if kind.num_keys == 1 else tuple_(*kind.columns[: kind.num_keys])
    query = select(*kind.columns).where(identity.in_(bindparam("keys", expanding=True)))
    found: dict[Key, Row] = {}
    for chunk in chunks(keys):
        for row in connection.execute(query, {"keys": chunk}):
            found[key_of(row, kind.num_keys)] = kind.canonical(tuple(row))
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
