"""CVAT annotation files ("CVAT for images 1.1"), read as checked values.

    <box>                as it is; a turned one becomes the box around it
    <polygon>, <mask>    a mask and the smallest box around it
    <ellipse>, <cuboid>  the box around it
    <polyline>, <points>, <skeleton>   left out, with a note
    <tag>                a class that the image has; with a caption of ours a caption

A picture is known by its name: one that stands there twice has the regions of both.  A label is a class.  Attributes
that `cvat_writer` has written (phrase, review, origin, score …) are read again, others are left out with a note.
"""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Origin
from locstudio.domain.text import shown
from locstudio.interchange.cvat_xml import CvatElements
from locstudio.interchange.fitting import own_box
from locstudio.interchange.masks import BadMask, PixelBox, box_of_mask, mask_text
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.interchange.rows import (
    FAR,
    MAX_NAME,
    MAX_TEXT,
    ORIGINS,
    REVIEWS,
    AnyRow,
    BadRow,
    CaptionRow,
    ClassRow,
    ImageRow,
    LabelRow,
    Progress,
    RegionRow,
    Tables,
    clean,
    pixel_box,
)
from locstudio.interchange.run_lengths import runs_of, strokes_of, turned

OWN_ATTRIBUTES = ("id", "phrase", "review", "origin", "score", "crowd", "box", "caption", "span", "no class")
"""What we write into CVAT's free attributes.  The last says that the label is none: CVAT wants one for each shape."""

_NO_CLASS = OWN_ATTRIBUTES[-1]
_SHAPES = ("box", "polygon", "mask", "ellipse", "cuboid")
_NO_REGIONS = {"polyline": "lines are", "points": "points are", "skeleton": "skeletons are"}
_CORNERS_OF_A_CUBOID = ("tl1", "bl1", "tr1", "br1", "tl2", "bl2", "tr2", "br2")
_MAX_NUMBERS = 1_000_000


