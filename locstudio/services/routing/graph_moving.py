"""Where the classes of a confusion graph are drawn after an edit: what has not been moved stays where it is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from locstudio.services.routing.graph import ConfusionGraph
from locstudio.services.routing.graph_layout import GAP, WITHOUT, Area, Groups, Layout, shape_for, slot_width_for


def rearranged(old: Layout, graph: ConfusionGraph, groups: Groups) -> Layout:
    """The layout after an edit: what has not been moved stays where it is.

    A class that came into an area takes the free slot nearest to what it is confused with; an area without a free one
    grows by a row, and what lies in its way goes down.  A new superclass finds a place beside the others.
    """
    old = _with_keys_of(old, groups)
    areas = {key: area for key, area in old.areas.items() if key in groups and (key != WITHOUT or groups[key])}
    slots: dict[int, tuple[int, int]] = {}
    for key in groups:
        if key not in areas and (key != WITHOUT or groups[key]):
            areas[key] = _place_for(areas, key, groups[key], old, graph)
    for key, area in areas.items():
        stays = [class_id for class_id in groups[key] if old.slots.get(class_id, (None, 0))[0] == key]
        comes = [class_id for class_id in sorted(groups[key]) if class_id not in set(stays)]
        taken = {old.slots[class_id][1] for class_id in stays}
        slots |= {class_id: old.slots[class_id] for class_id in stays}
        for class_id in comes:
            if len(taken) >= area.num_slots:
                area = replace(area, rows=area.rows + 1)
            slot = _nearest_free(area, taken, class_id, groups[key], slots, graph)
            taken.add(slot)
            slots[class_id] = (key, slot)
        areas[key] = area
    return Layout(_pushed(areas, old.areas), slots)


def landing_slots(layout: Layout, graph: ConfusionGraph, group: int, class_ids: Sequence[int]) -> tuple[int, ...]:
    """The slots of an area that these classes would take if they came into it; fewer where it must grow for them."""
    area = layout.areas[group]
    slots = {class_id: place for class_id, place in layout.slots.items() if place[0] == group}
    taken, found = {slot for _, slot in slots.values()}, []
    for class_id in sorted(set(class_ids) - set(slots)):
        if len(taken) >= area.num_slots:
            break
        slot = _nearest_free(area, taken, class_id, list(slots), slots, graph)
        taken.add(slot)
        slots[class_id] = (group, slot)
        found.append(slot)
    return tuple(found)


def _with_keys_of(old: Layout, groups: Groups) -> Layout:
    """The old layout, whose areas have got the keys of the groups that now have most of their classes."""
    gone = [key for key in old.areas if key not in groups and key != WITHOUT]
    new = [key for key in groups if key not in old.areas and key != WITHOUT]
    if not gone or not new:
        return old
    members = {key: {class_id for class_id, (group, _) in old.slots.items() if group == key} for key in gone}
    renamed: dict[int, int] = {}
    for key in new:
        own = set(groups[key])
        left = [each for each in gone if each not in renamed]
        best = max(left, key=lambda each: len(members[each] & own), default=None)
        if best is not None and 2 * len(members[best] & own) > len(own):
            renamed[best] = key
    areas = {renamed.get(key, key): replace(area, group=renamed.get(key, key)) for key, area in old.areas.items()}
    slots = {class_id: (renamed.get(group, group), slot) for class_id, (group, slot) in old.slots.items()}
    return Layout(areas, slots)


def _nearest_free(
    area: Area,
    taken: set[int],
    class_id: int,
    members: Sequence[int],
    slots: Mapping[int, tuple[int, int]],
    graph: ConfusionGraph,
) -> int:
    """The free slot nearest to the classes of the area that this one is confused with; else the first free one."""
    free = [slot for slot in range(area.num_slots) if slot not in taken]
    row = graph.position(class_id)
    others = [other for other in members if other in slots and other != class_id and graph.position(other) >= 0]
    if row < 0 or not others:
        return free[0]
    ties = graph.strengths_LL[row, [graph.position(other) for other in others]].astype(np.float64)
    if ties.sum() <= 0:
        return free[0]
    at = np.array([area.slot_center(slots[other][1]) for other in others])
    wanted = (ties[:, None] * at).sum(axis=0) / ties.sum()
    return min(free, key=lambda slot: (math.dist(area.slot_center(slot), wanted.tolist()), slot))


def _place_for(areas: Mapping[int, Area], key: int, ids: Sequence[int], old: Layout, graph: ConfusionGraph) -> Area:
    """Where a new area finds room without moving another: the free place nearest to where its classes come from."""
    sizes = [area.slot_width for area in old.areas.values()]
    slot_width = max(sizes, default=slot_width_for(graph, ids))
    shape = replace(shape_for(len(ids), max(2, round(math.sqrt(2 * len(ids) + 2))), slot_width), group=key)
    if not areas:
        return shape
    known = [old.center_of(class_id) for class_id in ids if class_id in old.slots]
    left, top, width, height = Layout(areas, {}).bounds()
    wanted = np.mean(known, axis=0).tolist() if known else [left + width / 2, top + height]
    spots = [(left + width + GAP, top), (left, top + height + GAP)]
    if key == WITHOUT:
        return replace(shape, x=left, y=top + height + GAP)  # below all others, as when everything is laid out
    for area in areas.values():
        right, bottom = area.x + area.width + GAP, area.y + area.height + GAP
        spots += [(right, area.y), (area.x, bottom), (area.x - shape.width - GAP, area.y)]
        spots += [(area.x, area.y - shape.height - GAP)]
    free = []
    for x, y in spots:
        put = replace(shape, x=x, y=y)
        if not any(put.overlaps(area) for area in areas.values()):
            grown = _grown(put, left, top, width, height)
            free.append((grown * 3 + math.dist(put.center, wanted), put))
    return min(free, key=lambda each: (each[0], each[1].y, each[1].x))[1]


def _grown(put: Area, left: float, top: float, width: float, height: float) -> float:
    """By how much the whole picture would grow, in width and height."""
    right, bottom = max(left + width, put.x + put.width), max(top + height, put.y + put.height)
    return (right - min(left, put.x) - width) + (bottom - min(top, put.y) - height)


def _pushed(areas: dict[int, Area], old: Mapping[int, Area]) -> dict[int, Area]:
    """Move down what lies in the way of an area that has grown, and what lies in the way of that."""
    waiting = [key for key, area in areas.items() if key not in old or old[key] != area]
    settled = dict(areas)
    for _ in range(len(areas) ** 2 + 1):
        if not waiting:
            break
        moving = settled[waiting.pop(0)]
        for key, area in sorted(settled.items()):
            if key != moving.group and area.y >= moving.y and moving.overlaps(area):
                settled[key] = replace(area, y=moving.y + moving.height + GAP)
                waiting.append(key)
    return settled
