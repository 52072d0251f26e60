"""The checkpoints that a project knows: listed, named, taken into use again, and their files removed.

Each is of one kind of model, and of each kind one is in use.  The bundled ones are always among them.  A row is never
removed: what a checkpoint was trained on and measured is worth knowing after its weights are gone.
"""

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from locstudio.domain.errors import BadInput, StorageFailed, UserError
from locstudio.index.files import checkpoint_of_index
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import CheckpointInfo, checkpoint_info
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.adoption import adopt_checkpoint, check_index, forget_tokens
from locstudio.services.checkpoints import MODELS, folder_of, is_bundled, portable_path
from locstudio.services.index_swap import checkpoints_folder, kept_index, settle, swap_in
from locstudio.services.promotion import Promotion, promotion_of
from locstudio.services.run_summary import describe_run
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.records import CheckpointRow
from locstudio.store.view import DatasetView


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """One checkpoint as the registry shows it.

    Attributes:
        folder: Where its files are, or were.
        model: What kind of model it is: ``cloc`` names regions, ``consistency`` the classes of images, ``vmoe`` sends
            them to experts.
        run_id: The run that has made it; empty for one from elsewhere.
        revision: The dataset's revision that it has learnt from; -1 where that is not known.
        is_present: Its files are there.
        is_indexed: An index of it is there, so that it can be searched with at once; never of a model without one.
        promotion: Why it was taken into use; None where nothing decided.
    """

    id: str
    name: str
    folder: Path
    model: str = "cloc"
    parent_id: str = ""
    run_id: str = ""
    created_at: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    snapshot_sha256: str = ""
    revision: int = -1
    code_version: str = ""
    note: str = ""
    is_active: bool = False
    is_present: bool = True
    is_bundled: bool = False
    is_indexed: bool = False
    promotion: Promotion | None = None

    @property
    def was_used(self) -> bool:
        """Whether the project has worked with it before, so that activating it is a way back."""
        return self.promotion is not None or self.is_bundled

    def to_json(self) -> dict[str, Any]:
        """The entry as a document."""
        gate = self.promotion.gate if self.promotion else None
        return {
            "id": self.id,
            "name": self.name,
            "model": self.model,
            "folder": str(self.folder),
            "parent": self.parent_id,
            "run": self.run_id,
            "created_at": self.created_at,
            "metrics": self.metrics,
            "snapshot_sha256": self.snapshot_sha256,
            "revision": self.revision,
            "code_version": self.code_version,
            "note": self.note,
            "is_active": self.is_active,
            "is_present": self.is_present,
            "is_bundled": self.is_bundled,
            "is_indexed": self.is_indexed,
            "gate_passed": gate.passed if gate else None,
            "is_forced": bool(self.promotion and self.promotion.is_forced),
        }


def registry(project: Project, dataset: DatasetView) -> list[CheckpointEntry]:
    """Every checkpoint the project knows, newest first, the bundled ones last."""
    revisions = {run.id: run.revision for run in dataset.runs() if run.snapshot_sha256}
    indexed = checkpoint_of_index(project.index)
    entries = [_entry(project, row, indexed, revisions) for row in dataset.checkpoints()]
    for model in MODELS:
        of_model = [entry for entry in entries if entry.model == model]
        if any(entry.is_bundled for entry in of_model) or not bundled_checkpoint(model).is_dir():
            continue
        row = _bundled_row(project, checkpoint_info(bundled_checkpoint(model)))
        is_active = not any(entry.is_active for entry in of_model)
        entries.append(_entry(project, replace(row, is_active=is_active), indexed, revisions))
    return sorted(entries, key=lambda entry: entry.is_bundled)


