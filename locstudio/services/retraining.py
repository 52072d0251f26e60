"""What a person decides when she presses Retrain, and what she is told before she does.  No torch.

The numbers come in two steps: at once from the dataset and from earlier runs, as a guess that says so; then from a dry
run, which times a few real steps on this machine and leaves nothing behind.
"""

import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from locstudio.domain.errors import BadInput, TooNew
from locstudio.jobs.checkpoint_folder import ModelKind, checkpoint_info
from locstudio.jobs.configs import ClocTraining, ConsistencyTraining, RunConfig, VmoeTraining
from locstudio.jobs.heatmaps import heatmaps_folder, read_header
from locstudio.jobs.messages import Estimated, Started
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.adoption import best_checkpoint, register_checkpoint
from locstudio.services.checkpoints import active_folder
from locstudio.services.curves import read_curves
from locstudio.services.lineage import corrections_newer_than
from locstudio.services.material import count_class_material, count_expert_material, count_material
from locstudio.services.promotion import active_id
from locstudio.services.registry import registry
from locstudio.services.retrain_plan import (
    Choice,
    ClassesChoice,
    ClassMaterial,
    Estimate,
    ExpertMaterial,
    ExpertsChoice,
    Material,
    RetrainPlan,
    Training,
)
from locstudio.services.run_summary import RunSummary, describe_run
from locstudio.services.runs import list_runs
from locstudio.services.runs_of import run_folders
from locstudio.services.starting import (
    MIN_FREE_BYTES,
    start_compare,
    start_consistency,
    start_train,
    start_vmoe,
)
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

# Of the quick preset on one core that is otherwise idle; a dry run says better within seconds.
_START_S, _ENCODE_S, _EMBED_S, _EVALUATE_S = 12.0, 0.12, 0.05, 4.0
_STEP_S_OF_AN_IMAGE = 0.016
_VIEW_S_OF_AN_IMAGE = 0.004
_CELLS_S, _MIXED_S_OF_AN_IMAGE = 0.05, 0.012
_COSTS = ("batch_size", "trains", "stem", "patch", "input_px", "width", "depth", "num_active", "has_shared_expert")
_LIVE = (RunState.QUEUED, RunState.RUNNING, RunState.STOPPING)


def plan_retraining(project: Project, dataset: DatasetView, checkpoint: Path | None, choice: Choice) -> RetrainPlan:
    """Say what retraining would mean now.  Reads every region or label once, so call it on a worker.

    ``checkpoint`` is where a training of regions begins; one of classes goes on from what the project uses for them,
    and so does one of experts where that was chosen.
    """
    runs = list_runs(project)
    free = shutil.disk_usage(project.path).free
    before = next((run for run in runs if _takes_turns(run)), None)
    material: Material | ClassMaterial | ExpertMaterial
    if isinstance(choice, ClassesChoice):
        material = count_class_material(dataset)
        problems = _class_problems(material)
        checkpoint = active_folder(project, dataset, "consistency")
    elif isinstance(choice, ExpertsChoice):
        material = count_expert_material(dataset, num_experts=choice.num_experts)
        problems = _expert_problems(material, choice)
        checkpoint = _experts_in_use(project, dataset) if choice.goes_on else None
    else:
        material = count_material(dataset, include_pending=choice.include_pending)
        problems = _region_problems(material, checkpoint)
    return RetrainPlan(
        choice=choice,
        material=material,
        estimate=guess(choice.training(), material.num_images, runs),
        free_bytes=free,
        parent=_name_of(dataset, checkpoint, choice.model) if checkpoint is not None else "",
        waits_for=(before.title or before.id) if before else "",
        num_newer=_num_newer(project, dataset, choice.model),
        remembered=_remembered(project) if choice.model == "consistency" else "",
        problems=(*problems, *_space_problems(free)),
    )


def _num_newer(project: Project, dataset: DatasetView, model: ModelKind) -> int | None:
    entries = registry(project, dataset)
    active = next((entry for entry in entries if entry.is_active and entry.model == model), None)
    return corrections_newer_than(dataset, active) if active is not None else None


def _remembered(project: Project) -> str:
    """The folder of the newest heatmaps of the project that hold at least an epoch and are not written any more."""
    for folder in reversed(run_folders(project)):
        heat = heatmaps_folder(folder.results)
        with suppress(BadInput, TooNew):
            if read_header(heat).epoch and not describe_run(folder).has_process:
                return str(heat)
    return ""


