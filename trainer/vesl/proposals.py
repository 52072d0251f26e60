"""Raw proposals while they are made: image by image into shards, whole shards into a result.

    results/proposals.partial/shard_000000.npz   64 images, complete once it has its name
    results/proposals/                           what ``locstudio.jobs.raw_proposals`` reads

A run that is killed goes on after its last shard; one that is stopped writes what it has as a result and may go on,
too.  Images keep the order in which they were looked at, so that a row keeps its number when a stopped run goes on.
Axes: P = proposals of an image, N = of a shard, D = embedding width.
"""

import io
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import StorageFailed
from locstudio.domain.geometry import BoxArray
from locstudio.jobs.raw_proposals import Manifest, RawCaption, RawProposals, quantised, write_raw_proposals
from locstudio.jobs.run_folder import write_whole

IMAGES_PER_SHARD = 64
_SMALL_COLUMNS = ("image_ids", "phrase_rows", "scores", "objectness", "caption_rows", "spans", "boxes_q")
_COLUMNS = (*_SMALL_COLUMNS, "vectors")


@dataclass(frozen=True, slots=True)
class Target:
    """A phrase that is looked for in an image, and the place in a caption that it comes from, if it does.

    ``caption`` is the position among the captions of the image, -1 for none.
    """

    phrase: str
    caption: int = -1
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class ImageProposals:
    """All of one image.  ``target_P`` are positions among ``targets``; boxes are in the ``unit`` frame, best first."""

    image_id: int
    captions: Sequence[RawCaption]
    targets: Sequence[Target]
    boxes_P4: BoxArray
    target_P: NDArray[np.int64]
    score_P: NDArray[np.float32]
    objectness_P: NDArray[np.float32]
    vectors_PD: NDArray[np.float32]


class ProposalFilling:
    """Collects the proposals of a run; what was not in a shard when a run died is done again."""

    def __init__(self, results: Path, dim: int) -> None:
        self._results = results
        self._folder = results / "proposals.partial"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._dim = dim
        self._waiting: list[ImageProposals] = []
        self._shards: list[Path] = []
        self._seen: set[int] = set()
        for number in range(len(list(self._folder.glob("shard_*.npz")))):
            shard = self._folder / _name(number)
            if (content := _read_shard(shard, dim)) is None:
                break  # what follows a shard that is not there, or is broken, is done again
            self._shards.append(shard)
            self._seen.update(content["seen_image_ids"].tolist())
        for shard in set(self._folder.glob("shard_*.npz")) - set(self._shards):
            shard.unlink()  # else it would count again once those before it are there

    @property
    def num_seen(self) -> int:
        """Images that were looked at, by this or an earlier part of the run."""
        return len(self._seen)

    def is_done(self, image_id: int) -> bool:
        """True if the image was looked at."""
        return image_id in self._seen

    def put(self, proposals: ImageProposals) -> None:
        """Take all that was found in one image."""
        self._waiting.append(proposals)
        self._seen.add(proposals.image_id)
        if len(self._waiting) >= IMAGES_PER_SHARD:
            self.commit()

    def commit(self) -> None:
        """Make durable what was put."""
        if not self._waiting:
            return
        shard = self._folder / _name(len(self._shards))
        content = io.BytesIO()
        np.savez(content, **_shard_of(self._waiting, self._dim))  # type: ignore[arg-type]  # names are arrays
        write_whole(shard, content.getvalue())
        self._shards.append(shard)
        self._waiting.clear()

    def write(self, manifest: Manifest) -> RawProposals:
        """Put all shards together into the run's result; ``manifest`` lacks only the counts."""
        self.commit()
        vectors = self._folder / "vectors.whole"
        try:
            with open(vectors, "wb") as file:
                whole = _Whole(self._dim, file)
                for shard in self._shards:
                    content = _read_shard(shard, self._dim)
                    if content is None:
                        raise StorageFailed(f"{shard} can no longer be read; resume the run to do its images again.")
                    whole.add(content)
            proposals = whole.proposals(manifest, vectors)
            write_raw_proposals(self._results, proposals)
        finally:
            vectors.unlink(missing_ok=True)
        return proposals

    def clear(self) -> None:
        """Remove the shards of a run that is done."""
        shutil.rmtree(self._folder, ignore_errors=True)


