"""What a new checkpoint does differently from an old one, as a worklist, and what a person makes of each change.

Both were measured on the same snapshot (kind ``compare``).  Axes: N = regions both have named, C = classes, Q = phrases
both have looked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.edits import ChoiceChange, Edit, ModelChoice, add_regions, change_regions
from locstudio.domain.errors import UserError
from locstudio.domain.geometry import BoxArray, UnitBox, iou_matrix
from locstudio.domain.regions import Origin, Region, Review
from locstudio.jobs.predictions import Detections, Ints, PredictionFolder, Predictions
from locstudio.services.change_matching import SAME_PLACE_IOU, found_elsewhere, named_differently, without_partner
from locstudio.store.dataset import Dataset

Kind = Literal["fixed", "broken", "renamed", "moved", "new", "vanished"]
KINDS: tuple[Kind, ...] = ("fixed", "broken", "renamed", "moved", "new", "vanished")
Choice = Literal["old", "new"]

_SAME_BOX = 1e-5


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs between two checkpoints.

    ``fixed``, ``broken``: the region's name was wrong and is right, or the other way; ``renamed``: wrong before and
    now, by another name.  ``moved``: a phrase is found at another place, and one of the two is right.  ``new``,
    ``vanished``: only one of the two finds a thing there.

    Attributes:
        key: The same for the same change whenever the two are compared.
        region_id: The region that it is about, of ``new`` and ``vanished`` one of the same class; None without one.
        box: The region, or where the old checkpoint saw it (``new``: where the new one does).
        new_box: Where the new checkpoint sees it; None if it does not.
        true_box: The region's box when it was measured; None where there is no region.
        truth: The name or phrase of the region, or of another one at the same place; empty where there is none.
        old_name, new_name: What the two say, empty where one says nothing.  Their scores are cosines, of ``new`` and
            ``vanished`` shares in [0, 1].
        size: How much has changed, in [0, 1].
        true_class_id, new_class_id: Of the region when it was measured, and of ``new_name``.
        is_outdated: The region was changed or removed after it was measured.
    """

    key: str
    kind: Kind
    image_id: int
    region_id: int | None
    box: UnitBox
    new_box: UnitBox | None
    true_box: UnitBox | None
    truth: str
    old_name: str
    old_score: float | None
    new_name: str
    new_score: float | None
    is_held_out: bool
    size: float
    true_class_id: int | None = None
    new_class_id: int | None = None
    is_outdated: bool = False

    @property
    def edits_data(self) -> bool:
        """Whether taking the new would change the data; else they already hold what the new checkpoint says.

        So a phrase that is now found at its region leaves the region's box as a person has drawn it.
        """
        if self.kind == "moved":
            boxes = self.new_box, self.true_box
            return None not in boxes and _overlap(*boxes) < SAME_PLACE_IOU  # type: ignore[arg-type]  # none is None
        return self.kind != "fixed" and not (self.kind == "vanished" and self.region_id is None)


def changes_between(old: PredictionFolder, new: PredictionFolder, dataset: Dataset) -> list[Change]:
    """Every change from the old checkpoint to the new one, the biggest first.

    A detection over a region whose naming has changed is not listed beside it.

    Raises:
        BadInput: the predictions of one of them cannot be read.
    """
    before, after = old.read(), new.read()
    named = list(_naming_changes(before, after))
    found = [*named, *_grounding_changes(before, after)]
    found = _with_outdated(found, dataset)
    told = {change.region_id for change in named}
    found += _detection_changes(before, after, dataset, told)
    return sorted(found, key=lambda change: (-change.size, change.key))


