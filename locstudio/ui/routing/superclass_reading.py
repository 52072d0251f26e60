"""What the editor of superclasses shows, read from runs and the dataset.  No widgets: call it on workers."""

import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import Edit
from locstudio.domain.errors import BadInput, TooNew, UserError
from locstudio.jobs.confusions import Confusion, ConfusionHeader, has_confusion, read_confusion
from locstudio.jobs.routing import has_routing, read_routing
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import living_mark
from locstudio.services.routing.graph import ConfusionGraph
from locstudio.services.routing.graph_layout import WITHOUT, Layout, arranged
from locstudio.services.routing.graph_moving import rearranged
from locstudio.services.runs_of import run_folders
from locstudio.services.superclasses import Grouping, joined, read_grouping, regrouped, taken_over
from locstudio.store.dataset import Dataset, open_snapshot
from locstudio.store.project import Project
from locstudio.ui.routing.superclass_picture import GraphPicture, Group, without_group

Act = Callable[[Grouping, Callable[[int], int | None]], Edit]
"""Makes an edit of a grouping; its second argument turns the key of a superclass that is shown into its identity."""

_OLDER = (
    "A training goes on with the older superclasses. It is not disturbed: what you change is used by the next training."
)


@dataclass(frozen=True, slots=True)
class SuperclassRun:
    """A run that has measured what its dense twin confuses."""

    id: str
    title: str
    header: ConfusionHeader


@dataclass(frozen=True, slots=True, eq=False)
class SuperclassBase:
    """What superclasses are made of.

    Attributes:
        runs: That have measured confusions, newest first.
        confusion: Of the run that is shown; None while there is none.
        grouping: The project's own superclasses.
        seen: The grouping that is shown: the project's own, else what the run suggests; its new superclasses have
            negative identities.
        running: A sentence where a training goes on that other superclasses were given to.
        problem: A sentence where confusions of a newer run cannot be read.
        num_taken: How many images of one class the run's model with experts took for another, by both ids.
    """

    runs: tuple[SuperclassRun, ...]
    confusion: Confusion | None
    grouping: Grouping
    seen: Grouping
    running: str = ""
    problem: str = ""
    num_taken: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @property
    def run(self) -> SuperclassRun | None:
        """The run whose confusions are shown."""
        run_id = self.confusion.header.run_id if self.confusion is not None else ""
        return next((run for run in self.runs if run.id == run_id), None)

    @property
    def is_suggestion(self) -> bool:
        """Whether nobody has taken over what is shown."""
        return self.seen is not self.grouping


def read_base(project: Project, dataset: Dataset, run_id: str = "") -> SuperclassBase:
    """Confusions of this run, or of the newest, with the project's superclasses."""
    runs, confusions, problem = [], {}, ""
    for folder in reversed(run_folders(project)):
        if has_confusion(folder.results):
            try:
                confusion = read_confusion(folder.results)
                confusion = Confusion(replace_run(confusion.header, folder.id), confusion.counts)
                runs.append(SuperclassRun(folder.id, folder.config().title, confusion.header))
                confusions[folder.id] = confusion
            except (BadInput, TooNew) as error:
                problem = problem or ("" if runs else str(error))
    chosen = confusions.get(run_id) or next(iter(confusions.values()), None)
    grouping = read_grouping(dataset)
    running = _running(project, grouping)
    taken = _num_taken(project, chosen.header.run_id) if chosen is not None else {}
    return SuperclassBase(tuple(runs), chosen, grouping, _seen(grouping, chosen), running, problem, taken)


def _num_taken(project: Project, run_id: str) -> dict[tuple[int, int], int]:
    """How many images of one class the run's model took for another; empty where it kept no list of its images."""
    results = RunFolder(project.runs / run_id).results
    if not has_routing(results):
        return {}
    try:
        table = read_routing(results)
    except (BadInput, TooNew):
        return {}
    ids = np.array(table.header.class_ids, np.int64)
    is_wrong_N = (table.truth >= 0) & (table.predicted >= 0) & (table.truth != table.predicted)
    pairs_N2 = np.stack([ids[table.truth[is_wrong_N]], ids[table.predicted[is_wrong_N]]], axis=1)
    found, counts = np.unique(pairs_N2, axis=0, return_counts=True)
    return {(int(first), int(second)): int(num) for (first, second), num in zip(found, counts, strict=True)}


def replace_run(header: ConfusionHeader, run_id: str) -> ConfusionHeader:
    """The header under the identity of the folder that it lies in, which a person may have renamed."""
    if header.run_id == run_id:
        return header
    fields = {name: getattr(header, name) for name in header.__struct_fields__}
    return ConfusionHeader(**(fields | {"run_id": run_id}))


def with_grouping(base: SuperclassBase, project: Project, dataset: Dataset) -> SuperclassBase:
    """The same after an edit."""
    grouping = read_grouping(dataset)
    seen = _seen(grouping, base.confusion)
    return replace(base, grouping=grouping, seen=seen, running=_running(project, grouping))


