"""Pascal VOC annotations: an .xml file per image, read as checked values.

The devkit's rule: corners are whole pixels, counted from 1, and the last pixel is part of the box; so a box spans from
``xmin - 1`` to ``xmax`` here.  Fractions are taken as they stand, by the same rule.  ``difficult`` objects come in like
others and are noted; ``pose``, ``truncated``, ``occluded`` and the ``part`` boxes of an object have no place here.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.etree.ElementTree import Element

from locstudio.domain.regions import Origin
from locstudio.interchange.annotation_files import AnnotationFolder, row_id
from locstudio.interchange.masks import PixelBox
from locstudio.interchange.report import ImportReport
from locstudio.interchange.rows import (
    FAR,
    MAX_NAME,
    MAX_TEXT,
    ORIGINS,
    REVIEWS,
    BadRow,
    CaptionRow,
    ClassRow,
    ImageRow,
    Progress,
    RegionRow,
    Tables,
    clean,
    pixel_box,
)
from locstudio.interchange.xml_text import parse_xml

NAMESPACE = "urn:locstudio:voc"
"""Of the elements in which our own exports say what VOC has no words for; other readers pass them over."""

NO_CLASS_NAME = "no class"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_PICTURE_FOLDERS = ("JPEGImages", "images")


@dataclass(frozen=True, slots=True)
class _Object:
    """An ``object`` as far as it is sound; ``notes`` are what was read otherwise than it stands there."""

    class_name: str
    phrase: str | None
    box: PixelBox
    extras: Element | None
    is_as_exported: bool
    notes: tuple[str, ...]


class VocFile:
    """A folder of VOC annotations, or one .xml file, read twice: `tables` first, then `rows`."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        self._folder = AnnotationFolder(path, report, progress)
        self._files: list[str] = []

    def tables(self) -> Tables:
        """Images and classes.

        Raises:
            BadInput: there are no VOC annotations.
        """
        tables = Tables()
        for number, file in self._folder.counted(self._folder.files(".xml")):
            try:
                root = self._root_of(file)
                tables.images[file] = self._image_of(number, file, root)
            except BadRow as error:
                self._folder.drop_file(number, file, error)
                continue
            for element in root.findall("object"):
                try:
                    found = _object_of(element).class_name
                except BadRow:
                    continue  # noted with its row
                if found:
                    tables.classes.setdefault(found, ClassRow(found, found))
        if not tables.images:
            raise self._folder.nothing_found("Pascal VOC annotations, .xml files that begin with <annotation>")
        self._files = [str(key) for key in tables.images]
        return tables

    def rows(self) -> Iterator[RegionRow | CaptionRow]:
        """The objects that are sound, file by file."""
        for _, file in self._folder.counted(self._files):
            try:
                root = self._root_of(file)
            except BadRow as error:  # it has changed since
                self._folder.drop_row(0, file, error)
                continue
            seen: set[str] = set()
            for row, element in enumerate(root.findall("object")):
                try:
                    yield self._region_of(row, file, _object_of(element), seen)
                except BadRow as error:
                    self._folder.drop_row(row, file, error)

    def _root_of(self, file: str) -> Element:
        root = parse_xml(self._folder.read(file))
        if root.tag != "annotation":
            raise BadRow("it does not begin with <annotation>", str(root.tag))
        return root

    def _image_of(self, number: int, file: str, root: Element) -> ImageRow:
        name = _text_of(root, "filename")
        exact = root.find(f"{{{NAMESPACE}}}image")
        if exact is not None:
            name = os.fsdecode(unquote_to_bytes(exact.get("file", "")))
        if not name or len(name) > MAX_TEXT:
            raise BadRow("it has no filename")
        width, height = self._size_of(number, file, root)
        folder = (self._folder.folder / file).parent
        beside = next((folder.parent / name for name in _PICTURE_FOLDERS if (folder.parent / name).is_dir()), folder)
        is_stem = "." not in name.rsplit("/", 1)[-1]
        return ImageRow(number, file, name, width, height, os.path.abspath(beside), is_stem)

    def _size_of(self, number: int, file: str, root: Element) -> tuple[int, int]:
        """What the file says; (0, 0), which is the picture's own, where it says nothing that can be a size."""
        texts = [_text_of(root, f"size/{side}") for side in ("width", "height")]
        if not any(texts) or texts == ["0", "0"]:
            return 0, 0
        sides = [_number(text) for text in texts]
        if all(1 <= side < FAR and side == int(side) for side in sides):
            return int(sides[0]), int(sides[1])
        reason = "its size is none, and the picture's own was taken"
        self._folder.note_file(number, file, reason, " x ".join(texts))
        return 0, 0

    def _region_of(self, row: int, file: str, found: _Object, seen: set[str]) -> RegionRow:
        extras: dict[str, str] = {} if found.extras is None else found.extras.attrib
        name = row_id(file, extras.get("id") or row)
        name = f"{name}#{row}" if name in seen else name
        seen.add(name)
        for note in found.notes:
            self._folder.note_row(row, file, note)
        score = _number(extras.get("score", ""))
        origin = ORIGINS.get(extras.get("origin", ""))
        if extras and not found.is_as_exported and origin is not Origin.HUMAN:
            origin = Origin.EDITED  # somebody has worked on it with another program
        return RegionRow(
            row,
            name,
            file,
            found.class_name or None,
            found.box,
            score=score if abs(score) < FAR else None,
            phrase=found.phrase,
            review=REVIEWS.get(extras.get("review", "")),
            origin=origin,
        )


