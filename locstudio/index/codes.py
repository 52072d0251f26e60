"""Compressed codes of all vectors in memory, which name the rows worth scoring exactly.

The fast scan over 4-bit product-quantisation codes reads 32 or 64 bytes a row instead of a kilobyte.  How many of them
and how many candidates recall@10 of 0.99 takes depends on the vectors, so it is measured on the person's own rows and
phrases when the codes are built; where nothing is enough, the codes are float16 and the scan is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.index.nearest import BLOCK, best, row_blocks, scan_scores, unit_rows

CANDIDATES = (1_000, 2_000, 4_000)
WANTED_RECALL = 0.99
_NUM_PARTS = (64, 128)
_MAX_PART_WIDTH = 8
_NUM_CHECKED = 200
_NUM_TRAINING = 16_384
_TOP_CHECKED = 10
_EQUAL = 1e-5


@dataclass(slots=True)
class Codes:
    """Codes of the first ``num_rows`` rows.  ``recall`` is recall@10 against exact search, as measured when built."""

    name: str
    num_candidates: int
    recall: float
    num_built: int
    _engine: Any

    @property
    def num_rows(self) -> int:
        """How many rows of the file have a code."""
        return int(self._engine.ntotal)

    def add(self, vectors_ND: NDArray[np.float16]) -> None:
        """Code the rows that follow those already coded."""
        _add(self._engine, vectors_ND)

    def candidates(self, query_D: NDArray[np.float32], num: int) -> NDArray[np.int64]:
        """The rows that seem nearest, in no order."""
        return _candidates(self._engine, query_D, num)


def build_codes(
    vectors_ND: NDArray[np.float16],
    alive: NDArray[np.int64],
    queries_QD: NDArray[np.float32] | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Codes | None:
    """Codes of all rows, checked against exact search on a sample of the living ones; None without faiss.

    Args:
        vectors_ND: The file.
        alive: Rows that may be found.
        queries_QD: Other queries to check, such as phrases, which lie elsewhere than regions do.
        is_wanted: Asked from time to time; the answer no ends the work, with None.
    """
    faiss = _faiss()
    if faiss is None or not len(alive):
        return None
    random = np.random.default_rng(0)
    sample = np.sort(random.choice(alive, min(_NUM_TRAINING, len(alive)), replace=False))
    check = _check_of(vectors_ND, alive, random, queries_QD)
    dim = vectors_ND.shape[1]
    widths = {max(size for size in range(1, min(dim, num) + 1) if dim % size == 0) for num in _NUM_PARTS}
    for parts in sorted(num for num in widths if dim / num <= _MAX_PART_WIDTH):
        engine = faiss.IndexPQFastScan(dim, parts, 4, faiss.METRIC_INNER_PRODUCT)
        engine.train(unit_rows(vectors_ND[sample]))
        _add(engine, vectors_ND, is_wanted)
        if not is_wanted():
            return None
        for num_candidates in CANDIDATES:
            recall = _recall(engine, vectors_ND, check, num_candidates)
            if recall >= WANTED_RECALL:
                return Codes(f"PQ{parts}x4fs", num_candidates, recall, len(vectors_ND), engine)
    engine = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    engine.train(unit_rows(vectors_ND[sample[:1]]))
    _add(engine, vectors_ND, is_wanted)
    if not is_wanted():
        return None
    recall = _recall(engine, vectors_ND, check, CANDIDATES[0])
    return Codes("SQfp16", CANDIDATES[0], recall, len(vectors_ND), engine)


def _faiss() -> Any | None:
    try:
        import faiss
    except ImportError:
        return None
    # A second thread does not speed up one fast scan, and the window needs the other core.
    faiss.omp_set_num_threads(1)
    return faiss


def _add(engine: Any, vectors_ND: NDArray[np.float16], is_wanted: Callable[[], bool] = lambda: True) -> None:
    for start in range(0, len(vectors_ND), BLOCK):
        if not is_wanted():
            return
        engine.add(unit_rows(vectors_ND[start : start + BLOCK]))


def _candidates(engine: Any, query_D: NDArray[np.float32], num: int) -> NDArray[np.int64]:
    _, found_1K = engine.search(np.ascontiguousarray(query_D[None]), min(num, int(engine.ntotal)))
    found: NDArray[np.int64] = found_1K[0]
    return found[found >= 0]


@dataclass(frozen=True, slots=True)
class _Check:
    """Queries, the row that each of them is (-1 for none), and the ten best exact scores of other rows."""

    queries_QD: NDArray[np.float32]
    rows_Q: NDArray[np.int64]
    truth_QK: NDArray[np.float32]


def _check_of(
    vectors_ND: NDArray[np.float16],
    alive: NDArray[np.int64],
    random: "np.random.Generator",  # quoted: the window would load numpy.random for it, 2 MiB
    others_QD: NDArray[np.float32] | None,
) -> _Check:
    rows_Q = np.sort(random.choice(alive, min(_NUM_CHECKED, len(alive)), replace=False))
    queries_QD = unit_rows(vectors_ND[rows_Q])
    if others_QD is not None and len(others_QD):
        chosen = random.choice(len(others_QD), min(_NUM_CHECKED // 2, len(others_QD)), replace=False)
        queries_QD = np.concatenate([queries_QD, unit_rows(others_QD[chosen])])
        rows_Q = np.concatenate([rows_Q, np.full(len(chosen), -1)])
    best_QK = np.empty((len(queries_QD), 0), np.float32)
    for block in row_blocks(alive):
        scores_QN = scan_scores(vectors_ND, block, queries_QD).T
        scores_QN[block[None] == rows_Q[:, None]] = -np.inf
        best_QK = np.concatenate([best_QK, scores_QN], axis=1)
        keep = min(_TOP_CHECKED, best_QK.shape[1])
        best_QK = np.partition(best_QK, -keep, axis=1)[:, -keep:]
    return _Check(queries_QD, rows_Q, best_QK)


def _recall(engine: Any, vectors_ND: NDArray[np.float16], check: _Check, num_candidates: int) -> float:
    """Share of the ten best scores that candidates reach, the worse of that of rows and that of other queries.

    A neighbour that is equally near counts as found.
    """
    shares: dict[bool, list[float]] = {True: [], False: []}
    for row, query_D, truth_K in zip(check.rows_Q, check.queries_QD, check.truth_QK, strict=True):
        wanted_K = truth_K[np.isfinite(truth_K)]
        if not len(wanted_K):
            continue
        rows = _candidates(engine, query_D, num_candidates)
        scores = scan_scores(vectors_ND, np.sort(rows[rows != row]), query_D[None])[:, 0]
        found = scores[best(scores, len(wanted_K))]
        shares[bool(row >= 0)].append(np.count_nonzero(found >= wanted_K.min() - _EQUAL) / len(wanted_K))
    return min((float(np.mean(group)) for group in shares.values() if group), default=1.0)
