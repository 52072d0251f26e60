"""Labels of whole images as a CSV table: ``image,class[,presence]``, a row for each class of each image.

What comes in may have a row of names or none, and be separated by commas, semicolons or tabs.  A cell that a
spreadsheet would take for a formula goes out with an apostrophe before it, and comes in without.
"""

import codecs
import csv
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from locstudio.domain.errors import BadInput
from locstudio.domain.image_labels import Presence
from locstudio.domain.text import shown
from locstudio.interchange.csv_table import guarded, plain
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.interchange.rows import (
    MAX_NAME,
    MAX_TEXT,
    ORIGINS,
    AnyRow,
    BadRow,
    ClassRow,
    ImageRow,
    LabelRow,
    Progress,
    Tables,
    brief,
    clean,
    score_of,
)
from locstudio.interchange.writing import Carries, Contents

COLUMNS = ("file_name", "class", "presence", "origin", "score")
CARRIES = Carries(regions=False, labels=True, scores=True, origins=True)
MAX_LINE = 1 << 20
"""Bytes; a longer line is no row of such a table."""

_IMAGE = ("file_name", "image", "filename", "file", "path", "image_path", "image_name", "image_id", "imageid")
_CLASS = ("class", "label", "class_name", "category", "labelname", "classname")
_NAMES = {
    "image": _IMAGE,
    "class": _CLASS,
    "presence": ("presence", "present"),
    "origin": ("origin",),
    "score": ("score", "confidence"),
}
_BOXES = ("x0_px", "xmin", "x_min", "x1", "bbox")
_WORDS: dict[Presence, tuple[str, ...]] = {
    Presence.POSITIVE: ("positive", "", "1", "1.0", "true", "yes", "y", "present", "+"),
    Presence.NEGATIVE: ("negative", "0", "0.0", "false", "no", "n", "absent", "-"),
    Presence.UNKNOWN: ("unknown", "-1", "?", "unsure", "uncertain"),
}
_PRESENCE_OF = {word: presence for presence, words in _WORDS.items() for word in words}
_TABLE = "labels"
_OLD_END = re.compile(r"\r(?!\n)")
_MOST_NAMES = 100


