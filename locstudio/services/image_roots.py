"""Which of a dataset's folders a picture file lies in."""

import os
from dataclasses import dataclass
from pathlib import Path

from locstudio.store.dataset import Dataset


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file as the dataset names it: a root and a path inside it, with forward slashes."""

    root_id: int
    root_path: str
    path: str

    @property
    def file(self) -> Path:
        """The file itself."""
        return Path(self.root_path, self.path)


class ImageRoots:
    """The roots of a dataset; the innermost root that holds a file has it, so no file is in the dataset twice."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._roots: list[tuple[str, str, int]] = []
        for root in dataset.roots():
            self._remember(root.path, root.id)

    def _remember(self, path: str, root_id: int) -> None:
        self._roots.append((os.path.realpath(path).rstrip(os.sep) + os.sep, path, root_id))
        self._roots.sort(key=lambda root: -len(root[0]))

    def add(self, folder: Path) -> None:
        """Make sure that files in ``folder`` have a root: one of the present ones, or the folder as a new one."""
        real = os.path.realpath(folder)
        if not any((real.rstrip(os.sep) + os.sep).startswith(prefix) for prefix, _, _ in self._roots):
            root = self._dataset.add_root(Path(real))
            self._remember(root.path, root.id)

    def place(self, file: str) -> FilePlace:
        """Where a file is; its folder must have been added.

        Raises:
            LookupError: no root holds the file.
        """
        for prefix, root_path, root_id in self._roots:
            if file.startswith(prefix):
                return FilePlace(root_id, root_path, file[len(prefix) :].replace(os.sep, "/"))
        raise LookupError(f"no image root holds {file!r}")