def edit_for(change: Change, choice: Choice, dataset: Dataset) -> Edit | None:
    """What a choice does to the dataset, as one undoable edit; None where there is nothing to do.

    Keeping the old leaves the dataset as it is.  Taking the new gives the region the new name, moves its box to another
    place, adds what is new as an accepted region, or rejects the region that has vanished.

    Raises:
        UserError: the region is gone, locked, or no longer what was measured; or its new class is retired.
    """
    if choice == "old" or not change.edits_data:
        return None
    if change.kind == "new":
        return _edit_of_new(change, dataset)
    region = _free_region(change, dataset)
    if change.kind == "vanished":
        if not _is_still_named(region, change, _class_names(dataset)):
            raise _changed_since()
        if region.review is Review.REJECTED:
            return None
        return change_regions([(region, replace(region, review=Review.REJECTED))], "Reject what has vanished")
    if change.kind == "moved":
        assert change.new_box is not None, "it would not edit the data"
        moved = replace(region, box=change.new_box, review=Review.ACCEPTED)
        return change_regions([(region, moved)], "Take the new box")
    if not _is_still_named(region, change, _class_names(dataset)):
        raise _changed_since()
    return change_regions([(region, _renamed(region, change, dataset))], "Take the new name")


def choice_edit(change: Change, choice: Choice, dataset: Dataset, *, old_id: str, new_id: str) -> Edit | None:
    """The same as one undo step that also remembers the choice; None if it has been chosen already.

    ``old_id`` and ``new_id`` are the two checkpoints.

    Raises:
        UserError: as ``edit_for``; or the new was taken before, which only undo takes back.
    """
    known = dataset.choice(old_id, new_id, change.key)
    if known == choice:
        return None
    if known == "new" and change.edits_data:
        raise UserError("The new one was taken here before. Undo that step to have the old one back.")
    before = None if known is None else ModelChoice(old_id, new_id, change.key, known)
    remembered = ChoiceChange(before, ModelChoice(old_id, new_id, change.key, choice))
    edit = edit_for(change, choice, dataset)
    if edit is None:
        return Edit("Keep the old" if choice == "old" else "Take the new", (remembered,))
    return Edit(edit.title, (*edit.changes, remembered))


def _edit_of_new(change: Change, dataset: Dataset) -> Edit | None:
    assert change.new_box is not None
    if change.region_id is not None:
        region = _free_region(change, dataset)
        if region.class_id != change.new_class_id:
            raise _changed_since()
        if region.review is Review.ACCEPTED:
            return None
        return change_regions([(region, replace(region, review=Review.ACCEPTED))], "Accept what is new")
    class_id = _usable_class(change, dataset)
    known = [region for region in dataset.regions_of(change.image_id) if region.class_id == class_id]
    if known and iou_matrix(_array([change.new_box]), _array(region.box for region in known)).max() >= SAME_PLACE_IOU:
        raise UserError(f"There is a box of “{change.new_name}” at this place already; nothing was added.")
    if not dataset.images([change.image_id]):
        raise UserError("This image is no longer in the project, so nothing was added.")
    added = Region(
        id=dataset.next_region_id(),
        image_id=change.image_id,
        box=change.new_box,
        class_id=class_id,
        review=Review.ACCEPTED,
        origin=Origin.MODEL,
        score=change.new_score,
    )
    return add_regions([added], "Add what is new")


def _free_region(change: Change, dataset: Dataset) -> Region:
    """The region of a change as it is now, if it still is what was measured."""
    assert change.region_id is not None
    found = dataset.regions([change.region_id])
    if not found:
        raise UserError("This box has been deleted since the two checkpoints were compared; undo that, or skip it.")
    region = found[0]
    if change.true_box is not None and not _is_same_box(region.box, change.true_box):
        raise _changed_since()
    if region.is_locked:
        raise UserError("This box is locked; open the image and unlock it first.")
    return region


def _changed_since() -> UserError:
    return UserError("This box has been changed since the two checkpoints were compared; open the image to edit it.")


def _usable_class(change: Change, dataset: Dataset) -> int:
    usable = {label.id for label in dataset.classes() if not label.is_retired}
    if change.new_class_id not in usable:
        raise UserError(f"The class “{change.new_name}” has been retired since; choose another one in the collection.")
    return change.new_class_id


