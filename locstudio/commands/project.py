"""Commands about a project as a whole: new, info, import, export, check."""

import argparse
from dataclasses import asdict

from locstudio.commands.opening import opened
from locstudio.commands.output import ProgressLine, print_json, say
from locstudio.domain.regions import Review
from locstudio.services.checkpoints import MODELS
from locstudio.store.dataset import Dataset, ImageFilter
from locstudio.store.labels import PRESENCE_CODES


def new(options: argparse.Namespace) -> int:
    """Make a project from folders of images."""
    from locstudio.services.collection import new_project

    report = new_project(options.project, options.images, progress=ProgressLine("Reading images"))
    if options.json:
        print_json(
            {"project": str(options.project), "added": report.added, "skipped": [asdict(s) for s in report.skipped]}
        )
    else:
        say(f"{options.project}: {report.added} images, {len(report.skipped)} files skipped.")
        for skipped in report.skipped[:20]:
            say(f"  {skipped.path}: {skipped.reason}")
    return 0


def info(options: argparse.Namespace) -> int:
    """Count what a project holds."""
    with opened(options.project, read_only=True) as (project, dataset):
        counts = _counts(dataset)
    if options.json:
        print_json({"project": str(project.path), **counts})
        return 0
    say(f"{project.path}")
    for name, value in counts.items():
        text = str(value)
        if isinstance(value, dict):
            text = ", ".join(f"{key} {count}" for key, count in value.items() if count) or "none"
        elif isinstance(value, list):
            text = ", ".join(value)
        say(f"  {name:12} {text}")
    return 0


def _counts(dataset: Dataset) -> dict[str, object]:
    facets = dataset.facets()
    labels = dataset.label_columns()
    active, of_classes, experts = (dataset.active_checkpoint(model) for model in MODELS)
    return {
        "images": dataset.count_images(ImageFilter()),
        "regions": dataset.count_regions(),
        "classes": len(dataset.classes()),
        "superclasses": len(dataset.superclasses()),
        "labels": {word: int((labels.presence == code).sum()) for word, code in PRESENCE_CODES.items()},
        "painted": len(dataset.corrected_image_ids()),
        "review": {str(key): count for key, count in facets.reviews.items()},
        "origin": {str(key): count for key, count in facets.origins.items()},
        "problems": {str(key): count for key, count in facets.problems.items() if key},
        "roots": [str(root.path) for root in dataset.roots()],
        "checkpoint": active.id if active else "cloc-lite (bundled)",
        "classifier": of_classes.id if of_classes else "consistency-lite (bundled)",
        "experts": experts.id if experts else "vmoe-lite (bundled)",
    }


def import_(options: argparse.Namespace) -> int:
    """Read annotations into a project; exit status 4 when a row was rejected."""
    from locstudio.services.importing import default_image_root, import_annotations

    with opened(options.project) as (_, dataset):
        report = import_annotations(
            dataset,
            options.source,
            options.images or default_image_root(options.source),
            format=options.format,
            review=Review(options.review),
            rescale=options.rescale,
            create_classes=options.create_classes,
            group_classes=options.superclasses,
            progress=ProgressLine("Importing"),
        )
    if options.json:
        print_json(report.to_json())
    else:
        say(report.to_text())
    return 4 if report.num_rejected else 0


def export(options: argparse.Namespace) -> int:
    """Write annotations that have been read again and compared; exit status 4 when images have no file."""
    from locstudio.services.exporting import export_annotations

    reviews = frozenset(Review(name) for name in options.reviews.split(",")) if options.reviews else None
    with opened(options.project, read_only=True) as (_, dataset):
        report = export_annotations(
            dataset, options.destination, format=options.format, reviews=reviews, progress=ProgressLine("Exporting")
        )
    assert report is not None, "nothing cancels an export here"
    if options.json:
        print_json(report.to_json())
    else:
        say(report.to_text())
    return 4 if report.missing else 0


def check(options: argparse.Namespace) -> int:
    """Check the integrity of everything; exit status 4 when something is wrong."""
    from locstudio.services.checking import check_project

    with opened(options.project, read_only=not options.repair) as (project, dataset):
        findings = check_project(project, dataset, repair=options.repair)
    if options.json:
        print_json({"findings": findings})
    else:
        for finding in findings:
            say(finding)
        say("Everything is in order." if not findings else f"{len(findings)} findings.")
    return 4 if findings else 0
