"""Is everything of a project as it should be: dataset, index, checkpoints, runs and what they have found."""

import shutil
from collections.abc import Callable

from locstudio.domain.errors import CheckpointMismatch, LocStudioError, StaleIndex
from locstudio.index.region_index import RegionIndex
from locstudio.jobs.checkpoint_folder import ModelKind, checkpoint_info
from locstudio.jobs.confusions import has_confusion, read_confusion
from locstudio.jobs.routing import has_routing, read_routing
from locstudio.jobs.run_state import RunState
from locstudio.services.checkpoints import active_folder
from locstudio.services.runs import list_runs
from locstudio.services.runs_of import run_folders
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project


def check_project(project: Project, dataset: Dataset, *, repair: bool = False) -> list[str]:
    """Sentences about everything that is wrong; empty when nothing is.

    Args:
        repair: Remove what can be made again: an index that cannot be used, remains of writes that were cut off.
            Nothing that a person did is ever removed.
    """
    findings = dataset.integrity()
    findings += _checkpoint_and_index(project, dataset, repair=repair)
    for model in ("consistency", "vmoe"):
        findings += _other_checkpoint(project, dataset, model)
    findings += _routings(project)
    findings += _remains(project, repair=repair)
    findings += [
        f"The run {run.id} was interrupted; go on with it by --resume {run.id}."
        for run in list_runs(project)
        if run.state is RunState.INTERRUPTED
    ]
    return findings


def _checkpoint_and_index(project: Project, dataset: Dataset, *, repair: bool) -> list[str]:
    folder = active_folder(project, dataset)
    try:
        checkpoint_info(folder)
    except LocStudioError as error:
        return [str(error)]
    if not project.index.exists():
        return []
    try:
        index = RegionIndex.open(project.index, checkpoint_info(folder).id)
    except (StaleIndex, CheckpointMismatch) as error:
        if repair:
            shutil.rmtree(project.index)
            return [f"{error} Removed; make it again with: locstudio embed {project.path}"]
        return [str(error)]
    indexed = set(index.region_ids().tolist())
    index.close()
    num_behind = len(indexed ^ _region_ids(dataset))
    return [f"The index is behind by {num_behind} regions; locstudio embed brings it up to date."] if num_behind else []


def _other_checkpoint(project: Project, dataset: Dataset, model: ModelKind) -> list[str]:
    """What is wrong with the model of this kind in use; an installation may have none."""
    folder = active_folder(project, dataset, model)
    if dataset.active_checkpoint(model) is None and not folder.is_dir():
        return []
    return _said(lambda: checkpoint_info(folder).require_model(model))


def _routings(project: Project) -> list[str]:
    """Runs whose routing, or what their dense twin confuses, cannot be read."""
    findings: list[str] = []
    for results in (folder.results for folder in run_folders(project)):
        if has_routing(results):
            findings += _said(lambda results=results: read_routing(results))  # type: ignore[misc]  # binds the loop's value
        if has_confusion(results):
            findings += _said(lambda results=results: read_confusion(results))  # type: ignore[misc]  # likewise
    return findings


def _said(work: Callable[[], object]) -> list[str]:
    """What goes wrong, if anything does."""
    try:
        work()
    except LocStudioError as error:
        return [str(error)]
    return []


def _region_ids(dataset: Dataset) -> set[int]:
    ids: set[int] = set()
    page = dataset.region_page()
    while page:
        ids.update(region.id for region in page)
        page = dataset.region_page(page[-1].id)
    return ids


def _remains(project: Project, *, repair: bool) -> list[str]:
    findings = []
    for path in sorted(project.path.rglob("*.partial")):
        findings.append(f"{path.relative_to(project.path)} is left over from a write that was cut off.")
        if repair:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            findings[-1] += " Removed."
    return findings
