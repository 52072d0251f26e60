"""What goes round in a CLOC run: batches, the step and its gradient, hooks, and the way back from a loss that diverged.

Several processes go round together: each has its share of every batch, ``cloc_ranks`` makes one gradient of theirs, and
the hooks, which are all that speaks or writes, are the first one's.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from locstudio.domain.errors import UserError
from locstudio.jobs.configs import ClocTraining
from locstudio.jobs.training_files import BadBatch, Samples, bad_batch_file, samples_file, write_document
from locstudio.models.cloc import Cloc
from trainer.averaging import RunningMean
from trainer.batches import batches_of, pixels_of
from trainer.checkpoint import Course, Restored, save_step
from trainer.context import RunContext
from trainer.data import TrainingImage, draws_of_step, steps_per_epoch
from trainer.device import num_loading_threads
from trainer.encoding import TokenSource
from trainer.gradient import Gather, SplitStep, gradient_of
from trainer.history import RunHistory
from trainer.hooks import EvaluateEvery, ReportProgress, SaveCheckpoints
from trainer.loop import Hook, LoopEnd, StepMetrics, run_loop
from trainer.optim import learning_rate_at
from trainer.recipes.cloc_batch import ClocBatch
from trainer.recipes.cloc_measuring import BEST_METRIC, value_of
from trainer.recipes.cloc_model import words_kept
from trainer.recipes.cloc_ranks import shared_gradient
from trainer.sparing import SparingGradient
from trainer.tensorboard import TensorBoardCurves, open_curves
from trainer.training_step import LossDiverged, TrainingStep

SAVE_EVERY = 200
MAX_RETURNS = 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClocWork:
    """All that a run has made ready before its first step.

    Attributes:
        context: The run.
        training: How it trains.
        model: What learns.
        step: Its two halves.
        optimizer: Over the model's parameters that want gradients.
        mean: Running mean of those parameters, or None.
        images: What is learnt from, all readable.
        source: Their tokens.
        history: What was measured and what happened.
        evaluate: Metrics on what is held out; empty where nothing is.
        sample: What the model says of a few held-out regions after this step.
        write_model: Writes the model's own files after this step into a folder that does not exist yet.
        restore: Puts everything back to the newest checkpoint that is whole, or to the beginning.
        start: Where the run is resumed from.
        seconds_after: What the run takes after its last step.
    """

    context: RunContext
    training: ClocTraining
    model: Cloc
    step: SplitStep
    optimizer: torch.optim.Optimizer
    mean: RunningMean | None
    images: Sequence[TrainingImage]
    source: TokenSource
    history: RunHistory
    evaluate: Callable[[], Mapping[str, float]]
    sample: Callable[[int], Samples]
    write_model: Callable[[Path, int], object]
    restore: Callable[[], Restored]
    start: Restored
    seconds_after: float = 0.0

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every image is seen once."""
        return steps_per_epoch(len(self.images), self.training.batch_size)


def go_round(work: ClocWork) -> bool:
    """Do the steps that are left and save where they end; True if the run was stopped.

    Raises:
        UserError: the loss is no number again and again, or memory is too small.
    """
    return _Rounds(work).run()


def batches(work: ClocWork, first_step: int) -> Iterator[ClocBatch]:
    """The batch of every step from this one on."""
    model, training = work.model, work.training
    needs_pixels = not training.is_tower_frozen or model.config.prompter.extractor == "crop"
    # Pixels are decoded by as many threads as keep a GPU busy; the CPU has its one core for the steps.
    num_threads = num_loading_threads(work.context.device) if needs_pixels else 1
    return batches_of(
        work.images,
        range(first_step, training.num_steps),
        batch_size=training.batch_size,
        num_regions=training.regions_per_image,
        seed=work.context.config.seed,
        tokens=work.source.tokens_of if training.is_tower_frozen else None,
        preprocess=(lambda image: model.preprocess(pixels_of(image, model.input_px))) if needs_pixels else None,
        share=work.context.ranks.share_of,
        num_threads=num_threads,
        words=words_kept(model, training),
    )


