"""Opening what the command line names: a project, an image of it, a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.domain.text import shown
from locstudio.jobs.checkpoint_folder import ModelKind, checkpoint_info
from locstudio.services.adoption import settle_adoption
from locstudio.services.checkpoints import active_folder
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, find_project

if TYPE_CHECKING:
    from locstudio.engine.session import EngineSession


@contextmanager
def opened(path: Path, *, read_only: bool = False) -> Iterator[tuple[Project, Dataset]]:
    """The project at ``path`` and its dataset, closed afterwards."""
    project = find_project(path)
    with Dataset.open(project, read_only=read_only) as dataset:
        if not read_only:
            settle_adoption(project, dataset)
        yield project, dataset


def image_of(dataset: Dataset, name: str) -> Image:
    """The image that a person names by id, by path inside its folder, by file, or by a part of its path that is unique.

    Raises:
        BadInput: no image of the project, or several, have this name.
    """
    if name.isdecimal() and (image := dataset.image(int(name))):
        return image
    found = dataset.images_named(name)
    if not found:
        file = Path(name).resolve()
        for root in dataset.roots():
            if file.is_relative_to(root.path):
                found = dataset.images_named(file.relative_to(root.path).as_posix())
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"{len(found)} images are called {name}, for example {found[0].path} and {found[1].path}.")
    raise BadInput(f"The project has no image called {name}.")


def class_id_of(dataset: Dataset, name: str) -> int:
    """A class by its name, whatever its case, else by its number.

    Raises:
        BadInput: the project has no such class.
    """
    classes = dataset.classes()
    found = [entry.id for entry in classes if entry.name.casefold() == name.casefold() and not entry.is_retired]
    found += [entry.id for entry in classes if str(entry.id) == name]
    if not found:
        known = ", ".join(shown(entry.name) for entry in classes[:8]) or "none"
        raise BadInput(f"The project has no class {shown(name)!r}. Its classes: {known}.")
    return found[0]


def unit_box(corners: tuple[float, float, float, float], width: int, height: int) -> UnitBox:
    """A box from the command line: shares of the image, or pixels when any corner is above 1.

    Raises:
        UserError: the box has no area inside the image.
    """
    try:
        if max(corners) > 1:
            return UnitBox.from_pixels(*corners, width, height)
        x0, y0, x1, y1 = corners
        return UnitBox.from_pixels(x0 * width, y0 * height, x1 * width, y1 * height, width, height)
    except ValueError as error:
        raise UserError(f"This box has no area inside the image of {width} x {height} pixels: {corners}.") from error


def checkpoint_folder(project: Project, dataset: Dataset, chosen: Path | None, model: ModelKind = "cloc") -> Path:
    """The checkpoint of this model to use: the one named, else the project's active one, else the bundled one.

    Raises:
        BadInput: it is not there, or the one named cannot be read.
        CheckpointMismatch: the one named is of another kind of model.
    """
    folder = chosen or active_folder(project, dataset, model)
    if not folder.is_dir():
        raise BadInput(f"There is no checkpoint at {folder}.")
    if chosen is not None:
        checkpoint_info(folder).require_model(model)
    return folder


def session(project: Project, folder: Path) -> "EngineSession":
    """The model of this checkpoint, in this process."""
    from locstudio.engine.session import EngineSession

    return EngineSession(folder, cache=project.cache)
