"""Commands about checkpoints: list them, take one into use, compare two, and what was edited between them."""

import argparse
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from locstudio.commands.opening import opened
from locstudio.commands.output import print_json, say
from locstudio.commands.promoting import (
    compared,
    comparison_document,
    finish_comparison,
    print_comparison,
    print_promotion,
)
from locstudio.commands.waiting import metrics_text
from locstudio.domain.errors import BadInput, UserError
from locstudio.jobs.checkpoint_folder import MODEL_WORDS
from locstudio.jobs.predictions import PredictionFolder
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.adoption import adopt_checkpoint, adopt_index, best_checkpoint
from locstudio.services.changes import changes_between
from locstudio.services.checkpoints import MODELS
from locstudio.services.lineage import config_of, diff_data, diff_settings, lineage
from locstudio.services.registry import activate as activate_checkpoint
from locstudio.services.registry import delete_checkpoint, find_checkpoint, label_checkpoint, registry
from locstudio.services.runs import find_run, start_compare
from locstudio.store.dataset import Dataset
from locstudio.store.diff import RegionDiff
from locstudio.store.project import Project


def checkpoints(options: argparse.Namespace) -> int:
    """List the checkpoints the project knows; or where one of them comes from."""
    if options.name is not None or options.note is not None or options.delete:
        return _change(options)
    with opened(options.project, read_only=True) as (project, dataset):
        if options.checkpoint:
            return _ancestors(options, project, dataset)
        entries = registry(project, dataset)
    if options.json:
        print_json({"checkpoints": [entry.to_json() for entry in entries]})
        return 0
    for entry in entries:
        marks = [
            *(["in use"] if entry.is_active else []),
            *(["indexed"] if entry.is_indexed else []),
            *([] if entry.is_present else ["files gone"]),
            *(["against the gate"] if entry.promotion and entry.promotion.is_forced else []),
        ]
        what = MODEL_WORDS.get(entry.model, entry.model).removeprefix("names ")
        say(f"{entry.id:28} {entry.name:20} {what:22} {', '.join(marks):24} {metrics_text(entry.metrics)}".rstrip())
    return 0


def _change(options: argparse.Namespace) -> int:
    """Name a checkpoint, note something about it, or remove its files."""
    if not options.checkpoint:
        raise UserError("Say which checkpoint: locstudio checkpoints PROJECT CHECKPOINT --name NAME")
    with opened(options.project) as (project, dataset):
        entry = find_checkpoint(project, dataset, options.checkpoint)
        if options.name is not None or options.note is not None:
            label_checkpoint(dataset, entry.id, name=options.name, note=options.note)
        if options.delete:
            delete_checkpoint(project, dataset, entry.id)
        entry = find_checkpoint(project, dataset, entry.id)
    if options.json:
        print_json(entry.to_json())
    else:
        say(f"{entry.id}  {entry.name}" + ("" if entry.is_present else ", its files are removed"))
    return 0


def _ancestors(options: argparse.Namespace, project: Project, dataset: Dataset) -> int:
    chain = lineage(project, dataset, find_checkpoint(project, dataset, options.checkpoint).id)
    if options.json:
        print_json({"lineage": [ancestor.to_json() for ancestor in chain]})
        return 0
    for ancestor in chain:
        entry = ancestor.entry
        if entry is None:
            say(f"{ancestor.id}  not known to this project")
            continue
        say(f"{ancestor.id}  {entry.name}" + (f"  by {entry.run_id}" if entry.run_id else ""))
        if entry.snapshot_sha256:
            say(f"  learnt from snapshot {entry.snapshot_sha256[:16]} with LocStudio {entry.code_version}")
        if ancestor.corrections_after is not None:
            say(f"  {ancestor.corrections_after} corrections came after it")
    return 0


