"""The superclasses that a file names for its classes (COCO's ``supercategory``), put into the dataset.

Only where a person asks for it, because a project's superclasses decide what experts are trained for; and only for
classes that have none yet.
"""

from collections.abc import Iterable, Mapping

from locstudio.domain.edits import Change
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.interchange.rows import ClassRow, Key
from locstudio.services.superclasses import Wanted, arranged, folded, name_problem, read_grouping
from locstudio.store.dataset import Dataset

_NONE = ("", "none", "null")


def group_changes(
    dataset: Dataset, rows: Iterable[ClassRow], classes: Mapping[Key, tuple[int | None, str]], report: ImportReport
) -> list[Change]:
    """What puts classes without a superclass into the one that the file names; what stays otherwise is reported.

    Args:
        dataset: Which has all classes of the file by now.
        rows: The file's classes.
        classes: The dataset's class of each, with its name; None for none.
        report: Told of classes that are left where they are.
    """
    grouping = read_grouping(dataset)
    names = {each.id: each.name for each in grouping.superclasses}
    homes = {class_id: "" if home is None else names[home] for class_id, home in grouping.homes().items()}
    wanted: dict[str, Wanted] = {}
    for number, row in enumerate(rows):
        class_id, _ = classes.get(row.key, (None, ""))
        if row.is_no_class or class_id not in homes or not is_superclass(row.superclass):
            continue
        key, reason = folded(row.superclass), ""
        if homes[class_id]:
            reason = "" if folded(homes[class_id]) == key else "it is in another superclass already, and stays there"
        elif problem := name_problem(row.superclass):
            reason = f"the name of its superclass {problem}"
        else:
            before = wanted.get(key, Wanted(row.superclass, ()))
            wanted[key] = Wanted(before.name, (*before.class_ids, class_id))
            homes[class_id] = before.name
            report.num_classes_grouped += 1
        if reason:
            detail = f"{row.superclass}, not {homes[class_id]}" if homes[class_id] else row.superclass
            report.note(RowNote("classes", number, str(row.key), Outcome.KEPT, reason, detail))
    return list(arranged(grouping, list(wanted.values()), (), dataset.next_superclass_id))


def offer_of(rows: Iterable[ClassRow]) -> str:
    """What can be done with a file that names several superclasses, in words; empty where it does not."""
    found = {folded(row.superclass) for row in rows if is_superclass(row.superclass) and not row.is_no_class}
    if len(found) < 2:
        return ""
    return f"The file names {len(found)} superclasses; import again and let classes without one be put into them."


def is_superclass(name: str) -> bool:
    """Whether a file's word for a class's group is one: many programs write "none" where there is no group."""
    return folded(name) not in _NONE
