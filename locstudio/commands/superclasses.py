"""The command about superclasses: list, edit, import, export.

``superclasses PROJECT list --json`` prints::

    {"superclasses": [{"id", "name", "color", "classes": [...]}, ...], "without": [...]}

where ``classes`` and ``without`` (classes in no superclass) are names.  With ``--run`` it prints the same of a run,
whose superclasses have no ``id`` and no ``color``, and ``"run"``, ``"origin": "clusters|person"``, ``"num_images"``,
``"dense_top1"``, ``"moe_top1"`` and ``"router_accuracy"`` (shares, or null while that is not known).

``edit --json`` prints what ``list`` prints after the edit, with its ``"title"`` and the number of its ``"changes"``;
``import --json`` the same with ``"num_left_out"`` and ``"left_out": [sentence, ...]``.  ``export`` prints the document
of ``services.superclass_files``, or ``{"out", "superclasses", "classes"}`` where it wrote it to a file.
"""

import argparse
from collections.abc import Callable
from typing import Any

from locstudio.commands.opening import class_id_of, opened
from locstudio.commands.output import print_json, say
from locstudio.commands.waiting import tell
from locstudio.domain.edits import Edit
from locstudio.domain.errors import BadInput, UserError
from locstudio.domain.text import shown
from locstudio.jobs.confusions import ConfusionHeader, has_confusion, read_confusion
from locstudio.services.runs import find_run, list_runs
from locstudio.services.superclass_files import (
    FileReport,
    imported,
    read_superclasses,
    superclasses_document,
    write_superclasses,
)
from locstudio.services.superclasses import (
    Grouping,
    joined,
    made,
    merged,
    moved,
    read_grouping,
    regrouped,
    renamed,
    retired,
    taken_over,
)
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

_EDITS = ("move", "take_out", "name", "merge", "retire", "take", "new")


def superclasses(options: argparse.Namespace) -> int:
    """List superclasses, change them in one undo step, or carry them from one project to another."""
    _refuse_stray_words(options)
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "edit": _edit,
        "import": _import,
        "export": _export,
    }
    return actions[options.action](options)


def _refuse_stray_words(options: argparse.Namespace) -> None:
    action = options.action
    given = [word for word in (*_EDITS, "to") if getattr(options, word) is not None]
    if given and action != "edit":
        raise UserError(f"--{given[0].replace('_', '-')} is about superclasses PROJECT edit, not {action}.")
    if options.run and action != "list":
        raise UserError(f"--run is about superclasses PROJECT list, not {action}. To take a run's: edit --take RUN")
    if options.file is not None and action not in ("import", "export"):
        raise UserError(f"superclasses PROJECT {action} has no use for the file {shown(str(options.file))}.")
    if options.file is None and action == "import":
        raise UserError("Say which file: locstudio superclasses PROJECT import FILE")


def _list(options: argparse.Namespace) -> int:
    with opened(options.project, read_only=True) as (project, dataset):
        if options.run:
            header = _found_by(project, options.run)
            document = _document_of_run(header)
        else:
            document = _document(read_grouping(dataset))
    if options.json:
        print_json(document)
        return 0
    if options.run:
        who = "a person" if document["origin"] == "person" else "clusters of what the dense twin confuses"
        say(f"{document['run']}, by {who}")
        for name, words in (("dense_top1", "dense twin"), ("moe_top1", "experts"), ("router_accuracy", "router")):
            if document[name] is not None:
                say(f"  {words:12} {document[name]:.1%} right")
    _say_groups(document)
    return 0


def _edit(options: argparse.Namespace) -> int:
    with opened(options.project) as (project, dataset):
        grouping = read_grouping(dataset)
        edit = _wanted_edit(options, project, dataset, grouping)
        if edit.changes:
            dataset.apply(edit)
        after = read_grouping(dataset)
        _tell_of_runs(project, edit)
    _print_edited(options, edit, after)
    return 0


def _wanted_edit(options: argparse.Namespace, project: Project, dataset: Dataset, grouping: Grouping) -> Edit:
    """What the words of the command line say, as one step."""
    asked = [word for word in _EDITS if getattr(options, word) is not None]
    if asked not in ([word] for word in _EDITS) and sorted(asked) != ["move", "new"]:
        words = ", ".join(f"--{word.replace('_', '-')}" for word in _EDITS)
        raise UserError(f"Say one edit: {words}; --move and --new can go together.")
    if options.to is not None and (options.move is None or options.new is not None):
        raise UserError("--to says where the classes of --move go.")
    if options.new is not None:
        ids = [class_id_of(dataset, name) for name in options.move or ()]
        return made(grouping, dataset.next_superclass_id(), options.new, ids)
    if options.move is not None:
        if options.to is None:
            raise UserError("Say where the classes go: --to NAME, or --new NAME for a new superclass.")
        return moved(grouping, [class_id_of(dataset, name) for name in options.move], _id_of(grouping, options.to))
    if options.take_out is not None:
        return moved(grouping, [class_id_of(dataset, name) for name in options.take_out], None)
    if options.name is not None:
        old, new = options.name
        return renamed(grouping, _id_of(grouping, old), new)
    if options.merge is not None:
        gone, kept = (_id_of(grouping, name) for name in options.merge)
        return merged(grouping, kept, gone)
    if options.take is not None:
        return taken_over(grouping, _found_by(project, options.take), dataset.next_superclass_id)
    return _all_retired(grouping, options.retire)


