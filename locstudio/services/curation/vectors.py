"""Vectors of the pool's rows, of one checkpoint.  Axes: N = rows of the pool, R = rows asked for, D = embedding width.

A raw proposal has the one that its run has stored, if the run was made by this very checkpoint; a region has the
index's.  Where there is none, the row is NaN.
"""

import numpy as np
from numpy.typing import NDArray

from locstudio.index.nearest import unit_rows
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.raw_proposals import BOX_STEPS, RawProposals
from locstudio.services.curation.overlaps import Rows
from locstudio.services.curation.table import Pool
from locstudio.store.columns import single_boxes

_RAW, _INDEXED = 0, 1
_Vectors = NDArray[np.float32]


class ItemVectors:
    """Vectors of one pool's rows, also for the pools that follow it: rows that came since have none.

    May be used from any thread; what the index learns later it does not know.
    """

    def __init__(self, pool: Pool, checkpoint_id: str, index: RegionIndex | None = None) -> None:
        self.checkpoint_id = checkpoint_id
        self._pool = pool
        self._index = index if index is not None and index.checkpoint_id == checkpoint_id else None
        dims = [self._index.dim] if self._index is not None else []
        dims += [
            supply.proposals.manifest.dim
            for supply in pool.supplies
            if supply.proposals.manifest.checkpoint_id == checkpoint_id
        ]
        self.dim = dims[0] if dims else 0
        self._kinds = np.full(len(pool), -1, np.int8)
        self._places = np.zeros(len(pool), np.int64)
        self._find_raw()
        self._find_indexed()

    def has(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of the rows have a vector, (R,)."""
        return np.asarray(self._kinds_of(rows) >= 0)

    def vectors_of(self, rows: Rows) -> _Vectors:
        """The vectors of rows, of length one, (R, D); NaN where there is none."""
        rows = np.asarray(rows, np.int64)
        found_RD = np.full((len(rows), self.dim), np.nan, np.float32)
        kinds = self._kinds_of(rows)
        raw = np.flatnonzero(kinds == _RAW)
        run_rows = self._pool.run_rows[rows[raw]]
        for run_row in np.unique(run_rows).tolist():
            at = raw[run_rows == run_row]
            found_RD[at] = stored_vectors(self._pool.supplies[run_row].proposals, self._places[rows[at]])
        at = np.flatnonzero(kinds == _INDEXED)
        if len(at) and self._index is not None:
            found_RD[at] = self._index.vectors(self._places[rows[at]])
        return found_RD

    def _kinds_of(self, rows: Rows) -> NDArray[np.int8]:
        kinds = np.full(len(rows), -1, np.int8)
        is_known = rows < len(self._kinds)
        kinds[is_known] = self._kinds[rows[is_known]]
        return kinds

    def _find_raw(self) -> None:
        pool = self._pool
        for run_row, supply in enumerate(pool.supplies):
            manifest = supply.proposals.manifest
            if manifest.checkpoint_id != self.checkpoint_id or manifest.dim != self.dim:
                continue
            rows = np.flatnonzero(pool.run_rows == run_row)
            numbers = pool.raw_rows[rows].astype(np.int64)
            boxes = single_boxes(supply.proposals.boxes_q[numbers] / float(BOX_STEPS))
            is_unmoved = (boxes == pool.boxes[rows]).all(axis=1)
            self._kinds[rows[is_unmoved]] = _RAW
            self._places[rows[is_unmoved]] = numbers[is_unmoved]

    def _find_indexed(self) -> None:
        if self._index is None:
            return
        rows = np.flatnonzero((self._kinds < 0) & (self._pool.region_ids != 0))
        places = [self._index.row_of_region(key) for key in self._pool.region_ids[rows].tolist()]
        is_known = np.array([place is not None for place in places], bool)
        self._kinds[rows[is_known]] = _INDEXED
        self._places[rows[is_known]] = [place for place in places if place is not None]


def stored_vectors(proposals: RawProposals, numbers: Rows) -> _Vectors:
    """The vectors that a run has stored, of length one; NaN for what is none, since a stranger may store anything."""
    half_RD = proposals.vectors[numbers]
    is_none = ~np.isfinite(half_RD).all(axis=1)
    vectors_RD = unit_rows(half_RD)
    vectors_RD[is_none | ~(np.einsum("rd,rd->r", vectors_RD, vectors_RD) > 0.5)] = np.nan
    return vectors_RD
