"""The worklist "expected, but not labelled": classes that a run has come to see where nobody has said a word.

What makes a pair of image and class expected:

- nobody has said of the image whether the class is there, and no box says it;
- its running-average score is high, which one lucky epoch does not bring about;
- the image is as the run saw it, and the class is still in use.

Of those the surest come first.  ``sureness`` weighs the score by what the heatmap says: ``agreement``, whether score
and place have been the same over the last epochs, and ``own``, how much of its heat lies where no class that is known
to be there is as hot (a truck that is only seen where the labelled bus is will seldom be a truck).

Axes: N = images of the run, L = its classes, M = rows of the list, W = side of a map, E = epochs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import UnitBox
from locstudio.services.heat.book import RECENT, HeatBook
from locstudio.services.heat.known import UNKNOWN, Known
from locstudio.services.heat.maps import known_heat, maps_at
from locstudio.services.heat.shapes import box_of_peak

MIN_SCORE = 0.3
MAX_ROWS = 5000
_BLOCK = 1 << 22
_DEFAULT_SHARE = 0.5
_NUM_EARLIER = 3


@dataclass(frozen=True, slots=True)
class Expected:
    """One row of the worklist.  ``box`` is around the hottest place; None where no heatmap is kept.

    ``key`` names it as the command line does: IMAGE:CLASS.
    """

    image_id: int
    class_id: int
    score: float
    peak: float
    agreement: float
    own: float
    sureness: float
    box: UnitBox | None

    @property
    def key(self) -> str:
        """Image and class in one word."""
        return f"{self.image_id}:{self.class_id}"


@dataclass(frozen=True, slots=True, eq=False)
class Worklist:
    """Pairs of image and class that are expected and not labelled, the surest first.

    Attributes:
        image_ids, class_ids: What they are, (M,).
        scores: Running averages, (M,).
        peaks: Of the heatmap, in [0, 1]; 0 where none is kept, (M,).
        agreements: How far score and place have been the same over the last epochs, in [0, 1], (M,).
        owns: Share of the heat that no class that is known to be there has as well, in [0, 1], (M,).
        sureness: What they are sorted by, (M,).
        num_found: How many there are, those included that the limit has cut off.
    """

    book: HeatBook
    image_ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    peaks: NDArray[np.float32]
    agreements: NDArray[np.float32]
    owns: NDArray[np.float32]
    sureness: NDArray[np.float32]
    num_found: int

    def __len__(self) -> int:
        return len(self.image_ids)

    def item(self, row: int) -> Expected:
        """A row as a value; its box is worked out now.

        Raises:
            IndexError: there is no such row.
        """
        image_id, class_id = int(self.image_ids[row]), int(self.class_ids[row])
        map_WW = self.book.heatmaps.map_of(image_id, class_id)
        return Expected(
            image_id=image_id,
            class_id=class_id,
            score=float(self.scores[row]),
            peak=float(self.peaks[row]),
            agreement=float(self.agreements[row]),
            own=float(self.owns[row]),
            sureness=float(self.sureness[row]),
            box=None if map_WW is None else box_of_peak(np.asarray(map_WW), _DEFAULT_SHARE),
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
    limit: int | None = MAX_ROWS,
) -> Worklist:
    """What is expected and not labelled, the surest first.

    Args:
        book: The heatmaps.
        known: What the dataset says of their images.
        min_score: Of the running average.
        class_id: Only this class.
        limit: At most so many rows: those with the highest scores, before heatmaps are looked at.
    """
    rows, places, scores = _candidates(book, known, np.float32(min_score), class_id)
    num_found = len(rows)
    if limit is not None and num_found > limit:
        best = np.argpartition(-scores, limit - 1)[:limit] if limit > 0 else np.zeros(0, np.int64)
        rows, places, scores = rows[best], places[best], scores[best]
    peaks, agreements, owns = _evidence(book, known, rows, places)
    sureness = scores * (0.5 + 0.25 * agreements + 0.25 * owns)
    order = np.lexsort((places, rows, -sureness))
    class_ids = np.array(book.heatmaps.header.class_ids, np.int64)
    return Worklist(
        book=book,
        image_ids=book.heatmaps.image_ids[rows[order]],
        class_ids=class_ids[places[order]],
        scores=scores[order],
        peaks=peaks[order],
        agreements=agreements[order],
        owns=owns[order],
        sureness=sureness[order].astype(np.float32),
        num_found=num_found,
    )


def _candidates(
    book: HeatBook, known: Known, min_score: np.float32, class_id: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Row, position and average of all pairs that are hot enough, in the order of rows, in one pass over the file."""
    averages_NL = book.heatmaps.averages_NL
    is_open_N = known.is_shown_N & ~known.is_stale_N
    if class_id is not None:
        place = book.heatmaps.positions.get(class_id)
        if place is None or not known.is_live_L[place]:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
        averages_N = np.asarray(averages_NL[:, place])
        rows = np.flatnonzero((averages_N >= min_score) & is_open_N & (known.presence_NL[:, place] == UNKNOWN))
        return rows, np.full(len(rows), place, np.int64), np.minimum(averages_N[rows], 1)
    num, num_classes = averages_NL.shape
    flat, presence = np.asarray(averages_NL).reshape(-1), known.presence_NL.reshape(-1)
    found = []
    for start in range(0, num * num_classes, _BLOCK):  # in pieces, so that what is compared stays small
        at = np.flatnonzero(flat[start : start + _BLOCK] >= min_score) + start
        found.append(at[presence[at] == UNKNOWN])
    at = np.concatenate(found) if found else np.zeros(0, np.int64)
    rows, places = np.divmod(at, num_classes)
    is_open = is_open_N[rows] & known.is_live_L[places]
    rows, places = rows[is_open], places[is_open]
    return rows, places, np.minimum(flat[at[is_open]], 1)


