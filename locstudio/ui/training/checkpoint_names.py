"""Checkpoints by names that tell them apart: a training keeps the name of the model that it began with."""

from collections import Counter
from collections.abc import Iterable

from locstudio.services.registry import CheckpointEntry, registry
from locstudio.store.project import Project
from locstudio.store.view import DatasetView
from locstudio.ui.training.wording import when


def names_of(entries: Iterable[CheckpointEntry]) -> dict[str, str]:
    """A name for each id; of several with the same name, those of a run say when it was made."""
    entries = list(entries)
    times = Counter(entry.name for entry in entries)
    return {
        entry.id: f"{entry.name} · {when(entry.run_id)}" if entry.run_id and times[entry.name] > 1 else entry.name
        for entry in entries
    }


def names_in(project: Project, dataset: DatasetView) -> dict[str, str]:
    """The same for every checkpoint of a project.  Reads their folders: call it on a worker."""
    return names_of(registry(project, dataset))
