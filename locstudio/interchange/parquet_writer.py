"""Parquet out: a folder of tables that any data frame opens, with the regions' embeddings where there are any.

    images.parquet     a row an image; the classes stand in the metadata of its schema
    captions.parquet   a row a caption
    labels.parquet     a row for each class that something is said of an image as a whole
    regions.parquet    a row a region; ``embedding`` is a list of 16-bit floats, null where there is none
    DATA_CARD.md       counts by origin and review

``checkpoint_id`` in the metadata of each schema names what made the embeddings.
"""

# pyarrow is imported where it is used: it takes a third of a second, and the formats are listed at every start.
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from locstudio import __version__
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Caption, Region
from locstudio.interchange.data_card import DataCard
from locstudio.interchange.writing import Carries, Contents, Embeddings, Fitted, Page

IMAGES, CAPTIONS, REGIONS = "images.parquet", "captions.parquet", "regions.parquet"
LABELS = "labels.parquet"
CLASSES = b"classes"
_GROUP = 10_000
_LAYOUT = (
    f"`{REGIONS}`, `{CAPTIONS}`, `{LABELS}` (what is said of whole images) and `{IMAGES}` are tables in Parquet, "
    "joined by `image_id` and `caption_id`."
)
_Row = dict[str, Any]


def fit_text(page: Page, _names: Mapping[int, str]) -> Fitted:
    """A file name whose bytes are no UTF-8 has no place among texts."""
    try:
        page.file_name.encode()
    except UnicodeEncodeError:
        return Fitted(None, ("images with names that are no UTF-8 text",))
    return Fitted(page)


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
    all_classes=True,
    spans=True,
    labels=True,
    empty_images=True,
    fit=fit_text,
)


def write_parquet(contents: Contents, target: Path) -> None:
    """Write an export as Parquet, a group of rows at a time, and make it durable."""
    names = {label.id: CARRIES.text(label.name).strip() for label in contents.classes}
    embeddings = contents.embeddings
    card = DataCard(names, embeddings)
    os.mkdir(target)
    classes = msgspec.json.encode(list(names.values()))
    with (
        _Table(target / IMAGES, _image_fields(), embeddings, {CLASSES: classes}) as images,
        _Table(target / CAPTIONS, _caption_fields(), embeddings) as captions,
        _Table(target / LABELS, _label_fields(), embeddings) as labels,
        _Table(target / REGIONS, _region_fields(embeddings), embeddings) as regions,
    ):
        for page in contents.pages():
            images.add([_image(page)], [])
            captions.add((_caption(page, caption) for caption in page.captions), [])
            labels.add((_label(page, label, names) for label in page.labels), [])
            vectors = _vectors(page.regions, embeddings)
            regions.add((_region(page, region, names) for region in page.regions), vectors)
            card.add(page, sum(vector is not None for vector in vectors))
    card.write(target, _LAYOUT)


class _Table:
    """A Parquet file that is filled row by row; a context manager."""

    def __init__(
        self,
        path: Path,
        fields: Iterable[tuple[str, Any]],
        embeddings: Embeddings | None,
        metadata: Mapping[bytes, bytes] | None = None,
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        checkpoint_id = embeddings.checkpoint_id if embeddings else ""
        about = {b"locstudio": __version__.encode(), b"checkpoint_id": checkpoint_id.encode(), **(metadata or {})}
        self._schema = pa.schema(list(fields), metadata=about)
        self._path = path
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[_Row] = []
        self._vectors: list[Any] = []

    def __enter__(self) -> "_Table":
        return self

    def __exit__(self, *_raised: object) -> None:
        self._flush()
        self._writer.close()
        with open(self._path, "rb") as file:
            os.fsync(file.fileno())

    def add(self, rows: Iterable[_Row], vectors: Sequence[Any]) -> None:
        """Put rows to the others; ``vectors`` has one a row where the table has such a column."""
        self._rows += rows
        self._vectors += vectors
        if len(self._rows) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._rows:
            return
        columns = []
        for field in self._schema:
            if field.name == "embedding":
                columns.append(_embedding_column(self._vectors, field.type))
            else:
                columns.append(pa.array([row[field.name] for row in self._rows], field.type))
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._rows, self._vectors = [], []


def _embedding_column(vectors: Sequence[Any], kind: Any) -> Any:
    import pyarrow as pa

    blank = np.zeros(kind.list_size, np.float16)
    values = np.concatenate([blank if vector is None else vector for vector in vectors])
    is_null = pa.array([vector is None for vector in vectors])
    return pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float16()), type=kind, mask=is_null)


