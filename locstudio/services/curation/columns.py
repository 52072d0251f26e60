"""Rows of the pool made of what they stand for: raw proposals of a run, or regions.  Axes: R = rows to be made."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.regions import Region
from locstudio.jobs.raw_proposals import BOX_STEPS
from locstudio.services.curation.table import MODEL, ORIGINS, PENDING, REVIEWS, SOURCE, Supply
from locstudio.store.columns import RegionColumns, single_boxes

Columns = dict[str, NDArray[Any]]


class Phrases:
    """Phrases by row, growing; row 0 is no phrase."""

    def __init__(self, texts: Sequence[str] = ("",)) -> None:
        self._rows = {text: row for row, text in enumerate(texts)}

    def rows(self, texts: Iterable[str]) -> NDArray[np.int32]:
        """The rows of phrases, new ones where they have none."""
        known = self._rows
        return np.array([known.setdefault(text, len(known)) for text in texts], np.int32)

    @property
    def texts(self) -> tuple[str, ...]:
        """The phrases in the order of their rows."""
        return tuple(self._rows)


def raw_columns(supply: Supply, run_row: int, rows: NDArray[np.int64]) -> Columns:
    """Raw proposals of a run as rows of the pool."""
    proposals, num = supply.proposals, len(rows)
    phrase_rows, caption_rows = np.asarray(proposals.phrase_rows[rows]), np.asarray(proposals.caption_rows[rows])
    # One more, for what comes from no caption: row -1 is the last.
    captions = np.array([*(caption.id for caption in proposals.captions), 0], np.int64)
    spans = np.asarray(proposals.spans[rows]).astype(np.int32)
    spans[(caption_rows < 0) | (spans[:, 0] >= spans[:, 1])] = -1
    return {
        "image_ids": np.asarray(proposals.image_ids[rows]),
        "boxes": single_boxes(proposals.boxes_q[rows] / float(BOX_STEPS)),
        "scores": np.asarray(proposals.scores[rows]).astype(np.float32),
        "phrase_rows": supply.phrase_rows[phrase_rows],
        "class_ids": supply.class_ids[phrase_rows],
        "reviews": np.full(num, PENDING, np.int8),
        "origins": np.full(num, MODEL, np.int8),
        "region_ids": np.zeros(num, np.int64),
        "run_rows": np.full(num, run_row, np.int16),
        "raw_rows": rows.astype(np.int32),
        "caption_ids": captions[caption_rows],
        "spans": spans,
        "times": np.full(num, supply.at_ms, np.int64),
    }


def columns_of_table(regions: RegionColumns, supplies: Sequence[Supply], phrases: Phrases) -> Columns:
    """The regions of a dataset as rows of the pool."""
    run_rows, raw_rows = raw_places(zip(regions.sources, regions.external_ids, strict=True), supplies)
    return {
        "image_ids": regions.image_ids,
        "boxes": regions.boxes,
        "scores": regions.scores,
        "phrase_rows": phrases.rows(regions.phrases),
        "class_ids": regions.class_ids,
        "reviews": regions.reviews,
        "origins": regions.origins,
        "region_ids": regions.ids,
        "run_rows": run_rows,
        "raw_rows": raw_rows,
        "caption_ids": regions.caption_ids,
        "spans": regions.spans,
        "times": regions.times_ms,
    }


def columns_of_regions(regions: Sequence[Region], supplies: Sequence[Supply], phrases: Phrases, at_ms: int) -> Columns:
    """Regions as rows of the pool; ``at_ms`` is when they came."""
    run_rows, raw_rows = raw_places(((region.source, region.external_id) for region in regions), supplies)
    scores = [np.nan if region.score is None else region.score for region in regions]
    return {
        "image_ids": np.array([region.image_id for region in regions], np.int64),
        "boxes": single_boxes(np.array([region.box.as_tuple() for region in regions], np.float64).reshape(-1, 4)),
        "scores": np.array(scores, np.float32),
        "phrase_rows": phrases.rows(region.phrase for region in regions),
        "class_ids": np.array([region.class_id or 0 for region in regions], np.int64),
        "reviews": np.array([REVIEWS.index(region.review) for region in regions], np.int8),
        "origins": np.array([ORIGINS.index(region.origin) for region in regions], np.int8),
        "region_ids": np.array([region.id for region in regions], np.int64),
        "run_rows": run_rows,
        "raw_rows": raw_rows,
        "caption_ids": np.array([region.caption_id or 0 for region in regions], np.int64),
        "spans": np.array([region.caption_span or (-1, -1) for region in regions], np.int32).reshape(-1, 2),
        "times": np.full(len(regions), at_ms, np.int64),
    }


def raw_places(
    named: Iterable[tuple[str, str]], supplies: Sequence[Supply]
) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    """The run and its row that regions came from, by their sources and external identities; -1 for none."""
    run_row_of = {supply.id: row for row, supply in enumerate(supplies)}
    places = [_place(source, external_id, run_row_of, supplies) for source, external_id in named]
    rows = np.array(places, np.int32).reshape(-1, 2)
    return rows[:, 0].astype(np.int16), rows[:, 1].copy()


_NOWHERE = (-1, -1)


def _place(source: str, external_id: str, run_row_of: dict[str, int], supplies: Sequence[Supply]) -> tuple[int, int]:
    if not source.startswith(SOURCE):
        return _NOWHERE
    run_row = run_row_of.get(source.removeprefix(SOURCE))
    if run_row is None or not (external_id.isdecimal() and external_id.isascii() and len(external_id) < 10):
        return _NOWHERE
    row = int(external_id)
    return (run_row, row) if row < len(supplies[run_row].slots) else _NOWHERE


def slots_of(columns: Columns, supplies: Sequence[Supply]) -> NDArray[np.int64]:
    """The rows of the pool that belong to the raw proposals these rows came from; -1 where there is none.

    Of several that came from the same proposal the first has its row, the others come from none.
    """
    slots = np.full(len(columns["run_rows"]), -1, np.int64)
    for run_row, supply in enumerate(supplies):
        of_run = np.flatnonzero(columns["run_rows"] == run_row)
        slots[of_run] = supply.slots[columns["raw_rows"][of_run]]
    rows = np.flatnonzero(slots >= 0)
    _, firsts = np.unique(slots[rows], return_index=True)
    is_twin = np.ones(len(rows), bool)
    is_twin[firsts] = False
    set_apart(columns, rows[is_twin])
    slots[rows[is_twin]] = -1
    return slots


def set_apart(columns: Columns, rows: NDArray[np.int64]) -> None:
    """Let rows come from no run."""
    columns["run_rows"][rows] = -1
    columns["raw_rows"][rows] = -1
