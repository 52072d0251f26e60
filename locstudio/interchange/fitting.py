"""What of a page the formats of other programs can hold, and in words what they cannot."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from locstudio.domain.regions import Region
from locstudio.interchange.masks import BadMask, PixelBox, box_of_mask, runs_of_mask, size_of_mask
from locstudio.interchange.run_lengths import runs_of, strokes_of
from locstudio.interchange.writing import Fitted, Page

SAME_BOX_PX = 3.0
"""How far a box may be from the smallest around its mask and still belong to it: outlines are often simplified."""

_SAME_PX = 1e-6
_Made = tuple[Region | None, str]


def fit_shapes(page: Page, names: Mapping[int, str]) -> Fitted:
    """For a format where a region is a box, one polygon or run lengths, and the mask says where it is.

    The box goes out beside its mask, and counts again where the mask has not been changed meanwhile: see `own_box`.  A
    region without a phrase of its own gets the name of its class, for which its label stands.
    """
    return _fitted(page, lambda region: _as_shape(_with_words(region, names), page))


def fit_words(page: Page, names: Mapping[int, str]) -> Fitted:
    """For a format of regions and their phrases: one without any words is left out."""

    def made(region: Region) -> _Made:
        region = _with_words(region, names)
        return (region, "") if region.phrase.strip() else (None, "regions without words")

    return _fitted(page, made)


def own_box(told: Sequence[float] | None, around: PixelBox) -> PixelBox:
    """The box that a file of ours tells beside a mask, or the one around the mask, where that is somewhere else now."""
    if told is None or len(told) != 4 or told[0] >= told[2] or told[1] >= told[3]:
        return around
    is_near = all(abs(a - b) <= SAME_BOX_PX for a, b in zip(told, around, strict=True))
    return (told[0], told[1], told[2], told[3]) if is_near else around


def is_around(box: PixelBox, segmentation: Any) -> bool:
    """Whether a box is the smallest around a mask, so that it need not be told."""
    return all(abs(a - b) < _SAME_PX for a, b in zip(box, box_of_mask(segmentation), strict=True))


def _fitted(page: Page, made: Callable[[Region], _Made]) -> Fitted:
    captions = {caption.id: caption.text for caption in page.captions}
    kept, lost = [], []
    for region in page.regions:
        fitted, what = made(_placed(region, captions))
        if fitted is not None:
            kept.append(fitted)
        if what:
            lost.append(what)
    return Fitted(replace(page, regions=tuple(kept)), tuple(lost))


def _placed(region: Region, captions: Mapping[int, str]) -> Region:
    """The region with its place in the caption as it goes out, without the caption's margins.

    A place that the caption does not have any more, because a person has shortened it since, is none.
    """
    text = captions.get(region.caption_id or 0)
    if text is None or region.caption_span is None:
        return replace(region, caption_id=None, caption_span=None)
    margin = len(text) - len(text.lstrip())
    begin, end = (place - margin for place in region.caption_span)
    return replace(region, caption_span=(begin, end) if 0 <= begin < end <= len(text.strip()) else None)


def _with_words(region: Region, names: Mapping[int, str]) -> Region:
    return region if region.phrase else replace(region, phrase=names.get(region.class_id or 0, ""))


def _as_shape(region: Region, page: Page) -> _Made:
    segmentation = msgspec.json.decode(region.mask) if region.mask else None
    if not segmentation:
        return replace(region, mask=None), ""
    try:
        segmentation = _plain(segmentation, page)
        box = box_of_mask(segmentation)
    except BadMask as error:
        return replace(region, mask=None), f"masks: {error}"
    corners = region.box.to_pixels(page.image.width, page.image.height)
    if max(abs(a - b) for a, b in zip(box, corners, strict=True)) > SAME_BOX_PX:
        return replace(region, mask=None), "masks that their box does not fit"
    return replace(region, mask=msgspec.json.encode(segmentation).decode()), ""


def _plain(segmentation: Any, page: Page) -> Any:
    """One polygon as it is, and run lengths as a list in which no run is empty."""
    if isinstance(segmentation, list):
        if len(segmentation) > 1:
            raise BadMask("of several polygons")
        return segmentation
    width, height = page.image.width, page.image.height
    if size_of_mask(segmentation) != (width, height):
        raise BadMask("of another size than the image")
    strokes = strokes_of(runs_of_mask(segmentation), height)
    return {"size": [height, width], "counts": runs_of(strokes, width, height)}