class _Rounds:
    """The parts of one loop, put together, with what changes on the way."""

    def __init__(self, work: ClocWork) -> None:
        training, reporter = work.training, work.context.reporter
        self._work = work
        self._rate_factor = work.start.course.rate_factor
        self._num_returns = work.start.course.num_returns
        self._gradient = SparingGradient(
            self._gradient_of,
            lambda: work.optimizer.zero_grad(set_to_none=True),
            self._on_halved,
            micro_batch=work.start.course.micro_batch or training.micro_batch,
            num_halvings=work.start.course.num_halvings,
        )
        self._learning = [parameter for parameter in work.model.parameters() if parameter.requires_grad]
        num_images = min(training.batch_size, len(work.images))
        self._step: TrainingStep[ClocBatch] = TrainingStep(
            self._gradient, lambda _: num_images, work.optimizer, self._rate, first_step=work.start.step
        )
        self._evaluating = EvaluateEvery(
            reporter, self._evaluate, training.evaluate_every, training.num_steps, then=self._on_evaluated
        )
        self._saving = SaveCheckpoints(
            reporter,
            work.context.folder,
            self._save,
            SAVE_EVERY,
            value_at=lambda step: value_of(work.history.metrics_at(step)) if step else None,
            metric=BEST_METRIC,
            first_step=work.start.step,
        )
        self._curves: TensorBoardCurves | None = None
        if training.has_tensorboard and work.context.ranks.is_first:
            self._curves = open_curves(work.context.folder.path, work.start.step, reporter.note)

    def run(self) -> bool:
        """The rounds, from first to last."""
        try:
            return self._run()
        finally:
            if self._curves is not None:
                self._curves.close()

    def _run(self) -> bool:
        work, ranks = self._work, self._work.context.ranks
        first_step = work.start.step
        if first_step == 0 and not work.history.before and ranks.is_first:
            self._evaluating.evaluate_now(0)
        ranks.meet(work.context.reporter.alive)
        hooks = self._hooks()
        while True:
            try:
                end = self._go(first_step, hooks)
                break
            except LossDiverged as problem:
                first_step = self._go_back(problem)
        if end.was_stopped:
            work.history.happen(f"Stopped after step {end.step}.")
        if ranks.is_first:
            self._saving.save_now(end.step)
        return end.was_stopped

    def _go(self, first_step: int, hooks: Sequence[Hook]) -> LoopEnd:
        return run_loop(
            batches(self._work, first_step),
            self._step,
            hooks,
            should_stop=self._should_stop,
            first_step=first_step,
        )

    def _hooks(self) -> list[Hook]:
        work, ranks = self._work, self._work.context.ranks
        hooks: list[Hook] = []
        mean = work.mean
        if ranks.is_first:
            num_steps, after = work.training.num_steps, work.seconds_after
            hooks.append(ReportProgress(work.context.reporter, num_steps, seconds_after=after))
        if mean is not None:
            hooks.append(lambda step, _: mean.fold(step))
        if ranks.is_first:
            hooks += [self._evaluating, self._saving]
        if self._curves is not None:
            hooks.append(self._curves)
        return hooks if ranks.is_alone else [*hooks, self._meet]

    def _meet(self, step: int, _metrics: StepMetrics) -> None:
        """Where the first process evaluates or saves, which takes long, the others wait for it, and it for nobody."""
        context, training = self._work.context, self._work.training
        context.reporter.alive()
        if step % training.evaluate_every == 0 or step % SAVE_EVERY == 0 or step == training.num_steps:
            context.ranks.meet(context.reporter.alive)

    def _should_stop(self) -> bool:
        """The strongest wish that any process has heard: 2 for after this step, 1 for after the epoch."""
        context = self._work.context
        is_epoch_end = self._step.number % self._work.steps_per_epoch == 0
        wish = context.ranks.largest(2 if context.should_stop() else int(context.stops_at_epoch_end()))
        return wish == 2 or (is_epoch_end and wish == 1)

    def _gradient_of(self, batch: ClocBatch, micro_batch: int) -> dict[str, Tensor]:
        def gradient(gather: Gather) -> dict[str, Tensor]:
            return gradient_of(self._work.step, batch, micro_batch, gather)

        return shared_gradient(self._work.context.ranks, gradient, self._learning)

    def _rate(self, number: int) -> float:
        training = self._work.training
        rate = learning_rate_at(
            number,
            peak=training.learning_rate,
            num_warmup_steps=training.num_warmup_steps,
            num_steps=training.num_steps,
        )
        return self._rate_factor * rate

    def _evaluate(self) -> Mapping[str, float]:
        with self._with_mean():
            return self._work.evaluate()

    def _on_evaluated(self, step: int, metrics: dict[str, float]) -> None:
        work = self._work
        work.history.measured(step, metrics)
        if self._curves is not None:
            self._curves.evaluated(step, metrics)
        with self._with_mean():
            samples = work.sample(step)
        if samples.regions:
            path = samples_file(work.context.folder, step)
            write_document(path, samples)
            work.context.reporter.sampled(step, path.relative_to(work.context.folder.path).as_posix())

    def _save(self, step: int, keep: Collection[str]) -> Path:
        def write_model(folder: Path) -> None:
            with self._with_mean():
                self._work.write_model(folder, step)

        return save_step(
            self._work.context.folder.checkpoints,
            step,
            self._work.model,
            self._work.optimizer,
            write_model,
            course=self._course(),
            mean=self._work.mean.tensors() if self._work.mean is not None else {},
            keep=keep,
        )

    def _with_mean(self) -> AbstractContextManager[None]:
        return self._work.mean.in_place() if self._work.mean is not None else nullcontext()

    def _course(self) -> Course:
        return Course(
            rate_factor=self._rate_factor,
            num_returns=self._num_returns,
            micro_batch=self._gradient.micro_batch,
            num_halvings=self._gradient.num_halvings,
        )

    def _on_halved(self, micro_batch: int) -> None:
        self._say(
            f"The memory of the GPU was too small; from step {self._step.number} on {micro_batch} images go through "
            "the model at once. The gradient, and so the result, is that of the whole batch; a step takes longer."
        )

    def _go_back(self, problem: LossDiverged) -> int:
        """Once, to the last good checkpoint with half the rate; the second time the run has failed."""
        work = self._work
        if self._num_returns >= MAX_RETURNS:
            ids = self._image_ids(problem.step)
            if work.context.ranks.is_first:
                write_document(bad_batch_file(work.context.folder), BadBatch(step=problem.step, image_ids=ids))
            raise UserError(
                f"{problem} Half the learning rate did not help. The images of that batch are listed in "
                f"results/bad_batch.json ({len(ids)} images); look at them, or train again with a lower learning rate. "
                "Checkpoints from before are kept."
            )
        restored = work.restore()
        if work.mean is not None:
            work.mean.restore(restored.mean)
        self._num_returns += 1
        self._rate_factor /= 2
        self._step.go_back(restored.step)
        self._saving.go_back(restored.step)
        self._say(f"{problem} The run goes on from step {restored.step} with half the learning rate.")
        return restored.step

    def _image_ids(self, step: int) -> tuple[int, ...]:
        """The images of the step with this number, counted from 1."""
        draws = draws_of_step(
            self._work.images,
            step - 1,
            batch_size=self._work.training.batch_size,
            num_regions=self._work.training.regions_per_image,
            seed=self._work.context.config.seed,
        )
        return tuple(self._work.images[draw.position].image.id for draw in draws)

    def _say(self, sentence: str) -> None:
        self._work.context.reporter.note(sentence)
        self._work.history.happen(sentence)
