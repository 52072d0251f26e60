"""What a person says of classes of whole images, as edits made of what the dataset holds by then.

An edit without changes means that there was nothing to do.
"""

from collections.abc import Iterable, Sequence

from locstudio.domain.edits import Edit, LabelChange
from locstudio.domain.errors import UserError
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Origin
from locstudio.domain.text import shown
from locstudio.store.view import DatasetView

_VERBS = {Presence.POSITIVE: "Add", Presence.NEGATIVE: "Deny", Presence.UNKNOWN: "Take back"}


def say(dataset: DatasetView, image_id: int, class_id: int, presence: Presence) -> Edit:
    """Say that a class is in an image, that it is not, or take back what was said.

    Raises:
        UserError: it is said not to be there, and has boxes that count as true.
    """
    if presence is Presence.NEGATIVE and (num := _num_boxes(dataset, image_id, class_id)):
        boxes = "a box" if num == 1 else f"{num} boxes"
        name = _name(dataset, class_id)
        raise UserError(f"{name} has {boxes} in this image: delete or reject what is wrong of them first.")
    before = next((label for label in dataset.labels_of(image_id) if label.class_id == class_id), None)
    # What a model once thought of it is no part of what a person says.
    after = None if presence is Presence.UNKNOWN else ImageLabel(image_id, class_id, presence)
    if before == after or (after is not None and _says_so(before, presence)):
        return Edit("", ())
    words = {Presence.POSITIVE: "present", Presence.NEGATIVE: "absent", Presence.UNKNOWN: "unknown"}
    return Edit(f"Mark {_name(dataset, class_id)} {words[presence]}", (LabelChange(before, after),))


def say_of_many(
    dataset: DatasetView,
    pairs: Iterable[tuple[int, int]],
    presence: Presence,
    *,
    scores: Sequence[float | None] = (),
    source: str = "",
) -> Edit:
    """Say the same of many pairs of image and class, in one undo step.

    Classes that have boxes that count as true are left out where they would be said not to be there.

    Args:
        dataset: What holds the labels.
        pairs: Images and classes; the same one twice counts once, as it came last.
        presence: ``UNKNOWN`` takes back what was said.
        scores: What the model gave to each pair; none where it is empty.
        source: The model's checkpoint.
    """
    listed = list(pairs)
    given = scores if len(scores) else [None] * len(listed)
    score_of = dict(zip(listed, given, strict=True))
    image_ids = list(dict.fromkeys(image_id for image_id, _ in score_of))
    held = {
        (label.image_id, label.class_id): label
        for labels in dataset.labels_of_images(image_ids).values()
        for label in labels
    }
    if presence is Presence.NEGATIVE:
        boxed = _with_boxes(dataset, image_ids)
        score_of = {pair: score for pair, score in score_of.items() if pair not in boxed}
    changes = []
    for (image_id, class_id), score in score_of.items():
        before = held.get((image_id, class_id))
        after = None
        if presence is not Presence.UNKNOWN:
            rounded = None if score is None else round(min(max(float(score), 0.0), 1.0), 5)
            after = ImageLabel(image_id, class_id, presence, Origin.HUMAN, rounded, source)
        if before != after and not (after is not None and _says_so(before, presence)):
            changes.append(LabelChange(before, after))
    return Edit(_titled(dataset, presence, changes), tuple(changes))


def _says_so(label: ImageLabel | None, presence: Presence) -> bool:
    """Whether a person has said the same already."""
    return label is not None and label.presence is presence and label.origin is Origin.HUMAN


def _titled(dataset: DatasetView, presence: Presence, changes: Sequence[LabelChange]) -> str:
    values = [change.after or change.before for change in changes]
    classes = {value.class_id for value in values if value is not None}
    what = _name(dataset, classes.pop()) if len(classes) == 1 else "classes"
    images = {value.image_id for value in values if value is not None}
    where = "" if len(images) == 1 else f" in {len(images)} images"
    return f"{_VERBS[presence]} {what}{where}" if changes else ""


def _name(dataset: DatasetView, class_id: int) -> str:
    return next((shown(entry.name, 60) for entry in dataset.classes() if entry.id == class_id), f"class {class_id}")


def _num_boxes(dataset: DatasetView, image_id: int, class_id: int) -> int:
    regions = dataset.regions_of(image_id)
    return sum(region.class_id == class_id and region.is_ground_truth for region in regions)


def _with_boxes(dataset: DatasetView, image_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Images and classes with a box that counts as true."""
    regions = dataset.regions_of_images(image_ids)
    return {
        (image_id, region.class_id)
        for image_id, of_image in regions.items()
        for region in of_image
        if region.is_ground_truth and region.class_id is not None
    }
