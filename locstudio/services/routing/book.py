"""A run's routing table beside what the dataset says now.  Axes: N = images, E = experts, L = classes.

An expert's home is what it is there for: the superclass that its router was taught to send to it, or, where no router
was taught, what most of the images show of those that chose it.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, TooNew
from locstudio.jobs.routing import RoutingHeader, RoutingTable, read_routing, routing_mark
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.routing.known import Shown, read_shown, read_states, rows_of
from locstudio.services.routing.runs import RoutingRun, chosen_folder, readable_folder, run_of
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

NO_ONE = -1
"""Stands for an expert, a class or a superclass that is not known."""

_TAUGHT = ("superclass", "oracle")


class RoutingBook:
    """A routing table, opened, as one of its routers has it.

    What follows from the dataset is worked out when it is first asked for, and then stays: open a new book, or take
    ``read_anew``, after an edit.

    Attributes:
        router: The router whose choice counts; there are several where each MoE layer has its own.
    """

    def __init__(
        self,
        run: RoutingRun,
        table: RoutingTable,
        dataset: DatasetView,
        mark: tuple[int, int] = (0, 0),
        router: int = 0,
    ) -> None:
        self.run = run
        self.table = table
        self.router = router
        self._dataset = dataset
        self._mark = mark

    @classmethod
    def open(cls, project: Project, dataset: DatasetView, run_id: str = "") -> "RoutingBook":
        """The routing of a run; for an empty id that of the newest run which can be read.

        Raises:
            UserError: there is no such run.
            BadInput: no run has routed the images, or its table is damaged.
            TooNew: a newer LocStudio wrote it.
        """
        folder = chosen_folder(project, run_id) if run_id else readable_folder(project)[0]
        return cls.of_folder(folder, dataset)

    @classmethod
    def of_folder(cls, folder: RunFolder, dataset: DatasetView) -> "RoutingBook":
        """The routing of the run in a folder.

        Raises:
            BadInput: there is none, or it is damaged.
            TooNew: a newer LocStudio wrote it.
        """
        mark = routing_mark(folder.results)  # before the table: one that comes meanwhile is newer
        table = read_routing(folder.results)
        return cls(run_of(folder, table.header, dataset), table, dataset, mark)

    def read_anew(self) -> "RoutingBook":
        """The same table beside what the dataset says now."""
        return RoutingBook(self.run, self.table, self._dataset, self._mark, self.router)

    def refreshed(self) -> "RoutingBook | None":
        """The book with what the run has written since; None while that is nothing, or the folder is gone."""
        if routing_mark(self.run.results) in (self._mark, (0, 0)):
            return None
        try:
            book = RoutingBook.of_folder(RunFolder(self.run.results.parent), self._dataset)
        except (BadInput, TooNew):
            return None
        return book.at_router(min(self.router, book.num_routers - 1))

    def at_router(self, router: int) -> "RoutingBook":
        """The book as another router has it.

        Raises:
            LookupError: there is no such router.
        """
        if not 0 <= router < self.num_routers:
            raise LookupError(f"there are {self.num_routers} routers, none with number {router}")
        if router == self.router:
            return self
        other = RoutingBook(self.run, self.table, self._dataset, self._mark, router)
        for name in ("shown", "_states", "group_names"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    # What the table has

    @property
    def num_images(self) -> int:
        """N."""
        return len(self.table)

    @property
    def num_experts(self) -> int:
        """E."""
        return self.table.header.num_experts

    @property
    def num_routers(self) -> int:
        """One where the MoE layers share a decision."""
        return int(self.table.probabilities.shape[1])

    @property
    def is_taught(self) -> bool:
        """Whether each expert has a superclass, which its router was taught."""
        return is_taught(self.table.header)

    @cached_property
    def experts_N(self) -> NDArray[np.int16]:
        """The first choice of the router, (N,)."""
        return np.ascontiguousarray(self.table.experts[:, self.router, 0])

    @cached_property
    def probabilities_NE(self) -> NDArray[np.float32]:
        """What the router gave each expert, (N, E)."""
        return self.table.probabilities[:, self.router].astype(np.float32)

    @cached_property
    def margins_N(self) -> NDArray[np.float32]:
        """The largest probability minus the second, in [0, 1], (N,); 1 where there is a single expert."""
        return margins_of(self.probabilities_NE)

    def row_of(self, image_id: int) -> int:
        """The row of an image, -1 where the table does not have it."""
        return int(self.rows_of(np.array([image_id], np.int64))[0])

    def rows_of(self, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of each image, -1 where the table does not have it."""
        return rows_of(self.table, image_ids)

    # What the dataset says

    @cached_property
    def shown(self) -> Shown:
        """Which classes the images show now."""
        return read_shown(self.table, self._dataset)

    @property
    def truth_N(self) -> NDArray[np.int32]:
        """Position of the class that each image shows now, -1 where that is not known, (N,)."""
        return self.shown.truth_N

    @cached_property
    def _states(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        return read_states(self.table, self._dataset)

    @property
    def is_stale_N(self) -> NDArray[np.bool_]:
        """The image's file is another one than was routed, (N,)."""
        return self._states[0]

    @property
    def is_shown_N(self) -> NDArray[np.bool_]:
        """The image is in the dataset and can be looked at, (N,)."""
        return self._states[1]

    def missing_ids(self) -> NDArray[np.int64]:
        """Images of the dataset that the table does not have: they came later, or could not be read."""
        return np.setdiff1d(self._dataset.image_ids(), self.table.image_ids, assume_unique=True)

    # What follows from both

    @cached_property
    def class_homes(self) -> NDArray[np.int16]:
        """The expert that each class belongs to, -1 where there is none, int16 (L,)."""
        header = self.table.header
        if self.is_taught and header.superclass_of:
            return np.array(header.superclass_of, np.int16)
        return _majority(self.truth_N, self.experts_N, len(header.class_names), self.num_experts)

    @cached_property
    def homes(self) -> NDArray[np.int16]:
        """The expert that each superclass belongs to, -1 where there is none, int16."""
        num_groups = len(self.table.header.superclass_names)
        if self.is_taught:
            return np.arange(num_groups, dtype=np.int16)
        return _majority(self.groups_N, self.experts_N, num_groups, self.num_experts)

    @cached_property
    def groups_N(self) -> NDArray[np.int16]:
        """Position of the superclass of the class that each image shows now, -1 where there is none, (N,)."""
        of_class = np.array([*self.table.header.superclass_of, NO_ONE], np.int16)
        if len(of_class) == 1:
            return np.full(self.num_images, NO_ONE, np.int16)
        return of_class[self.truth_N]

    @cached_property
    def mismatch_N(self) -> NDArray[np.bool_]:
        """The expert is the home of no class that the image shows; false where none is known, (N,)."""
        homes_P = self.class_homes[self.shown.places_P]
        is_home_N = self.shown.any_of(homes_P == self.experts_N[self.shown.rows_P])
        return self.shown.any_of(homes_P != NO_ONE) & ~is_home_N

    @cached_property
    def is_right_N(self) -> NDArray[np.bool_]:
        """The likeliest class is one that the image shows now, (N,)."""
        return self.shown.any_of(self.table.predicted[self.shown.rows_P] == self.shown.places_P)

    @cached_property
    def other_N(self) -> NDArray[np.float32]:
        """How surely the model says another class than the image shows now, float32 (N,).

        The probability of its likeliest class: as it is where the image does not show that class, below zero where it
        does, NaN where no class of the image is known.
        """
        is_known_N = self.shown.any_of(self.shown.places_P != NO_ONE) & (self.table.predicted != NO_ONE)
        scores_N = self.table.scores.astype(np.float32)
        return np.where(is_known_N, np.where(self.is_right_N, -scores_N, scores_N), np.float32(np.nan))

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """What the superclasses are called now, where the dataset has one of the same classes; else the run's names."""
        return _names_now(self.table, self._dataset)

    @cached_property
    def expert_names(self) -> tuple[str, ...]:
        """What each expert is called: its number, counted from 1, and its superclass where it has one."""
        return names_of_experts(self.table.header, self.group_names)


def is_taught(header: RoutingHeader) -> bool:
    """Whether each expert has a superclass, which its router was taught."""
    return header.routing in _TAUGHT and len(header.superclass_names) == header.num_experts


def names_of_experts(header: RoutingHeader, group_names: Sequence[str] = ()) -> tuple[str, ...]:
    """What each expert is called.

    Args:
        header: Of a table.
        group_names: What the superclasses are called now; those of the header where empty.
    """
    if not is_taught(header):
        return tuple(expert_name(expert) for expert in range(header.num_experts))
    return tuple(expert_name(expert, name) for expert, name in enumerate(group_names or header.superclass_names))


def expert_name(expert: int, superclass: str = "") -> str:
    """What an expert is called: its number, counted from 1, and its superclass where it has one."""
    return f"{expert + 1} · {superclass}" if superclass else f"{expert + 1}"


def margins_of(probabilities_NE: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest of each row minus the second, in [0, 1], (N,); 1 where there is a single expert."""
    num, num_experts = probabilities_NE.shape
    if num_experts < 2:
        return np.ones(num, np.float32)
    by_expert = np.ascontiguousarray(probabilities_NE.T)  # a maximum down long columns takes a tenth of the time
    best_N = by_expert.max(axis=0)
    is_best = by_expert == best_N
    second_N = np.where(is_best.sum(axis=0) > 1, best_N, np.where(is_best, -1, by_expert).max(axis=0))
    found: NDArray[np.float32] = np.clip(best_N - second_N, 0, 1).astype(np.float32)
    return found


def _majority(
    groups_N: NDArray[np.integer], experts_N: NDArray[np.int16], num_groups: int, num_experts: int
) -> NDArray[np.int16]:
    """The expert that took most images of each group, -1 for a group without any."""
    is_known = groups_N >= 0
    keys = groups_N[is_known].astype(np.int64) * num_experts + experts_N[is_known]
    counts = np.bincount(keys, minlength=num_groups * num_experts).reshape(num_groups, num_experts)
    found = counts.argmax(axis=1).astype(np.int16) if num_groups else np.zeros(0, np.int16)
    return np.where(counts.sum(axis=1) > 0, found, np.int16(NO_ONE))


def _names_now(table: RoutingTable, dataset: DatasetView) -> tuple[str, ...]:
    header = table.header
    names = {entry.id: entry.name for entry in dataset.superclasses()}
    if not names or not header.superclass_of:
        return header.superclass_names
    now = {entry.id: entry.superclass_id for entry in dataset.classes() if not entry.is_retired}
    then: dict[int, set[int]] = {}
    for class_id, group in zip(header.class_ids, header.superclass_of, strict=True):
        then.setdefault(group, set()).add(class_id)
    by_group: dict[int | None, set[int]] = {}
    for class_id, superclass_id in now.items():
        by_group.setdefault(superclass_id, set()).add(class_id)
    found = []
    for position, name in enumerate(header.superclass_names):
        members = {class_id for class_id in then.get(position, set()) if class_id in now}
        same = next((key for key, classes in by_group.items() if key and members and classes == members), None)
        found.append(names.get(same, name) if same else name)
    return tuple(found)
