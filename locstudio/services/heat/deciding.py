"""What a person says of classes of whole images, as edits made of what the dataset holds by then.

An edit without changes means that there was nothing to do.
"""

from collections.abc import Iterable

from locstudio.domain.edits import Edit, LabelChange
from locstudio.domain.errors import UserError
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Origin
from locstudio.domain.text import counted, shown
from locstudio.services.heat.worklist import Expected
from locstudio.store.view import DatasetView


def accept_expected(dataset: DatasetView, items: Iterable[Expected], checkpoint_id: str = "") -> Edit:
    """Say that classes are there that were expected.

    ``checkpoint_id`` is that of the model that expected them; it is kept as the source, with the model's score.
    """
    return _said(dataset, items, Presence.POSITIVE, checkpoint_id, "Add {}")


def deny_expected(dataset: DatasetView, items: Iterable[Expected], checkpoint_id: str = "") -> Edit:
    """Say that classes are not there that were expected; they are not expected again."""
    return _said(dataset, items, Presence.NEGATIVE, checkpoint_id, "Deny {}")


def say(dataset: DatasetView, image_id: int, class_id: int, presence: Presence) -> Edit:
    """Say that a class is in an image, that it is not, or take back what was said.

    Raises:
        UserError: it is said not to be there, and has boxes that count as true.
    """
    if presence is Presence.NEGATIVE:
        _refuse_boxes(dataset, image_id, class_id)
    before = next((label for label in dataset.labels_of(image_id) if label.class_id == class_id), None)
    # A model's score says nothing of what a person has said against it.
    after = None if presence is Presence.UNKNOWN else ImageLabel(image_id, class_id, presence)
    if before == after or (before is not None and before.presence is presence and before.origin is Origin.HUMAN):
        return Edit("", ())
    title = {
        Presence.POSITIVE: "Mark {} present",
        Presence.NEGATIVE: "Mark {} absent",
        Presence.UNKNOWN: "Mark {} unknown",
    }[presence]
    return Edit(title.format(_name(dataset, class_id)), (LabelChange(before, after),))


def _said(dataset: DatasetView, items: Iterable[Expected], presence: Presence, checkpoint_id: str, title: str) -> Edit:
    wanted = list({(item.image_id, item.class_id): item for item in items}.values())
    held = dataset.labels_of_images([item.image_id for item in wanted])
    changes = []
    for item in wanted:
        before = next((label for label in held[item.image_id] if label.class_id == item.class_id), None)
        after = ImageLabel(item.image_id, item.class_id, presence, Origin.HUMAN, round(item.score, 5), checkpoint_id)
        if before is None or before.presence is not presence:
            changes.append(LabelChange(before, after))
    of_classes = {change.after.class_id for change in changes if change.after is not None}
    what = _name(dataset, of_classes.pop()) if len(of_classes) == 1 else ""
    if len(changes) > 1:
        what = f"{what} to {len(changes)} images" if what and presence is Presence.POSITIVE else what
        what = f"{what} in {len(changes)} images" if what and presence is Presence.NEGATIVE else what
    return Edit(title.format(what or counted(len(changes), "class") if changes else ""), tuple(changes))


def _name(dataset: DatasetView, class_id: int) -> str:
    return next((shown(entry.name, 60) for entry in dataset.classes() if entry.id == class_id), f"class {class_id}")


def _refuse_boxes(dataset: DatasetView, image_id: int, class_id: int) -> None:
    boxes = [region for region in dataset.regions_of(image_id) if region.class_id == class_id]
    num = sum(region.is_ground_truth for region in boxes)
    if num:
        raise UserError(
            f"{_name(dataset, class_id)} has {counted(num, 'box').replace('boxs', 'boxes')} in this image; "
            "delete or reject them first."
        )
