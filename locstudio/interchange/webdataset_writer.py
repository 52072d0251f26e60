"""WebDataset out: a folder of tar files, each sample an image with its regions, as training loops stream them.

    shard-000000.tar
        000000001.jpg       the image's own bytes
        000000001.npy       embeddings of its regions, 16-bit floats, where there are any
        000000001.json      name, size, regions, captions and labels; boxes as shares of the sides and in pixels
    missing.jsonl           the same of images whose file is not there at the moment, which have no embeddings; only
                            where there are such
    DATA_CARD.md            counts by origin and review

The same data set gives the same bytes: members bear neither time nor owner.
"""

import io
import json
import os
import re
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Caption, Region
from locstudio.interchange.data_card import DataCard
from locstudio.interchange.writing import Carries, Contents, Embeddings, Page

MISSING = "missing.jsonl"
SHARD_BYTES = 512 << 20
"""A shard is closed when it has so many; a single sample may make it larger."""

_SUFFIX = re.compile(r"[a-z0-9]{1,5}")
_LAYOUT = (
    "`shard-*.tar` hold a sample for each image: the picture, `json` and, where there are any, embeddings as `npy`, "
    f"whose rows the regions name by `embedding`. `{MISSING}`, if it is there, tells of images without a file."
)
_Object = dict[str, Any]

CARRIES = Carries(
    ids=True,
    classless=True,
    phrases=True,
    captions=True,
    polygons=True,
    runs=True,
    crowds=True,
    scores=True,
    reviews=True,
    origins=True,
    sizes=True,
    spans=True,
    labels=True,
    empty_images=True,
)


def write_webdataset(contents: Contents, target: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """Write an export as shards, a sample at a time, and make it durable."""
    names = {label.id: label.name for label in contents.classes}
    embeddings = contents.embeddings
    card = DataCard(names, embeddings)
    os.mkdir(target)
    with _Shards(target, shard_bytes) as shards:
        for page in contents.pages():
            try:
                picture = Path(contents.image_root, page.file_name).read_bytes()
            except OSError:
                picture = None
            has_R, vectors = _vectors(page, None if picture is None else embeddings)
            sample = _sample(page, names, has_R, embeddings)
            card.add(page, int(has_R.sum()))
            if picture is None:
                shards.put_missing(sample)
            else:
                sample["sha256"] = sha256(picture).hexdigest()
                members = {_suffix(page): picture}
                if len(vectors):
                    members["npy"] = _npy(vectors)
                    sample["embeddings_sha256"] = sha256(members["npy"]).hexdigest()
                shards.put(f"{page.image.id:09d}", {**members, "json": _json(sample)})
    card.write(target, _LAYOUT)


class _Shards:
    """Tar files of a folder, filled one after the other; a context manager."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._num_shards = 0
        self._filled = 0
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> "_Shards":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def put(self, key: str, members: Mapping[str, bytes]) -> None:
        """Put a sample, whole, into the shard that is open."""
        if self._tar is None:
            path = self._folder / f"shard-{self._num_shards:06d}.tar"
            self._tar = tarfile.open(path, "x", format=tarfile.USTAR_FORMAT)  # noqa: SIM115  # closed when it is full
            self._num_shards += 1
        for suffix, content in members.items():
            info = tarfile.TarInfo(f"{key}.{suffix}")
            info.size = len(content)
            self._tar.addfile(info, io.BytesIO(content))
            self._filled += len(content)
        if self._filled >= self._shard_bytes:
            self._close()

    def put_missing(self, sample: _Object) -> None:
        """Keep what is known of an image without its picture."""
        with open(self._folder / MISSING, "ab") as file:
            file.write(_json(sample) + b"\n")

    def _close(self) -> None:
        if self._tar is not None:
            path = self._tar.name
            self._tar.close()
            self._tar, self._filled = None, 0
            with open(str(path), "rb") as file:
                os.fsync(file.fileno())


def _sample(page: Page, names: Mapping[int, str], has_R: NDArray[np.bool_], embeddings: Embeddings | None) -> _Object:
    image = page.image
    rows = np.where(has_R, np.cumsum(has_R) - 1, -1).tolist()
    sample = {
        "image_id": image.id,
        "file_name": page.file_name,
        "width": image.width,
        "height": image.height,
        "split": image.split,
        "captions": [_caption(caption) for caption in page.captions],
        "labels": [_label(label, names) for label in page.labels],
        "regions": [_region(page, region, row, names) for region, row in zip(page.regions, rows, strict=True)],
    }
    return sample if embeddings is None else {**sample, "checkpoint_id": embeddings.checkpoint_id}


def _caption(caption: Caption) -> _Object:
    return {"id": caption.id, "text": caption.text, "origin": str(caption.origin), "source": caption.source}


def _label(label: ImageLabel, names: Mapping[int, str]) -> _Object:
    return {
        "class": names[label.class_id],
        "presence": str(label.presence),
        "origin": str(label.origin),
        "score": label.score,
        "source": label.source,
    }


def _region(page: Page, region: Region, row: int, names: Mapping[int, str]) -> _Object:
    is_in_caption = any(caption.id == region.caption_id for caption in page.captions)
    span = region.caption_span if is_in_caption else None
    return {
        "id": region.id,
        "box": region.box.as_tuple(),
        "box_px": region.box.to_pixels(page.image.width, page.image.height),
        "phrase": region.phrase,
        "class": names.get(region.class_id or 0),
        "review": str(region.review),
        "origin": str(region.origin),
        "score": region.score,
        "source": region.source,
        "caption_id": region.caption_id if span else None,
        "span": span,
        "is_crowd": region.is_crowd,
        "mask": (msgspec.json.decode(region.mask) if region.mask else None) or None,
        "embedding": row if row >= 0 else None,
    }


def _vectors(page: Page, embeddings: Embeddings | None) -> tuple[NDArray[np.bool_], NDArray[np.float16]]:
    if embeddings is None or not page.regions:
        return np.zeros(len(page.regions), bool), np.empty((0, 0), np.float16)
    return embeddings.of(page.regions)


def _npy(vectors: NDArray[np.float16]) -> bytes:
    file = io.BytesIO()
    np.save(file, vectors, allow_pickle=False)
    return file.getvalue()


def _json(sample: _Object) -> bytes:
    # Escapes, not UTF-8: a file name may hold bytes that are no text.
    return json.dumps(sample, allow_nan=False, separators=(",", ":")).encode("ascii")


def _suffix(page: Page) -> str:
    """The suffix of the picture in the sample, as loaders choose their decoder by it."""
    suffix = page.image.name.rpartition(".")[2].lower() if "." in page.image.name else ""
    suffix = "jpg" if suffix == "jpeg" else suffix
    return suffix if _SUFFIX.fullmatch(suffix) and suffix not in ("json", "npy") else "bin"
