"""Commands that start the trainer and wait for it: embed, train, evaluate; the list of runs, and stopping one."""

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from locstudio.commands.opening import checkpoint_folder, opened
from locstudio.commands.output import print_json, say
from locstudio.commands.promoting import compared, print_promotion, promoted
from locstudio.commands.waiting import metrics_text, tell, wait_for
from locstudio.domain.errors import DatasetInUse, JobCrashed, StorageFailed, UserError
from locstudio.jobs.checkpoint_folder import ModelKind
from locstudio.jobs.messages import Estimated
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.jobs.run_tail import RunTail
from locstudio.services import runs as service
from locstudio.services.adoption import register_checkpoint
from locstudio.services.checkpoints import MODELS
from locstudio.services.retrain_plan import Choice, ClassesChoice, ExpertsChoice, RetrainChoice
from locstudio.services.retraining import forget_run, start_dry_run
from locstudio.services.run_control import end_run, stop_after_epoch, stop_after_step
from locstudio.services.run_events import ingest
from locstudio.services.runs_of import run_folders
from locstudio.services.starting import MODEL_OF_TASK
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project, find_project

INTERRUPTED = 130
_COUNTED: dict[ModelKind, str] = {"cloc": "--steps", "consistency": "--epochs", "vmoe": "--epochs"}


def embed(options: argparse.Namespace) -> int:
    """Embed every region and proposal, and take the index into the project."""
    with opened(options.project) as (project, dataset):
        checkpoint = checkpoint_folder(project, dataset, options.checkpoint)
        folder = service.start_embed(
            project, dataset, checkpoint, num_proposals=options.proposals, device=options.device
        )
        wait_for(folder, "Embedding")
        adopted = service.adopt_index(project, dataset, folder)
    _result(options, {"run": folder.id, **adopted})
    return 0


def train(options: argparse.Namespace) -> int:
    """Train on what was curated, compare with the checkpoint in use, and take the new one if it is no worse."""
    if options.estimate:
        return _estimate(options)
    with opened(options.project) as (project, dataset):
        if options.resume:
            folder = _resumable(project, options.resume, options.model)
        else:
            folder = _new_training(project, dataset, options)
    if options.prepare:
        _result(options, {"run": folder.id, "folder": str(folder.path)})
        return 0
    tell(f"The run is {folder.id}.")
    # The run has a snapshot of its own: until it is over, a window may have the project.
    is_whole = wait_for(folder, "Training")
    document: dict[str, object] = {"run": folder.id, "state": str(service.describe_run(folder).state)}
    if not is_whole:
        tell(f"Stopped; go on with: locstudio train {project.path} --model {options.model} --resume {folder.id}")
        _result(options, document)
        return INTERRUPTED
    try:
        with opened(project.path) as (_, dataset):
            ingest(project, dataset, folder)
            row = register_checkpoint(project, dataset, folder)
            document |= {"checkpoint": row.id, "is_adopted": False}
            if options.adopt == "never":
                _result(options, {**document, "metrics": json.loads(row.metrics)})
                return 0
            comparison = compared(project, dataset, folder, device=options.device)
            document |= promoted(project, dataset, folder, comparison, force=options.adopt == "force")
    except DatasetInUse:
        tell(f"The run is done. Later: locstudio adopt {project.path} {folder.id}")
        raise
    print_promotion(options, document)
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a checkpoint on the project's own ground truth."""
    model = MODEL_OF_TASK.get(options.task, "cloc")
    with opened(options.project) as (project, dataset):
        checkpoint = checkpoint_folder(project, dataset, options.checkpoint, model)
        folder = service.start_evaluate(
            project, dataset, checkpoint, task=options.task, split=options.split, device=options.device
        )
        is_whole = wait_for(folder, "Evaluating")
    metrics_file = folder.results / "metrics.json"
    if not is_whole:
        return INTERRUPTED
    if not metrics_file.exists():
        raise JobCrashed(f"The evaluation ended without metrics; its log is {folder.log}.")
    _result(options, json.loads(metrics_file.read_text(encoding="utf-8")))
    return 0


