"""The project's superclasses: which classes one expert looks at, and every change of that as an edit in words.

Values in, edits out: an edit is made of the ``Grouping`` that the person has seen, so that several can be made one
after the other and become one undo step.  Files are ``superclass_files``'.
"""

import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from locstudio.domain.edits import Change, ClassChange, Edit, SuperclassChange
from locstudio.domain.errors import BadInput
from locstudio.domain.palette import class_color
from locstudio.domain.regions import LabelClass, Superclass
from locstudio.domain.text import shown
from locstudio.jobs.confusions import ConfusionHeader
from locstudio.store.view import DatasetView

T = TypeVar("T", Superclass, LabelClass)
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Grouping:
    """Superclasses in use, retired ones, and the classes in use, each by rising id.

    Which superclass a class has is the class's own to say; one that is retired counts as none.
    """

    superclasses: tuple[Superclass, ...] = ()
    retired: tuple[Superclass, ...] = ()
    classes: tuple[LabelClass, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether any class has a superclass: then a training uses what the project says."""
        return any(home is not None for home in self.homes().values())

    def homes(self) -> dict[int, int | None]:
        """The superclass of each class, both by id; None where it has none that is in use."""
        live = {each.id for each in self.superclasses}
        return {entry.id: entry.superclass_id if entry.superclass_id in live else None for entry in self.classes}

    def members_of(self, superclass_id: int | None) -> tuple[LabelClass, ...]:
        """The classes of a superclass; of None those that have none."""
        homes = self.homes()
        return tuple(entry for entry in self.classes if homes[entry.id] == superclass_id)

    def superclass(self, superclass_id: int) -> Superclass:
        """A superclass in use.

        Raises:
            BadInput: there is none.
        """
        found = next((each for each in self.superclasses if each.id == superclass_id), None)
        if found is None:
            raise BadInput("This superclass is not in use any more.")
        return found

    def named(self, name: str) -> Superclass | None:
        """The superclass in use that is called so, whatever the case and the spaces."""
        return next((each for each in self.superclasses if folded(each.name) == folded(name)), None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A superclass that shall be there, with the classes that shall be in it; ``color`` empty keeps what it has."""

    name: str
    class_ids: tuple[int, ...]
    color: str = ""


def read_grouping(dataset: DatasetView) -> Grouping:
    """The superclasses of the project as they are now."""
    every = dataset.superclasses(with_retired=True)
    return Grouping(
        tuple(each for each in every if not each.is_retired),
        tuple(each for each in every if each.is_retired),
        tuple(entry for entry in dataset.classes() if not entry.is_retired),
    )


def moved(grouping: Grouping, class_ids: Iterable[int], superclass_id: int | None) -> Edit:
    """Put classes into a superclass, or into none.

    Raises:
        BadInput: the superclass, or a class, is not in use.
    """
    wanted = set(class_ids)
    if wanted - {entry.id for entry in grouping.classes}:
        raise BadInput("A class that should be moved is not in use any more.")
    home = None if superclass_id is None else grouping.superclass(superclass_id)
    homes = grouping.homes()
    moving = [entry for entry in grouping.classes if entry.id in wanted and homes[entry.id] != superclass_id]
    what, whose = f"{len(moving)} classes", "their superclasses"
    if len(moving) == 1:
        what, whose = shown(moving[0].name, 40), "its superclass"
    title = f"Move {what} to {quoted(home.name)}" if home else f"Take {what} out of {whose}"
    return Edit(title, tuple(_moves(moving, superclass_id)))


def renamed(grouping: Grouping, superclass_id: int, name: str) -> Edit:
    """Call a superclass otherwise.

    Raises:
        BadInput: it is not in use, or the name is empty, too long or another's.
    """
    old = grouping.superclass(superclass_id)
    name = fit_name(grouping, name, superclass_id)
    changes = () if name == old.name else (SuperclassChange(old, replace(old, name=name)),)
    return Edit(f"Name superclass {quoted(name)}", changes)


def made(grouping: Grouping, superclass_id: int, name: str, class_ids: Iterable[int] = ()) -> Edit:
    """A new superclass, perhaps with classes in it.

    Args:
        grouping: As it is now.
        superclass_id: Of the new one, from ``Dataset.next_superclass_id``.
        name: What it is called.
        class_ids: What goes into it.

    Raises:
        BadInput: the name is empty, too long or another's, or a class is not in use.
    """
    new = Superclass(superclass_id, fit_name(grouping, name), free_color(grouping.superclasses))
    title = f"New superclass {quoted(new.name)}"
    first = Edit(title, (SuperclassChange(None, new),))
    return joined(title, first, moved(regrouped(grouping, first), class_ids, superclass_id))


def merged(grouping: Grouping, kept_id: int, gone_id: int) -> Edit:
    """Put all classes of one superclass into another one, and retire it.

    Raises:
        BadInput: one is not in use, or both are the same.
    """
    kept, gone = grouping.superclass(kept_id), grouping.superclass(gone_id)
    if kept_id == gone_id:
        raise BadInput(f"The superclass {quoted(kept.name)} cannot be merged into itself.")
    changes = _moves(grouping.members_of(gone_id), kept_id)
    return Edit(
        f"Merge {quoted(gone.name)} into {quoted(kept.name)}",
        (*changes, SuperclassChange(gone, replace(gone, is_retired=True))),
    )


def retired(grouping: Grouping, superclass_id: int) -> Edit:
    """Take a superclass without classes out of use.

    Raises:
        BadInput: it is not in use, or has classes.
    """
    old = grouping.superclass(superclass_id)
    if members := grouping.members_of(superclass_id):
        has = f"{shown(members[0].name, 40)} in it" if len(members) == 1 else f"{len(members)} classes in it"
        raise BadInput(f"The superclass {quoted(old.name)} still has {has}. Move them first, or merge it.")
    return Edit(f"Retire superclass {quoted(old.name)}", (SuperclassChange(old, replace(old, is_retired=True)),))


def taken_over(grouping: Grouping, header: ConfusionHeader, next_id: Callable[[], int]) -> Edit:
    """Make the superclasses that a run has found the project's own.

    Classes that the run did not know stay where they are.  Of the project's superclasses those of the same name are
    used again, and those are retired that have lost their last class.
    """
    in_use = {entry.id for entry in grouping.classes}
    members: list[list[int]] = [[] for _ in header.group_names]
    for class_id, place in zip(header.class_ids, header.group_of, strict=False):
        if place >= 0 and class_id in in_use:
            members[place].append(class_id)
    names = _told_apart(header.group_names)
    wanted = [Wanted(name, tuple(ids)) for name, ids in zip(names, members, strict=True) if ids]
    what = "1 superclass" if len(wanted) == 1 else f"{len(wanted)} superclasses"
    return Edit(f"Take over {what}", arranged(grouping, wanted, (), next_id))


def arranged(
    grouping: Grouping, wanted: Sequence[Wanted], freed: Collection[int], next_id: Callable[[], int]
) -> tuple[Change, ...]:
    """What makes the project's superclasses these, whose names fit and differ.

    A superclass of the same name is used again, be it retired.  One that loses its last class is retired.

    Args:
        grouping: As it is now.
        wanted: With the classes of each; a class is in one at most.
        freed: Classes that shall be in none.
        next_id: ``Dataset.next_superclass_id``.
    """
    known = {folded(each.name): each for each in (*grouping.retired, *grouping.superclasses)}
    homes_before = grouping.homes()
    homes = homes_before | dict.fromkeys(freed)
    changes: list[Change] = []
    used: list[Superclass] = list(grouping.superclasses)
    for each in wanted:
        old = known.get(folded(each.name))
        if old is None:
            new = Superclass(next_id(), each.name, each.color or free_color(used))
        else:
            new = replace(old, is_retired=False, color=each.color or old.color)
        if new != old:
            changes.append(SuperclassChange(old, new))
        used.append(new)
        homes |= dict.fromkeys(each.class_ids, new.id)
    for entry in grouping.classes:
        if homes[entry.id] != homes_before[entry.id]:
            changes.append(ClassChange(entry, replace(entry, superclass_id=homes[entry.id])))
    kept = {folded(each.name) for each in wanted}
    deserted = set(homes_before.values()) - set(homes.values())
    for old in grouping.superclasses:
        if old.id in deserted and folded(old.name) not in kept:
            changes.append(SuperclassChange(old, replace(old, is_retired=True)))
    return tuple(changes)


def regrouped(grouping: Grouping, edit: Edit) -> Grouping:
    """The grouping after an edit, which need not have been applied."""
    superclasses = {each.id: each for each in (*grouping.superclasses, *grouping.retired)}
    classes = {entry.id: entry for entry in grouping.classes}
    for change in edit.changes:
        if isinstance(change, SuperclassChange):
            _put(superclasses, change.before, change.after)
        elif isinstance(change, ClassChange):
            _put(classes, change.before, change.after)
    in_order = [superclasses[key] for key in sorted(superclasses)]
    return Grouping(
        tuple(each for each in in_order if not each.is_retired),
        tuple(each for each in in_order if each.is_retired),
        tuple(classes[key] for key in sorted(classes) if not classes[key].is_retired),
    )


def joined(title: str, *edits: Edit) -> Edit:
    """Edits that were made one after the other, as one: what changed twice changes once, what came back not at all."""
    firsts: dict[tuple[type[Change], int], Change] = {}
    others: list[Change] = []
    for change in (change for edit in edits for change in edit.changes):
        value = change.before or change.after
        if not isinstance(value, Superclass | LabelClass):
            others.append(change)
            continue
        key = type(change), value.id
        before = firsts[key].before if key in firsts else change.before
        firsts[key] = type(change)(before, change.after)  # type: ignore[arg-type]  # each joins its own kind
    folded_changes = [change for change in firsts.values() if change.before != change.after]
    return Edit(title, (*folded_changes, *others))


def fit_name(grouping: Grouping, name: str, superclass_id: int = 0) -> str:
    """A name as it is kept, without superfluous spaces.

    Raises:
        BadInput: it is empty, too long, holds what is no character, or another superclass has it.
    """
    name = " ".join(name.split())
    if problem := name_problem(name):
        raise BadInput(f"The name of a superclass {problem}.")
    other = grouping.named(name)
    if other is not None and other.id != superclass_id:
        raise BadInput(f"There is a superclass {quoted(other.name)} already. Choose another name, or merge the two.")
    return name


def name_problem(name: str) -> str:
    """Why a superclass cannot be called so, in words that follow "its name"; empty where it can."""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "holds something that is no character"
    return ""


def folded(name: str) -> str:
    """What two names that count as one have in common."""
    return " ".join(name.casefold().split())


def free_color(used: Iterable[Superclass]) -> str:
    """The first colour of the palette that none of these has."""
    taken = {each.color.lower() for each in used}
    return next(color for color in map(class_color, range(len(taken) + 1)) if color not in taken)


def quoted(name: str) -> str:
    """A name inside a sentence."""
    return f"“{shown(name, 40)}”"


def _moves(classes: Iterable[LabelClass], superclass_id: int | None) -> list[ClassChange]:
    return [ClassChange(entry, replace(entry, superclass_id=superclass_id)) for entry in classes]


def _told_apart(names: Sequence[str]) -> list[str]:
    """Names that fit, no two of them alike."""
    found: list[str] = []
    taken: set[str] = set()
    for number, given in enumerate(names, 1):
        name = " ".join(given.split())[: MAX_NAME - 8]
        name = name if not name_problem(name) else f"superclass {number}"
        tries = [name, *(f"{name} ({turn})" for turn in range(2, len(names) + 2))]
        own = next(each for each in tries if folded(each) not in taken)
        taken.add(folded(own))
        found.append(own)
    return found


def _put(values: dict[int, T], before: T | None, after: T | None) -> None:
    if before is not None:
        values.pop(before.id, None)
    if after is not None:
        values[after.id] = after