class CvatFile:
    """A CVAT file, read twice from front to back: `tables` first, then `rows`.  What is wrong goes to the report."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        self._path = path
        self._report = report
        self._progress = progress

    def tables(self) -> Tables:
        """Images and classes: the labels of the file's head, and those that only shapes name.

        Raises:
            BadInput: the file is no CVAT file for images, or broken XML.
        """
        tables = Tables()
        num_images = num_elements = 0
        for image, part in CvatElements(self._path, self._progress):
            num_elements += 1
            if part is None and image is not None:
                self._add_image(tables, num_images, image)
                num_images += 1
            elif part is not None:
                _add_class(tables, _label_of(part, is_in_head=image is None))
        if not num_elements:
            raise BadInput(f"{shown(self._path.name)} has neither images nor labels; is it a CVAT file?")
        return tables

    def rows(self) -> Iterator[AnyRow]:
        """Shapes, tags and captions that are sound in themselves, in the file's order.

        Raises:
            BadInput: the file is broken from here on; rows before that have been given.
        """
        places: Counter[str] = Counter()
        names: Counter[tuple[bool, str]] = Counter()
        row = -1
        for image, part in CvatElements(self._path, self._progress):
            if image is None or part is None:
                continue
            row += 1
            key = clean(image.get("name", ""))
            places[key] += 1
            own = _own_attributes(part)
            name = f"{key}:{places[key]}"
            if own.get("id"):
                names[part.tag == "tag", own["id"]] += 1
                again = names[part.tag == "tag", own["id"]]
                name = own["id"] if again == 1 else f"{own['id']}#{again}"
            try:
                value = self._row_of(row, name, key, image, part, own)
            except (BadRow, BadMask) as error:
                detail = error.detail if isinstance(error, BadRow) else ""
                self._note(row, name, Outcome.DROPPED, str(error), detail)
            else:
                yield value

    def _add_image(self, tables: Tables, row: int, element: Element) -> None:
        name = clean(element.get("name", ""))
        try:
            if not name:
                raise BadRow("it has no name")
            image = ImageRow(row, name, name, _side(element.get("width")), _side(element.get("height")))
        except BadRow as error:
            self._report.note(RowNote("images", row, name[:64], Outcome.DROPPED, error.reason, error.detail))
            return
        known = tables.images.get(name)
        if name in tables.ambiguous_images or (known and (known.width, known.height) != (image.width, image.height)):
            tables.images.pop(name, None)
            tables.ambiguous_images.add(name)
            reason = "its name belongs to another image too"
            self._report.note(RowNote("images", row, name[:64], Outcome.DROPPED, reason))
        elif known:
            reason = "its name was there before, and its regions come to that image"
            self._report.note(RowNote("images", row, name[:64], Outcome.KEPT, reason))
        else:
            tables.images[name] = image

    def _row_of(self, row: int, name: str, key: str, image: Element, part: Element, own: dict[str, str]) -> AnyRow:
        if not key:
            raise BadRow("its image has no name")
        if part.tag == "tag":
            if own.get("caption", "").strip():
                origin = ORIGINS.get(own.get("origin", ""))
                return CaptionRow(row, "captions", name, key, own["caption"].strip(), origin)
            label = _label_of(part)
            if not label or len(label) > MAX_NAME:
                raise BadRow("its label is too long" if label else "it has no label")
            return LabelRow(row, "tags", key, label, origin=Origin.MODEL if part.get("source") == "auto" else None)
        if part.tag in _NO_REGIONS:
            raise BadRow(f"{_NO_REGIONS[part.tag]} no regions")
        if part.tag not in _SHAPES:
            raise BadRow("it is no shape that is known", str(part.tag))
        label = _label_of(part)
        if not label and not own.get("phrase") and _NO_CLASS not in own:
            raise BadRow("it has no label")
        if len(label) > MAX_NAME:
            raise BadRow("its label is too long", f"{len(label)} characters")
        segmentation = _segmentation_of(part, image)
        mask = mask_text(segmentation)
        box = _own_box(own, box_of_mask(segmentation)) if mask else self._box_of(row, name, part)
        if len(part) > len(own):
            self._note(row, name, Outcome.KEPT, "attributes that are not LocStudio's were left out")
        return RegionRow(
            row,
            name,
            key,
            label or None,
            pixel_box(*box),
            segmentation,
            mask,
            own.get("crowd") == "true",
            _score(own.get("score", "")),
            own.get("phrase") or ("" if _NO_CLASS in own else None),
            REVIEWS.get(own.get("review", "")),
            ORIGINS.get(own.get("origin", "")) or (Origin.MODEL if part.get("source") == "auto" else None),
            *_place_in_caption(own),
        )

    def _box_of(self, row: int, name: str, part: Element) -> PixelBox:
        if part.tag == "cuboid":
            self._note(row, name, Outcome.KEPT, "it is a cuboid, and the box around it was taken")
            xs, ys = ([_number(part, axis + corner) for corner in _CORNERS_OF_A_CUBOID] for axis in "xy")
            return min(xs), min(ys), max(xs), max(ys)
        turn = math.radians(_number(part, "rotation", "0"))
        cosine, sine = math.cos(turn), math.sin(turn)
        if part.tag == "ellipse":
            self._note(row, name, Outcome.KEPT, "it is an ellipse, and the box around it was taken")
            x, y, side_x, side_y = (_number(part, side) for side in ("cx", "cy", "rx", "ry"))
            half = math.hypot(side_x * cosine, side_y * sine), math.hypot(side_x * sine, side_y * cosine)
        else:
            x0, y0, x1, y1 = pixel_box(*(_number(part, side) for side in ("xtl", "ytl", "xbr", "ybr")))
            if turn == 0:
                return x0, y0, x1, y1
            self._note(row, name, Outcome.KEPT, "it is turned, and the box around it was taken")
            x, y, side_x, side_y = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2
            cosine, sine = abs(cosine), abs(sine)
            half = side_x * cosine + side_y * sine, side_x * sine + side_y * cosine
        return x - half[0], y - half[1], x + half[0], y + half[1]

    def _note(self, row: int, name: str, outcome: Outcome, reason: str, detail: str = "") -> None:
        self._report.note(RowNote("annotations", row, name[:64], outcome, reason, detail))


def _add_class(tables: Tables, label: str) -> None:
    if label and len(label) <= MAX_NAME and label not in tables.classes:
        tables.classes[label] = ClassRow(label, label)


def _label_of(element: Element, *, is_in_head: bool = False) -> str:
    """The name of a class: a shape's or tag's own, or one that the head lists; "" for none."""
    if is_in_head:
        is_for_images = element.findtext("type") == "tag"
        return "" if is_for_images or _NO_CLASS in _names_of(element) else clean(element.findtext("name") or "").strip()
    own = _own_attributes(element)
    if (
        element.tag not in (*_SHAPES, "tag")
        or own.get(_NO_CLASS) == "true"
        or (element.tag == "tag" and "caption" in own)
    ):
        return ""
    return clean(element.get("label", "")).strip()


def _names_of(label: Element) -> set[str]:
    return {attribute.findtext("name") or "" for attribute in label.iterfind("attributes/attribute")}


def _own_attributes(element: Element) -> dict[str, str]:
    found = {}
    for child in element:
        name, text = child.get("name", ""), child.text or ""
        if child.tag == "attribute" and name in OWN_ATTRIBUTES and len(text) <= MAX_TEXT:
            found[name] = clean(text)
    return found


def _segmentation_of(part: Element, image: Element) -> Any:
    """A polygon or a mask as COCO has it; None for other shapes."""
    if part.tag == "polygon":
        return [_numbers(part, "points")]
    if part.tag != "mask":
        return None
    width, height = (_side(image.get(side)) for side in ("width", "height"))
    left, top, across, down = (int(_number(part, side)) for side in ("left", "top", "width", "height"))
    if min(left, top) < 0 or min(across, down) < 1 or left + across > width or top + down > height:
        raise BadRow("its mask lies outside its image")
    runs = [int(run) for run in _numbers(part, "rle")]
    if min(runs) < 0 or sum(runs) != across * down:
        raise BadMask("the run lengths do not fill their size")
    columns = turned(strokes_of(runs, across)).moved(left, top)
    return {"size": [height, width], "counts": runs_of(columns, width, height)}


def _number(element: Element, name: str, otherwise: str | None = None) -> float:
    text = element.get(name, otherwise)
    if text is None:
        raise BadRow(f"it has no {name}")
    return _as_number(text, name)


def _numbers(element: Element, name: str) -> list[float]:
    """The numbers of a list, however its commas and semicolons group them."""
    texts = element.get(name, "").replace(";", ",").split(",", _MAX_NUMBERS)
    if len(texts) > _MAX_NUMBERS:
        raise BadRow(f"its {name} are too many")
    return [_as_number(text, name) for text in texts]


def _as_number(text: str, name: str) -> float:
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not abs(value) < FAR:
        raise BadRow(f"its {name} is no finite number", shown(text, 60))
    return value


def _side(text: str | None) -> int:
    """Width or height of an image, 0 where it is not given."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise BadRow("its width and height are no sizes", shown(text, 60))
    return int(text)


def _place_in_caption(own: dict[str, str]) -> tuple[str | None, tuple[int, int] | None]:
    begin, _, end = own.get("span", "").partition("-")
    is_span = all(text.isascii() and text.isdigit() and len(text) < 6 for text in (begin, end))
    if not own.get("caption") or not is_span or int(begin) >= int(end):
        return None, None
    return own["caption"], (int(begin), int(end))


def _own_box(own: dict[str, str], around: PixelBox) -> PixelBox:
    try:
        return own_box(
            [_as_number(text, "box") for text in own["box"].split(" ", 4)] if own.get("box") else None, around
        )
    except BadRow:
        return around


def _score(text: str) -> float | None:
    try:
        return _as_number(text, "score")
    except BadRow:
        return None
