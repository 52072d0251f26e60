"""What class an image shows, put right: labels and boxes of the wrong class become those of the right one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from locstudio.domain.edits import Change, Edit, LabelChange, RegionChange, touched
from locstudio.domain.errors import UserError
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import LabelClass, Origin, Region
from locstudio.domain.text import shown
from locstudio.store.view import DatasetView


def classes_of_images(dataset: DatasetView, image_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The classes that each image is said to show: by labels first, then by boxes that count as true.

    A class that a person or a file says is not there is left out, also where it has boxes.
    """
    labels, regions = dataset.labels_of_images(image_ids), dataset.regions_of_images(image_ids)
    found = {}
    for image_id in image_ids:
        said = {label.class_id: label for label in labels.get(image_id, ())}
        there = [class_id for class_id, label in said.items() if label.presence is Presence.POSITIVE]
        denied = {class_id for class_id, label in said.items() if _denies(label)}
        boxed = [region.class_id for region in regions.get(image_id, ()) if region.is_ground_truth and region.class_id]
        found[image_id] = tuple(dict.fromkeys([*there, *(each for each in boxed if each not in denied)]))
    return found


def shown_now(dataset: DatasetView, told: Mapping[int, int]) -> dict[int, int]:
    """For each image the class that it is said to show now: this one while that still holds, else the first; or 0."""
    now = classes_of_images(dataset, list(told))
    return {
        image_id: class_id if class_id in now[image_id] else next(iter(now[image_id]), 0)
        for image_id, class_id in told.items()
    }


def say_instead(dataset: DatasetView, wrong: Mapping[int, int], class_id: int) -> Edit:
    """Say that images show this class instead of another one, in one undo step.

    The other class is denied where something was said of it, and its boxes become boxes of this class.  An image of
    which no class is known (0) gets this one besides.  Without changes all of it is said already.

    Args:
        dataset: What holds labels and boxes.
        wrong: For each image the class that it does not show, or 0.
        class_id: The class that they show.

    Raises:
        UserError: the vocabulary does not have the class, or boxes that would have to change are locked.
    """
    names = {entry.id: entry for entry in dataset.classes()}
    if class_id not in names or names[class_id].is_retired:
        raise UserError("This class is not in use any more; choose another one.")
    image_ids = list(wrong)
    labels, regions = dataset.labels_of_images(image_ids), dataset.regions_of_images(image_ids)
    changes: list[Change] = []
    locked: set[int] = set()
    num_changed = 0
    for image_id, wrong_id in wrong.items():
        boxes = [each for each in regions.get(image_id, ()) if _is_true(each, wrong_id)] if wrong_id != class_id else []
        if any(each.is_locked for each in boxes):
            locked.add(image_id)
            continue
        said = {label.class_id: label for label in labels.get(image_id, ())}
        made: list[Change] = [*_labels(said, image_id, wrong_id, class_id)]
        made += [RegionChange(each, touched(each, replace(each, class_id=class_id))) for each in boxes]
        num_changed += bool(made)
        changes += made
    if locked and not changes:
        raise UserError("Its boxes are locked; unlock them in the collection first.")
    if not changes:
        return Edit("", ())
    title = _titled(names, wrong, class_id, num_changed)
    return Edit(f"{title} ({len(locked)} with locked boxes left out)" if locked else title, tuple(changes))


def _labels(said: Mapping[int, ImageLabel], image_id: int, wrong_id: int, class_id: int) -> list[LabelChange]:
    """The labels of an image that change."""
    made = []
    old = said.get(wrong_id)
    if wrong_id and wrong_id != class_id and old is not None and old.presence is not Presence.NEGATIVE:
        made.append(LabelChange(old, ImageLabel(image_id, wrong_id, Presence.NEGATIVE)))
    now = said.get(class_id)
    if now is None or now.presence is not Presence.POSITIVE or now.origin is not Origin.HUMAN:
        made.append(LabelChange(now, ImageLabel(image_id, class_id, Presence.POSITIVE)))
    return made


def _is_true(region: Region, class_id: int) -> bool:
    return bool(class_id) and region.class_id == class_id and region.is_ground_truth


def _denies(label: ImageLabel) -> bool:
    return label.presence is Presence.NEGATIVE and label.origin is not Origin.MODEL


def _titled(names: Mapping[int, LabelClass], wrong: Mapping[int, int], class_id: int, num_images: int) -> str:
    name = shown(names[class_id].name, 60)
    if num_images != 1:
        return f"Change the class of {num_images} images to “{name}”"
    others = set(wrong.values())
    old = names.get(others.pop()) if len(others) == 1 else None
    return f"Change the class “{shown(old.name, 60)}” to “{name}”" if old is not None else f"Say that it shows “{name}”"
