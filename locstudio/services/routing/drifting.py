"""Which images went to another expert once there was a new checkpoint.  Axes: M = images of both tables, E = experts.

The number of an expert says nothing across trainings, so experts are matched first: by the name of their superclass
where both routers were taught one, what is left by how many images they share, the most first.  An image has moved
when it went to another expert than the one that its old one is matched with.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locstudio.jobs.routing import RoutingTable
from locstudio.services.routing.book import NO_ONE, is_taught


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """The images of both tables, those that have changed most first.

    Attributes:
        image_ids: (M,).
        old_expert, new_expert: First choices of the first router, int16 (M,).
        matched: The new expert of each old one, -1 where it has none, (E_old,).
        is_moved: Whether an image went elsewhere, bool (M,).
        distance: Half the absolute difference of the two distributions over matched experts, in [0, 1]; where the
            numbers of experts differ, 1 for what has moved and 0 for what has not, float32 (M,).
        is_renamed: The likeliest class is another one, bool (M,).
        matrix: How many images went from each old expert to each new one, int64 (E_old, E_new).
        num_only_old, num_only_new: Images of one table alone.
        num_replaced: Images whose file was another one, which are left out.
    """

    image_ids: NDArray[np.int64]
    old_expert: NDArray[np.int16]
    new_expert: NDArray[np.int16]
    matched: NDArray[np.int16]
    is_moved: NDArray[np.bool_]
    distance: NDArray[np.float32]
    is_renamed: NDArray[np.bool_]
    matrix: NDArray[np.int64]
    num_only_old: int
    num_only_new: int
    num_replaced: int

    def images_of_cell(self, old: int | None, new: int | None) -> NDArray[np.int64]:
        """The images that went from one expert to another, in this order; None for any."""
        is_meant = np.ones(len(self.image_ids), np.bool_)
        if old is not None:
            is_meant &= self.old_expert == old
        if new is not None:
            is_meant &= self.new_expert == new
        return self.image_ids[is_meant]


def drift(old: RoutingTable, new: RoutingTable) -> Drift:
    """What has changed from one table to another."""
    image_ids, old_rows, new_rows = np.intersect1d(
        old.image_ids, new.image_ids, assume_unique=True, return_indices=True
    )
    then, now = old.contents[old_rows], new.contents[new_rows]
    is_same = ~((then != now).any(axis=1) & then.any(axis=1) & now.any(axis=1))
    num_shared = len(image_ids)
    image_ids, old_rows, new_rows = image_ids[is_same], old_rows[is_same], new_rows[is_same]
    old_M, new_M = old.experts[old_rows, 0, 0], new.experts[new_rows, 0, 0]
    num_old, num_new = old.header.num_experts, new.header.num_experts
    keys = old_M.astype(np.int64) * num_new + new_M
    matrix = np.bincount(keys, minlength=num_old * num_new).reshape(num_old, num_new)
    matched = _matched(old, new, matrix)
    is_moved = matched[old_M] != new_M
    distance = _distance(old, new, old_rows, new_rows, matched, is_moved)
    is_renamed = _places_in(new, old)[old.predicted[old_rows]] != new.predicted[new_rows]
    order = np.lexsort((~is_renamed, -distance, ~is_moved))
    return Drift(
        image_ids=image_ids[order],
        old_expert=old_M[order],
        new_expert=new_M[order],
        matched=matched,
        is_moved=is_moved[order],
        distance=distance[order],
        is_renamed=is_renamed[order],
        matrix=matrix,
        num_only_old=len(old) - num_shared,
        num_only_new=len(new) - num_shared,
        num_replaced=num_shared - len(image_ids),
    )


def _matched(old: RoutingTable, new: RoutingTable, matrix: NDArray[np.int64]) -> NDArray[np.int16]:
    found = np.full(len(matrix), NO_ONE, np.int16)
    left = matrix.astype(np.float64).copy()
    old_names, new_names = _expert_names(old), _expert_names(new)
    for expert, name in enumerate(old_names):
        if name and old_names.count(name) == 1 and new_names.count(name) == 1:
            found[expert] = new_names.index(name)
            left[expert], left[:, found[expert]] = -1, -1
    for _ in range(min(left.shape)):
        expert, other = divmod(int(left.argmax()), left.shape[1])
        if left[expert, other] <= 0:
            break
        found[expert] = other
        left[expert], left[:, other] = -1, -1
    return found


def _expert_names(table: RoutingTable) -> list[str]:
    header = table.header
    if not is_taught(header):
        return [""] * header.num_experts
    return [name.strip().casefold() for name in header.superclass_names]


def _distance(
    old: RoutingTable,
    new: RoutingTable,
    old_rows: NDArray[np.int64],
    new_rows: NDArray[np.int64],
    matched: NDArray[np.int16],
    is_moved: NDArray[np.bool_],
) -> NDArray[np.float32]:
    if old.header.num_experts != new.header.num_experts:
        return is_moved.astype(np.float32)
    places = matched.astype(np.int64)
    spare = np.setdiff1d(np.arange(len(places)), places)
    places[places == NO_ONE] = spare  # of those that share no image any will do
    then_ME = old.probabilities[old_rows, 0].astype(np.float32)
    now_ME = new.probabilities[new_rows, 0].astype(np.float32)[:, places]
    found: NDArray[np.float32] = np.clip(np.abs(then_ME - now_ME).sum(axis=1) / 2, 0, 1)
    return found


def _places_in(new: RoutingTable, old: RoutingTable) -> NDArray[np.int32]:
    """Where each class of the old table is in the new one, by name; -1 for a class that it has not, and for none."""
    places = {name: position for position, name in enumerate(new.header.class_names)}
    return np.array([*(places.get(name, -2) for name in old.header.class_names), -1], np.int32)