def _seen(grouping: Grouping, confusion: Confusion | None) -> Grouping:
    if grouping.is_own or grouping.superclasses or confusion is None or not confusion.header.group_names:
        return grouping
    provisional = itertools.count(-1, -1)
    suggested = regrouped(grouping, taken_over(grouping, confusion.header, lambda: next(provisional)))
    return suggested if suggested.is_own else grouping


def _running(project: Project, grouping: Grouping) -> str:
    """Why an edit changes nothing in the training that goes on, if one goes on with other superclasses."""
    for folder in run_folders(project):
        if living_mark(folder) is None:
            continue
        with suppress(UserError, OSError, ValueError):
            if folder.config().kind == "vmoe" and _of_snapshot(folder) != _members(grouping):
                return _OLDER
    return ""


def _of_snapshot(folder: RunFolder) -> dict[str, frozenset[int]]:
    with open_snapshot(folder.snapshot) as given:
        return _members(read_grouping(given))


def _members(grouping: Grouping) -> dict[str, frozenset[int]]:
    homes = grouping.homes()
    return {
        each.name: frozenset(class_id for class_id, home in homes.items() if home == each.id)
        for each in grouping.superclasses
    }


def picture_of(base: SuperclassBase, old: Layout | None, aspect: float) -> GraphPicture:
    """The graph to be painted; with an ``old`` layout what has not been moved stays where it is."""
    grouping, homes = base.seen, base.seen.homes()
    members: dict[int, list[int]] = {each.id: [] for each in grouping.superclasses}
    without: list[int] = []
    for class_id, home in homes.items():
        (without if home is None else members[home]).append(class_id)
    # Identities of a suggestion fall, so that the order of the run is the reverse of the sorted one.
    listed = grouping.superclasses[::-1] if base.is_suggestion else grouping.superclasses
    groups = [Group(each.id, each.name, each.color, tuple(members[each.id])) for each in listed]
    if without:
        groups.append(without_group(without))
    graph = ConfusionGraph.of(grouping.classes, base.confusion)
    by_key = {group.key: group.class_ids for group in groups}
    by_key.setdefault(WITHOUT, ())
    has_old = old is not None and any(class_id in old.slots for class_id in homes)
    layout = rearranged(old, graph, by_key) if old is not None and has_old else arranged(graph, by_key, aspect)
    pulls = {pull.class_id: pull for pull in graph.pulls({c: home for c, home in homes.items() if home is not None})}
    return GraphPicture(graph, tuple(groups), layout, graph.edges(), pulls, base.is_suggestion, base.num_taken)


def edit_of(dataset: Dataset, base: SuperclassBase, act: Act) -> Edit:
    """What a person did to what was shown, as one edit; a suggestion is taken over on the way.

    Raises:
        BadInput: it cannot be done; the sentence says why.
    """
    grouping = read_grouping(dataset)
    if not base.is_suggestion or grouping.is_own or base.confusion is None:
        return act(grouping, lambda key: key or None)
    first = taken_over(grouping, base.confusion.header, dataset.next_superclass_id)
    after = regrouped(grouping, first)

    def identity(key: int) -> int | None:
        if key == WITHOUT:
            return None
        shown_name = base.seen.superclass(key).name
        found = after.named(shown_name)
        if found is None:
            raise BadInput("This superclass is not in use any more.")
        return found.id

    second = act(after, identity)
    return joined(second.title if second.changes else first.title, first, second)


@dataclass(frozen=True, slots=True, eq=False)
class Behind:
    """Images behind a confusion.  ``ids`` are of those where the class was taken for the other, surest first."""

    first: int
    second: int
    ids: NDArray[np.int64]
    num_back: int
    num_seen: int
    sentence: str = ""


def images_behind(project: Project, run_id: str, first_id: int, second_id: int) -> Behind:
    """The images of one class that the run's model with experts took for the other, of those it has routed.

    Raises:
        UserError: the table is damaged.
    """
    none = np.zeros(0, np.int64)
    results = RunFolder(project.runs / run_id).results
    if not run_id or not has_routing(results):
        return Behind(first_id, second_id, none, 0, 0, "The run has kept no list of its images.")
    table = read_routing(results)
    place = {class_id: number for number, class_id in enumerate(table.header.class_ids) if class_id > 0}
    first, second = place.get(first_id, -2), place.get(second_id, -2)
    is_of_N = table.truth == first
    rows = np.flatnonzero(is_of_N & (table.predicted == second))
    rows = rows[np.lexsort((table.image_ids[rows], -table.scores[rows].astype(np.float32)))]
    num_back = int(np.count_nonzero((table.truth == second) & (table.predicted == first)))
    return Behind(first_id, second_id, table.image_ids[rows], num_back, int(np.count_nonzero(is_of_N)))
