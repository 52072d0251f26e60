"""Images put into the dataset or refreshed, by root and path."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from locstudio.domain.regions import Image
from locstudio.store.changing import chunks
from locstudio.store.rows import IMAGE_COLUMNS, image_of, image_row, stored_path, values_of
from locstudio.store.schema import image

_NAMES = [column.name for column in IMAGE_COLUMNS]
_REFRESHED = ("width", "height", "sha256", "size_bytes", "mtime_ns", "format", "problem", "note")

_known = select(*IMAGE_COLUMNS).where(
    image.c.root_id == bindparam("root"), image.c.path.in_(bindparam("paths", expanding=True))
)
_refresh = (
    update(image).where(image.c.id == bindparam("key")).values({name: bindparam(f"new_{name}") for name in _REFRESHED})
)


def put_images(connection: Connection, images: Sequence[Image], next_ids: Iterator[int]) -> list[int]:
    """Insert the images that are not there, refresh the others; what a person said of them stays."""
    known = _find(connection, images)
    keys: list[int] = []
    new: dict[tuple[int, str], dict[str, Any]] = {}
    changed: dict[int, dict[str, Any]] = {}
    for value in images:
        place = value.root_id, value.path
        old = known.get(place)
        if old is None:
            value = replace(value, id=next(next_ids))
            known[place] = value
            new[place] = dict(zip(_NAMES, image_row(value), strict=True))
        elif (refreshed := _refreshed(old, value)) != old:
            known[place] = refreshed
            row = dict(zip(_NAMES, image_row(refreshed), strict=True))
            if place in new:
                new[place] = row
            else:
                changed[old.id] = {"key": old.id, **{f"new_{name}": row[name] for name in _REFRESHED}}
        keys.append(known[place].id)
    if new:
        connection.execute(insert(image), list(new.values()))
    if changed:
        connection.execute(_refresh, list(changed.values()))
    return keys


def _find(connection: Connection, images: Sequence[Image]) -> dict[tuple[int, str], Image]:
    by_root: dict[int, list[str]] = {}
    for value in images:
        by_root.setdefault(value.root_id, []).append(stored_path(value.path))
    found: dict[tuple[int, str], Image] = {}
    for root, paths in by_root.items():
        for chunk in chunks(paths):
            rows = connection.execute(_known, {"root": root, "paths": chunk}).all()
            found.update({(root, known.path): known for known in values_of(image_of, rows)})
    return found


def _refreshed(old: Image, seen: Image) -> Image:
    sha = seen.sha256
    if not sha and (seen.size_bytes, seen.mtime_ns) == (old.size_bytes, old.mtime_ns):
        sha = old.sha256
    return replace(seen, id=old.id, sha256=sha, is_verified=old.is_verified, split=old.split)
