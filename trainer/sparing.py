"""The answer to a GPU whose memory is too small: fewer images at once, the same gradient."""

from collections.abc import Callable

import torch
from torch import Tensor

from locstudio.domain.errors import UserError
from trainer.recipes.cloc_batch import ClocBatch

MAX_HALVINGS = 3


class SparingGradient:
    """Takes a gradient, and takes it again with half as many images at once when memory is too small.

    Args:
        gradient_of: Adds the gradient of a batch, so many images at once (0: all), and returns its terms.
        forget: Drops what a broken-off attempt has added.
        on_halved: Is told how many images go at once from now on.
        micro_batch: Images at once to begin with; 0 for all.
        num_halvings: How often it was halved already, by the run that is resumed.
    """

    def __init__(
        self,
        gradient_of: Callable[[ClocBatch, int], dict[str, Tensor]],
        forget: Callable[[], object],
        on_halved: Callable[[int], object],
        *,
        micro_batch: int = 0,
        num_halvings: int = 0,
    ) -> None:
        self._gradient_of = gradient_of
        self._forget = forget
        self._on_halved = on_halved
        self.micro_batch = micro_batch
        self.num_halvings = num_halvings

    def __call__(self, batch: ClocBatch) -> dict[str, Tensor]:
        """Terms of the batch.

        Raises:
            UserError: memory is too small even after ``MAX_HALVINGS`` halvings.
        """
        while True:
            terms = self._try(batch)
            if terms is not None:
                return terms
            self._halve(len(batch.captions))

    def _try(self, batch: ClocBatch) -> dict[str, Tensor] | None:
        """None if memory was too small; the error is gone then, and with it what it holds on to."""
        try:
            return self._gradient_of(batch, self.micro_batch)
        except torch.OutOfMemoryError:
            return None

    def _halve(self, num_images: int) -> None:
        self._forget()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        at_once = min(self.micro_batch or num_images, num_images)
        if at_once <= 1 or self.num_halvings >= MAX_HALVINGS:
            raise UserError(
                f"The memory of the GPU is too small to train with {at_once} image{'s' * (at_once != 1)} at once; "
                "close other programs that use it, train on the CPU, or leave the image tower frozen, then resume "
                "the run."
            )
        self.micro_batch = (at_once + 1) // 2
        self.num_halvings += 1
        self._on_halved(self.micro_batch)
