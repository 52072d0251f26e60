"""The demo project: a finished project that ships with LocStudio, copied where it may be written."""

import os
import secrets
import shutil
from pathlib import Path

import platformdirs

from locstudio.domain.errors import BadInput
from locstudio.jobs.assets import assets_folder
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, find_project


def demo_images() -> Path:
    """The folder of the demo's images, inside the installation; nothing ever writes there."""
    return assets_folder() / "demo" / "images"


def open_demo(at: Path | None = None) -> Project:
    """The demo project at ``at`` (default: in the person's data folder), copied there at the first call.

    What a person did in it is kept; only the place of the images is brought up to date, because the installation may
    have moved.

    Raises:
        BadInput: this installation has no demo, or ``at`` is a folder with something else in it.
    """
    shipped = assets_folder() / "demo" / "project"
    if not (shipped / "dataset.sqlite").is_file():
        raise BadInput(f"This installation has no demo project at {shipped}.")
    target = at or platformdirs.user_data_path("locstudio") / "demo"
    if not (target / "dataset.sqlite").exists():
        if target.exists() and any(target.iterdir()):
            raise BadInput(f"{target} is not empty and is not a LocStudio project; choose another folder for the demo.")
        _copy_whole(shipped, target)
    project = find_project(target)
    with Dataset.open(project) as dataset:
        for root in dataset.roots():
            if Path(root.path) != demo_images():
                dataset.relink_root(root.id, demo_images())
    return project


def _copy_whole(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
    shutil.copytree(source, partial)
    for folder, _, files in os.walk(partial):
        for file in files:
            os.chmod(Path(folder) / file, 0o644)
    if target.exists():
        target.rmdir()
    os.replace(partial, target)
