"""Rows of the tables as values of the domain, and back.

A row is a tuple in the order of ``*_COLUMNS``.  Paths are bytes to the file system: a byte that is no UTF-8 is a lone
surrogate in Python and ``\\x1a`` with two hexadecimal digits in the database.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Column

from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, strokes_from_text, strokes_to_text
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import Caption, Image, LabelClass, Origin, Problem, Region, Review, Superclass
from locstudio.store.connections import damage_named
from locstudio.store.schema import (
    caption,
    heatmap_correction,
    image,
    image_class,
    label_class,
    phrase_rule,
    region,
    superclass,
)

Row = tuple[Any, ...]
Key = int | str | Row
"""What tells a row from all others of its table: its first column, or the tuple of its first few."""
T = TypeVar("T")

IMAGE_COLUMNS: tuple[Column[Any], ...] = tuple(c for c in image.c if c.name != "region_states")
REGION_COLUMNS: tuple[Column[Any], ...] = tuple(region.c)
CLASS_COLUMNS: tuple[Column[Any], ...] = tuple(label_class.c)
SUPERCLASS_COLUMNS: tuple[Column[Any], ...] = tuple(superclass.c)
CAPTION_COLUMNS: tuple[Column[Any], ...] = tuple(caption.c)
RULE_COLUMNS: tuple[Column[Any], ...] = tuple(phrase_rule.c)
LABEL_COLUMNS: tuple[Column[Any], ...] = tuple(image_class.c)
CORRECTION_COLUMNS: tuple[Column[Any], ...] = tuple(heatmap_correction.c)

_ESCAPE = re.compile("[\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class ImageRoot:
    """A folder of images.  ``path`` is absolute."""

    id: int
    path: str


def names_of(columns: Sequence[Column[Any]]) -> tuple[str, ...]:
    """What the columns are called."""
    return tuple(column.name for column in columns)


def key_of(row: Sequence[Any], num_keys: int = 1) -> Key:
    """The identity of a row whose first ``num_keys`` columns it is."""
    key: Key = row[0] if num_keys == 1 else tuple(row[:num_keys])
    return key


def stored_path(path: str) -> str:
    """A path as the database can hold it.

    Raises:
        ValueError: the path has a character that no file system gives (a surrogate that stands for no byte, or NUL).
    """
    if "\x00" in path:
        raise ValueError(f"a path cannot hold NUL: {path!r}")
    return path if path.isprintable() else _ESCAPE.sub(_escape, path)


def _escape(match: "re.Match[str]") -> str:
    code = ord(match.group())
    if code == 0x1A:
        return "\x1a1a"
    if not 0xDC80 <= code <= 0xDCFF:
        raise ValueError(f"a path cannot hold the character {match.group()!r}")
    return f"\x1a{code - 0xDC00:02x}"


def path_of(stored: str) -> str:
    """The path that ``stored_path`` has stored."""
    if "\x1a" not in stored:
        return stored
    return _ESCAPED.sub(lambda m: "\x1a" if m[1] == "1a" else chr(0xDC00 + int(m[1], 16)), stored)


def image_of(row: Sequence[Any]) -> Image:
    """An image from its row."""
    (key, root, path, width, height, sha, size, mtime, form, problem, note, verified, split) = row
    return Image(
        key, root, path_of(path), width, height, sha, size, mtime, form, Problem(problem), note, bool(verified), split
    )


def image_row(value: Image) -> Row:
    """An image's row."""
    return (
        int(value.id),
        int(value.root_id),
        stored_path(value.path),
        int(value.width),
        int(value.height),
        value.sha256,
        int(value.size_bytes),
        int(value.mtime_ns),
        value.format,
        str(value.problem),
        value.note,
        bool(value.is_verified),
        value.split,
    )


def region_of(row: Sequence[Any]) -> Region:
    """A region from its row."""
    (key, image_id, x0, y0, x1, y1, phrase, class_id, review, origin, score, source, external) = row[:13]
    (caption_id, start, end, mask, crowd, locked) = row[13:]
    return Region(
        key,
        image_id,
        UnitBox(x0, y0, x1, y1),
        phrase,
        class_id,
        Review(review),
        Origin(origin),
        score,
        source,
        external,
        caption_id,
        None if start is None else (start, end),
        mask,
        bool(crowd),
        bool(locked),
    )


