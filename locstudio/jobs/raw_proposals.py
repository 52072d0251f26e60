"""Raw proposals of a VESL run on disk: everything its detector has said, before any threshold, read without torch.

    results/proposals/
      manifest.json     what made them
      phrases.json      [phrase, ...]: the rows that ``phrase_rows`` names
      captions.json     [caption, ...]: the rows that ``caption_rows`` names
      *.npy             one array a column, memory-mapped

A folder is complete when it has its final name.  Nothing in it is ever changed: thresholds are a view on it.
Axes: P = proposals, I = images that were looked at, D = embedding width.
"""

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import BoxArray
from locstudio.domain.regions import Origin
from locstudio.jobs.json_files import read_json
from locstudio.jobs.run_folder import PARTIAL, sync_folder, write_whole

FOLDER = "proposals"
FORMAT_VERSION = 1
BOX_STEPS = 65_535
"""Corners are stored as whole numbers of this many steps: a quarter of a pixel in an image of 16,000."""
MAX_ROWS = 100_000_000
_ATTEMPTS = 3

_COLUMNS: dict[str, tuple[type[np.generic], int]] = {
    "image_ids": (np.int64, 0),
    "boxes": (np.uint16, 4),
    "phrase_rows": (np.int32, 0),
    "scores": (np.float16, 0),
    "objectness": (np.float16, 0),
    "caption_rows": (np.int32, 0),
    "spans": (np.uint16, 2),
}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What made the proposals.  ``detector`` and ``captioner`` are in words a person reads.

    ``checkpoint_id`` made the vectors.  ``default_score`` and ``default_overlap`` are where its thresholds begin.
    """

    format_version: int = FORMAT_VERSION
    checkpoint_id: str
    detector: str
    captioner: str = ""
    dim: int
    num_rows: int
    num_images: int
    default_score: float = 0.2
    default_overlap: float = 0.6


class RawCaption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caption that phrases came from.  ``id`` is the dataset's, or 0 for one that the run's captioner has made."""

    id: int
    image_id: int
    text: str
    origin: Origin
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class RawProposals:
    """Raw proposals, those of an image together and by falling score.

    Images are in the order in which the run saw them, so that a row keeps its number when a stopped run goes on.

    Attributes:
        manifest: What made them.
        image_ids: Image of each proposal, (P,).
        boxes_q: Its box in the ``unit`` frame, in ``BOX_STEPS``, (P, 4).
        phrase_rows: Its phrase, the most confident of its image, (P,).
        scores: How sure the detector is of the phrase there, in [0, 1], (P,).
        objectness: How sure it is that there is a thing at all, in [0, 1], (P,).
        caption_rows: The caption that the phrase comes from, -1 for none, (P,).
        spans: Half-open character range of the phrase in its caption, (P, 2).
        vectors: Region embeddings, L2-normalised, float16, (P, D).
        seen_image_ids: Every image that was looked at, also where nothing was found, (I,).
    """

    manifest: Manifest
    phrases: tuple[str, ...]
    captions: tuple[RawCaption, ...]
    image_ids: NDArray[np.int64]
    boxes_q: NDArray[np.uint16]
    phrase_rows: NDArray[np.int32]
    scores: NDArray[np.float16]
    objectness: NDArray[np.float16]
    caption_rows: NDArray[np.int32]
    spans: NDArray[np.uint16]
    vectors: NDArray[np.float16]
    seen_image_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def boxes(self) -> BoxArray:
        """Boxes XYXY in the ``unit`` frame, float32, (P, 4)."""
        return (self.boxes_q / np.float32(BOX_STEPS)).astype(np.float32)


