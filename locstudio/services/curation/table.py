"""The pool of curation as a table: one row for everything that can be decided.  Axes: N = rows, P = raw proposals."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.geometry import BoxArray, UnitBox
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import LabelClass, Origin, Review
from locstudio.jobs.raw_proposals import RawProposals
from locstudio.services.curation.overlaps import Edges
from locstudio.store.columns import ImageSizes

REVIEWS = tuple(Review)
ORIGINS = tuple(Origin)
PENDING, ACCEPTED, REJECTED = (REVIEWS.index(review) for review in (Review.PENDING, Review.ACCEPTED, Review.REJECTED))
HUMAN, IMPORTED, MODEL, EDITED = (
    ORIGINS.index(origin) for origin in (Origin.HUMAN, Origin.IMPORTED, Origin.MODEL, Origin.EDITED)
)
SOURCE = "vesl:"
T = TypeVar("T")


def source_of(run_id: str) -> str:
    """What a region or caption that came from a run names as its source."""
    return f"{SOURCE}{run_id}"


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """A run whose raw proposals are in the pool.

    Attributes:
        id: The run's.
        title: What a person reads.
        at_ms: When it began, in milliseconds since 1970.
        proposals: What it has proposed; its vectors stay on disk.
        slots: The row of the pool that each proposal has, -1 where a newer run has seen the image, (P,).
        phrase_rows: What each of its phrases is taken for, as rows of ``Pool.phrases``.
        class_ids: The class that each of its phrases is given, 0 for none.
    """

    id: str
    title: str
    at_ms: int
    proposals: RawProposals
    slots: NDArray[np.int32]
    phrase_rows: NDArray[np.int32]
    class_ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pool:
    """Everything that can be decided: regions of the dataset, and raw proposals that nobody has decided yet.

    A row keeps its place for as long as the pool is followed by ``pool_after``, which leaves this one as it is.  The
    first ``num_raw`` rows belong to raw proposals, decided or not; rows that are nothing now have ``is_there`` false.

    Attributes:
        is_there: Whether the row is something, (N,).
        image_ids: Its image, (N,).
        boxes: In the ``unit`` frame, XYXY, (N, 4).
        scores: NaN where a person drew it, (N,).
        phrase_rows: Rows of ``phrases``; 0 is no phrase, (N,).
        class_ids: 0 for none, (N,).
        reviews: Positions in ``Review``; a raw proposal is pending, (N,).
        origins: Positions in ``Origin``; a raw proposal is of a model, (N,).
        region_ids: The region it is in the dataset; 0 while it is raw, (N,).
        run_rows: The run it came from, a position in ``supplies``; -1 for none, (N,).
        raw_rows: The run's own row; -1 for none, (N,).
        caption_ids: 0 for none, or for one that only the run holds so far, (N,).
        spans: Half-open character range in the caption; -1 for none, (N, 2).
        times: When it was proposed or drawn, in milliseconds since 1970, (N,).
        is_covered: Raw proposals that show what a region shows already, so that they are not offered, (N,).
        edges: Which rows overlap.
        sizes: The images of the dataset.
        classes: All classes by their identity.
        rules: What phrases are taken for.
        problems: Sentences about runs that could not be read.
        revision: Of the dataset.
        remembered: What views have worked out, by the names of the columns it was worked out of, and by what it is.
    """

    is_there: NDArray[np.bool_]
    image_ids: NDArray[np.int64]
    boxes: BoxArray
    scores: NDArray[np.float32]
    phrase_rows: NDArray[np.int32]
    class_ids: NDArray[np.int64]
    reviews: NDArray[np.int8]
    origins: NDArray[np.int8]
    region_ids: NDArray[np.int64]
    run_rows: NDArray[np.int16]
    raw_rows: NDArray[np.int32]
    caption_ids: NDArray[np.int64]
    spans: NDArray[np.int32]
    times: NDArray[np.int64]
    is_covered: NDArray[np.bool_]
    num_raw: int
    phrases: tuple[str, ...]
    classes: dict[int, LabelClass]
    rules: dict[str, PhraseRule]
    supplies: tuple[Supply, ...]
    edges: Edges
    sizes: ImageSizes
    problems: tuple[str, ...]
    revision: int
    remembered: dict[tuple[tuple[str, ...], Hashable], Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def class_names(self) -> dict[int, str]:
        """Names of all classes."""
        return {key: entry.name for key, entry in self.classes.items()}

    def class_name(self, class_id: int) -> str:
        """The name of a class; empty for none and for one that is not known."""
        entry = self.classes.get(class_id)
        return entry.name if entry is not None else ""

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that ``run_rows`` speaks of."""
        return tuple(supply.id for supply in self.supplies)

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows that are something, in their order."""
        return np.flatnonzero(self.is_there)

    @property
    def is_raw(self) -> NDArray[np.bool_]:
        """Which rows are raw proposals that can be decided, (N,)."""
        is_open: NDArray[np.bool_] = self.is_there & (self.region_ids == 0)
        return is_open

    @property
    def is_provisional(self) -> NDArray[np.bool_]:
        """Which rows a threshold speaks of: raw proposals and pending regions of models, (N,)."""
        is_open: NDArray[np.bool_] = self.is_there & (self.reviews == PENDING) & (self.origins == MODEL)
        return is_open

    def remember(self, columns: tuple[str, ...], what: Hashable, work_out: Callable[[], T]) -> T:
        """What ``work_out`` makes of these columns, worked out once; the pools that follow share it while it holds."""
        key = (columns, what)
        if (known := self.remembered.get(key)) is None:  # two threads may both work it out, to the same
            known = self.remembered[key] = work_out()
        found: T = known
        return found

    def sides_of(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Width and height of the images of rows in upright pixels, 0 where they are not known, (len(rows), 2)."""
        if not len(self.sizes.ids):
            return np.zeros((len(rows), 2), np.int32)
        image_ids = self.image_ids[rows]
        at = np.minimum(np.searchsorted(self.sizes.ids, image_ids), len(self.sizes.ids) - 1)
        sides = np.stack([self.sizes.widths[at], self.sizes.heights[at]], axis=1)
        sides[self.sizes.ids[at] != image_ids] = 0
        return sides


