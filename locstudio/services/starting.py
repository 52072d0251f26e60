"""Making a run: its frozen snapshot first, its configuration last, so that a start that was cut off leaves no run."""

import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.jobs.checkpoint_folder import ModelKind, checkpoint_info
from locstudio.jobs.configs import (
    ClocTraining,
    Comparison,
    ConsistencyTraining,
    Embedding,
    Evaluation,
    Kind,
    Preset,
    Route,
    RunConfig,
    Task,
    VmoeTraining,
)
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.checkpoints import active_folder, folder_of
from locstudio.services.code_version import code_version
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project

MIN_FREE_BYTES = 2 << 30
MODEL_OF_TASK: dict[Task, ModelKind] = {"multilabel": "consistency", "classes": "vmoe"}
"""What a task measures, where that is not the model of regions."""
_MODEL_OF_KIND: dict[Kind, ModelKind] = {"consistency": "consistency", "vmoe": "vmoe", "route": "vmoe"}

# What they do on 150 corrected regions is in the docstring of ``trainer.recipes.train_cloc``.
PRESETS: dict[Preset, ClocTraining] = {
    "quick": ClocTraining(
        preset="quick",
        num_steps=160,
        batch_size=16,
        num_warmup_steps=10,
        weight_decay=0.05,
        keep_weight=30.0,
        evaluate_every=40,
    ),
    "standard": ClocTraining(
        preset="standard",
        num_steps=1200,
        batch_size=48,
        num_warmup_steps=60,
        weight_decay=0.05,
        keep_weight=30.0,
        evaluate_every=150,
    ),
}

CONSISTENCY_PRESETS: dict[Preset, ConsistencyTraining] = {
    "quick": ConsistencyTraining(preset="quick", num_epochs=12),
    "standard": ConsistencyTraining(preset="standard", num_epochs=30),
}

# What they do on photos of 101 classes is in the docstring of ``trainer.recipes.vmoe``.
VMOE_PRESETS: dict[Preset, VmoeTraining] = {
    "quick": VmoeTraining(preset="quick", num_dense_epochs=8, num_epochs=10),
    "standard": VmoeTraining(preset="standard", num_dense_epochs=20, num_epochs=30),
}


def start_embed(
    project: Project,
    dataset: Dataset,
    checkpoint: Path,
    *,
    num_proposals: int = Embedding().num_proposals,
    device: str = "auto",
    num_threads: int = 0,
) -> RunFolder:
    """Make a run that embeds the collection; rows of unchanged images are taken over from the project's index."""
    known = str(project.index) if project.index.is_dir() else ""
    embedding = Embedding(num_proposals=num_proposals, known=known)
    config = RunConfig(
        kind="embed", checkpoint=str(checkpoint), device=device, num_threads=num_threads, embed=embedding
    )
    return make_run(project, dataset, config)


def start_train(
    project: Project,
    dataset: Dataset,
    checkpoint: Path,
    *,
    preset: Preset = "quick",
    training: ClocTraining | None = None,
    seed: int = 0,
    device: str = "auto",
    num_threads: int = 0,
    num_processes: int = 1,
    title: str = "",
) -> RunFolder:
    """Make a run that trains CLOC from this checkpoint on, as the preset says or exactly as ``training`` says.

    Raises:
        BadInput: the checkpoint is damaged.
        StorageFailed: there are less than 2 GB of free space, or the disk refuses.
    """
    config = RunConfig(
        kind="cloc",
        checkpoint=str(checkpoint),
        seed=seed,
        device=device,
        num_threads=num_threads,
        num_processes=num_processes,
        parent_run=_run_of(project, dataset, checkpoint),
        title=title,
        cloc=training or PRESETS[preset],
    )
    return make_run(project, dataset, config)


def start_consistency(
    project: Project,
    dataset: Dataset,
    *,
    preset: Preset = "quick",
    training: ConsistencyTraining | None = None,
    checkpoint: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    num_threads: int = 0,
    title: str = "",
) -> RunFolder:
    """Make a run that trains the multi-label classifier, as the preset says or exactly as ``training`` says.

    It goes on from ``checkpoint``, else from the one in use; without either it begins with the backbone alone.

    Raises:
        BadInput: the checkpoint is damaged.
        CheckpointMismatch: it names regions.
        StorageFailed: there are less than 2 GB of free space, or the disk refuses.
    """
    folder = checkpoint or active_folder(project, dataset, "consistency")
    is_named = checkpoint is not None or dataset.active_checkpoint("consistency") is not None
    config = RunConfig(
        kind="consistency",
        checkpoint=str(folder) if is_named or folder.is_dir() else "",
        seed=seed,
        device=device,
        num_threads=num_threads,
        parent_run=_run_of(project, dataset, folder),
        title=title,
        consistency=training or CONSISTENCY_PRESETS[preset],
    )
    return make_run(project, dataset, config)


