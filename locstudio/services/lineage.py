"""Where a checkpoint comes from: its parents, what each was trained on and how, and what was edited in between."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from locstudio.domain.errors import BadInput
from locstudio.jobs.configs import RunConfig
from locstudio.services.registry import CheckpointEntry, find_checkpoint, registry
from locstudio.services.runs import find_run
from locstudio.store.dataset import Dataset
from locstudio.store.diff import SnapshotDiff, diff_snapshots
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

NOW = "now"
# What every run has of its own, and no choice of a person.
_NOT_SETTINGS = frozenset({"snapshot_sha256", "snapshot_revision", "checkpoint", "parent_run", "title"})


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One generation.  ``entry`` is None where the project knows no more than the id; so is ``config`` without a run.

    ``corrections_after``: changes of a person between its snapshot and that of the generation after it (for the
    first: now); None where that is not known.
    """

    id: str
    entry: CheckpointEntry | None
    config: RunConfig | None = None
    corrections_after: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The generation as a document."""
        return {
            "id": self.id,
            "checkpoint": self.entry.to_json() if self.entry else None,
            "config": msgspec.to_builtins(self.config) if self.config else None,
            "corrections_after": self.corrections_after,
        }


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that is another: its name, dotted where it belongs to one kind of run, and both values as text."""

    name: str
    old: str
    new: str


def lineage(project: Project, dataset: DatasetView, checkpoint_id: str) -> list[Ancestor]:
    """The checkpoint, the one it was trained from, and so on to the first, which is the bundled one or from elsewhere.

    Raises:
        BadInput: the project does not know the checkpoint.
    """
    entries = {entry.id: entry for entry in registry(project, dataset)}
    if checkpoint_id not in entries:
        raise BadInput(f"The project knows no checkpoint {checkpoint_id}.")
    configs = {run.id: _config_of(run.config) for run in dataset.runs()}
    chain: list[Ancestor] = []
    seen: set[str] = set()
    later: int | None = None  # corrections since the snapshot of the generation after
    current = checkpoint_id
    while current and current not in seen:
        seen.add(current)
        entry = entries.get(current)
        since = dataset.corrections_since(entry.revision) if entry and entry.revision >= 0 else None
        after = None if since is None else since - (later or 0)
        chain.append(Ancestor(current, entry, configs.get(entry.run_id) if entry else None, after))
        later = since if since is not None else later
        current = entry.parent_id if entry else ""
    return chain


def corrections_newer_than(dataset: DatasetView, entry: CheckpointEntry) -> int | None:
    """How many corrections a checkpoint has never seen; None where it is not known what it has seen."""
    return dataset.corrections_since(entry.revision) if entry.revision >= 0 else None


def diff_settings(old: RunConfig, new: RunConfig) -> list[SettingChange]:
    """The settings that differ between two runs, by name; what is every run's own is left out."""
    before, after = _flat(old), _flat(new)
    names = [*before, *(name for name in after if name not in before)]
    pairs = [(name, before.get(name, "-"), after.get(name, "-")) for name in names]
    return [SettingChange(*pair) for pair in pairs if pair[1] != pair[2]]


def diff_data(project: Project, dataset: Dataset, old: str, new: str = NOW) -> SnapshotDiff:
    """What was edited between two snapshots, each named by a run, by a checkpoint, or as "now".

    A snapshot of now is made in the project's cache, one at a time.

    Raises:
        BadInput: there is no such snapshot any more, or never was one.
        UserError: no run or several have the name.
    """
    return diff_snapshots(_snapshot_of(project, dataset, old), _snapshot_of(project, dataset, new))


def config_of(project: Project, dataset: DatasetView, name: str) -> RunConfig:
    """The settings behind a run or a checkpoint, from the run's folder, else as the dataset remembers them.

    Raises:
        BadInput: the checkpoint was not made here.
        UserError: no run or several have the name.
    """
    run_id = _run_id(project, dataset, name)
    folder = project.runs / run_id
    if folder.is_dir():
        return find_run(project, run_id).config()
    known = next((run.config for run in dataset.runs() if run.id == run_id), "")
    config = _config_of(known)
    if config is None:
        raise BadInput(f"The settings of the run {run_id} are not known any more.")
    return config


def _snapshot_of(project: Project, dataset: Dataset, name: str) -> Path:
    if name == NOW:
        return _snapshot_of_now(project, dataset)
    run_id = _run_id(project, dataset, name)
    snapshot = project.runs / run_id / "snapshot.sqlite"
    if not snapshot.is_file():
        raise BadInput(f"The snapshot of the run {run_id} is not there any more.")
    return snapshot


def _snapshot_of_now(project: Project, dataset: Dataset) -> Path:
    folder = project.cache / "now"
    folder.mkdir(parents=True, exist_ok=True)
    for older in folder.iterdir():
        older.unlink(missing_ok=True)
    return dataset.snapshot(folder / f"{secrets.token_hex(4)}.sqlite").path


def _run_id(project: Project, dataset: DatasetView, name: str) -> str:
    """The run that a person names, directly or by what it has made."""
    if (project.runs / name / "config.json").is_file():
        return name
    try:
        entry = find_checkpoint(project, dataset, name)
    except BadInput:
        return find_run(project, name).id
    if not entry.run_id:
        raise BadInput(f"{entry.name} ({entry.id}) was not trained in this project, so its data are not known here.")
    return entry.run_id


def _config_of(text: str) -> RunConfig | None:
    try:
        return msgspec.json.decode(text, type=RunConfig)
    except msgspec.MsgspecError:
        return None


def _flat(config: RunConfig) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in msgspec.to_builtins(config).items():
        if name in _NOT_SETTINGS or value is None:
            continue
        if isinstance(value, dict):
            values.update({f"{name}.{key}": _text(part) for key, part in value.items()})
        else:
            values[name] = _text(value)
    return values


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value) or "-"
