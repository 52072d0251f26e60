"""COCO annotation files, read as checked values: instances, captions, results, and LocStudio's own exports."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown
from locstudio.interchange.json_stream import DuplicateKey, JsonRows
from locstudio.interchange.masks import BadMask, PixelBox, box_of_mask, mask_text
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.interchange.rows import (
    FAR,
    MAX_NAME,
    MAX_TEXT,
    ORIGINS,
    PRESENCES,
    REVIEWS,
    AnyRow,
    BadRow,
    CaptionRow,
    ClassRow,
    ImageRow,
    Key,
    LabelRow,
    Progress,
    RegionRow,
    Tables,
    brief,
    chosen,
    clean,
    score_of,
)

_T = TypeVar("_T")
_MEMBERS = frozenset({"images", "annotations", "categories", "captions", "image_labels"})


class CocoFile:
    """A COCO file, read twice from front to back: `tables` first, then `rows`.  What is wrong goes to the report."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        self._path = path
        self._report = report
        self._progress = progress
        self._ids: dict[str, set[Key]] = {"annotations": set(), "captions": set()}
        self._repeats: Counter[tuple[str, Key]] = Counter()
        self._captions_of: Counter[Key] = Counter()

    def tables(self) -> Tables:
        """Images and categories.

        Raises:
            BadInput: the file is no COCO file, or broken JSON.
        """
        tables = Tables()
        num_members = 0
        for name, rows in JsonRows(self._path, self._progress).members(_MEMBERS):
            num_members += 1
            for row, raw in enumerate(rows):
                if name == "images":
                    image = self._checked(name, row, raw, _image_of)
                    if image is not None:
                        self._add_image(tables, image)
                elif name == "categories":
                    category = self._checked(name, row, raw, _category_of)
                    if category is not None:
                        self._add_category(tables, category, row)
        if not num_members:
            raise BadInput(f"{shown(self._path.name)} has no images, annotations or categories; is it a COCO file?")
        return tables

    def rows(self) -> Iterator[AnyRow]:
        """Annotations, captions and labels of images that are sound in themselves, in the file's order.

        Raises:
            BadInput: the file is broken JSON from here on; rows before that have been given.
        """
        makers: dict[str, Callable[[int, dict[str, Any]], AnyRow]] = {
            "annotations": self._annotation_of,
            "captions": self._caption_of,
            "image_labels": _label_of,
        }
        for name, rows in JsonRows(self._path, self._progress).members(frozenset(makers)):
            make = makers[name]
            for row, raw in enumerate(rows):
                value = self._checked(name, row, raw, make)
                if value is not None:
                    yield value

    def _checked(self, table: str, row: int, raw: Any, make: Callable[[int, Any], _T]) -> _T | None:
        try:
            if isinstance(raw, DuplicateKey):
                raise BadRow("one key stands there twice", str(raw))
            if not isinstance(raw, dict):
                raise BadRow("it is no JSON object", type(raw).__name__)
            return make(row, raw)
        except BadRow as error:
            key = raw.get("id", "") if isinstance(raw, dict) else ""
            name = brief(key) if isinstance(key, str | int) else ""
            self._report.note(RowNote(table, row, name, Outcome.DROPPED, error.reason, error.detail))
            return None

    def _add_image(self, tables: Tables, image: ImageRow) -> None:
        key = image.key
        if key in tables.images or key in tables.ambiguous_images:
            tables.images.pop(key, None)
            tables.ambiguous_images.add(key)
            reason = "its id belongs to another image too"
            self._report.note(RowNote("images", image.row, str(key), Outcome.DROPPED, reason, image.file_name))
        else:
            tables.images[key] = image

    def _add_category(self, tables: Tables, category: ClassRow, row: int) -> None:
        key = category.key
        known = tables.classes.get(key)
        if key in tables.ambiguous_classes or (known is not None and known.name != category.name):
            tables.classes.pop(key, None)
            tables.ambiguous_classes.add(key)
            reason = "its id belongs to another category too"
            self._report.note(RowNote("categories", row, str(key), Outcome.DROPPED, reason, category.name))
        else:
            tables.classes[key] = category

    def _annotation_of(self, row: int, raw: dict[str, Any]) -> RegionRow | CaptionRow:
        if "caption" in raw and "bbox" not in raw and "segmentation" not in raw:
            return self._caption(row, raw, "annotations")
        image_key = _key(raw.get("image_id"), "image_id")
        category = raw.get("category_id")
        phrase = raw.get("phrase")
        phrase = clean(phrase) if isinstance(phrase, str) and len(phrase) <= MAX_TEXT else None
        if category is None and not phrase:
            raise BadRow("it has no category_id")
        segmentation, mask = raw.get("segmentation"), None
        try:
            mask = mask_text(segmentation)
            box = _box_of(raw.get("bbox"), segmentation if mask else None)
        except BadMask as error:
            box = _box_of(raw.get("bbox"), None)  # the box is sound without it
            self._note_lost_mask(row, raw, str(error))
            segmentation = None
        score: Any = raw.get("score")
        return RegionRow(
            row,
            self._unique_id(raw.get("id"), row, "annotations"),
            image_key,
            None if category is None else _key(category, "category_id"),
            box,
            segmentation if mask else None,
            mask,
            raw.get("iscrowd") in (1, True),
            float(score) if type(score) in (int, float) and abs(score) < FAR else None,
            phrase,
            chosen(REVIEWS, raw.get("review")),
            chosen(ORIGINS, raw.get("origin")),
        )

    def _note_lost_mask(self, row: int, raw: dict[str, Any], reason: str) -> None:
        name = brief(raw.get("id", ""))
        self._report.note(RowNote("annotations", row, name, Outcome.KEPT, "its mask was left out", reason))

    def _caption_of(self, row: int, raw: dict[str, Any]) -> CaptionRow:
        return self._caption(row, raw, "captions")

    def _caption(self, row: int, raw: dict[str, Any], table: str) -> CaptionRow:
        image_key = _key(raw.get("image_id"), "image_id")
        text = raw.get("caption")
        if not isinstance(text, str) or not text.strip():
            raise BadRow("its caption is empty or no text")
        if len(text) > MAX_TEXT:
            raise BadRow("its caption is too long", f"{len(text)} characters")
        self._captions_of[image_key] += 1
        if raw.get("id") is None:
            name = f"{image_key}:{self._captions_of[image_key]}"
        else:
            name = self._unique_id(raw["id"], row, table)
        return CaptionRow(row, table, name, image_key, clean(text).strip(), chosen(ORIGINS, raw.get("origin")))

    def _unique_id(self, raw: Any, row: int, table: str) -> str:
        """The row's id as text; a second row with the same id gets a new one, the same at every reading."""
        if raw is None:
            return f"row {row}"
        key = _key(raw, "id")
        if key not in self._ids[table]:
            self._ids[table].add(key)
            return str(key)
        self._repeats[table, key] += 1
        again = f"{key}#{self._repeats[table, key] + 1}"
        reason = "its id was there before and it was given a new one"
        self._report.note(RowNote(table, row, str(key), Outcome.KEPT, reason, again))
        return again


