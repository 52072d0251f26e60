"""Searching the collection by vectors: nearest regions, ranked phrases, and an index that follows every edit.

A vector comes from the engine (a box, words, a picture) or from the index (a region that is there).
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locstudio.domain.edits import Edit, ImageChange, RegionChange
from locstudio.domain.geometry import BoxArray, UnitBox, iou_matrix
from locstudio.domain.regions import Region
from locstudio.index.region_index import IndexHits, RegionIndex
from locstudio.index.rows import PROPOSAL, REGION, IndexRows
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.services.cutting import cut_for, robust
from locstudio.services.places import SAME_PLACE_IOU, ImageHits, settle
from locstudio.services.run_vectors import RunVectors
from locstudio.store.dataset import Dataset
from locstudio.store.filters import ImageFilter
from locstudio.store.project import Project

SIMILAR_DEVIATIONS = 1.5
"""Nested boxes whose scores are closer than this show the same thing."""
_NUM_BINS = 48
_PAGE = 5_000
_Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hit:
    """A place that resembles the query.  ``region_id`` is None for a proposal; ``score`` is a cosine."""

    image_id: int
    region_id: int | None
    box: UnitBox
    score: float
    phrase: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """How the collection scores against the query: ``len(edges) == len(counts) + 1``.  A sample, of a large one."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, and where to cut them.

    ``cut`` is a cosine that stands out from what this query scores against the collection at large (see ``cutting``).
    """

    hits: tuple[Hit, ...]
    cut: float
    histogram: Histogram
    seconds: float

    @property
    def num_above_cut(self) -> int:
        """How many hits reach the cut."""
        return sum(hit.score >= self.cut for hit in self.hits)


@dataclass(frozen=True, slots=True)
class Query:
    """Words to look for, and words whose regions are not wanted."""

    positive: str
    negatives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Follow:
    """What an index lacks after an edit: regions whose boxes must be embedded, and phrases that have no vector.

    A region that is as a run of this checkpoint has proposed it lacks nothing: the run has stored its vector.

    ``removed`` are the regions whose old vectors have been taken out.
    """

    regions: tuple[Region, ...]
    removed: tuple[int, ...]
    phrases: tuple[str, ...]


def parse_query(text: str) -> Query:
    """Split "a red car -truck -'traffic light'" into its wanted and unwanted words.

    A minus counts at the start of a word only, so "t-shirt" is one word; quotes hold words together.
    """
    positive: list[str] = []
    negatives: list[str] = []
    for sign, double, single, plain in re.findall(r"(?<!\S)(-?)(?:\"([^\"]*)\"|'([^']*)'|(\S+))", text):
        words = " ".join((double or single or plain).split())
        if words and words != "-":
            (negatives if sign else positive).append(words)
    return Query(" ".join(positive), tuple(negatives))


def combine(weighted: Iterable[tuple[ArrayLike, float]]) -> _Vector:
    """One direction out of several vectors with weights; each vector counts as if its length were one.

    Raises:
        ValueError: there is none, one is zero, or they cancel each other out.
    """
    total: NDArray[np.float64] | None = None
    for vector, weight in weighted:
        values = np.asarray(vector, np.float64)
        length = float(np.linalg.norm(values))
        if not np.isfinite(length) or length == 0:
            raise ValueError("a vector of a query must be finite and not zero")
        total = weight * values / length + (0 if total is None else total)
    length = 0.0 if total is None else float(np.linalg.norm(total))
    if total is None or length < 1e-6:
        raise ValueError("the parts of the query cancel each other out")
    return (total / length).astype(np.float32)


class SearchService:
    """Search over one index and its vocabulary.  May be used from any thread."""

    def __init__(self, dataset: Dataset, index: RegionIndex, vocabulary: Vocabulary) -> None:
        self._dataset = dataset
        self.index = index
        self.vocabulary = vocabulary
        self._runs = RunVectors(dataset.project, index.checkpoint_id, index.dim) if dataset.project else None

    @classmethod
    def open(cls, project: Project, dataset: Dataset, checkpoint: Path) -> "SearchService":
        """Search over the project's index, for queries of this checkpoint.

        Raises:
            CheckpointMismatch: the index was made by another checkpoint.
            StaleIndex: there is no index yet, or it is damaged.
        """
        checkpoint_id = checkpoint_info(checkpoint).id
        index = RegionIndex.open(project.index, checkpoint_id)
        return cls(dataset, index, Vocabulary.open(project.index, checkpoint_id))

    def prepare(self) -> None:
        """Make searches of a large collection fast; takes seconds, on any thread, while searches go on."""
        self.index.prepare(self.vocabulary.vectors_VD)

    def hits_for(
        self,
        vector_D: ArrayLike,
        *,
        negatives: Sequence[ArrayLike] = (),
        top: int = 60,
        exclude_region: int | None = None,
        own_place: tuple[int, UnitBox] | None = None,
        wanted: ImageFilter | None = None,
    ) -> SearchResult:
        """The places of the collection that resemble a vector.

        Places that resemble a negative more than the vector are left out.  A proposal yields to the region it overlaps
        and to a better hit that shows the same (see ``places``).

        Args:
            vector_D: A box, words, a picture, or a combination of them.
            negatives: Directions that are not wanted.
            top: How many hits at most.
            exclude_region: A region that is the query itself; what overlaps it is left out as well.
            own_place: The image and the box that the query was drawn as; what lies there comes once at most.
            wanted: Only images that pass this filter.

        Raises:
            ValueError: a vector is zero, not finite, or of another width than the index.
        """
        started = time.perf_counter()
        allow = None if wanted is None else self.index.mask_of_images(self._dataset.image_ids(wanted))
        background = self.index.background(vector_D)
        centre, deviation = robust(background)
        found = self.index.search(vector_D, 4 * top + 64, allow=allow)
        own_place = own_place or self._place_of(exclude_region)
        rows = self._places(found, vector_D, allow, SIMILAR_DEVIATIONS * deviation, own_place)
        for negative in negatives:
            rows = self._without(rows, negative, centre, deviation)
        described = self.index.describe(rows.rows)
        is_query = np.zeros(len(described), bool)
        if exclude_region is not None and own_place is not None:
            is_query = _overlaps(described, *own_place)
        keep = np.flatnonzero(~is_query)[:top]
        hits = self._hits(self.index.describe(rows.rows[keep]), rows.scores[keep])
        histogram = _histogram(np.concatenate([background, rows.scores[keep]]))
        cut = cut_for(background, np.array([hit.score for hit in hits], np.float64))
        return SearchResult(hits, cut, histogram, time.perf_counter() - started)

    def phrases_for(
        self, vector_D: ArrayLike, top: int = 8, *, negatives: Sequence[ArrayLike] = ()
    ) -> list[tuple[str, float]]:
        """The collection's own phrases that fit a vector best, with their cosines."""
        return self.vocabulary.nearest(vector_D, top, negatives=negatives)

    def region_vector(self, region_id: int) -> _Vector | None:
        """The embedding of a region, for "more like this"; None while it has not been embedded."""
        return self.index.vector_of_region(region_id)

    def on_edit(self, edit: Edit) -> Follow:
        """Take the vectors that an applied edit made wrong out of the index, and say what must be embedded instead.

        Raises:
            StorageFailed: the index cannot be written.
        """
        to_embed: dict[int, Region | None] = {}
        repainted: set[int] = set()  # images with another content, of which no run has seen anything
        for change in edit.changes:
            if isinstance(change, RegionChange):
                if change.after is None and change.before is not None:
                    to_embed[change.before.id] = None
                elif change.after is not None and _is_moved(change.before, change.after):
                    to_embed[change.after.id] = change.after
            elif isinstance(change, ImageChange) and change.before.sha256 != change.after.sha256:
                self.index.drop_image(change.after.id)
                repainted.add(change.after.id)
                to_embed.update((region.id, region) for region in self._dataset.regions_of(change.after.id))
        removed = [region_id for region_id in to_embed if self.index.row_of_region(region_id) is not None]
        self.index.remove_regions(removed)
        changed = [change.after for change in edit.changes if isinstance(change, RegionChange)]
        phrases = self.vocabulary.missing(region.phrase for region in changed if region and region.phrase)
        regions = [region for region in to_embed.values() if region]
        left = [region for region in regions if region.image_id in repainted]
        left += self._without_known([region for region in regions if region.image_id not in repainted])
        return Follow(tuple(left), tuple(removed), tuple(phrases))

    def put_regions(self, regions: Sequence[Region], vectors_RD: ArrayLike) -> None:
        """Let regions be found by their new vectors.

        Raises:
            StorageFailed: the index cannot be written.
        """
        self.index.put_regions(
            [region.id for region in regions],
            [region.image_id for region in regions],
            [region.box.as_tuple() for region in regions],
            vectors_RD,
        )

    def reconcile(self) -> Follow:
        """Compare the whole index with the dataset, after a crash between an edit and its embedding, or an import.

        Raises:
            StorageFailed: the index cannot be written.
        """
        unseen = set(self.index.region_ids().tolist())
        to_embed: list[Region] = []
        phrases: dict[str, None] = {}
        page = self._dataset.region_page(0, _PAGE)
        while page:
            unseen.difference_update(region.id for region in page)
            to_embed.extend(self._outdated(page))
            phrases.update(dict.fromkeys(self.vocabulary.missing(region.phrase for region in page if region.phrase)))
            page = self._dataset.region_page(page[-1].id, _PAGE)
        removed = sorted(unseen | {region.id for region in to_embed if self.index.row_of_region(region.id) is not None})
        self.index.remove_regions(removed)
        return Follow(tuple(self._without_known(to_embed)), tuple(removed), tuple(phrases))

    def _without_known(self, regions: Sequence[Region]) -> list[Region]:
        """Put the vectors that a run of this checkpoint has stored into the index; the regions that are left."""
        if self._runs is None or not regions:
            return list(regions)
        known, vectors_RD = self._runs.of(regions)
        if known:
            self.put_regions(known, vectors_RD)
        ids = {region.id for region in known}
        return [region for region in regions if region.id not in ids]

    def _outdated(self, regions: Sequence[Region]) -> list[Region]:
        rows = [self.index.row_of_region(region.id) for region in regions]
        known = [(region, row) for region, row in zip(regions, rows, strict=True) if row is not None]
        stored = self.index.describe(np.array([row for _, row in known], np.int64))
        missing = [region for region, row in zip(regions, rows, strict=True) if row is None]
        for (region, _), box, image_id in zip(known, stored.boxes, stored.image_ids, strict=True):
            if image_id != region.image_id or np.abs(box - np.array(region.box.as_tuple())).max() > 1e-6:
                missing.append(region)
        return missing

    def _place_of(self, region_id: int | None) -> tuple[int, UnitBox] | None:
        row = None if region_id is None else self.index.row_of_region(region_id)
        if row is None:
            return None
        described = self.index.describe(np.array([row]))
        return int(described.image_ids[0]), UnitBox(*described.boxes[0].tolist())

    def _places(
        self,
        found: IndexHits,
        vector_D: ArrayLike,
        allow: NDArray[np.bool_] | None,
        similar: float,
        own_place: tuple[int, UnitBox] | None,
    ) -> IndexHits:
        """The hits with every proposal that overlaps a region replaced by it, and each place of an image once."""
        described = self.index.describe(found.rows)
        keep: list[int] = []
        order = np.argsort(described.image_ids, kind="stable")  # best first within each image
        for rows in np.split(order, np.flatnonzero(np.diff(described.image_ids[order])) + 1):
            if not len(rows):
                continue
            image_id = int(described.image_ids[rows[0]])
            is_own = own_place is not None and own_place[0] == image_id
            own_box = np.array([own_place[1].as_tuple()], np.float32) if own_place and is_own else None
            keep += self._settled(image_id, described.at(rows), found.scores[rows], similar, own_box)
        rows = np.array(keep, np.int64)
        if allow is not None:
            rows = rows[rows < len(allow)]
            rows = rows[allow[rows]]
        scores = self.index.scores_of(rows, vector_D)
        order = np.argsort(-scores, kind="stable")
        return IndexHits(rows[order], scores[order])

    def _settled(
        self, image_id: int, hits: IndexRows, scores: NDArray[np.float32], similar: float, own_box: BoxArray | None
    ) -> list[int]:
        """Index rows of one image that stay."""
        is_proposal = hits.kinds == PROPOSAL
        nearest = np.full(len(hits), -1, np.int64)
        regions = None
        if is_proposal.any():
            here = self.index.rows_of_image(image_id)
            regions = here.at(np.flatnonzero(here.kinds == REGION))
            if len(regions):
                iou = iou_matrix(hits.boxes, regions.boxes)
                nearest = np.where(is_proposal & (iou.max(axis=1) > SAME_PLACE_IOU), iou.argmax(axis=1), -1)
        settled = settle(ImageHits(hits.boxes, scores, is_proposal, nearest), similar, own_box)
        taken = [] if regions is None else regions.rows[settled.regions].tolist()
        return list(dict.fromkeys([*hits.rows[settled.hits].tolist(), *taken]))

    def _without(self, hits: IndexHits, negative_D: ArrayLike, centre: float, deviation: float) -> IndexHits:
        """Leave out what stands out more for the negative than for the query, each against its own background."""
        other_centre, other_deviation = robust(self.index.background(negative_D))
        against = (self.index.scores_of(hits.rows, negative_D) - other_centre) / other_deviation
        keep = (hits.scores - centre) / deviation > against
        return IndexHits(hits.rows[keep], hits.scores[keep])

    def _hits(self, rows: IndexRows, scores: NDArray[np.float32]) -> tuple[Hit, ...]:
        ids = rows.region_ids[rows.kinds == REGION].tolist()
        regions = {region.id: region for region in self._dataset.regions(ids)}
        names = {entry.id: entry.name for entry in self._dataset.classes()} if regions else {}
        hits = []
        for position, score in enumerate(scores.tolist()):
            region = regions.get(int(rows.region_ids[position]))
            if rows.kinds[position] == REGION and region is None:
                continue  # deleted in this moment; the index follows
            phrase = "" if region is None else region.phrase or names.get(region.class_id or 0, "")
            box = UnitBox(*rows.boxes[position].tolist())
            hits.append(Hit(int(rows.image_ids[position]), region.id if region else None, box, score, phrase))
        return tuple(hits)


def _overlaps(rows: IndexRows, image_id: int, box: UnitBox) -> NDArray[np.bool_]:
    over = iou_matrix(rows.boxes, np.array([box.as_tuple()], np.float32))[:, 0]
    same: NDArray[np.bool_] = (rows.image_ids == image_id) & (over > SAME_PLACE_IOU)
    return same


def _is_moved(before: Region | None, after: Region) -> bool:
    return before is None or before.box != after.box or before.image_id != after.image_id


def _histogram(scores: NDArray[np.float32]) -> Histogram:
    if not len(scores):
        return Histogram((0.0, 1.0), (0,))
    counts, edges = np.histogram(scores, _NUM_BINS)
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))
