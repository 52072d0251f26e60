"""Superclasses before and after: of two runs, or of a run and the project as it is now, with what each was worth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from locstudio.jobs.confusions import ConfusionHeader
from locstudio.services.superclasses import Grouping, folded


@dataclass(frozen=True, slots=True)
class Stand:
    """Superclasses at one time.

    Attributes:
        run_id: Of the run that used them; empty for those that the project has now.
        names: Of the superclasses.
        members: For each class, by its id, the position of its superclass; a class without one is left out.
        class_names: Of all classes that were known, by their ids.
        is_person: A person has made them, not a clustering.
        dense_top1: What the dense twin named right of the images that were held out; None where nobody measured it.
        moe_top1: The same of the model with experts.
        router_accuracy: How often its router found the superclass.
    """

    run_id: str
    names: tuple[str, ...]
    members: Mapping[int, int]
    class_names: Mapping[int, str]
    is_person: bool = True
    dense_top1: float | None = None
    moe_top1: float | None = None
    router_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class MovedClass:
    """A class that belongs elsewhere now; an empty name is no superclass."""

    class_id: int
    name: str
    before: str
    after: str


def stand_of_run(header: ConfusionHeader) -> Stand:
    """The superclasses that a run used."""
    pairs = zip(header.class_ids, header.group_of, strict=False)
    return Stand(
        header.run_id,
        header.group_names,
        {class_id: place for class_id, place in pairs if place >= 0 and class_id > 0},
        {class_id: name for class_id, name in zip(header.class_ids, header.class_names, strict=True) if class_id > 0},
        header.origin == "person",
        header.dense_top1,
        header.moe_top1,
        header.router_accuracy,
    )


def stand_of_project(grouping: Grouping) -> Stand:
    """The superclasses that the project has now; what they are worth is not known before a training."""
    place_of = {each.id: place for place, each in enumerate(grouping.superclasses)}
    return Stand(
        "",
        tuple(each.name for each in grouping.superclasses),
        {class_id: place_of[home] for class_id, home in grouping.homes().items() if home is not None},
        {entry.id: entry.name for entry in grouping.classes},
    )


def matched(before: Stand, after: Stand) -> dict[int, int]:
    """For superclasses of ``after`` the one of ``before`` that they go on: of the same name, else sharing most classes.

    Each is matched once; a new superclass has no match.
    """
    found: dict[int, int] = {}
    by_name = {folded(name): place for place, name in enumerate(before.names)}
    for place, name in enumerate(after.names):
        if folded(name) in by_name and by_name[folded(name)] not in found.values():
            found[place] = by_name[folded(name)]
    shared = np.zeros((len(after.names), len(before.names)), np.int64)
    for class_id, place in after.members.items():
        if class_id in before.members:
            shared[place, before.members[class_id]] += 1
    shared[list(found)] = 0
    shared[:, list(found.values())] = 0
    while shared.size and shared.max() > 0:
        new, old = divmod(int(np.argmax(shared)), shared.shape[1])
        found[new] = old
        shared[new] = 0
        shared[:, old] = 0
    return found


def moved_classes(before: Stand, after: Stand) -> list[MovedClass]:
    """The classes that both know and that are in another superclass than before, by their names."""
    goes_on = matched(before, after)
    found = []
    for class_id, name in after.class_names.items():
        if class_id not in before.class_names:
            continue
        old, new = before.members.get(class_id), after.members.get(class_id)
        if (None if new is None else goes_on.get(new, -1)) != old:
            was = before.names[old] if old is not None else ""
            found.append(MovedClass(class_id, name, was, after.names[new] if new is not None else ""))
    return sorted(found, key=lambda each: (folded(each.before), folded(each.after), folded(each.name)))
