"""What goes round in a consistency run: steps, the memory's epochs, hooks, and the way back from a loss that diverged.

An epoch ends in this order: what is only watched is looked at, what is held out is measured, the memory's epoch is made
whole, and a checkpoint is saved.  Wherever a process dies, the newest checkpoint and the memory are at most one whole
epoch apart, which the memory can take back; so a run goes on exactly.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from locstudio.domain.errors import BadInput, UserError
from locstudio.jobs.configs import ConsistencyTraining
from locstudio.jobs.heatmaps import heatmaps_folder
from locstudio.jobs.training_files import BadBatch, bad_batch_file, write_document
from locstudio.models.consistency import Consistency
from trainer.checkpoint import Course, Restored, save_step
from trainer.class_batches import batches_of, rows_done, rows_of_step, steps_in_epoch
from trainer.class_paint import Paint
from trainer.consistency_step import ClassBatch, ConsistencyStep, learn
from trainer.context import RunContext
from trainer.device import num_loading_threads
from trainer.heat_memory import HeatMemory
from trainer.heat_plan import key_epochs_of
from trainer.history import RunHistory
from trainer.hooks import EvaluateEvery, ReportProgress, SaveCheckpoints
from trainer.label_reading import Ints
from trainer.loop import Hook, LoopEnd, StepMetrics, run_loop
from trainer.optim import learning_rate_at
from trainer.recipes.class_lesson import ClassLesson
from trainer.recipes.class_looking import BEST_METRIC, Eyes, seen
from trainer.tensorboard import TensorBoardCurves, open_curves
from trainer.training_step import LossDiverged, TrainingStep

SAVE_EVERY = 400
MAX_RETURNS = 1
MAX_WARMUP_STEPS = 50


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClassWork:
    """All that a run has made ready before its first step.

    Attributes:
        context: The run.
        training: How it trains.
        model: What learns.
        step: Adds the gradient.
        optimizer: Over the model's parameters that want gradients.
        lesson: All images.
        rows: Those that are learnt from and can be read.
        watched: Those that are only looked at and can be read.
        eyes: What the model takes of images.
        paint: What is shown on heatmaps.
        new_memory: Makes a memory that has seen nothing.
        history: What was measured and what happened.
        evaluate: Metrics on what is held out; empty where nothing is.
        write_model: Writes the model's own files after this step into a folder that does not exist yet.
        restore: Puts weights and optimiser back to the newest checkpoint that is whole, or to the beginning.
        start: Where the run is resumed from.
    """

    context: RunContext
    training: ConsistencyTraining
    model: Consistency
    step: ConsistencyStep
    optimizer: torch.optim.Optimizer
    lesson: ClassLesson
    rows: Ints
    watched: Ints
    eyes: Eyes
    paint: Paint
    new_memory: Callable[[Path], HeatMemory]
    history: RunHistory
    evaluate: Callable[[], Mapping[str, float]]
    write_model: Callable[[Path, int], object]
    restore: Callable[[], Restored]
    start: Restored

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every image is seen once."""
        return steps_in_epoch(len(self.rows), self.training.batch_size)

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.training.num_epochs * self.steps_per_epoch

    @property
    def key_epochs(self) -> tuple[int, ...]:
        """Epochs of which heatmaps are kept for looking back."""
        return key_epochs_of(self.training.num_epochs, self.training.num_key_frames)


def go_round(work: ClassWork) -> bool:
    """Do the steps that are left and save where they end; True if the run was stopped.

    Raises:
        StorageFailed: the disk refuses.
        UserError: the loss is no number again and again, or memory is too small.
    """
    rounds = _Rounds(work)
    try:
        return rounds.run()
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"The memory of the GPU is too small for {work.training.batch_size} images at once; train with a smaller "
            "batch. Checkpoints from before are kept."
        ) from error
    finally:
        rounds.close()


