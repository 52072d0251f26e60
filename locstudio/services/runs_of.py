"""The runs of a project, as folders and as rows that the dataset remembers."""

import shutil
from datetime import UTC, datetime

import msgspec

from locstudio.jobs.messages import Evaluated, Failed, Finished
from locstudio.jobs.run_folder import PARTIAL, RunFolder
from locstudio.jobs.run_state import state_of
from locstudio.jobs.run_tail import RunTail
from locstudio.store.project import Project
from locstudio.store.records import RunRow

_STAMP = "%Y%m%dT%H%M%SZ"


def run_folders(project: Project) -> list[RunFolder]:
    """Every run of the project, oldest first; a folder that is no run is left out."""
    if not project.runs.is_dir():
        return []
    return [
        RunFolder(path)
        for path in sorted(project.runs.iterdir())
        if not path.name.endswith(PARTIAL) and (path / "config.json").is_file()
    ]


def sweep_runs(project: Project) -> None:
    """Take away what is left of runs whose making was cut off.  For whoever has just opened the project to write."""
    for remains in project.runs.glob(f"*{PARTIAL}"):
        shutil.rmtree(remains, ignore_errors=True)


def run_row(folder: RunFolder) -> RunRow:
    """What the dataset remembers of a run, from its folder as it is now.

    Raises:
        BadInput: the folder is no run.
    """
    config = folder.config()
    messages = RunTail(folder).read()
    last = messages[-1] if messages else None
    metrics = [message.metrics for message in messages if isinstance(message, Evaluated)]
    is_over = isinstance(last, Finished | Failed)
    return RunRow(
        id=folder.id,
        kind=config.kind,
        title=config.title,
        status=str(state_of(folder, last)),
        created_at=_begun_at(folder),
        ended_at=_iso(datetime.fromtimestamp(folder.events.stat().st_mtime, UTC)) if is_over else "",
        revision=config.snapshot_revision,
        config=msgspec.json.encode(config).decode(),
        metrics=msgspec.json.encode(metrics[-1] if metrics else {}).decode(),
        error=last.sentence if isinstance(last, Failed) else "",
        snapshot_sha256=config.snapshot_sha256,
        code_version=config.code_version,
        parent_run=config.parent_run,
    )


def _begun_at(folder: RunFolder) -> str:
    try:
        return _iso(datetime.strptime(folder.id.split("-")[0], _STAMP).replace(tzinfo=UTC))
    except ValueError:
        return ""


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
