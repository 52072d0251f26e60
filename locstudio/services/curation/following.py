"""The pool after an edit, made of the pool before it: only what has changed is looked at again.

Columns that stay as they are, are shared; what views remember of them stays true.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import ClassChange, Edit, RegionChange, RuleChange
from locstudio.domain.phrase_rules import PhraseRule, classes_by_name, taken_for
from locstudio.domain.regions import Region
from locstudio.services.curation.columns import Columns, Phrases, columns_of_regions, raw_columns, set_apart
from locstudio.services.curation.covering import covered
from locstudio.services.curation.overlaps import Rows, edges_with_moved, overlap_edges
from locstudio.services.curation.table import COLUMNS, Pool

_FEW = 8
_MANY_MOVED = 500


def pool_after(pool: Pool, edit: Edit) -> Pool:
    """The pool with an applied edit taken in, done or undone; the one before stays as it is."""
    after = _after(pool, edit)
    kept = {
        key: values
        for key, values in list(pool.remembered.items())  # another thread may remember more meanwhile
        if all(getattr(pool, name) is getattr(after, name) for name in key[0])
    }
    return replace(after, revision=pool.revision + 1, remembered=kept)


def _after(pool: Pool, edit: Edit) -> Pool:
    is_renamed = any(isinstance(change, ClassChange | RuleChange) for change in edit.changes)
    if is_renamed:
        pool = _renamed(pool, edit)
    ends = {}
    for change in edit.changes:
        if isinstance(change, RegionChange) and (value := change.after or change.before):
            ends[value.id] = change.after
    touched = np.empty(0, np.int64)
    if ends:
        pool, touched = _with_regions(pool, ends)
    if is_renamed:
        return settled(pool, np.arange(len(pool)))
    return settled(pool, _rows_of_images(pool, touched)) if len(touched) else pool


def settled(pool: Pool, rows: Rows) -> Pool:
    """The pool with what is covered, and so what is there, found anew for these rows: all of their images."""
    is_covered = pool.is_covered.copy()
    is_covered[rows] = covered(pool, rows)
    is_there = pool.is_there.copy()
    is_there[rows] = (pool.region_ids[rows] != 0) | ((rows < pool.num_raw) & ~is_covered[rows])
    return replace(pool, is_covered=is_covered, is_there=is_there)


def ruled(
    texts: Sequence[str], phrases: Phrases, rules: Mapping[str, PhraseRule], named: Mapping[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """What a run's phrases are taken for (see ``taken_for``): rows of ``phrases``, and classes (0 for none)."""
    taken = [taken_for(rules, named, text) for text in texts]
    return phrases.rows(phrase for phrase, _ in taken), np.array([key or 0 for _, key in taken], np.int64)


def _renamed(pool: Pool, edit: Edit) -> Pool:
    """The pool with other names of classes, and other rules of phrases."""
    classes, rules = dict(pool.classes), dict(pool.rules)
    for change in edit.changes:
        if isinstance(change, ClassChange):
            if change.after is not None:
                classes[change.after.id] = change.after
            elif change.before is not None:
                classes.pop(change.before.id, None)
        elif isinstance(change, RuleChange):
            if change.after is not None:
                rules[change.after.phrase] = change.after
            elif change.before is not None:
                rules.pop(change.before.phrase, None)
    named = classes_by_name(classes.values())
    if rules == pool.rules and named == classes_by_name(pool.classes.values()):
        return replace(pool, classes=classes)
    phrases = Phrases(pool.phrases)
    supplies = []
    phrase_rows, class_ids = pool.phrase_rows.copy(), pool.class_ids.copy()
    for supply in pool.supplies:
        rows, ids = ruled(supply.proposals.phrases, phrases, rules, named)
        supplies.append(replace(supply, phrase_rows=rows, class_ids=ids))
        at = supply.slots[supply.slots >= 0]
        is_raw = pool.region_ids[at] == 0
        own = np.asarray(supply.proposals.phrase_rows)[supply.slots >= 0][is_raw]
        phrase_rows[at[is_raw]], class_ids[at[is_raw]] = rows[own], ids[own]
    return replace(
        pool,
        classes=classes,
        rules=rules,
        supplies=tuple(supplies),
        phrases=phrases.texts,
        phrase_rows=phrase_rows,
        class_ids=class_ids,
    )


@dataclass(slots=True)
class _Work:
    """Rows that change, with what each of them becomes."""

    rows: list[Rows]
    parts: list[Columns]

    def put(self, rows: Rows, columns: Columns) -> None:
        if len(rows):
            self.rows.append(rows)
            self.parts.append(columns)