def plain_name(class_name: str, phrase: str) -> str:
    """The ``name`` that an export gives an object, on one line."""
    return " ".join((class_name or phrase).split()) or NO_CLASS_NAME


def whole_pixels(box: PixelBox, width: int, height: int) -> tuple[int, int, int, int]:
    """The corners that an export writes: of the nearest whole pixels, at least one, inside the picture."""
    x0, y0 = min(round(box[0]), width - 1), min(round(box[1]), height - 1)
    return x0 + 1, y0 + 1, max(x0 + 1, min(round(box[2]), width)), max(y0 + 1, min(round(box[3]), height))


def _object_of(element: Element) -> _Object:
    name = clean(_text_of(element, "name"))
    if not name:
        raise BadRow("it has no name")
    if len(name) > MAX_TEXT:
        raise BadRow("its name is too long", f"{len(name)} characters")
    notes = []
    box, box_notes = _box_of(element)
    notes += box_notes
    if _text_of(element, "difficult") == "1":
        notes.append("it is marked as difficult, which was not kept")
    if element.find("part") is not None:
        notes.append("its parts were left out")
    extras = element.find(f"{{{NAMESPACE}}}region")
    if extras is None:
        class_name, phrase, is_as_exported = name, None, False
    else:
        class_name, phrase = clean(extras.get("class", "")).strip(), extras.get("phrase")
        phrase = None if phrase is None or len(phrase) > MAX_TEXT else clean(phrase)
        is_same_name = " ".join(name.split()) == plain_name(class_name, phrase or "")
        if not is_same_name:
            class_name, phrase = name, None
        exact = _exact_box(extras, element)
        is_as_exported = is_same_name and exact is not None
        box = exact or box
    if len(class_name) > MAX_NAME:
        raise BadRow("its name is too long", f"{len(class_name)} characters")
    return _Object(class_name, phrase, box, extras, is_as_exported, tuple(notes))


def _box_of(element: Element) -> tuple[PixelBox, list[str]]:
    found = element.find("bndbox")
    if found is None:
        raise BadRow("it has no bndbox")
    texts = [_text_of(found, corner) for corner in _CORNERS]
    notes = []
    if any("," in text for text in texts):
        texts = [text.replace(",", ".") for text in texts]
        notes.append("its box has decimal commas, which were read as points")
    if any(not text or (math.isnan(_number(text)) and text.lower() != "nan") for text in texts):
        raise BadRow("its box has something in it that is no number", ", ".join(texts)[:200])
    xmin, ymin, xmax, ymax = (_number(text) for text in texts)
    if xmin > xmax or ymin > ymax:
        xmin, xmax, ymin, ymax = min(xmin, xmax), max(xmin, xmax), min(ymin, ymax), max(ymin, ymax)
        notes.append("its corners stood the wrong way round and were turned")
    return pixel_box(xmin - 1, ymin - 1, xmax, ymax), notes


def _exact_box(extras: Element, element: Element) -> PixelBox | None:
    """The box that an export has written beside the whole pixels, unless these were changed since."""
    corners = tuple(_number(extras.get(name, "")) for name in ("x0", "y0", "x1", "y1"))
    sides = tuple(_number(extras.get(name, "")) for name in ("width", "height"))
    if not all(abs(value) < FAR for value in corners + sides) or not all(side >= 1 for side in sides):
        return None
    x0, y0, x1, y1 = corners
    whole = whole_pixels((x0, y0, x1, y1), int(sides[0]), int(sides[1]))
    is_same = [_text_of(element, f"bndbox/{corner}") for corner in _CORNERS] == [str(value) for value in whole]
    return (x0, y0, x1, y1) if is_same and x0 < x1 and y0 < y1 else None


def _text_of(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(text: str) -> float:
    """The number that a text is; NaN for none."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
