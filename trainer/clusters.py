"""Superclasses out of what a model confuses: groups of bounded size of the confusion graph.

The graph's edges are how much two classes are taken for each other, in shares of their images, both ways averaged.  Two
cuts of it are tried, by average linkage and by its spectrum; each is brought within the bounds and then improved class
by class, and the one of higher modularity is taken.  Nothing is drawn by chance: the same counts give the same groups.

Axes: L = classes, E = groups.  Source: superclasses of a confusion graph are of Mobile V-MoE (arXiv:2309.04354, 3.2),
which names no algorithm; modularity is that of Newman (2006), bounds and improvement are ours.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering, SpectralClustering

_MAX_FOR_SWAPS = 500
"""With more classes than this only one class at a time is moved."""
_LEAST = 1e-12

_Floats = NDArray[np.float64]
_Groups = NDArray[np.int64]


def superclasses_of(
    counts_LL: NDArray[np.floating],
    num_groups: int,
    max_size: int,
    fixed: Mapping[int, int] | None = None,
    *,
    min_size: int = 1,
) -> _Groups:
    """The group of each class.

    Classes that nothing is confused with go where there are fewest.  Where every group has fixed classes, the others go
    to the group that they are confused with most, whatever its size; else the bounds hold for all that can be moved.

    Args:
        counts_LL: How much of the images of a class (row) were taken for another (column); rows may be empty.
        num_groups: How many groups; as many as there are classes where that is fewer.
        max_size: Classes of a group at most; more where they could not all be placed.
        fixed: Groups of classes that a person has chosen, by position; they stay as they are.
        min_size: Classes of a group at least, as far as there are enough.

    Returns:
        Positions from 0; groups without fixed classes come last, in the order of their first class.

    Raises:
        ValueError: there are no classes or groups, the counts are not square or no numbers, or a fixed group is none
            of them.
    """
    fixed = dict(fixed or {})
    num_classes = len(counts_LL)
    _require(counts_LL, num_groups, fixed)
    num_groups = min(num_groups, len(set(fixed.values())) + num_classes - len(fixed))
    num_groups = max(num_groups, max(fixed.values(), default=-1) + 1)
    tie_LL = ties_of(counts_LL)
    if len(set(fixed.values())) == num_groups:
        return _nearest(tie_LL, num_groups, fixed)
    max_size = max(max_size, -(-num_classes // num_groups))
    min_size = max(1, min(min_size, num_classes // num_groups))
    known = np.flatnonzero(tie_LL.any(axis=1) | np.isin(np.arange(num_classes), list(fixed)))
    best: _Groups | None = None
    best_value = -np.inf
    gain_LL = gains_of(tie_LL)
    for start in _starts(tie_LL, known, num_groups, fixed):
        found = _Parts(gain_LL, start, num_groups, frozenset(fixed), (min_size, max_size)).settled()
        value = float(sum(gain_LL[np.ix_(found == group, found == group)].sum() for group in range(num_groups)))
        if value > best_value + _LEAST:
            best, best_value = found, value
    assert best is not None
    return _in_order(best, num_groups, set(fixed.values()))


def ties_of(counts_LL: NDArray[np.floating]) -> _Floats:
    """How much two classes are taken for each other: symmetric, shares of their images, nothing on the diagonal."""
    counts = np.asarray(counts_LL, np.float64)
    num_L1 = counts.sum(axis=1, keepdims=True)
    share_LL = np.divide(counts, num_L1, out=np.zeros_like(counts), where=num_L1 > 0)
    tie_LL = (share_LL + share_LL.T) / 2
    np.fill_diagonal(tie_LL, 0.0)
    return tie_LL


def gains_of(tie_LL: _Floats) -> _Floats:
    """What two classes in one group add: their tie, less what chance would have it."""
    degree_L = tie_LL.sum(axis=1)
    total = max(float(degree_L.sum()), _LEAST)
    gain_LL = tie_LL - np.outer(degree_L, degree_L) / total
    np.fill_diagonal(gain_LL, 0.0)
    return gain_LL


def names_of_groups(counts_LL: NDArray[np.floating], group_L: Sequence[int], class_names: Sequence[str]) -> list[str]:
    """A name for each group, of the two classes that are most confused inside it: "cat, lynx and 3 more"."""
    tie_LL = ties_of(counts_LL)
    groups = np.asarray(group_L)
    names = []
    for group in range(int(groups.max(initial=-1)) + 1):
        members = np.flatnonzero(groups == group)
        within = tie_LL[np.ix_(members, members)].sum(axis=1)
        typical = [class_names[at] for at in members[np.argsort(-within, kind="stable")][:2].tolist()]
        more = len(members) - len(typical)
        names.append(", ".join(typical) + (f" and {more} more" if more else ""))
    return names


def _require(counts_LL: NDArray[np.floating], num_groups: int, fixed: Mapping[int, int]) -> None:
    if counts_LL.ndim != 2 or counts_LL.shape[0] != counts_LL.shape[1] or not len(counts_LL):
        raise ValueError(f"counts of classes against classes are square, not {counts_LL.shape}")
    if not np.isfinite(counts_LL).all() or (counts_LL < 0).any():
        raise ValueError("counts are no numbers, or below zero")
    if num_groups < 1:
        raise ValueError(f"there is no way to make {num_groups} groups")
    if any(not (0 <= place < len(counts_LL) and group >= 0) for place, group in fixed.items()):
        raise ValueError(f"fixed classes or groups that are not there: {fixed}")


def _nearest(tie_LL: _Floats, num_groups: int, fixed: Mapping[int, int]) -> _Groups:
    group_L = np.full(len(tie_LL), -1, np.int64)
    group_L[list(fixed)] = list(fixed.values())
    to_LE = tie_LL @ (group_L[:, None] == np.arange(num_groups))
    free = [place for place in range(len(tie_LL)) if place not in fixed]
    for place in sorted(free, key=lambda place: -to_LE[place].max()):
        sizes = np.bincount(group_L[group_L >= 0], minlength=num_groups)
        most = to_LE[place].max()
        best = to_LE[place] >= most - _LEAST
        group_L[place] = np.flatnonzero(best)[np.argmin(sizes[best])]
    return group_L


def _starts(tie_LL: _Floats, known: _Groups, num_groups: int, fixed: Mapping[int, int]) -> Iterator[_Groups]:
    """First cuts; -1 for a class that is still to be placed."""
    taken = sorted(set(fixed.values()))
    empty = [group for group in range(num_groups) if group not in taken]
    free = np.array([place for place in known.tolist() if place not in fixed], np.int64)
    base_L = np.full(len(tie_LL), -1, np.int64)
    base_L[list(fixed)] = list(fixed.values())
    if len(free) <= len(empty):
        base_L[free] = empty[: len(free)]
        yield base_L
        return
    part_FF = tie_LL[np.ix_(free, free)]
    for cut in (_by_linkage, _by_spectrum):
        label_F = cut(part_FF, len(empty)) if len(empty) > 1 else np.zeros(len(free), np.int64)
        group_L = base_L.copy()
        group_L[free] = np.array(empty, np.int64)[label_F]
        yield group_L


def _by_linkage(tie_FF: _Floats, num_groups: int) -> _Groups:
    apart_FF = tie_FF.max() - tie_FF
    np.fill_diagonal(apart_FF, 0.0)
    model = AgglomerativeClustering(num_groups, metric="precomputed", linkage="average")
    return np.asarray(model.fit_predict(apart_FF), np.int64)


def _by_spectrum(tie_FF: _Floats, num_groups: int) -> _Groups:
    # A graph in several pieces has no spectrum to cut by, so every two classes are tied a little.
    linked_FF = tie_FF + 1e-3 * max(float(tie_FF.mean()), _LEAST)
    model = SpectralClustering(
        num_groups, affinity="precomputed", assign_labels="cluster_qr", random_state=0, eigen_solver="arpack"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few classes it says that it uses a dense solver
        try:
            return np.asarray(model.fit_predict(linked_FF), np.int64)
        except (ValueError, RuntimeError, np.linalg.LinAlgError):
            return _by_linkage(tie_FF, num_groups)


class _Parts:
    """Groups on their way to their bounds, and then to where no move of one class, or exchange of two, helps.

    Args:
        gain_LL: What two classes in one group are worth.
        start: Groups; -1 for a class that is still to be placed.
        num_groups: How many groups.
        held: Classes that stay where they are.
        bounds: Smallest and largest size of a group.
    """

    def __init__(
        self, gain_LL: _Floats, start: _Groups, num_groups: int, held: frozenset[int], bounds: tuple[int, int]
    ) -> None:
        self._gain_LL = gain_LL
        self._group_L = start.copy()
        self._num_groups = num_groups
        self._least, self._most = bounds
        self._is_free_L = np.array([place not in held for place in range(len(start))])

    def settled(self) -> _Groups:
        """The groups in the end."""
        self._place_the_rest()
        self._shrink()
        self._fill()
        for _ in range(20 * len(self._group_L)):
            if not (self._move() or self._exchange()):
                break
        return self._group_L

    def _sizes(self) -> _Groups:
        return np.bincount(self._group_L[self._group_L >= 0], minlength=self._num_groups)

    def _worth(self) -> _Floats:
        """What each class would be worth in each group, (L, E)."""
        return self._gain_LL @ (self._group_L[:, None] == np.arange(self._num_groups))

    def _better_by(self) -> _Floats:
        """What each class would gain by each group, against where it is."""
        worth_LE = self._worth()
        return worth_LE - worth_LE[np.arange(len(worth_LE)), self._group_L][:, None]

    def _place_the_rest(self) -> None:
        for place in np.flatnonzero(self._group_L < 0).tolist():
            self._group_L[place] = int(np.argmin(self._sizes()))

    def _shrink(self) -> None:
        """Classes leave groups that are too large, those that lose least by it first."""
        while True:
            sizes = self._sizes()
            leaves_L = self._is_free_L & (sizes[self._group_L] > self._most)
            if not leaves_L.any() or not (sizes < self._most).any():
                return
            self._take_best(np.where(leaves_L[:, None] & (sizes < self._most), self._better_by(), -np.inf))

    def _fill(self) -> None:
        """Classes come into groups that are too small, from groups that can spare them."""
        while True:
            sizes = self._sizes()
            spared_L = self._is_free_L & (sizes[self._group_L] > self._least)
            if not spared_L.any() or not (sizes < self._least).any():
                return
            self._take_best(np.where(spared_L[:, None] & (sizes < self._least), self._better_by(), -np.inf))

    def _move(self) -> bool:
        sizes = self._sizes()
        may_LE = (self._is_free_L & (sizes[self._group_L] > self._least))[:, None] & (sizes < self._most)
        better_LE = np.where(may_LE, self._better_by(), -np.inf)
        return bool(better_LE.max() > _LEAST) and self._take_best(better_LE)

    def _exchange(self) -> bool:
        if len(self._group_L) > _MAX_FOR_SWAPS:
            return False
        there_LL = self._better_by()[:, self._group_L]
        both_LL = there_LL + there_LL.T - 2 * self._gain_LL
        may_LL = self._is_free_L[:, None] & self._is_free_L & (self._group_L[:, None] != self._group_L)
        both_LL = np.where(may_LL, both_LL, -np.inf)
        if not both_LL.max() > _LEAST:
            return False
        one, other = np.unravel_index(int(np.argmax(both_LL)), both_LL.shape)
        self._group_L[[one, other]] = self._group_L[[other, one]]
        return True

    def _take_best(self, better_LE: _Floats) -> bool:
        place, group = np.unravel_index(int(np.argmax(better_LE)), better_LE.shape)
        self._group_L[place] = group
        return True


def _in_order(group_L: _Groups, num_groups: int, fixed_groups: set[int]) -> _Groups:
    """Groups without fixed classes by their first class, so that nothing depends on how they were found."""
    open_groups = [group for group in range(num_groups) if group not in fixed_groups]
    first = {group: int(np.argmax(group_L == group)) for group in open_groups}
    new = {group: group for group in fixed_groups}
    new |= dict(zip(sorted(open_groups, key=lambda group: first[group]), open_groups, strict=True))
    return np.array([new[group] for group in group_L.tolist()], np.int64)
