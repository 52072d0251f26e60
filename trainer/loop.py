"""The one loop.  Whatever a run does besides its steps, reporting, saving and evaluating, is a hook."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """What one step reports.  Losses stay tensors on their device, so that only a hook that shows them waits for it.

    Attributes:
        num_images: Images that the step worked through.
        loss: Mean over the batch, in nats, or None for a step without a loss.
        parts: Terms of the loss by name.
        learning_rate: Of this step, or None for a step that learns nothing.
    """

    num_images: int
    loss: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class LoopEnd:
    """Where a loop ended: steps done in all, and whether someone asked for it."""

    step: int
    was_stopped: bool


Hook = Callable[[int, StepMetrics], None]
_Batch = TypeVar("_Batch")


def run_loop(
    batches: Iterable[_Batch],
    step: Callable[[_Batch], StepMetrics],
    hooks: Sequence[Hook],
    *,
    should_stop: Callable[[], bool],
    first_step: int = 0,
) -> LoopEnd:
    """Work through the batches, calling every hook after every step with the number of steps done.

    ``first_step`` is the number of steps that were done before, by the run that is resumed.
    """
    number = first_step
    for batch in batches:
        if should_stop():
            return LoopEnd(number, was_stopped=True)
        metrics = step(batch)
        number += 1
        for hook in hooks:
            hook(number, metrics)
    return LoopEnd(number, was_stopped=False)
