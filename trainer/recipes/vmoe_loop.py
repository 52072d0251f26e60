"""One stage of a Mobile V-MoE's training: steps, evaluations, checkpoints, and the way back from a loss that diverged.

A run has two: the dense twin, then the model with experts.  Steps are counted through both; a stage counts its own from
0 and says ``first`` plus that.  An epoch ends in this order: what is held out is measured, a checkpoint is saved, and
what belongs to the saved epoch is written.  Wherever a process dies, the run goes on from the newest checkpoint, and
what was not written for its epoch is written then.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from locstudio.domain.errors import LocStudioError, UserError
from locstudio.jobs.configs import VmoeTraining
from locstudio.jobs.training_files import BadBatch, bad_batch_file, write_document
from locstudio.models.mobile_vmoe import MobileVmoe
from trainer.checkpoint import Course, Restored, restore_step, save_step, step_folders
from trainer.class_batches import rows_of_step, steps_in_epoch
from trainer.context import RunContext
from trainer.device import num_loading_threads
from trainer.history import RunHistory
from trainer.hooks import EvaluateEvery, ReportProgress, SaveCheckpoints
from trainer.label_reading import Ints
from trainer.loop import Hook, LoopEnd, StepMetrics, run_loop
from trainer.optim import learning_rate_at, make_optimizer
from trainer.recipes.vmoe_lesson import VmoeLesson
from trainer.tensorboard import TensorBoardCurves, open_curves
from trainer.training_step import LossDiverged, TrainingStep
from trainer.vmoe_batches import num_steps_of, vmoe_batches
from trainer.vmoe_inputs import VmoeInputs
from trainer.vmoe_measuring import BEST_METRIC
from trainer.vmoe_step import VmoeBatch, VmoeStep

SAVE_EVERY = 400
MAX_RETURNS = 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stage:
    """All that a stage has made ready before its first step.

    Attributes:
        context: The run.
        training: How it trains.
        make: The model as the stage begins, the same every time.
        lesson: All images.
        rows: Those that are learnt from and can be read.
        num_epochs: Of this stage.
        first: Steps of the run before this stage.
        num_steps: Steps of the whole run.
        inputs: What the model takes of images.
        history: What was measured and what happened.
        evaluate: Metrics of a model on what is held out; empty where nothing is.
        checkpoints: Where its checkpoints lie.
        is_said: Its checkpoints are worth having by themselves, so they are told and the best of them is remembered.
        measures_start: Measure the model as it begins, since it is one that somebody has used.
        write_model: Writes the model's own files after this step of the run into a folder that does not exist yet.
        on_epoch: Called with the model and the number of epochs done once a checkpoint of them stands.
    """

    context: RunContext
    training: VmoeTraining
    make: Callable[[], MobileVmoe]
    lesson: VmoeLesson
    rows: Ints
    num_epochs: int
    first: int
    num_steps: int
    inputs: VmoeInputs
    history: RunHistory
    evaluate: Callable[[MobileVmoe], Mapping[str, float]]
    checkpoints: Path
    is_said: bool
    write_model: Callable[[MobileVmoe, Path, int], object]
    measures_start: bool = False
    on_epoch: Callable[[MobileVmoe, int], object] = lambda _model, _epoch: None

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every image is seen once."""
        return steps_in_epoch(len(self.rows), self.training.batch_size)

    @property
    def num_own_steps(self) -> int:
        """Steps of this stage."""
        return num_steps_of(len(self.rows), self.num_epochs, self.training.batch_size)


def do_stage(stage: Stage) -> tuple[MobileVmoe, bool]:
    """Do the steps that are left and save where they end: the model, and True if the run was stopped.

    Raises:
        StorageFailed: the disk refuses.
        UserError: the loss is no number again and again, or memory is too small.
    """
    rounds = _Rounds(stage)
    try:
        return rounds.model, rounds.run()
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"The memory of the GPU is too small for {stage.training.batch_size} images at once; train with a smaller "
            "batch. Checkpoints from before are kept."
        ) from error
    finally:
        rounds.close()


