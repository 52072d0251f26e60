"""A timed dry run of a Mobile V-MoE's training: every part is timed on a few images and multiplied.

What it writes, it writes into a temporary folder; cache, checkpoints and results of the project stay as they are.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from locstudio.jobs.configs import VmoeTraining
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.models.mobile_vmoe import MobileVmoe
from locstudio.models.mobile_vmoe_files import new_vmoe, save_vmoe
from locstudio.store.dataset import open_snapshot
from trainer.checkpoint import NUM_KEPT, save_step
from trainer.class_batches import steps_in_epoch
from trainer.context import RunContext
from trainer.device import describe_device, use_fast_products
from trainer.estimate import NUM_STEPS
from trainer.heat_plan import key_epochs_of
from trainer.optim import make_optimizer
from trainer.recipes.vmoe import MAX_CONFUSED, Shape
from trainer.recipes.vmoe_groups import Groups
from trainer.recipes.vmoe_lesson import VmoeLesson, read_vmoe_lesson
from trainer.recipes.vmoe_making import Plan, plan_of
from trainer.recipes.vmoe_routing import MAX_EVERY_EPOCH, NUM_KEY_EPOCHS
from trainer.timing import process_age, times_of, typical
from trainer.vmoe_batches import vmoe_batches
from trainer.vmoe_inputs import MAX_REMEMBERED_BYTES, VmoeInputs
from trainer.vmoe_measuring import BATCH, routes_of
from trainer.vmoe_step import VmoeStep

NUM_IMAGES = 6


def estimate_vmoe(context: RunContext) -> bool:
    """Say ``Estimated``; True if it was stopped before it knew.

    Raises:
        BadInput: there is nothing to learn from.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _DryRun(context, Path(scratch)).run()


