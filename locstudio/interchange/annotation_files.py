"""A folder that holds a file of annotations per image: found without following links, read in small pieces."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.interchange.rows import BadRow, Progress

MAX_FILE_BYTES = 16 << 20
"""A larger file is not the annotations of one image."""


class AnnotationFolder:
    """The files of a folder, or a single one; what is wrong with one of them is a line of the report.

    A file has the name that it has inside the folder, with forward slashes, and that is its key.
    """

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None) -> None:
        self.path = path
        self.name = shown(path.name or str(path.resolve()))
        self.folder = path if path.is_dir() else path.parent
        self._report = report
        self._progress = progress

    def files(self, suffix: str | tuple[str, ...]) -> list[str]:
        """Files that end in ``suffix``, sorted folder by folder; links and hidden files are passed over.

        Raises:
            BadInput: the folder cannot be read.
        """
        if not self.path.is_dir():
            return [self.path.name]
        try:
            return list(_files_in(self.path, suffix))
        except OSError as error:
            raise BadInput(f"{self.name} cannot be read: {(error.strerror or 'unknown error').lower()}.") from error

    def counted(self, files: list[str]) -> Iterator[tuple[int, str]]:
        """Files with their number; says how far it is."""
        for number, file in enumerate(files):
            if self._progress and number % 50 == 0:
                self._progress(number, len(files))
            yield number, file

    def read(self, file: str, limit: int = MAX_FILE_BYTES) -> bytes:
        """A file's content, of at most ``limit`` bytes.

        Raises:
            BadRow: it cannot be read, or is not the annotations of one image.
        """
        try:
            status = os.stat(self.folder / file)
            if not stat.S_ISREG(status.st_mode):
                raise BadRow("it is no regular file")
            if status.st_size > limit:
                raise BadRow("it is too large for the annotations of one image", f"{status.st_size} bytes")
            return (self.folder / file).read_bytes()
        except OSError as error:
            raise BadRow("it cannot be read", (error.strerror or "unknown error").lower()) from error

    def drop_file(self, number: int, file: str, error: BadRow) -> None:
        """Report a file that cannot be used."""
        self._report.note(RowNote("files", number, file, Outcome.DROPPED, error.reason, error.detail))

    def note_file(self, number: int, file: str, reason: str, detail: str = "") -> None:
        """Report what was read otherwise than it stands in a file."""
        self._report.note(RowNote("files", number, file, Outcome.KEPT, reason, detail))

    def drop_row(self, row: int, file: str, error: BadRow) -> None:
        """Report a region that cannot be used."""
        self._report.note(RowNote("annotations", row, file, Outcome.DROPPED, error.reason, error.detail))

    def note_row(self, row: int, file: str, reason: str, detail: str = "") -> None:
        """Report what was read otherwise than it stands in a row."""
        self._report.note(RowNote("annotations", row, file, Outcome.KEPT, reason, detail))

    def drop_class(self, row: int, error: BadRow) -> None:
        """Report a class that cannot be used."""
        self._report.note(RowNote("classes", row, "", Outcome.DROPPED, error.reason, error.detail))

    def note_class(self, reason: str, detail: str = "") -> None:
        """Report what is odd of the list of classes."""
        self._report.note(RowNote("classes", 0, "", Outcome.KEPT, reason, detail))

    def nothing_found(self, kind: str) -> BadInput:
        """What to say of a folder without a single file that can be used."""
        reasons = [note.reason for note in self._report.notes[:1]]
        return BadInput(f"{self.name} holds no {kind}" + "".join(f"; of the first file: {r}" for r in reasons) + ".")


def row_id(file: str, key: object) -> str:
    """The identity of a row: of the file it stands in, as text that can be stored, and its own."""
    return f"{shown(file, 400)}#{shown(str(key))}"


class FreeNames:
    """Names of new files, one per image: as the image is called, and with its suffix where another has that name."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._taken: set[str] = set()

    def name_for(self, file_name: str) -> str:
        """A name that was not given before, not even to a file system that does not tell case."""
        stem = os.path.splitext(file_name)[0]
        name, number = f"{stem}{self._suffix}", 1
        while name.casefold() in self._taken:
            name = f"{file_name}{self._suffix}" if number == 1 else f"{file_name}.{number}{self._suffix}"
            number += 1
        self._taken.add(name.casefold())
        return name


def _files_in(root: Path, suffix: str | tuple[str, ...]) -> Iterator[str]:
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            if not folder:
                raise
            continue
        subfolders = []
        for entry in listed:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                subfolders.append(name)
            elif entry.name.lower().endswith(suffix) and entry.is_file(follow_symlinks=False):
                yield name
        waiting.extend(reversed(subfolders))