def _vectors(regions: Sequence[Region], embeddings: Embeddings | None) -> list[Any]:
    """A vector a region, None where it has none; nothing at all without embeddings."""
    if embeddings is None:
        return []
    has_R, vectors_KD = embeddings.of(regions)
    each = iter(vectors_KD)
    return [next(each) if has else None for has in has_R.tolist()]


def _image_fields() -> list[tuple[str, Any]]:
    import pyarrow as pa

    texts = ["file_name", "sha256", "split"]
    fields = [("image_id", pa.int64()), *((name, pa.string()) for name in texts)]
    return [*fields, ("width", pa.int32()), ("height", pa.int32()), ("is_verified", pa.bool_())]


def _image(page: Page) -> _Row:
    image = page.image
    return {
        "image_id": image.id,
        "file_name": page.file_name,
        "sha256": image.sha256,
        "split": CARRIES.text(image.split),
        "width": image.width,
        "height": image.height,
        "is_verified": image.is_verified,
    }


def _caption_fields() -> list[tuple[str, Any]]:
    import pyarrow as pa

    texts = ["file_name", "caption", "origin", "source"]
    return [("caption_id", pa.int64()), ("image_id", pa.int64()), *((name, pa.string()) for name in texts)]


def _caption(page: Page, caption: Caption) -> _Row:
    return {
        "caption_id": caption.id,
        "image_id": page.image.id,
        "file_name": page.file_name,
        "caption": CARRIES.text(caption.text),
        "origin": str(caption.origin),
        "source": CARRIES.text(caption.source),
    }


def _label_fields() -> list[tuple[str, Any]]:
    import pyarrow as pa

    texts = ["file_name", "class", "presence", "origin", "source"]
    return [("image_id", pa.int64()), *((name, pa.string()) for name in texts), ("score", pa.float64())]


def _label(page: Page, label: ImageLabel, names: Mapping[int, str]) -> _Row:
    return {
        "image_id": page.image.id,
        "file_name": page.file_name,
        "class": names[label.class_id],
        "presence": str(label.presence),
        "origin": str(label.origin),
        "source": CARRIES.text(label.source),
        "score": label.score,
    }


def _region_fields(embeddings: Embeddings | None) -> list[tuple[str, Any]]:
    import pyarrow as pa

    kinds = {
        pa.int64(): ["region_id", "image_id"],
        pa.string(): ["file_name", "sha256"],
        pa.int32(): ["image_width", "image_height"],
        pa.float64(): [*_CORNERS, *(f"{corner}_px" for corner in _CORNERS)],
    }
    fields = [(name, kind) for kind, names in kinds.items() for name in names]
    texts = ["phrase", "class", "review", "origin", "source", "mask"]
    fields += [*((name, pa.string()) for name in texts), ("score", pa.float64()), ("is_crowd", pa.bool_())]
    fields += [("caption_id", pa.int64()), ("span_begin", pa.int32()), ("span_end", pa.int32())]
    if embeddings is not None:
        fields.append(("embedding", pa.list_(pa.float16(), embeddings.dim)))
    return fields


_CORNERS = ("x0", "y0", "x1", "y1")


def _region(page: Page, region: Region, names: Mapping[int, str]) -> _Row:
    image = page.image
    corners = region.box.to_pixels(image.width, image.height)
    is_in_caption = any(caption.id == region.caption_id for caption in page.captions)
    begin, end = (region.caption_span if is_in_caption else None) or (None, None)
    return {
        "region_id": region.id,
        "image_id": image.id,
        "file_name": page.file_name,
        "sha256": image.sha256,
        "image_width": image.width,
        "image_height": image.height,
        **dict(zip(_CORNERS, region.box.as_tuple(), strict=True)),
        **{f"{corner}_px": value for corner, value in zip(_CORNERS, corners, strict=True)},
        "phrase": CARRIES.text(region.phrase),
        "class": names.get(region.class_id or 0),
        "review": str(region.review),
        "origin": str(region.origin),
        "source": CARRIES.text(region.source),
        "mask": region.mask,
        "score": region.score,
        "is_crowd": region.is_crowd,
        "caption_id": region.caption_id if is_in_caption else None,
        "span_begin": begin,
        "span_end": end,
    }