def _renamed(region: Region, change: Change, dataset: Dataset) -> Region:
    """The region under its new class, accepted; a phrase that only repeats the old class's name follows it."""
    class_id = _usable_class(change, dataset)
    renamed = replace(region, class_id=class_id, review=Review.ACCEPTED)
    if class_id == region.class_id or region.phrase.casefold() != change.truth.casefold():
        return renamed
    # The phrase no longer is what the caption says, so it points to no place in it.
    return replace(renamed, phrase=change.new_name, caption_id=None, caption_span=None)


def _naming_changes(old: Predictions, new: Predictions) -> Iterator[Change]:
    if old.regions is None or new.regions is None:
        return
    differing = named_differently(old, old.regions, new, new.regions)
    rows = zip(differing.before.tolist(), differing.after.tolist(), differing.sizes.tolist(), strict=True)
    for place, (b, a, size) in enumerate(rows):
        kind: Kind = "fixed" if differing.is_right[place] else "broken" if differing.was_right[place] else "renamed"
        box = _unit_box(new.regions.boxes[a])
        if box is None:
            continue
        truth, found, was = (
            int(rows[i])
            for rows, i in ((new.regions.true_rows, a), (new.regions.found_rows, a), (old.regions.found_rows, b))
        )
        region_id = int(new.regions.region_ids[a])
        yield Change(
            key=f"name:{region_id}",
            kind=kind,
            image_id=int(new.regions.image_ids[a]),
            region_id=region_id,
            box=box,
            new_box=box,
            true_box=box,
            truth=new.classes[truth][1],
            old_name=old.classes[was][1],
            old_score=float(old.regions.scores[b, was]),
            new_name=new.classes[found][1],
            new_score=float(new.regions.scores[a, found]),
            is_held_out=bool(new.regions.is_held_out[a]),
            size=size,
            true_class_id=new.classes[truth][0],
            new_class_id=new.classes[found][0],
        )


def _grounding_changes(old: Predictions, new: Predictions) -> Iterator[Change]:
    if old.grounding is None or new.grounding is None:
        return
    before, after = found_elsewhere(old, old.grounding, new, new.grounding)
    for b, a in zip(before.tolist(), after.tolist(), strict=True):
        # Of several regions with the phrase the one is meant that the new box is at; if it is at none, the old box's.
        table, row = (new.grounding, a) if new.grounding.ious[a] >= SAME_PLACE_IOU else (old.grounding, b)
        boxes = [_unit_box(box) for box in (old.grounding.found[b], new.grounding.found[a], table.true_boxes[row])]
        phrase = new.phrases[int(new.grounding.phrase_rows[a])]
        if boxes[0] is None or boxes[2] is None:
            continue
        yield Change(
            key=f"place:{int(new.grounding.image_ids[a])}:{phrase}",
            kind="moved",
            image_id=int(new.grounding.image_ids[a]),
            region_id=int(table.region_ids[row]),
            box=boxes[0],
            new_box=boxes[1],
            true_box=boxes[2],
            truth=phrase,
            old_name=phrase,
            old_score=float(old.grounding.scores[b]),
            new_name=phrase,
            new_score=float(new.grounding.scores[a]),
            is_held_out=bool(new.grounding.is_held_out[a]),
            size=abs(float(new.grounding.ious[a]) - float(old.grounding.ious[b])),
        )


