"""What the experts' page shows, read on a worker: a run's routing beside the dataset, and images of what is chosen."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, TooNew, UserError
from locstudio.domain.regions import LabelClass
from locstudio.jobs.run_state import living_mark
from locstudio.services.checkpoints import active_folder
from locstudio.services.routing.book import RoutingBook
from locstudio.services.routing.drifting import Drift, drift
from locstudio.services.routing.experts import ExpertSummary, images_of_expert, summaries
from locstudio.services.routing.loads import LoadHistory, load_history
from locstudio.services.routing.matrices import (
    Matrix,
    MatrixKind,
    class_matrix,
    images_of_cell,
    superclass_matrix,
)
from locstudio.services.routing.runs import RoutingRun, routing_runs
from locstudio.services.runs_of import run_folders
from locstudio.store.project import Project
from locstudio.store.view import DatasetView
from locstudio.ui.routing.cross_model import Cross
from locstudio.ui.routing.page_cards import ExpertCard
from locstudio.ui.routing.page_grid import ImageOrder
from locstudio.ui.routing.page_matrix import ShownMatrix

NO_ROUTING = "routing"
UNREADABLE = "unreadable"
_NUM_CLASSES = 4


@dataclass(frozen=True, slots=True, eq=False)
class NoRouting:
    """Why there is nothing to show: no run, or one that cannot be read; ``words`` say it.

    ``can_route`` is whether a model with experts is there that could be asked, ``is_coming`` whether a run goes on that
    will route.
    """

    runs: tuple[RoutingRun, ...]
    why: str
    words: str = ""
    can_route: bool = False
    is_coming: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RoutingBase:
    """A run's routing with all that the page shows of it as a whole.

    ``num_missing`` images are not in its table; ``can_route`` is whether a model is there that could be asked.
    """

    runs: tuple[RoutingRun, ...]
    book: RoutingBook
    classes: Mapping[int, LabelClass]
    cards: tuple[ExpertCard, ...]
    history: LoadHistory
    num_missing: int = 0
    can_route: bool = False

    @property
    def has_labels(self) -> bool:
        """Whether it is known of any image what it shows."""
        return bool((self.book.truth_N >= 0).any())

    def words(self) -> str:
        """The whole in a few words."""
        book, header = self.book, self.book.table.header
        parts = [
            _num(book.table.image_ids),
            _router_words(header.routing),
            f"{self.num_missing:,} not routed yet" if self.num_missing else "",
            self._foreign_words(),
            f"{header.num_active} of {book.num_experts} experts compute" if header.num_active > 1 else "",
        ]
        last = header.epochs[-1] if header.epochs else None
        if last is not None and last.top1 is not None:
            parts.append(f"top 1 {last.top1:.0%}")
        if last is not None and last.router_accuracy is not None:
            parts.append(f"router {last.router_accuracy:.0%}")
        return " · ".join(part for part in parts if part)

    def _foreign_words(self) -> str:
        """How many images show a class that the model knows, where that is not most of them."""
        num_known, num_images = int((self.book.truth_N >= 0).sum()), len(self.book.table.image_ids)
        return f"{num_known:,} of a class it knows" if num_known * 2 < num_images else ""


@dataclass(frozen=True, slots=True)
class OfExpert:
    """The images that an expert took."""

    expert: int
    order: ImageOrder = ImageOrder.SURE


@dataclass(frozen=True, slots=True)
class OfCell:
    """The images of a row (a position in the run, -1 for those of no known class) that went to an expert (-1: any)."""

    kind: str
    row: int
    expert: int
    order: ImageOrder = ImageOrder.MISMATCH


@dataclass(frozen=True, slots=True)
class OfMove:
    """The images that went from an expert of an older run to one of the run that is shown; -1 for any."""

    older_id: str
    old: int
    new: int


Scope = OfExpert | OfCell | OfMove


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """What the gallery shows; ``notes`` are one an image, or none."""

    scope: Scope
    base: RoutingBase
    title: str
    details: str
    image_ids: NDArray[np.int64]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two runs compared."""

    older_id: str
    newer_id: str
    drift: Drift
    old_names: tuple[str, ...]
    new_names: tuple[str, ...] = field(default=())


