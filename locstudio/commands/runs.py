"""Commands that start the trainer and wait for it: embed, train, evaluate; and the list of runs."""

import argparse
import json
from pathlib import Path

from locstudio.commands.opening import checkpoint_folder, opened
from locstudio.commands.output import ProgressLine, print_json, say
from locstudio.domain.errors import JobCrashed, LocStudioError
from locstudio.jobs.messages import AnyMessage, Failed, Note, Progress, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.services import runs as service


class _RunFailed(LocStudioError):
    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.sentence)
        self.exit_status = failed.exit_status


class _Reporter:
    """Shows a run's messages on stderr, so that stdout holds the result alone."""

    def __init__(self, what: str) -> None:
        self._line = ProgressLine(what)

    def __call__(self, message: AnyMessage) -> None:
        import sys

        if isinstance(message, Progress):
            self._line(message.step, message.num_steps)
        elif isinstance(message, Note):
            print(message.text, file=sys.stderr)
        elif isinstance(message, Started):
            print(f"On {message.device}: {message.num_images} images, {message.num_regions} regions.", file=sys.stderr)


def _wait(folder: RunFolder, what: str) -> None:
    last = service.run_and_wait(folder, _Reporter(what))
    if isinstance(last, Failed):
        raise _RunFailed(last)


def embed(options: argparse.Namespace) -> int:
    """Embed every region and proposal, and take the index into the project."""
    with opened(options.project) as (project, dataset):
        checkpoint = checkpoint_folder(project, dataset, options.checkpoint)
        folder = service.start_embed(
            project, dataset, checkpoint, num_proposals=options.proposals, device=options.device
        )
        _wait(folder, "Embedding")
        adopted = service.adopt_index(project, dataset, folder)
    _result(options, {"run": folder.id, **adopted})
    return 0


def train(options: argparse.Namespace) -> int:
    """Retrain on the curated regions; the finished checkpoint becomes the project's, with an index of its own."""
    with opened(options.project) as (project, dataset):
        if options.resume:
            folder = service.find_run(project, options.resume)
        else:
            checkpoint = checkpoint_folder(project, dataset, options.checkpoint)
            folder = service.start_train(
                project, dataset, checkpoint, preset=options.preset, seed=options.seed, device=options.device
            )
        _wait(folder, "Training")
        adopted = service.adopt_checkpoint(project, dataset, folder)
    _result(options, {"run": folder.id, **adopted})
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a checkpoint on the project's own ground truth."""
    with opened(options.project) as (project, dataset):
        checkpoint = checkpoint_folder(project, dataset, options.checkpoint)
        folder = service.start_evaluate(
            project, dataset, checkpoint, task=options.task, split=options.split, device=options.device
        )
        _wait(folder, "Evaluating")
    metrics_file = folder.results / "metrics.json"
    if not metrics_file.exists():
        raise JobCrashed(f"The evaluation ended without metrics; its log is {folder.log}.")
    _result(options, json.loads(metrics_file.read_text(encoding="utf-8")))
    return 0


def _result(options: argparse.Namespace, document: dict[str, object]) -> None:
    if options.json:
        print_json(document)
        return
    for name, value in document.items():
        say(f"{name:12} {value:.4f}" if isinstance(value, float) else f"{name:12} {value}")


def runs(options: argparse.Namespace) -> int:
    """List the project's runs, newest first."""
    with opened(options.project, read_only=True) as (project, _):
        rows = service.list_runs(project)
    if options.json:
        print_json({"runs": [row.to_json() for row in rows]})
    else:
        for row in rows:
            say(f"{row.id:44} {row.kind:9} {row.state}")
        if not rows:
            say(f"No runs yet in {Path(options.project)}.")
    return 0