def newest_step(checkpoints: Path) -> int:
    """The step of the newest complete checkpoint of a stage, by its name; 0 where there is none."""
    return next((int(folder.name.removeprefix("step_")) for folder in step_folders(checkpoints)), 0)


class _Rounds:
    """The parts of one loop, put together, with what changes on the way."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        reporter = stage.context.reporter
        torch.manual_seed(stage.context.config.seed + stage.first)
        self.model = stage.make()
        training = stage.training
        self._optimizer = make_optimizer(
            self.model, learning_rate=training.learning_rate, weight_decay=training.weight_decay
        )
        start = self._restore()
        self._start = start
        self._rate_factor = start.course.rate_factor
        self._num_returns = start.course.num_returns
        self._gradient = VmoeStep(self.model, training)
        own = max(0, start.step - stage.first)
        self._step: TrainingStep[VmoeBatch] = TrainingStep(
            self._learn, lambda batch: len(batch.target_BL), self._optimizer, self._rate, first_step=own
        )
        self._evaluating = EvaluateEvery(
            reporter, lambda: stage.evaluate(self.model), 1, stage.num_steps, then=self._on_evaluated
        )
        self._saving: SaveCheckpoints | None = None
        self._saved = start.step if start.step > stage.first else -1
        if stage.is_said:
            self._saving = SaveCheckpoints(
                reporter,
                stage.context.folder,
                self._save,
                SAVE_EVERY,
                value_at=lambda step: stage.history.metrics_at(step).get(BEST_METRIC) if step else None,
                metric=BEST_METRIC,
                first_step=start.step,
                is_later_better=True,  # of few images many are named alike, while the router goes on learning
            )
        self._curves: TensorBoardCurves | None = None
        if training.has_tensorboard:
            self._curves = open_curves(stage.context.folder.path, start.step, reporter.note)

    def close(self) -> None:
        """Let go of what is open."""
        if self._curves is not None:
            self._curves.close()

    def run(self) -> bool:
        """The rounds, from first to last."""
        stage = self._stage
        report = ReportProgress(stage.context.reporter, stage.num_steps)
        if self._step.number and self._step.number % stage.steps_per_epoch == 0:
            stage.on_epoch(self.model, self._step.number // stage.steps_per_epoch)
        if stage.measures_start and not self._step.number and not stage.history.before:
            self._evaluating.evaluate_now(0)
        self.model.train()
        while True:
            try:
                end = self._go(report)
                break
            except LossDiverged as problem:
                self._go_back(problem)
        if end.was_stopped:
            stage.history.happen(f"Stopped after step {stage.first + end.step}.")
        if end.step:
            self._save_now(stage.first + end.step)
        return end.was_stopped

    def _go(self, report: ReportProgress) -> LoopEnd:
        stage = self._stage

        def shifted(hook: Hook) -> Hook:
            return lambda step, metrics: hook(stage.first + step, metrics)

        hooks: list[Hook] = [shifted(report), self._on_step]
        if self._curves is not None:
            hooks.append(shifted(self._curves))
        device = stage.context.device
        batches = vmoe_batches(
            stage.lesson,
            stage.rows,
            range(self._step.number, stage.num_own_steps),
            stage.training,
            stage.inputs,
            seed=stage.context.config.seed,
            num_threads=num_loading_threads(device),
        )
        return run_loop(batches, self._step, hooks, should_stop=self._should_stop, first_step=self._step.number)

    def _should_stop(self) -> bool:
        context = self._stage.context
        is_epoch_end = self._step.number % self._stage.steps_per_epoch == 0
        return context.should_stop() or (is_epoch_end and context.stops_at_epoch_end())

    def _learn(self, batch: VmoeBatch) -> dict[str, Tensor]:
        return self._gradient(batch.to(self._stage.context.device))

    def _rate(self, number: int) -> float:
        stage = self._stage
        warmup = min(stage.training.num_warmup_epochs * stage.steps_per_epoch, stage.num_own_steps // 4)
        rate = learning_rate_at(
            number, peak=stage.training.learning_rate, num_warmup_steps=warmup, num_steps=stage.num_own_steps
        )
        return self._rate_factor * rate

    def _on_step(self, own_step: int, _metrics: StepMetrics) -> None:
        stage = self._stage
        epoch, place = divmod(own_step, stage.steps_per_epoch)
        step = stage.first + own_step
        if place:
            if place % SAVE_EVERY == 0:
                self._save_now(step)
            return
        if epoch % stage.training.evaluate_every == 0 or epoch == stage.num_epochs:
            self._evaluating.evaluate_now(step)
        self._save_now(step)
        stage.on_epoch(self.model, epoch)
        self.model.train()

    def _on_evaluated(self, step: int, metrics: dict[str, float]) -> None:
        self._stage.history.measured(step, metrics)
        if self._curves is not None:
            self._curves.evaluated(step, metrics)

    def _save_now(self, step: int) -> None:
        if self._saving is not None:
            self._saving.save_now(step)
        elif step != self._saved:
            self._save(step, ())
        self._saved = step

    def _save(self, step: int, keep: Collection[str]) -> Path:
        stage = self._stage
        stage.checkpoints.mkdir(parents=True, exist_ok=True)
        return save_step(
            stage.checkpoints,
            step,
            self.model,
            self._optimizer,
            lambda partial: stage.write_model(self.model, partial, step),
            course=Course(rate_factor=self._rate_factor, num_returns=self._num_returns),
            keep=keep,
        )

    def _restore(self, *, starts_over: bool = False) -> Restored:
        """From the newest checkpoint of the stage that is whole; from its beginning when there is none."""
        stage = self._stage
        for folder in step_folders(stage.checkpoints):
            try:
                return restore_step(folder, self.model, self._optimizer)
            except LocStudioError as problem:
                stage.context.reporter.note(f"{problem} An earlier one is tried.")
        if starts_over:
            torch.manual_seed(stage.context.config.seed + stage.first)
            self.model.load_state_dict(stage.make().state_dict())
            self._optimizer.state.clear()
        return Restored(stage.first, Course(), {})

    def _go_back(self, problem: LossDiverged) -> None:
        """Once, to the last good checkpoint with half the rate; the second time the run has failed."""
        stage = self._stage
        if self._num_returns >= MAX_RETURNS:
            ids = self._image_ids(problem.step)
            bad = BadBatch(step=stage.first + problem.step, image_ids=ids)
            write_document(bad_batch_file(stage.context.folder), bad)
            raise UserError(
                f"{problem} Half the learning rate did not help. The images of that batch are listed in "
                f"results/bad_batch.json ({len(ids)} images); look at them, or train again with a lower learning rate. "
                "Checkpoints from before are kept."
            )
        restored = self._restore(starts_over=True)
        self._num_returns += 1
        self._rate_factor /= 2
        self._step.go_back(restored.step - stage.first)
        self._saved = restored.step if restored.step > stage.first else -1
        if self._saving is not None:
            self._saving.go_back(restored.step if restored.step > stage.first else 0)
        sentence = f"{problem} The run goes on from step {restored.step} with half the learning rate."
        stage.context.reporter.note(sentence)
        stage.history.happen(sentence)

    def _image_ids(self, own_step: int) -> tuple[int, ...]:
        """The images of the stage's step with this number, counted from 1."""
        stage = self._stage
        rows = rows_of_step(
            stage.rows, own_step - 1, batch_size=stage.training.batch_size, seed=stage.context.config.seed
        )
        return tuple(stage.lesson.images[row].image.id for row in rows.tolist())
