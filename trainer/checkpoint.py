"""Checkpoints of a run: the model's own folder, and beside its files all that a resumed run needs.

    checkpoints/step_500/            written as step_500.partial, then renamed
        config.json weights.safetensors ...   the model, as ``locstudio.models.checkpoint`` writes it
        resume/state.safetensors              trained weights in full precision, their mean, optimiser, random state
        resume/state.json                     step, course, settings of the optimiser, SHA-256 of the file before

Data, never code: safetensors and JSON.  The order of the data needs no memory, it follows from (seed, epoch).
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from locstudio.domain.errors import BadInput, CheckpointMismatch
from locstudio.jobs.json_files import read_json
from locstudio.jobs.run_folder import sync_folder, write_whole

NUM_KEPT = 2
_STEP_NAME = re.compile(r"step_(\d+)")


class Course(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run has changed of its own settings on the way.

    Attributes:
        rate_factor: The learning rate is multiplied by it.
        num_returns: How often the run has gone back to a checkpoint because its loss was no number.
        micro_batch: Images that go through the model at once, 0 for all.
        num_halvings: How often memory was too small for more.
    """

    rate_factor: float = 1.0
    num_returns: int = 0
    micro_batch: int = 0
    num_halvings: int = 0


class _ResumeState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``resume/state.json`` holds."""

    format_version: int
    step: int
    sha256: str
    param_groups: list[dict[str, Any]]
    course: Course = Course()


_AS_SET = Course()
_NO_MEAN: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """What a resumed run goes on from, beyond weights and optimiser: ``mean`` is empty where none was kept."""

    step: int
    course: Course
    mean: dict[str, Tensor]


def save_step(
    checkpoints: Path,
    step: int,
    trained: nn.Module,
    optimizer: torch.optim.Optimizer,
    write_model: Callable[[Path], object],
    *,
    course: Course = _AS_SET,
    mean: Mapping[str, Tensor] = _NO_MEAN,
    keep: Collection[str] = (),
) -> Path:
    """Write a whole checkpoint and return its folder; older ones beyond ``NUM_KEPT`` are removed afterwards.

    Args:
        checkpoints: Folder of all checkpoints of the run.
        step: Steps done.
        trained: The module that is trained; what of it wants no gradient is left out of the resume state.
        optimizer: Its optimiser.
        write_model: Writes the model's own files into a folder that does not exist yet.
        course: What the run has changed of its settings.
        mean: Running mean of the trained weights by name.
        keep: Names of older checkpoints that stay in any case.
    """
    folder = checkpoints / f"step_{step}"
    partial = folder.with_name(folder.name + ".partial")
    for remains in checkpoints.glob("*.partial"):  # of a process that was killed while it wrote; we alone write here
        shutil.rmtree(remains, ignore_errors=True)
    try:
        write_model(partial)
        _write_resume_state(partial / "resume", step, trained, optimizer, course, mean)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(checkpoints)
    for old in step_folders(checkpoints)[NUM_KEPT:]:
        if old.name not in keep:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def step_folders(checkpoints: Path) -> list[Path]:
    """The complete checkpoints of a run, newest first."""
    found = [(int(match[1]), path) for path in checkpoints.glob("step_*") if (match := _STEP_NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def restore_step(folder: Path, trained: nn.Module, optimizer: torch.optim.Optimizer) -> Restored:
    """Put weights, optimiser and random generators back as they were, and return how far and on what course it was.

    Everything is read and compared before anything is changed.

    Raises:
        BadInput: a file is missing, cut off or not what was written.
        CheckpointMismatch: the state belongs to a model of other parameters.
    """
    state, tensors = _read_resume_state(folder / "resume")
    own = _trained_tensors(trained)
    saved = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in saved.items()}:
        raise CheckpointMismatch(f"The checkpoint {folder.name} was trained with other layers than this run has.")
    optimizer_state = _optimizer_state(tensors)
    num_own = [len(group["params"]) for group in optimizer.param_groups]
    if num_own != [len(group["params"]) for group in state.param_groups]:
        raise CheckpointMismatch(f"The optimiser of {folder.name} has other parameters than this run's.")
    optimizer.load_state_dict({"state": optimizer_state, "param_groups": _with_tuples(state.param_groups)})
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(saved[name])
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    mean = {name.removeprefix("mean."): tensor for name, tensor in tensors.items() if name.startswith("mean.")}
    return Restored(state.step, state.course, mean)


def _write_resume_state(
    folder: Path,
    step: int,
    trained: nn.Module,
    optimizer: torch.optim.Optimizer,
    course: Course,
    mean: Mapping[str, Tensor],
) -> None:
    folder.mkdir(parents=True)
    packed = optimizer.state_dict()
    tensors = {f"model.{name}": value for name, value in _trained_tensors(trained).items()}
    tensors |= {f"mean.{name}": value for name, value in mean.items()}
    for position, values in packed["state"].items():
        tensors |= {f"optimizer.{position}.{name}": value for name, value in values.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    path = folder / "state.safetensors"
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, path)
    with open(path, "rb+") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    state = _ResumeState(format_version=1, step=step, sha256=sha256, param_groups=packed["param_groups"], course=course)
    write_whole(folder / "state.json", msgspec.json.format(msgspec.json.encode(state)) + b"\n")


def _read_resume_state(folder: Path) -> tuple[_ResumeState, dict[str, Tensor]]:
    try:
        state = read_json(folder / "state.json", _ResumeState)
        with open(folder / "state.safetensors", "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != state.sha256:
            raise BadInput(f"The checkpoint {folder.parent.name} is damaged; the run cannot go on from it.")
        return state, load_file(folder / "state.safetensors")
    except (OSError, msgspec.MsgspecError, SafetensorError) as error:
        raise BadInput(f"The checkpoint {folder.parent.name} cannot be read: {error}") from error


def _trained_tensors(trained: nn.Module) -> dict[str, Tensor]:
    """Parameters that want gradients, and the buffers a state dict holds, by name."""
    frozen = {name for name, parameter in trained.named_parameters() if not parameter.requires_grad}
    return {name: value for name, value in trained.state_dict().items() if name not in frozen}


def _optimizer_state(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, position, name = key.split(".", 2)
            states.setdefault(int(position), {})[name] = value
    return states


def _with_tuples(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON has no tuples, and AdamW's betas are one."""
    return [{**group, "betas": tuple(group["betas"])} for group in groups]
