"""YOLO labels: a .txt file per image, a row per region, in shares of the image's sides; read as checked values.

A row is the class's number and the box (centre, width, height), perhaps with a confidence behind it; or the class's
number and the corners of a polygon, whose smallest box is taken.  An empty file says that the image was looked at and
holds nothing.  Classes are known by their names; a number alone means nothing outside its folder.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from locstudio.interchange.annotation_files import AnnotationFolder, row_id
from locstudio.interchange.masks import BadMask, PixelBox, box_of_mask, mask_text
from locstudio.interchange.report import ImportReport
from locstudio.interchange.rows import (
    FAR,
    MAX_NAME,
    BadRow,
    CaptionRow,
    ClassRow,
    ImageRow,
    Progress,
    RegionRow,
    Tables,
    pixel_box,
)
from locstudio.interchange.yolo_names import YoloNames, listed_images, read_names

_BOX_COLUMNS = 5
_MIN_POLYGON_COLUMNS = 7
_NO_LABELS = frozenset(
    {"classes.txt", "names.txt", "predefined_classes.txt", "train.txt", "val.txt", "test.txt", "readme.txt"}
    | {"readme.roboflow.txt", "readme.dataset.txt", "notes.txt", "license.txt"}
)


class YoloFile:
    """A folder of YOLO labels, its data.yaml, or one label file; read twice: `tables` first, then `rows`."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        is_list = path.suffix.lower() in (".yaml", ".yml", ".names")
        self._folder = AnnotationFolder(path.parent if is_list and path.is_file() else path, report, progress)
        self._files: list[str] = []
        self._said = YoloNames()

    def tables(self) -> Tables:
        """Images and classes.

        Raises:
            BadInput: there are no labels, or the class list cannot be read.
        """
        self._said = read_names(self._folder.folder)
        tables = Tables(is_class_key_a_position=True)
        for number, name in self._said.names.items():
            if not name or len(name) > MAX_NAME:
                reason = "its name is too long" if name else "it has no name"
                self._folder.drop_class(number, BadRow(reason))
            else:
                tables.classes[number] = ClassRow(number, name)
        if self._said.num_classes not in (0, len(self._said.names)):
            detail = f"nc is {self._said.num_classes}, and {len(self._said.names)} have a name"
            self._folder.note_class("the number of classes is not that of the names", detail)
        listed = _by_label(listed_images(self._folder.folder, self._said))
        labels = self._labels()
        for number, file in self._folder.counted(labels):
            tables.images[file] = self._image_of(number, file, listed)
            try:
                is_empty = not self._folder.read(file).strip()
            except BadRow as error:
                self._folder.drop_file(number, file, error)
                del tables.images[file]
                continue
            if is_empty:
                self._folder.note_file(number, file, "it is empty: looked at, and nothing there")
        if not tables.images:
            raise self._folder.nothing_found("YOLO labels, .txt files with a row per region")
        self._files = [str(key) for key in tables.images]
        return tables

    def rows(self) -> Iterator[RegionRow | CaptionRow]:
        """The rows that are sound, file by file."""
        for _, file in self._folder.counted(self._files):
            try:
                text = self._folder.read(file).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
            except BadRow as error:  # it has changed since
                self._folder.drop_row(0, file, error)
                continue
            for row, line in enumerate(text.splitlines()):
                if not line.strip():
                    continue
                try:
                    yield self._region_of(row, file, line)
                except BadRow as error:
                    self._folder.drop_row(row, file, error)

    def _labels(self) -> list[str]:
        files = [file for file in self._folder.files(".txt") if file not in self._said.lists]
        in_labels = [file for file in files if "labels" in file.split("/")[:-1]]
        return [file for file in in_labels or files if file.rsplit("/", 1)[-1].lower() not in _NO_LABELS]

    def _image_of(self, number: int, file: str, listed: dict[str, str]) -> ImageRow:
        """The image of a label file: the one that a list names, else the picture of its name, whatever its suffix."""
        name, is_stem = listed.get(file), False
        if name is None:
            name, is_stem = _stem_of(file), True
        first, _, rest = name.partition("/")
        folder = self._folder.folder
        if first == "images" and rest:
            folder, name = folder / "images", rest
        return ImageRow(number, file, name, folder=os.path.abspath(folder), is_stem=is_stem, is_unit=True)

    def _region_of(self, row: int, file: str, line: str) -> RegionRow:
        columns = line.split()
        try:
            values = [float("x" if "_" in column else column) for column in columns]
        except ValueError as error:
            raise BadRow("it has something in it that is no number", line[:200]) from error
        if len(values) < _BOX_COLUMNS:
            raise BadRow("it has fewer than five columns", line[:200])
        if not (abs(values[0]) < FAR and values[0] == int(values[0])):
            raise BadRow("its class is no whole number", columns[0][:60])
        if self._said.has_keypoints and len(values) > _BOX_COLUMNS:
            self._folder.note_row(row, file, "its keypoints were left out")
            values = values[:_BOX_COLUMNS]
        if len(values) > _BOX_COLUMNS + 1:
            box, polygon, score = _polygon_of(values[1:])
        else:
            box, polygon, score = _box_of(values[1:5]), None, values[5] if len(values) > _BOX_COLUMNS else None
        mask = mask_text(polygon)
        score = score if score is not None and abs(score) < FAR else None
        return RegionRow(row, row_id(file, row), file, int(values[0]), box, polygon, mask, score=score)


def label_of(image: str) -> str:
    """The label file of an image by its path: ``labels`` for the last ``images``, and .txt for its suffix."""
    parts = image.split("/")
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return os.path.splitext("/".join(parts))[0] + ".txt"


def _by_label(images: list[str]) -> dict[str, str]:
    """Images by their label files; one under ``images`` by that folder too, whatever comes below it."""
    found: dict[str, str] = {}
    for image in images:
        found.setdefault(label_of(image), image)
        if image.startswith("images/"):
            found.setdefault("labels/" + os.path.splitext(image.removeprefix("images/"))[0] + ".txt", image)
    return found


def _stem_of(label: str) -> str:
    parts = label.split("/")
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "labels":
            parts[place] = "images"
            break
    return os.path.splitext("/".join(parts))[0]


def _box_of(values: list[float]) -> PixelBox:
    x, y, width, height = values
    if not all(math.isfinite(value) for value in values):
        raise BadRow("its box is not finite")
    if width <= 0 or height <= 0:
        raise BadRow("its box has no area", f"{width:g} x {height:g}")
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise BadRow("its centre lies outside the image; YOLO counts in shares of the image", f"{x:g}, {y:g}")
    return pixel_box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _polygon_of(values: list[float]) -> tuple[PixelBox, list[list[float]], float | None]:
    score = values.pop() if len(values) % 2 else None
    if len(values) < _MIN_POLYGON_COLUMNS - 1:
        raise BadRow("it has neither the columns of a box nor those of a polygon", f"{len(values) + 1} columns")
    try:
        mask_text([values])
    except BadMask as error:
        raise BadRow("its polygon has a corner that is no finite number") from error
    if not all(-0.5 <= value <= 1.5 for value in values):
        raise BadRow("its polygon lies outside the image; YOLO counts in shares of the image")
    return pixel_box(*box_of_mask([values])), [values], score
