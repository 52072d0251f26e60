"""Superclasses before and after, read for the view that puts them side by side.  No widgets: call it on workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from locstudio.jobs.confusions import Confusion, read_confusion
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.routing.graph import ConfusionGraph
from locstudio.services.routing.graph_layout import WITHOUT, Layout, arranged
from locstudio.services.routing.graph_moving import rearranged
from locstudio.services.routing.regrouping import (
    MovedClass,
    Stand,
    matched,
    moved_classes,
    stand_of_project,
    stand_of_run,
)
from locstudio.store.project import Project
from locstudio.ui.routing.superclass_picture import GraphPicture, Group, without_group
from locstudio.ui.routing.superclass_reading import SuperclassBase

NOW = ""
"""The choice that is no run: the superclasses that the project has now."""

_NEW_FROM = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two stands, their pictures, and the classes that moved from one to the other."""

    before: Stand
    after: Stand
    pictures: tuple[GraphPicture, GraphPicture]
    moved: tuple[MovedClass, ...]


def compared(project: Project, base: SuperclassBase, before_id: str, after_id: str, aspect: float) -> Compared:
    """The superclasses of two runs (or of now), laid out so that what has not moved is in the same place.

    Raises:
        BadInput: the confusions of a run cannot be read.
    """
    before, after = (_stand(base, run_id) for run_id in (before_id, after_id))
    goes_on = matched(before, after)
    old_keys = {place: place + 1 for place in range(len(before.names))}
    new_keys = {place: goes_on.get(place, _NEW_FROM + place) + 1 for place in range(len(after.names))}
    one = _picture(project, base, before, before_id, old_keys, None, aspect)
    other = _picture(project, base, after, after_id, new_keys, one.layout, aspect)
    return Compared(before, after, (one, other), tuple(moved_classes(before, after)))


def first_choice(base: SuperclassBase) -> tuple[str, str]:
    """What is compared while nobody has chosen: the newest run with the project as it is now, or with the run before.

    Where the project has no superclasses of its own, or those of the newest run, the last two runs.
    """
    ids = [run.id for run in base.runs]
    newest = base.runs[0].header if base.runs else None
    is_other = newest is not None and bool(moved_classes(stand_of_run(newest), stand_of_project(base.grouping)))
    if base.grouping.is_own and is_other:
        return ids[0], NOW
    return (ids[1], ids[0]) if len(ids) > 1 else (ids[0] if ids else NOW, NOW)


def _stand(base: SuperclassBase, run_id: str) -> Stand:
    run = next((run for run in base.runs if run.id == run_id), None)
    return stand_of_run(run.header) if run is not None else stand_of_project(base.grouping)


def _picture(
    project: Project,
    base: SuperclassBase,
    stand: Stand,
    run_id: str,
    keys: Mapping[int, int],
    old: Layout | None,
    aspect: float,
) -> GraphPicture:
    colors = {each.name: each.color for each in base.seen.superclasses}
    members: dict[int, list[int]] = {place: [] for place in keys}
    without: list[int] = []
    for entry in base.grouping.classes:
        place = stand.members.get(entry.id)
        (without if place is None else members[place]).append(entry.id)
    groups = [
        _group(keys[place], stand.names[place], colors, members[place]) for place in sorted(keys, key=keys.__getitem__)
    ]
    groups += [without_group(without)] if without else []
    confusion: Confusion | None = base.confusion
    if run_id and (confusion is None or confusion.header.run_id != run_id):
        confusion = read_confusion(RunFolder(project.runs / run_id).results)
    graph = ConfusionGraph.of(base.grouping.classes, confusion)
    by_key = {group.key: group.class_ids for group in groups}
    by_key.setdefault(WITHOUT, ())
    layout = arranged(graph, by_key, aspect) if old is None else rearranged(old, graph, by_key)
    return GraphPicture(graph, tuple(groups), layout, graph.edges())


def _group(key: int, name: str, colors: Mapping[str, str], class_ids: Sequence[int]) -> Group:
    return Group(key, name, colors.get(name, "#808080"), tuple(class_ids))