def start_vmoe(
    project: Project,
    dataset: Dataset,
    *,
    preset: Preset = "quick",
    training: VmoeTraining | None = None,
    checkpoint: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    num_threads: int = 0,
    title: str = "",
) -> RunFolder:
    """Make a run that trains a Mobile V-MoE, as the preset says or exactly as ``training`` says.

    It begins anew, with a dense twin, or goes on from the experts of ``checkpoint`` where one is named.

    Raises:
        BadInput: the checkpoint is damaged.
        CheckpointMismatch: it is of another kind of model.
        StorageFailed: there are less than 2 GB of free space, or the disk refuses.
    """
    config = RunConfig(
        kind="vmoe",
        checkpoint=str(checkpoint) if checkpoint is not None else "",
        seed=seed,
        device=device,
        num_threads=num_threads,
        parent_run=_run_of(project, dataset, checkpoint) if checkpoint is not None else "",
        title=title,
        vmoe=training or VMOE_PRESETS[preset],
    )
    return make_run(project, dataset, config)


def start_route(
    project: Project,
    dataset: Dataset,
    checkpoint: Path | None = None,
    *,
    image_ids: tuple[int, ...] = (),
    device: str = "auto",
    num_threads: int = 0,
) -> RunFolder:
    """Make a run that asks which experts look at which image, of all images or only of ``image_ids``.

    Raises:
        BadInput: no checkpoint is named and none with experts is in use, or it is damaged.
        CheckpointMismatch: it is of another kind of model.
    """
    folder = checkpoint or active_folder(project, dataset, "vmoe")
    if checkpoint is None and dataset.active_checkpoint("vmoe") is None and not folder.is_dir():
        raise BadInput("No model with experts is in use; train one, or take one into use, then route the images.")
    config = RunConfig(
        kind="route",
        checkpoint=str(folder),
        device=device,
        num_threads=num_threads,
        route=Route(image_ids=image_ids),
    )
    return make_run(project, dataset, config)


def start_evaluate(
    project: Project,
    dataset: Dataset,
    checkpoint: Path,
    *,
    task: Task,
    split: str = "",
    device: str = "auto",
    num_threads: int = 0,
) -> RunFolder:
    """Make a run that measures the checkpoint on the project's ground truth."""
    evaluation = Evaluation(task=task, split=split)
    config = RunConfig(
        kind="evaluate", checkpoint=str(checkpoint), device=device, num_threads=num_threads, evaluate=evaluation
    )
    return make_run(project, dataset, config)


def start_compare(
    project: Project,
    dataset: Dataset,
    old: Path,
    new: Path,
    *,
    held_out: str = "",
    margin: float = Comparison(new="").margin,
    device: str = "auto",
    num_threads: int = 0,
) -> RunFolder:
    """Make a run that says what ``new`` does better and worse than ``old``, and whether it may take its place.

    Args:
        held_out: The training run whose held-out images decide; it becomes the parent of this one.
        margin: How much worse, as a share, the new one may be.

    Raises:
        CheckpointMismatch: they are of two kinds of model.
    """
    with suppress(BadInput):  # of a damaged new one the comparison itself says so
        checkpoint_info(new).require_model(checkpoint_info(old).model)
    config = RunConfig(
        kind="compare",
        checkpoint=str(old),
        device=device,
        num_threads=num_threads,
        parent_run=held_out,
        compare=Comparison(new=str(new.resolve()), held_out=held_out, margin=margin),
    )
    return make_run(project, dataset, config)


def make_run(project: Project, dataset: Dataset, config: RunConfig) -> RunFolder:
    """A run of this configuration, with a snapshot of the dataset as it is now.

    The checkpoint is verified first, so that no run starts from a damaged one.  Snapshot and revision, and the code
    that made the run, are written into its configuration.

    Raises:
        BadInput: the checkpoint is damaged.
        CheckpointMismatch: the checkpoint is of another kind of model than the run is about.
        StorageFailed: there is too little free space, or the disk refuses; no run is left.
    """
    if config.checkpoint:
        info = checkpoint_info(Path(config.checkpoint))
        info.require_model(model_of(config) or info.model)
    if config.kind in ("cloc", "consistency", "vmoe"):
        _require_space(project)
    folder = RunFolder.prepare(project.runs, config.kind)
    try:
        snapshot = dataset.snapshot(folder.snapshot)
        return folder.complete(
            msgspec.structs.replace(
                config,
                checkpoint=str(Path(config.checkpoint).resolve()) if config.checkpoint else "",
                snapshot_sha256=snapshot.sha256,
                snapshot_revision=snapshot.revision,
                code_version=code_version(),
            )
        )
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise


def model_of(config: RunConfig) -> ModelKind | None:
    """The kind of model that a run is about; None where its checkpoint alone says so."""
    if config.kind == "compare":
        return None
    if config.evaluate is not None:
        return MODEL_OF_TASK.get(config.evaluate.task, "cloc")
    return _MODEL_OF_KIND.get(config.kind, "cloc")


def _require_space(project: Project) -> None:
    free = shutil.disk_usage(project.path).free
    if free < MIN_FREE_BYTES:
        raise StorageFailed(
            f"Training needs {MIN_FREE_BYTES / 2**30:.1f} GB of free space at {project.path}; "
            f"there are {free / 2**30:.1f} GB."
        )


def _run_of(project: Project, dataset: Dataset, checkpoint: Path) -> str:
    """The run that has made this checkpoint, or nothing."""
    known = {folder_of(project, row.path).resolve(): row.run_id for row in dataset.checkpoints()}
    return known.get(checkpoint.resolve()) or ""
