"""labelme annotations: a .json file per image, read as checked values.

Rectangles become boxes.  Polygons become masks with the smallest box around them; those of one label and one
``group_id`` are one region, as labelme means it.  Of circles and painted masks the box is taken.  Points and lines have
no box and are left out, and so are flags.  A ``description`` is the region's phrase.  ``imageData`` is never decoded.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locstudio.domain.regions import Origin
from locstudio.domain.text import shown
from locstudio.interchange.annotation_files import AnnotationFolder, row_id
from locstudio.interchange.masks import BadMask, PixelBox, box_of_mask, mask_text
from locstudio.interchange.paths import is_relative
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
    chosen,
    clean,
    pixel_box,
)

EXTRAS = "locstudio"
"""The key under which our own exports say what labelme has no words for; labelme keeps it when it saves."""

NO_CLASS_NAME = "no class"
_MAX_FILE_BYTES = 128 << 20
_POLYGONS = frozenset({"polygon", "rotation", "oriented_rectangle"})
_WITHOUT_BOX = frozenset({"point", "points", "line", "linestrip", "polyline"})


@dataclass(slots=True)
class _Twice:
    """Stands for a JSON object that has one key twice, so that nobody knows which is meant."""

    key: str


@dataclass(slots=True)
class _Shape:
    """A shape, or the polygons that are one region, as far as they are sound."""

    row: int
    label: str
    description: str
    box: PixelBox
    polygons: list[list[float]] | None
    score: float | None
    extras: dict[str, Any]
    notes: list[str] = field(default_factory=list)


class LabelmeFile:
    """A folder of labelme files, or one of them, read twice: `tables` first, then `rows`."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        self._folder = AnnotationFolder(path, report, progress)
        self._files: list[str] = []

    def tables(self) -> Tables:
        """Images and classes.

        Raises:
            BadInput: there are no labelme annotations.
        """
        tables = Tables()
        for number, file in self._folder.counted(self._folder.files(".json")):
            try:
                document = self._document(file)
                tables.images[file] = self._image_of(number, file, document)
            except BadRow as error:
                self._folder.drop_file(number, file, error)
                continue
            if isinstance(document.get("flags"), dict) and any(document["flags"].values()):
                self._folder.note_file(number, file, "its flags were left out")
            for shape in _regions_in(document["shapes"], None):
                name, _, _ = _meaning(shape)
                if name:
                    tables.classes.setdefault(name, ClassRow(name, name))
        if not tables.images:
            raise self._folder.nothing_found("labelme annotations, .json files with shapes")
        self._files = [str(key) for key in tables.images]
        return tables

    def rows(self) -> Iterator[RegionRow | CaptionRow]:
        """The regions that are sound, file by file."""
        for _, file in self._folder.counted(self._files):
            try:
                shapes = self._document(file)["shapes"]
            except BadRow as error:  # it has changed since
                self._folder.drop_row(0, file, error)
                continue
            dropped: list[tuple[int, BadRow]] = []
            seen: set[str] = set()
            for shape in _regions_in(shapes, dropped):
                yield self._region_of(file, shape, seen)
            for row, bad in dropped:
                self._folder.drop_row(row, file, bad)

    def _document(self, file: str) -> dict[str, Any]:
        content = self._folder.read(file, _MAX_FILE_BYTES)
        try:
            document = json.loads(content, object_pairs_hook=_object)
        except UnicodeDecodeError as error:
            raise BadRow("it is not UTF-8 text") from error
        except RecursionError as error:
            raise BadRow("it is nested too deeply") from error
        except ValueError as error:
            raise BadRow("it is no valid JSON", str(error)) from error
        if isinstance(document, _Twice):
            raise BadRow("one key stands there twice", document.key)
        if not isinstance(document, dict) or not isinstance(document.get("shapes"), list):
            raise BadRow("it has no shapes; is it a labelme file?")
        return document

    def _image_of(self, number: int, file: str, document: dict[str, Any]) -> ImageRow:
        beside = os.path.abspath((self._folder.folder / file).parent)
        path = document.get("imagePath")
        if path is not None and (not isinstance(path, str) or len(path) > MAX_TEXT):
            raise BadRow("its imagePath is no text")
        width, height = self._size_of(number, file, document)
        if not path:
            return ImageRow(number, file, Path(file).stem, width, height, beside, is_stem=True)
        extras = document.get(EXTRAS)
        inner = extras.get("file") if isinstance(extras, dict) else None
        if isinstance(inner, str) and inner and path.endswith(inner) and is_relative(path):
            place = os.path.normpath(os.path.join(beside, path))
            return ImageRow(number, file, inner, width, height, place.removesuffix(inner))
        return ImageRow(number, file, path, width, height, beside)

    def _size_of(self, number: int, file: str, document: dict[str, Any]) -> tuple[int, int]:
        sides = [document.get(name) for name in ("imageWidth", "imageHeight")]
        if sides in ([None, None], [0, 0]):
            return 0, 0
        if all(_is_number(side) and 1 <= side < FAR and side == int(side) for side in sides):  # type: ignore[operator,arg-type]  # numbers, once their type is known
            return int(sides[0]), int(sides[1])  # type: ignore[arg-type]  # as above
        reason = "its size is none, and the picture's own was taken"
        self._folder.note_file(number, file, reason, " x ".join(shown(str(side), 40) for side in sides))
        return 0, 0

    def _region_of(self, file: str, shape: _Shape, seen: set[str]) -> RegionRow:
        class_name, phrase, is_same_text = _meaning(shape)
        exact = _exact_box(shape)
        extras = shape.extras
        name = row_id(file, extras["id"] if type(extras.get("id")) is int else shape.row)
        name = f"{name}#{shape.row}" if name in seen else name
        seen.add(name)
        for note in shape.notes:
            self._folder.note_row(shape.row, file, note)
        origin = chosen(ORIGINS, extras.get("origin"))
        if extras and not (is_same_text and exact) and origin is not Origin.HUMAN:
            origin = Origin.EDITED  # somebody has worked on it in labelme
        return RegionRow(
            shape.row,
            name,
            file,
            class_name or None,
            exact or shape.box,
            shape.polygons,
            mask_text(shape.polygons),
            score=shape.score,
            phrase=phrase,
            review=chosen(REVIEWS, extras.get("review")),
            origin=origin,
        )


