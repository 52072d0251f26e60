"""A class that a model knows and the vocabulary does not, taken into it by saying that it is there."""

from locstudio.domain.edits import Change, ClassChange, Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.palette import class_color
from locstudio.domain.regions import LabelClass
from locstudio.domain.text import shown
from locstudio.services.heat.deciding import say
from locstudio.store.dataset import Dataset


def say_by_name(dataset: Dataset, image_id: int, name: str, presence: Presence) -> Edit:
    """Say whether a class of this name is in an image; where the vocabulary has none, it gets one by the same edit.

    Raises:
        UserError: it is said not to be there, and has boxes that count as true.
    """
    classes = dataset.classes()
    held = next((entry for entry in classes if entry.name.casefold() == name.casefold() and not entry.is_retired), None)
    if held is not None:
        return say(dataset, image_id, held.id, presence)
    if presence is Presence.UNKNOWN:
        return Edit("", ())
    new = LabelClass(dataset.next_class_id(), name, class_color(len(classes)))
    changes: tuple[Change, ...] = (
        ClassChange(None, new),
        LabelChange(None, ImageLabel(image_id, new.id, presence)),
    )
    return Edit(f"Mark {shown(name, 60)} {'present' if presence is Presence.POSITIVE else 'absent'}", changes)