def region_row(value: Region) -> Row:
    """A region's row; numbers of NumPy become Python's."""
    box, span = value.box, value.caption_span or (None, None)
    return (
        int(value.id),
        int(value.image_id),
        float(box.x0),
        float(box.y0),
        float(box.x1),
        float(box.y1),
        value.phrase,
        None if value.class_id is None else int(value.class_id),
        str(value.review),
        str(value.origin),
        None if value.score is None else float(value.score),
        value.source,
        value.external_id,
        None if value.caption_id is None else int(value.caption_id),
        span[0],
        span[1],
        value.mask,
        bool(value.is_crowd),
        bool(value.is_locked),
    )


def class_of(row: Sequence[Any]) -> LabelClass:
    """A class from its row."""
    (key, name, color, retired, superclass_id, external) = row
    return LabelClass(key, name, color, bool(retired), superclass_id, external)


def class_row(value: LabelClass) -> Row:
    """A class's row."""
    return value.id, value.name, value.color, bool(value.is_retired), value.superclass_id, value.external_id


def superclass_of(row: Sequence[Any]) -> Superclass:
    """A superclass from its row."""
    key, name, color, retired = row
    return Superclass(key, name, color, bool(retired))


def superclass_row(value: Superclass) -> Row:
    """A superclass's row."""
    return int(value.id), value.name, value.color, bool(value.is_retired)


def caption_of(row: Sequence[Any]) -> Caption:
    """A caption from its row."""
    (key, image_id, text, origin, source, external) = row
    return Caption(key, image_id, text, Origin(origin), source, external)


def caption_row(value: Caption) -> Row:
    """A caption's row."""
    return value.id, value.image_id, value.text, str(value.origin), value.source, value.external_id


def rule_of(row: Sequence[Any]) -> PhraseRule:
    """A rule from its row."""
    phrase, becomes, class_id = row
    return PhraseRule(phrase, becomes, class_id)


def rule_row(value: PhraseRule) -> Row:
    """A rule's row."""
    return value.phrase, value.becomes, None if value.class_id is None else int(value.class_id)


def label_of(row: Sequence[Any]) -> ImageLabel:
    """What is said of a class of an image, from its row."""
    image_id, class_id, presence, origin, score, source = row
    return ImageLabel(image_id, class_id, Presence(presence), Origin(origin), score, source)


def label_row(value: ImageLabel) -> Row:
    """The row of what is said of a class of an image; its identity is the image and the class."""
    return (
        int(value.image_id),
        int(value.class_id),
        str(value.presence),
        str(value.origin),
        None if value.score is None else float(value.score),
        value.source,
    )


def correction_of(row: Sequence[Any]) -> HeatCorrection:
    """What was painted on a heatmap, from its row.

    Raises:
        ValueError: the row holds no strokes.
    """
    key, image_id, class_id, kind, shape, checkpoint_id, at = row
    return HeatCorrection(key, image_id, class_id, Evidence(kind), strokes_from_text(shape), checkpoint_id or "", at)


def correction_row(value: HeatCorrection) -> Row:
    """The row of what was painted on a heatmap."""
    return (
        int(value.id),
        int(value.image_id),
        int(value.class_id),
        str(value.kind),
        strokes_to_text(value.strokes),
        value.checkpoint_id,
        value.at,
    )


def canonical_correction(row: Row) -> Row:
    """A correction's row as LocStudio would write it; one that holds no strokes stays as it is."""
    try:
        return correction_row(correction_of(row))
    except ValueError:
        return row


def values_of(make: Callable[[Sequence[Any]], T], rows: Sequence[Sequence[Any]]) -> list[T]:
    """Values from rows as SQLite gave them.

    Raises:
        StorageFailed: a row holds what no version of LocStudio writes, so the file is damaged.
    """
    with damage_named():
        return [make(row) for row in rows]
