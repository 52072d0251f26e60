"""One optimiser step around a recipe's loss: rate, gradient, update, and what to do when the loss is no number."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from locstudio.domain.errors import UserError
from trainer.loop import StepMetrics
from trainer.optim import set_learning_rate

MAX_BAD_STEPS = 3

_Batch = TypeVar("_Batch")


class TrainingStep(Generic[_Batch]):
    """Takes the gradient of a batch and improves the weights.

    A step whose loss is not finite changes nothing; three of them in a row end the run.

    Args:
        gradient_of: Adds the gradient of a batch and returns its terms by name, ``loss`` among them, all detached; a
            loss that is no number must add nothing.
        num_images: How many images a batch has.
        optimizer: Its parameters are those that learn.
        rate: Learning rate of the step with this number, counted from 0.
        first_step: Steps done before, by the run that is resumed.
    """

    def __init__(
        self,
        gradient_of: Callable[[_Batch], dict[str, Tensor]],
        num_images: Callable[[_Batch], int],
        optimizer: torch.optim.Optimizer,
        rate: Callable[[int], float],
        *,
        first_step: int = 0,
    ) -> None:
        self._gradient_of = gradient_of
        self._num_images = num_images
        self._optimizer = optimizer
        self._rate = rate
        self._number = first_step
        self._num_bad = 0

    def __call__(self, batch: _Batch) -> StepMetrics:
        set_learning_rate(self._optimizer, self._rate(self._number))
        self._number += 1
        self._optimizer.zero_grad(set_to_none=True)
        terms = self._gradient_of(batch)
        loss = terms.pop("loss")
        if not torch.isfinite(loss):
            self._refuse()
            return StepMetrics(self._num_images(batch))
        self._num_bad = 0
        self._optimizer.step()
        return StepMetrics(self._num_images(batch), loss, terms)

    def _refuse(self) -> None:
        self._num_bad += 1
        if self._num_bad >= MAX_BAD_STEPS:
            raise UserError(
                f"The loss was no number {MAX_BAD_STEPS} times in a row, last in step {self._number}; "
                "train again with a lower learning rate. Checkpoints from before are kept."
            )
