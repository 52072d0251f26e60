"""Where a person should look: measures of every row of the pool.

Axes: N = rows of the pool, B = rows of a batch, T = texts, D = embedding width.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation.names import Names, names_of, without_vector
from locstudio.services.curation.overlaps import Rows
from locstudio.services.curation.table import ACCEPTED, EDITED, MODEL, PENDING, REJECTED, Pool, row_of_key
from locstudio.services.curation.vectors import ItemVectors
from locstudio.services.routing.wishes import RoutingsOf

__all__ = [
    "ItemVectors",
    "Measures",
    "liken",
    "likeness",
    "measure",
    "revalued",
    "unmeasured",
    "value_of",
    "without_vector",
]

LOGIT_SCALE = 20.0
"""Turns cosines into logits where too little has been accepted to find the scale from it."""
_MIN_ACCEPTED = 30
_SCALES = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 70.0, 100.0)
_SAME_MEANING = 0.9
_MIN_ACCEPTED_CENTRE = 5
_MIN_GROUP = 4
_BATCH = 8_192
_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Measures:
    """What was measured of the rows of a pool; NaN where it could not be.

    Attributes:
        outlier: How far its vector lies from the centre of its class or phrase, in robust deviations, (N,).
        disagreement: How sure the model is that another phrase fits better than its own, in [0, 1], (N,).
        value: What asking a person about it is worth: see ``value_of``, (N,).
        likeness: Cosine to the pinned item; None while nothing is pinned, (N,).
        heat: How much the heat of its class in its image contradicts labels and boxes; None while nobody asked, (N,).
        routing: The routing of its image, row by row; None while nobody asked.
        pinned: Key of that item.
        texts: The phrases that were compared.
        best: The other phrase that fits best, a row of ``texts``; -1 for none, (N,).
        logit_scale: What turns cosines into logits.
    """

    outlier: _Floats
    disagreement: _Floats
    value: _Floats
    likeness: _Floats | None = None
    heat: _Floats | None = None
    routing: RoutingsOf | None = None
    pinned: str = ""
    texts: tuple[str, ...] = ()
    best: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    logit_scale: float = LOGIT_SCALE
    remembered: dict[Hashable, Rows] = field(default_factory=dict)

    def of(self, name: str) -> _Floats | None:
        """The measure that an order of this name needs; None where it needs none, or it was not measured."""
        known = {
            "outlier": self.outlier,
            "disagreement": self.disagreement,
            "value": self.value,
            "likeness": self.likeness,
            "heat": self.heat,
        }
        return known[name] if name in known else self._of_routing(name)

    def _of_routing(self, name: str) -> _Floats | None:
        """The least sure router has most of "margin"; of "mismatch" the surest that belongs to another expert.

        Of "another" the image has most of which the model is surest that it shows another class.
        """
        routing = self.routing
        if routing is None or name not in ("margin", "mismatch", "another"):
            return None
        if name == "another":
            return routing.other
        margins = routing.margins
        doubt = 1 - margins if name == "margin" else np.where(routing.mismatch, margins + 1, margins - 1)
        return doubt.astype(np.float32)

    def remember(self, what: Hashable, work_out: Callable[[], Rows]) -> Rows:
        """What ``work_out`` makes of these measures, worked out once."""
        if (known := self.remembered.get(what)) is None:
            known = self.remembered[what] = work_out()
        return known


def measure(pool: Pool, vectors: ItemVectors, vocabulary: Vocabulary | None) -> Measures:
    """Measure every row; for a worker, seconds at 100,000 rows."""
    names = names_of(pool, vocabulary if vocabulary is not None and vocabulary.dim == vectors.dim else None)
    outlier = np.full(len(pool), np.nan, np.float32)
    margins = np.full(len(pool), np.nan, np.float32)
    best = np.full(len(pool), -1, np.int32)
    rows = pool.rows
    rows = rows[vectors.has(rows)]
    groups = np.where(pool.class_ids[rows] != 0, -pool.class_ids[rows], pool.phrase_rows[rows])
    order = np.argsort(groups, kind="stable")
    rows, groups = rows[order], groups[order]
    starts = np.flatnonzero(np.r_[True, np.diff(groups) != 0]) if len(rows) else np.empty(0, np.int64)
    ends = np.r_[starts[1:], len(rows)]
    same_TT = names.vectors_TD @ names.vectors_TD.T > _SAME_MEANING
    for first, last in _batches(starts, ends):
        batch = rows[starts[first] : ends[last]]
        if len(batch) > _BATCH:  # one group
            for part_BD, those in _in_parts(vectors, batch):
                margins[those], best[those] = _margins(part_BD, names, names.own[those], same_TT)
            outlier[batch] = _distances_of_many(vectors, batch, pool.reviews[batch])
            continue
        vectors_BD = vectors.vectors_of(batch)
        margins[batch], best[batch] = _margins(vectors_BD, names, names.own[batch], same_TT)
        for start, end in zip(starts[first : last + 1], ends[first : last + 1], strict=True):
            part = slice(start - starts[first], end - starts[first])
            outlier[rows[start:end]] = _distances(vectors_BD[part], pool.reviews[rows[start:end]])
    _standardise_small(outlier, rows, ends - starts)
    scale = _logit_scale(margins[pool.is_there & (pool.reviews == ACCEPTED)])
    disagreement = (1 / (1 + np.exp(-scale * np.clip(margins, -1, 1)))).astype(np.float32)
    return Measures(
        outlier=outlier,
        disagreement=disagreement,
        value=value_of(pool, outlier, disagreement),
        texts=names.texts,
        best=best,
        logit_scale=scale,
    )


def unmeasured(pool: Pool) -> Measures:
    """Measures of a pool without vectors: only what scores and decisions say."""
    nothing = np.full(len(pool), np.nan, np.float32)
    return Measures(outlier=nothing, disagreement=nothing, value=value_of(pool, nothing, nothing))


def revalued(pool: Pool, measures: Measures) -> Measures:
    """The measures with the values anew after decisions: in milliseconds, and without vectors."""
    outlier, disagreement = (_longer(values, len(pool)) for values in (measures.outlier, measures.disagreement))
    return replace(measures, value=value_of(pool, outlier, disagreement), remembered={})


def value_of(pool: Pool, outlier: _Floats, disagreement: _Floats) -> _Floats:
    """What asking a person about each undecided row is worth: how unsure its answer is, times how much that settles.

    With score ``s``, disagreement ``d`` (0.5 where unknown), outlier ``o`` (2 where unknown), and of the decided rows
    of a model with the same phrase ``A`` accepted of ``D``, ``U`` undecided:

        p     = (2 min(1, 2 s (1 - d)) + A) / (2 + D)        that it is right: two answers' worth of belief in the score
        value = H(p) (1 + (U - 1) exp(-max(o, 0)^2 / 2))     in bits: a typical row speaks for all of its phrase

    NaN for what a person has decided.
    """
    codes, size = pool.phrase_rows, len(pool.phrases)
    is_open = pool.is_there & (pool.reviews == PENDING)
    of_model = pool.is_there & ((pool.origins == MODEL) | (pool.origins == EDITED)) & ~is_open
    is_right = of_model & (pool.reviews == ACCEPTED) & (pool.origins == MODEL)
    num_open = np.bincount(codes[is_open], minlength=size)[codes]
    num_decided = np.bincount(codes[of_model], minlength=size)[codes]
    num_right = np.bincount(codes[is_right], minlength=size)[codes]
    score = np.where(np.isnan(pool.scores), np.float32(0.5), np.clip(pool.scores, 0, 1))
    doubt = np.where(np.isnan(disagreement), np.float32(0.5), disagreement)
    p = (2 * np.minimum(1, 2 * score * (1 - doubt)) + num_right) / (2 + num_decided)
    p = np.clip(p, 1e-4, 1 - 1e-4)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    far = np.where(np.isnan(outlier), np.float32(2), np.clip(outlier, 0, 10))
    value = entropy * (1 + (num_open - 1) * np.exp(-(far**2) / 2))
    return np.where(is_open, value, np.nan).astype(np.float32)


def likeness(pool: Pool, vectors: ItemVectors, row: int) -> _Floats:
    """Cosine of every row with one of them, NaN where one of the two has no vector, (N,)."""
    found = np.full(len(pool), np.nan, np.float32)
    query_D = vectors.vectors_of(np.array([row]))[0]
    if vectors.dim == 0 or np.isnan(query_D).any():
        return found
    rows = pool.rows
    rows = rows[vectors.has(rows)]
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        found[batch] = vectors.vectors_of(batch) @ query_D
    return found


def liken(measures: Measures, pool: Pool, vectors: ItemVectors, key: str) -> Measures:
    """The measures with the likeness to the item that is pinned now; with none where it is not there."""
    row = row_of_key(pool, key)
    values = None if row is None else likeness(pool, vectors, row)
    return replace(measures, likeness=values, pinned=key if row is not None else "", remembered={})


def _batches(starts: Rows, ends: Rows) -> list[tuple[int, int]]:
    """Runs of whole groups with at most ``_BATCH`` rows each, a larger group by itself: the first and last of each."""
    found: list[tuple[int, int]] = []
    first = 0
    for group in range(len(starts)):
        if ends[group] - starts[first] > _BATCH and group > first:
            found.append((first, group - 1))
            first = group
    return [*found, (first, len(starts) - 1)] if len(starts) else found


def _in_parts(vectors: ItemVectors, rows: Rows) -> Iterator[tuple[_Floats, Rows]]:
    """The vectors of many rows, as many at once as fit into any memory, with the rows they are of."""
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        yield vectors.vectors_of(part), part


def _margins(
    vectors_BD: _Floats, names: Names, own_B: NDArray[np.int32], same_TT: NDArray[np.bool_]
) -> tuple[_Floats, NDArray[np.int32]]:
    """By how much the best text of another meaning beats a row's own, as a cosine; and which it is."""
    margins = np.full(len(own_B), np.nan, np.float32)
    best = np.full(len(own_B), -1, np.int32)
    if len(names.texts) < 2:
        return margins, best
    for start in range(0, len(own_B), _BATCH):
        at = start + np.flatnonzero(own_B[start : start + _BATCH] >= 0)
        own = own_B[at]
        scores_BT = vectors_BD[at] @ names.vectors_TD.T
        own_scores = np.take_along_axis(scores_BT, own[:, None].astype(np.int64), axis=1)[:, 0]
        np.putmask(scores_BT, same_TT[own], -np.inf)
        chosen = scores_BT.argmax(axis=1)
        highest = np.take_along_axis(scores_BT, chosen[:, None], axis=1)[:, 0]
        is_other = np.isfinite(highest)
        margins[at[is_other]] = (highest - own_scores)[is_other]
        best[at[is_other]] = chosen[is_other]
    return margins, best


