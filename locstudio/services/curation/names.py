"""The names that rows of the pool go by, as vectors of the vocabulary.  Axes: T = texts, D = embedding width."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation.overlaps import Rows
from locstudio.services.curation.table import Pool

MAX_TEXTS = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Texts that have a vector, the most used first.

    Attributes:
        texts: T texts.
        vectors_TD: Their vectors, of length one, (T, D).
        own: The text that each row of the pool goes by: its phrase, else its class; -1 without a vector, (N,).
    """

    texts: tuple[str, ...]
    vectors_TD: NDArray[np.float32]
    own: NDArray[np.int32]


def names_of(pool: Pool, vocabulary: Vocabulary | None) -> Names:
    """The names that are in use in the pool, as far as the vocabulary knows them; at most ``MAX_TEXTS``."""
    phrase_counts, class_counts = _counts(pool)
    counts: dict[str, int] = {}
    for row, count in phrase_counts.items():
        counts[pool.phrases[row]] = count
    for class_id, name in pool.class_names.items():
        counts[name] = counts.get(name, 0) + class_counts.get(class_id, 0)
    counts.pop("", None)
    texts_known = vocabulary.texts if vocabulary is not None else ()
    place_of = {text: place for place, text in enumerate(texts_known)}
    texts = sorted((text for text in counts if text in place_of), key=lambda text: (-counts[text], text))[:MAX_TEXTS]
    dim = vocabulary.dim if vocabulary is not None else 0
    vectors_TD = np.empty((0, dim), np.float32)
    if vocabulary is not None and texts:
        vectors_TD = vocabulary.vectors_VD[[place_of[text] for text in texts]]
    return Names(tuple(texts), vectors_TD, _own(pool, texts))


def without_vector(pool: Pool, vocabulary: Vocabulary) -> list[str]:
    """Names in the pool that the vocabulary does not know, the most used first: to be embedded and added to it."""
    phrase_counts, _ = _counts(pool)
    used = sorted(phrase_counts, key=lambda row: -phrase_counts[row])
    return vocabulary.missing([*(pool.phrases[row] for row in used if row), *filter(None, pool.class_names.values())])


def _own(pool: Pool, texts: Iterable[str]) -> NDArray[np.int32]:
    row_of = {text: row for row, text in enumerate(texts)}
    of_phrase = np.array([row_of.get(phrase, -1) for phrase in pool.phrases], np.int32)
    own: NDArray[np.int32] = of_phrase[pool.phrase_rows]
    for class_id, name in pool.class_names.items():
        if name in row_of:
            own[(pool.phrase_rows == 0) & (pool.class_ids == class_id)] = row_of[name]
    return own


def _counts(pool: Pool) -> tuple[dict[int, int], dict[int, int]]:
    """How many rows have each phrase (by its row) and each class."""
    rows: Rows = pool.rows
    of_phrases = np.bincount(pool.phrase_rows[rows], minlength=len(pool.phrases))
    class_ids, counts = np.unique(pool.class_ids[rows], return_counts=True)
    phrases = {row: int(count) for row, count in enumerate(of_phrases) if count}
    return phrases, dict(zip(class_ids.tolist(), counts.tolist(), strict=True))