def write_labels(contents: Contents, target: Path) -> None:
    """Write the labels of an export as a table, and make it durable."""
    names = {label.id: label.name for label in contents.classes}
    with open(target, "x", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for page in contents.pages():
            for label in page.labels:
                score = "" if label.score is None else repr(label.score)
                texts = (guarded(page.file_name), guarded(CARRIES.text(names[label.class_id])))
                writer.writerow([*texts, str(label.presence), str(label.origin), score])
        file.flush()
        os.fsync(file.fileno())


def is_table_of_labels(start: bytes) -> bool:
    """Whether a file begins with a row of names that such a table has, and none of boxes."""
    line = (start.decode("utf-8", "replace").removeprefix("\ufeff").splitlines() or [""])[0]
    names = _names_in(line, _separator(line))
    is_of_boxes = any(name in names for name in _BOXES)
    return not is_of_boxes and any(n in names for n in _IMAGE) and any(n in names for n in _CLASS)


class LabelTable:
    """A table of labels, read twice from front to back: `tables` first, then `rows`."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        self._path = path
        self._report = report
        self._progress = progress
        self._separator = ","
        self._place_of: dict[str, int] = {}

    def tables(self) -> Tables:
        """Images and classes that sound rows name.

        Raises:
            BadInput: the table cannot be read, or has no row that can be used.
        """
        tables = Tables()
        for row, label in self._labels(self._note):
            tables.images.setdefault(label.image_key, ImageRow(row, label.image_key, str(label.image_key)))
            tables.classes.setdefault(label.class_key, ClassRow(label.class_key, str(label.class_key)))
        if not tables.images:
            reasons = "".join(f"; of the first row: {note.reason}" for note in self._report.notes[:1])
            raise BadInput(f"{shown(self._path.name)} holds no rows of an image and a class{reasons}.")
        return tables

    def rows(self) -> Iterator[AnyRow]:
        """The labels of sound rows, in the file's order.

        Raises:
            BadInput: the table cannot be read from here on.
        """
        for _, label in self._labels(lambda _row, _name, _error: None):  # noted when they were read first
            yield label

    def _note(self, row: int, name: str, error: BadRow) -> None:
        self._report.note(RowNote(_TABLE, row, name, Outcome.DROPPED, error.reason, error.detail))

    def _labels(self, note: Callable[[int, str, BadRow], None]) -> Iterator[tuple[int, LabelRow]]:
        for row, cells in self._rows():
            try:
                yield row, self._label_of(row, cells)
            except BadRow as error:
                note(row, brief(clean(cells[0])) if cells else "", error)

    def _label_of(self, row: int, cells: list[str]) -> LabelRow:
        image = plain(self._cell(cells, "image"))
        if not image.strip() or len(image) > MAX_TEXT:
            raise BadRow("it names no image")
        name = clean(plain(self._cell(cells, "class"))).strip()
        if not name:
            raise BadRow("it names no class")
        if len(name) > MAX_NAME:
            raise BadRow("the name of its class is too long", f"{len(name)} characters")
        word = self._cell(cells, "presence").strip().lower()
        if word not in _PRESENCE_OF:
            raise BadRow("it says neither positive, negative nor unknown", clean(word))
        score = None
        with suppress(ValueError):
            score = score_of(float(self._cell(cells, "score") or "nan"))
        origin = ORIGINS.get(self._cell(cells, "origin").strip())
        return LabelRow(row, _TABLE, image, name, _PRESENCE_OF[word], origin, score)

    def _cell(self, cells: list[str], name: str) -> str:
        place = self._place_of.get(name, len(cells))
        return cells[place] if place < len(cells) else ""

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows of cells after that of names, empty ones passed over."""
        if not self._path.is_file():  # a pipe would be waited for
            raise BadInput(f"{shown(self._path.name)} is no file of labels.")
        try:
            with open(self._path, "rb") as file:
                reader = csv.reader(self._find_columns(self._lines(file)), delimiter=self._separator)
                for row, cells in enumerate(reader):
                    if cells and any(cell.strip() for cell in cells):
                        yield row, cells
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            raise BadInput(f"{shown(self._path.name)} cannot be read: {reason}.") from error
        except csv.Error as error:
            raise BadInput(f"{shown(self._path.name)} cannot be read: {shown(str(error))}.") from error

    def _find_columns(self, lines: Iterator[str]) -> Iterator[str]:
        """Learn how cells are separated and which is what; gives the lines after the row of names, if there is one."""
        first = next(lines, "")
        self._separator = _separator(first)
        names = _names_in(first, self._separator)
        self._place_of = {
            key: names.index(word) for key, words in _NAMES.items() for word in reversed(words) if word in names
        }
        if {"image", "class"} <= self._place_of.keys():
            return lines
        self._place_of = {"image": 0, "class": 1, "presence": 2}
        return chain([first], lines)

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        size = os.fstat(file.fileno()).st_size
        told = num_quotes = 0
        while line := file.readline(MAX_LINE):
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                raise BadInput(f"{shown(self._path.name)} cannot be read: it has a line of more than {MAX_LINE} bytes.")
            if not told and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise BadInput(f"{shown(self._path.name)} cannot be read: it is UTF-16 text; save it as UTF-8.")
            text = line.decode("utf-8", "surrogateescape")  # what is no UTF-8 may belong to the name of a file
            text = text.removeprefix("\ufeff")
            num_quotes += text.count('"')
            # Lines may end as they did on old Macs; between quotes such a sign is one of the cell.
            is_cell = num_quotes % 2 or '"' in text
            yield from [text] if is_cell else [part.rstrip("\r\n") + "\n" for part in _OLD_END.split(text)]
            if self._progress and file.tell() - told > MAX_LINE:
                told = file.tell()
                self._progress(told, size)


def _separator(line: str) -> str:
    return next((sign for sign in ",;\t" if sign in line), ",")


def _names_in(line: str, separator: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=separator), [])
    return [re.sub(r"[\s-]+", "_", plain(cell).strip().lower()) for cell in cells[:_MOST_NAMES]]
