"""Which superclasses a Mobile V-MoE is taught: a person's, those of the checkpoint that it goes on from, or clusters.

Axes: L = classes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.jobs.configs import VmoeTraining
from locstudio.jobs.vmoe_config import VmoeConfig, usual_num_experts
from trainer.clusters import names_of_groups, superclasses_of
from trainer.recipes.vmoe_lesson import VmoeLesson, listed


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Superclasses: their names, the place of each class's, and who has made them."""

    names: tuple[str, ...]
    group_L: NDArray[np.int64]
    origin: Literal["clusters", "person"]


@dataclass(frozen=True, slots=True)
class Known:
    """Superclasses that are there before anything is learnt: names, and the place of each class that has one."""

    names: tuple[str, ...]
    group_of: Mapping[int, int]
    is_of_person: bool

    @classmethod
    def of(cls, lesson: VmoeLesson, base: VmoeConfig | None) -> "Known":
        """The person's; where she has none those of the checkpoint that the run goes on from."""
        own = lesson.superclasses
        if own.names or base is None or not base.superclasses:
            return cls(own.names, own.group_of, is_of_person=True)
        home = dict(zip(base.classes, base.superclass_of, strict=True))
        found = {at: home[name] for at, name in enumerate(lesson.table.class_names) if name in home}
        used = sorted(set(found.values()))
        names = tuple(base.superclasses[group] for group in used)
        return cls(names, {at: used.index(group) for at, group in found.items()}, is_of_person=False)


def num_experts_of(
    lesson: VmoeLesson, training: VmoeTraining, known: Known, note: Callable[[str], object] = lambda _: None
) -> int:
    """How many experts there will be.

    Raises:
        BadInput: the person has one superclass, and nobody says how many more there shall be.
    """
    num_shown = int((lesson.num_learnt_L > 0).sum())
    is_taught = training.routing in ("superclass", "oracle")
    if is_taught and known.names:
        if len(known.names) == 1 and training.num_experts <= 1:
            raise BadInput(
                f"The project has one superclass, {known.names[0]}, so there would be one expert and nothing to "
                "choose: make another superclass, or take this one away so that superclasses are found."
            )
        if training.num_experts and training.num_experts < len(known.names):
            note(
                f"There are {len(known.names)} superclasses, so there are {len(known.names)} experts instead of "
                f"{training.num_experts}."
            )
        wanted = max(training.num_experts, len(known.names))
        num_free = sum(1 for place in range(len(lesson.table.class_names)) if place not in known.group_of)
        most = len(known.names) + num_free
    else:
        wanted = training.num_experts or usual_num_experts(num_shown)
        most = num_shown
    if wanted > most:
        note(f"There are only classes for {most} experts, so there are {most} instead of {wanted}.")
    return min(wanted, most)


def needs_confusion(lesson: VmoeLesson, training: VmoeTraining, known: Known, num_experts: int) -> bool:
    """Whether superclasses are still to be found."""
    if training.routing not in ("superclass", "oracle"):
        return False
    has_all = all(place in known.group_of for place in range(len(lesson.table.class_names)))
    return not has_all or num_experts > len(known.names)


def group_classes(
    counts_LL: NDArray[np.floating],
    class_names: tuple[str, ...],
    known: Known,
    *,
    num_groups: int,
    max_share: float,
) -> Groups:
    """The superclasses of a run, given what its dense twin confuses; those that are known stay as they are.

    A cluster has at least half as many classes as it would have if all had the same: an expert of one class that few
    images show would learn next to nothing, and be asked as rarely.

    Args:
        counts_LL: How much of each class (row) was taken for another.
        class_names: Names of the classes.
        known: What is there already.
        num_groups: How many there shall be.
        max_share: No cluster has more classes than this share of them, at least two.
    """
    num_classes = len(class_names)
    group_L = superclasses_of(
        counts_LL,
        num_groups,
        max(2, math.ceil(max_share * num_classes)),
        known.group_of,
        min_size=max(2, -(-num_classes // (2 * num_groups))),
    )
    found = names_of_groups(counts_LL, group_L.tolist(), class_names)
    names = list(known.names)
    for name in found[len(names) :]:
        names.append(_free_name(name, names))
    is_own = known.is_of_person and bool(known.names)
    return Groups(tuple(names), group_L, "person" if is_own else "clusters")


def sentence_about(groups: Groups, known: Known, class_names: tuple[str, ...]) -> str:
    """What superclasses the run uses, for the person."""
    if not known.names:
        return f"Superclasses: {len(groups.names)} were found in what the dense twin confuses."
    whose = "the project's" if known.is_of_person else "the checkpoint's"
    text = f"Superclasses: {whose} {len(known.names)} as they were when the run was made"
    placed = [
        f"{class_names[place]} to {groups.names[group]}"
        for place, group in enumerate(groups.group_L.tolist())
        if place not in known.group_of
    ]
    if not placed:
        return f"{text}."
    more = len(groups.names) - len(known.names)
    new = f", and {more} new ones" if more else ""
    what = "One class had none" if len(placed) == 1 else f"{len(placed)} classes had none"
    return f"{text}{new}. {what} and went by what it is confused with: {listed(placed)}."


def _free_name(wanted: str, taken: list[str]) -> str:
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted} {number}"
    return name
