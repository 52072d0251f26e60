"""Regions and images by columns, for whoever looks at a whole collection at once.  Axes: N = rows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, func, or_, select

from locstudio.domain.geometry import BoxArray
from locstudio.domain.regions import Origin, Problem, Review
from locstudio.store import schema
from locstudio.store.connections import damage_named
from locstudio.store.joining import coded, codes_of, joined, numbers_of, refuse_ragged

_REVIEWS = {str(review): code for code, review in enumerate(Review)}
_ORIGINS = {str(origin): code for code, origin in enumerate(Origin)}
_PROBLEMS = {str(problem): code for code, problem in enumerate(Problem)}
_r = schema.region.c
_regions = select(
    _r.id,
    _r.image_id,
    _r.x0,
    _r.y0,
    _r.x1,
    _r.y1,
    func.coalesce(_r.class_id, 0),
    _r.review,
    _r.origin,
    _r.score,
    func.coalesce(_r.caption_id, 0),
    func.coalesce(_r.span_start, -1),
    func.coalesce(_r.span_end, -1),
    _r.phrase,
    _r.source,
    _r.external_id,
    _r.is_locked,
).order_by(_r.id)
_sizes = select(schema.image.c.id, schema.image.c.width, schema.image.c.height).order_by(schema.image.c.id)
_i = schema.image.c
_true_classes = (
    select(_r.image_id, _r.class_id)
    .where(
        _r.class_id.is_not(None),
        _r.review != str(Review.REJECTED),
        _r.is_crowd.is_(False),
        or_(_r.origin != str(Origin.MODEL), _r.review == str(Review.ACCEPTED)),
    )
    .distinct()
    .order_by(_r.image_id, _r.class_id)
)
_of = schema.edit_region.c
_firsts = select(_of.region_id, func.min(_of.edit_id)).group_by(_of.region_id)
_TEXTS = ("phrases", "sources", "external_ids")
_ROWS_A_TIME = 20_000
_times = select(schema.edit.c.id, schema.edit.c.at).where(schema.edit.c.kind == "do").order_by(schema.edit.c.id)


@dataclass(frozen=True, slots=True, eq=False)
class RegionColumns:
    """Every region of a dataset, by rising identity.

    Attributes:
        ids: Identities, (N,).
        image_ids: Images, (N,).
        boxes: In the ``unit`` frame, (N, 4).
        class_ids: Classes, 0 for none, (N,).
        reviews: Positions in ``Review``, (N,).
        origins: Positions in ``Origin``, (N,).
        scores: NaN for none, (N,).
        caption_ids: Captions, 0 for none, (N,).
        spans: Half-open character ranges in the captions, -1 for none, (N, 2).
        is_locked: Whether a person has locked it, (N,).
        times_ms: When it came into the dataset, in milliseconds since 1970, 0 where the log does not say, (N,).
        phrases, sources, external_ids: Texts, N each.
    """

    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    boxes: BoxArray
    class_ids: NDArray[np.int64]
    reviews: NDArray[np.int8]
    origins: NDArray[np.int8]
    scores: NDArray[np.float32]
    caption_ids: NDArray[np.int64]
    spans: NDArray[np.int32]
    is_locked: NDArray[np.bool_]
    times_ms: NDArray[np.int64]
    phrases: Sequence[str]
    sources: Sequence[str]
    external_ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSizes:
    """The images of a dataset by rising identity, with their upright pixels (0 when unreadable)."""

    ids: NDArray[np.int64]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class ImageContents:
    """What the files of a dataset's images hold, by rising identity.

    Attributes:
        ids: Identities, (N,).
        sha256: Hashes in hexadecimal digits, empty where not known, (N,).
        problems: Positions in ``Problem``, (N,).
    """

    ids: NDArray[np.int64]
    sha256: NDArray[np.bytes_]
    problems: NDArray[np.int8]


def region_columns(connection: Connection) -> RegionColumns:
    """Every region, by columns; rows are Python's for a moment only, so that a million of them fit into memory."""
    with damage_named():
        shared: dict[str, str] = {}
        rows = connection.execute(_regions).partitions(_ROWS_A_TIME)
        parts = [_region_columns(part, shared) for part in rows] or [_region_columns([], shared)]
        values = {field.name: [getattr(part, field.name) for part in parts] for field in fields(RegionColumns)}
        texts: dict[str, Any] = {name: list(chain.from_iterable(values.pop(name))) for name in _TEXTS}
        arrays: dict[str, Any] = {name: np.concatenate(each) for name, each in values.items()}
        whole = RegionColumns(**arrays, **texts)
        return replace(whole, times_ms=_times_of(connection, whole.ids))


