"""A CLOC step of many processes: their outputs beside each other before the losses, their gradients averaged after."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from trainer.distributed import Ranks, average_gradients, gather_tensors
from trainer.gradient import Gather, identity
from trainer.recipes.cloc import ClocOutputs


class PeerOutOfMemory(torch.OutOfMemoryError):
    """Another rank had too little memory for its part of the step, so all repeat it in smaller parts."""


def gather_outputs(outputs: ClocOutputs) -> ClocOutputs:
    """What all ranks made of their parts of the batch, as if one process had worked through all of it.

    Rows are put one after the other and counts added; a scalar is the same on all ranks.  A further phrase that is
    another rank's phrase of a region, or its further phrase too, is left out: the whole batch has each phrase once.
    All ranks call it together.
    """
    values: dict[str, Any] = {field.name: getattr(outputs, field.name) for field in fields(outputs)}
    rows = {name: value for name, value in values.items() if isinstance(value, Tensor) and value.ndim}
    counts = {name: value for name, value in values.items() if not isinstance(value, Tensor)}
    gathered, sums = gather_tensors(list(rows.values()), list(counts.values()))
    changes: dict[str, Any] = dict(zip(rows, gathered, strict=True)) | dict(zip(counts, sums, strict=True))
    return _with_phrases_once(replace(outputs, **changes))


def shared_gradient(
    ranks: Ranks, gradient: Callable[[Gather], dict[str, Tensor]], parameters: Sequence[torch.nn.Parameter]
) -> dict[str, Tensor]:
    """Add the gradient of the whole batch, of which each rank has a part; all ranks call it together.

    A rank that runs out of memory says so where the ranks exchange something next, and all raise: none waits for
    another, and all can begin the step again in smaller parts.

    Args:
        ranks: Those who share the batch.
        gradient: Adds the gradient of this rank's part, given how outputs are gathered; returns terms of the loss.
        parameters: Those that learn, the same on all ranks.

    Returns:
        Terms of the loss of the whole batch, the same on all ranks.

    Raises:
        torch.OutOfMemoryError: a rank had too little memory.
    """
    if ranks.is_alone:
        return gradient(identity)
    has_gathered = False

    def gather(outputs: ClocOutputs) -> ClocOutputs:
        nonlocal has_gathered
        has_gathered = True
        _agree_on_memory(ranks, None)
        return gather_outputs(outputs)

    terms: dict[str, Tensor] = {}
    problem: torch.OutOfMemoryError | None = None
    try:
        terms = gradient(gather)
    except PeerOutOfMemory:
        raise
    except torch.OutOfMemoryError as error:
        problem = error
    if problem is None and not has_gathered:
        raise RuntimeError("the gradient was taken without the other processes' outputs")
    _agree_on_memory(ranks, problem)
    average_gradients(parameters)
    return terms


def _agree_on_memory(ranks: Ranks, problem: torch.OutOfMemoryError | None) -> None:
    if not ranks.largest(int(problem is not None)):
        return
    raise problem or PeerOutOfMemory("another process of the run has too little memory for the step")


def _with_phrases_once(outputs: ClocOutputs) -> ClocOutputs:
    known = set(outputs.text_key_R.tolist())
    kept = []
    for row, key in enumerate(outputs.further_key_K.tolist()):
        if key not in known:
            known.add(key)
            kept.append(row)
    rows = torch.tensor(kept, dtype=torch.int64)
    return replace(
        outputs,
        further_KD=outputs.further_KD[rows.to(outputs.further_KD.device)],
        further_key_K=outputs.further_key_K[rows],
    )
