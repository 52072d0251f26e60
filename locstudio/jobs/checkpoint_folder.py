"""A checkpoint folder as every process sees it, without torch.

``config.json`` (architecture), ``weights.safetensors``, ``card.md``, ``metrics.json``, and ``manifest.json`` with the
SHA-256 of each.  Three kinds of model live in such folders and are never mixed: ``cloc`` names regions, ``consistency``
the classes of whole images with their heatmaps, ``vmoe`` the one class of an image, by the expert that a router chose.

A folder is complete when it has its final name; what does not match its manifest is refused before anything is loaded.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from locstudio.domain.errors import BadInput, CheckpointMismatch, StorageFailed, TooNew
from locstudio.jobs.json_files import read_json
from locstudio.jobs.run_folder import sync_folder, write_whole
from locstudio.jobs.vmoe_config import VmoeConfig

FORMAT_VERSION = 1
MAX_WEIGHTS_BYTES = 8 * 2**30
ModelKind = Literal["cloc", "consistency", "vmoe"]
MODEL_WORDS: dict[str, str] = {
    "cloc": "names regions",
    "consistency": "names the classes of images",
    "vmoe": "routes images to experts",
}
"""What each kind of model does, for sentences."""

_FILES = ("config.json", "weights.safetensors", "card.md", "metrics.json")
_CHUNK_BYTES = 2**20
_T = TypeVar("_T")


class _Tower(msgspec.Struct, frozen=True):
    model: str
    input_px: int
    num_tokens: int


class _Kind(msgspec.Struct, frozen=True):
    model: ModelKind = "cloc"


class _RegionConfig(msgspec.Struct, frozen=True):
    """The part of ``config.json`` of a CLOC model that is read outside the models."""

    name: str
    dim: int
    token_width: int
    tower: _Tower
    format_version: int = FORMAT_VERSION


class _ClassConfig(msgspec.Struct, frozen=True):
    """The part of ``config.json`` of a consistency model that is read outside the models."""

    name: str
    classes: tuple[str, ...]
    backbone: str
    input_px: int
    width: int
    cell_grid: int
    format_version: int = FORMAT_VERSION


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format_version: int
    id: str
    parent: str
    sha256: dict[str, str]


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What is known of a checkpoint without loading it.

    ``id`` names the weights and their architecture.  ``token_grid`` is the side of the token grid, ``token_width`` the
    width of one token, ``input_px`` the side of the square image.  ``metrics`` are shares in [0, 1].  ``model`` is the
    kind; the other two have no embeddings (``dim`` 0) but ``classes``, in the order of their scores.  ``num_experts``
    is 0 for a model without experts; ``superclasses`` and ``superclass_of`` are as in ``VmoeConfig``.
    """

    id: str
    name: str
    dim: int
    token_grid: int
    token_width: int
    input_px: int
    format_version: int
    tower: str
    parent: str
    metrics: dict[str, float]
    model: ModelKind = "cloc"
    classes: tuple[str, ...] = ()
    num_experts: int = 0
    superclasses: tuple[str, ...] = ()
    superclass_of: tuple[int, ...] = ()

    def require_model(self, model: ModelKind) -> None:
        """Refuse a checkpoint of the other kind.

        Raises:
            CheckpointMismatch: this one does something else.
        """
        if self.model != model:
            raise CheckpointMismatch(
                f"The checkpoint {self.name} {MODEL_WORDS[self.model]}; here one is needed that {MODEL_WORDS[model]}. "
                "Choose another checkpoint."
            )

    def require_same_model(self, other: "CheckpointInfo") -> None:
        """Refuse embeddings of another checkpoint.

        Raises:
            CheckpointMismatch: the two are not the same weights.
        """
        if self.id != other.id:
            raise CheckpointMismatch(
                f"These embeddings were made by {self.name} ({self.id}, {self.dim} numbers each); "
                f"this is {other.name} ({other.id}, {other.dim} numbers each). Embed the project again."
            )


def checkpoint_info(folder: Path) -> CheckpointInfo:
    """Read and verify a checkpoint folder: every file's hash against the manifest.

    Raises:
        BadInput: a file is missing, damaged or not one of ours.
        TooNew: a newer LocStudio wrote it.
    """
    manifest = _read(folder / "manifest.json", _Manifest, folder)
    if manifest.format_version > FORMAT_VERSION:
        raise TooNew(
            f"The checkpoint {folder.name} was written by a newer LocStudio (format {manifest.format_version}, this "
            f"one knows {FORMAT_VERSION}). Update LocStudio to use it."
        )
    for name in _FILES:
        expected = manifest.sha256.get(name)
        if expected is None or not (folder / name).is_file():
            raise BadInput(f"The checkpoint {folder.name} is incomplete: {name} is missing. Copy the folder again.")
        if file_sha256(folder / name) != expected:
            raise BadInput(f"The checkpoint {folder.name} is damaged: {name} has changed. Copy the folder again.")
    model = _read(folder / "config.json", _Kind, folder).model
    metrics = _read(folder / "metrics.json", dict[str, float], folder)
    if manifest.id != checkpoint_id(folder):
        raise BadInput(f"The checkpoint {folder.name} does not carry its own identity. Copy the folder again.")
    if model == "consistency":
        return _class_info(folder, manifest, metrics)
    if model == "vmoe":
        return _expert_info(folder, manifest, metrics)
    config = _read(folder / "config.json", _RegionConfig, folder)
    return CheckpointInfo(
        id=manifest.id,
        name=config.name,
        dim=config.dim,
        token_grid=round((config.tower.num_tokens - 1) ** 0.5),
        token_width=config.token_width,
        input_px=config.tower.input_px,
        format_version=manifest.format_version,
        tower=config.tower.model,
        parent=manifest.parent,
        metrics=metrics,
    )


