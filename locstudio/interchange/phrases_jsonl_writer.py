"""Regions and their phrases, written as one JSON object a line (ODVG, as Grounding DINO learns from).

A line for each caption with the regions whose phrases stand in it, and one with an empty caption for all others.  What
ODVG does not know stands beside it: ``id``, ``category``, ``review``, ``origin``, ``score``, ``segmentation``.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from locstudio.domain.regions import Caption, Origin, Region, Review
from locstudio.interchange.fitting import fit_words
from locstudio.interchange.writing import Carries, Contents, Page

DECIMALS = 6
"""Of a pixel."""

_Object = dict[str, Any]


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
    spans=True,
    empty_images=True,
    fit=fit_words,
)


def write_phrases(contents: Contents, target: Path) -> None:
    """Write an export as lines of phrases, and make it durable."""
    names = {label.id: label.name for label in contents.classes}
    with open(target, "x", encoding="ascii") as file:
        for page in contents.pages():
            for line in _lines(page, names):
                file.write(json.dumps(line, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _lines(page: Page, names: Mapping[int, str]) -> Iterator[_Object]:
    by_caption: dict[int | None, list[Region]] = {caption.id: [] for caption in page.captions}
    rest: list[Region] = []
    for region in page.regions:
        by_caption.get(region.caption_id if region.caption_span else None, rest).append(region)
    for caption in page.captions:
        yield _line(page, by_caption[caption.id], names, caption)
    if rest or not page.captions:
        yield _line(page, rest, names, None)


def _line(page: Page, regions: Iterable[Region], names: Mapping[int, str], caption: Caption | None) -> _Object:
    grounding: _Object = {"caption": caption.text.strip() if caption else ""}
    if caption:
        grounding["caption_id"] = caption.id
        if caption.origin is not Origin.IMPORTED:
            grounding["caption_origin"] = str(caption.origin)
    grounding["regions"] = [_region(page, region, names) for region in regions]
    image = page.image
    return {"filename": page.file_name, "height": image.height, "width": image.width, "grounding": grounding}


def _region(page: Page, region: Region, names: Mapping[int, str]) -> _Object:
    corners = region.box.to_pixels(page.image.width, page.image.height)
    box = [round(corner, DECIMALS) for corner in corners]
    is_flat = box[0] >= box[2] or box[1] >= box[3]  # smaller than rounding
    row: _Object = {"bbox": list(corners) if is_flat else box, "phrase": region.phrase}
    if region.caption_span:
        row["tokens_positive"] = [region.caption_span]
    row |= {"id": region.id, "origin": str(region.origin)}
    if name := names.get(region.class_id or 0):
        row["category"] = name
    if region.review is not Review.ACCEPTED:
        row["review"] = str(region.review)
    if region.score is not None:
        row["score"] = region.score
    if region.is_crowd:
        row["iscrowd"] = 1
    if region.mask:
        row["segmentation"] = msgspec.json.decode(region.mask)
    return row