def _key(raw: Any, name: str) -> Key:
    if type(raw) is int:
        if abs(raw) < 1 << 63:
            return raw
        raise BadRow(f"its {name} is too large a number")
    if isinstance(raw, str) and raw.strip():
        if len(raw) > 200:
            raise BadRow(f"its {name} is too long")
        is_number = raw.isascii() and raw.isdigit() and len(raw) < 19 and (raw == "0" or raw[0] != "0")
        return int(raw) if is_number else clean(raw)
    if type(raw) is float and raw.is_integer() and abs(raw) < 1 << 53:
        return int(raw)
    raise BadRow(f"its {name} is missing" if raw is None else f"its {name} is neither a number nor text")


def _image_of(row: int, raw: dict[str, Any]) -> ImageRow:
    key = _key(raw.get("id"), "id")
    file_name = raw.get("file_name")
    if not isinstance(file_name, str) or not file_name:
        raise BadRow("it has no file_name")
    sides = [raw.get(name) for name in ("width", "height")]
    if sides == [None, None]:
        return ImageRow(row, key, file_name, 0, 0)
    if not all(type(side) in (int, float) and 1 <= side < FAR and side == int(side) for side in sides):  # type: ignore[operator,arg-type]  # numbers, once their type is known
        raise BadRow("its width and height are no sizes", f"{brief(sides[0])} x {brief(sides[1])}")
    return ImageRow(row, key, file_name, int(sides[0]), int(sides[1]))  # type: ignore[arg-type]  # checked above


def _category_of(_row: int, raw: dict[str, Any]) -> ClassRow:
    key = _key(raw.get("id"), "id")
    name = raw.get("name")
    if not isinstance(name, str) or not clean(name).strip():
        raise BadRow("it has no name")
    if len(name) > MAX_NAME:
        raise BadRow("its name is too long", f"{len(name)} characters")
    group = raw.get("supercategory")
    superclass = " ".join(clean(group).split()) if isinstance(group, str) and len(group) <= MAX_NAME else ""
    return ClassRow(key, clean(name).strip(), raw.get("is_no_class") is True, superclass)


def _label_of(row: int, raw: dict[str, Any]) -> LabelRow:
    """A label of an image as our own exports have it; other programs pass the member over."""
    presence = chosen(PRESENCES, raw.get("presence", "positive"))
    if presence is None:
        raise BadRow("it says neither positive, negative nor unknown", brief(raw.get("presence")))
    return LabelRow(
        row,
        "image_labels",
        _key(raw.get("image_id"), "image_id"),
        _key(raw.get("category_id"), "category_id"),
        presence,
        chosen(ORIGINS, raw.get("origin")),
        score_of(raw.get("score")),
    )


def _box_of(bbox: Any, segmentation: Any) -> PixelBox:
    if bbox in (None, []):
        if segmentation is None:
            raise BadRow("it has neither a box nor a mask")
        return box_of_mask(segmentation)
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise BadRow("its box is not a list of four numbers")
    if not all(type(value) in (int, float) for value in bbox):
        raise BadRow("its box has something in it that is no number")
    x, y, width, height = bbox
    if not (abs(x) < FAR and abs(y) < FAR and abs(width) < FAR and abs(height) < FAR):  # NaN compares false
        raise BadRow("its box is not finite")
    if width <= 0 or height <= 0:
        raise BadRow("its box has no area", f"{width:g} x {height:g}")
    return float(x), float(y), float(x + width), float(y + height)