def read_base(project: Project, dataset: DatasetView, run_id: str, router: int = 0) -> RoutingBase | NoRouting:
    """The routing of a run, of the newest for an empty id; if there is none, why."""
    runs = tuple(routing_runs(project, dataset))
    try:
        book = RoutingBook.open(project, dataset, run_id)
    except (BadInput, TooNew, UserError) as error:
        # With runs that can be read it is this one that is damaged; without, nobody has routed unless one is there.
        is_none = not runs and not run_id and "has routed its images yet" in str(error)
        why = NO_ROUTING if is_none else UNREADABLE
        return NoRouting(runs, why, str(error), has_model(project, dataset), is_coming(project))
    return base_of(
        runs, book.at_router(min(router, book.num_routers - 1)), dataset, can_route=has_model(project, dataset)
    )


def base_of(runs: tuple[RoutingRun, ...], book: RoutingBook, dataset: DatasetView, *, can_route: bool) -> RoutingBase:
    """A book with all that the page shows of it as a whole."""
    classes = {entry.id: entry for entry in dataset.classes()}
    even = 1 / max(book.num_experts, 1)
    cards = tuple(_card(book, classes, summary, even) for summary in summaries(book))
    _ = book.mismatch_N, book.margins_N, book.is_stale_N, book.is_shown_N  # here, not on the window's thread
    return RoutingBase(runs, book, classes, cards, load_history(book), len(book.missing_ids()), can_route)


def read_images(base: RoutingBase, scope: Scope, compared: Compared | None) -> Images:
    """The images of what was chosen, in their order, and what there is to say of them."""
    book = base.book
    names = book.expert_names
    match scope:
        case OfExpert(expert, order):
            image_ids = images_of_expert(book, expert, order.value)
            card = base.cards[expert]
            details = " · ".join(part for part in (card.state, card.fact_words()) if part)
            title = f"Expert {names[expert]} · {_num(image_ids)}"
            return Images(scope, base, title, details, image_ids)
        case OfCell(kind, row, expert, order):
            wanted = None if expert < 0 else expert
            matrix_kind = cast(MatrixKind, kind)
            image_ids = images_of_cell(book, row, wanted, matrix_kind, order.value)
            where = f"expert {names[expert]}" if expert >= 0 else "all experts"
            return Images(scope, base, f"{_row_name(book, kind, row)} → {where}", _num(image_ids), image_ids)
        case OfMove(_, old, new):
            assert compared is not None
            return _moved(scope, base, compared, old, new)


def _moved(scope: Scope, base: RoutingBase, compared: Compared, old: int, new: int) -> Images:
    found = compared.drift
    is_meant = found.is_moved if old < 0 and new < 0 else np.ones(len(found.image_ids), np.bool_)
    if old >= 0:
        is_meant = is_meant & (found.old_expert == old)
    if new >= 0:
        is_meant = is_meant & (found.new_expert == new)
    rows = np.flatnonzero(is_meant)
    arrows = zip(found.old_expert[rows].tolist(), found.new_expert[rows].tolist(), strict=True)
    notes = tuple(f"{before + 1} → {after + 1}" for before, after in arrows)
    if old < 0 and new < 0:
        title = "All that moved"
    else:
        old_name = compared.old_names[old] if old >= 0 else "any expert"
        title = f"{old_name} → {compared.new_names[new] if new >= 0 else 'any expert'}"
    image_ids = found.image_ids[rows]
    return Images(scope, base, title, f"{_num(image_ids)}, those that changed most first", image_ids, notes)


def read_matrix(base: RoutingBase, kind: str) -> ShownMatrix:
    """Classes or superclasses against experts; those of no image are left out."""
    made = superclass_matrix(base.book) if kind == "superclass" else class_matrix(base.book, kind)  # type: ignore[arg-type]
    is_used = made.counts.sum(axis=1) > 0
    made = replace(
        made,
        row_names=tuple(name for name, used in zip(made.row_names, is_used, strict=True) if used),
        row_ids=tuple(row for row, used in zip(made.row_ids, is_used, strict=True) if used),
        homes=tuple(home for home, used in zip(made.homes, is_used, strict=True) if used),
        counts=made.counts[is_used],
    )
    return ShownMatrix(kind, _cross(base, made), made.row_ids)


