"""The pool as a canvas pass asks of it: images and regions by what an answer is worth, proposals to be taken in."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from locstudio.domain.edits import Edit
from locstudio.domain.regions import Region
from locstudio.services.curation import deciding
from locstudio.services.curation.pool import Pool, source_of
from locstudio.services.curation.view import Order, Wish, rows_of
from locstudio.store.dataset import Dataset
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.pass_source import TAKE_IN, Suggested
from locstudio.ui.curation.pool_tiles import Rows

Suggest = Callable[[Pool, int], Sequence[Suggested]]


class PoolSource:
    """Answers a pass from the pool as it is on the curation page, above its thresholds."""

    def __init__(self, dataset: Dataset, curating: Curating, suggest: Suggest) -> None:
        """``suggest`` says what else a row of a pool may be; it is called on a worker."""
        self._dataset = dataset
        self._curating = curating
        self._suggest = suggest

    def pending_images(self) -> list[int]:
        """Images in which something waits for review, the most valuable first."""
        pool = self._curating.pool
        if pool is None:
            return []
        image_ids = pool.image_ids[self._rows(pool)]
        _, first = np.unique(image_ids, return_index=True)
        found: list[int] = image_ids[np.sort(first)].tolist()
        return found

    def take_in(self, image_id: int) -> Callable[[], Edit | None] | None:
        """What makes pending regions of the image's raw proposals; None where there are none."""
        pool = self._curating.pool
        if pool is None or self._dataset.is_read_only:
            return None
        rows = self._rows(pool, image_id)
        raw = rows[pool.region_ids[rows] == 0]
        if not len(raw):
            return None

        def make() -> Edit | None:
            edit = deciding.take_in(self._dataset, pool, raw)
            return replace(edit, title=TAKE_IN) if edit.changes else None

        return make

    def in_order(self, regions: Sequence[Region]) -> list[int]:
        """Identities of these regions of one image, the surest first; those below a threshold are left out.

        So what is right comes first, and what is left then can be rejected with one key.
        """
        pool = self._curating.pool
        if pool is None or not regions:
            return [region.id for region in regions]
        rows = self._rows(pool, regions[0].image_id, Order.SCORE)
        places = {row: place for place, row in enumerate(rows.tolist())}
        found = [(places.get(row_of_region(pool, region)), region.id) for region in regions]
        return [region_id for place, region_id in sorted((p, i) for p, i in found if p is not None)]

    def suggestions(self, region: Region) -> Sequence[Suggested]:
        """What else a region may be, the likeliest first."""
        pool = self._curating.pool
        row = row_of_region(pool, region) if pool is not None else -1
        return self._suggest(pool, row) if pool is not None and row >= 0 else ()

    def _rows(self, pool: Pool, image_id: int | None = None, order: Order = Order.VALUE) -> Rows:
        """What waits above the thresholds."""
        wish = self._curating.wish
        image_ids = frozenset() if image_id is None else frozenset({image_id})
        wanted = Wish(wish.min_score, wish.max_overlap, image_ids=image_ids, order=order)
        return rows_of(pool, wanted, self._curating.measures)


def row_of_region(pool: Pool, region: Region) -> int:
    """The row of a region, also of one that was a raw proposal when the pool was read; -1 where there is none."""
    rows = np.flatnonzero(pool.image_ids == region.image_id)
    found = rows[pool.region_ids[rows] == region.id]
    if not len(found) and region.external_id.isdecimal():
        run = next((row for row, key in enumerate(pool.runs) if source_of(key) == region.source), -2)
        is_same = (pool.run_rows[rows] == run) & (pool.raw_rows[rows] == int(region.external_id))
        found = rows[is_same]
    return int(found[0]) if len(found) else -1
