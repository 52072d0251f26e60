"""What must be read before a project can be shown or searched.  No Qt; everything here may wait for the disk."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locstudio.domain.errors import BadInput, CheckpointMismatch, NotAProject, StaleIndex, UserError
from locstudio.domain.regions import Image
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.adoption import adopt_index, settle_adoption
from locstudio.services.checkpoints import active_folder
from locstudio.services.collection import open_images, project_for_images
from locstudio.services.runs import list_runs
from locstudio.services.search import SearchService
from locstudio.store.dataset import Dataset
from locstudio.store.filters import ImageFilter
from locstudio.store.project import Project, find_project
from locstudio.store.thumbnails import ThumbnailStore

Progress = Callable[[int, int], None]


class ImageFiles:
    """Where images lie, known without asking the disk."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._roots: dict[int, Path] = {}
        self.read()

    def read(self) -> None:
        """Read the folders again, as after one was added."""
        self._roots = {root.id: Path(root.path) for root in self._dataset.roots()}

    def file_of(self, image: Image) -> Path:
        """Where the image's file should be."""
        return self._roots.get(image.root_id, Path()) / image.path


@dataclass(frozen=True, slots=True)
class OpenedProject:
    """A project whose dataset is open.  ``checkpoint`` is None when this installation has no model."""

    project: Project
    dataset: Dataset
    thumbnails: ThumbnailStore
    files: ImageFiles
    checkpoint: Path | None

    @property
    def title(self) -> str:
        """What the project is called: its folder's name, without the hash that the project of an image folder has."""
        return re.sub(r"-[0-9a-f]{8}$", "", self.project.name)

    def close(self) -> None:
        """Let go of every file."""
        self.thumbnails.close()
        self.dataset.close()


@dataclass(frozen=True, slots=True)
class SearchState:
    """The project's index, if it can be searched, and how many images it does not hold.

    ``reason`` says why there is none; ``running`` is a run that is making one.
    """

    service: SearchService | None
    num_images: int
    num_missing: int
    reason: str = ""
    running: RunFolder | None = None


def open_project(path: Path, *, read_only: bool = False, progress: Progress | None = None) -> OpenedProject:
    """Open the project at ``path``, or that of a folder of images (made at the first call).

    Raises:
        BadInput: there is neither.
        DatasetInUse: another process has it open.
        StorageFailed: it cannot be read or made.
    """
    try:
        project = find_project(path)
    except NotAProject:
        if not path.is_dir():
            raise BadInput(f"There is no project and no folder of images at {path}.") from None
        project = open_images(path, progress=progress)
    dataset = Dataset.open(project, read_only=read_only)
    try:
        if not read_only:
            settle_adoption(project, dataset)
        folder = active_folder(project, dataset)
        thumbnails = ThumbnailStore(project.cache / "thumbnails.sqlite")
        return OpenedProject(project, dataset, thumbnails, ImageFiles(dataset), folder if folder.is_dir() else None)
    except BaseException:
        dataset.close()
        raise


def call_owner(path: Path) -> None:
    """Ask the window that has this project open to come forward: it watches the file that names it."""
    with suppress(OSError, UserError):
        try:
            project = find_project(path)
        except NotAProject:
            project = find_project(project_for_images(path))
        os.utime(project.owner_path)


def open_search(opened: OpenedProject) -> SearchState:
    """Open the index for searching, and see what it lacks; a finished run that nobody has taken is taken now."""
    dataset, project = opened.dataset, opened.project
    sound = dataset.image_ids(ImageFilter(has_problem=False, order="id"))
    if opened.checkpoint is None:
        return SearchState(None, len(sound), len(sound), "This installation has no model.")
    runs = [run for run in list_runs(project) if run.kind == "embed"]
    running = next((run.folder for run in runs if run.state in (RunState.RUNNING, RunState.STOPPING)), None)
    known = {row.id for row in dataset.runs()}
    done = next((run.folder for run in runs[:1] if run.state is RunState.DONE and run.id not in known), None)
    if done is not None and Path(done.config().checkpoint).resolve() != opened.checkpoint.resolve():
        done = None  # meanwhile another checkpoint was taken into use; an index does not take it back
    if done is not None and not dataset.is_read_only:
        adopt_index(project, dataset, done)
    try:
        service = SearchService.open(project, dataset, opened.checkpoint)
    except (StaleIndex, CheckpointMismatch, BadInput) as problem:
        return SearchState(None, len(sound), len(sound), str(problem), running)
    missing = np.setdiff1d(sound, service.index.image_ids(), assume_unique=True)
    return SearchState(service, len(sound), len(missing), running=running)
