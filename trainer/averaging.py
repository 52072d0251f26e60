"""The running mean of the weights: what is evaluated and saved, while the weights themselves go on learning."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from locstudio.domain.errors import CheckpointMismatch


class RunningMean:
    """Exponential mean of the parameters that want gradients, in full precision and on their device.

    Early on the mean is over fewer steps than ``decay`` says, so that the weights from before the run are soon
    forgotten: step ``n`` comes in with ``1 - min(decay, n / (n + 9))``.

    Args:
        module: Its parameters that want gradients are averaged.
        decay: How much of the mean a step keeps, in (0, 1).

    Source: Polyak and Juditsky (1992); the warm-up as in timm's ``ModelEmaV3``.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        if not 0.0 < decay < 1.0:
            raise ValueError(f"the decay of a running mean lies between 0 and 1, not at {decay}")
        wanted = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
        self._decay = decay
        self._names = tuple(wanted)
        self._parameters: list[Tensor] = list(wanted.values())
        self._means = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def fold(self, step: int) -> None:
        """Take in the parameters as they are after ``step`` steps, counted from 1."""
        torch._foreach_lerp_(self._means, self._parameters, 1.0 - min(self._decay, step / (step + 9.0)))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The module has its mean for as long as this lasts, then its own weights again, bit for bit."""
        own = [parameter.detach().clone() for parameter in self._parameters]
        self._put(self._means)
        try:
            yield
        finally:
            self._put(own)

    def tensors(self) -> dict[str, Tensor]:
        """The means by the names of their parameters."""
        return dict(zip(self._names, self._means, strict=True))

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from means that were kept; from the module's weights as they are now, if none were.

        Raises:
            CheckpointMismatch: they belong to other parameters.
        """
        kept = dict(tensors) or dict(zip(self._names, self._parameters, strict=True))
        if {name: tensor.shape for name, tensor in kept.items()} != {
            name: mean.shape for name, mean in self.tensors().items()
        }:
            raise CheckpointMismatch("The running mean of the weights belongs to a model of other layers.")
        for name, mean in self.tensors().items():
            mean.copy_(kept[name])

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.copy_(value)
