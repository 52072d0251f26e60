"""The shards that `webdataset_writer` makes, read again to be compared.  Nobody imports them."""

import io
import json
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown
from locstudio.interchange.masks import mask_text
from locstudio.interchange.report import ImportReport
from locstudio.interchange.rows import (
    ORIGINS,
    PRESENCES,
    REVIEWS,
    AnyRow,
    CaptionRow,
    ClassRow,
    ImageRow,
    LabelRow,
    Progress,
    RegionRow,
    Tables,
    clean,
    pixel_box,
)
from locstudio.interchange.webdataset_writer import MISSING
from locstudio.interchange.writing import Contents

_Object = dict[str, Any]
_Members = dict[str, bytes]


class WebDatasetFolder:
    """An export, read sample by sample."""

    def __init__(self, path: Path, _report: ImportReport, _progress: Progress | None = None) -> None:
        self._path = path

    def tables(self) -> Tables:
        """Images, and the classes of their regions and labels.

        Raises:
            BadInput: a shard is missing or damaged.
        """
        tables = Tables()
        for number, sample in enumerate(_samples(self._path)):
            key, name = sample["image_id"], sample["file_name"]
            tables.images[key] = ImageRow(number, key, name, sample["width"], sample["height"])
            for thing in (*sample["regions"], *sample["labels"]):
                name = thing["class"]
                if name is not None:
                    tables.classes.setdefault(name, ClassRow(name, clean(name).strip()))
        return tables

    def rows(self) -> Iterator[AnyRow]:
        """Of each image its captions, then its labels, then its regions.

        Raises:
            BadInput: a shard is missing or damaged.
        """
        for sample in _samples(self._path):
            key = sample["image_id"]
            for caption in sample["captions"]:
                text, origin = clean(caption["text"]).strip(), ORIGINS.get(caption["origin"])
                yield CaptionRow(0, "captions", str(caption["id"]), key, text, origin)
            for number, label in enumerate(sample["labels"]):
                presence, origin = PRESENCES[label["presence"]], ORIGINS.get(label["origin"])
                yield LabelRow(number, "labels", key, label["class"], presence, origin, label["score"])
            for number, region in enumerate(sample["regions"]):
                yield _region(number, key, region)


def check_members(contents: Contents, path: Path) -> str:
    """Compare every picture with its file and its hash, and every embedding with the contents; the first that differs.

    A picture that has changed since it was written differs too.
    """
    pages = contents.pages()
    missing = {sample["image_id"] for sample in _missing_samples(path)}
    packed = _packed_samples(path)
    for page in pages:
        if page.image.id in missing:
            continue
        sample, members = next(packed, ({}, {}))
        picture = next((content for suffix, content in members.items() if suffix not in ("json", "npy")), b"")
        file = Path(contents.image_root, page.file_name)
        if sample.get("image_id") != page.image.id or sha256(picture).hexdigest() != sample["sha256"]:
            return f"the picture of image {page.image.id}"
        if not file.is_file() or file.read_bytes() != picture:
            return f"the picture of image {page.image.id}, which has changed meanwhile"
        if contents.embeddings is not None and page.regions:
            has_R, vectors_KD = contents.embeddings.of(page.regions)
            rows = [region["embedding"] for region in sample["regions"]]
            stored = np.load(io.BytesIO(members["npy"]), allow_pickle=False) if "npy" in members else vectors_KD[:0]
            expected = np.where(has_R, np.cumsum(has_R) - 1, -1).tolist()
            if [-1 if row is None else row for row in rows] != expected or not np.array_equal(stored, vectors_KD):
                return f"the embeddings of image {page.image.id}"
    return "" if next(packed, None) is None else "a sample too many"


def _region(number: int, key: int, region: _Object) -> RegionRow:
    span = region["span"]
    return RegionRow(
        number,
        str(region["id"]),
        key,
        region["class"],
        pixel_box(*region["box_px"]),
        region["mask"],
        mask_text(region["mask"]),
        region["is_crowd"],
        region["score"],
        region["phrase"],
        REVIEWS.get(region["review"]),
        ORIGINS.get(region["origin"]),
        str(region["caption_id"]) if span else None,
        (span[0], span[1]) if span else None,
    )


def _samples(folder: Path) -> Iterator[_Object]:
    for sample, _ in _packed_samples(folder, frozenset({"json"})):
        yield sample
    yield from _missing_samples(folder)


def _missing_samples(folder: Path) -> Iterator[_Object]:
    if (folder / MISSING).exists():
        with open(folder / MISSING, "rb") as file:
            yield from map(json.loads, file)


def _packed_samples(folder: Path, wanted: frozenset[str] | None = None) -> Iterator[tuple[_Object, _Members]]:
    """Every sample of every shard with its members by suffix, those that are wanted."""
    for path in sorted(folder.glob("shard-*.tar")):
        try:
            with tarfile.open(path, "r:") as tar:
                yield from _samples_of(tar, wanted)
        except (tarfile.TarError, OSError) as error:
            raise BadInput(f"{path.name} cannot be read: {shown(str(error))}.") from error


def _samples_of(tar: tarfile.TarFile, wanted: frozenset[str] | None) -> Iterator[tuple[_Object, _Members]]:
    members: _Members = {}
    for info in tar:
        suffix = info.name.partition(".")[2]
        if wanted is not None and suffix not in wanted:
            continue
        file = tar.extractfile(info)
        members[suffix] = file.read() if file else b""
        if suffix == "json":  # the last of each sample
            yield json.loads(members["json"]), members
            members = {}