def runs(options: argparse.Namespace) -> int:
    """List the project's runs, newest first; or say all about one."""
    with _best_opened(options.project) as (project, dataset):
        for folder in run_folders(project):
            ingest(project, dataset, folder)
        if options.run:
            return _one_run(options, service.find_run(project, options.run))
        rows = service.list_runs(project)
    if options.json:
        print_json({"runs": [row.to_json() for row in rows]})
    else:
        for row in rows:
            how_far = f"{row.step} of {row.num_steps}" if row.num_steps else ""
            measured = metrics_text(row.metrics) if row.metrics else ""
            say(f"{row.id:44} {row.kind:11} {row.state:12} {how_far:16} {measured}".rstrip())
        if not rows:
            say(f"No runs yet in {Path(options.project)}.")
    return 0


def _one_run(options: argparse.Namespace, folder: RunFolder) -> int:
    row = service.describe_run(folder)
    events = [msgspec.to_builtins(message) for message in RunTail(folder).read()]
    newest = events[max(0, len(events) - options.events) :]
    if options.json:
        config = msgspec.to_builtins(folder.config())
        print_json({**row.to_json(), "config": config, "num_events": len(events), "events": newest})
        return 0
    say(f"{row.id}  {row.kind}, {row.state}" + (f"  {row.title}" if row.title else ""))
    if row.sentence:
        say(f"  {row.sentence}")
    if row.num_steps:
        say(
            f"  step     {row.step} of {row.num_steps}"
            + (f", {row.seconds_left:.0f} s left" if row.seconds_left else "")
        )
    if row.metrics:
        say(f"  metrics  {metrics_text(row.metrics)}")
    for event in newest:
        words = ", ".join(f"{name} {value}" for name, value in event.items() if name not in ("kind", "sequence"))
        say(f"  {event['sequence']:6} {event['kind']:10} {words}")
    return 0


def stop(options: argparse.Namespace) -> int:
    """Ask a run to stop after its step or its epoch, or end it whether it answers or not."""
    project = find_project(options.project)
    folder = service.find_run(project, options.run)
    if not service.describe_run(folder).has_process:
        raise UserError(f"The run {folder.id} does not go on, so there is nothing to stop.")
    if options.now:
        for sentence in end_run(folder):
            tell(sentence)
    elif options.after == "epoch":
        stop_after_epoch(folder)
    else:
        stop_after_step(folder)
    _result(options, {"run": folder.id, "state": str(service.describe_run(folder).state)})
    return 0


def _estimate(options: argparse.Namespace) -> int:
    """Time a few real steps, say what the whole would take, and leave nothing behind."""
    heard: list[Estimated] = []
    with opened(options.project) as (project, dataset):
        choice, checkpoint = _choice(options), _start_of(project, dataset, options)
        folder = start_dry_run(project, dataset, checkpoint, choice, device=options.device)
        try:
            wait_for(
                folder, "Timing", lambda message: heard.extend([message] if isinstance(message, Estimated) else [])
            )
            if not heard:
                raise JobCrashed(f"The dry run ended without an estimate; its log is {folder.log}.")
        finally:
            forget_run(folder)
    said = msgspec.to_builtins(heard[-1])
    _result(options, {name: value for name, value in said.items() if name not in ("kind", "sequence")})
    return 0


def _choice(options: argparse.Namespace) -> Choice:
    """What the words of the command line choose.

    Raises:
        UserError: a word is about another model.
    """
    if strange := _of_others(options):
        counted = "" if _COUNTED[options.model] in strange else f" It counts {_COUNTED[options.model]}."
        raise UserError(f"--model {options.model} has no {', '.join(strange)}.{counted}")
    if options.model == "cloc":
        return RetrainChoice(preset=options.preset, num_steps=options.steps or 0, seed=options.seed)
    if options.model == "vmoe":
        return ExpertsChoice(
            preset=options.preset,
            num_epochs=options.epochs or 0,
            seed=options.seed,
            routing=options.routing or "superclass",
            num_experts=options.experts or 0,
            num_moe_layers=options.layers or 0,
            num_active=options.active or 0,
            is_upcycled=False if options.no_upcycling else None,
            has_shared_expert=options.shared_expert or None,
        )
    return ClassesChoice(
        preset=options.preset,
        num_epochs=options.epochs or 0,
        seed=options.seed,
        loss=options.loss,
        memory=options.memory,
        min_scale=options.min_scale,
        keeps_one=options.one_label,
    )


