"""The runs of a project that have written which expert looks at which image."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from locstudio.domain.errors import BadInput, TooNew, UserError
from locstudio.domain.text import shown
from locstudio.jobs.routing import RoutingHeader, has_routing, read_routing_header
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import living_mark
from locstudio.services.runs_of import run_folders
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

_KINDS = ("vmoe", "route")
_NONE = "No run of this project has routed its images yet. Train experts, or route the images."


@dataclass(frozen=True, slots=True)
class RoutingRun:
    """A run that has written a routing table: a training of experts, or one that has only routed.

    Attributes:
        results: The folder that holds the table.
        checkpoint_id: Of the checkpoint that has routed; ``name`` is its name.
        when: When the run began, UTC, ISO 8601; empty where its name does not say.
        is_running: A living process works on it, so that more may come.
        is_adopted: The project uses this checkpoint, or another one of this run.
        epoch: Epochs that are in the table, of ``num_epochs``; both 0 for a run that has only routed.
        num_experts: E.
    """

    id: str
    title: str
    results: Path
    checkpoint_id: str
    name: str
    when: str
    is_running: bool
    is_adopted: bool
    epoch: int
    num_epochs: int
    num_experts: int


def routing_runs(project: Project, dataset: DatasetView | None = None) -> list[RoutingRun]:
    """The runs of the project that have a routing table, newest first; one that cannot be read is left out.

    Args:
        project: Where the runs are.
        dataset: Says which of them is adopted; without it none is.
    """
    found = []
    for folder in _folders(project):
        with suppress(BadInput, TooNew):
            found.append(run_of(folder, read_routing_header(folder.results), dataset))
    return found


def run_of(folder: RunFolder, header: RoutingHeader, dataset: DatasetView | None = None) -> RoutingRun:
    """What is known of a run with this header.

    Raises:
        BadInput: the folder is no run.
    """
    active = dataset.active_checkpoint("vmoe") if dataset is not None else None
    return RoutingRun(
        id=folder.id,
        title=folder.config().title,
        results=folder.results,
        checkpoint_id=header.checkpoint_id,
        name=header.name,
        when=_begun_at(folder.id),
        is_running=living_mark(folder) is not None,
        is_adopted=active is not None and (active.id == header.checkpoint_id or active.run_id == folder.id),
        epoch=header.epoch,
        num_epochs=header.num_epochs,
        num_experts=header.num_experts,
    )


def chosen_folder(project: Project, run_id: str = "") -> RunFolder:
    """The run with this id or the only one whose id has this in it; for an empty id the newest with a whole table.

    Raises:
        BadInput: no run has routed images.
        UserError: none has this id, or several have.
    """
    if not run_id:
        folder = next(_folders(project, is_whole=True), None)
        if folder is None:
            raise BadInput(_NONE)
        return folder
    folders = list(_folders(project))
    found = [folder for folder in folders if folder.id == run_id] or [each for each in folders if run_id in each.id]
    if len(found) != 1:
        what = f"{len(found)} runs with a routing are called" if found else "No run with a routing is called"
        raise UserError(f"{what} {shown(run_id)!r}.")
    return found[0]


def readable_folder(project: Project) -> tuple[RunFolder, RoutingHeader]:
    """The newest run with a whole table that can be read, with its header.

    Raises:
        BadInput: there is none; where there are tables, what is wrong with the newest.
        TooNew: a newer LocStudio wrote the newest, and no other can be read.
    """
    first: BadInput | TooNew | None = None
    for folder in _folders(project, is_whole=True):
        try:
            return folder, read_routing_header(folder.results)
        except (BadInput, TooNew) as error:
            first = first or error
    raise first or BadInput(_NONE)


def _folders(project: Project, *, is_whole: bool = False) -> Iterator[RunFolder]:
    """The runs with a table, newest first: trainings of experts, and those that have only routed.

    An evaluation or a comparison has a table too, of what it has measured; it is none of these.  ``is_whole`` leaves
    out runs that were asked about some images only.
    """
    for folder in reversed(run_folders(project)):
        if has_routing(folder.results):
            with suppress(BadInput):
                config = folder.config()
                is_partial = config.route is not None and bool(config.route.image_ids)
                if config.kind in _KINDS and not (is_whole and is_partial):
                    yield folder


def _begun_at(run_id: str) -> str:
    with suppress(ValueError):
        begun = datetime.strptime(run_id.split("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return begun.isoformat(timespec="milliseconds")
    return ""
