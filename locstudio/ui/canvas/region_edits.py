"""Edits that the canvas and the table wish for, made from what a person selected.  Pure; the store applies them.

Every function returns None where nothing would change.  A locked region keeps its place, text and life until it is
unlocked; its review may change.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import msgspec
from PySide6.QtCore import QCoreApplication

from locstudio.domain.edits import Edit, RegionChange, add_regions, change_regions, delete_regions, touched
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.interchange.masks import box_of_mask
from locstudio.ui.canvas.drag_geometry import moved, to_unit
from locstudio.ui.canvas.overlay_boxes import boxes_in_px

DUPLICATE_SHIFT_PX = 10.0

translate = QCoreApplication.translate


def counted(one: str, many: str, count: int) -> str:
    """``one`` for a single thing, else ``many`` with its ``{count}`` filled in."""
    return one if count == 1 else many.format(count=count)


def new_region(
    region_id: int,
    image_id: int,
    box: UnitBox,
    phrase: str = "",
    class_id: int | None = None,
    mask: str | None = None,
) -> Region:
    """A box that a person has just made; her own hand needs no further review."""
    return Region(region_id, image_id, box, phrase, class_id, Review.ACCEPTED, Origin.HUMAN, mask=mask)


def add(region: Region) -> Edit:
    """Draw a box."""
    return add_regions([region], translate("Canvas", "Draw box"))


def place(old: Sequence[Region], boxes: dict[int, UnitBox], is_resize: bool) -> Edit | None:
    """Give regions other boxes (moved, resized or nudged)."""
    pairs = [(region, replace(region, box=boxes[region.id])) for region in old if region.id in boxes]
    pairs = [pair for pair in pairs if not pair[0].is_locked]
    one = translate("Canvas", "Resize box") if is_resize else translate("Canvas", "Move box")
    many = translate("Canvas", "Resize {count} boxes") if is_resize else translate("Canvas", "Move {count} boxes")
    return _change(pairs, one, many)


def set_masks(old: Iterable[Region], masks: dict[int, str], is_by_points: bool = False) -> Edit | None:
    """Give regions masks, by identity."""
    pairs = [(region, replace(region, mask=masks[region.id])) for region in old if not region.is_locked]
    one = translate("Canvas", "Mask from points") if is_by_points else translate("Canvas", "Mask from box")
    return _change(pairs, one, translate("Canvas", "Masks from {count} boxes"))


def tighten(old: Iterable[Region], width: int, height: int) -> Edit | None:
    """Fit boxes to their masks, which stay as they are; a mask that covers nothing changes nothing."""
    changes = []
    for region in old:
        box = _tight_box(region, width, height)
        if box is not None and box != region.box:
            # Another box drops the mask that outlined its content; here the mask is what the box comes from.
            new = replace(touched(region, replace(region, box=box)), mask=region.mask)
            changes.append(RegionChange(region, new))
    if not changes:
        return None
    one, many = translate("Canvas", "Fit box to mask"), translate("Canvas", "Fit {count} boxes to their masks")
    return Edit(counted(one, many, len(changes)), tuple(changes))


def _tight_box(region: Region, width: int, height: int) -> UnitBox | None:
    if region.is_locked or not region.mask:
        return None
    try:
        return UnitBox.from_pixels(*box_of_mask(msgspec.json.decode(region.mask)), width, height)
    except (ValueError, KeyError, TypeError):  # a damaged one, or nothing of it lies in the picture
        return None


def delete(regions: Iterable[Region]) -> Edit | None:
    """Delete what is not locked."""
    free = [region for region in regions if not region.is_locked]
    return (
        delete_regions(
            free, counted(translate("Canvas", "Delete box"), translate("Canvas", "Delete {count} boxes"), len(free))
        )
        if free
        else None
    )


def relabel(regions: Iterable[Region], phrase: str | None, label: LabelClass | None) -> Edit | None:
    """Give regions a phrase and a class; None leaves what is there."""
    pairs = []
    for region in regions:
        if region.is_locked:
            continue
        new = region if phrase is None else _with_phrase(region, phrase)
        pairs.append((region, new if label is None else replace(new, class_id=label.id)))
    if phrase is not None:
        return _change(
            pairs, translate("Canvas", "Change phrase"), translate("Canvas", "Change phrase of {count} boxes")
        )
    return _change(pairs, translate("Canvas", "Change class"), translate("Canvas", "Change class of {count} boxes"))


def _with_phrase(region: Region, phrase: str) -> Region:
    if phrase == region.phrase:
        return region
    # The phrase no longer is what the caption says, so it points to no place in it.
    return replace(region, phrase=phrase, caption_id=None, caption_span=None)


def review(regions: Iterable[Region], verdict: Review) -> Edit | None:
    """Accept or reject; a second time takes the verdict back."""
    chosen = list(regions)
    if chosen and all(region.review is verdict for region in chosen):
        pairs = [(region, replace(region, review=Review.PENDING)) for region in chosen]
        return _change(
            pairs, translate("Canvas", "Back to pending"), translate("Canvas", "{count} boxes back to pending")
        )
    pairs = [(region, replace(region, review=verdict)) for region in chosen]
    if verdict is Review.ACCEPTED:
        return _change(pairs, translate("Canvas", "Accept box"), translate("Canvas", "Accept {count} boxes"))
    return _change(pairs, translate("Canvas", "Reject box"), translate("Canvas", "Reject {count} boxes"))


def lock(regions: Iterable[Region]) -> Edit | None:
    """Lock all, or unlock them when all are locked."""
    chosen = list(regions)
    if chosen and all(region.is_locked for region in chosen):
        pairs = [(region, replace(region, is_locked=False)) for region in chosen]
        return _change(pairs, translate("Canvas", "Unlock box"), translate("Canvas", "Unlock {count} boxes"))
    pairs = [(region, replace(region, is_locked=True)) for region in chosen]
    return _change(pairs, translate("Canvas", "Lock box"), translate("Canvas", "Lock {count} boxes"))


def _change(pairs: list[tuple[Region, Region]], one: str, many: str) -> Edit | None:
    pairs = [(old, new) for old, new in pairs if old != new]
    return change_regions(pairs, counted(one, many, len(pairs))) if pairs else None


def copies(
    regions: Sequence[Region],
    image: tuple[int, int, int],
    taken: Sequence[Region],
    allocate_id: Callable[[], int],
    title: str,
) -> tuple[Edit, list[int]] | None:
    """Put copies of regions into an image, shifted where they would lie exactly on others.

    Args:
        regions: What to copy; may come from another image.
        image: Identity, width and height (pixels) of the image that receives them.
        taken: The regions already there.
        allocate_id: Gives each new region its identity.
        title: Of the edit.

    Returns:
        The edit and the new identities, or None where there is nothing to copy.
    """
    if not regions:
        return None
    image_id, width, height = image
    boxes = boxes_in_px(regions, width, height)
    places = {region.box for region in taken}
    if any(region.box in places for region in regions):
        step_x, step_y = DUPLICATE_SHIFT_PX, DUPLICATE_SHIFT_PX
        # In the far corner a copy goes back instead of disappearing under its original.
        if boxes[:, 2].max() + step_x > width:
            step_x = -step_x
        if boxes[:, 3].max() + step_y > height:
            step_y = -step_y
        boxes = moved(boxes, step_x, step_y, width, height)
        new_boxes = [to_unit((x0, y0, x1, y1), width, height) for x0, y0, x1, y1 in boxes.tolist()]
    else:
        new_boxes = [region.box for region in regions]
    added = [
        new_region(allocate_id(), image_id, box, region.phrase, region.class_id)
        for region, box in zip(regions, new_boxes, strict=True)
    ]
    return add_regions(added, title), [region.id for region in added]
