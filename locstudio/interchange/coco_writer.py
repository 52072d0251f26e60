"""COCO annotation files, written row by row."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import msgspec

from locstudio import __version__
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Caption, Image, LabelClass, Origin, Region, Review
from locstudio.interchange.masks import area_of_mask
from locstudio.interchange.writing import Carries, Contents

DECIMALS = 6
"""Of a pixel; enough to give back what was read."""

NO_CLASS_NAME = "no class"

CARRIES = Carries(
    ids=True,
    classless=True,
    phrases=True,
    captions=True,
    polygons=True,
    runs=True,
    crowds=True,
    scores=True,
    reviews=True,
    origins=True,
    sizes=True,
    all_classes=True,
    superclasses=True,
    labels=True,
    empty_images=True,
)


def write_coco(contents: Contents, target: Path) -> None:
    """Write an export as a COCO file, and make it durable.

    Annotations and captions go by their images.  Regions keep their masks as they came.  What is said of whole images
    is in a member of its own, which other programs pass over.
    """
    ids = category_ids(contents.classes)
    names = {label.id: label.name for label in contents.classes}
    no_class_id = max(ids.values(), default=0) + 1
    with open(target, "x", encoding="ascii") as file:
        writer = CocoWriter(file)
        groups = contents.superclasses
        rows = [category_row(label, ids[label.id], groups.get(label.id, "")) for label in contents.classes]
        writer.array("categories", [*rows, no_class_row(no_class_id)])
        writer.array("images", (image_row(page.image, page.file_name) for page in contents.images()))
        writer.array(
            "annotations",
            (
                region_row(
                    region,
                    page.image.width,
                    page.image.height,
                    ids.get(region.class_id or 0, no_class_id),
                    names.get(region.class_id or 0, ""),
                )
                for page in contents.pages()
                for region in page.regions
            ),
        )
        writer.array("captions", (caption_row(c) for page in contents.pages() for c in page.captions))
        labels = (label_row(x, ids[x.class_id]) for page in contents.pages() for x in page.labels)
        if contents.has_labels:
            writer.array("image_labels", labels)
        writer.end()
        file.flush()
        os.fsync(file.fileno())


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


def category_row(label: LabelClass, category_id: int, superclass: str) -> str:
    """A class as a row of ``categories``; its superclass is what COCO calls ``supercategory``."""
    return _json({"id": category_id, "name": label.name, "supercategory": superclass})


def no_class_row(category_id: int) -> str:
    """The category under which regions without a class are listed, because COCO wants one for each."""
    return _json({"id": category_id, "name": NO_CLASS_NAME, "supercategory": "", "is_no_class": True})


def image_row(image: Image, file_name: str) -> str:
    """An image as a row of ``images``."""
    return _json({"id": image.id, "file_name": file_name, "width": image.width, "height": image.height})


def region_row(region: Region, width: int, height: int, category_id: int, class_name: str) -> str:
    """A region as a row of ``annotations``.

    Beside COCO's own keys there is ``phrase`` where it differs from the class, ``score``, ``review`` where a person has
    not accepted it, and ``origin`` where it was not imported.  The mask is written exactly as it came.
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
    if region.origin is not Origin.IMPORTED:
        row["origin"] = str(region.origin)
    return _json(row)[:-1] + ',"segmentation":' + ((region.mask if segmentation else None) or "[]") + "}"


def caption_row(caption: Caption) -> str:
    """A caption as a row of ``captions``, with its ``origin`` where it was not imported."""
    row: dict[str, Any] = {"id": caption.id, "image_id": caption.image_id, "caption": caption.text}
    if caption.origin is not Origin.IMPORTED:
        row["origin"] = str(caption.origin)
    return _json(row)


def label_row(label: ImageLabel, category_id: int) -> str:
    """A label of an image as a row of ``image_labels``, with its ``origin`` where it was not imported."""
    row: dict[str, Any] = {"image_id": label.image_id, "category_id": category_id, "presence": str(label.presence)}
    if label.score is not None:
        row["score"] = label.score
    if label.origin is not Origin.IMPORTED:
        row["origin"] = str(label.origin)
    return _json(row)


def _json(row: dict[str, Any]) -> str:
    # Escapes, not UTF-8: a file name may hold bytes that are no text.
    return json.dumps(row, allow_nan=False, separators=(",", ":"))
