"""What was edited between two snapshots of a dataset: counts, and the rows themselves in pages.

Both files are read as they lie, side by side, by identities: a row keeps its identity for ever, and none is given
twice.  A region that was both moved and renamed counts as each.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Caption, Image, LabelClass, Region
from locstudio.store.connections import connect, failures_named
from locstudio.store.dataset import open_snapshot
from locstudio.store.rows import (
    CAPTION_COLUMNS,
    CLASS_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    REGION_COLUMNS,
    caption_of,
    class_of,
    image_of,
    label_of,
    region_of,
    values_of,
)

RegionChangeKind = Literal["added", "removed", "moved", "renamed", "reviewed"]

# "IS NOT" also where either side is NULL.
_BOX = " OR ".join(f"o.{name} <> n.{name}" for name in ("x0", "y0", "x1", "y1"))
_REGION_CONDITIONS: dict[str, str] = {
    "moved": _BOX,
    "renamed": "o.phrase <> n.phrase OR o.class_id IS NOT n.class_id",
    "reviewed": "o.review <> n.review",
}
_OTHER_CONDITIONS: dict[str, tuple[str, str]] = {
    "images": ("image", "o.sha256 <> n.sha256 OR o.path <> n.path OR o.split <> n.split OR o.problem <> n.problem"),
    "classes": (
        "label_class",
        "o.name <> n.name OR o.is_retired <> n.is_retired OR o.superclass_id IS NOT n.superclass_id",
    ),
    "superclasses": ("superclass", "o.name <> n.name OR o.is_retired <> n.is_retired"),
    "captions": ("caption", "o.text <> n.text"),
    "labels": ("image_class", "o.presence <> n.presence"),
    "heat_corrections": ("heatmap_correction", "o.kind <> n.kind OR o.shape <> n.shape"),
}
_KEYS = {"image_class": ("image_id", "class_id")}
"""The identities of tables whose rows have none of their own."""


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many rows of one kind came, went and became others."""

    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class RegionDiff:
    """One region before and after; ``before`` is None for a new one, ``after`` for one that is gone."""

    before: Region | None
    after: Region | None