def _region_columns(rows: Sequence[Sequence[Any]], shared: dict[str, str]) -> RegionColumns:
    """Some regions, without their times; equal texts are one, of ``shared``."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_regions.selected_columns)
    return RegionColumns(
        ids=np.array(columns[0], np.int64),
        image_ids=np.array(columns[1], np.int64),
        boxes=single_boxes(np.array(columns[2:6], np.float64).T.reshape(-1, 4)),
        class_ids=np.array(columns[6], np.int64),
        reviews=np.array([_code(_REVIEWS, word) for word in columns[7]], np.int8),
        origins=np.array([_code(_ORIGINS, word) for word in columns[8]], np.int8),
        scores=np.array([np.nan if score is None else score for score in columns[9]], np.float32),
        caption_ids=np.array(columns[10], np.int64),
        spans=np.array(columns[11:13], np.int32).T.copy().reshape(-1, 2),
        is_locked=np.array(columns[16], np.bool_),
        times_ms=np.zeros(len(rows), np.int64),
        phrases=[shared.setdefault(text, text) for text in columns[13]],
        sources=[shared.setdefault(text, text) for text in columns[14]],
        external_ids=columns[15],
    )


def single_boxes(boxes_N4: NDArray[np.float64]) -> BoxArray:
    """Boxes in float32; a sliver that only float64 can tell from a line gets the next wider float32."""
    low, high = boxes_N4[:, :2].astype(np.float32), boxes_N4[:, 2:].astype(np.float32)
    is_flat = low == high
    high = np.where(is_flat & (low == 0), np.nextafter(high, np.float32(1)), high)
    low = np.where(is_flat & (low > 0), np.nextafter(low, np.float32(0)), low)
    return np.concatenate([low, high], axis=1)


def image_sizes(connection: Connection) -> ImageSizes:
    """Every image with its size."""
    with damage_named():
        ids, widths, heights = _columns(connection, _sizes)
        return ImageSizes(np.array(ids, np.int64), np.array(widths, np.int32), np.array(heights, np.int32))


def image_contents(connection: Connection) -> ImageContents:
    """Every image with the hash of its file and its problem."""
    query = select(_i.id, _i.sha256, coded(_i.problem, _PROBLEMS)).order_by(_i.id)
    ids, hashes, problems = joined(connection, query)
    with damage_named():
        sha256 = _hashes(hashes) if ids else np.array([], "S64")
        found = ImageContents(numbers_of(ids), sha256, codes_of(problems))
        refuse_ragged(found.ids, found.sha256, found.problems)
    return found


def _hashes(joined_text: str) -> NDArray[np.bytes_]:
    """Hashes of 64 digits, or empty ones, that a joined column holds."""
    text = np.frombuffer(f"{joined_text},".encode(), np.uint8)
    if len(text) % 65 == 0:  # as long as if none were empty, which takes a fifth of the time
        is_comma = text.reshape(-1, 65) == ord(",")
        if is_comma[:, 64].all() and not is_comma[:, :64].any():
            return np.ascontiguousarray(text.reshape(-1, 65)[:, :64]).view("S64")[:, 0]
    return np.array(joined_text.split(","), "S64")


def region_classes(connection: Connection) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Images and classes of all regions that count as true (see ``Region.is_ground_truth``), each pair once."""
    images, classes = joined(connection, _true_classes)
    with damage_named():
        image_ids, class_ids = numbers_of(images), numbers_of(classes)
        refuse_ragged(image_ids, class_ids)
    return image_ids, class_ids


def _columns(connection: Connection, query: Select[Any]) -> list[Sequence[Any]]:
    rows = connection.execute(query).all()
    return list(zip(*rows, strict=True)) if rows else [()] * len(query.selected_columns)


def _code(codes: dict[str, int], word: Any) -> int:
    if word not in codes:
        raise ValueError(f"{word!r} is none of {', '.join(codes)}")
    return codes[word]


def _times_of(connection: Connection, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    known, firsts = (np.array(column, np.int64) for column in _columns(connection, _firsts))
    edits, at = _columns(connection, _times)
    if not len(known) or not len(edits):
        return np.zeros(len(ids), np.int64)
    times = np.array([moment[:23] for moment in at], "datetime64[ms]").astype(np.int64)
    row = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    line = np.minimum(np.searchsorted(np.array(edits, np.int64), firsts[row]), len(edits) - 1)
    return np.where(known[row] == ids, times[line], 0)