def adopt(options: argparse.Namespace) -> int:
    """Take what a finished run has made into use; a training is compared with what is in use first."""
    with opened(options.project) as (project, dataset):
        folder = find_run(project, options.run)
        kind = folder.config().kind
        if kind == "embed":
            document = {"run": folder.id, **adopt_index(project, dataset, folder, force=options.force)}
        elif kind in MODELS:
            comparison = compared(project, dataset, folder, device=options.device)
            adopted = adopt_checkpoint(project, dataset, folder, force=options.force)
            document = {"run": folder.id, **comparison_document(comparison), "is_adopted": True, **adopted}
        else:
            raise UserError(f"{folder.id} has made nothing that could be taken into use.")
    if kind in MODELS:
        print_promotion(options, document)
    elif options.json:
        print_json(document)
    else:
        say(f"The index of {document['rows']} rows is in use now.")
    return 0


def activate(options: argparse.Namespace) -> int:
    """Take a checkpoint into use again that the project knows, with its index if one was kept."""
    with opened(options.project) as (project, dataset):
        entry = find_checkpoint(project, dataset, options.checkpoint)
        document = activate_checkpoint(project, dataset, entry.id, force=options.force)
    if options.json:
        print_json(document)
    else:
        say(f"{entry.name} ({entry.id}) is in use now.")
        if not document.get("is_embedded", True):  # of a model without index it does not say
            say(f"It has no index any more: locstudio embed {options.project}")
    return 0


def compare(options: argparse.Namespace) -> int:
    """Say what one checkpoint does better and worse than another, and whether it may take its place."""
    with opened(options.project) as (project, dataset):
        old, _ = _named(project, dataset, options.old)
        new, run_id = _named(project, dataset, options.new)
        folder = start_compare(project, dataset, old, new, held_out=run_id, device=options.device)
        finish_comparison(folder)
        document = {**comparison_document(folder), "changes": _changes(folder, dataset)}
    if options.json:
        print_json(document)
    else:
        print_comparison(document)
        say("changes: " + (", ".join(f"{kind} {n}" for kind, n in document["changes"].items()) or "none"))
    return 0


def diff(options: argparse.Namespace) -> int:
    """Say what was edited between two runs or checkpoints, or since one, and which settings differ."""
    with opened(options.project) as (project, dataset):
        found = diff_data(project, dataset, options.old, options.new)
        settings = []
        if options.new != "now":
            settings = diff_settings(config_of(project, dataset, options.old), config_of(project, dataset, options.new))
        shown = found.region_page(options.show, limit=options.top) if options.show else []
    if options.json:
        rows = [{"before": _region(row, "before"), "after": _region(row, "after")} for row in shown]
        print_json({**found.to_json(), "settings": [asdict(change) for change in settings], "shown": rows})
        return 0
    for name, counts in found.to_json().items():
        say(f"{name:16} " + (", ".join(f"{kind} {n}" for kind, n in counts.items() if n) or "as they were"))
    for change in settings:
        say(f"{change.name:24} {change.old} -> {change.new}")
    for row in shown:
        region = row.after or row.before
        assert region is not None, "one of the two is there"
        phrases = " -> ".join(side.phrase or "-" for side in (row.before, row.after) if side)
        say(f"  region {region.id} of image {region.image_id}: {phrases}")
    return 0


def _named(project: Project, dataset: Dataset, name: str) -> tuple[Path, str]:
    """The folder of a checkpoint that a person names, by a folder too, and the training run that made it."""
    if (Path(name) / "manifest.json").is_file():
        return Path(name), ""
    with suppress(BadInput):
        entry = find_checkpoint(project, dataset, name)
        has_run = bool(entry.run_id) and (project.runs / entry.run_id / "config.json").is_file()
        return entry.folder, entry.run_id if has_run else ""
    run = find_run(project, name)
    return best_checkpoint(run), run.id


def _changes(comparison: RunFolder, dataset: Dataset) -> dict[str, int]:
    counts: dict[str, int] = {}
    old, new = (PredictionFolder(comparison.results / side) for side in ("old", "new"))
    if old.is_present and new.is_present:
        for change in changes_between(old, new, dataset):
            counts[change.kind] = counts.get(change.kind, 0) + 1
    return counts


def _region(row: RegionDiff, side: str) -> dict[str, object] | None:
    region = getattr(row, side)
    if region is None:
        return None
    box = region.box
    return {
        "id": region.id,
        "image_id": region.image_id,
        "box": [box.x0, box.y0, box.x1, box.y1],
        "phrase": region.phrase,
        "class_id": region.class_id,
        "review": str(region.review),
    }