def guess(training: Training, num_images: int, runs: list[RunSummary]) -> Estimate:
    """How long it takes, going by the last run with the same batches, else by the speed of an ordinary computer."""
    num_steps = _num_steps(training, num_images)
    if isinstance(training, ClocTraining):
        around = _START_S + min(num_images, num_steps * training.batch_size) * _ENCODE_S + num_images * _EMBED_S
        around += _EVALUATE_S * (1 + num_steps // max(1, training.evaluate_every))
        seconds = training.batch_size * _STEP_S_OF_AN_IMAGE
    elif isinstance(training, ConsistencyTraining):
        around = _START_S + num_images * _ENCODE_S
        seconds = training.batch_size * _VIEW_S_OF_AN_IMAGE
    else:
        around = _START_S + num_images * _CELLS_S
        seconds = training.batch_size * _MIXED_S_OF_AN_IMAGE
    measured_before = next(filter(None, (_seconds_per_step(run, training) for run in runs)), None)
    if measured_before is not None:
        return Estimate(seconds=around + num_steps * measured_before, source="earlier runs")
    return Estimate(seconds=around + num_steps * seconds, source="guess")


def _num_steps(training: Training, num_images: int) -> int:
    if isinstance(training, ClocTraining):
        return training.num_steps
    return _num_epochs(training) * max(1, -(-num_images // training.batch_size))


def _num_epochs(training: ConsistencyTraining | VmoeTraining) -> int:
    return training.num_epochs + (training.num_dense_epochs if isinstance(training, VmoeTraining) else 0)


def measured(said: Estimated, timed: Training, wanted: Training, started: Started | None = None) -> Estimate:
    """The estimate of a dry run, also where the person has meanwhile chosen another number of steps or epochs."""
    extra = 0
    if isinstance(timed, ClocTraining) and isinstance(wanted, ClocTraining):
        extra = wanted.num_steps - timed.num_steps
    elif not isinstance(timed, ClocTraining) and not isinstance(wanted, ClocTraining) and started is not None:
        extra = (_num_epochs(wanted) - _num_epochs(timed)) * started.steps_per_epoch
    return Estimate(
        seconds=max(1.0, said.seconds + extra * said.seconds_per_step),
        source="measured",
        memory_bytes=said.memory_bytes,
        disk_bytes=said.disk_bytes,
    )


def start_retraining(
    project: Project, dataset: Dataset, checkpoint: Path | None, choice: Choice, *, device: str = "auto"
) -> RunFolder:
    """Make the run: from ``checkpoint`` on, else from what the project uses.  As ``start_train``."""
    title = choice.title.strip() or title_of(choice)
    return _start(project, dataset, checkpoint, choice, choice.training(), title=title, device=device)


def title_of(choice: Choice) -> str:
    """What a run is called to which nobody has given a name."""
    if choice.model == "cloc":
        return choice.preset.capitalize()
    return f"Heatmaps, {choice.preset}" if choice.model == "consistency" else f"Experts, {choice.preset}"


def start_dry_run(
    project: Project, dataset: Dataset, checkpoint: Path | None, choice: Choice, *, device: str = "auto"
) -> RunFolder:
    """Make a run that only says how long it would take; whoever has heard it takes it away by ``forget_run``."""
    training = msgspec.structs.replace(choice.training(), is_dry_run=True)
    return _start(project, dataset, checkpoint, choice, training, title="Estimate", device=device)


def _start(
    project: Project,
    dataset: Dataset,
    checkpoint: Path | None,
    choice: Choice,
    training: Training,
    *,
    title: str,
    device: str,
) -> RunFolder:
    seed = choice.seed
    if isinstance(training, ClocTraining):
        folder = checkpoint or active_folder(project, dataset)
        return start_train(project, dataset, folder, training=training, seed=seed, title=title, device=device)
    if isinstance(training, VmoeTraining):
        if checkpoint is None and isinstance(choice, ExpertsChoice) and choice.goes_on:
            checkpoint = _experts_in_use(project, dataset)
        return start_vmoe(
            project, dataset, training=training, checkpoint=checkpoint, seed=seed, title=title, device=device
        )
    return start_consistency(
        project, dataset, training=training, checkpoint=checkpoint, seed=seed, title=title, device=device
    )


def _experts_in_use(project: Project, dataset: DatasetView) -> Path | None:
    """The checkpoint with experts that the project uses; None where there is not even a bundled one."""
    folder = active_folder(project, dataset, "vmoe")
    return folder if dataset.active_checkpoint("vmoe") is not None or folder.is_dir() else None


def training_of(config: RunConfig) -> Training | None:
    """The settings of a run that trains something; None for another one."""
    return config.cloc or config.consistency or config.vmoe


def is_dry_run(folder: RunFolder) -> bool:
    """Whether a run only times a few steps."""
    with suppress(BadInput):
        training = training_of(folder.config())
        return training is not None and training.is_dry_run
    return False


def forget_run(folder: RunFolder) -> None:
    """Take a run's folder away; one of a dry run holds nothing that anybody wants."""
    (folder.path / "config.json").unlink(missing_ok=True)  # first, so that half a folder is no run
    shutil.rmtree(folder.path, ignore_errors=True)


def sweep_dry_runs(project: Project) -> None:
    """Take away dry runs that a window has left behind; one that still goes on is left alone."""
    for run in list_runs(project):
        if not run.has_process and is_dry_run(run.folder):
            forget_run(run.folder)


def start_comparison(
    project: Project, dataset: Dataset, folder: RunFolder, *, device: str = "auto"
) -> RunFolder | None:
    """Make the run that says what a training has changed; None where there is nothing to compare: it saved nothing, is
    in use already, or no other model of its kind is there.

    Its checkpoint is put among the project's, without being taken into use.
    """
    try:
        new = best_checkpoint(folder)
    except BadInput:
        return None
    row = register_checkpoint(project, dataset, folder)
    model = checkpoint_info(new).model
    if active_id(dataset, model) in ("", row.id):
        return None
    old = active_folder(project, dataset, model)
    return start_compare(project, dataset, old, new, held_out=folder.id, device=device)


def _name_of(dataset: DatasetView, checkpoint: Path | None, model: ModelKind) -> str:
    """What the project calls its model."""
    active = dataset.active_checkpoint(model)
    if active is not None:
        return active.name
    with suppress(BadInput):
        return checkpoint_info(checkpoint).name if checkpoint else ""
    return ""


def _takes_turns(run: RunSummary) -> bool:
    return (
        run.state in _LIVE
        and run.has_process
        and run.kind not in ("embed", "route", "vesl")
        and not is_dry_run(run.folder)
    )


def _seconds_per_step(run: RunSummary, training: Training) -> float | None:
    """How long a step of an earlier run took that was like this one."""
    if run.kind not in ("cloc", "consistency", "vmoe"):
        return None
    with suppress(BadInput):
        done = training_of(run.folder.config())
        if done is None or done.is_dry_run or not _has_like_steps(done, training):
            return None
        times = read_curves(run.folder).seconds_per_step
        times = times[np.isfinite(times)]
        return float(np.median(times)) if len(times) else None
    return None


def _has_like_steps(one: Training, other: Training) -> bool:
    if isinstance(one, ClocTraining) or isinstance(other, ClocTraining):
        return type(one) is type(other) and one.batch_size == other.batch_size
    if isinstance(one, VmoeTraining) and isinstance(other, VmoeTraining):
        return all(getattr(one, name) == getattr(other, name) for name in _COSTS)
    if isinstance(one, ConsistencyTraining) and isinstance(other, ConsistencyTraining):
        return (one.batch_size, one.trains, one.memory) == (other.batch_size, other.trains, other.memory)
    return False


def _region_problems(material: Material, checkpoint: Path | None) -> list[str]:
    problems = []
    if checkpoint is None:
        problems.append("This installation has no model to train from.")
    if material.num_regions == 0:
        problems.append(
            "There is nothing to learn from yet: no reviewed region has a phrase or a class. Draw boxes and describe "
            "them, or accept proposals, then retrain."
        )
    elif material.num_held_out == material.num_regions:
        problems.append(_all_held_out("reviewed region lies", material.held_out_split))
    return problems


def _class_problems(material: ClassMaterial) -> list[str]:
    if material.num_positives == 0:
        return [
            "There is nothing to learn from yet: no image is known to show a class. Say so of some images, import "
            "labels, or give regions a class, then train."
        ]
    if material.num_held_out == material.num_images:
        return [_all_held_out("labelled image lies", material.held_out_split)]
    return []


def _expert_problems(material: ExpertMaterial, choice: ExpertsChoice) -> list[str]:
    if material.num_images == 0:
        return [
            "There is nothing to learn from yet: no image is known to show a class. Say so of some images, import "
            "labels, or give regions a class, then train."
        ]
    if material.num_held_out == material.num_images:
        return [_all_held_out("labelled image lies", material.held_out_split)]
    if material.num_classes < 2:
        return [
            "All labelled images show the same class, so there is nothing to tell apart. Give other images other "
            "classes, then train."
        ]
    if material.num_superclasses == 1 and choice.num_experts < 2 and choice.routing == "superclass":
        return [
            "There is one superclass, so there would be one expert and nothing to choose. Make another one, or take it "
            "away so that superclasses are found."
        ]
    return []


def _all_held_out(what: str, split: str) -> str:
    return f"Every {what} in the split “{split}”, which is measured and never learnt from."


def _space_problems(free: int) -> list[str]:
    if free >= MIN_FREE_BYTES:
        return []
    return [
        f"Training needs {MIN_FREE_BYTES / 1e9:.1f} GB of free space; there are {free / 1e9:.1f} GB. Make room, "
        "then retrain."
    ]
