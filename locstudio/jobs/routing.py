"""Which expert looks at which image, on disk: written whole after every epoch of a training, or by a ``route`` run.

    results/routing/
      routing.safetensors     the arrays below, and a ``RoutingHeader`` as JSON in the file's metadata

    image_ids      int64   (N,)       rising
    contents       uint8   (N, 32)    SHA-256 of each image's file; zeros where not known
    probabilities  float16 (N, R, E)  of router r: the probability of each expert; of a router of tokens the share of
                                      the image's tokens that each expert took
    experts        int16   (N, R, k)  those that computed, the likeliest first
    predicted      int32   (N,)       position of the likeliest class
    scores         float16 (N,)       its probability
    truth          int32   (N,)       position of the class that the image is known to show, of several the one with
                                      the largest share; -1 where none is known
    superclasses   int16   (N,)       position of the true class's superclass; -1 where there is none
    held_out       uint8   (N,)       1 where nothing was learnt from the image

One file, replaced by rename: what a reader has opened stays as it is.  100,000 images and 20 experts take 10 MB.

Axes: N = images, R = routers (1 where the MoE layers share a decision), E = experts, k = experts that compute.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from locstudio.domain.errors import BadInput, StorageFailed, TooNew
from locstudio.jobs.run_folder import write_whole
from locstudio.jobs.vmoe_config import MAX_EXPERTS, RoutingMode

FOLDER = "routing"
FORMAT_VERSION = 1
MAX_BYTES = 4 << 30
"""A larger file is not read; a million images and 256 experts take less."""
_MAX_ROUTERS = 64
_BITS_OF_ONE = 0x3C00
_NAME = "routing.safetensors"
_HEADER = "locstudio"
_SHAPES: dict[str, tuple[str, str]] = {
    "image_ids": ("int64", "N"),
    "contents": ("uint8", "N 32"),
    "probabilities": ("float16", "N R E"),
    "experts": ("int16", "N R k"),
    "predicted": ("int32", "N"),
    "scores": ("float16", "N"),
    "truth": ("int32", "N"),
    "superclasses": ("int16", "N"),
    "held_out": ("uint8", "N"),
}


class EpochRouting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one epoch's routing was like, over all images of the table.

    ``load`` is for each router the share of the images (of tokens: of the tokens) that each expert took first.
    ``router_accuracy`` and ``top1`` are of the held-out images, None where nothing is known of them; ``margin`` is the
    mean of an image's largest probability minus its second.
    """

    epoch: int
    load: tuple[tuple[float, ...], ...]
    margin: float
    router_accuracy: float | None = None
    top1: float | None = None


class RoutingHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table is about.

    ``run_id`` has made it, with ``checkpoint_id``, whose name is ``name``.  ``class_ids`` are the project's, 0 for a
    class that it does not have.  ``superclass_of`` has a position in ``superclass_names`` for each class; both are
    empty where no superclasses are known.  ``layers`` are the numbers of the MoE layers, counted from 1, of ``depth``.
    ``epoch`` 0 with no ``epochs`` is a table of a ``route`` run.
    """

    format_version: int = FORMAT_VERSION
    run_id: str
    checkpoint_id: str
    name: str
    routing: RoutingMode
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    superclass_names: tuple[str, ...] = ()
    superclass_of: tuple[int, ...] = ()
    num_experts: int
    num_active: int = 1
    layers: tuple[int, ...]
    depth: int
    epoch: int = 0
    num_epochs: int = 0
    epochs: tuple[EpochRouting, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RoutingTable:
    """A header and its arrays, under the names and shapes above."""

    header: RoutingHeader
    image_ids: NDArray[np.int64]
    contents: NDArray[np.uint8]
    probabilities: NDArray[np.float16]
    experts: NDArray[np.int16]
    predicted: NDArray[np.int32]
    scores: NDArray[np.float16]
    truth: NDArray[np.int32]
    superclasses: NDArray[np.int16]
    held_out: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.image_ids)


def routing_folder(results: Path) -> Path:
    """Where a run keeps its table, given its ``results``."""
    return results / FOLDER


def has_routing(results: Path) -> bool:
    """Whether a run has written a table."""
    return (results / FOLDER / _NAME).is_file()


def routing_mark(results: Path) -> tuple[int, int]:
    """Changes when a run has written a newer table; zeros where there is none."""
    try:
        status = os.stat(results / FOLDER / _NAME)
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def write_routing(results: Path, table: RoutingTable) -> None:
    """Write a table whole; an older one is replaced.

    Raises:
        StorageFailed: the disk is full or read-only; the older table is still there.
        ValueError: an array has another type or shape.
    """
    arrays = {name: np.ascontiguousarray(getattr(table, name)) for name in _SHAPES}
    if problem := _problem(table.header, arrays):
        raise ValueError(problem)
    content = save(arrays, {_HEADER: msgspec.json.encode(table.header).decode()})
    folder = routing_folder(results)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / _NAME, content)
    except OSError as error:
        raise StorageFailed(f"{folder} could not be written: {error.strerror or error}.") from error


def read_routing(results: Path) -> RoutingTable:
    """The newest whole table of a run.

    Raises:
        BadInput: there is none, or it is damaged.
        TooNew: a newer LocStudio wrote it.
    """
    folder = routing_folder(results)
    header, arrays = _read(folder)
    if problem := _problem(header, arrays) or _contradiction(header, arrays):
        raise BadInput(f"The routing in {folder} is damaged: {problem}. Route the images again.")
    return RoutingTable(header, **arrays)


def read_routing_header(results: Path) -> RoutingHeader:
    """The header of ``read_routing`` alone.

    Raises:
        BadInput: there is none, or it is damaged.
        TooNew: a newer LocStudio wrote it.
    """
    return _read(routing_folder(results), has_arrays=False)[0]


def _read(folder: Path, *, has_arrays: bool = True) -> tuple[RoutingHeader, dict[str, NDArray[Any]]]:
    path = folder / _NAME
    if not path.is_file():
        raise BadInput(f"There is no routing in {folder}. Route the images first.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 30} GiB")
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(_HEADER, "")
            version = json.loads(text or "{}").get("format_version", 0)
            if isinstance(version, int) and version > FORMAT_VERSION:
                raise TooNew(
                    f"The routing in {folder} was written by a newer LocStudio (format {version}, this one knows "
                    f"{FORMAT_VERSION}). Update LocStudio to use it."
                )
            header = msgspec.json.decode(text, type=RoutingHeader)
            arrays = {name: file.get_tensor(name) for name in _SHAPES} if has_arrays else {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise BadInput(f"The routing in {folder} cannot be read: {error}. Route the images again.") from error
    return header, arrays


def _problem(header: RoutingHeader, arrays: dict[str, NDArray[Any]]) -> str:
    """Types and shapes that do not fit each other, in words; empty where all fit."""
    sizes = {"N": len(arrays["image_ids"]), "E": header.num_experts, "k": header.num_active, "32": 32}
    for name, (kind, axes) in _SHAPES.items():
        array = arrays[name]
        expected = tuple(sizes.setdefault(axis, size) for axis, size in zip(axes.split(), array.shape, strict=False))
        if array.dtype != kind or array.shape != expected or len(axes.split()) != array.ndim:
            return f"{name} is {array.dtype} {array.shape}, not {kind} ({axes})"
    return ""


def _contradiction(header: RoutingHeader, arrays: dict[str, NDArray[Any]]) -> str:
    """What cannot be, in words: positions of classes and experts outside their lists, shares that are none."""
    num_classes, num_groups = len(header.class_names), len(header.superclass_names)
    if len(header.class_ids) != num_classes or len(header.superclass_of) not in (0, num_classes):
        return "its lists of classes differ in length"
    if any(not -1 <= place < num_groups for place in header.superclass_of):
        return "a class has a superclass that is not there"
    if problem := _impossible_size(header, arrays["probabilities"].shape[1]):
        return problem
    ranges = {
        "predicted": (-1, num_classes),
        "truth": (-1, num_classes),
        "superclasses": (-1, num_groups),
        "experts": (0, header.num_experts),
    }
    for name, (least, number) in ranges.items():
        array = arrays[name]
        if array.size and not (int(array.min()) >= least and int(array.max()) < number):
            return f"{name} has {int(array.min())} to {int(array.max())} of {number}"
    if len(arrays["image_ids"]) > 1 and not bool((np.diff(arrays["image_ids"]) > 0).all()):
        return "its images are in no order"
    for name in ("probabilities", "scores"):
        # Bits of shares in half precision rise with them, and those of all else are higher; 500 times as fast.
        if arrays[name].view(np.uint16).max(initial=0) > _BITS_OF_ONE:
            return f"{name} has numbers that are no shares"
    return ""


def _impossible_size(header: RoutingHeader, num_routers: int) -> str:
    is_sound = 1 <= header.num_active <= header.num_experts <= MAX_EXPERTS and 1 <= num_routers <= _MAX_ROUTERS
    if not is_sound or num_routers != (len(header.layers) if header.routing == "token" else 1):
        return f"it has {num_routers} routers and {header.num_experts} experts, of which {header.num_active} compute"
    for said in header.epochs:
        if len({len(load) for load in said.load}) > 1:
            return f"of epoch {said.epoch} the routers differ in the number of experts"
    return ""