def plain_label(class_name: str, phrase: str) -> str:
    """The ``label`` that an export gives a shape."""
    return (class_name or phrase).strip() or NO_CLASS_NAME


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        return _Twice(next(name for name in found if names.count(name) > 1))
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _regions_in(shapes: list[Any], dropped: list[tuple[int, BadRow]] | None) -> list[_Shape]:
    """The shapes that are sound, with the polygons of one group as one; the others go to ``dropped``."""
    found: list[_Shape] = []
    groups: dict[tuple[Any, str], _Shape] = {}
    for row, raw in enumerate(shapes):
        try:
            shape = _shape_of(row, raw)
        except BadRow as error:
            if dropped is not None:
                dropped.append((row, error))
            continue
        group = raw.get("group_id")
        if shape.polygons is None or not isinstance(group, int | str):
            found.append(shape)
        elif (group, shape.label) in groups:
            _join(groups[group, shape.label], shape)
        else:
            groups[group, shape.label] = shape
            found.append(shape)
    return found


def _join(whole: _Shape, part: _Shape) -> None:
    whole.polygons = [*(whole.polygons or []), *(part.polygons or [])]
    whole.box = box_of_mask(whole.polygons)
    whole.extras = whole.extras or part.extras


def _shape_of(row: int, raw: Any) -> _Shape:
    if isinstance(raw, _Twice):
        raise BadRow("one key stands there twice", raw.key)
    if not isinstance(raw, dict):
        raise BadRow("it is no JSON object", type(raw).__name__)
    label = raw.get("label")
    if not isinstance(label, str) or not clean(label).strip():
        raise BadRow("it has no label")
    if len(label) > MAX_TEXT:
        raise BadRow("its label is too long", f"{len(label)} characters")
    description = raw.get("description")
    description = clean(description) if isinstance(description, str) and len(description) <= MAX_TEXT else ""
    kind = raw.get("shape_type", "polygon")
    box, polygons, notes = _geometry(kind if isinstance(kind, str) else "", raw.get("points"))
    if isinstance(raw.get("flags"), dict) and any(raw["flags"].values()):
        notes.append("its flags were left out")
    score: Any = raw.get("score")
    score = float(score) if _is_number(score) and abs(score) < FAR else None
    extras = raw.get(EXTRAS)
    extras = extras if isinstance(extras, dict) else {}
    shape = _Shape(row, clean(label).strip(), description, box, polygons, score, extras, notes)
    if len(_meaning(shape)[0]) > MAX_NAME:
        raise BadRow("its label is too long", f"{len(label)} characters")
    return shape