COLUMNS = (
    "image_ids",
    "boxes",
    "scores",
    "phrase_rows",
    "class_ids",
    "reviews",
    "origins",
    "region_ids",
    "run_rows",
    "raw_rows",
    "caption_ids",
    "spans",
    "times",
)
"""The columns of a pool that are the same for a raw proposal and for a region."""


@dataclass(frozen=True, slots=True)
class CurationItem:
    """One row of a pool, as a tile shows it.  ``key`` stays the same when a raw proposal becomes a region and back.

    ``region_id`` is None while it is raw; ``run`` is empty where it came from none.
    """

    key: str
    row: int
    image_id: int
    box: UnitBox
    phrase: str
    class_id: int | None
    class_name: str
    score: float | None
    review: Review
    origin: Origin
    region_id: int | None
    run: str
    raw_row: int
    caption_id: int | None
    span: tuple[int, int] | None

    @property
    def is_raw(self) -> bool:
        """Whether nobody has decided it, and the dataset does not hold it."""
        return self.region_id is None


def item_of(pool: Pool, row: int) -> CurationItem:
    """A row of the pool as a value.

    Raises:
        LookupError: the row is nothing now.
    """
    if not 0 <= row < len(pool) or not pool.is_there[row]:
        raise LookupError(f"row {row} of the pool is nothing now")
    run_row, raw_row = int(pool.run_rows[row]), int(pool.raw_rows[row])
    score, class_id = float(pool.scores[row]), int(pool.class_ids[row])
    start, end = pool.spans[row].tolist()
    return CurationItem(
        key=key_of(pool, row),
        row=row,
        image_id=int(pool.image_ids[row]),
        box=UnitBox(*pool.boxes[row].tolist()),
        phrase=pool.phrases[pool.phrase_rows[row]],
        class_id=class_id or None,
        class_name=pool.class_name(class_id),
        score=None if np.isnan(score) else score,
        review=REVIEWS[pool.reviews[row]],
        origin=ORIGINS[pool.origins[row]],
        region_id=int(pool.region_ids[row]) or None,
        run=pool.supplies[run_row].id if run_row >= 0 else "",
        raw_row=raw_row,
        caption_id=int(pool.caption_ids[row]) or None,
        span=(start, end) if start >= 0 else None,
    )


def key_of(pool: Pool, row: int) -> str:
    """What names the row in every pool of the project."""
    if pool.run_rows[row] >= 0:
        return f"{pool.supplies[pool.run_rows[row]].id}:{pool.raw_rows[row]}"
    return f"region:{pool.region_ids[row]}"


def row_of_key(pool: Pool, key: str) -> int | None:
    """The row with this key; None where there is none now."""
    run, _, number = key.rpartition(":")
    if not number.isdecimal() or len(number) > 18:
        return None
    if run == "region":
        found = np.flatnonzero(pool.is_there & (pool.region_ids == int(number)))
    else:
        run_row = next((row for row, supply in enumerate(pool.supplies) if supply.id == run), None)
        if run_row is None:
            return None
        found = np.flatnonzero(pool.is_there & (pool.run_rows == run_row) & (pool.raw_rows == int(number)))
    return int(found[0]) if len(found) else None
