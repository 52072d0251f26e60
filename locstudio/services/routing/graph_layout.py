"""Where the classes of a confusion graph are drawn: superclasses as areas in shelves, their classes in staggered rows.

What is confused lies close together: areas beside each other, classes side by side within their area.  Nothing is
random, so the same confusions give the same picture; after an edit the rest stays where it is (`graph_moving`).

Lengths are pixels of the picture at its natural size.  Axes: n = classes of an area, L = classes, G = areas.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.services.routing.graph import ConfusionGraph

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Groups = Mapping[int, Sequence[int]]
"""The classes of each superclass, by its key; 0 is the key of those without one."""

WITHOUT = 0
ROW_HEIGHT = 28.0
PAD = 12.0
HEAD = 34.0
GAP = 18.0
_SLACK = 0.01
_SHIFT = 0.28  # of a slot, every other row
_PER_LETTER = 6.6
_AROUND_NAME = 30.0
_SLOTS = (72.0, 132.0)
_LEAST_WIDTH = 132.0
_SPARE = 1
_ONE_COLUMN = 3  # classes; more are never one long column
_ASPECT = 1.5
_SWEEPS = 6
_MOST_ORDERED = 24
_SWAP_FROM = 1e-9


@dataclass(frozen=True, slots=True)
class Area:
    """The place of a superclass: a rectangle with its name on top, and slots for classes in rows below."""

    group: int
    x: float
    y: float
    columns: int
    rows: int
    slot_width: float

    @property
    def width(self) -> float:
        """From edge to edge."""
        shift = _SHIFT if self.rows > 1 else 0.0
        return max(_LEAST_WIDTH, 2 * PAD + (self.columns + shift) * self.slot_width)

    @property
    def height(self) -> float:
        """From edge to edge."""
        return HEAD + self.rows * ROW_HEIGHT + PAD

    @property
    def center(self) -> tuple[float, float]:
        """Its middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def num_slots(self) -> int:
        """How many classes it has room for."""
        return self.columns * self.rows

    def slot_center(self, slot: int) -> tuple[float, float]:
        """The middle of one of its slots."""
        row, column = divmod(slot, self.columns)
        shift = _SHIFT * (row % 2) if self.rows > 1 else 0.0
        across = (self.columns + (_SHIFT if self.rows > 1 else 0.0)) * self.slot_width
        left = self.x + (self.width - across) / 2
        return left + (column + 0.5 + shift) * self.slot_width, self.y + HEAD + (row + 0.5) * ROW_HEIGHT

    def overlaps(self, other: "Area") -> bool:
        """Whether two areas are closer than their gap."""
        return (
            self.x + _SLACK < other.x + other.width + GAP
            and other.x + _SLACK < self.x + self.width + GAP
            and self.y + _SLACK < other.y + other.height + GAP
            and other.y + _SLACK < self.y + self.height + GAP
        )


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Areas by the key of their superclass, and the area and slot of each class by its id."""

    areas: Mapping[int, Area]
    slots: Mapping[int, tuple[int, int]]

    def center_of(self, class_id: int) -> tuple[float, float]:
        """The middle of a class.

        Raises:
            KeyError: the layout does not have it.
        """
        group, slot = self.slots[class_id]
        return self.areas[group].slot_center(slot)

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of everything."""
        if not self.areas:
            return 0.0, 0.0, 1.0, 1.0
        areas = self.areas.values()
        left, top = min(a.x for a in areas), min(a.y for a in areas)
        right, bottom = max(a.x + a.width for a in areas), max(a.y + a.height for a in areas)
        return left, top, right - left, bottom - top


# anew ---------------------------------------------------------------------------------------------------------------


def arranged(graph: ConfusionGraph, groups: Groups, aspect: float = _ASPECT) -> Layout:
    """Everything from the beginning, for a picture whose width is ``aspect`` times its height."""
    keys = [key for key in groups if key != WITHOUT]
    orders = {key: _in_order(graph, groups[key]) for key in groups}
    slot_width = slot_width_for(graph, [class_id for ids in groups.values() for class_id in ids])
    ties_GG = _ties_between(graph, [groups[key] for key in keys])
    keys = [keys[place] for place in _chain(ties_GG).tolist()]
    ties_GG = _ties_between(graph, [groups[key] for key in keys])
    shapes, num_shelves = _best_shapes([len(groups[key]) for key in keys], slot_width, aspect)
    order = _swapped_order(ties_GG, shapes, num_shelves)
    areas = {
        keys[place]: replace(area, group=keys[place])
        for place, area in zip(order, _packed([shapes[place] for place in order], num_shelves), strict=True)
    }
    if groups.get(WITHOUT):
        areas[WITHOUT] = _below(areas, len(groups[WITHOUT]), slot_width, aspect)
    slots = {}
    for key, ids in orders.items():
        if key in areas:
            for class_id, slot in zip(ids, _slots_for(graph, ids, areas[key]), strict=True):
                slots[class_id] = (key, slot)
    return Layout(areas, slots)


