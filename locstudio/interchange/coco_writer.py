"""COCO annotation files, written row by row."""

import json
from collections.abc import Iterable
from typing import Any, TextIO

import msgspec

from locstudio import __version__
from locstudio.domain.regions import Caption, Image, LabelClass, Region, Review
from locstudio.interchange.masks import area_of_mask

DECIMALS = 6
"""Of a pixel; enough to give back what was read."""

NO_CLASS_NAME = "no class"


class CocoWriter:
    """Writes a COCO file member by member; `end` makes it a whole."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        info = {"description": "Exported from LocStudio", "version": __version__}
        file.write('{"info":' + _json(info) + ',"licenses":[]')

    def array(self, name: str, rows: Iterable[str]) -> int:
        """One member, its rows as JSON text.  Returns how many there were."""
        self._file.write(f',\n"{name}":[')
        count = 0
        for count, row in enumerate(rows, 1):
            self._file.write((",\n" if count > 1 else "\n") + row)
        self._file.write("\n]")
        return count

    def end(self) -> None:
        """Close the object."""
        self._file.write("}\n")


def category_ids(classes: Iterable[LabelClass]) -> dict[int, int]:
    """The ``category_id`` of every class: the one it came with where that is free, else a new one above all others."""
    classes = list(classes)
    ids: dict[int, int] = {}
    taken: set[int] = set()
    for label in classes:
        text = label.external_id
        if text.isascii() and text.isdigit() and len(text) < 16 and int(text) not in taken:
            ids[label.id] = int(text)
            taken.add(int(text))
    following = max(taken, default=0) + 1
    for label in classes:
        if label.id not in ids:
            ids[label.id] = following
            following += 1
    return ids


def category_row(label: LabelClass, category_id: int) -> str:
    """A class as a row of ``categories``."""
    return _json({"id": category_id, "name": label.name, "supercategory": ""})


def no_class_row(category_id: int) -> str:
    """The category under which regions without a class are listed, because COCO wants one for each."""
    return _json({"id": category_id, "name": NO_CLASS_NAME, "supercategory": "", "is_no_class": True})


def image_row(image: Image, file_name: str) -> str:
    """An image as a row of ``images``."""
    return _json({"id": image.id, "file_name": file_name, "width": image.width, "height": image.height})


def region_row(region: Region, width: int, height: int, category_id: int, class_name: str) -> str:
    """A region as a row of ``annotations``.

    Beside COCO's own keys there is ``phrase`` where it differs from the class, ``score``, and ``review`` where a person
    has not accepted it.  The mask is written exactly as it came.
    """
    x0, y0, x1, y1 = region.box.to_pixels(width, height)
    bbox = [round(value, DECIMALS) for value in (x0, y0, x1 - x0, y1 - y0)]
    if min(bbox[2:]) <= 0:  # smaller than rounding
        bbox = [x0, y0, x1 - x0, y1 - y0]
    segmentation = msgspec.json.decode(region.mask) if region.mask else None
    row: dict[str, Any] = {
        "id": region.id,
        "image_id": region.image_id,
        "category_id": category_id,
        "bbox": bbox,
        "area": round(area_of_mask(segmentation) if segmentation else bbox[2] * bbox[3], DECIMALS),
        "iscrowd": int(region.is_crowd),
    }
    if region.phrase != class_name:
        row["phrase"] = region.phrase
    if region.score is not None:
        row["score"] = region.score
    if region.review is not Review.ACCEPTED:
        row["review"] = str(region.review)
    return _json(row)[:-1] + ',"segmentation":' + ((region.mask if segmentation else None) or "[]") + "}"


def caption_row(caption: Caption) -> str:
    """A caption as a row of ``captions``."""
    return _json({"id": caption.id, "image_id": caption.image_id, "caption": caption.text})


def _json(row: dict[str, Any]) -> str:
    # Escapes, not UTF-8: a file name may hold bytes that are no text.
    return json.dumps(row, allow_nan=False, separators=(",", ":"))
