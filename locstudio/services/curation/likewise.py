"""Fix the identical mistakes together: what looks like a corrected item, and is called the same wrong thing.

Axes: C = candidates, D = embedding width.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import Edit
from locstudio.domain.regions import Review
from locstudio.services.curation.deciding import Chosen, relabel
from locstudio.services.curation.drafting import drafts, edit_of
from locstudio.services.curation.overlaps import Rows
from locstudio.services.curation.table import ACCEPTED, EDITED, HUMAN, IMPORTED, MODEL, PENDING, Pool
from locstudio.services.curation.vectors import ItemVectors
from locstudio.services.cutting import cut_for, robust
from locstudio.store.dataset import Dataset

SURELY_ALIKE = 0.8
"""A cosine that looks the same also in a collection of nothing else; chosen by eye on COCO photos and the demo."""
_NUM_BACKGROUND = 4_096
_NUM_RIGHT = 256
_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """What looks like the corrected item and has its old name, the most alike first.

    Attributes:
        rows: Those above the cut.
        scores: Their cosines to the corrected item.
        cut: The cosine from which on they stand out, see ``services.cutting``; at least half-way from the collection's
            median to the item itself, or ``SURELY_ALIKE``.
        more_rows: Those below the cut, for who moves it.
        more_scores: Their cosines.
    """

    rows: Rows
    scores: _Floats
    cut: float
    more_rows: Rows
    more_scores: _Floats


def find_alike(
    pool: Pool,
    vectors: ItemVectors,
    row: int,
    old_phrase: str,
    old_class_id: int | None,
    new_phrase: str | None = None,
    new_class_id: int | None = None,
    *,
    among: NDArray[np.bool_] | None = None,
) -> Alike:
    """What should be corrected as this row was: nobody has decided it, it has the old name and looks the same.

    Candidates have the old phrase, or the old class where the phrase was right.  One that looks more like an item of
    that name which a person has confirmed than like the corrected one is left out.

    Args:
        pool: The pool, with the correction or without.
        vectors: Of this pool.
        row: The corrected row.
        old_phrase: What it was called.
        old_class_id: The class it had.
        new_phrase: What it is called now; None, with no new class, where it was rejected.
        new_class_id: The class it has now.
        among: Only these rows, such as those above the thresholds, (N,).
    """
    has_name = _has_name(pool, old_phrase, old_class_id, new_phrase, new_class_id)
    has_name[row] = False
    is_open = (pool.reviews == PENDING) & ((pool.origins == MODEL) | (pool.origins == IMPORTED))
    is_given = (pool.reviews == ACCEPTED) & (pool.origins == IMPORTED)
    wanted = pool.is_there & has_name & (is_open | is_given)
    if among is not None:
        wanted &= among
    rows = np.flatnonzero(wanted)
    rows = rows[vectors.has(rows)]
    query_D = vectors.vectors_of(np.array([row]))[0] if vectors.dim else np.empty(0, np.float32)
    if not len(rows) or np.isnan(query_D).any():
        return Alike(rows[:0], np.empty(0, np.float32), 1.0, rows[:0], np.empty(0, np.float32))
    vectors_CD = vectors.vectors_of(rows)
    scores = vectors_CD @ query_D
    keep = ~np.isnan(scores) & ~_is_nearer_to_right(pool, vectors, has_name, vectors_CD, scores)
    rows, scores = rows[keep], scores[keep]
    order = np.argsort(-scores, kind="stable")
    rows, scores = rows[order], scores[order]
    background = _background(pool, vectors, query_D)
    # Where half of a collection resembles the query, the two heaps part far below what looks the same.
    cut = max(cut_for(background, scores), min((1 + robust(background)[0]) / 2, SURELY_ALIKE))
    num = int(np.count_nonzero(scores >= cut))
    return Alike(rows[:num], scores[:num], cut, rows[num:], scores[num:])


def fix_alike(
    dataset: Dataset,
    pool: Pool,
    rows: Chosen,
    phrase: str | None = None,
    class_id: int | None = None,
    *,
    is_rejected: bool = False,
) -> Edit:
    """Correct rows as one of them was corrected, in one undo step: relabel and accept, or reject.

    Locked regions keep their words.
    """
    chosen = np.unique(np.asarray(list(rows), np.int64))
    title = "Fix identical mistake" if len(chosen) == 1 else f"Fix {len(chosen)} identical mistakes"
    if not is_rejected:
        return relabel(dataset, pool, chosen, phrase, class_id, title=title)
    pairs = [(draft, draft.reviewed(Review.REJECTED)) for draft in drafts(dataset, pool, chosen)]
    return edit_of(title, pairs)


def _has_name(
    pool: Pool, old_phrase: str, old_class_id: int | None, new_phrase: str | None, new_class_id: int | None
) -> NDArray[np.bool_]:
    """Rows that have the name that was wrong."""
    is_rejected = new_phrase is None and new_class_id is None
    is_phrase_wrong = is_rejected or (new_phrase is not None and new_phrase != old_phrase)
    has_name = (pool.class_ids == (old_class_id or 0)) & (pool.class_ids != 0)
    if old_phrase and is_phrase_wrong:
        has_name = np.array([phrase == old_phrase for phrase in pool.phrases])[pool.phrase_rows]
    return np.asarray(has_name, bool)


def _is_nearer_to_right(
    pool: Pool, vectors: ItemVectors, has_name: NDArray[np.bool_], vectors_CD: _Floats, scores: _Floats
) -> NDArray[np.bool_]:
    """Which candidates look more like something a person has confirmed under the old name, (C,)."""
    is_by_person = (pool.origins == MODEL) | (pool.origins == HUMAN) | (pool.origins == EDITED)
    right = np.flatnonzero(pool.is_there & has_name & (pool.reviews == ACCEPTED) & is_by_person)
    right = right[vectors.has(right)][-_NUM_RIGHT:]
    if not len(right):
        return np.zeros(len(scores), bool)
    right_RD = np.nan_to_num(vectors.vectors_of(right))
    return np.asarray((vectors_CD @ right_RD.T).max(axis=1) > scores)


def _background(pool: Pool, vectors: ItemVectors, query_D: _Floats) -> _Floats:
    rows = pool.rows
    rows = rows[vectors.has(rows)]
    if len(rows) > _NUM_BACKGROUND:
        rows = np.sort(np.random.default_rng(0).choice(rows, _NUM_BACKGROUND, replace=False))
    scores: _Floats = vectors.vectors_of(rows) @ query_D
    return scores[~np.isnan(scores)]