class _DryRun:
    """One run as it would be, timed part by part."""

    def __init__(self, context: RunContext, scratch: Path) -> None:
        self._start = process_age()
        begun = time.monotonic()
        self._context = context
        self._scratch = scratch
        training = context.config.vmoe or VmoeTraining()
        use_fast_products(context.device)
        with open_snapshot(context.folder.snapshot) as dataset:
            self._lesson = read_vmoe_lesson(dataset, training, context.reporter.note)
        self._plan = plan_of(context, training, self._lesson, context.reporter.note)
        self._shape = Shape(self._plan, self._lesson)
        self._dense = new_vmoe(self._plan.dense_config).to(context.device)
        self._model = new_vmoe(_with_some_groups(self._plan)).to(context.device)
        self._known = VmoeInputs(self._dense, context.cache)
        self._inputs = VmoeInputs(self._dense, None)
        self._few: VmoeLesson | None = None
        self._start += time.monotonic() - begun

    def run(self) -> bool:
        """Time the parts and say what they come to; True if it was stopped."""
        context, lesson, training = self._context, self._lesson, self._plan.training
        context.reporter.started(
            device=describe_device(context.device),
            num_images=len(lesson.learnt),
            num_regions=lesson.num_positives,
            num_steps=self._shape.num_steps,
            num_held_out=lesson.held_out.num_regions,
            steps_per_epoch=steps_in_epoch(len(lesson.learnt), training.batch_size),
        )
        fresh = [row for row, file in enumerate(lesson.images) if not self._known.is_known(file)]
        found: dict[str, float] = {}
        for name, timed in (
            ("image", partial(self._read, set(fresh))),
            ("dense step", partial(self._step, self._dense)),
            ("step", partial(self._step, self._model)),
            ("look", self._look),
            ("save", self._save),
        ):
            if context.should_stop():
                return True
            found[name] = timed()
            context.reporter.alive()
        num_read = len(fresh) if self._inputs.has_cells else len(lesson.images)
        seconds = self._start + num_read * found["image"] + self._shape.first * found["dense step"]
        seconds += (self._shape.num_steps - self._shape.first) * found["step"]
        seconds += self._num_looks() * found["look"]
        seconds += (training.num_epochs + self._plan.has_twin * training.num_dense_epochs) * found["save"]
        context.reporter.estimated(
            seconds=round(seconds, 1),
            seconds_per_step=round(found["step"], 4),
            num_images_to_encode=len(fresh) if self._inputs.has_cells else 0,
            memory_bytes=self._memory(),
            disk_bytes=len(fresh) * self._known.bytes_of_image + (2 * NUM_KEPT + 2) * self._checkpoint_bytes(),
        )
        return False

    def _num_looks(self) -> int:
        """How often an image is looked at without learning from it."""
        training, num_watched = self._plan.training, len(self._shape.watched)
        num_dense = training.num_dense_epochs if self._plan.has_twin else 0
        num_evaluations = -(-training.num_epochs // training.evaluate_every) + -(-num_dense // training.evaluate_every)
        num_keys = training.num_epochs
        if num_watched > MAX_EVERY_EPOCH:
            num_keys = len(key_epochs_of(training.num_epochs, NUM_KEY_EPOCHS))
        looks = num_evaluations * len(self._shape.measured) + num_keys * num_watched
        if self._plan.finds_groups:
            looks += len(self._shape.apart) + min(len(self._lesson.learnt), MAX_CONFUSED)
        return looks + len(self._lesson.images)

    def _read(self, fresh: set[int]) -> float:
        """Seconds an image takes that nothing is known of; the ones that were read are what the steps are timed on."""
        lesson = self._lesson
        rows: list[int] = []
        times: list[float] = []
        begun = time.monotonic()
        for row in sorted(lesson.learnt.tolist(), key=lambda row: row not in fresh):
            ((_, problem),) = list(self._inputs.read([lesson.images[row]]))
            times.append(time.monotonic() - begun)
            begun = time.monotonic()
            rows += [] if problem is not None else [row]
            if len(rows) >= NUM_IMAGES:
                break
        if rows:
            at = np.array(rows, np.int64)
            self._few = replace(
                lesson,
                images=tuple(lesson.images[row] for row in rows),
                table=lesson.table.rows(at),
                target_NL=lesson.target_NL[at],
                weight_N=lesson.weight_N[at],
                learnt=np.arange(len(rows)),
            )
        return typical(times)

    def _step(self, model: MobileVmoe) -> float:
        """Seconds of a step on batches as large as the run's."""
        return typical(times_of(self._steps(model, self._few))) if self._few is not None else 0.0

    def _steps(self, model: MobileVmoe, few: VmoeLesson) -> Iterator[None]:
        training, context = self._plan.training, self._context
        # The same few images again and again, in batches of the run's size.
        rows = np.resize(few.learnt, min(training.batch_size, len(self._lesson.learnt)))
        step = VmoeStep(model, training)
        optimizer = make_optimizer(model, learning_rate=training.learning_rate, weight_decay=training.weight_decay)
        model.train()
        for batch in vmoe_batches(few, rows, range(NUM_STEPS), training, self._inputs, seed=context.config.seed):
            optimizer.zero_grad(set_to_none=True)
            if torch.isfinite(step(batch.to(context.device))["loss"]):
                optimizer.step()
            if context.device.type == "cuda":
                torch.cuda.synchronize(context.device)
            context.reporter.alive()
            yield

    def _look(self) -> float:
        """Seconds to look at an image of which everything is known."""
        if self._few is None:
            return 0.0
        files = [self._few.images[row] for row in np.resize(self._few.learnt, BATCH).tolist()]
        return typical(times_of(len(routes_of(self._model, self._inputs, files).scores_NL) for _ in range(3))) / BATCH

    def _save(self) -> float:
        """Seconds of one checkpoint, written beside nothing of the run."""
        optimizer = make_optimizer(self._model, learning_rate=1e-3, weight_decay=0.0)
        begun = time.monotonic()
        with suppress(OSError):
            save_step(
                self._scratch,
                1,
                self._model,
                optimizer,
                lambda folder: save_vmoe(self._model, folder, card="", metrics={}),
            )
        return time.monotonic() - begun

    def _memory(self) -> int:
        """The most that was taken so far, of the GPU or of the machine, and what a run keeps of images in memory."""
        if self._context.device.type == "cuda":
            return torch.cuda.max_memory_reserved(self._context.device)
        unit = 1 if sys.platform == "darwin" else 1024
        kept = min(self._inputs.bytes_in_memory * len(self._lesson.images), MAX_REMEMBERED_BYTES)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + kept

    def _checkpoint_bytes(self) -> int:
        """Of one checkpoint; its optimiser, which had not learnt yet, will have two numbers a weight."""
        written = sum(path.stat().st_size for path in (self._scratch / "step_1").rglob("*") if path.is_file())
        return written + 8 * sum(weight.numel() for weight in self._model.parameters() if weight.requires_grad)


def _with_some_groups(plan: Plan) -> VmoeConfig:
    """The model with experts before anybody knows its superclasses."""
    num_groups = plan.config.num_experts
    names = tuple(f"superclass {number + 1}" for number in range(num_groups))
    group_L = np.arange(len(plan.config.classes)) % num_groups
    return plan.with_groups(Groups(names, group_L, "clusters"))
