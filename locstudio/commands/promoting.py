"""Comparing what a training has made with what is in use, and taking it into use: shared by train and adopt."""

import argparse
from contextlib import suppress
from typing import Any

from locstudio.commands.output import print_json, say
from locstudio.commands.waiting import is_count, is_load, tell, wait_for
from locstudio.domain.errors import BadInput, GateFailed, JobCrashed
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.class_results import has_class_results, read_class_results
from locstudio.jobs.predictions import Gate, PredictionFolder, read_gate
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.adoption import adopt_checkpoint, best_checkpoint
from locstudio.services.promotion import active_id, find_comparison
from locstudio.services.retraining import start_comparison
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project


def compared(project: Project, dataset: Dataset, folder: RunFolder, *, device: str) -> RunFolder | None:
    """The comparison of a training with what is in use, made now if there is none; None where it is in use itself,
    or no other of its model is.

    Raises:
        BadInput: the run has saved no checkpoint.
        JobCrashed: the comparison came to no end.
    """
    new = checkpoint_info(best_checkpoint(folder))
    if found := find_comparison(project, active_id(dataset, new.model), new.id):
        return found[0]
    comparison = start_comparison(project, dataset, folder, device=device)
    if comparison is not None:
        tell("Comparing with the checkpoint in use.")
        finish_comparison(comparison)
    return comparison


def finish_comparison(comparison: RunFolder) -> Gate:
    """Run a comparison and return what it has decided.

    Raises:
        JobCrashed: it was stopped, or ended without a decision.
    """
    is_whole = wait_for(comparison, "Comparing")
    gate = read_gate(comparison.results)
    if gate is None or not is_whole:
        raise JobCrashed(f"The comparison {comparison.id} was not finished; its log is {comparison.log}.")
    return gate


def promoted(
    project: Project, dataset: Dataset, folder: RunFolder, comparison: RunFolder | None, *, force: bool
) -> dict[str, Any]:
    """Take a training into use if its gate, or force, lets it; what became of it, as a document."""
    document = comparison_document(comparison)
    try:
        adopted = adopt_checkpoint(project, dataset, folder, force=force)
    except GateFailed as refused:
        return {**document, "is_adopted": False, "reason": str(refused)}
    return {**document, "is_adopted": True, **adopted}


def comparison_document(comparison: RunFolder | None) -> dict[str, Any]:
    """The gate of a comparison with both checkpoints' metrics."""
    gate = read_gate(comparison.results) if comparison else None
    if comparison is None or gate is None:
        return {"comparison": None, "gate": None}
    checks = [
        {"name": check.name, "passed": check.passed, "sentence": check.sentence, "old": check.old, "new": check.new}
        for check in gate.checks
    ]
    return {
        "comparison": comparison.id,
        "gate": {"passed": gate.passed, "old": gate.old_id, "new": gate.new_id, "checks": checks},
        "metrics": {side: _metrics(comparison, side) for side in ("old", "new")},
    }


def print_promotion(options: argparse.Namespace, document: dict[str, Any]) -> None:
    """Old and new numbers, the reasons, and what was decided."""
    if options.json:
        print_json(document)
        return
    print_comparison(document)
    if not document["is_adopted"]:
        say(document["reason"])
        return
    say(f"{document['checkpoint']} is in use now.")
    if not document.get("is_embedded", True):  # of a model without index it does not say
        say(f"It has no index yet: locstudio embed {options.project}")


def print_comparison(document: dict[str, Any]) -> None:
    """Old and new numbers side by side, and what each check has found."""
    if document["gate"] is None:
        return
    metrics = document["metrics"]
    say(f"{'':24} {'old':>8} {'new':>8}   on what was {metrics['old']['of']}")
    for name, old in metrics["old"]["values"].items():
        new = metrics["new"]["values"].get(name)
        if not is_count(name) and not is_load(name) and new is not None:
            say(f"{name:24} {old:8.3f} {new:8.3f} {new - old:+8.3f}")
    for check in document["gate"]["checks"]:
        say(f"{'passed' if check['passed'] else 'FAILED':8} {check['sentence']}")


def _metrics(comparison: RunFolder, side: str) -> dict[str, Any]:
    folder = comparison.results / side
    with suppress(BadInput):
        if has_class_results(folder):
            found = read_class_results(folder)
            return {"of": "held out" if found.num_held_out else "learnt from too", "values": found.metrics}
        summary = PredictionFolder(folder).summary()
        if summary.held_out_metrics:
            return {"of": "held out", "values": summary.held_out_metrics}
        return {"of": "learnt from too", "values": summary.metrics}
    return {"of": "not measured", "values": {}}