def _with_regions(pool: Pool, ends: Mapping[int, Region | None]) -> tuple[Pool, NDArray[np.int64]]:
    """The pool with regions as they are at the end, None for gone; and the images whose regions have changed."""
    row_of = _rows_of_regions(pool, np.array(list(ends), np.int64))
    phrases = Phrases(pool.phrases)
    work = _Work([], [])
    gone = np.array([row_of[key] for key, region in ends.items() if region is None and row_of[key] >= 0], np.int64)
    _give_back(pool, gone, work)
    regions = [region for region in ends.values() if region is not None]
    columns = columns_of_regions(regions, pool.supplies, phrases, time.time_ns() // 1_000_000)
    rows = np.array([row_of[region.id] for region in regions], np.int64)
    rows, is_new = _placed(pool, rows, columns, set(gone.tolist()))
    stays = ("times", "run_rows", "raw_rows")  # of a row: when and by whom it was proposed
    work.put(rows[~is_new], {name: values[~is_new] for name, values in columns.items() if name not in stays})
    touched = np.unique(np.concatenate([pool.image_ids[gone], pool.image_ids[rows[~is_new]], columns["image_ids"]]))
    changed, moved = _changed(pool, work)
    after = replace(pool, **changed, phrases=phrases.texts)
    if is_new.any():
        after = _extended(after, {name: values[is_new] for name, values in columns.items()})
        moved = np.concatenate([moved, np.arange(len(pool), len(after))])
    return _with_edges(after, moved), touched


def _rows_of_regions(pool: Pool, keys: NDArray[np.int64]) -> dict[int, int]:
    """The rows of regions, -1 for those that have none."""
    if len(keys) <= _FEW:
        found = [np.flatnonzero(pool.region_ids == key) for key in keys]
        return {int(key): int(rows[0]) if len(rows) else -1 for key, rows in zip(keys, found, strict=True)}
    order = np.argsort(pool.region_ids, kind="stable")
    at = np.minimum(np.searchsorted(pool.region_ids, keys, sorter=order), len(pool) - 1) if len(pool) else keys * 0
    rows = order[at] if len(pool) else at - 1
    is_found = pool.region_ids[rows] == keys if len(pool) else np.zeros(len(keys), bool)
    return dict(zip(keys.tolist(), np.where(is_found, rows, -1).tolist(), strict=True))


def _give_back(pool: Pool, gone: Rows, work: _Work) -> None:
    """Regions that are gone: their row becomes its raw proposal again, or nothing."""
    is_slot = gone < pool.num_raw
    for run_row, supply in enumerate(pool.supplies):
        rows = gone[is_slot & (pool.run_rows[gone] == run_row)]
        work.put(rows, raw_columns(supply, run_row, pool.raw_rows[rows].astype(np.int64)))
    rows = gone[~is_slot]
    work.put(rows, {"region_ids": np.zeros(len(rows), np.int64)})


def _placed(pool: Pool, rows: Rows, columns: Columns, freed: set[int]) -> tuple[Rows, NDArray[np.bool_]]:
    """The rows of regions; those that had none get the one of their proposal if it is free, or are new."""
    taken: set[int] = set()
    for at in np.flatnonzero(rows < 0).tolist():
        run_row, raw_row = int(columns["run_rows"][at]), int(columns["raw_rows"][at])
        slot = int(pool.supplies[run_row].slots[raw_row]) if run_row >= 0 else -1
        if slot >= 0 and slot not in taken and (pool.region_ids[slot] == 0 or slot in freed):
            rows[at] = slot
            taken.add(slot)
        elif slot >= 0:
            set_apart(columns, np.array([at]))
    return rows, rows < 0


def _changed(pool: Pool, work: _Work) -> tuple[dict[str, Any], Rows]:
    """The columns in which something differs, as copies; and the rows whose boxes do."""
    changed: dict[str, Any] = {}
    moved: list[Rows] = []
    for rows, columns in zip(work.rows, work.parts, strict=True):
        for name, values in columns.items():
            current = changed.get(name, getattr(pool, name))
            is_same = current[rows] == values
            if current.dtype.kind == "f":
                is_same |= np.isnan(current[rows]) & np.isnan(values)
            if is_same.all():
                continue
            if name not in changed:
                changed[name] = current = current.copy()
            current[rows] = values
            if name == "boxes":
                moved.append(rows[~is_same.all(axis=1)])
    return changed, np.unique(np.concatenate(moved)) if moved else np.empty(0, np.int64)


def _extended(pool: Pool, new: Columns) -> Pool:
    num = len(new["image_ids"])
    longer: dict[str, Any] = {name: np.concatenate([getattr(pool, name), new[name]]) for name in COLUMNS}
    longer["is_there"] = np.concatenate([pool.is_there, np.ones(num, bool)])
    longer["is_covered"] = np.concatenate([pool.is_covered, np.zeros(num, bool)])
    return replace(pool, **longer)


def _with_edges(pool: Pool, moved: Rows) -> Pool:
    if not len(moved):
        return pool
    if len(moved) > _MANY_MOVED:
        return replace(pool, edges=overlap_edges(pool.image_ids, pool.boxes, pool.scores))
    return replace(pool, edges=edges_with_moved(pool.edges, moved, pool.image_ids, pool.boxes, pool.scores))


def _rows_of_images(pool: Pool, image_ids: Iterable[int]) -> Rows:
    wanted = np.asarray(image_ids, np.int64)
    if len(wanted) > _FEW:
        return np.flatnonzero(np.isin(pool.image_ids, wanted))
    is_there = np.zeros(len(pool), bool)
    for image_id in wanted:
        is_there |= pool.image_ids == image_id
    return np.flatnonzero(is_there)
