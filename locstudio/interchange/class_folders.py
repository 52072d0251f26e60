"""Images sorted into folders, one for each class: the name of the folder is a class that is in each of its images.

Below folders that are all named like splits (train, val, …) the folders of the classes come one level deeper, and the
images belong to these splits.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from locstudio.domain.errors import BadInput
from locstudio.domain.picture_names import PICTURE_SUFFIXES
from locstudio.interchange.annotation_files import AnnotationFolder
from locstudio.interchange.report import ImportReport
from locstudio.interchange.rows import AnyRow, BadRow, ClassRow, ImageRow, LabelRow, Progress, Tables, clean

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "dev"}
SPLITS |= {"test": "test", "testing": "test"}
"""What splits are called, by the names of their folders."""

_SUFFIXES = tuple(sorted(PICTURE_SUFFIXES))


class ClassFolders:
    """A folder of folders of images: `tables` first, then `rows`."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        self._folder = AnnotationFolder(path, report, progress)
        self._class_of: dict[str, str] = {}

    def tables(self) -> Tables:
        """Images and classes.

        Raises:
            BadInput: it is no folder, or no folder in it holds images.
        """
        if not self._folder.path.is_dir():
            raise BadInput(f"{self._folder.name} is no folder; choose the one that holds a folder for each class.")
        files = self._folder.files(_SUFFIXES)
        place = _place_of_class(files)
        tables = Tables()
        folder = os.path.abspath(self._folder.folder)
        for number, file in self._folder.counted(files):
            try:
                name = _class_name(file, place)
            except BadRow as error:
                self._folder.drop_row(number, file, error)
                continue
            self._class_of[file] = name
            # A folder may be called "a:b", which by itself would be taken for an address.
            path = f"./{file}" if ":" in file else file
            split = SPLITS[file.split("/", 1)[0].casefold()] if place else ""
            tables.images[file] = ImageRow(number, file, path, folder=folder, split=split)
            tables.classes.setdefault(name, ClassRow(name, name))
        if not tables.images:
            raise self._folder.nothing_found("images in folders that are named like their classes")
        return tables

    def rows(self) -> Iterator[AnyRow]:
        """One label for each image."""
        for number, (file, name) in enumerate(self._class_of.items()):
            yield LabelRow(number, "images", file, name)


def holds_class_folders(path: Path) -> bool:
    """Whether a folder has folders in it of which the first, by name, holds a picture; little of it is read."""
    try:
        with os.scandir(path) as entries:
            folders = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
        for _ in range(2):  # of a split, what is in its first folder
            if not folders:
                return False
            path = path / folders[0]
            with os.scandir(path) as entries:
                listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            if any(not is_folder and name.lower().endswith(_SUFFIXES) for name, is_folder in listed):
                return True
            folders = sorted(name for name, is_folder in listed if is_folder and not name.startswith("."))
    except OSError:
        return False
    return False


def _place_of_class(files: list[str]) -> int:
    """Which part of a path is the class: the first, or below splits the second."""
    parts = [file.split("/") for file in files]
    is_split = all(each[0].casefold() in SPLITS for each in parts if len(each) > 1)
    return int(is_split and any(len(each) > 2 for each in parts))


def _class_name(file: str, place: int) -> str:
    parts = file.split("/")
    if len(parts) < place + 2:
        raise BadRow("it lies in no folder of a class")
    name = clean(parts[place]).strip()
    if not name:
        raise BadRow("its folder has no name")
    return name