@dataclass(frozen=True, slots=True)
class SnapshotDiff:
    """What changed from ``old`` to ``new``.

    ``regions`` counts by kind of change; ``num_edited_regions`` counts each region once.  A class is changed when it
    was renamed, retired or put into another superclass, an image when its file, path, split or problem is another, a
    label of an image when it says something else of the class.
    """

    old: Path
    new: Path
    regions: dict[RegionChangeKind, int] = field(default_factory=dict)
    num_edited_regions: int = 0
    images: RowCounts = RowCounts()
    classes: RowCounts = RowCounts()
    superclasses: RowCounts = RowCounts()
    captions: RowCounts = RowCounts()
    labels: RowCounts = RowCounts()
    heat_corrections: RowCounts = RowCounts()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was edited."""
        return not self.num_edited_regions and all(counts == RowCounts() for counts in self._others().values())

    def region_page(self, kind: RegionChangeKind, after_id: int = 0, limit: int = 200) -> list[RegionDiff]:
        """The next regions that were changed so, after the region with this identity, by identity."""
        with _side_by_side(self.old, self.new) as connection:
            side = "o" if kind == "removed" else "n"
            query = (
                f"SELECT {_columns(REGION_COLUMNS)} {_region_join(kind)} AND {side}.id > ? ORDER BY {side}.id LIMIT ?"
            )
            rows = connection.execute(query, (after_id, limit)).fetchall()
        width = len(REGION_COLUMNS)
        before = [_value(region_of, row[:width]) for row in rows]
        after = [_value(region_of, row[width:]) for row in rows]
        return [RegionDiff(*pair) for pair in zip(before, after, strict=True)]

    def image_page(self, limit: int = 200) -> list[tuple[Image | None, Image | None]]:
        """Images that came, went or changed, before and after."""
        return self._page("images", image_of, IMAGE_COLUMNS, limit)

    def class_page(self, limit: int = 200) -> list[tuple[LabelClass | None, LabelClass | None]]:
        """Classes that came, went, were renamed, retired or grouped otherwise, before and after."""
        return self._page("classes", class_of, CLASS_COLUMNS, limit)

    def caption_page(self, limit: int = 200) -> list[tuple[Caption | None, Caption | None]]:
        """Captions that came, went or were written anew, before and after."""
        return self._page("captions", caption_of, CAPTION_COLUMNS, limit)

    def label_page(self, limit: int = 200) -> list[tuple[ImageLabel | None, ImageLabel | None]]:
        """Labels of images that came, went or say something else, before and after."""
        return self._page("labels", label_of, LABEL_COLUMNS, limit)

    def to_json(self) -> dict[str, Any]:
        """The counts as a document."""
        return {
            "regions": {**self.regions, "edited": self.num_edited_regions},
            **{
                name: {"added": counts.added, "removed": counts.removed, "changed": counts.changed}
                for name, counts in self._others().items()
            },
        }

    def _others(self) -> dict[str, RowCounts]:
        return {name: getattr(self, name) for name in _OTHER_CONDITIONS}

    def _page(self, name: str, make: Any, columns: Sequence[Any], limit: int) -> list[Any]:
        table, condition = _OTHER_CONDITIONS[name]
        with _side_by_side(self.old, self.new) as connection:
            query = (
                f"SELECT {_columns(columns)} FROM main.{table} n FULL JOIN old.{table} o ON {_is_same_row(table)} "
                f"WHERE o.rowid IS NULL OR n.rowid IS NULL OR {condition} ORDER BY {_order(table)} LIMIT ?"
            )
            rows = connection.execute(query, (limit,)).fetchall()
        width = len(columns)
        return [(_value(make, row[:width]), _value(make, row[width:])) for row in rows]


def diff_snapshots(old: Path, new: Path) -> SnapshotDiff:
    """Compare two snapshots of one dataset.

    Raises:
        NotAProject: a file is no snapshot.
        TooNew: a newer LocStudio wrote it.
        StorageFailed: a file cannot be read.
    """
    for path in (old, new):
        open_snapshot(path).close()  # refuses what is none of ours
    with _side_by_side(old, new) as connection:
        counts = ", ".join(f"coalesce(sum({condition}), 0)" for condition in _REGION_CONDITIONS.values())
        any_of_them = " OR ".join(f"({condition})" for condition in _REGION_CONDITIONS.values())
        query = f"SELECT {counts}, coalesce(sum({any_of_them}), 0) FROM main.region n JOIN old.region o ON o.id = n.id"
        *of_kinds, num_changed = connection.execute(query).fetchone()
        added, removed = _came_and_went(connection, "region")
        regions: dict[RegionChangeKind, int] = {"added": added, "removed": removed}
        regions.update(zip(("moved", "renamed", "reviewed"), map(int, of_kinds), strict=True))
        others = {}
        for name, (table, condition) in _OTHER_CONDITIONS.items():
            query = f"SELECT count(*) FROM main.{table} n JOIN old.{table} o ON {_is_same_row(table)} WHERE {condition}"
            others[name] = RowCounts(*_came_and_went(connection, table), connection.execute(query).fetchone()[0])
    return SnapshotDiff(old, new, regions, added + removed + int(num_changed), **others)


def _came_and_went(connection: Any, table: str) -> tuple[int, int]:
    keys = ", ".join(_KEYS.get(table, ("id",)))
    query = "SELECT count(*) FROM {0}.{2} WHERE ({3}) NOT IN (SELECT {3} FROM {1}.{2})"
    added, removed = (
        connection.execute(query.format(*sides, table, keys)).fetchone()[0]
        for sides in (("main", "old"), ("old", "main"))
    )
    return int(added), int(removed)


def _is_same_row(table: str) -> str:
    return " AND ".join(f"o.{key} = n.{key}" for key in _KEYS.get(table, ("id",)))


def _order(table: str) -> str:
    return ", ".join(f"coalesce(n.{key}, o.{key})" for key in _KEYS.get(table, ("id",)))


def _region_join(kind: RegionChangeKind) -> str:
    match kind:
        case "added":
            return "FROM main.region n LEFT JOIN old.region o ON o.id = n.id WHERE o.id IS NULL"
        case "removed":
            return "FROM old.region o LEFT JOIN main.region n ON o.id = n.id WHERE n.id IS NULL"
        case _:
            return f"FROM main.region n JOIN old.region o ON o.id = n.id WHERE ({_REGION_CONDITIONS[kind]})"


def _columns(columns: Sequence[Any]) -> str:
    return ", ".join(f"{side}.{column.name}" for side in ("o", "n") for column in columns)


def _value(make: Any, row: Sequence[Any]) -> Any:
    return None if row[0] is None else values_of(make, [row])[0]


@contextmanager
def _side_by_side(old: Path, new: Path) -> Iterator[Any]:
    """Both files on one connection, ``new`` as ``main`` and the other one as ``old``, neither of them written."""
    with failures_named("The snapshots were not compared"):
        connection = connect(new, "frozen")
        try:
            address = "file:" + quote(os.fsencode(os.path.abspath(old))) + "?mode=ro&immutable=1"
            connection.execute("ATTACH DATABASE ? AS old", (address,))
            yield connection
        finally:
            connection.close()
