"""The device of a run: which, how it is called, how many threads, which precision."""

import contextlib
import os
from contextlib import AbstractContextManager

import torch

NICENESS = 10
MAX_LOADING_THREADS = 8


def choose_device(wish: str) -> tuple[torch.device, str]:
    """The device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, and a sentence if it is not the one that was wished.

    Raises:
        ValueError: the wish is not the name of a device.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu"), ""
    try:
        device = torch.device(wish)
    except RuntimeError as error:
        raise ValueError(f"not a device: {wish!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        return torch.device("cpu"), f"The device {wish} is not there; the run works on the CPU, which takes longer."
    return device, ""


def describe_device(device: torch.device, num_processes: int = 1) -> str:
    """The device in words a person reads: "NVIDIA H200" or "CPU, 2 cores", and how many processes work on such."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        num_cores = num_usable_cores()
        name = f"CPU, {num_cores} core{'s' if num_cores != 1 else ''}"
    return name if num_processes == 1 else f"{name}, {num_processes} processes"


def num_usable_cores() -> int:
    """Cores that this process may use, which a container or a scheduler can make fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(wish: int) -> int:
    """Give torch ``wish`` threads, or all cores but one for 0 (a window may be open beside); return the number."""
    num_threads = wish if wish > 0 else max(1, num_usable_cores() - 1)
    torch.set_num_threads(num_threads)
    return num_threads


def num_loading_threads(device: torch.device) -> int:
    """Threads that decode images beside the steps: one beside a CPU that computes, up to eight beside a GPU."""
    return min(MAX_LOADING_THREADS, max(1, num_usable_cores() - 1)) if device.type == "cuda" else 1


def use_fast_products(device: torch.device) -> None:
    """Let a GPU multiply float32 matrices in TensorFloat-32, where it has that; the CPU stays exact."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")


def step_aside() -> None:
    """Lower the priority of this process, so that a window beside it stays quick."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where the device computes in it; on the CPU nothing, since autocast made it slower where measured."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()
