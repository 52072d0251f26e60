"""What goes round in a CLOC run: batches, the step and its gradient, hooks.

The seam for several processes: ``TrainedStep.outputs``, then ``gather``, then ``TrainedStep.contrast``, put together by
``trainer.gradient``; batches follow from the number of a step alone, and hooks are all that speaks or writes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from locstudio.jobs.configs import ClocTraining
from locstudio.models.cloc import Cloc
from trainer.batches import batches_of, pixels_of
from trainer.checkpoint import save_step
from trainer.context import RunContext
from trainer.data import TrainingImage
from trainer.encoding import TokenSource
from trainer.gradient import Gather, SplitStep, gradient_of, identity
from trainer.hooks import EvaluateEvery, ReportProgress, SaveCheckpoints
from trainer.loop import Hook, run_loop
from trainer.optim import learning_rate_at
from trainer.recipes.cloc_batch import ClocBatch
from trainer.training_step import TrainingStep

SAVE_EVERY = 200


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClocWork:
    """All that a run has made ready before its first step.

    Attributes:
        context: The run.
        training: How it trains.
        model: What learns.
        step: Its two halves; of several processes, a wrapper that exchanges gradients.
        optimizer: Over the model's parameters that want gradients.
        images: What is learnt from, all readable.
        source: Their tokens.
        evaluate: Metrics on what is held out; empty where nothing is.
        write_model: Writes the model's own files into a folder that does not exist yet.
        first_step: Steps done before, by the run that is resumed.
        gather: Puts the outputs of other processes beside ours.
    """

    context: RunContext
    training: ClocTraining
    model: Cloc
    step: SplitStep
    optimizer: torch.optim.Optimizer
    images: Sequence[TrainingImage]
    source: TokenSource
    evaluate: Callable[[], Mapping[str, float]]
    write_model: Callable[[Path], object]
    first_step: int = 0
    gather: Gather = identity


def go_round(work: ClocWork) -> bool:
    """Do the steps that are left and save where they end; True if the run was stopped."""
    context, training = work.context, work.training
    step: TrainingStep[ClocBatch] = TrainingStep(
        lambda batch: _gradient(work, batch),
        lambda batch: len(batch.captions),
        work.optimizer,
        lambda number: learning_rate_at(
            number,
            peak=training.learning_rate,
            num_warmup_steps=training.num_warmup_steps,
            num_steps=training.num_steps,
        ),
        first_step=work.first_step,
    )
    saving = SaveCheckpoints(
        context.reporter,
        context.folder.path,
        lambda number: save_step(context.folder.checkpoints, number, work.model, work.optimizer, work.write_model),
        SAVE_EVERY,
    )
    hooks: list[Hook] = [
        ReportProgress(context.reporter, training.num_steps),
        EvaluateEvery(context.reporter, work.evaluate, training.evaluate_every, training.num_steps),
        saving,
    ]
    end = run_loop(batches(work), step, hooks, should_stop=context.should_stop, first_step=work.first_step)
    saving.save_now(end.step)
    return end.was_stopped


def batches(work: ClocWork) -> Iterator[ClocBatch]:
    """The batch of every step that is left."""
    model, training = work.model, work.training
    needs_pixels = not training.is_tower_frozen or model.config.prompter.extractor == "crop"
    return batches_of(
        work.images,
        range(work.first_step, training.num_steps),
        batch_size=training.batch_size,
        num_regions=training.regions_per_image,
        seed=work.context.config.seed,
        tokens=work.source.tokens_of if training.is_tower_frozen else None,
        preprocess=(lambda image: model.preprocess(pixels_of(image, model.input_px))) if needs_pixels else None,
    )


def _gradient(work: ClocWork, batch: ClocBatch) -> dict[str, Tensor]:
    return gradient_of(work.step, batch, work.training.micro_batch, work.gather)