def _detection_changes(old: Predictions, new: Predictions, dataset: Dataset, told: set[int | None]) -> Iterator[Change]:
    """Changes of detections, without those over a region that has been told of."""
    if old.detections is None or new.detections is None:
        return
    vanished = without_partner(old, old.detections, new, new.detections)
    appeared = without_partner(new, new.detections, old, old.detections)
    images = np.unique(np.concatenate([old.detections.image_ids[vanished], new.detections.image_ids[appeared]]))
    regions_of = dataset.regions_of_images(images.tolist())
    boxes_of = {image_id: _array(region.box for region in regions) for image_id, regions in regions_of.items()}
    kinds: tuple[tuple[Kind, Predictions, Detections, Ints], ...] = (
        ("vanished", old, old.detections, vanished),
        ("new", new, new.detections, appeared),
    )
    names = _class_names(dataset)
    for kind, whole, table, rows in kinds:
        for row in rows.tolist():
            box = _unit_box(table.boxes[row])
            if box is None:
                continue
            image_id, (class_id, name) = int(table.image_ids[row]), whole.classes[int(table.class_rows[row])]
            there = _region_at(box, class_id, regions_of[image_id], boxes_of[image_id])
            if there is not None and there.id in told:
                continue
            region = there if there is not None and there.class_id == class_id else None
            score = float(table.scores[row])
            is_new = kind == "new"
            yield Change(
                key=f"{kind}:{image_id}:{class_id}:" + ":".join(f"{corner:.4f}" for corner in box.as_tuple()),
                kind=kind,
                image_id=image_id,
                region_id=region.id if region else None,
                box=box,
                new_box=box if is_new else None,
                true_box=region.box if region else None,
                truth=(there.phrase or names.get(there.class_id or 0, "")) if there else "",
                old_name="" if is_new else name,
                old_score=None if is_new else score,
                new_name=name if is_new else "",
                new_score=score if is_new else None,
                is_held_out=bool(table.is_held_out[row]),
                size=score,
                true_class_id=region.class_id if region else None,
                new_class_id=class_id if is_new else None,
            )


def _region_at(box: UnitBox, class_id: int, regions: Sequence[Region], boxes_R4: BoxArray) -> Region | None:
    """The region at a place, one of the class before others; None where none overlaps the box by a half."""
    overlap = iou_matrix(_array([box]), boxes_R4)[0]
    there = np.flatnonzero(overlap >= SAME_PLACE_IOU).tolist()
    best = max(there, key=lambda place: (regions[place].class_id == class_id, overlap[place]), default=None)
    return None if best is None else regions[best]


def _with_outdated(changes: Sequence[Change], dataset: Dataset) -> list[Change]:
    """The changes with a mark at those whose region is no longer what was measured."""
    wanted = [change.region_id for change in changes if change.region_id is not None]
    regions = {region.id: region for region in dataset.regions(wanted)}
    names = _class_names(dataset)

    def is_outdated(change: Change) -> bool:
        region = regions.get(change.region_id or 0)
        if region is None or change.true_box is None or not _is_same_box(region.box, change.true_box):
            return True
        return change.kind != "moved" and not _is_still_named(region, change, names)

    return [replace(change, is_outdated=True) if is_outdated(change) else change for change in changes]


def _is_still_named(region: Region, change: Change, names: Mapping[int, str]) -> bool:
    """Whether the region has the class it was measured with, or one of the same name: twins are measured as one."""
    return region.class_id == change.true_class_id or names.get(region.class_id or 0) == change.truth


def _class_names(dataset: Dataset) -> dict[int, str]:
    return {label.id: label.name for label in dataset.classes()}


def _overlap(one: UnitBox, other: UnitBox) -> float:
    return float(iou_matrix(_array([one]), _array([other]))[0, 0])


def _is_same_box(one: UnitBox, other: UnitBox) -> bool:
    """Whether two boxes are one, one of them stored in single precision."""
    return all(abs(a - b) <= _SAME_BOX for a, b in zip(one.as_tuple(), other.as_tuple(), strict=True))


def _unit_box(corners_4: NDArray[np.float32]) -> UnitBox | None:
    """A box, or None where it has no area."""
    x0, y0, x1, y1 = (float(corner) for corner in corners_4)
    return UnitBox(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _array(boxes: Iterable[UnitBox]) -> BoxArray:
    return np.array([box.as_tuple() for box in boxes], np.float32).reshape(-1, 4)
