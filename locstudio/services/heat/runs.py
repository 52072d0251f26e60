"""The runs of a project that keep heatmaps."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from locstudio.domain.errors import BadInput, TooNew, UserError
from locstudio.domain.text import shown
from locstudio.jobs.heatmaps import heatmaps_folder, read_header
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import living_mark
from locstudio.services.runs_of import run_folders
from locstudio.store.project import Project
from locstudio.store.view import DatasetView


@dataclass(frozen=True, slots=True)
class HeatRun:
    """A run that keeps heatmaps.

    Attributes:
        folder: Of the heatmaps.
        epoch: Epochs that are whole, of ``num_epochs``.
        is_running: A living process works on it, so that more may come.
        checkpoint_id: Of the newest checkpoint whose scores these are; empty before there is one.
        when: When it began, UTC, ISO 8601; empty where its name does not say.
        is_adopted: The project uses a checkpoint of it.
        num_images: Images that it has seen.
        num_classes: Classes that it knows.
        key_epochs: Epochs that can be looked back at.
    """

    id: str
    title: str
    folder: Path
    epoch: int
    num_epochs: int
    is_running: bool
    checkpoint_id: str
    when: str
    is_adopted: bool
    num_images: int
    num_classes: int
    key_epochs: tuple[int, ...]


def heat_runs(project: Project, dataset: DatasetView | None = None) -> list[HeatRun]:
    """The runs of the project that keep heatmaps, newest first; one that cannot be read is left out.

    Args:
        project: Where the runs are.
        dataset: Says which of them is adopted; without it none is.
    """
    adopted = {row.run_id for row in dataset.checkpoints() if row.is_active} if dataset is not None else set()
    found = []
    for folder in reversed(run_folders(project)):
        with suppress(BadInput, TooNew):
            found.append(_heat_run(folder, folder.id in adopted))
    return found


def refuse_unreadable(project: Project) -> None:
    """Say what is wrong with the newest heatmaps, where none of the project can be read.

    Raises:
        BadInput: they are damaged.
        TooNew: a newer LocStudio wrote them.
    """
    for folder in reversed(run_folders(project)):
        if heatmaps_folder(folder.results).is_dir():
            read_header(heatmaps_folder(folder.results))


def chosen_run(runs: list[HeatRun], run_id: str = "") -> HeatRun:
    """The run with this id or the only one whose id has this in it; for an empty id the newest with an epoch done.

    Raises:
        BadInput: no run keeps heatmaps.
        UserError: none has this id, or several have.
    """
    if not run_id:
        if not runs:
            raise BadInput("No run of this project keeps heatmaps yet; train the heatmaps first.")
        return next((run for run in runs if run.epoch), runs[0])
    found = [run for run in runs if run.id == run_id] or [run for run in runs if run_id in run.id]
    if len(found) != 1:
        what = f"{len(found)} runs with heatmaps are called" if found else "No run with heatmaps is called"
        raise UserError(f"{what} {shown(run_id)!r}.")
    return found[0]


def _heat_run(folder: RunFolder, is_adopted: bool) -> HeatRun:
    heatmaps = heatmaps_folder(folder.results)
    header = read_header(heatmaps)
    return HeatRun(
        id=folder.id,
        title=folder.config().title,
        folder=heatmaps,
        epoch=header.epoch,
        num_epochs=header.num_epochs,
        is_running=living_mark(folder) is not None,
        checkpoint_id=header.checkpoint_id,
        when=_begun_at(folder.id),
        is_adopted=is_adopted,
        num_images=header.num_images,
        num_classes=len(header.class_ids),
        key_epochs=header.key_epochs,
    )


def _begun_at(run_id: str) -> str:
    with suppress(ValueError):
        begun = datetime.strptime(run_id.split("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return begun.isoformat(timespec="milliseconds")
    return ""
