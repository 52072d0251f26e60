"""The log of edits: a ledger to which undo and redo add lines, and from which both are read.

A line of kind ``do`` holds its changes as pairs (before, after); read forwards they are the edit, read backwards and
swapped its inverse.  ``state`` says where a ``do`` stands: ``done``, ``undone`` (can be redone) or ``discarded`` (was
undone when another edit came).  Lines ``undo`` and ``redo`` name the ``do`` they turned; nothing is ever removed.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

import msgspec
from sqlalchemy import Connection, bindparam, func, insert, select, update

from locstudio.domain.edits import (
    CaptionChange,
    Change,
    ChoiceChange,
    ClassChange,
    CorrectionChange,
    Edit,
    ImageChange,
    LabelChange,
    ModelChoice,
    RegionChange,
    RuleChange,
    SuperclassChange,
)
from locstudio.domain.errors import StorageFailed
from locstudio.domain.heat_corrections import HeatCorrection
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import Caption, Image, LabelClass, Region, Superclass
from locstudio.store.changing import apply_changes
from locstudio.store.rows import path_of, stored_path
from locstudio.store.schema import edit as edit_table
from locstudio.store.schema import edit_region
from locstudio.store.settings import read_revision

_COMPRESS_FROM = 2048
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One undo step.  ``at`` is UTC, ISO 8601."""

    id: int
    title: str
    at: str
    actor: str
    is_undone: bool
    num_changes: int


class _Region(msgspec.Struct, tag="region", array_like=True):
    before: Region | None
    after: Region | None


class _Image(msgspec.Struct, tag="image", array_like=True):
    before: Image
    after: Image


class _Class(msgspec.Struct, tag="class", array_like=True):
    before: LabelClass | None
    after: LabelClass | None


class _Superclass(msgspec.Struct, tag="superclass", array_like=True):
    before: Superclass | None
    after: Superclass | None


class _Caption(msgspec.Struct, tag="caption", array_like=True):
    before: Caption | None
    after: Caption | None


class _Choice(msgspec.Struct, tag="choice", array_like=True):
    before: ModelChoice | None
    after: ModelChoice | None


class _Rule(msgspec.Struct, tag="rule", array_like=True):
    before: PhraseRule | None
    after: PhraseRule | None


class _Label(msgspec.Struct, tag="label", array_like=True):
    before: ImageLabel | None
    after: ImageLabel | None


class _Correction(msgspec.Struct, tag="correction", array_like=True):
    before: HeatCorrection | None
    after: HeatCorrection | None


_Line = _Region | _Image | _Class | _Superclass | _Caption | _Choice | _Rule | _Label | _Correction
_encoder = msgspec.json.Encoder(enc_hook=lambda value: value.item())  # numbers of NumPy
_decoder = msgspec.json.Decoder(list[_Line])


def encode_changes(changes: tuple[Change, ...]) -> bytes:
    """Changes as JSON, compressed when long."""
    raw = _encoder.encode([_line_of(change) for change in changes])
    return zlib.compress(raw, _LEVEL) if len(raw) >= _COMPRESS_FROM else raw


def decode_changes(stored: bytes) -> tuple[Change, ...]:
    """The changes that ``encode_changes`` stored.

    Raises:
        StorageFailed: the log is damaged.
    """
    try:
        raw = zlib.decompress(stored) if stored[:1] == b"\x78" else stored
        return tuple(_change_of(line) for line in _decoder.decode(raw))
    except (zlib.error, msgspec.MsgspecError, ValueError) as error:
        raise StorageFailed(f"The log of edits is damaged: {error}. Restore one of the project's backups.") from error


def _line_of(change: Change) -> _Line:
    match change:
        case RegionChange(before, after):
            return _Region(before, after)
        case ImageChange(old, new):
            return _Image(_moved(old, stored_path(old.path)), _moved(new, stored_path(new.path)))
        case ClassChange(was, becomes):
            return _Class(was, becomes)
        case SuperclassChange(grouped, groups):
            return _Superclass(grouped, groups)
        case CaptionChange(said, says):
            return _Caption(said, says)
        case ChoiceChange(chose, chooses):
            return _Choice(chose, chooses)
        case RuleChange(stood, stands):
            return _Rule(stood, stands)
        case LabelChange(was_said, is_said):
            return _Label(was_said, is_said)
        case CorrectionChange(had, has):
            return _Correction(had, has)


def _change_of(line: _Line) -> Change:
    match line:
        case _Region(before, after):
            return RegionChange(before, after)
        case _Image(old, new):
            return ImageChange(_moved(old, path_of(old.path)), _moved(new, path_of(new.path)))
        case _Class(was, becomes):
            return ClassChange(was, becomes)
        case _Superclass(grouped, groups):
            return SuperclassChange(grouped, groups)
        case _Caption(said, says):
            return CaptionChange(said, says)
        case _Choice(chose, chooses):
            return ChoiceChange(chose, chooses)
        case _Rule(stood, stands):
            return RuleChange(stood, stands)
        case _Label(was_said, is_said):
            return LabelChange(was_said, is_said)
        case _Correction(had, has):
            return CorrectionChange(had, has)


def _moved(image: Image, path: str) -> Image:
    return image if path == image.path else replace(image, path=path)


_c = edit_table.c
_discard = update(edit_table).where(_c.state == "undone").values(state="discarded")
_put = insert(edit_table)
_put_region = insert(edit_region)
_mark = update(edit_table).where(_c.id == bindparam("entry")).values(state=bindparam("becomes"))
_last_done = select(func.max(_c.step)).where(_c.state == "done")
_next_undone = select(func.min(_c.step)).where(_c.state == "undone")
_of_step = select(_c.id, _c.title, _c.changes).where(_c.step == bindparam("of"), _c.state == bindparam("state"))


