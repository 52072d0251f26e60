"""One optimiser step around a recipe's gradient: rate, gradient, update, and what to do when the loss is no number."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from locstudio.domain.errors import LocStudioError
from trainer.loop import StepMetrics
from trainer.optim import set_learning_rate

MAX_BAD_STEPS = 3

_Batch = TypeVar("_Batch")


class LossDiverged(LocStudioError):
    """The loss was no number several times in a row; ``step`` is the number of the last of them, counted from 1."""

    def __init__(self, step: int) -> None:
        super().__init__(f"The loss was no number {MAX_BAD_STEPS} times in a row, last in step {step}.")
        self.step = step


class TrainingStep(Generic[_Batch]):
    """Takes the gradient of a batch and improves the weights.

    A step whose loss or gradient is not finite changes nothing; three of them in a row raise ``LossDiverged``.

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
        self.number = first_step
        self._num_bad = 0

    def __call__(self, batch: _Batch) -> StepMetrics:
        rate = self._rate(self.number)
        set_learning_rate(self._optimizer, rate)
        self.number += 1
        self._optimizer.zero_grad(set_to_none=True)
        terms = self._gradient_of(batch)
        loss = terms.pop("loss")
        if not self._is_finite(loss):
            self._num_bad += 1
            if self._num_bad >= MAX_BAD_STEPS:
                raise LossDiverged(self.number)
            return StepMetrics(self._num_images(batch), learning_rate=rate)
        self._num_bad = 0
        self._optimizer.step()
        return StepMetrics(self._num_images(batch), loss, terms, rate)

    def go_back(self, step: int) -> None:
        """Go on after this many steps, with nothing held against the steps before."""
        self.number = step
        self._num_bad = 0

    def _is_finite(self, loss: Tensor) -> bool:
        """One question to the device, for loss and gradient together."""
        gradients = [
            parameter.grad
            for group in self._optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        norms = torch._foreach_norm(gradients) if gradients else ()
        total = torch.stack([loss.detach().float(), *(norm.float() for norm in norms)]).sum()
        return bool(torch.isfinite(total))