class _Whole:
    """Shards, one after the other, with one table of phrases and one of captions.

    Vectors, which may be larger than the memory, go through ``vectors``, a file.
    """

    def __init__(self, dim: int, vectors: BinaryIO) -> None:
        self._dim = dim
        self._vectors = vectors
        self._phrases: dict[str, int] = {}
        self._captions: list[RawCaption] = []
        self._parts: dict[str, list[NDArray[Any]]] = {name: [] for name in (*_SMALL_COLUMNS, "seen_image_ids")}

    def add(self, content: dict[str, NDArray[Any]]) -> None:
        phrases = msgspec.json.decode(content["phrases"].tobytes(), type=list[str])
        captions = msgspec.json.decode(content["captions"].tobytes(), type=list[RawCaption])
        number_of = np.array([self._phrases.setdefault(text, len(self._phrases)) for text in phrases], np.int32)
        rows = content["caption_rows"]
        moved = {
            "phrase_rows": number_of[content["phrase_rows"]],
            "caption_rows": np.where(rows < 0, rows, rows + len(self._captions)).astype(np.int32),
        }
        for name, parts in self._parts.items():
            parts.append(moved.get(name, content[name]))
        self._vectors.write(content["vectors"].tobytes())
        self._captions += captions

    def proposals(self, manifest: Manifest, vectors: Path) -> RawProposals:
        """All of it; the vectors stay in their file."""
        columns = {name: np.concatenate([_empty(name, self._dim), *parts]) for name, parts in self._parts.items()}
        columns["vectors"] = _empty("vectors", self._dim)
        if num_rows := len(columns["image_ids"]):  # an empty file cannot be mapped
            columns["vectors"] = np.memmap(vectors, np.float16, "r", shape=(num_rows, self._dim))
        counts = {"num_rows": len(columns["image_ids"]), "num_images": len(columns["seen_image_ids"])}
        return RawProposals(
            manifest=msgspec.structs.replace(manifest, **counts),
            phrases=tuple(self._phrases),
            captions=tuple(self._captions),
            **columns,
        )


def _shard_of(images: Sequence[ImageProposals], dim: int) -> dict[str, NDArray[Any]]:
    phrases: dict[str, int] = {}
    captions: list[RawCaption] = []
    parts: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for image in images:
        first = len(captions)
        captions += image.captions
        rows = np.array([phrases.setdefault(target.phrase, len(phrases)) for target in image.targets], np.int32)
        origins = np.array([target.caption for target in image.targets], np.int32)
        origins = np.where(origins < 0, origins, origins + first)
        spans = np.array([target.span for target in image.targets], np.uint16).reshape(-1, 2)
        parts["image_ids"].append(np.full(len(image.boxes_P4), image.image_id, np.int64))
        parts["phrase_rows"].append(rows[image.target_P])
        parts["caption_rows"].append(origins[image.target_P])
        parts["spans"].append(spans[image.target_P])
        parts["scores"].append(np.clip(image.score_P, 0.0, 1.0))
        parts["objectness"].append(np.clip(image.objectness_P, 0.0, 1.0))
        parts["boxes_q"].append(quantised(image.boxes_P4))
        parts["vectors"].append(image.vectors_PD)
    content = {
        name: np.concatenate([_empty(name, dim), *values]).astype(_empty(name, dim).dtype)
        for name, values in parts.items()
    }
    content["seen_image_ids"] = np.array([image.image_id for image in images], np.int64)
    content["phrases"] = np.frombuffer(msgspec.json.encode(list(phrases)), np.uint8)
    content["captions"] = np.frombuffer(msgspec.json.encode(captions), np.uint8)
    return content


def _empty(name: str, dim: int) -> NDArray[Any]:
    """No rows of a column, in its type and shape."""
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
        "image_ids": (np.int64, (0,)),
        "seen_image_ids": (np.int64, (0,)),
        "boxes_q": (np.uint16, (0, 4)),
        "phrase_rows": (np.int32, (0,)),
        "scores": (np.float16, (0,)),
        "objectness": (np.float16, (0,)),
        "caption_rows": (np.int32, (0,)),
        "spans": (np.uint16, (0, 2)),
        "vectors": (np.float16, (0, dim)),
    }
    dtype, shape = shapes[name]
    return np.zeros(shape, dtype)


def _read_shard(path: Path, dim: int) -> dict[str, NDArray[Any]] | None:
    """A shard's arrays; None if it is not there or of no use."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    return arrays if arrays.get("vectors", np.zeros((0, 0))).shape[1:] == (dim,) else None


def _name(number: int) -> str:
    return f"shard_{number:06}.npz"
