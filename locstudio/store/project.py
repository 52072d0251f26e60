"""A project on disk: where its parts lie, and how a folder is told to be one."""

import os
from dataclasses import dataclass
from pathlib import Path

from locstudio.domain.errors import NotAProject, StorageFailed

DATASET_NAME = "dataset.sqlite"


@dataclass(frozen=True, slots=True)
class Project:
    """The folder of a project.  ``cache`` may be deleted at any time; all else is a person's work."""

    path: Path

    @property
    def name(self) -> str:
        """What a person calls the project: the folder's own name."""
        return self.path.name

    @property
    def dataset_path(self) -> Path:
        """Everything a person did, in one SQLite file."""
        return self.path / DATASET_NAME

    @property
    def runs(self) -> Path:
        """One folder for every run of the trainer."""
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        """Thumbnails and image tokens."""
        return self.path / "cache"

    @property
    def backups(self) -> Path:
        """Copies of the dataset: daily, before each migration, and by command."""
        return self.path / "backups"

    @property
    def index(self) -> Path:
        """The region embeddings of the active checkpoint."""
        return self.path / "index"

    @property
    def lock_path(self) -> Path:
        """The file whose lock says who writes."""
        return self.path / "lock"

    @property
    def owner_path(self) -> Path:
        """Who holds the lock, as JSON, for the sentence that a second one reads."""
        return self.path / "lock.owner"


def create_project(path: Path) -> Project:
    """Make the folders of a new project; ``Dataset.create`` then makes its dataset.

    Raises:
        StorageFailed: a project is there already, or the folder cannot be made.
    """
    project = Project(Path(os.path.abspath(path)))
    if project.dataset_path.exists():
        raise StorageFailed(f"{project.path} is a LocStudio project already; open it, or choose another name.")
    try:
        for folder in (project.path, project.runs, project.cache, project.backups):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed(f"The project folder {project.path} cannot be made: {error.strerror}.") from error
    return project


def find_project(path: Path) -> Project:
    """The project at ``path``: its folder, its dataset file, or a folder inside it.

    Raises:
        NotAProject: there is none.
    """
    start = Path(os.path.abspath(path))
    for folder in (start, *start.parents):
        if (folder / DATASET_NAME).is_file():
            return Project(folder)
    raise NotAProject(f"{path} is not a LocStudio project: it holds no {DATASET_NAME}.")