def _distances(vectors_BD: _Floats, reviews_B: NDArray[np.int8]) -> _Floats:
    """How far each row of a group lies from its centre: in robust deviations, or as it is in a small group."""
    basis_B = _basis(reviews_B)
    centre_D = _centre(vectors_BD[basis_B])
    if centre_D is None:
        return np.full(len(vectors_BD), np.nan, np.float32)
    return _standard((1 - vectors_BD @ centre_D).astype(np.float32), basis_B)


def _distances_of_many(vectors: ItemVectors, rows: Rows, reviews: NDArray[np.int8]) -> _Floats:
    """The same of a group whose vectors are not held at once; its centre is that of a sample."""
    basis = _basis(reviews)
    typical = rows[basis]
    if len(typical) > _BATCH:
        typical = np.sort(np.random.default_rng(0).choice(typical, _BATCH, replace=False))
    centre_D = _centre(vectors.vectors_of(typical))
    if centre_D is None:
        return np.full(len(rows), np.nan, np.float32)
    distances = np.concatenate([1 - part_BD @ centre_D for part_BD, _ in _in_parts(vectors, rows)])
    return _standard(distances.astype(np.float32), basis)


def _basis(reviews: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which rows say what a group looks like: the accepted where there are enough, else all that are not rejected."""
    accepted: NDArray[np.bool_] = reviews == ACCEPTED
    return accepted if np.count_nonzero(accepted) >= _MIN_ACCEPTED_CENTRE else reviews != REJECTED


def _centre(typical_BD: _Floats) -> _Floats | None:
    """The centre of vectors, found twice, the second time of the nearer half: a fifth of strangers does not move it."""
    typical_BD = typical_BD[~np.isnan(typical_BD).any(axis=1)]
    if len(typical_BD) < 2:
        return None
    near_B = typical_BD @ _unit(typical_BD.mean(axis=0))
    return _unit(typical_BD[near_B >= np.median(near_B)].mean(axis=0))


def _standard(distances: _Floats, basis: NDArray[np.bool_]) -> _Floats:
    if len(distances) < _MIN_GROUP:
        return distances
    typical = distances[basis & ~np.isnan(distances)]
    middle = float(np.median(typical))
    spread = 1.4826 * float(np.median(np.abs(typical - middle)))
    standard: _Floats = (distances - middle) / np.float32(max(spread, 1e-3))
    return standard


def _standardise_small(outlier: _Floats, rows: Rows, sizes: Rows) -> None:
    """Distances of groups too small to have a spread of their own, by the spread of all such."""
    small = rows[np.repeat(sizes < _MIN_GROUP, sizes)]
    known = small[~np.isnan(outlier[small])]
    if len(known):
        middle = float(np.median(outlier[known]))
        spread = 1.4826 * float(np.median(np.abs(outlier[known] - middle)))
        outlier[known] = (outlier[known] - middle) / np.float32(max(spread, 1e-3))


def _logit_scale(accepted_margins: _Floats) -> float:
    """The scale under which what a person has accepted is likeliest, its own text against the best other."""
    margins = accepted_margins[~np.isnan(accepted_margins)]
    if len(margins) < _MIN_ACCEPTED:
        return LOGIT_SCALE
    surprise = [float(np.logaddexp(0, scale * margins).mean()) for scale in _SCALES]
    return _SCALES[int(np.argmin(surprise))]


def _unit(vector_D: _Floats) -> _Floats:
    unit: _Floats = vector_D / max(float(np.linalg.norm(vector_D)), 1e-6)
    return unit


def _longer(values: _Floats, num: int) -> _Floats:
    return values if len(values) == num else np.concatenate([values, np.full(num - len(values), np.nan, np.float32)])
