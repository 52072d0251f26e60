"""Taking what a finished run made into the project.

The new thing is prepared beside the old one, whole, and takes its place by a rename; on failure the old one stays.
Checkpoint and index change together, since an embedding may only be compared with embeddings of its own checkpoint.
"""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from locstudio.domain.errors import BadInput, CheckpointMismatch, StaleIndex, StorageFailed
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.messages import Evaluated, Failed, Finished, Saved
from locstudio.jobs.run_folder import RunFolder, sync_folder
from locstudio.jobs.run_state import state_of
from locstudio.services.checkpoints import portable_path
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.records import CheckpointRow, RunRow


def adopt_index(project: Project, dataset: Dataset, folder: RunFolder) -> dict[str, Any]:
    """Make the index of a finished run the project's, and the checkpoint that made it the active one.

    Returns:
        ``checkpoint``, ``rows`` and ``phrases``: what the project now searches with.

    Raises:
        BadInput: the run has no complete index, or its checkpoint is damaged.
        CheckpointMismatch: the index was not made by the run's checkpoint.
        StorageFailed: the disk refused; the old index stands.
    """
    return _adopt(project, dataset, folder, Path(folder.config().checkpoint))


def adopt_checkpoint(project: Project, dataset: Dataset, folder: RunFolder) -> dict[str, Any]:
    """Copy the newest checkpoint of a training run into the project and make it active, with the index the run made.

    A run that was stopped early has no index; the project must then be embedded before it can be searched.

    Returns:
        As ``adopt_index``, and ``is_embedded``.

    Raises:
        BadInput: the run has no whole checkpoint.
        StorageFailed: the disk refused; checkpoint and index stay what they were.
    """
    saved = [message for message in folder.read_events() if isinstance(message, Saved)]
    if not saved:
        raise BadInput(f"The run {folder.id} has saved no checkpoint yet, so there is nothing to adopt.")
    return _adopt(project, dataset, folder, folder.path / saved[-1].path)


def settle_adoption(project: Project, dataset: Dataset) -> None:
    """Finish an adoption that a crash has cut in two; whoever opens a project calls this first."""
    older = _older(project)
    if older.exists() and not project.index.exists():
        os.replace(older, project.index)
    shutil.rmtree(older, ignore_errors=True)
    for remains in project.path.glob("index.*.partial"):
        shutil.rmtree(remains, ignore_errors=True)
    wanted = dataset.get_setting("adopting")
    if wanted and not dataset.is_read_only:
        with suppress(StaleIndex, CheckpointMismatch):
            RegionIndex.open(project.index, wanted).close()
            dataset.activate_checkpoint(wanted)
        dataset.set_setting("adopting", "")


def _adopt(project: Project, dataset: Dataset, folder: RunFolder, checkpoint: Path) -> dict[str, Any]:
    settle_adoption(project, dataset)
    info = checkpoint_info(checkpoint)
    index = folder.results / "index"
    is_embedded = (index / "manifest.json").exists()
    if not is_embedded and folder.config().kind == "embed":
        raise BadInput(f"The run {folder.id} has not finished its index; resume it, then adopt it.")
    num_rows, num_phrases = _check_index(index, info) if is_embedded else (0, 0)
    try:
        kept = _keep_checkpoint(project, checkpoint, info)
        partial = project.path / f"index.{secrets.token_hex(4)}.partial"
        if is_embedded:
            shutil.copytree(index, partial)
            _sync_tree(partial)
        _record(project, dataset, folder, kept, info)
        dataset.set_setting("adopting", info.id)
        if is_embedded:
            _swap(partial, project)
        dataset.activate_checkpoint(info.id)
        dataset.set_setting("adopting", "")
        _forget_tokens(project, info)
    except OSError as error:
        raise StorageFailed(f"The run {folder.id} was not adopted: {error.strerror or error}.") from error
    adopted = {"checkpoint": info.id, "rows": num_rows, "phrases": num_phrases}
    return adopted if folder.config().kind == "embed" else {**adopted, "is_embedded": is_embedded}


def _check_index(index: Path, info: CheckpointInfo) -> tuple[int, int]:
    """Open what is about to be adopted, as a search would."""
    try:
        rows = RegionIndex.open(index, info.id)
        num_rows = len(rows)
        rows.close()
        return num_rows, len(Vocabulary.open(index, info.id))
    except StaleIndex as problem:
        raise BadInput(str(problem)) from problem


def _keep_checkpoint(project: Project, checkpoint: Path, info: CheckpointInfo) -> Path:
    """A checkpoint of a run is copied out of it, so that the run may be deleted; one from elsewhere stays there."""
    if not checkpoint.resolve().is_relative_to(project.runs.resolve()):
        return checkpoint
    kept = project.path / "checkpoints" / info.id
    with suppress(BadInput):
        checkpoint_info(kept)
        return kept
    kept.parent.mkdir(exist_ok=True)
    partial = kept.with_name(f"{info.id}.{secrets.token_hex(4)}.partial")
    try:
        shutil.copytree(checkpoint, partial, ignore=shutil.ignore_patterns("resume"))
        checkpoint_info(partial)
        _sync_tree(partial)
        shutil.rmtree(kept, ignore_errors=True)
        os.replace(partial, kept)
        sync_folder(kept.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return kept


def _record(project: Project, dataset: Dataset, folder: RunFolder, checkpoint: Path, info: CheckpointInfo) -> None:
    last = folder.last_event()
    metrics = [message.metrics for message in folder.read_events() if isinstance(message, Evaluated)]
    is_over = isinstance(last, Finished | Failed)
    dataset.record_run(
        RunRow(
            id=folder.id,
            kind=folder.config().kind,
            status=str(state_of(folder, last)) if is_over else "running",
            config=msgspec.json.encode(folder.config()).decode(),
            metrics=msgspec.json.encode(metrics[-1] if metrics else {}).decode(),
        )
    )
    if info.id not in {row.id for row in dataset.checkpoints()}:
        dataset.record_checkpoint(
            CheckpointRow(
                id=info.id,
                model="cloc",
                name=info.name,
                path=portable_path(project, checkpoint),
                run_id=folder.id if folder.config().kind == "cloc" else None,
                parent_id=info.parent,
                metrics=msgspec.json.encode(info.metrics).decode(),
            )
        )


def _swap(partial: Path, project: Project) -> None:
    """Put the prepared index in place; between the two renames ``settle_adoption`` would put the old one back."""
    older = _older(project)
    shutil.rmtree(older, ignore_errors=True)
    if project.index.exists():
        os.replace(project.index, older)
    os.replace(partial, project.index)
    sync_folder(project.path)
    shutil.rmtree(older, ignore_errors=True)


def _forget_tokens(project: Project, info: CheckpointInfo) -> None:
    """Tokens of other checkpoints are not asked for again soon; they are large, and a cache."""
    for tokens in (project.cache / "tokens").glob("*"):
        if tokens.name != info.id:
            shutil.rmtree(tokens, ignore_errors=True)


def _older(project: Project) -> Path:
    return project.path / "index.older"


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)