def batches(work: ClassWork, first_step: int) -> Iterator[ClassBatch]:
    """The batch of every step from this one on."""
    trains_all = work.training.trains == "all"
    return batches_of(
        work.lesson.images,
        work.lesson.told,
        work.rows,
        range(first_step, work.num_steps),
        work.training,
        seed=work.context.config.seed,
        paint=work.paint,
        inputs=work.eyes.inputs,
        frame=None if trains_all else work.model.frame,
        num_threads=num_loading_threads(work.context.device) if trains_all else 1,
    )


class _Rounds:
    """The parts of one loop, put together, with what changes on the way."""

    def __init__(self, work: ClassWork) -> None:
        reporter = work.context.reporter
        self._work = work
        self._rate_factor = work.start.course.rate_factor
        self._num_returns = work.start.course.num_returns
        self._step: TrainingStep[ClassBatch] = TrainingStep(
            self._gradient, lambda batch: batch.num_images, work.optimizer, self._rate, first_step=work.start.step
        )
        self._evaluating = EvaluateEvery(reporter, work.evaluate, 1, work.num_steps, then=self._on_evaluated)
        self._saving = SaveCheckpoints(
            reporter,
            work.context.folder,
            self._save,
            SAVE_EVERY,
            value_at=lambda step: work.history.metrics_at(step).get(BEST_METRIC) if step else None,
            metric=BEST_METRIC,
            first_step=work.start.step,
        )
        self._memory = self._open_memory(work.start.step)
        self._curves: TensorBoardCurves | None = None
        if work.training.has_tensorboard:
            self._curves = open_curves(work.context.folder.path, work.start.step, reporter.note)

    def close(self) -> None:
        """Let go of what is open."""
        self._memory.close()
        if self._curves is not None:
            self._curves.close()

    def run(self) -> bool:
        """The rounds, from first to last."""
        work = self._work
        first_step = work.start.step
        if first_step == 0 and not work.history.before:
            self._evaluating.evaluate_now(0)
        work.model.train()
        report = ReportProgress(work.context.reporter, work.num_steps)
        while True:
            try:
                end = self._go(first_step, report)
                break
            except LossDiverged as problem:
                first_step = self._go_back(problem)
        if end.was_stopped:
            work.history.happen(f"Stopped after step {end.step}.")
        self._saving.save_now(end.step)
        return end.was_stopped

    def _go(self, first_step: int, report: ReportProgress) -> LoopEnd:
        hooks: list[Hook] = [report, self._on_step]
        if self._curves is not None:
            hooks.append(self._curves)
        return run_loop(
            batches(self._work, first_step),
            self._step,
            hooks,
            should_stop=self._should_stop,
            first_step=first_step,
        )

    def _should_stop(self) -> bool:
        context = self._work.context
        is_epoch_end = self._step.number % self._work.steps_per_epoch == 0
        return context.should_stop() or (is_epoch_end and context.stops_at_epoch_end())

    def _gradient(self, batch: ClassBatch) -> dict[str, Tensor]:
        return learn(self._work.step, batch.to(self._work.context.device), self._memory, self._memory.epoch)

    def _rate(self, number: int) -> float:
        work = self._work
        rate = learning_rate_at(
            number,
            peak=work.training.learning_rate,
            num_warmup_steps=min(MAX_WARMUP_STEPS, work.steps_per_epoch),
            num_steps=work.num_steps,
        )
        return self._rate_factor * rate

    def _on_step(self, step: int, _metrics: StepMetrics) -> None:
        work = self._work
        epoch, place = divmod(step, work.steps_per_epoch)
        if place:
            if place % SAVE_EVERY == 0:
                self._saving.save_now(step)
            return
        if epoch in work.key_epochs:
            self._watch()
        if epoch % work.training.evaluate_every == 0 or epoch == work.training.num_epochs:
            self._evaluating.evaluate_now(step)
        self._memory.end_epoch()
        self._saving.save_now(step)

    def _watch(self) -> None:
        """Look at what is not learnt from, so that its heatmaps are there too; from time to time, as it costs."""
        work = self._work
        # What was never looked at has no past.
        is_first = self._memory.epoch + 1 <= min(work.key_epochs)
        momentum = np.float32(0 if is_first else work.training.momentum)
        for part in seen(work.model, work.eyes, work.lesson.images, work.watched):
            averages_BL, maps_BLWW = self._memory.rows_before(part.rows)
            averages_BL = momentum * averages_BL + (1 - momentum) * part.scores_BL
            maps_BLWW = momentum * maps_BLWW + (1 - momentum) * part.maps_BLWW
            self._memory.put(part.rows, part.scores_BL, averages_BL, maps_BLWW)
            work.context.reporter.alive()

    def _on_evaluated(self, step: int, metrics: dict[str, float]) -> None:
        self._work.history.measured(step, metrics)
        if self._curves is not None:
            self._curves.evaluated(step, metrics)

    def _save(self, step: int, keep: Collection[str]) -> Path:
        work = self._work
        self._memory.flush()
        folder = save_step(
            work.context.folder.checkpoints,
            step,
            work.model,
            work.optimizer,
            lambda partial: work.write_model(partial, step),
            course=Course(rate_factor=self._rate_factor, num_returns=self._num_returns),
            keep=keep,
        )
        self._memory.name_checkpoint(work.model.id)
        return folder

    def _open_memory(self, step: int) -> HeatMemory:
        """The memory as it was after this step."""
        work = self._work
        folder = heatmaps_folder(work.context.folder.results)
        # Of fewer images than before, some of which can no longer be read, a run may be over already.
        step = min(step, work.num_steps)
        epoch = step // work.steps_per_epoch
        seed, size = work.context.config.seed, work.training.batch_size
        done = rows_done(work.rows, step, batch_size=size, seed=seed)
        memory: HeatMemory | None = None
        if step:
            try:
                memory = HeatMemory.resume(
                    folder, epoch, key_epochs=work.key_epochs, num_key_slots=work.training.num_key_slots
                )
            except BadInput as problem:
                self._say(f"{problem} The run remembers anew.")
        if memory is None or memory.epoch != epoch:
            memory = work.new_memory(folder) if memory is None else memory
            if memory.epoch:
                self._say(f"The heatmaps are those after epoch {memory.epoch}, the weights those after {epoch}.")
            memory.count_from(epoch, done)
        memory.begin_epoch(done=done)
        return memory

    def _go_back(self, problem: LossDiverged) -> int:
        """Once, to the last good checkpoint with half the rate; the second time the run has failed."""
        work = self._work
        if self._num_returns >= MAX_RETURNS:
            ids = self._image_ids(problem.step)
            write_document(bad_batch_file(work.context.folder), BadBatch(step=problem.step, image_ids=ids))
            raise UserError(
                f"{problem} Half the learning rate did not help. The images of that batch are listed in "
                f"results/bad_batch.json ({len(ids)} images); look at them, or train again with a lower learning rate. "
                "Checkpoints from before are kept."
            )
        restored = work.restore()
        self._num_returns += 1
        self._rate_factor /= 2
        self._step.go_back(restored.step)
        self._saving.go_back(restored.step)
        self._memory.close()
        self._memory = self._open_memory(restored.step)
        self._say(f"{problem} The run goes on from step {restored.step} with half the learning rate.")
        return restored.step

    def _image_ids(self, step: int) -> tuple[int, ...]:
        """The images of the step with this number, counted from 1."""
        work = self._work
        rows = rows_of_step(work.rows, step - 1, batch_size=work.training.batch_size, seed=work.context.config.seed)
        return tuple(work.lesson.images[row].image.id for row in rows.tolist())

    def _say(self, sentence: str) -> None:
        self._work.context.reporter.note(sentence)
        self._work.history.happen(sentence)
