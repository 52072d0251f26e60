"""Superclasses as a JSON file, so that they go from one project to another and can be written by hand.

    {"format": "locstudio-superclasses", "version": 1,
     "superclasses": [{"name": "pets", "color": "#e69f00", "classes": ["cat", "dog"]}, ...],
     "without": ["tree", ...]}

Classes go by their names, whatever the case.  Colours may be left out.  ``without`` are classes that shall be in no
superclass; a class that the file does not name stays where it is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from locstudio.domain.edits import Edit
from locstudio.domain.errors import BadInput, StorageFailed, TooNew
from locstudio.domain.text import shown
from locstudio.jobs.json_files import read_json
from locstudio.services.superclasses import Grouping, Wanted, arranged, folded, name_problem, quoted
from locstudio.store.files import replaced_when_whole

FORMAT = "locstudio-superclasses"
FORMAT_VERSION = 1
MAX_BYTES = 16 << 20
MAX_LISTED = 1000
"""Things left out that are listed one by one; all of them are counted."""
_COLOR = re.compile("#[0-9a-fA-F]{6}")


class _Head(msgspec.Struct):
    format: str = ""
    version: int = 0


class _Group(msgspec.Struct):
    name: str
    classes: list[str]
    color: str = ""


class SuperclassFile(msgspec.Struct):
    """What a file says, not yet compared with a project."""

    superclasses: list[_Group]
    without: list[str] = []


@dataclass(frozen=True, slots=True)
class FileReport:
    """What a file has made of the project's superclasses.

    ``num_superclasses`` and ``num_classes`` of the file are in the project now.  ``left_out`` has a sentence for each
    of the first thousand things that are not, ``num_left_out`` counts all.
    """

    num_superclasses: int
    num_classes: int
    num_left_out: int
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as a document."""
        return {
            "superclasses": self.num_superclasses,
            "classes": self.num_classes,
            "num_left_out": self.num_left_out,
            "left_out": list(self.left_out),
        }


def superclasses_document(grouping: Grouping) -> dict[str, Any]:
    """The project's superclasses as the document of a file."""
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "superclasses": [
            {"name": each.name, "color": each.color, "classes": [entry.name for entry in grouping.members_of(each.id)]}
            for each in grouping.superclasses
        ],
        "without": [entry.name for entry in grouping.members_of(None)],
    }


def write_superclasses(grouping: Grouping, path: Path) -> None:
    """Write the project's superclasses into a new file, whole or not at all.

    Raises:
        BadInput: there is something already.
        StorageFailed: the disk is full or read-only, or the folder is not there.
    """
    if path.exists():
        raise BadInput(f"{shown(str(path))} is there already; choose another name.")
    try:
        with replaced_when_whole(path) as partial:
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(superclasses_document(grouping))) + b"\n")
    except OSError as error:
        raise StorageFailed(f"{shown(str(path))} could not be written: {error.strerror or error}.") from error


def read_superclasses(path: Path) -> SuperclassFile:
    """What a file says.

    Raises:
        BadInput: it is missing, no file of superclasses, or larger than 16 MiB.
        TooNew: a newer LocStudio wrote it.
    """
    name = shown(str(path))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{name} is no file of superclasses: it is larger than {MAX_BYTES >> 20} MiB.")
        head = read_json(path, _Head)
        if head.format != FORMAT:
            said = f"its format is {quoted(head.format)}" if head.format else "it does not say its format"
            raise BadInput(f"{name} is no file of superclasses: {said}.")
        if head.version < 1:
            raise BadInput(f"{name} is no file of superclasses: it does not say its version.")
        if head.version > FORMAT_VERSION:
            raise TooNew(
                f"{name} was written by a newer LocStudio (format {head.version}, this one knows {FORMAT_VERSION}). "
                "Update LocStudio to use it."
            )
        return read_json(path, SuperclassFile)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else shown(str(error))
        raise BadInput(f"{name} cannot be read as a file of superclasses: {said}.") from error


def imported(grouping: Grouping, file: SuperclassFile, next_id: Callable[[], int]) -> tuple[Edit, FileReport]:
    """What puts the file's superclasses into the project, as one edit, and what of the file it leaves out.

    A superclass of a name that the project has is used again; one that loses its last class is retired.  A class that
    the file puts into two superclasses stays where it is.

    Args:
        grouping: Of the project as it is now.
        file: What ``read_superclasses`` gave.
        next_id: ``Dataset.next_superclass_id``.
    """
    left_out: list[str] = []
    names: dict[str, str] = {}
    colors: dict[str, str] = {}
    places: dict[str, dict[str, str]] = {}
    for number, group in enumerate(file.superclasses, 1):
        name = " ".join(group.name.split())
        if problem := name_problem(name):
            left_out.append(f"Superclass {number} of the file, classes in it {len(group.classes)}: its name {problem}.")
            continue
        key = folded(name)
        names.setdefault(key, name)
        for each in group.classes:
            places.setdefault(folded(each), {})[key] = each
        if _COLOR.fullmatch(group.color):
            colors.setdefault(key, group.color.lower())
        elif group.color:
            left_out.append(f"The colour {shown(group.color, 40)} of {quoted(name)}: it is not like #e69f00.")
    for each in file.without:
        places.setdefault(folded(each), {})[""] = each
    ids = _placed(grouping, places, names, left_out)
    wanted = []
    for key, name in names.items():
        if ids.get(key) or grouping.named(name):
            wanted.append(Wanted(name, tuple(ids.get(key, ())), colors.get(key, "")))
        else:
            left_out.append(f"The superclass {quoted(name)}: the project has none of its classes.")
    changes = arranged(grouping, wanted, ids.get("", ()), next_id)
    num_classes = sum(map(len, ids.values()))
    report = FileReport(len(wanted), num_classes, len(left_out), tuple(left_out[:MAX_LISTED]))
    return Edit("Import superclasses", changes), report


def _placed(
    grouping: Grouping, places: dict[str, dict[str, str]], names: dict[str, str], left_out: list[str]
) -> dict[str, list[int]]:
    """The ids of the classes that go into each superclass, by its key; under "" those that shall be in none."""
    known: dict[str, list[int]] = {}
    for entry in grouping.classes:
        known.setdefault(folded(entry.name), []).append(entry.id)
    ids: dict[str, list[int]] = {}
    for class_key, homes in places.items():
        said = quoted(next(iter(homes.values())))
        if class_key not in known:
            left_out.append(f"The class {said}: the project has none of this name in use.")
        elif len(homes) > 1:
            where = [f"in {quoted(names[key])}" if key else "in none" for key in list(homes)[:2]]
            left_out.append(f"The class {said}: the file says that it is {' and '.join(where)}.")
        else:
            ids.setdefault(next(iter(homes)), []).extend(known[class_key])
    return ids