def _evidence(
    book: HeatBook, known: Known, rows: NDArray[np.int64], places: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Peak, agreement and own share of each pair."""
    maps_MWW, has_map_M = maps_at(book.heatmaps, rows, places)
    peaks_M = maps_MWW.max(axis=(1, 2), initial=0)
    # What counts is where the class is at least half as hot as at its peak; there all its heat lies.
    hot_MWW = np.where(2 * maps_MWW.astype(np.int16) >= peaks_M[:, None, None], maps_MWW, 0)
    shared_MWW = np.minimum(hot_MWW, known_heat(book.heatmaps, known.presence_NL, rows))
    whole_M = np.maximum(hot_MWW.sum(axis=(1, 2), dtype=np.float32), 1)
    owns_M = 1 - shared_MWW.sum(axis=(1, 2), dtype=np.float32) / whole_M
    agreements_M = _steadiness(book, rows, places) * _sameness(book, rows, places, maps_MWW)
    return (
        (peaks_M / np.float32(255)).astype(np.float32),
        np.where(has_map_M, agreements_M, 0).astype(np.float32),
        np.where(has_map_M, owns_M, 0).astype(np.float32),
    )


def _steadiness(book: HeatBook, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """How little the scores of the last epochs differ for their height, in [0, 1]; 1 where there is one epoch only."""
    first = max(0, len(book.heatmaps.scores_ENL) - RECENT)
    scores_EM = np.stack(
        [np.asarray(epoch_NL)[rows, places] for epoch_NL in book.heatmaps.scores_ENL[first:]]
        or [np.zeros(len(rows), np.uint8)]
    ).astype(np.float32)
    mean_M = scores_EM.mean(axis=0)
    return np.array(1 - np.clip(scores_EM.std(axis=0) / np.maximum(mean_M, 1), 0, 1), np.float32)


def _sameness(
    book: HeatBook, rows: NDArray[np.int64], places: NDArray[np.int64], maps_MWW: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """How far heat lies where it lay earlier: mean cosine with the key frames of the second half, in [0, 1].

    1 where nothing was kept of earlier epochs; a class whose map an earlier epoch has not kept was cold then.
    """
    header = book.heatmaps.header
    epochs = [epoch for epoch in header.key_epochs if header.epoch <= 2 * epoch < 2 * header.epoch][-_NUM_EARLIER:]
    num_cells = maps_MWW.shape[1] * maps_MWW.shape[2]
    now_MC = maps_MWW.reshape(len(rows), num_cells).astype(np.float32)
    length_M = np.maximum(np.linalg.norm(now_MC, axis=1), 1)
    found = []
    for epoch in epochs:
        try:
            then_MWW, _ = maps_at(book.heatmaps, rows, places, epoch)
        except BadInput:  # a damaged key frame says nothing, neither for nor against
            continue
        then_MC = then_MWW.reshape(len(rows), num_cells).astype(np.float32)
        product_M = np.einsum("mc,mc->m", now_MC, then_MC)
        found.append(product_M / (length_M * np.maximum(np.linalg.norm(then_MC, axis=1), 1)))
    return np.array(np.mean(found, axis=0) if found else np.ones(len(rows)), np.float32)