def find_checkpoint(project: Project, dataset: DatasetView, name: str) -> CheckpointEntry:
    """The checkpoint that a person names: by id, by name, by its run, "bundled" or "active", or a part of its id.

    "bundled" and "active" are of the model that names regions, "bundled-consistency", "active-vmoe" and so on
    of the others.

    Raises:
        BadInput: none is called so, or several are.
    """
    entries = registry(project, dataset)
    for found in (
        [entry for entry in entries if name in (entry.id, entry.run_id)],
        [entry for entry in entries if entry.name == name],
        [entry for entry in entries if name in _words_for(entry)],
        [entry for entry in entries if name and (name in entry.id or name in entry.run_id)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(f"{len(found)} checkpoints are called {name}: {', '.join(entry.id for entry in found)}.")
    raise BadInput(f"The project knows no checkpoint called {name}; `locstudio checkpoints {project.path}` lists them.")


def activate(project: Project, dataset: Dataset, checkpoint_id: str, *, force: bool = False) -> dict[str, Any]:
    """Take a checkpoint into use that the project knows, with its index where one was kept: the way back.

    One that was trained here and never adopted goes through its gate first.

    Returns:
        As ``adopt_checkpoint``; where ``is_embedded`` is False the project must be embedded before it is searched.

    Raises:
        BadInput: the checkpoint is not known, or its files are gone or damaged.
        GateFailed: it was never adopted and does not pass; ``force`` takes it all the same.
        StorageFailed: the disk refused; what was in use stays.
    """
    settle(project, dataset)
    entry = next((entry for entry in registry(project, dataset) if entry.id == checkpoint_id), None)
    if entry is None:
        raise BadInput(f"The project knows no checkpoint {checkpoint_id}.")
    run = _run_that_holds(project, entry.folder)
    if run is not None:
        return adopt_checkpoint(project, dataset, run, checkpoint=entry.folder, force=force)
    info = checkpoint_info(entry.folder)
    if (info.id, info.model) != (checkpoint_id, entry.model):
        raise BadInput(f"{entry.folder} holds {info.id} now, not {checkpoint_id}.")
    if entry.is_bundled and all(row.id != info.id for row in dataset.checkpoints()):
        dataset.record_checkpoint(_bundled_row(project, info))
    if info.model != "cloc":
        dataset.activate_checkpoint(info.id)
        return {"checkpoint": info.id, "model": info.model}
    return _activate_with_index(project, dataset, info)


def _activate_with_index(project: Project, dataset: Dataset, info: CheckpointInfo) -> dict[str, Any]:
    kept = kept_index(project, info.id)
    is_in_place = checkpoint_of_index(project.index) == info.id
    is_kept = not is_in_place and checkpoint_of_index(kept) == info.id
    num_rows = num_phrases = 0
    if is_in_place or is_kept:
        num_rows, num_phrases = check_index(kept if is_kept else project.index, info)
    try:
        swap_in(project, dataset, info.id, kept if is_kept else None)
        forget_tokens(project, info.id)
    except OSError as error:
        raise StorageFailed(f"{info.name} was not taken into use: {error.strerror or error}.") from error
    is_embedded = is_in_place or is_kept
    return {"checkpoint": info.id, "rows": num_rows, "phrases": num_phrases, "is_embedded": is_embedded}


def label_checkpoint(dataset: Dataset, checkpoint_id: str, *, name: str | None = None, note: str | None = None) -> None:
    """Give a checkpoint another name, or a note.

    Raises:
        BadInput: the project has not recorded it (the bundled one while it was never replaced).
    """
    row = next((row for row in dataset.checkpoints() if row.id == checkpoint_id), None)
    if row is None:
        raise BadInput(f"The project has not recorded the checkpoint {checkpoint_id}.")
    new_name = row.name if name is None else name.strip() or row.name
    dataset.record_checkpoint(replace(row, name=new_name, note=row.note if note is None else note))


def delete_checkpoint(project: Project, dataset: Dataset, checkpoint_id: str) -> None:
    """Remove the files of a checkpoint that is not in use, and its kept index; what is known of it stays.

    Raises:
        BadInput: the project does not know it.
        UserError: it is in use, bundled, lies where the project keeps no checkpoints, or its run goes on.
        StorageFailed: the disk refused.
    """
    entry = next((entry for entry in registry(project, dataset) if entry.id == checkpoint_id), None)
    if entry is None:
        raise BadInput(f"The project knows no checkpoint {checkpoint_id}.")
    if entry.is_active:
        raise UserError(f"{entry.name} is in use; take another checkpoint into use first.")
    if entry.is_bundled or not entry.folder.resolve().is_relative_to(project.path.resolve()):
        raise UserError(f"{entry.name} lies outside this project, at {entry.folder}; nothing there is ever removed.")
    run = _run_that_holds(project, entry.folder)
    if run is not None and describe_run(run).has_process:
        raise UserError(f"The run {run.id} goes on; wait for its end before you remove what it has made.")
    places = [entry.folder, *([] if run else [checkpoints_folder(project) / checkpoint_id])]
    home = run.checkpoints if run else checkpoints_folder(project)
    # Path and id are only words of the dataset, which may be a stranger's: "." would be the project itself.
    if not all(_lies_right_in(project, home, place) for place in places):
        raise UserError(f"{entry.name} does not lie where this project keeps checkpoints; nothing is removed.")
    try:
        for place in places:
            if place.exists():
                shutil.rmtree(place)
    except OSError as error:
        raise StorageFailed(f"{entry.name} was not removed whole: {error.strerror or error}.") from error


def _words_for(entry: CheckpointEntry) -> list[str]:
    """What a checkpoint is called for what it is."""
    which = [*(["bundled"] if entry.is_bundled else []), *(["active"] if entry.is_active else [])]
    return which if entry.model == "cloc" else [f"{word}-{entry.model}" for word in which]


def _bundled_row(project: Project, info: CheckpointInfo) -> CheckpointRow:
    path = portable_path(project, bundled_checkpoint(info.model))
    row = CheckpointRow(info.id, info.model, info.name, path, metrics=json.dumps(info.metrics))
    return replace(row, parent_id=info.parent)


def _entry(project: Project, row: CheckpointRow, indexed: str, revisions: dict[str, int]) -> CheckpointEntry:
    folder = folder_of(project, row.path)
    run = _run_that_holds(project, folder)
    indexes = [kept_index(project, row.id), *([run.results / "index"] if run is not None else [])]
    return CheckpointEntry(
        id=row.id,
        name=row.name,
        folder=folder,
        model=row.model,
        parent_id=row.parent_id,
        run_id=row.run_id or "",
        created_at=row.created_at,
        metrics=_metrics_of(row.metrics),
        snapshot_sha256=row.snapshot_sha256,
        revision=revisions.get(row.run_id or "", -1),
        code_version=row.code_version,
        note=row.note,
        is_active=row.is_active,
        is_present=(folder / "manifest.json").is_file(),
        is_bundled=is_bundled(folder),
        is_indexed=row.id == indexed or any(checkpoint_of_index(index) == row.id for index in indexes),
        promotion=promotion_of(row.gate),
    )


def _metrics_of(text: str) -> dict[str, float]:
    """Metrics as the dataset remembers them; none where that cannot be read."""
    with suppress(msgspec.MsgspecError, RecursionError):
        return msgspec.json.decode(text, type=dict[str, float])
    return {}


def _run_that_holds(project: Project, checkpoint: Path) -> RunFolder | None:
    """The run in whose folder a checkpoint still lies, because it was never adopted."""
    runs = project.runs.resolve()
    path = checkpoint.resolve()
    return RunFolder(project.runs / path.relative_to(runs).parts[0]) if runs in path.parents else None


def _lies_right_in(project: Project, home: Path, place: Path) -> bool:
    """Whether a place is an entry of the folder ``home`` of this project, links followed."""
    return place.resolve().parent == home.resolve() and project.path.resolve() in home.resolve().parents