def checkpoint_id(folder: Path) -> str:
    """The kind of model, a hyphen, and 16 hex digits that name the weights together with their architecture.

    Raises:
        BadInput: ``config.json`` cannot be read or names a kind of model unknown here.
    """
    digest = hashlib.sha256()
    digest.update(file_sha256(folder / "weights.safetensors").encode())
    digest.update(file_sha256(folder / "config.json").encode())
    return f"{_read(folder / 'config.json', _Kind, folder).model}-{digest.hexdigest()[:16]}"


def seal_checkpoint(partial: Path, folder: Path, *, parent: str = "") -> str:
    """Write the manifest of a finished folder and give it its final name; an older one there is replaced.

    Returns:
        The checkpoint's id.

    Raises:
        StorageFailed: the disk is full or read-only; the older folder, if any, is still there.
    """
    try:
        identity = checkpoint_id(partial)
        manifest = _Manifest(
            format_version=FORMAT_VERSION,
            id=identity,
            parent=parent,
            sha256={name: file_sha256(partial / name) for name in _FILES},
        )
        write_whole(partial / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        for name in _FILES:
            _sync_file(partial / name)
        _swap(partial, folder)
    except OSError as error:
        raise StorageFailed(f"The checkpoint could not be written to {folder}: {error.strerror or error}.") from error
    return identity


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def weights_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Names of the tensors in a safetensors file with type and shape, read from the header alone.

    Raises:
        BadInput: the file is empty, truncated, absurdly large, or no safetensors file.
    """
    size = path.stat().st_size
    if size > MAX_WEIGHTS_BYTES:
        raise BadInput(
            f"{path.name} has {size / 2**30:.0f} GiB; a checkpoint here has at most {MAX_WEIGHTS_BYTES >> 30}."
        )
    try:
        with open(path, "rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            if size < 8 or header_bytes > min(size - 8, 100 * _CHUNK_BYTES):
                raise ValueError("header is longer than the file")
            header = json.loads(file.read(header_bytes))
        header.pop("__metadata__", None)
        tensors = {key: (str(value["dtype"]), tuple(value["shape"])) for key, value in header.items()}
        end = max((int(value["data_offsets"][1]) for value in header.values()), default=0)
        if 8 + header_bytes + end != size:
            raise ValueError(f"{end} bytes of data promised, {size - 8 - header_bytes} there")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path.name} is no readable safetensors file: {error}. Copy it again.") from error
    return tensors


def _class_info(folder: Path, manifest: _Manifest, metrics: dict[str, float]) -> CheckpointInfo:
    config = _read(folder / "config.json", _ClassConfig, folder)
    return CheckpointInfo(
        id=manifest.id,
        name=config.name,
        dim=0,
        token_grid=config.cell_grid,
        token_width=config.width,
        input_px=config.input_px,
        format_version=manifest.format_version,
        tower=config.backbone,
        parent=manifest.parent,
        metrics=metrics,
        model="consistency",
        classes=config.classes,
    )


def _expert_info(folder: Path, manifest: _Manifest, metrics: dict[str, float]) -> CheckpointInfo:
    config = _read(folder / "config.json", VmoeConfig, folder)
    return CheckpointInfo(
        id=manifest.id,
        name=config.name,
        dim=0,
        token_grid=config.grid,
        token_width=config.width,
        input_px=config.input_px,
        format_version=manifest.format_version,
        tower=config.backbone if config.stem == "backbone" else f"{config.stem} {config.patch}",
        parent=manifest.parent,
        metrics=metrics,
        model="vmoe",
        classes=config.classes,
        num_experts=config.num_experts if config.num_moe_layers else 0,
        superclasses=config.superclasses,
        superclass_of=config.superclass_of,
    )


def _read(path: Path, kind: type[_T], folder: Path) -> _T:
    try:
        return read_json(path, kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"{folder} is not a complete checkpoint: {path.name} cannot be read ({error}).") from error


def _sync_file(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _swap(partial: Path, folder: Path) -> None:
    """Rename ``partial`` to ``folder``; the older folder goes only when the new one stands."""
    sync_folder(partial)
    older = folder.with_name(folder.name + ".older")
    if folder.exists():
        shutil.rmtree(older, ignore_errors=True)
        os.replace(folder, older)
    os.replace(partial, folder)
    sync_folder(folder.parent)
    shutil.rmtree(older, ignore_errors=True)
