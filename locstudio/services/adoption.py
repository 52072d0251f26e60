"""Taking what a finished run made into the project.

The new thing is prepared beside the old one, whole, and takes its place by a rename; on failure the old one stays.
Of a training the best checkpoint is taken, and only where a comparison with the one in use speaks for it.  A checkpoint
that names regions comes with its index; one that names the classes of images has none.
"""

import itertools
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from locstudio.domain.errors import BadInput, StaleIndex, StorageFailed
from locstudio.index.files import checkpoint_of_index
from locstudio.index.region_index import RegionIndex
from locstudio.index.vocabulary import Vocabulary
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.messages import Saved
from locstudio.jobs.run_folder import PARTIAL, RunFolder, sync_folder
from locstudio.jobs.run_tail import RunTail
from locstudio.jobs.training_files import read_best
from locstudio.services.checkpoints import MODELS, folder_of, portable_path
from locstudio.services.index_swap import CHECKPOINT_NAMES, checkpoints_folder, kept_index, settle, swap_in
from locstudio.services.promotion import Promotion, active_id, require_gate
from locstudio.services.runs_of import run_row, sweep_runs
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.records import CheckpointRow


def adopt_index(project: Project, dataset: Dataset, folder: RunFolder, *, force: bool = False) -> dict[str, Any]:
    """Make the index of a finished run the project's, and the checkpoint that made it the active one of regions.

    Returns:
        ``checkpoint``, ``rows`` and ``phrases``: what the project now searches with.

    Raises:
        BadInput: the run has no complete index, or its checkpoint is damaged.
        CheckpointMismatch: the index was not made by the run's checkpoint, or that names no regions.
        GateFailed: the checkpoint is the fruit of a training and did not pass; ``force`` takes it all the same.
        StorageFailed: the disk refused; the old index stands.
    """
    return _adopt(project, dataset, folder, Path(folder.config().checkpoint), force=force)


def adopt_checkpoint(
    project: Project, dataset: Dataset, folder: RunFolder, *, checkpoint: Path | None = None, force: bool = False
) -> dict[str, Any]:
    """Copy the best checkpoint of a training run into the project and make it active, with the index the run made.

    ``checkpoint`` names another one of the run than the best.  A run that was stopped early has no index; the project
    must then be embedded before it can be searched.

    Returns:
        As ``adopt_index``, and ``is_embedded``; of a model without index ``checkpoint`` and ``model``.

    Raises:
        BadInput: the run has no whole checkpoint.
        GateFailed: no comparison with the checkpoint in use speaks for it; ``force`` takes it all the same.
        StorageFailed: the disk refused; checkpoint and index stay what they were.
    """
    return _adopt(project, dataset, folder, checkpoint or best_checkpoint(folder), force=force)


def best_checkpoint(folder: RunFolder) -> Path:
    """The checkpoint of a training run that is worth having: the best by what was held out, else the newest.

    Raises:
        BadInput: the run has saved none.
    """
    best = read_best(folder)
    saved = [best.path] if best else [message.path for message in RunTail(folder).read() if isinstance(message, Saved)]
    if not saved:
        raise BadInput(f"The run {folder.id} has saved no checkpoint yet, so there is nothing to adopt.")
    path = folder.path / saved[-1]
    if not path.resolve().is_relative_to(folder.path.resolve()):
        raise BadInput(f"The run {folder.id} names a checkpoint that is not its own: {saved[-1]}.")
    return path


def register_checkpoint(project: Project, dataset: Dataset, folder: RunFolder) -> CheckpointRow:
    """List the best checkpoint of a training run among the project's, where it lies, without taking it into use.

    Raises:
        BadInput: the run has no whole checkpoint.
    """
    checkpoint = best_checkpoint(folder)
    return _record(project, dataset, folder, checkpoint, checkpoint_info(checkpoint))


def settle_adoption(project: Project, dataset: Dataset) -> None:
    """Finish what a crash has cut in two, and remove its remains; whoever opens a project for writing calls it first.

    A run that was being made is no run yet, and goes.
    """
    if dataset.is_read_only:
        return
    settle(project, dataset)
    sweep_runs(project)


