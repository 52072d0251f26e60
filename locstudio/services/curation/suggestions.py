"""What else an item may be: the answers under the digits.  Axes: T = texts, R = decided rows, D = embedding width."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.regions import LabelClass
from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation.measures import LOGIT_SCALE
from locstudio.services.curation.names import names_of
from locstudio.services.curation.table import ACCEPTED, Pool
from locstudio.services.curation.vectors import ItemVectors

NUM_SUGGESTIONS = 5
_Floats = NDArray[np.float32]
_NUM_VOTERS = 20
_NUM_DECIDED = 4_096


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A phrase, with the class that goes with it (None for none), and how likely it is, in [0, 1]."""

    text: str
    class_id: int | None
    score: float


def suggestions(
    pool: Pool,
    row: int,
    vectors: ItemVectors,
    vocabulary: Vocabulary | None,
    classes: Sequence[LabelClass],
    *,
    logit_scale: float = LOGIT_SCALE,
    top: int = NUM_SUGGESTIONS,
) -> list[Suggestion]:
    """What else this row may be, the likeliest first.

    Half of the belief comes from the words that fit its vector, half from what a person has accepted that looks most
    like it.  Where that names too few: the other phrases of its image, then those used most.
    """
    own = {pool.phrases[pool.phrase_rows[row]], ""}
    if pool.phrase_rows[row] == 0:
        own.add(pool.class_name(int(pool.class_ids[row])))
    ranked = _ranked(_fitting(pool, row, vectors, vocabulary, logit_scale), own)[:top]
    if len(ranked) < top:  # an index that knows few words, and little is accepted yet
        last = ranked[-1][1] if ranked else 1.0
        usual = _ranked(_usual(pool, row), own | {name for name, _ in ranked})
        ranked += [(name, min(belief, last)) for name, belief in usual[: top - len(ranked)]]
    class_of = _ClassesOf(pool, classes)
    return [Suggestion(name, class_of(name), round(belief, 4)) for name, belief in ranked]


def _fitting(
    pool: Pool, row: int, vectors: ItemVectors, vocabulary: Vocabulary | None, logit_scale: float
) -> dict[str, float]:
    """Beliefs in names by the vector of the row, its own name among them; nothing without a vector."""
    if not vectors.dim:
        return {}
    vector_D = vectors.vectors_of(np.array([row]))[0]
    if np.isnan(vector_D).any():
        return {}
    beliefs = _by_words(pool, vector_D, vocabulary, logit_scale)
    votes = _by_likeness(pool, row, vectors, vector_D)
    if not votes:
        return beliefs
    share = 0.5 if beliefs else 0.0
    names = beliefs.keys() | votes.keys()
    return {name: share * beliefs.get(name, 0) + (1 - share) * votes.get(name, 0) for name in names}


def _ranked(beliefs: dict[str, float], without: Set[str]) -> list[tuple[str, float]]:
    """Names with their beliefs, the likeliest first."""
    ranked = sorted((-belief, name) for name, belief in beliefs.items() if name not in without)
    return [(name, -belief) for belief, name in ranked]


def _by_words(pool: Pool, vector_D: _Floats, vocabulary: Vocabulary | None, logit_scale: float) -> dict[str, float]:
    if vocabulary is None or vocabulary.dim != len(vector_D):
        return {}
    names = names_of(pool, vocabulary)
    if not names.texts:
        return {}
    logits_T = logit_scale * (names.vectors_TD @ vector_D)
    shares_T = np.exp(logits_T - logits_T.max())
    shares_T /= shares_T.sum()
    likeliest = np.argsort(-shares_T)[:64]
    return {names.texts[place]: float(shares_T[place]) for place in likeliest.tolist()}


def _by_likeness(pool: Pool, row: int, vectors: ItemVectors, vector_D: _Floats) -> dict[str, float]:
    """Shares of the names of the accepted rows that look most like it."""
    decided = np.flatnonzero(pool.is_there & (pool.reviews == ACCEPTED))
    decided = decided[(decided != row) & vectors.has(decided)][-_NUM_DECIDED:]
    if not len(decided):
        return {}
    scores_R = np.nan_to_num(vectors.vectors_of(decided) @ vector_D, nan=-1.0)
    nearest = np.argsort(-scores_R, kind="stable")[:_NUM_VOTERS]
    weights = np.exp(LOGIT_SCALE * (scores_R[nearest] - scores_R[nearest[0]]))
    votes: Counter[str] = Counter()
    for place, weight in zip(decided[nearest].tolist(), (weights / weights.sum()).tolist(), strict=True):
        votes[_name(pool, place)] += weight
    return dict(votes)


def _usual(pool: Pool, row: int) -> dict[str, float]:
    """Phrases by how often they are used, those of the same image before all others."""
    rows = pool.rows
    everywhere = np.bincount(pool.phrase_rows[rows], minlength=len(pool.phrases)).astype(np.float64)
    here = np.bincount(pool.phrase_rows[rows[pool.image_ids[rows] == pool.image_ids[row]]], minlength=len(everywhere))
    num_rows, num_here = max(float(everywhere.sum()), 1.0), max(int(np.count_nonzero(here)), 1)
    belief = 0.5 * everywhere / num_rows + 0.5 * (here > 0) / num_here
    likeliest = np.argsort(-belief, kind="stable")[:64]
    return {pool.phrases[place]: float(belief[place]) for place in likeliest.tolist() if belief[place] > 0}


def _name(pool: Pool, row: int) -> str:
    return pool.phrases[pool.phrase_rows[row]] or pool.class_name(int(pool.class_ids[row]))


class _ClassesOf:
    """The class that goes with a name: of that name, or by a rule, or the one that most rows of the phrase have."""

    def __init__(self, pool: Pool, classes: Iterable[LabelClass]) -> None:
        self._pool = pool
        self._by_name = {entry.name.casefold(): entry.id for entry in classes if not entry.is_retired}
        self._ids = set(self._by_name.values())

    def __call__(self, name: str) -> int | None:
        if name.casefold() in self._by_name:
            return self._by_name[name.casefold()]
        if (rule := self._pool.rules.get(name)) is not None and rule.class_id in self._ids:
            return rule.class_id
        if name not in self._pool.phrases:
            return None
        of_phrase = self._pool.is_there & (self._pool.phrase_rows == self._pool.phrases.index(name))
        class_ids, counts = np.unique(self._pool.class_ids[of_phrase], return_counts=True)
        most = int(class_ids[counts.argmax()]) if len(counts) else 0
        return most if most in self._ids else None