def _of_others(options: argparse.Namespace) -> list[str]:
    """The words that were said and are about other models than the one to train."""
    words: dict[str, tuple[tuple[ModelKind, ...], bool]] = {
        "--steps": (("cloc",), options.steps is not None),
        "--processes": (("cloc",), options.processes > 1),
        "--epochs": (("consistency", "vmoe"), options.epochs is not None),
        "--loss": (("consistency",), options.loss is not None),
        "--memory": (("consistency",), options.memory is not None),
        "--min-scale": (("consistency",), options.min_scale is not None),
        "--one-label": (("consistency",), options.one_label),
        "--routing": (("vmoe",), options.routing is not None),
        "--experts": (("vmoe",), options.experts is not None),
        "--layers": (("vmoe",), options.layers is not None),
        "--active": (("vmoe",), options.active is not None),
        "--shared-expert": (("vmoe",), options.shared_expert),
        "--no-upcycling": (("vmoe",), options.no_upcycling),
    }
    return [word for word, (models, is_said) in words.items() if is_said and options.model not in models]


def _start_of(project: Project, dataset: Dataset, options: argparse.Namespace) -> Path | None:
    """The checkpoint that a training begins with; None where one of classes can begin with its backbone alone."""
    if options.model != "cloc" and options.checkpoint is None:
        return None  # heatmaps go on from what the project uses, if it has one; experts begin anew
    return checkpoint_folder(project, dataset, options.checkpoint, options.model)


def _new_training(project: Project, dataset: Dataset, options: argparse.Namespace) -> RunFolder:
    choice, checkpoint = _choice(options), _start_of(project, dataset, options)
    if isinstance(choice, ClassesChoice):
        return service.start_consistency(
            project,
            dataset,
            training=choice.training(),
            checkpoint=checkpoint,
            seed=options.seed,
            device=options.device,
            title=options.title,
        )
    if isinstance(choice, ExpertsChoice):
        return service.start_vmoe(
            project,
            dataset,
            training=choice.training(),
            checkpoint=checkpoint,
            seed=options.seed,
            device=options.device,
            title=options.title,
        )
    assert checkpoint is not None
    return service.start_train(
        project,
        dataset,
        checkpoint,
        training=choice.training(),
        seed=options.seed,
        device=options.device,
        num_processes=options.processes,
        title=options.title,
    )


def _resumable(project: Project, name: str, model: ModelKind) -> RunFolder:
    folder = service.find_run(project, name)
    row = service.describe_run(folder)
    if row.kind not in MODELS:
        raise UserError(f"{folder.id} is no training, so there is nothing to go on with.")
    if row.kind != model:
        raise UserError(
            f"{folder.id} trains another model: locstudio train {project.path} --model {row.kind} --resume {name}"
        )
    if row.has_process:
        raise UserError(f"The run {folder.id} goes on already.")
    if row.state is RunState.DONE:
        raise UserError(f"The run {folder.id} is done; take it with: locstudio adopt {project.path} {folder.id}")
    return folder


@contextmanager
def _best_opened(path: Path) -> Iterator[tuple[Project, Dataset]]:
    """The project for writing, or for reading where a window has it or it cannot be written."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(opened(path))
        except (DatasetInUse, StorageFailed):
            found = stack.enter_context(opened(path, read_only=True))
        yield found


def _result(options: argparse.Namespace, document: dict[str, object]) -> None:
    if options.json:
        print_json(document)
        return
    for name, value in document.items():
        say(f"{name:12} {value:.4f}" if isinstance(value, float) else f"{name:12} {value}")
