"""Phrases of the pool: how often each is used, which class it stands for, and which mean the same.

A rule about a phrase is about words, not about boxes: what it changes stays whose it was, so that a pending region of a
model does not become ground truth by it.  Axes: T = texts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from locstudio.domain.edits import Change, Edit, RegionChange, RuleChange
from locstudio.domain.phrase_rules import PhraseRule, classes_by_name, followed, taken_for
from locstudio.domain.regions import Region
from locstudio.index.vocabulary import Vocabulary
from locstudio.services.curation.names import MAX_TEXTS
from locstudio.services.curation.table import ACCEPTED, PENDING, REJECTED, SOURCE, Pool
from locstudio.store.dataset import Dataset

MIN_LIKENESS = 0.9
_MIN_SPELLING = 0.92
_MIN_MEANING = 0.7
_ARTICLES = frozenset({"a", "an", "the", "some", "his", "her", "their", "its"})


@dataclass(frozen=True, slots=True)
class PhraseRow:
    """A phrase with the number of its rows in the pool.  ``class_id`` is the class that a rule gives it.

    ``stands_for`` are the phrases that rules have merged into it.
    """

    phrase: str
    num: int
    num_pending: int
    num_accepted: int
    num_rejected: int
    class_id: int | None
    stands_for: tuple[str, ...]

    @property
    def num_decided(self) -> int:
        """How many a person has accepted or rejected."""
        return self.num_accepted + self.num_rejected


@dataclass(frozen=True, slots=True)
class Synonym:
    """A phrase of a group, the number of its rows, and how like it is to the one that is kept, in [0, 1]."""

    phrase: str
    num: int
    likeness: float


@dataclass(frozen=True, slots=True)
class MergeCandidate:
    """Phrases that may mean the same; ``canonical`` is used most, the ``others`` are the likest first."""

    canonical: str
    num: int
    others: tuple[Synonym, ...]


def phrase_table(pool: Pool, among: NDArray[np.bool_] | None = None) -> list[PhraseRow]:
    """Every phrase in use, the most used first; ``among``: only these rows count, (N,)."""
    rows = pool.rows if among is None else np.flatnonzero(pool.is_there & among)
    codes, reviews, size = pool.phrase_rows[rows], pool.reviews[rows], len(pool.phrases)
    counts = {review: np.bincount(codes[reviews == review], minlength=size) for review in (PENDING, ACCEPTED, REJECTED)}
    merged: dict[str, list[str]] = {}
    for rule in pool.rules.values():
        stands, _ = followed(pool.rules, rule.phrase)
        if stands != rule.phrase:
            merged.setdefault(stands, []).append(rule.phrase)
    named = classes_by_name(pool.classes.values())
    found = []
    for row, phrase in enumerate(pool.phrases):
        pending, accepted, rejected = (int(counts[review][row]) for review in (PENDING, ACCEPTED, REJECTED))
        if phrase and pending + accepted + rejected:
            _, class_id = taken_for(pool.rules, named, phrase)
            others = tuple(sorted(merged.get(phrase, [])))
            num = pending + accepted + rejected
            found.append(PhraseRow(phrase, num, pending, accepted, rejected, class_id, others))
    return sorted(found, key=lambda row: (-row.num, row.phrase))


def merge_candidates(
    pool: Pool,
    vocabulary: Vocabulary | None,
    *,
    min_likeness: float = MIN_LIKENESS,
    among: NDArray[np.bool_] | None = None,
) -> list[MergeCandidate]:
    """Groups of phrases that may mean the same, by their vectors and by their spelling; the largest first.

    Each phrase is in one group at most, beside the most used phrase that it is like.  Spelling alone counts where at
    least one of the two has no vector, or both do not speak of different things: "a white horse" is no white house.
    """
    table = phrase_table(pool, among)[:MAX_TEXTS]
    likeness_TT = _likeness([row.phrase for row in table], vocabulary)
    is_free = np.ones(len(table), bool)
    groups = []
    for place, row in enumerate(table):
        if not is_free[place]:
            continue
        is_free[place] = False
        alike = np.flatnonzero(is_free & (likeness_TT[place] >= min_likeness))
        if len(alike):
            is_free[alike] = False
            others = [Synonym(table[at].phrase, table[at].num, float(likeness_TT[place, at])) for at in alike.tolist()]
            others.sort(key=lambda other: (-other.likeness, other.phrase))
            groups.append(MergeCandidate(row.phrase, row.num, tuple(others)))
    return groups


def map_phrases(dataset: Dataset, class_of: Mapping[str, int | None]) -> Edit:
    """Give phrases classes, or take them away (None), for the regions there are and those to come.

    A region gets the class where it has none, or had the one that the phrase stood for and comes from a run; what a
    person or a file has said, and what is locked, stays.
    """
    rules = dataset.phrase_rules()
    changes: list[Change] = []
    old_class = {phrase: followed(rules, phrase)[1] for phrase in class_of}
    for phrase, class_id in class_of.items():
        old = rules.get(phrase)
        changes += _rule_change(old, PhraseRule(phrase, old.becomes if old else "", class_id or None))
    for region in dataset.regions_with_phrases(list(class_of)):
        new_class = class_of[region.phrase] or None
        is_of_rule = region.class_id == old_class[region.phrase] and region.source.startswith(SOURCE)
        if (is_of_rule or (region.class_id is None and new_class)) and not region.is_locked:
            changes += _region_change(region, replace(region, class_id=new_class))
    return Edit("Map phrase" if len(class_of) == 1 else f"Map {len(class_of)} phrases", tuple(changes))


def merge_phrases(dataset: Dataset, phrases: Iterable[str], canonical: str) -> Edit:
    """Let phrases become one of them, for the regions there are and those to come.

    A region without a class gets the one that the phrase stands for; what is locked stays.  Where the words stand in a
    caption is not forgotten.

    Raises:
        ValueError: ``canonical`` is no phrase.
    """
    if not canonical.strip():
        raise ValueError("phrases must become a phrase")
    rules = dataset.phrase_rules()
    given = [phrase for phrase in dict.fromkeys(phrases) if phrase and phrase != canonical]
    own = rules.get(canonical)
    changes: list[Change] = []
    if own is not None and own.becomes:  # it shall stand for itself from now on
        changes += _rule_change(own, replace(own, becomes=""))
    class_id = own.class_id if own else None
    for phrase in given:
        old = rules.get(phrase)
        kept = old.class_id if old is not None and class_id is None else None
        changes += _rule_change(old, PhraseRule(phrase, canonical, kept))
    for region in dataset.regions_with_phrases(given):
        if not region.is_locked:
            new_class = class_id if region.class_id is None else region.class_id
            changes += _region_change(region, replace(region, phrase=canonical, class_id=new_class))
    count = f"{len(given)} phrases" if len(given) != 1 else "phrase"
    return Edit(f"Merge {count} into “{canonical}”", tuple(changes))


def _rule_change(old: PhraseRule | None, new: PhraseRule) -> Sequence[Change]:
    after = new if new.becomes or new.class_id is not None else None
    return () if after == old else (RuleChange(old, after),)


def _region_change(old: Region, new: Region) -> Sequence[Change]:
    return () if new == old else (RegionChange(old, new),)


def _likeness(phrases: Sequence[str], vocabulary: Vocabulary | None) -> NDArray[np.float32]:
    """How like phrases are, by meaning or by spelling, (T, T)."""
    if not phrases:
        return np.zeros((0, 0), np.float32)
    plain = [" ".join(word for word in phrase.casefold().split() if word not in _ARTICLES) for phrase in phrases]
    spelling = process.cdist(plain, plain, scorer=fuzz.ratio, dtype=np.float32, workers=1) / 100
    spelling[spelling < _MIN_SPELLING] = 0
    meaning = np.full(spelling.shape, np.nan, np.float32)
    known = {text: place for place, text in enumerate(vocabulary.texts)} if vocabulary is not None else {}
    at = [place for place, phrase in enumerate(phrases) if phrase in known]
    if at and vocabulary is not None:
        vectors = vocabulary.vectors_VD[[known[phrases[place]] for place in at]]
        meaning[np.ix_(at, at)] = vectors @ vectors.T
    spelling[meaning < _MIN_MEANING] = 0
    return np.fmax(spelling, meaning)