def region_ids_of(changes: Iterable[Change]) -> list[int]:
    """The regions that changes speak of, each once."""
    values = [change.before or change.after for change in changes if isinstance(change, RegionChange)]
    return sorted({int(value.id) for value in values if value is not None})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def record_edit(connection: Connection, edit: Edit, actor: str, group: str) -> Edit:
    """Apply an edit and put it into the log; what could have been redone is discarded.

    Edits of one group that follow each other are one undo step.

    Returns:
        The edit's inverse.

    Raises:
        EditConflict: a ``before`` is not what the dataset holds.
    """
    if not edit.changes:
        return edit.inverse()
    apply_changes(connection, edit.changes)
    connection.execute(_discard)
    step = None
    if group:
        # A step has the number of its first line, which says the group.
        newest = connection.execute(_last_done).scalar()
        if newest and connection.execute(select(_c.edit_group).where(_c.id == newest)).scalar() == group:
            step = newest
    values = {
        "kind": "do",
        "state": "done",
        "title": edit.title,
        "actor": actor,
        "edit_group": group,
        "at": _now(),
        "num_changes": sum(not isinstance(change, ChoiceChange | RuleChange) for change in edit.changes),
        "changes": encode_changes(edit.changes),
        "step": step or 0,
        "revision": read_revision(connection) + 1,
    }
    entry = connection.execute(_put, values).inserted_primary_key
    assert entry is not None
    if regions := region_ids_of(edit.changes):
        connection.execute(_put_region, [{"region_id": key, "edit_id": entry[0]} for key in regions])
    if step is None:
        connection.execute(update(edit_table).where(_c.id == entry[0]).values(step=entry[0]))
    return edit.inverse()


def undo_step(connection: Connection) -> Edit | None:
    """Take the newest step back.  Returns what was applied, None when there is nothing to undo."""
    step = connection.execute(_last_done).scalar()
    return None if step is None else _turn(connection, step, "undo")


def redo_step(connection: Connection) -> Edit | None:
    """Apply the oldest undone step again.  Returns what was applied, None when there is nothing to redo."""
    step = connection.execute(_next_undone).scalar()
    return None if step is None else _turn(connection, step, "redo")


def _turn(connection: Connection, step: int, kind: str) -> Edit:
    was, becomes = ("done", "undone") if kind == "undo" else ("undone", "done")
    query = _of_step.order_by(_c.id.desc() if kind == "undo" else _c.id)
    entries = connection.execute(query, {"of": step, "state": was}).all()
    revision = read_revision(connection) + 1
    applied: list[Change] = []
    for entry in entries:
        stored = Edit(entry.title, decode_changes(entry.changes))
        changes = stored.inverse().changes if kind == "undo" else stored.changes
        apply_changes(connection, changes)
        applied += changes
        connection.execute(_mark, {"entry": entry.id, "becomes": becomes})
        line = {"kind": kind, "of_id": entry.id, "step": step, "state": "note", "title": entry.title, "at": _now()}
        connection.execute(_put, line | {"revision": revision})
    return Edit(entries[0].title, tuple(applied))


def go_to_step(connection: Connection, history_id: int) -> Edit | None:
    """Undo or redo until the step ``history_id`` is the newest that is done; 0 undoes everything.

    Returns what was applied, in one piece, or None when the dataset stands there already.
    """
    applied: list[Change] = []
    title = ""
    while (step := connection.execute(_last_done).scalar()) is not None and step > history_id:
        turned = _turn(connection, step, "undo")
        title, applied = turned.title, applied + list(turned.changes)
    while (step := connection.execute(_next_undone).scalar()) is not None and step <= history_id:
        turned = _turn(connection, step, "redo")
        title, applied = turned.title, applied + list(turned.changes)
    return Edit(title, tuple(applied)) if applied else None


def read_history(connection: Connection, limit: int) -> list[HistoryEntry]:
    """The newest undo steps that are done or can be redone, newest first."""
    steps: set[int] = set()
    for state in ("done", "undone"):  # each in the order of the index, so that only the newest are touched
        newest = select(_c.step).where(_c.state == state).distinct().order_by(_c.step.desc()).limit(limit)
        steps.update(connection.execute(newest).scalars())
    query = (
        select(_c.step, _c.title, _c.at, _c.actor, _c.state, _c.num_changes)
        .where(_c.state.in_(("done", "undone")), _c.step.in_(sorted(steps, reverse=True)[:limit]))
        .order_by(_c.step.desc(), _c.id)
    )
    history = []
    for step, lines in groupby(connection.execute(query).all(), key=lambda line: line.step):
        entries = list(lines)
        first = entries[0]
        num_changes = sum(entry.num_changes for entry in entries)
        history.append(HistoryEntry(step, first.title, first.at, first.actor, first.state == "undone", num_changes))
    return history


def count_corrections_since(connection: Connection, revision: int) -> int:
    """How many changes of a person are in the dataset and were not at this revision, or the other way round."""
    turned = select(_c.of_id).where(_c.revision > revision, _c.of_id.is_not(None))
    # Taken back and put again since is as it was.
    turned_oddly = turned.group_by(_c.of_id).having(func.count() % 2 == 1)
    by_a_person = select(func.coalesce(func.sum(_c.num_changes), 0)).where(_c.kind == "do", _c.actor == "human")
    new = by_a_person.where(_c.revision > revision, _c.state == "done")
    other = by_a_person.where(_c.revision <= revision, _c.id.in_(turned_oddly))
    return int(connection.execute(new).scalar_one()) + int(connection.execute(other).scalar_one())
