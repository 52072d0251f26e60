"""What a person decides when she presses Retrain, and what she is told before she does.  No torch.

The numbers come in two steps: at once from the dataset and from earlier runs, as a guess that says so; then from a dry
run, which times a few real steps on this machine and leaves nothing behind.
"""

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import HELD_OUT_SPLITS, Problem, Region, Review
from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.configs import ClocTraining, Preset
from locstudio.jobs.messages import Estimated
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunState
from locstudio.services.adoption import best_checkpoint, register_checkpoint
from locstudio.services.checkpoints import active_folder
from locstudio.services.curves import read_curves
from locstudio.services.lineage import corrections_newer_than
from locstudio.services.promotion import active_id
from locstudio.services.registry import registry
from locstudio.services.run_summary import RunSummary
from locstudio.services.runs import list_runs
from locstudio.services.starting import MIN_FREE_BYTES, PRESETS, start_compare, start_train
from locstudio.store.dataset import Dataset
from locstudio.store.filters import ImageFilter
from locstudio.store.project import Project
from locstudio.store.view import DatasetView

_PAGE = 500
# Of the quick preset on one core that is otherwise idle; a dry run says better within seconds.
_START_S, _ENCODE_S, _EMBED_S, _EVALUATE_S = 12.0, 0.12, 0.05, 4.0
_STEP_S_OF_AN_IMAGE = 0.016
_LIVE = (RunState.QUEUED, RunState.RUNNING, RunState.STOPPING)
Source = Literal["guess", "earlier runs", "measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainChoice:
    """What a person chooses; ``num_steps`` 0 is what the preset has, and an empty ``title`` is the preset's name."""

    preset: Preset = "quick"
    num_steps: int = 0
    seed: int = 0
    has_grounding: bool = True
    has_text_filter: bool = True
    include_pending: bool = False
    title: str = ""

    def training(self) -> ClocTraining:
        """The settings of the run."""
        preset = PRESETS[self.preset]
        num_steps = self.num_steps or preset.num_steps
        return msgspec.structs.replace(
            preset,
            num_steps=num_steps,
            num_warmup_steps=min(preset.num_warmup_steps, num_steps // 4),
            evaluate_every=min(preset.evaluate_every, max(1, num_steps // 3)),
            has_grounding=self.has_grounding,
            text_filter=preset.text_filter if self.has_text_filter else None,
            include_pending=self.include_pending,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is to learn from.

    Attributes:
        num_regions: Reviewed regions with a phrase or a class, held-out ones included.
        num_images: Images that have one.
        num_pending: Proposals of a model that nobody has looked at.
        num_unusable: Images whose file cannot be read.
        held_out_split: The split that is measured and not learnt from; where the project names none, a share of the
            images is drawn when the run begins.
        num_held_out: Its regions, or None where they are not drawn yet.
    """

    num_regions: int = 0
    num_images: int = 0
    num_pending: int = 0
    num_unusable: int = 0
    held_out_split: str = ""
    num_held_out: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the run will take, and how we know.  ``memory_bytes`` and ``disk_bytes`` are 0 where nobody knows yet."""

    seconds: float
    source: Source
    memory_bytes: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainPlan:
    """What would happen, in numbers; ``problems`` are sentences for which it cannot start.

    ``waits_for`` is the title of the run that must end before, or empty.  ``num_newer`` counts the corrections that the
    model in use has never seen, None where that is not known.
    """

    choice: RetrainChoice
    material: Material
    estimate: Estimate
    free_bytes: int
    parent: str = ""
    waits_for: str = ""
    num_newer: int | None = None
    problems: tuple[str, ...] = field(default=())


def plan_retraining(
    project: Project, dataset: DatasetView, checkpoint: Path | None, choice: RetrainChoice
) -> RetrainPlan:
    """Say what retraining would mean now.  Reads every region once, so call it on a worker."""
    material = count_material(dataset, include_pending=choice.include_pending)
    runs = list_runs(project)
    free = shutil.disk_usage(project.path).free
    before = next((run for run in runs if _takes_turns(run)), None)
    return RetrainPlan(
        choice=choice,
        material=material,
        estimate=guess(choice.training(), material.num_images, runs),
        free_bytes=free,
        parent=_name_of(dataset, checkpoint),
        waits_for=(before.title or before.id) if before else "",
        num_newer=_num_newer(project, dataset),
        problems=tuple(_problems(material, free, checkpoint)),
    )


def _num_newer(project: Project, dataset: DatasetView) -> int | None:
    active = next((entry for entry in registry(project, dataset) if entry.is_active), None)
    return corrections_newer_than(dataset, active) if active is not None else None


def count_material(dataset: DatasetView, *, include_pending: bool = False) -> Material:
    """Count what a run would learn from, as the trainer chooses it."""
    names = {label.id: label.name for label in dataset.classes() if not label.is_retired}
    num_regions = num_images = num_pending = num_unusable = 0
    held_out = dict.fromkeys(HELD_OUT_SPLITS, 0)
    last = 0
    while page := dataset.image_page(ImageFilter(order="id"), after_id=last, limit=_PAGE):
        last = page[-1].id
        regions = dataset.regions_of_images([image.id for image in page])
        for image in page:
            if image.problem is not Problem.NONE:
                num_unusable += 1
                continue
            described = [region for region in regions[image.id] if _is_described(region, names)]
            waiting = [r for r in described if r.review is Review.PENDING and not r.is_ground_truth and not r.is_crowd]
            num_true = sum(region.is_ground_truth for region in described)
            num_pending += len(waiting)
            if image.split in held_out:
                held_out[image.split] += num_true
            elif include_pending:
                num_true += len(waiting)
            num_regions += num_true
            num_images += num_true > 0
    split = next((name for name, count in held_out.items() if count), "")
    return Material(
        num_regions=num_regions,
        num_images=num_images,
        num_pending=num_pending,
        num_unusable=num_unusable,
        held_out_split=split,
        num_held_out=held_out[split] if split else None,
    )


def guess(training: ClocTraining, num_images: int, runs: list[RunSummary]) -> Estimate:
    """How long it takes, going by the last run with the same batches, else by the speed of an ordinary computer."""
    num_shown = min(num_images, training.num_steps * training.batch_size)
    around = _START_S + num_shown * _ENCODE_S + num_images * _EMBED_S
    around += _EVALUATE_S * (1 + training.num_steps // max(1, training.evaluate_every))
    for run in runs:
        seconds = _seconds_per_step(run, training)
        if seconds is not None:
            return Estimate(seconds=around + training.num_steps * seconds, source="earlier runs")
    seconds = training.num_steps * training.batch_size * _STEP_S_OF_AN_IMAGE
    return Estimate(seconds=around + seconds, source="guess")


def measured(said: Estimated, timed: ClocTraining, wanted: ClocTraining) -> Estimate:
    """The estimate of a dry run, also where the person has meanwhile chosen another number of steps."""
    extra = (wanted.num_steps - timed.num_steps) * said.seconds_per_step
    return Estimate(
        seconds=max(1.0, said.seconds + extra),
        source="measured",
        memory_bytes=said.memory_bytes,
        disk_bytes=said.disk_bytes,
    )


def start_retraining(project: Project, dataset: Dataset, checkpoint: Path, choice: RetrainChoice) -> RunFolder:
    """Make the run.  As ``start_train``."""
    title = choice.title.strip() or choice.preset.capitalize()
    return start_train(project, dataset, checkpoint, training=choice.training(), seed=choice.seed, title=title)


def start_dry_run(project: Project, dataset: Dataset, checkpoint: Path, choice: RetrainChoice) -> RunFolder:
    """Make a run that only says how long it would take; whoever has heard it takes it away by ``forget_run``."""
    training = msgspec.structs.replace(choice.training(), is_dry_run=True)
    return start_train(project, dataset, checkpoint, training=training, seed=choice.seed, title="Estimate")


def is_dry_run(folder: RunFolder) -> bool:
    """Whether a run only times a few steps."""
    with suppress(BadInput):
        training = folder.config().cloc
        return training is not None and training.is_dry_run
    return False


def forget_run(folder: RunFolder) -> None:
    """Take a run's folder away; one of a dry run holds nothing that anybody wants."""
    (folder.path / "config.json").unlink(missing_ok=True)  # first, so that half a folder is no run
    shutil.rmtree(folder.path, ignore_errors=True)


def sweep_dry_runs(project: Project) -> None:
    """Take away dry runs that a window has left behind; one that still goes on is left alone."""
    for run in list_runs(project):
        if run.kind == "cloc" and not run.has_process and is_dry_run(run.folder):
            forget_run(run.folder)


def start_comparison(
    project: Project, dataset: Dataset, folder: RunFolder, *, device: str = "auto"
) -> RunFolder | None:
    """Make the run that says what a training has changed; None where it saved nothing, or is in use already.

    Its checkpoint is put among the project's, without being taken into use.
    """
    try:
        new = best_checkpoint(folder)
    except BadInput:
        return None
    row = register_checkpoint(project, dataset, folder)
    if row.id == active_id(dataset):
        return None
    old = active_folder(project, dataset)
    return start_compare(project, dataset, old, new, held_out=folder.id, device=device)


def _name_of(dataset: DatasetView, checkpoint: Path | None) -> str:
    """What the project calls its model."""
    active = dataset.active_checkpoint()
    if active is not None:
        return active.name
    with suppress(BadInput):
        return checkpoint_info(checkpoint).name if checkpoint else ""
    return ""


def _takes_turns(run: RunSummary) -> bool:
    return run.state in _LIVE and run.has_process and run.kind not in ("embed", "vesl") and not is_dry_run(run.folder)


def _seconds_per_step(run: RunSummary, training: ClocTraining) -> float | None:
    if run.kind != "cloc":
        return None
    with suppress(BadInput):
        done = run.folder.config().cloc
        if done is None or done.is_dry_run or done.batch_size != training.batch_size:
            return None
        times = read_curves(run.folder).seconds_per_step
        times = times[np.isfinite(times)]
        return float(np.median(times)) if len(times) else None
    return None


def _is_described(region: Region, names: dict[int, str]) -> bool:
    return bool(region.phrase.strip() or (region.class_id is not None and names.get(region.class_id)))


def _problems(material: Material, free: int, checkpoint: Path | None) -> list[str]:
    problems = []
    if checkpoint is None:
        problems.append("This installation has no model to train from.")
    if material.num_regions == 0:
        problems.append(
            "There is nothing to learn from yet: no reviewed region has a phrase or a class. Draw boxes and describe "
            "them, or accept proposals, then retrain."
        )
    elif material.num_held_out == material.num_regions:
        split = material.held_out_split
        problems.append(f"Every reviewed region lies in the split “{split}”, which is measured and never learnt from.")
    if free < MIN_FREE_BYTES:
        problems.append(
            f"Training needs {MIN_FREE_BYTES / 1e9:.1f} GB of free space; there are {free / 1e9:.1f} GB. Make room, "
            "then retrain."
        )
    return problems