def quantised(boxes_P4: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Boxes of the ``unit`` frame in ``BOX_STEPS``, each with an area."""
    steps = np.rint(np.clip(boxes_P4, 0.0, 1.0) * BOX_STEPS).astype(np.int64)
    low = np.minimum(steps[:, :2], BOX_STEPS - 1)
    high = np.maximum(steps[:, 2:], low + 1)
    return np.concatenate([low, high], axis=1).astype(np.uint16)


def write_raw_proposals(results: Path, proposals: RawProposals) -> Path:
    """Write a run's proposals into its ``results`` folder, whole or not at all, in place of earlier ones.

    Returns:
        The folder.
    """
    folder = results / FOLDER
    partial = results / f"{FOLDER}.{secrets.token_hex(4)}{PARTIAL}"
    earlier = results / f"{FOLDER}.{secrets.token_hex(4)}{PARTIAL}"
    partial.mkdir(parents=True)
    try:
        arrays = {name: getattr(proposals, "boxes_q" if name == "boxes" else name) for name in _COLUMNS}
        arrays |= {"vectors": proposals.vectors, "seen_image_ids": proposals.seen_image_ids}
        for name, values in arrays.items():
            with open(partial / f"{name}.npy", "wb") as file:
                np.save(file, values, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        write_whole(partial / "phrases.json", msgspec.json.encode(proposals.phrases))
        write_whole(partial / "captions.json", msgspec.json.encode(proposals.captions))
        write_whole(partial / "manifest.json", msgspec.json.format(msgspec.json.encode(proposals.manifest)) + b"\n")
        with suppress(FileNotFoundError):
            os.rename(folder, earlier)  # removing it takes time, in which a reader would find nothing
        os.replace(partial, folder)
        sync_folder(results)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(earlier, ignore_errors=True)
    return folder


def read_raw_proposals(results: Path) -> RawProposals | None:
    """The proposals of a run's ``results`` folder, memory-mapped; None while there are none.

    A folder that is put in place of another while it is read is read again.

    Raises:
        BadInput: the folder is damaged, or none of ours.
    """
    folder = results / FOLDER
    for _ in range(_ATTEMPTS):
        before = _identity(folder)
        try:
            found = _read(folder)
        except BadInput:
            if _identity(folder) == before:
                raise
            continue
        if _identity(folder) == before:
            return found
    return _read(folder)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(folder: Path) -> RawProposals | None:
    try:
        manifest = read_json(folder / "manifest.json", Manifest)
        phrases = read_json(folder / "phrases.json", tuple[str, ...])
        captions = read_json(folder / "captions.json", tuple[RawCaption, ...])
        columns = {name: _load(folder, name) for name in (*_COLUMNS, "vectors", "seen_image_ids")}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, msgspec.MsgspecError) as error:
        raise _damaged(folder, str(error)) from error
    if why := _problem(manifest, columns, len(phrases), len(captions)):
        raise _damaged(folder, why)
    columns["boxes_q"] = columns.pop("boxes")
    return RawProposals(manifest, phrases, captions, **columns)


def _load(folder: Path, name: str) -> NDArray[Any]:
    path = folder / f"{name}.npy"
    if not path.is_file():
        raise FileNotFoundError(path)
    if path.stat().st_size < 128:
        raise ValueError(f"{name} is cut off")
    loaded: NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode="r") if _has_rows(path) else np.load(path)
    return loaded


def _has_rows(path: Path) -> bool:
    # An empty array cannot be memory-mapped.
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, _ = read(file)
    return bool(np.prod(shape))


def _problem(manifest: Manifest, columns: dict[str, NDArray[Any]], num_phrases: int, num_captions: int) -> str:
    """What is wrong with the columns, or nothing."""
    if manifest.format_version != FORMAT_VERSION:
        return f"format {manifest.format_version}"
    if not 0 <= manifest.num_rows <= MAX_ROWS:
        return f"{manifest.num_rows} rows"
    expected = {
        name: (dtype, (manifest.num_rows, *([width] if width else []))) for name, (dtype, width) in _COLUMNS.items()
    }
    expected |= {"vectors": (np.float16, (manifest.num_rows, manifest.dim))}
    expected |= {"seen_image_ids": (np.int64, (manifest.num_images,))}
    for name, (dtype, shape) in expected.items():
        if columns[name].dtype != np.dtype(dtype) or columns[name].shape != shape:
            return f"{name} is {columns[name].dtype} of shape {columns[name].shape}"
    if not manifest.num_rows:
        return ""
    for name, limit in (("phrase_rows", num_phrases), ("caption_rows", num_captions)):
        if int(columns[name].max()) >= limit or int(columns[name].min()) < (-1 if name == "caption_rows" else 0):
            return f"{name} names rows beyond {limit}"
    for name in ("scores", "objectness"):
        values = np.asarray(columns[name], np.float32)
        if not bool(((values >= 0) & (values <= 1)).all()):
            return f"{name} leaves [0, 1]"
    boxes = columns["boxes"]
    return "" if bool((boxes[:, :2] < boxes[:, 2:]).all()) else "a box has no area"


def _damaged(folder: Path, why: str) -> BadInput:
    return BadInput(f"The proposals in {folder} cannot be read ({why}). Propose again.")
