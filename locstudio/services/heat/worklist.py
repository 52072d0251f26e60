"""The worklist "expected, but not labelled": classes that a run has come to see where nobody has said a word.

A pair of image and class is expected where

- nobody has said of the image whether the class is there, and no box says it;
- the image is as the run saw it, and the class is still in use;
- it is *hot*: the root of running-average score and peak of the running-average heatmap, times how much of that heat
  is the class's *own*, is high beside that of the classes that the run was told to be there.

A running average is not raised by one lucky epoch.  Its heatmap has a high peak only where the class was seen in the
same place by view after view.  And heat that lies where a class that is known to be there is as hot is mostly that
class under another name (a truck seen where the labelled bus is); a quarter is left to it, for a tie does lie on a
person.  The *score* of a row is the share of the labelled classes that are no hotter: see ``Scale``.

Classes take turns in the list, because answers to all of them teach the next model more than answers to its surest
rows, which are mostly of few classes: ``turns`` has the measurement.

Measured on 588 photos and mosaics with one label each and 3,279 that are missing, after 20 epochs (one seed).  Of the
first 100 (500) rows were really missing, sorted by running average alone and by this heat: EN + SCL 74 and 89 % (69
and 78 %), EN + CL 67 and 85 % (58 and 73 %), AN 65 and 71 % (55 and 65 %), EN 51 and 64 % (54 and 57 %).  How steady
the scores of the last epochs are helped EN alone and cost AN as much, so it is told and not weighed.  Scores of 0.1
and more were 427, 619, 113 and 1,698 rows, of which 81, 70, 73 and 41 % were really missing.  With SCL three times as
heavy, as recommended for single labels, and two other seeds: 71 and 87 %, 81 and 92 % of the first 100.

Axes: N = images of the run, L = its classes, M = rows of the list, W = side of a map, E = epochs.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import UnitBox
from locstudio.jobs.heatmaps import Heatmaps
from locstudio.services.heat.book import RECENT, HeatBook
from locstudio.services.heat.known import UNKNOWN, Known
from locstudio.services.heat.maps import known_heat, maps_at
from locstudio.services.heat.scale import heat_of, own_heat_of, owns_of
from locstudio.services.heat.shapes import box_of_peak
from locstudio.services.heat.turns import Order, first, in_turns

MIN_SCORE = 0.03
MAX_ROWS = 5000
_MAX_POOL = 100_000
_MIN_POOL = 10_000
_BLOCK = 1 << 20
_BOX_SHARE = 0.5

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Expected:
    """One row of the worklist.

    Attributes:
        score: How surely it is expected: the share of the labelled classes that are no hotter, in [0, 1].
        average: The running average of its scores.
        peak: Of its heatmap; 0 where none is kept.
        agreement: How steady its scores of the last epochs are.
        own: Share of the heat that no class that is known to be there has as well.
        box: Around the hottest place; None where no heatmap is kept.
    """

    image_id: int
    class_id: int
    score: float
    average: float
    peak: float
    agreement: float
    own: float
    box: UnitBox | None

    @property
    def key(self) -> str:
        """Image and class in one word, as the command line names them: IMAGE:CLASS."""
        return f"{self.image_id}:{self.class_id}"


@dataclass(frozen=True, slots=True, eq=False)
class Worklist:
    """Pairs of image and class that are expected and not labelled, in their order; columns as in ``Expected``, (M,).

    ``num_found`` also counts what the limit has cut off, as far as it was looked at: up to 100,000 pairs.  ``painted``
    are heatmaps that were painted over, by image and class.
    """

    book: HeatBook
    image_ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    averages: NDArray[np.float32]
    peaks: NDArray[np.float32]
    agreements: NDArray[np.float32]
    owns: NDArray[np.float32]
    num_found: int
    painted: dict[tuple[int, int], NDArray[np.uint8]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.image_ids)

    def item(self, row: int) -> Expected:
        """A row as a value; its box is worked out now.

        Raises:
            IndexError: there is no such row.
        """
        image_id, class_id = int(self.image_ids[row]), int(self.class_ids[row])
        map_WW = self.painted.get((image_id, class_id), self.book.heatmaps.map_of(image_id, class_id))
        return Expected(
            image_id=image_id,
            class_id=class_id,
            score=float(self.scores[row]),
            average=float(self.averages[row]),
            peak=float(self.peaks[row]),
            agreement=float(self.agreements[row]),
            own=float(self.owns[row]),
            box=None if map_WW is None else box_of_peak(np.asarray(map_WW), _BOX_SHARE),
        )

    def row_of(self, image_id: int, class_id: int) -> int | None:
        """The row of a pair, if it is in the list."""
        found = np.flatnonzero((self.image_ids == image_id) & (self.class_ids == class_id))
        return int(found[0]) if len(found) else None


def expected(
    book: HeatBook,
    known: Known,
    *,
    min_score: float = MIN_SCORE,
    class_id: int | None = None,
    limit: int = MAX_ROWS,
    order: Order = Order.TURNS,
) -> Worklist:
    """What is expected and not labelled.

    Args:
        book: The heatmaps.
        known: What the dataset says of their images.
        min_score: The least score of a row.
        class_id: Only this class.
        limit: Rows, at most: the first in that order.
        order: What comes first.
    """
    heatmaps, least = book.heatmaps, book.scale.heat_at(min_score)
    rows, places, averages = _candidates(book, known, least, class_id, order)
    maps_MWW, _ = maps_at(heatmaps, rows, places)
    bounds = heat_of(averages, maps_MWW)
    best = np.flatnonzero(bounds >= least)
    num_bounded = len(best)
    best = best[first(max(2 * limit, _MIN_POOL), bounds[best], places[best], order)]
    rows, places, averages, maps_MWW = rows[best], places[best], averages[best], maps_MWW[best]
    image_ids, class_ids = heatmaps.image_ids[rows], np.array(heatmaps.header.class_ids, np.int64)[places]
    painted = book.paint_over(image_ids, class_ids, maps_MWW)
    owns = owns_of(maps_MWW, known_heat(heatmaps, known.presence_NL, rows))
    heat = own_heat_of(averages, maps_MWW, owns)
    listed = np.lexsort((places, rows, -heat))
    listed = listed[heat[listed] >= least]
    num_found = num_bounded - len(best) + len(listed)
    listed = (in_turns(listed, places) if order is Order.TURNS else listed)[:limit]
    return Worklist(
        book=book,
        image_ids=image_ids[listed],
        class_ids=class_ids[listed],
        scores=book.scale.score(heat[listed]),
        averages=averages[listed],
        peaks=maps_MWW[listed].max(axis=(1, 2), initial=0) / np.float32(255),
        agreements=_steadiness(book, rows[listed], places[listed]),
        owns=owns[listed],
        num_found=num_found,
        painted=painted,
    )


def _candidates(
    book: HeatBook, known: Known, least: np.float32, class_id: int | None, order: Order
) -> tuple[Rows, Rows, NDArray[np.float32]]:
    """Row, position and average of pairs that may be expected: at most ``_MAX_POOL``, the first by their averages.

    Heat is never above the root of its average, so what is colder than the square of the least heat is none.
    """
    averages_NL, is_open_N = book.heatmaps.averages_NL, known.is_shown_N & ~known.is_stale_N
    if class_id is not None:
        place = book.heatmaps.positions.get(class_id)
        if place is None or not known.is_live_L[place]:
            rows = np.zeros(0, np.int64)
            return rows, rows, np.zeros(0, np.float32)
        averages = np.asarray(averages_NL[:, place])
        rows = np.flatnonzero((averages >= least**2) & is_open_N & (known.presence_NL[:, place] == UNKNOWN))
        places = np.full(len(rows), place, np.int64)
        rows = rows[first(_MAX_POOL, averages[rows], places, Order.SCORE)]
        places, averages = places[: len(rows)], averages[rows]
    else:
        rows, places, averages = _hottest(book.heatmaps, known, is_open_N, least**2, order)
    best = np.lexsort((places, rows))  # in the order of the file
    return rows[best], places[best], np.minimum(averages[best], 1)


def _hottest(
    heatmaps: Heatmaps, known: Known, is_open_N: NDArray[np.bool_], least: np.float32, order: Order
) -> tuple[Rows, Rows, NDArray[np.float32]]:
    """Row, position and average of the hottest open pairs, at most ``_MAX_POOL``; in one pass, in no order.

    The hottest over all, or of each class in turn.
    """
    flat, presence = np.asarray(heatmaps.averages_NL).reshape(-1), known.presence_NL.reshape(-1)
    num_images, num_classes = heatmaps.averages_NL.shape
    found, averages = np.zeros(0, np.int64), np.zeros(0, np.float32)
    least_L = np.full(num_classes, least, np.float32)
    step = max(1, _BLOCK // num_classes)
    for start in range(0, num_images, step):  # in pieces, so that what is compared stays small
        at = _hot_pairs(heatmaps, flat, start, min(start + step, num_images), least_L)
        at = at[presence[at] == UNKNOWN]
        rows, places = np.divmod(at, num_classes)
        at = at[is_open_N[rows] & known.is_live_L[places]]
        found, averages = np.concatenate([found, at]), np.concatenate([averages, flat[at]])
        if len(found) > _MAX_POOL:
            of_class = found % num_classes
            best = first(_MAX_POOL, averages, of_class, order)
            least_L = _least_of(of_class, averages, best, least_L, order)
            found, averages = found[best], averages[best]
    rows, places = np.divmod(found, num_classes)
    return rows, places, averages


def _hot_pairs(
    heatmaps: Heatmaps, flat: NDArray[np.float32], start: int, stop: int, least_L: NDArray[np.float32]
) -> Rows:
    """Where in the flat table of averages some images' classes are hot enough; without a map none is."""
    num_classes = len(heatmaps.header.class_ids)
    if heatmaps.slots_NK is None:
        averages_BL = flat[start * num_classes : stop * num_classes].reshape(-1, num_classes)
        return np.flatnonzero(averages_BL >= least_L) + start * num_classes
    slots_BK = np.asarray(heatmaps.slots_NK[start:stop]).astype(np.int64)
    at_BK = slots_BK + np.arange(start, stop)[:, None] * num_classes
    at: Rows = at_BK[(slots_BK >= 0) & (slots_BK < num_classes)]
    return at[flat[at] >= least_L[at % num_classes]]


def _least_of(
    places: Rows, averages: NDArray[np.float32], best: Rows, least_L: NDArray[np.float32], order: Order
) -> NDArray[np.float32]:
    """The least average of each class that may still be among the hottest.

    What is colder than one of its class that was left out comes after it, and is left out too.
    """
    is_out = np.ones(len(places), bool)
    is_out[best] = False
    if order is Order.SCORE:
        return np.full_like(least_L, averages[is_out].max())
    raised_L = least_L.copy()
    np.maximum.at(raised_L, places[is_out], averages[is_out])
    return raised_L


def _steadiness(book: HeatBook, rows: Rows, places: Rows) -> NDArray[np.float32]:
    """How little the scores of the last epochs differ for their height, in [0, 1]; 1 where there is one epoch only."""
    recent_ENL = book.heatmaps.scores_ENL[-RECENT:]
    if not len(recent_ENL):
        return np.ones(len(rows), np.float32)
    scores_EM = np.stack([np.asarray(epoch_NL)[rows, places] for epoch_NL in recent_ENL]).astype(np.float32)
    return np.array(1 - np.clip(scores_EM.std(axis=0) / np.maximum(scores_EM.mean(axis=0), 1), 0, 1), np.float32)
