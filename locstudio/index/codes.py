"""Compressed codes of all vectors in memory, which name the rows worth scoring exactly.

The fast scan over 4-bit product-quantisation codes reads 64 bytes a row instead of a kilobyte.  How many candidates
it must name for recall@10 of 0.99 depends on the vectors, so it is measured on the person's own rows when the codes are
built; where no number of candidates is enough, the codes are float16 and the scan is exact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.index.nearest import BLOCK, best, row_blocks, scan_scores, unit_rows

CANDIDATES = (1_000, 2_000, 4_000)
WANTED_RECALL = 0.99
_NUM_CHECKED = 200
_NUM_TRAINING = 16_384
_TOP_CHECKED = 10
_EQUAL = 1e-5
_MAX_SUBQUANTIZERS = 128


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
        return _candidates(self._engine, query_D[None], num)[0]


def build_codes(vectors_ND: NDArray[np.float16], alive: NDArray[np.int64], seed: int = 0) -> Codes | None:
    """Codes of all rows, checked against exact search on a sample of the living ones; None without faiss."""
    faiss = _faiss()
    if faiss is None or not len(alive):
        return None
    random = np.random.default_rng(seed)
    sample = np.sort(random.choice(alive, min(_NUM_TRAINING, len(alive)), replace=False))
    checked = np.sort(random.choice(alive, min(_NUM_CHECKED, len(alive)), replace=False))
    truth = _exact_scores(vectors_ND, alive, checked)
    dim = vectors_ND.shape[1]
    parts = max(size for size in range(1, min(dim, _MAX_SUBQUANTIZERS) + 1) if dim % size == 0)
    if dim / parts <= 8:
        engine = faiss.IndexPQFastScan(dim, parts, 4, faiss.METRIC_INNER_PRODUCT)
        engine.train(unit_rows(vectors_ND[sample]))
        _add(engine, vectors_ND)
        for num_candidates in CANDIDATES:
            recall = _recall(engine, vectors_ND, checked, truth, num_candidates)
            if recall >= WANTED_RECALL:
                return Codes(f"PQ{parts}x4fs", num_candidates, recall, len(vectors_ND), engine)
    engine = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    engine.train(unit_rows(vectors_ND[sample[:1]]))
    _add(engine, vectors_ND)
    recall = _recall(engine, vectors_ND, checked, truth, CANDIDATES[0])
    return Codes("SQfp16", CANDIDATES[0], recall, len(vectors_ND), engine)


def _faiss() -> Any | None:
    try:
        import faiss
    except ImportError:
        return None
    # A second thread does not speed up one fast scan, and the window needs the other core.
    faiss.omp_set_num_threads(1)
    return faiss


def _add(engine: Any, vectors_ND: NDArray[np.float16]) -> None:
    for start in range(0, len(vectors_ND), BLOCK):
        engine.add(unit_rows(vectors_ND[start : start + BLOCK]))


def _candidates(engine: Any, queries_QD: NDArray[np.float32], num: int) -> list[NDArray[np.int64]]:
    _, found_QK = engine.search(np.ascontiguousarray(queries_QD), min(num, int(engine.ntotal)))
    return [found[found >= 0] for found in found_QK]


def _exact_scores(
    vectors_ND: NDArray[np.float16], alive: NDArray[np.int64], checked: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Scores of the ten nearest living rows of each checked row, itself left out, shape (Q, at most 10)."""
    queries_QD = unit_rows(vectors_ND[checked])
    best_QK = np.empty((len(checked), 0), np.float32)
    for block in row_blocks(alive):
        scores_QN = scan_scores(vectors_ND, block, queries_QD).T
        scores_QN[block[None] == checked[:, None]] = -np.inf
        best_QK = np.concatenate([best_QK, scores_QN], axis=1)
        keep = min(_TOP_CHECKED, best_QK.shape[1])
        best_QK = np.partition(best_QK, -keep, axis=1)[:, -keep:]
    return best_QK


def _recall(
    engine: Any,
    vectors_ND: NDArray[np.float16],
    checked: NDArray[np.int64],
    truth_QK: NDArray[np.float32],
    num_candidates: int,
) -> float:
    """Share of the ten best scores that candidates reach; a neighbour that is equally near counts as found."""
    queries_QD = unit_rows(vectors_ND[checked])
    shares = []
    for row, query_D, truth_K in zip(checked, queries_QD, truth_QK, strict=True):
        wanted_K = truth_K[np.isfinite(truth_K)]
        if not len(wanted_K):
            continue
        rows = _candidates(engine, query_D[None], num_candidates)[0]
        scores = scan_scores(vectors_ND, np.sort(rows[rows != row]), query_D[None])[:, 0]
        found = scores[best(scores, len(wanted_K))]
        shares.append(np.count_nonzero(found >= wanted_K.min() - _EQUAL) / len(wanted_K))
    return float(np.mean(shares)) if shares else 1.0