def _adopt(
    project: Project, dataset: Dataset, folder: RunFolder, checkpoint: Path, *, force: bool = False
) -> dict[str, Any]:
    settle(project, dataset)
    info = checkpoint_info(checkpoint)
    is_index_alone = folder.config().kind == "embed"
    if is_index_alone:
        info.require_model("cloc")
    elif info.model != "cloc":
        return _adopt_without_index(project, dataset, folder, checkpoint, info, force=force)
    index = folder.results / "index"
    is_embedded = (index / "manifest.json").exists()
    if not is_index_alone and checkpoint_of_index(index) != info.id:
        is_embedded = False  # of another step of the same run
    if not is_embedded and is_index_alone:
        raise BadInput(f"The run {folder.id} has not finished its index; resume it, then adopt it.")
    num_rows, num_phrases = check_index(index, info) if is_embedded else (0, 0)
    promotion = None
    if _is_of_a_run(project, checkpoint):
        promotion = require_gate(project, dataset, info, force=force)
    try:
        kept = _keep_checkpoint(project, checkpoint, info)
        partial = project.path / f"index.{secrets.token_hex(4)}{PARTIAL}"
        if is_embedded:
            shutil.copytree(index, partial)
            _sync_tree(partial)
        _record(project, dataset, folder, kept, info, promotion)
        swap_in(project, dataset, info.id, partial if is_embedded else None)
        forget_tokens(project, info.id)
    except OSError as error:
        raise StorageFailed(f"The run {folder.id} was not adopted: {error.strerror or error}.") from error
    adopted = {"checkpoint": info.id, "rows": num_rows, "phrases": num_phrases}
    return adopted if is_index_alone else {**adopted, "is_embedded": is_embedded}


def _adopt_without_index(
    project: Project, dataset: Dataset, folder: RunFolder, checkpoint: Path, info: CheckpointInfo, *, force: bool
) -> dict[str, Any]:
    promotion = require_gate(project, dataset, info, force=force) if _is_of_a_run(project, checkpoint) else None
    try:
        kept = _keep_checkpoint(project, checkpoint, info)
    except OSError as error:
        raise StorageFailed(f"The run {folder.id} was not adopted: {error.strerror or error}.") from error
    _record(project, dataset, folder, kept, info, promotion)
    dataset.activate_checkpoint(info.id)
    return {"checkpoint": info.id, "model": info.model}


def check_index(index: Path, info: CheckpointInfo) -> tuple[int, int]:
    """Open what is about to be used, as a search would.  Returns the number of rows and of phrases.

    Raises:
        BadInput: it cannot be read.
        CheckpointMismatch: it is another checkpoint's.
    """
    try:
        rows = RegionIndex.open(index, info.id)
        num_rows = len(rows)
        rows.close()
        return num_rows, len(Vocabulary.open(index, info.id))
    except StaleIndex as problem:
        raise BadInput(str(problem)) from problem


def forget_tokens(project: Project, checkpoint_id: str) -> None:
    """Remove the tokens, which are large, of checkpoints that are neither in use nor kept for a roll back."""
    for tokens in (project.cache / "tokens").glob(CHECKPOINT_NAMES):
        if tokens.name != checkpoint_id and not kept_index(project, tokens.name).is_dir():
            shutil.rmtree(tokens, ignore_errors=True)


def _is_of_a_run(project: Project, checkpoint: Path) -> bool:
    return checkpoint.resolve().is_relative_to(project.runs.resolve())


def _keep_checkpoint(project: Project, checkpoint: Path, info: CheckpointInfo) -> Path:
    """A checkpoint of a run is copied out of it, so that the run may be deleted; one from elsewhere stays there."""
    if not _is_of_a_run(project, checkpoint):
        return checkpoint
    kept = checkpoints_folder(project) / info.id
    with suppress(BadInput):
        checkpoint_info(kept)
        return kept
    kept.parent.mkdir(exist_ok=True)
    partial = kept.with_name(f"{info.id}.{secrets.token_hex(4)}{PARTIAL}")
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


def _record(
    project: Project,
    dataset: Dataset,
    folder: RunFolder,
    checkpoint: Path,
    info: CheckpointInfo,
    promotion: Promotion | None = None,
) -> CheckpointRow:
    """Remember the run and the checkpoint; what is known of the checkpoint (its name, its origin) stays."""
    run = run_row(folder)
    dataset.record_run(run)
    is_made_here = run.kind == info.model
    path = portable_path(project, checkpoint)
    known = dataset.checkpoints()
    row = next((row for row in known if row.id == info.id), None)
    if row is None:
        row = CheckpointRow(
            id=info.id,
            model=info.model,
            name=_free_name(run.title or info.name, known) if is_made_here else info.name,
            path=path,
            run_id=folder.id if is_made_here else None,
            parent_id=info.parent,
            metrics=msgspec.json.encode(info.metrics).decode(),
            snapshot_sha256=run.snapshot_sha256 if is_made_here else "",
            code_version=run.code_version if is_made_here else "",
        )
    elif promotion is not None or not folder_of(project, row.path).is_dir():
        row = replace(row, model=info.model, path=path)
    if promotion is not None and info.id != active_id(dataset, info.model):
        row = replace(row, gate=promotion.to_text())
    dataset.record_checkpoint(row)
    return row


def _free_name(wanted: str, known: list[CheckpointRow]) -> str:
    """A name that no other checkpoint has: the one that is wanted, or with the next number."""
    taken = {row.name for row in known} | {bundled_checkpoint(model).name for model in MODELS}
    names = (wanted if number == 1 else f"{wanted} {number}" for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)
