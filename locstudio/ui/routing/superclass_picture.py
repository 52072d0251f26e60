"""What the graph of superclasses shows: groups with their classes, the confusions between them, and where it lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.palette import class_color
from locstudio.services.routing.graph import ConfusionGraph, Edges, Pull
from locstudio.services.routing.graph_layout import WITHOUT, Layout

NEW = -1_000_000
"""The key of a superclass that is made by what is dropped there."""

_PLAIN = "#808080"
_NO_NAME = "Without a superclass"


@dataclass(frozen=True, slots=True)
class Group:
    """A superclass as it is shown.  ``key`` is its identity, negative in a suggestion, 0 for classes without one."""

    key: int
    name: str
    color: str
    class_ids: tuple[int, ...]

    @property
    def num_words(self) -> str:
        """How many classes it has, in words."""
        count = len(self.class_ids)
        return "no classes" if not count else "1 class" if count == 1 else f"{count} classes"


def group_color(color: str, number: int) -> str:
    """The colour of a superclass; one that nobody has given a colour has that of its place in the list."""
    return class_color(number) if color.lower() == _PLAIN else color


def without_group(class_ids: Sequence[int]) -> Group:
    """The classes that have no superclass."""
    return Group(WITHOUT, _NO_NAME, _PLAIN, tuple(class_ids))


@dataclass(frozen=True, slots=True, eq=False)
class GraphPicture:
    """Everything that is painted.

    Attributes:
        groups: In the order of the list; classes without a superclass last.
        edges: Confusions that matter, positions of ``graph``.
        pulls: Of classes that are tied more to another superclass, by class.
        is_suggestion: Nobody has taken these superclasses over yet.
        num_taken: How many images of one class the model with experts took for another, by both ids.
    """

    graph: ConfusionGraph
    groups: tuple[Group, ...]
    layout: Layout
    edges: Edges
    pulls: Mapping[int, Pull] = field(default_factory=dict)
    is_suggestion: bool = False
    num_taken: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @property
    def group_of(self) -> dict[int, int]:
        """The key of each class's group."""
        return {class_id: group.key for group in self.groups for class_id in group.class_ids}

    def group(self, key: int) -> Group | None:
        """The group with this key."""
        return next((group for group in self.groups if group.key == key), None)

    def name_of(self, class_id: int) -> str:
        """What a class is called."""
        row = self.graph.position(class_id)
        return self.graph.names[row] if row >= 0 else ""

    def centers(self) -> NDArray[np.float64]:
        """The middle of each class in the picture's pixels, float64 (L, 2), as the graph has them."""
        ids = self.graph.class_ids.tolist()
        return np.array([self.layout.center_of(class_id) for class_id in ids], np.float64).reshape(len(ids), 2)