def _all_retired(grouping: Grouping, names: list[str]) -> Edit:
    edits: list[Edit] = []
    for name in dict.fromkeys(names):
        edits.append(retired(grouping, _id_of(grouping, name)))
        grouping = regrouped(grouping, edits[-1])
    return edits[0] if len(edits) == 1 else joined(f"Retire {len(edits)} superclasses", *edits)


def _import(options: argparse.Namespace) -> int:
    """Exit status 4 when something of the file was left out."""
    file = read_superclasses(options.file)
    with opened(options.project) as (project, dataset):
        edit, report = imported(read_grouping(dataset), file, dataset.next_superclass_id)
        if edit.changes:
            dataset.apply(edit, actor="import")
        after = read_grouping(dataset)
        _tell_of_runs(project, edit)
    _print_edited(options, edit, after, report)
    return 4 if report.num_left_out else 0


def _export(options: argparse.Namespace) -> int:
    with opened(options.project, read_only=True) as (_, dataset):
        grouping = read_grouping(dataset)
    if options.file is None:
        print_json(superclasses_document(grouping))
        return 0
    write_superclasses(grouping, options.file)
    num_grouped = sum(home is not None for home in grouping.homes().values())
    if options.json:
        print_json({"out": str(options.file), "superclasses": len(grouping.superclasses), "classes": num_grouped})
    else:
        say(f"Written: {shown(str(options.file))}")
    return 0


def _found_by(project: Project, name: str) -> ConfusionHeader:
    """The superclasses that a run has made.

    Raises:
        BadInput: it has made none, or they cannot be read.
        UserError: there is no such run, or it trains no experts.
    """
    folder = find_run(project, name)
    if folder.config().kind != "vmoe":
        raise UserError(f"{folder.id} trains no experts, so it has no superclasses.")
    header = read_confusion(folder.results).header if has_confusion(folder.results) else None
    if header is None or not header.group_names:
        raise BadInput(f"{folder.id} has made no superclasses: its experts need none, or it has not come so far.")
    return header


def _id_of(grouping: Grouping, name: str) -> int:
    """A superclass by its name, whatever its case, else by its number.

    Raises:
        BadInput: the project has none.
    """
    found = grouping.named(name) or next((each for each in grouping.superclasses if str(each.id) == name), None)
    if found is None:
        known = ", ".join(shown(each.name) for each in grouping.superclasses[:8]) or "none"
        raise BadInput(f"The project has no superclass {shown(name)!r}. Its superclasses: {known}.")
    return found.id


def _tell_of_runs(project: Project, edit: Edit) -> None:
    """A run that goes on uses what its snapshot says; whoever changes superclasses meanwhile should know."""
    for row in list_runs(project) if edit.changes else ():
        if row.kind == "vmoe" and row.has_process:
            tell(f"The run {row.id} goes on with the superclasses that it began with; the next one uses these.")


def _document(grouping: Grouping) -> dict[str, Any]:
    groups = [
        {
            "id": each.id,
            "name": each.name,
            "color": each.color,
            "classes": [entry.name for entry in grouping.members_of(each.id)],
        }
        for each in grouping.superclasses
    ]
    return {"superclasses": groups, "without": [entry.name for entry in grouping.members_of(None)]}


def _document_of_run(header: ConfusionHeader) -> dict[str, Any]:
    members: dict[int, list[str]] = {}
    homes = header.group_of or (-1,) * len(header.class_names)
    for name, place in zip(header.class_names, homes, strict=True):
        members.setdefault(place, []).append(name)
    return {
        "run": header.run_id,
        "origin": header.origin,
        "num_images": header.num_images,
        "dense_top1": header.dense_top1,
        "moe_top1": header.moe_top1,
        "router_accuracy": header.router_accuracy,
        "superclasses": [
            {"name": name, "classes": members.get(place, [])} for place, name in enumerate(header.group_names)
        ],
        "without": members.get(-1, []),
    }


def _print_edited(options: argparse.Namespace, edit: Edit, after: Grouping, report: FileReport | None = None) -> None:
    if options.json:
        left_out = {} if report is None else {"num_left_out": report.num_left_out, "left_out": list(report.left_out)}
        print_json({"title": edit.title, "changes": len(edit.changes), **left_out, **_document(after)})
        return
    say(edit.title if edit.changes else "Nothing to do.")
    if report is not None:
        for sentence in report.left_out:
            say(f"  left out: {sentence}")
        if report.num_left_out > len(report.left_out):
            say(f"  and {report.num_left_out - len(report.left_out)} more")


def _say_groups(document: dict[str, Any]) -> None:
    for group in document["superclasses"]:
        names = ", ".join(map(shown, group["classes"])) or "no class"
        say(f"{shown(group['name'])}: {names}")
    if document["without"]:
        say(f"in none: {', '.join(map(shown, document['without']))}")
    if not document["superclasses"] and not document["without"]:
        say("The project has no classes yet.")
    elif not document["superclasses"]:
        say("There are no superclasses yet: train experts, or make one with edit --new NAME --move CLASS …")
