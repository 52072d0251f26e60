"""labelme annotations, written image by image; the images stay where they are, and labelme finds them there."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from locstudio.domain.regions import Origin, Region, Review
from locstudio.interchange.annotation_files import FreeNames
from locstudio.interchange.labelme import EXTRAS, plain_label
from locstudio.interchange.masks import box_of_mask
from locstudio.interchange.rows import clean
from locstudio.interchange.writing import Carries, Contents, Page

CARRIES = Carries(classless=True, phrases=True, polygons=True, scores=True, reviews=True, origins=True, sizes=True)
_VERSION = "5.5.0"
_DECIMALS = 6


def write_labelme(contents: Contents, target: Path) -> None:
    """Write an export as a folder of .json files, laid out as the images are."""
    names = {label.id: label.name for label in contents.classes}
    files = FreeNames(".json")
    os.mkdir(target)
    for page in contents.pages():
        file = target / files.name_for(page.file_name)
        file.parent.mkdir(parents=True, exist_ok=True)
        image = os.path.relpath(os.path.join(contents.image_root, page.file_name), os.path.realpath(file.parent))
        document = _document(page, image.replace(os.sep, "/"), names)
        file.write_text(json.dumps(document, allow_nan=False, indent=1), encoding="ascii")


def _document(page: Page, image: str, names: dict[int, str]) -> dict[str, Any]:
    shapes: list[dict[str, Any]] = []
    group = 0
    for region in page.regions:
        made = list(_shapes(region, page.image.width, page.image.height, names.get(region.class_id or 0, "")))
        if len(made) > 1:
            group += 1
            for shape in made:
                shape["group_id"] = group
        shapes += made
    return {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": page.image.height,
        "imageWidth": page.image.width,
        EXTRAS: {"file": page.file_name},
    }


def _shapes(region: Region, width: int, height: int, class_name: str) -> Iterator[dict[str, Any]]:
    """A rectangle, or a polygon for each of the mask's, with what labelme has no words for in the first."""
    x0, y0, x1, y1 = region.box.to_pixels(width, height)
    box = [round(value, _DECIMALS) for value in (x0, y0, x1, y1)]
    if box[0] >= box[2] or box[1] >= box[3]:  # smaller than rounding
        box = [x0, y0, x1, y1]
    mask = msgspec.json.decode(region.mask) if region.mask else None
    polygons = mask if isinstance(mask, list) and mask else None
    shape_box = list(box_of_mask(polygons)) if polygons else box
    extras: dict[str, Any] = {"id": region.id, "class": clean(class_name).strip()}
    if region.phrase != class_name:
        extras["phrase"] = clean(region.phrase)
    if region.review is not Review.ACCEPTED:
        extras["review"] = str(region.review)
    if region.origin is not Origin.IMPORTED:
        extras["origin"] = str(region.origin)
    extras |= {"box": box, "shape_box": shape_box}
    corners = [[box[0], box[1]], [box[2], box[3]]]
    outlines = [[list(at) for at in zip(p[0::2], p[1::2], strict=True)] for p in polygons or []] or [corners]
    for number, points in enumerate(outlines):
        shape: dict[str, Any] = {
            "label": plain_label(extras["class"], extras.get("phrase", "")),
            "points": points,
            "group_id": None,
            "description": extras.get("phrase", ""),
            "shape_type": "polygon" if polygons else "rectangle",
            "flags": {},
            "mask": None,
        }
        if region.score is not None:
            shape["score"] = region.score
        yield shape | ({} if number else {EXTRAS: extras})
