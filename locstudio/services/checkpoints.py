"""Which checkpoint of each kind of model a project uses, written so that project and installation may both be moved."""

from pathlib import Path
from typing import get_args

from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import ModelKind
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

MODELS: tuple[ModelKind, ...] = get_args(ModelKind)
_BUNDLED = "bundled:"


def portable_path(project: Project, folder: Path) -> str:
    """How the dataset remembers a checkpoint's folder: by name if bundled, relative if inside the project."""
    folder = folder.resolve()
    if is_bundled(folder):
        return f"{_BUNDLED}{folder.name}"
    inside = project.path.resolve()
    return str(folder.relative_to(inside)) if folder.is_relative_to(inside) else str(folder)


def folder_of(project: Project, path: str) -> Path:
    """The folder that ``portable_path`` described."""
    if path.startswith(_BUNDLED):
        return bundled_checkpoint().with_name(path.removeprefix(_BUNDLED))
    return project.path / path


def is_bundled(folder: Path) -> bool:
    """Whether a checkpoint's folder is one that ships with LocStudio."""
    return folder.resolve() in [bundled_checkpoint(model).resolve() for model in MODELS]


def active_folder(project: Project, dataset: DatasetView, model: ModelKind = "cloc") -> Path:
    """The folder of the project's active checkpoint of this model; the bundled one while no other was adopted."""
    active = dataset.active_checkpoint(model)
    return folder_of(project, active.path) if active else bundled_checkpoint(model)
