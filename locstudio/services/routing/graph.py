"""What a dense twin confuses, as a graph of the project's classes: who is taken for whom, and what of it matters.

Numpy only.  Where classes are drawn is `graph_layout`'s.  Axes: L = classes, G = superclasses, M = edges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.regions import LabelClass
from locstudio.jobs.confusions import Confusion

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

_LEAST_SHARE = 0.02
_LEAST_OF_FEW = 0.05
_PER_CLASS = 4
_PULLS_BY = 0.02


@dataclass(frozen=True, slots=True)
class Partner:
    """A class that another one is confused with.

    ``taken_for`` is how much of the chosen class's images was taken for this one, ``mistaken`` how much of this one's
    was taken for the chosen class; in [0, 1], as ``shares_LL`` is.
    """

    class_id: int
    name: str
    taken_for: float
    mistaken: float


@dataclass(frozen=True, slots=True)
class Pull:
    """A class that is tied more to another superclass than to its own.

    ``there`` and ``own`` are how much it is confused with either, both ways averaged, less what chance would have it;
    in [-1, 1].
    """

    class_id: int
    group: int
    there: float
    own: float


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Pairs of classes that are confused, strongest first: positions ``first`` < ``second``, both int64 (M,).

    ``strengths`` float32 (M,) is the mean of the two shares that are taken for the other.
    """

    first: Places
    second: Places
    strengths: Floats

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True, eq=False)
class ConfusionGraph:
    """The classes in use and their confusions.

    Attributes:
        class_ids: int64 (L,), rising.
        names: Of the classes.
        counts_LL: float32; row t, column p: how much of the images of class t was taken for p.  An image counts with
            the probabilities that it was given, so these are sums of probabilities, no numbers of answers.
        totals_L: float32; images of each class that were looked at, also those taken for a class that is gone.
        shares_LL: float32; ``counts_LL`` over ``totals_L``: the mean probability of p in the images of t, on the
            diagonal that of the class itself.  Zero for a class that the run has not seen.
        strengths_LL: float32; symmetric, the mean of both directions' shares, zero on the diagonal.
        num_images: Images that were looked at.
    """

    class_ids: Places
    names: tuple[str, ...]
    counts_LL: Floats
    totals_L: Floats
    shares_LL: Floats
    strengths_LL: Floats
    num_images: int = 0

    @classmethod
    def of(cls, classes: Sequence[LabelClass], confusion: Confusion | None) -> "ConfusionGraph":
        """The graph of these classes; what the run does not know of them is zero, what they lack is left out."""
        classes = sorted(classes, key=lambda entry: entry.id)
        ids = np.array([entry.id for entry in classes], np.int64)
        counts_LL = np.zeros((len(ids), len(ids)), np.float32)
        totals_L = np.zeros(len(ids), np.float32)
        if confusion is not None and len(ids):
            place_of = {class_id: place for place, class_id in enumerate(confusion.header.class_ids) if class_id > 0}
            from_L = np.array([place_of.get(entry.id, -1) for entry in classes], np.int64)
            rows = np.flatnonzero(from_L >= 0)
            there = from_L[rows]
            counts_LL[np.ix_(rows, rows)] = np.maximum(confusion.counts[np.ix_(there, there)], 0)
            totals_L[rows] = np.maximum(confusion.counts[there], 0).sum(axis=1)
        shares_LL: Floats = (counts_LL / np.maximum(totals_L, np.float32(1e-9))[:, None]).astype(np.float32)
        strengths_LL: Floats = ((shares_LL + shares_LL.T) / 2).astype(np.float32)
        np.fill_diagonal(strengths_LL, 0)
        num_images = confusion.header.num_images if confusion is not None else 0
        return cls(ids, tuple(c.name for c in classes), counts_LL, totals_L, shares_LL, strengths_LL, num_images)

    def __len__(self) -> int:
        return len(self.class_ids)

    def position(self, class_id: int) -> int:
        """Where a class stands in the arrays; -1 where it is not in use."""
        place = int(np.searchsorted(self.class_ids, class_id))
        return place if place < len(self) and self.class_ids[place] == class_id else -1

    @property
    def least_share(self) -> float:
        """Below this an edge says nothing: with few classes every pair has some confusion."""
        return max(_LEAST_SHARE, min(_LEAST_OF_FEW, 1.5 / max(1, len(self) - 1)))

    def edges(self, per_class: int = _PER_CLASS) -> Edges:
        """The confusions that matter: strong enough, and among the strongest of at least one of the two classes."""
        strengths_LL = self.strengths_LL
        if len(self) < 2:
            none = np.zeros(0, np.int64)
            return Edges(none, none, np.zeros(0, np.float32))
        order_LL = np.argsort(-strengths_LL, axis=1, kind="stable")[:, :per_class]
        is_near_LL = np.zeros(strengths_LL.shape, bool)
        np.put_along_axis(is_near_LL, order_LL, True, axis=1)
        is_edge_LL = np.triu(is_near_LL | is_near_LL.T, 1) & (strengths_LL >= self.least_share)
        first, second = np.nonzero(is_edge_LL)
        strongest = np.lexsort((second, first, -strengths_LL[first, second]))
        first, second = first[strongest], second[strongest]
        return Edges(first, second, strengths_LL[first, second])

    def partners(self, class_id: int, limit: int = 8) -> list[Partner]:
        """What a class is confused with, in either direction, most first; nothing below one in a thousand."""
        row = self.position(class_id)
        if row < 0:
            return []
        both_L = self.strengths_LL[row]
        order = np.lexsort((self.class_ids, -both_L))[:limit]
        return [
            Partner(
                int(self.class_ids[other]),
                self.names[other],
                float(self.shares_LL[row, other]),
                float(self.shares_LL[other, row]),
            )
            for other in order.tolist()
            if both_L[other] >= 0.0005
        ]

    def itself_share(self, class_id: int) -> float | None:
        """What the dense twin gave a class in its own images, on average; None where it has seen none."""
        row = self.position(class_id)
        if row < 0 or self.totals_L[row] <= 0:
            return None
        return float(self.shares_LL[row, row])

    def between(self, first_id: int, second_id: int) -> tuple[float, float]:
        """The shares of the first taken for the second, and of the second taken for the first."""
        first, second = self.position(first_id), self.position(second_id)
        if first < 0 or second < 0:
            return 0.0, 0.0
        return float(self.shares_LL[first, second]), float(self.shares_LL[second, first])

    def groups_of(self, group_of: Mapping[int, int]) -> Places:
        """The superclass of each class, int64 (L,), 0 for none, given it by the classes' ids."""
        return np.array([group_of.get(int(class_id), 0) for class_id in self.class_ids], np.int64)

    def gains(self, group_of: Mapping[int, int]) -> tuple[list[int], Floats]:
        """The superclasses, and how much more than by chance each class is confused with each, float32 (L, G).

        Chance would share out a class's confusion by how much the others are confused at all, so that a large
        superclass has no more than it is due.  Source: modularity, Newman (2006), as clusters of confusion are made by.
        """
        groups_L = self.groups_of(group_of)
        groups = sorted({int(group) for group in groups_L} - {0})
        is_in_LG = groups_L[:, None] == np.array(groups, np.int64)[None, :]
        degree_L = self.strengths_LL.sum(axis=1)
        gain_LL = self.strengths_LL - np.outer(degree_L, degree_L) / max(float(degree_L.sum()), 1e-9)
        np.fill_diagonal(gain_LL, 0)
        return groups, (gain_LL @ is_in_LG).astype(np.float32)

    def pulls(self, group_of: Mapping[int, int]) -> list[Pull]:
        """Classes that are clearly tied more to another superclass than to their own, strongest first.

        Two points more above chance are clear, see ``gains``.  A class without a superclass is pulled by the one that
        it is tied to most.
        """
        groups, gains_LG = self.gains(group_of)
        if not groups:
            return []
        found = []
        for row, own in enumerate(self.groups_of(group_of).tolist()):
            best = int(np.argmax(gains_LG[row]))
            there = float(gains_LG[row, best])
            here = float(gains_LG[row, groups.index(own)]) if own else 0.0
            if groups[best] != own and there - max(here, 0.0) >= _PULLS_BY:
                found.append(Pull(int(self.class_ids[row]), groups[best], there, here))
        return sorted(found, key=lambda pull: (pull.own - pull.there, pull.class_id))

    def kept_share(self, group_of: Mapping[int, int]) -> float | None:
        """Of all that was taken for another class, the share that stayed within a superclass.

        None where nothing was confused.
        """
        groups_L = self.groups_of(group_of)
        wrong_LL = self.counts_LL.astype(np.float64)
        np.fill_diagonal(wrong_LL, 0)
        total = float(wrong_LL.sum())
        if total <= 0:
            return None
        is_same_LL = (groups_L[:, None] == groups_L[None, :]) & (groups_L[:, None] != 0)
        return float(wrong_LL[is_same_LL].sum() / total)