def _cross(base: RoutingBase, made: Matrix) -> Cross:
    header = base.book.table.header
    what = "superclass" if made.kind == "superclass" else "class"
    names = [
        _class_name(base.classes, header.class_ids[row], header.class_names[row])
        if row >= 0 and made.kind != "superclass"
        else name
        for row, name in zip(made.row_ids, made.row_names, strict=True)
    ]
    return Cross(tuple(names), made.expert_names, made.counts, made.homes, what)


def read_drift(project: Project, dataset: DatasetView, base: RoutingBase, older_id: str) -> Compared:
    """What has moved from a run to the one that is shown.

    Raises:
        BadInput: the older run cannot be read.
    """
    older = RoutingBook.open(project, dataset, older_id)
    found = drift(older.table, base.book.table)
    return Compared(older_id, base.book.run.id, found, older.expert_names, base.book.expert_names)


def run_before(runs: Sequence[RoutingRun], run_id: str) -> str:
    """The run before this one, else any other; empty where there is none."""
    ids = [run.id for run in runs]
    place = ids.index(run_id) if run_id in ids else -1
    others = ids[place + 1 :] or [other for other in ids if other != run_id]
    return others[0] if others else ""


def has_model(project: Project, dataset: DatasetView) -> bool:
    """Whether a model with experts is there that could route the collection."""
    try:
        return (active_folder(project, dataset, "vmoe") / "config.json").is_file()
    except UserError:  # the checkpoint in use is gone
        return False


def is_coming(project: Project) -> bool:
    """Whether a run goes on that has not routed yet, but will."""
    for folder in run_folders(project):
        with suppress(BadInput, TooNew):
            if folder.config().kind in ("vmoe", "route") and living_mark(folder) is not None:
                return True
    return False


def _card(book: RoutingBook, classes: Mapping[int, LabelClass], found: ExpertSummary, even: float) -> ExpertCard:
    header = book.table.header
    found_classes = found.top_classes or _predicted_classes(book, found.expert)
    tops = tuple(
        (_class_name(classes, header.class_ids[place], header.class_names[place]), count)
        for place, count in found_classes[:_NUM_CLASSES]
    )
    return ExpertCard(
        expert=found.expert,
        name=found.name,
        num_images=found.num_images,
        share=found.share,
        even=even,
        classes=tops,
        margin=_number(found.mean_margin),
        num_mismatched=found.num_mismatched,
        top1=_number(found.top1),
        state=_state(found, book.num_experts),
        is_warning=found.is_dead or found.is_overloaded,
        is_predicted=not found.top_classes,
    )


def _predicted_classes(book: RoutingBook, expert: int) -> tuple[tuple[int, int], ...]:
    """Positions of the classes that the model takes an expert's images for, with how many, falling."""
    predicted = book.table.predicted[(book.experts_N == expert) & ~book.is_stale_N]
    places, counts = np.unique(predicted[predicted >= 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_NUM_CLASSES]
    return tuple((int(places[number]), int(counts[number])) for number in order)


def _state(found: ExpertSummary, num_experts: int) -> str:
    """What is odd of an expert, in words."""
    if found.is_dead:
        return "Dead: takes no image" if not found.num_images else "Dead: takes hardly any image"
    if found.is_overloaded:
        return f"Overloaded: {found.share * num_experts:.1f} times its share"
    return "Rare: less than a quarter of its share" if found.is_rare else ""


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _class_name(classes: Mapping[int, LabelClass], class_id: int, name: str) -> str:
    """What a class is called now, else what the run called it."""
    return classes[class_id].name if class_id in classes else name


def _row_name(book: RoutingBook, kind: str, row: int) -> str:
    if row < 0:
        return "No known class"
    return book.group_names[row] if kind == "superclass" else book.table.header.class_names[row]


def _num(image_ids: NDArray[np.int64]) -> str:
    return f"{len(image_ids):,} {'image' if len(image_ids) == 1 else 'images'}"


def _router_words(routing: str) -> str:
    return {
        "superclass": "router taught superclasses",
        "image": "router for each image",
        "token": "router for each token",
        "random": "experts drawn at random",
        "oracle": "experts by the true superclass",
        "dense": "no router",
    }.get(routing, str(routing))