def _geometry(kind: str, points: Any) -> tuple[PixelBox, list[list[float]] | None, list[str]]:
    """Box and polygons of a shape, and what is to be said of them."""
    if kind in _WITHOUT_BOX:
        raise BadRow(f"a {kind} has no box")
    is_list = isinstance(points, list) and all(isinstance(point, list) and len(point) == 2 for point in points)
    if not is_list or not all(_is_number(value) for point in points for value in point):
        raise BadRow("its points are no list of two numbers each")
    if not all(abs(value) < FAR for point in points for value in point):  # NaN compares false
        raise BadRow("its box is not finite")
    if kind in _POLYGONS:
        polygons = [[value for point in points for value in point]]
        try:
            mask_text(polygons)
        except BadMask as error:
            raise BadRow("its polygon has fewer than three points") from error
        return pixel_box(*box_of_mask(polygons)), polygons, []
    if kind == "circle" and len(points) == 2:
        (x, y), (at_x, at_y) = points
        radius = math.hypot(at_x - x, at_y - y)
        return pixel_box(x - radius, y - radius, x + radius, y + radius), None, ["of its circle the box was taken"]
    if kind not in ("rectangle", "mask") or len(points) not in (2, 4):
        raise BadRow("its shape is not known", f"{shown(kind, 60)} with {len(points)} points")
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    notes = ["of its painted mask the box was taken"] if kind == "mask" else []
    return pixel_box(min(xs), min(ys), max(xs), max(ys)), None, notes


def _meaning(shape: _Shape) -> tuple[str, str | None, bool]:
    """Class ("" for none) and phrase of a shape, and whether it says what an export has made it say."""
    class_name, phrase = shape.extras.get("class"), shape.extras.get("phrase")
    if isinstance(class_name, str) and (phrase is None or isinstance(phrase, str)) and len(phrase or "") <= MAX_TEXT:
        class_name = clean(class_name).strip()
        phrase = None if phrase is None else clean(phrase)
        if (plain_label(class_name, phrase or ""), phrase or "") == (shape.label, shape.description):
            return class_name, phrase, True
    return shape.label, shape.description if shape.description.strip() else None, False


def _exact_box(shape: _Shape) -> PixelBox | None:
    """The region's own box, where an export has written it and the shape was not changed since."""
    values = [shape.extras.get(name) for name in ("box", "shape_box")]
    corners = [value for value in values if isinstance(value, list) and len(value) == 4]
    if len(corners) != 2 or not all(_is_number(value) and abs(value) < FAR for value in corners[0] + corners[1]):
        return None
    x0, y0, x1, y1 = (float(value) for value in corners[0])
    is_unchanged = corners[1] == list(shape.box)
    return (x0, y0, x1, y1) if is_unchanged and x0 < x1 and y0 < y1 else None
