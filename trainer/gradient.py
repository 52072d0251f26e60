"""The gradient of a batch, in one pass or in parts that need less memory; the gradient is the same.

Axes: B = images of a batch, M = regions an image at most.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from trainer.recipes.cloc import ClocOutputs
from trainer.recipes.cloc_batch import ClocBatch


class SplitStep(Protocol):
    """A step in its two halves: what the model makes of a batch, and the losses of that."""

    def outputs(self, batch: ClocBatch) -> ClocOutputs:
        """What the model makes of a batch or of a part of one."""
        ...

    def contrast(self, outputs: ClocOutputs) -> dict[str, Tensor]:
        """``loss`` and its terms, each with its graph."""
        ...


Gather = Callable[[ClocOutputs], ClocOutputs]


def identity(outputs: ClocOutputs) -> ClocOutputs:
    """The outputs of a run of one process: its own."""
    return outputs


def gradient_of(
    step: SplitStep,
    batch: ClocBatch,
    micro_batch: int = 0,
    gather: Gather = identity,
) -> dict[str, Tensor]:
    """Add the gradient of the batch's loss to the parameters.

    With a ``micro_batch`` the whole batch still is what is contrasted: first all outputs without graph, then the
    gradient of the loss on them, then each part again with its graph, which carries that gradient on to the parameters.
    So memory is that of one part and time is that of a second forward pass.  A loss that is no number adds nothing.

    Args:
        step: The two halves of the step.
        batch: Images with tokens or pixels; it brings neither teacher nor objects, which are no contrast.
        micro_batch: Images that go through the model at once; 0 for all.
        gather: Puts the outputs of other processes beside ours, with their gradient.

    Returns:
        ``loss`` and its terms, detached scalars.

    Raises:
        ValueError: the batch brings a teacher or objects.

    Source: GradCache (arXiv:2101.06983).
    """
    if batch.object_boxes is not None or batch.teacher_boxes_BK4 is not None:
        raise ValueError("the gradient of a batch with teacher or objects is taken by ClocStep itself")
    if not 0 < micro_batch < len(batch.captions):
        terms = step.contrast(gather(step.outputs(batch)))
        if torch.isfinite(terms["loss"]):
            terms["loss"].backward()
        return {name: term.detach() for name, term in terms.items()}
    parts = parts_of(batch, micro_batch)
    with torch.no_grad():
        states_and_outputs = [(_random_state(), step.outputs(part)) for part in parts]
    leaves = [_with_leaves(outputs) for _, outputs in states_and_outputs]
    terms = step.contrast(gather(_joined(leaves)))
    if torch.isfinite(terms["loss"]):
        terms["loss"].backward()
        for part, (state, _), collected in zip(parts, states_and_outputs, leaves, strict=True):
            _set_random_state(state)
            _carry_on(step.outputs(part), collected)
    return {name: term.detach() for name, term in terms.items()}


def parts_of(batch: ClocBatch, size: int) -> list[ClocBatch]:
    """The batch in parts of at most ``size`` images, in order.

    A part brings the phrases of its own regions; those of no region at all come with the first part.
    """
    used = set(batch.phrase_BM[batch.valid_BM].tolist())
    parts = []
    for start in range(0, len(batch.captions), size):
        rows = slice(start, start + size)
        valid_BM, phrase_BM = batch.valid_BM[rows], batch.phrase_BM[rows]
        wanted = list(dict.fromkeys(phrase_BM[valid_BM].tolist()))
        if start == 0:
            wanted += [row for row in range(len(batch.phrases)) if row not in used]
        place = {row: at for at, row in enumerate(wanted)}
        parts.append(
            replace(
                batch,
                boxes_BM4=batch.boxes_BM4[rows],
                valid_BM=valid_BM,
                phrases=tuple(batch.phrases[row] for row in wanted),
                phrase_BM=torch.tensor([[place.get(row, 0) for row in line] for line in phrase_BM.tolist()]).reshape(
                    phrase_BM.shape
                ),
                captions=batch.captions[rows],
                tokens_BND=None if batch.tokens_BND is None else batch.tokens_BND[rows],
                pixels_B3HW=None if batch.pixels_B3HW is None else batch.pixels_B3HW[rows],
                crop_states_BMC=None if batch.crop_states_BMC is None else batch.crop_states_BMC[rows],
                kept_boxes_BK4=None if batch.kept_boxes_BK4 is None else batch.kept_boxes_BK4[rows],
                kept_words=batch.kept_words[rows],
                weight_BM=None if batch.weight_BM is None else batch.weight_BM[rows],
            )
        )
    return parts


def _with_leaves(outputs: ClocOutputs) -> ClocOutputs:
    """The same numbers, as leaves that collect a gradient."""
    changes: dict[str, Any] = {
        name: value.detach().requires_grad_(value.is_floating_point())
        for name, value in _values(outputs)
        if isinstance(value, Tensor)
    }
    return replace(outputs, **changes)


def _joined(parts: Sequence[ClocOutputs]) -> ClocOutputs:
    """Rows one after the other, counts added; a scalar is the same for all parts, and the first part's counts."""
    joined: dict[str, Any] = {}
    for name, first in _values(parts[0]):
        values = [getattr(part, name) for part in parts]
        if isinstance(first, Tensor):
            joined[name] = torch.cat(values) if first.ndim else first
        else:
            joined[name] = sum(values)
    return ClocOutputs(**joined)


def _carry_on(outputs: ClocOutputs, leaves: ClocOutputs) -> None:
    """Backward from the gradient that the leaves have collected, through everything, so that processes stay in step."""
    tensors = [value for _, value in _values(outputs) if isinstance(value, Tensor) and value.requires_grad]
    names = [name for name, value in _values(outputs) if isinstance(value, Tensor) and value.requires_grad]
    collected = [getattr(leaves, name).grad for name in names]
    gradients = [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(tensors, collected, strict=True)
    ]
    if tensors:
        torch.autograd.backward(tensors, gradients)


def _values(outputs: ClocOutputs) -> list[tuple[str, Any]]:
    return [(field.name, getattr(outputs, field.name)) for field in fields(outputs)]


def _random_state() -> tuple[Tensor, Tensor | None]:
    """Of dropout, so that both passes over a part drop the same."""
    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None


def _set_random_state(state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