def slot_width_for(graph: ConfusionGraph, class_ids: Sequence[int]) -> float:
    """Room for the names of nine in ten classes; longer ones are cut short where they are painted."""
    rows = [row for row in map(graph.position, class_ids) if row >= 0]
    lengths = [len(graph.names[row]) for row in rows]
    wanted = float(np.quantile(lengths, 0.9)) * _PER_LETTER + _AROUND_NAME if lengths else 0.0
    return float(min(max(wanted, _SLOTS[0]), _SLOTS[1]))


def shape_for(num: int, most_rows: int, slot_width: float) -> Area:
    """An area for so many classes and one more, no higher than so many rows (two at least)."""
    wanted = max(1, num + _SPARE)
    columns = max(-(-wanted // most_rows), 2 if num > _ONE_COLUMN else 1)
    return Area(0, 0.0, 0.0, columns, max(2, -(-wanted // columns)), slot_width)


def _best_shapes(sizes: Sequence[int], slot_width: float, aspect: float) -> tuple[list[Area], int]:
    """Areas for so many classes each, and the number of shelves, so that all can be shown as large as possible."""
    best: tuple[float, list[Area], int] = (0.0, [], 1)
    for most_rows in range(2, max(3, min(60, max(sizes, default=1) + _SPARE + 1))):
        shapes = [shape_for(size, most_rows, slot_width) for size in sizes]
        for num_shelves in range(1, min(len(sizes), 30) + 1):
            packed = _packed(shapes, num_shelves)
            width = max(area.x + area.width for area in packed)
            height = max(area.y + area.height for area in packed)
            scale = min(aspect / width, 1 / height)
            if scale > best[0] * 1.001:
                best = scale, shapes, num_shelves
    return best[1], best[2]


def _packed(shapes: Sequence[Area], num_shelves: int) -> list[Area]:
    """The areas in this order on shelves of about the same width; every other shelf runs from right to left."""
    target = sum(area.width + GAP for area in shapes) / max(1, num_shelves)
    shelves: list[list[Area]] = [[]]
    filled = done = 0.0
    for area in shapes:
        middle = done + (area.width + GAP) / 2
        if shelves[-1] and len(shelves) < num_shelves and middle > target * len(shelves):
            shelves.append([])
        shelves[-1].append(area)
        done += area.width + GAP
    widest = max((sum(area.width + GAP for area in shelf) - GAP for shelf in shelves if shelf), default=0.0)
    placed: list[Area] = []
    for number, shelf in enumerate(shelves):
        own = sum(area.width + GAP for area in shelf) - GAP
        x = (widest - own) / 2
        ordered = shelf if number % 2 == 0 else shelf[::-1]
        put = []
        for area in ordered:
            put.append(replace(area, x=x, y=filled))
            x += area.width + GAP
        placed += put if number % 2 == 0 else put[::-1]
        filled += max((area.height for area in shelf), default=0.0) + GAP
    return placed


def _ties_between(graph: ConfusionGraph, groups: Sequence[Sequence[int]]) -> Floats:
    """How much superclasses are confused with each other, float64 (G, G), the diagonal zero."""
    is_in_LG = np.zeros((len(graph), len(groups)), np.float32)
    for place, ids in enumerate(groups):
        rows = [row for row in map(graph.position, ids) if row >= 0]
        is_in_LG[rows, place] = 1
    ties_GG = (is_in_LG.T @ graph.strengths_LL @ is_in_LG).astype(np.float64)
    np.fill_diagonal(ties_GG, 0)
    return ties_GG


def _swapped_order(ties_GG: Floats, shapes: Sequence[Area], num_shelves: int) -> list[int]:
    """An order of the areas in which those that are confused lie close, found by swapping two at a time."""
    order = list(range(len(shapes)))
    if len(shapes) < 3 or len(shapes) > _MOST_ORDERED:
        return order
    least = _spread(ties_GG, shapes, order, num_shelves)
    for _ in range(_SWEEPS):
        before = least
        for first in range(len(order)):
            for second in range(first + 1, len(order)):
                order[first], order[second] = order[second], order[first]
                cost = _spread(ties_GG, shapes, order, num_shelves)
                if cost < least - _SWAP_FROM:
                    least = cost
                else:
                    order[first], order[second] = order[second], order[first]
        if least >= before - _SWAP_FROM:
            break
    return order


def _spread(ties_GG: Floats, shapes: Sequence[Area], order: Sequence[int], num_shelves: int) -> float:
    """How far apart lies what is confused, and how large the whole is."""
    packed = _packed([shapes[place] for place in order], num_shelves)
    centers_G2 = np.array([area.center for area in packed])
    ties = ties_GG[np.ix_(order, order)]
    apart_GG = np.hypot(*(centers_G2[:, None] - centers_G2[None, :]).transpose(2, 0, 1))
    size = max(area.x + area.width for area in packed) + max(area.y + area.height for area in packed)
    return float((ties * apart_GG).sum() / max(1e-9, ties.sum())) + 0.5 * size


def _below(areas: Mapping[int, Area], num: int, slot_width: float, aspect: float) -> Area:
    """An area under all others, as wide as they are together, for what has no superclass."""
    right = max((area.x + area.width for area in areas.values()), default=0.0)
    bottom = max((area.y + area.height + GAP for area in areas.values()), default=0.0)
    if areas:
        columns = max(1, int((right - 2 * PAD) / slot_width - _SHIFT))
    else:
        columns = max(1, round(math.sqrt((num + _SPARE) * aspect * ROW_HEIGHT / slot_width)))
    columns = min(columns, num + _SPARE)
    return Area(WITHOUT, 0.0, bottom, columns, max(1, -(-(num + _SPARE) // columns)), slot_width)


# within an area -----------------------------------------------------------------------------------------------------


def _chain(strengths: NDArray[np.floating]) -> Places:
    """An order in which each stands beside what it is confused with: always the one tied most to the last three."""
    num = len(strengths)
    if num < 3:
        return np.arange(num, dtype=np.int64)
    chain = [int(np.argmax(strengths.sum(axis=1)))]
    is_left = np.ones(num, bool)
    is_left[chain[0]] = False
    weights = np.array([1.0, 0.5, 0.25])
    while len(chain) < num:
        recent = chain[-1:-4:-1]
        ties = weights[: len(recent)] @ strengths[recent]
        chain.append(int(np.argmax(np.where(is_left, ties, -1.0))))
        is_left[chain[-1]] = False
    return np.array(chain, np.int64)


def _in_order(graph: ConfusionGraph, ids: Sequence[int]) -> list[int]:
    known = sorted(ids)
    rows = np.array([graph.position(class_id) for class_id in known], np.int64)
    return [known[place] for place in _chain(_strengths_of(graph, rows)).tolist()]


def _strengths_of(graph: ConfusionGraph, rows: Places) -> Floats:
    """Strengths between classes of these positions; a class without one has none."""
    if not len(graph) or not len(rows):
        return np.zeros((len(rows), len(rows)))
    strengths = graph.strengths_LL[np.ix_(rows, rows)].astype(np.float64)
    strengths[rows < 0] = 0
    strengths[:, rows < 0] = 0
    return strengths


def _slots_for(graph: ConfusionGraph, ids: Sequence[int], area: Area) -> list[int]:
    """A slot for each class, so that what is confused lies close: pairs are swapped while that helps."""
    num = len(ids)
    rows = np.array([graph.position(class_id) for class_id in ids], np.int64)
    strengths = _strengths_of(graph, rows)
    slots = np.array(_snake(num, area.columns), np.int64)
    at_n2 = np.array([area.slot_center(slot) for slot in slots.tolist()]).reshape(num, 2)
    at_n2 = at_n2 * [1.0, 2.0]  # a row is less than half as high as a slot is wide, and as near to the eye
    degrees = strengths.sum(axis=1)
    for _ in range(_SWEEPS):
        num_swaps = 0
        pulled_n2 = strengths @ at_n2
        for i in range(num - 1):
            delta = _gain_of_swaps(strengths, degrees, at_n2, pulled_n2, i)
            delta[: i + 1] = 0.0
            j = int(np.argmin(delta))
            if delta[j] < -_SWAP_FROM * max(1.0, abs(float(at_n2[i] @ at_n2[i]))):
                step = at_n2[j] - at_n2[i]
                pulled_n2 += np.outer(strengths[:, i] - strengths[:, j], step)
                at_n2[[i, j]] = at_n2[[j, i]]
                slots[[i, j]] = slots[[j, i]]
                num_swaps += 1
        if not num_swaps:
            break
    return [int(slot) for slot in slots]


def _gain_of_swaps(strengths: Floats, degrees: Floats, at_n2: Floats, pulled_n2: Floats, i: int) -> Floats:
    """How much the sum of strength times squared distance changes when class ``i`` swaps with each other one."""
    size_n = (at_n2**2).sum(axis=1)
    other = degrees[i] * (size_n - size_n[i]) - 2 * (at_n2 - at_n2[i]) @ pulled_n2[i]
    own = degrees * (size_n[i] - size_n) - 2 * ((at_n2[i] - at_n2) * pulled_n2).sum(axis=1)
    apart_n = ((at_n2 - at_n2[i]) ** 2).sum(axis=1)
    gain: Floats = other + own + 2 * strengths[i] * apart_n
    return gain


def _snake(num: int, columns: int) -> list[int]:
    """Slots row by row, every other row from right to left; the last row is filled from the left."""
    slots: list[int] = []
    for start in range(0, num, columns):
        row = list(range(start, min(start + columns, num)))
        slots += row[::-1] if (start // columns) % 2 else row
    return slots
