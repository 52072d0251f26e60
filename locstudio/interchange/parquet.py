"""The Parquet folders that `parquet_writer` makes, read again to be compared.  Nobody imports them."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown
from locstudio.interchange.masks import mask_text
from locstudio.interchange.parquet_writer import CAPTIONS, CLASSES, IMAGES, LABELS, REGIONS
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
    pixel_box,
)
from locstudio.interchange.writing import Contents

_BATCH = 2_000
_Row = dict[str, Any]


class ParquetFolder:
    """An export, read from its tables a batch of rows at a time."""

    def __init__(self, path: Path, _report: ImportReport, _progress: Progress | None = None) -> None:
        self._path = path

    def tables(self) -> Tables:
        """Images, and the classes of the schema's metadata.

        Raises:
            BadInput: a table is missing or damaged.
        """
        names = msgspec.json.decode(_opened(self._path / IMAGES).schema_arrow.metadata[CLASSES], type=list[str])
        tables = Tables(classes={name: ClassRow(name, name) for name in names})
        for number, row in enumerate(_rows_of(self._path / IMAGES)):
            image = ImageRow(number, row["image_id"], row["file_name"], row["width"], row["height"])
            tables.images[image.key] = image
        return tables

    def rows(self) -> Iterator[AnyRow]:
        """Captions, then labels of images, then regions.

        Raises:
            BadInput: a table is missing or damaged.
        """
        captions = map(_caption, _rows_of(self._path / CAPTIONS))
        labels = map(_label, range(1 << 62), _rows_of(self._path / LABELS))
        yield from chain(captions, labels, map(_region, range(1 << 62), _rows_of(self._path / REGIONS)))


def check_embeddings(contents: Contents, path: Path) -> str:
    """Compare every embedding with what the contents have of its region; the first that differs, or ""."""
    if contents.embeddings is None:
        return ""
    stored = _stored_embeddings(path / REGIONS)
    for page in contents.pages():
        has_R, vectors_KD = contents.embeddings.of(page.regions)
        each = iter(vectors_KD)
        for region, has in zip(page.regions, has_R.tolist(), strict=True):
            region_id, vector_D = next(stored, (0, None))
            is_same = (vector_D is not None) == has and (vector_D is None or np.array_equal(vector_D, next(each)))
            if region_id != region.id or not is_same:
                return f"the embedding of region {region.id}"
    return ""


def _stored_embeddings(path: Path) -> Iterator[tuple[int, NDArray[np.float16] | None]]:
    for batch in _opened(path).iter_batches(_BATCH, columns=["region_id", "embedding"]):
        ids, embeddings = batch.columns
        vectors_KD = embeddings.flatten().to_numpy().reshape(-1, embeddings.type.list_size)  # without the nulls
        each = iter(vectors_KD)
        for region_id, is_valid in zip(ids.to_pylist(), embeddings.is_valid().to_pylist(), strict=True):
            yield region_id, next(each) if is_valid else None


def _caption(row: _Row) -> CaptionRow:
    key, text, origin = str(row["caption_id"]), row["caption"].strip(), ORIGINS.get(row["origin"])
    return CaptionRow(0, "captions", key, row["image_id"], text, origin)


def _label(number: int, row: _Row) -> LabelRow:
    presence, origin = PRESENCES[row["presence"]], ORIGINS.get(row["origin"])
    return LabelRow(number, "labels", row["image_id"], row["class"], presence, origin, row["score"])


def _region(number: int, row: _Row) -> RegionRow:
    segmentation = msgspec.json.decode(row["mask"]) if row["mask"] else None
    span = None if row["span_begin"] is None else (row["span_begin"], row["span_end"])
    return RegionRow(
        number,
        str(row["region_id"]),
        row["image_id"],
        row["class"],
        pixel_box(row["x0_px"], row["y0_px"], row["x1_px"], row["y1_px"]),
        segmentation or None,
        mask_text(segmentation),
        row["is_crowd"],
        row["score"],
        row["phrase"],
        REVIEWS.get(row["review"]),
        ORIGINS.get(row["origin"]),
        str(row["caption_id"]) if span else None,
        span,
    )


def _rows_of(path: Path) -> Iterator[_Row]:
    file = _opened(path)
    names = [name for name in file.schema_arrow.names if name != "embedding"]
    for batch in file.iter_batches(_BATCH, columns=names):
        yield from batch.to_pylist()


def _opened(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"{shown(path.name)} cannot be read: {shown(str(error))}.") from error
