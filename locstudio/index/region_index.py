"""The index of region embeddings.  Axes: N = rows of the index, R = rows given by a caller, D = embedding width."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locstudio.index.codes import Codes, build_codes
from locstudio.index.files import IndexFiles
from locstudio.index.nearest import best, scan_scores, unit_rows, unit_vector
from locstudio.index.rows import PROPOSAL, REGION, ROW, IndexRows, checked_vectors, grown, records

EXACT_LIMIT = 20_000
_NUM_BACKGROUND = 4_096


@dataclass(frozen=True, slots=True)
class IndexHits:
    """The nearest rows of a query, best first.  ``scores`` are cosines."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


class RegionIndex:
    """Embeddings of every region and every proposal of a collection, of one checkpoint.

    May be used from several threads.  One process writes; what another process has opened keeps the state of its
    opening.  Up to ``EXACT_LIMIT`` rows are scored exactly in memory; above that, ``prepare`` builds codes that name
    candidates, and until it has, searches scan the file.
    """

    def __init__(self, files: IndexFiles) -> None:
        """Use ``create`` or ``open``."""
        self._files = files
        self._lock = threading.RLock()
        self._building = threading.Lock()
        self._rows = files.read_rows()
        self._count = len(self._rows)
        self._alive = np.ones(self._count, bool)
        self._alive[files.read_tombstones()] = False
        self._matrix_ND = np.empty((0, files.manifest.dim), np.float32)
        self._num_cached = 0
        self._codes: Codes | None = None
        self._is_closed = False
        self._row_of_region: dict[int, int] | None = None
        self._order_by_image = np.empty(0, np.int64)
        self._background: NDArray[np.int64] | None = None
        self._background_ND = self._matrix_ND
        self._batch_depth = 0

    @classmethod
    def create(cls, folder: Path, checkpoint_id: str, dim: int) -> "RegionIndex":
        """A new, empty index.

        Raises:
            ValueError: the folder holds an index already, or ``dim`` is out of range.
            StorageFailed: the folder cannot be written.
        """
        return cls(IndexFiles.create(folder, checkpoint_id, dim))

    @classmethod
    def open(cls, folder: Path, checkpoint_id: str) -> "RegionIndex":
        """The index in ``folder``, as its last commit left it.

        Raises:
            CheckpointMismatch: it holds embeddings of another checkpoint; the sentence names both.
            StaleIndex: there is none, or its files are damaged.
            TooNew: a newer LocStudio wrote it.
        """
        return cls(IndexFiles.open(folder, checkpoint_id))

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint that made every vector."""
        return self._files.manifest.checkpoint_id

    @property
    def dim(self) -> int:
        """Values per vector."""
        return self._files.manifest.dim

    @property
    def codes(self) -> Codes | None:
        """The codes that ``prepare`` built, with their measured recall; None while search is exact."""
        return self._codes

    def __len__(self) -> int:
        """Living rows."""
        with self._lock:
            return int(np.count_nonzero(self._alive[: self._count]))

    def close(self) -> None:
        """Let go of the files; ``prepare``, where it runs, ends soon and without effect."""
        self._is_closed = True
        with self._lock:
            self._files.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make the writes of the block durable together, at its end; an embedding run writes image by image."""
        with self._lock:
            self._batch_depth += 1
        try:
            yield
        finally:
            with self._lock:
                self._batch_depth -= 1
                self._commit()

    # Writing

    def put_regions(self, ids: ArrayLike, image_ids: ArrayLike, boxes_R4: ArrayLike, vectors_RD: ArrayLike) -> None:
        """Add regions, or replace what the index held of them; they are found by the next search.

        Raises:
            ValueError: the arguments differ in length, a box is none, or a vector is not finite or zero.
            StorageFailed: the disk refused.
        """
        region_ids = np.asarray(ids, np.int64).reshape(-1)
        last = {region_id: position for position, region_id in enumerate(region_ids.tolist())}
        keep = np.fromiter(last.values(), np.int64, len(last))
        rows = records(REGION, region_ids, image_ids, boxes_R4)[keep]
        vectors = checked_vectors(vectors_RD, len(region_ids), self.dim)[keep]
        with self._lock:
            known = self._region_rows()
            dead = [known[region_id] for region_id in last if region_id in known]
            first = self._count
            self._append(rows, vectors, np.array(dead, np.int64))
            known.update(zip(last, range(first, self._count), strict=True))
            self._commit()

    def put_proposals(self, image_ids: ArrayLike, boxes_R4: ArrayLike, vectors_RD: ArrayLike) -> None:
        """Replace the proposals of these images by the given ones, which must be all that each image has.

        Raises:
            ValueError: as ``put_regions``.
            StorageFailed: the disk refused.
        """
        images = np.asarray(image_ids, np.int64).reshape(-1)
        rows = records(PROPOSAL, np.zeros(len(images), np.int64), images, boxes_R4)
        vectors = checked_vectors(vectors_RD, len(images), self.dim)
        with self._lock:
            old = [self.rows_of_image(image_id).rows for image_id in np.unique(images).tolist()]
            dead = np.concatenate(old) if old else np.empty(0, np.int64)
            self._append(rows, vectors, dead[self._rows["kind"][dead] == PROPOSAL])
            self._commit()

    def remove_regions(self, ids: ArrayLike) -> None:
        """Take regions out; ids that the index does not hold are ignored.

        Raises:
            StorageFailed: the disk refused.
        """
        with self._lock:
            known = self._region_rows()
            wanted = dict.fromkeys(np.asarray(ids, np.int64).reshape(-1).tolist())
            gone = {region_id: known[region_id] for region_id in wanted if region_id in known}
            self._bury(np.array(list(gone.values()), np.int64))
            for region_id in gone:
                del known[region_id]
            self._commit()

    def drop_image(self, image_id: int) -> None:
        """Take every region and proposal of an image out.

        Raises:
            StorageFailed: the disk refused.
        """
        with self._lock:
            found = self.rows_of_image(image_id)
            self._bury(found.rows)
            known = self._region_rows()
            for region_id in found.region_ids[found.kinds == REGION].tolist():
                known.pop(region_id, None)
            self._commit()

    # Looking

    def describe(self, rows: NDArray[np.int64]) -> IndexRows:
        """What these rows are."""
        with self._lock:
            records = self._rows[rows]
        return IndexRows(
            rows=rows,
            kinds=records["kind"],
            region_ids=records["region_id"],
            image_ids=records["image_id"],
            boxes=records["box"],
        )

    def rows_of_image(self, image_id: int) -> IndexRows:
        """The living rows of an image."""
        with self._lock:
            order, images = self._order_by_image, self._rows["image_id"]
            if self._count - len(order) > max(4_096, len(order) // 4):
                order = self._order_by_image = np.argsort(images[: self._count], kind="stable")
            span = (
                slice(*np.searchsorted(images[: len(order)], [image_id, image_id + 1], sorter=order))
                if len(order)
                else slice(0)
            )
            tail = np.flatnonzero(images[len(order) : self._count] == image_id) + len(order)
            rows = np.concatenate([order[span], tail])
            return self.describe(rows[self._alive[rows]])

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows, each of length one."""
        with self._lock:
            return unit_rows(self._files.vectors_ND[rows])

    def vector_of_region(self, region_id: int) -> NDArray[np.float32] | None:
        """The embedding of a region, or None when the index does not hold it."""
        with self._lock:
            row = self._region_rows().get(region_id)
            return None if row is None else self.vectors(np.array([row]))[0]

    def row_of_region(self, region_id: int) -> int | None:
        """The row of a region, or None when the index does not hold it."""
        with self._lock:
            return self._region_rows().get(region_id)

    def region_ids(self) -> NDArray[np.int64]:
        """All regions that the index holds, ascending."""
        with self._lock:
            return np.sort(np.fromiter(self._region_rows(), np.int64, len(self._region_rows())))

    def image_ids(self) -> NDArray[np.int64]:
        """All images of which the index holds anything, ascending."""
        with self._lock:
            return np.unique(self._rows["image_id"][: self._count][self._alive[: self._count]]).astype(np.int64)

    def mask_of_images(self, image_ids: ArrayLike) -> NDArray[np.bool_]:
        """A mask over rows, true for those of the given images; what ``search`` takes as ``allow``."""
        with self._lock:
            return np.isin(self._rows["image_id"][: self._count], np.asarray(image_ids, np.int64))

    def mask_of_kind(self, kind: int) -> NDArray[np.bool_]:
        """A mask over rows, true for ``REGION`` or for ``PROPOSAL`` rows."""
        with self._lock:
            return self._rows["kind"][: self._count] == kind

    # Searching

    def search(self, query_D: ArrayLike, top: int, *, allow: NDArray[np.bool_] | None = None) -> IndexHits:
        """The ``top`` nearest living rows by cosine.

        Args:
            query_D: One vector of any length but zero.
            top: How many at most.
            allow: Mask over rows; rows written since the mask was made are left out.

        Raises:
            ValueError: the query is not one finite vector of ``dim`` values.
        """
        query = unit_vector(query_D, self.dim)
        with self._lock:
            wanted = self._alive[: self._count].copy()
            if allow is not None:
                wanted[: len(allow)] &= allow[: self._count]
                wanted[len(allow) :] = False
            rows = self._worth_scoring(query, wanted, top)
            scores = self._scores(rows, query)
        chosen = best(scores, top)
        return IndexHits(rows[chosen], scores[chosen])

    def scores_of(self, rows: NDArray[np.int64], query_D: ArrayLike) -> NDArray[np.float32]:
        """Cosines of these rows with a query."""
        query = unit_vector(query_D, self.dim)
        with self._lock:
            return self._scores(rows, query)

    def background(self, query_D: ArrayLike) -> NDArray[np.float32]:
        """Cosines of a query with a fixed sample of the collection (all of a small one): what an average row scores."""
        query = unit_vector(query_D, self.dim)
        with self._lock:
            if self._background is None:
                alive = np.flatnonzero(self._alive[: self._count])
                num = min(_NUM_BACKGROUND, len(alive))
                self._background = np.sort(np.random.default_rng(0).choice(alive, num, replace=False))
                self._background_ND = unit_rows(self._files.vectors_ND[self._background])
            return (self._background_ND @ query)[self._alive[self._background]]

    def prepare(self, queries_QD: NDArray[np.float32] | None = None) -> None:
        """Build what makes searches of a large index fast; safe to run beside searches and writes, on any thread.

        ``queries_QD`` are vectors whose recall is checked beside that of the index's own rows, such as phrases.
        """
        with self._building:
            with self._lock:
                coded = self._codes.num_built if self._codes else 0
                if self._count <= EXACT_LIMIT or self._count < 2 * coded:
                    return
                vectors_ND = self._files.vectors_ND
                alive = np.flatnonzero(self._alive[: self._count])
            codes = build_codes(vectors_ND, alive, queries_QD, lambda: not self._is_closed)
            with self._lock:
                if codes is not None:
                    codes.add(self._files.vectors_ND[codes.num_rows :])
                    self._codes = codes
                    self._matrix_ND, self._num_cached = self._matrix_ND[:0].copy(), 0

    def _worth_scoring(self, query: NDArray[np.float32], wanted: NDArray[np.bool_], top: int) -> NDArray[np.int64]:
        num_wanted = int(np.count_nonzero(wanted))
        if self._codes is None or num_wanted <= EXACT_LIMIT:
            return np.flatnonzero(wanted)
        share = num_wanted / len(wanted)
        num = int(max(self._codes.num_candidates, 2 * top) / share)
        rows = np.sort(self._codes.candidates(query, num))
        rows = rows[wanted[rows]]
        return rows if len(rows) >= top else np.flatnonzero(wanted)

    def _scores(self, rows: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._count > EXACT_LIMIT:
            return scan_scores(self._files.vectors_ND, rows, query[None])[:, 0]
        self._fill_matrix()
        if 4 * len(rows) < self._count:
            return self._matrix_ND[rows] @ query
        return (self._matrix_ND[: self._count] @ query)[rows]

    def _fill_matrix(self) -> None:
        if self._num_cached == self._count:
            return
        self._matrix_ND = grown(self._matrix_ND, self._num_cached, self._count)
        self._matrix_ND[self._num_cached : self._count] = unit_rows(self._files.vectors_ND[self._num_cached :])
        self._num_cached = self._count

    def _region_rows(self) -> dict[int, int]:
        if self._row_of_region is None:
            rows = np.flatnonzero(self._alive[: self._count] & (self._rows["kind"][: self._count] == REGION))
            self._row_of_region = dict(zip(self._rows["region_id"][rows].tolist(), rows.tolist(), strict=True))
        return self._row_of_region

    def _append(self, rows: NDArray[np.void], vectors: NDArray[np.float16], dead: NDArray[np.int64]) -> None:
        if not len(rows) and not len(dead):
            return
        self._files.append(vectors, rows, dead)
        end = self._count + len(rows)
        self._rows = grown(self._rows, self._count, end)
        self._alive = grown(self._alive, self._count, end)
        self._rows[self._count : end] = rows
        self._alive[self._count : end] = True
        self._alive[dead] = False
        self._count = end
        if self._codes is not None:
            self._codes.add(vectors)
        if self._background is not None and end > 2 * len(self._background) and end < 4 * _NUM_BACKGROUND:
            self._background = None

    def _bury(self, dead: NDArray[np.int64]) -> None:
        self._append(np.empty(0, ROW), np.empty((0, self.dim), np.float16), dead)

    def _commit(self) -> None:
        if self._batch_depth == 0:
            self._files.commit()
