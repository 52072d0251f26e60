"""What a dense twin confuses, and the superclasses that a run has made of it, on disk.

    results/confusion/
      confusion.safetensors   counts float32 (L, L), and a ``ConfusionHeader`` as JSON in the file's metadata

Row t, column p: how much of the images of class t the dense twin took for class p.  An image counts with the
probabilities that it was given, so that few images tell more than their likeliest classes.  Axes: L = classes.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from locstudio.domain.errors import BadInput, StorageFailed, TooNew
from locstudio.jobs.run_folder import write_whole
from locstudio.jobs.vmoe_config import MAX_EXPERTS

FOLDER = "confusion"
FORMAT_VERSION = 1
MAX_BYTES = 1 << 30
"""A larger file is not read; 10,000 classes take less."""
_NAME = "confusion.safetensors"
_HEADER = "locstudio"


class ConfusionHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose confusion it is, and the superclasses of the run.

    ``num_images`` were looked at.  ``group_names`` are the superclasses, ``group_of`` has the position of each class's,
    and ``origin`` says who has made them: clusters of the confusion, or a person.  ``dense_top1`` and ``moe_top1`` are
    what the dense twin and the model with experts got right of the held-out images, ``router_accuracy`` how often its
    router found the superclass; None while that is not known.
    """

    format_version: int = FORMAT_VERSION
    run_id: str
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    num_images: int
    group_names: tuple[str, ...] = ()
    group_of: tuple[int, ...] = ()
    origin: Literal["clusters", "person"] = "clusters"
    dense_top1: float | None = None
    moe_top1: float | None = None
    router_accuracy: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """A header and its counts, float32 (L, L)."""

    header: ConfusionHeader
    counts: NDArray[np.float32]


def has_confusion(results: Path) -> bool:
    """Whether a run has written what its dense twin confuses."""
    return (results / FOLDER / _NAME).is_file()


def write_confusion(results: Path, confusion: Confusion) -> None:
    """Write it whole; an older one is replaced.

    Raises:
        StorageFailed: the disk is full or read-only.
    """
    content = save(
        {"counts": np.ascontiguousarray(confusion.counts, np.float32)},
        {_HEADER: msgspec.json.encode(confusion.header).decode()},
    )
    try:
        (results / FOLDER).mkdir(parents=True, exist_ok=True)
        write_whole(results / FOLDER / _NAME, content)
    except OSError as error:
        raise StorageFailed(f"{results / FOLDER} could not be written: {error.strerror or error}.") from error


def read_confusion(results: Path) -> Confusion:
    """What a run has written.

    Raises:
        BadInput: there is nothing, or it is damaged.
        TooNew: a newer LocStudio wrote it.
    """
    path = results / FOLDER / _NAME
    try:
        if not path.is_file():
            raise OSError(f"there is no {os.path.basename(path)}")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 30} GiB")
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(_HEADER, "")
            version = json.loads(text or "{}").get("format_version", 0)
            if isinstance(version, int) and version > FORMAT_VERSION:
                raise TooNew(
                    f"The confusion of classes in {path.parent} was written by a newer LocStudio (format {version}, "
                    f"this one knows {FORMAT_VERSION}). Update LocStudio to use it."
                )
            header = msgspec.json.decode(text, type=ConfusionHeader)
            counts = file.get_tensor("counts")
        if problem := _problem(header, counts):
            raise ValueError(problem)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise BadInput(f"The confusion of classes in {path.parent} cannot be read: {error}. Train again.") from error
    return Confusion(header, counts)


def _problem(header: ConfusionHeader, counts: NDArray[np.float32]) -> str:
    """What cannot be, in words; empty where all fits."""
    num, num_groups = len(header.class_names), len(header.group_names)
    if counts.shape != (num, num) or counts.dtype != np.float32:
        return f"{counts.dtype} {counts.shape} for {num} classes"
    if counts.size and not (float(counts.min()) >= 0 and float(counts.max()) < np.inf):  # of NaN too
        return "it has counts that are none"
    if len(header.class_ids) != num or len(header.group_of) not in (0, num):
        return "its lists of classes differ in length"
    if num_groups > max(num, MAX_EXPERTS):
        return f"it has {num_groups} superclasses for {num} classes"
    if any(not -1 <= place < num_groups for place in header.group_of):
        return "a class has a superclass that is not there"
    return ""
