"""The arithmetic of search: unit vectors, exact scans, best-of-many.  Axes: N = rows, D = embedding width."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 8_192


def unit_vector(vector_D: ArrayLike, dim: int) -> NDArray[np.float32]:
    """A query scaled to length one.

    Raises:
        ValueError: it is not one finite vector of ``dim`` values, or it is zero.
    """
    query_D = np.asarray(vector_D, np.float32)
    if query_D.shape != (dim,):
        raise ValueError(f"a query is one vector of {dim} values, not {query_D.shape}")
    length = float(np.linalg.norm(query_D))
    if not np.isfinite(length) or length == 0:
        raise ValueError(f"a query must be finite and not zero; its length is {length}")
    return query_D / np.float32(length)


def single(half_ND: NDArray[np.float16]) -> NDArray[np.float32]:
    """Finite float16 values as float32, exactly; five times as fast as ``astype``, which converts one by one.

    The exponent and fraction move to their place in a float32, whose bias is 112 larger; a product repairs that, also
    for numbers too small to be normal.
    """
    bits_ND = np.ascontiguousarray(half_ND).view(np.int16).astype(np.int32)
    bits_ND <<= 13
    bits_ND &= np.int32(-0x70000001)  # the sign was extended; only its first copy stays
    single_ND = bits_ND.view(np.float32)
    single_ND *= np.float32(2.0**112)
    return single_ND


def unit_rows(vectors_ND: ArrayLike) -> NDArray[np.float32]:
    """Rows as float32, each scaled to length one (a row of zeros stays zero)."""
    given_ND = np.asarray(vectors_ND)
    rows_ND = single(given_ND) if given_ND.dtype == np.float16 else np.array(given_ND, np.float32)
    lengths_N = np.sqrt(np.einsum("nd,nd->n", rows_ND, rows_ND))
    rows_ND /= np.maximum(lengths_N, np.finfo(np.float32).tiny)[:, None]
    return rows_ND


def best(scores_N: NDArray[np.float32], top: int) -> NDArray[np.int64]:
    """Positions of the ``top`` highest scores, best first; equal scores in the order of their rows."""
    if top <= 0:
        return np.empty(0, np.int64)
    if top < len(scores_N):
        threshold = np.partition(scores_N, -top)[-top]
        above = np.flatnonzero(scores_N > threshold)
        equal = np.flatnonzero(scores_N == threshold)[: top - len(above)]
        chosen = np.sort(np.concatenate([above, equal]))
    else:
        chosen = np.arange(len(scores_N))
    return chosen[np.argsort(-scores_N[chosen], kind="stable")].astype(np.int64)


def row_blocks(rows_N: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The rows in runs of at most ``BLOCK``, so that a scan of a large file needs little memory."""
    for start in range(0, len(rows_N), BLOCK):
        yield rows_N[start : start + BLOCK]


def scan_scores(
    vectors_ND: NDArray[np.float16], rows_N: NDArray[np.int64], queries_QD: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Cosine of every query with the given rows of the file, shape (len(rows), Q).

    Rows were scaled to length one before they were stored; what half precision has left of that is within 0.0005.
    """
    blocks = [single(vectors_ND[block]) @ queries_QD.T for block in row_blocks(rows_N)]
    return np.concatenate(blocks) if blocks else np.empty((0, len(queries_QD)), np.float32)
