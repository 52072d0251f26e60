"""What an import or export did, row by row where it is worth a row: for a person as text, for a program as JSON."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from locstudio.domain.text import counted, shown

MAX_NOTES = 1000
"""Rows that are listed one by one; all of them are counted."""


class Outcome(StrEnum):
    """What became of a row."""

    KEPT = "kept"
    CLAMPED = "clamped"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class RowNote:
    """A row of a file that did not simply go in.  ``row`` counts from 0 within ``table``; ``id`` is the file's own."""

    table: str
    row: int
    id: str
    outcome: Outcome
    reason: str
    detail: str = ""

    def to_text(self) -> str:
        """One line."""
        name = f"{self.table} row {self.row}" + (f" (id {shown(self.id, 60)})" if self.id else "")
        return f"{name}: {self.outcome}, {self.reason}" + (f": {shown(self.detail)}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Conflict:
    """A row that differs from what a person has made of it since the last import; the person's version stays.

    ``region_id`` is 0 where it speaks of no region that is there.
    """

    id: str
    region_id: int
    reason: str

    def to_text(self) -> str:
        """One line."""
        return (
            f"id {shown(self.id, 60)}" + (f" (region {self.region_id})" if self.region_id else "") + f": {self.reason}"
        )


@dataclass(slots=True)
class ImportReport:
    """What an import did.  ``notes`` and ``conflicts`` hold the first thousand, the counts hold all."""

    file: str
    source: str = ""
    num_images_added: int = 0
    num_images_known: int = 0
    num_classes_added: int = 0
    num_classes_grouped: int = 0
    num_regions_added: int = 0
    num_regions_known: int = 0
    num_regions_updated: int = 0
    num_captions_added: int = 0
    num_captions_known: int = 0
    num_labels_added: int = 0
    num_labels_known: int = 0
    num_labels_updated: int = 0
    num_images_rejected: int = 0
    num_rejected: int = 0
    num_clamped: int = 0
    num_conflicts: int = 0
    is_cancelled: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    notes: list[RowNote] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)

    @property
    def num_new(self) -> int:
        """Regions, captions and labels of images that were not in the dataset before."""
        return self.num_regions_added + self.num_captions_added + self.num_labels_added

    def note(self, note: RowNote) -> None:
        """Count a row, and list it while there is room.  Dropped annotations are ``rejected``; images count apart."""
        if note.outcome is Outcome.CLAMPED:
            self.num_clamped += 1
        elif note.outcome is Outcome.DROPPED and note.table == "images":
            self.num_images_rejected += 1
        elif note.outcome is Outcome.DROPPED:
            self.num_rejected += 1
        self.reasons[f"{note.table} {note.outcome}: {note.reason}"] += 1
        if len(self.notes) < MAX_NOTES:
            self.notes.append(note)

    def conflict(self, conflict: Conflict) -> None:
        """Count a conflict, and list it while there is room."""
        self.num_conflicts += 1
        if len(self.conflicts) < MAX_NOTES:
            self.conflicts.append(conflict)

    def to_text(self) -> str:
        """The report for a person: what went in, what did not and why, what she can do."""
        lines = [
            f"{shown(self.file)}: {'stopped early' if self.is_cancelled else 'imported'}",
            f"  images    {self.num_images_added} new, {self.num_images_known} known, "
            f"{self.num_images_rejected} left out",
            f"  regions   {self.num_regions_added} new, {self.num_regions_known} known, "
            f"{self.num_regions_updated} brought up to date",
            f"  captions  {self.num_captions_added} new, {self.num_captions_known} known",
            f"  labels    {self.num_labels_added} new, {self.num_labels_known} known, "
            f"{self.num_labels_updated} brought up to date",
            f"  classes   {self.num_classes_added} new"
            + (f", {self.num_classes_grouped} put into superclasses" if self.num_classes_grouped else ""),
            f"  rows left out {self.num_rejected}, boxes cut at the edge {self.num_clamped}, "
            f"your corrections kept {self.num_conflicts}",
        ]
        lines += [f"  {count} x {reason}" for reason, count in self.reasons.most_common()]
        lines += [f"  {offer}" for offer in self.offers]
        lines += _listed([note.to_text() for note in self.notes])
        lines += _listed([conflict.to_text() for conflict in self.conflicts])
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        return {
            "file": shown(self.file, 4096),
            "source": shown(self.source, 4096),
            "is_cancelled": self.is_cancelled,
            **counts,
            "reasons": dict(self.reasons),
            "offers": self.offers,
            "notes": [
                {"table": n.table, "row": n.row, "id": shown(n.id), "outcome": str(n.outcome), "reason": n.reason}
                | {"detail": shown(n.detail)}
                for n in self.notes
            ],
            "conflicts": [{"id": shown(c.id), "region": c.region_id, "reason": c.reason} for c in self.conflicts],
        }


_COUNTS = tuple(name for name in ImportReport.__slots__ if name.startswith("num_"))


@dataclass(slots=True)
class ExportReport:
    """What an export wrote; it exists only once the file was read again and held what the dataset holds."""

    file: str
    image_root: str
    num_images: int = 0
    num_regions: int = 0
    num_captions: int = 0
    num_labels: int = 0
    num_classes: int = 0
    precision: str = ""
    left_out: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """The report for a person."""
        lines = [
            f"{shown(self.file)}: {self.num_images} images, {self.num_regions} regions, {self.num_captions} captions, "
            f"{self.num_labels} labels, {self.num_classes} classes; read again and compared.",
            f"  file names are relative to {shown(self.image_root)}",
        ]
        lines += [f"  {self.precision}"] if self.precision else []
        lines += [f"  left out: {count} {reason}" for reason, count in self.left_out.items()]
        if self.missing:
            lines.append(f"  no file at the moment, but in the export: {counted(len(self.missing), 'image')}")
            lines += _listed([shown(path) for path in self.missing])
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return {
            "file": shown(self.file, 4096),
            "image_root": shown(self.image_root, 4096),
            "num_images": self.num_images,
            "num_regions": self.num_regions,
            "num_captions": self.num_captions,
            "num_labels": self.num_labels,
            "num_classes": self.num_classes,
            "precision": self.precision,
            "left_out": dict(self.left_out),
            "missing": [shown(path, 4096) for path in self.missing],
        }


def _listed(lines: list[str], limit: int = 20) -> list[str]:
    shown_lines = [f"    {line}" for line in lines[:limit]]
    if len(lines) > limit:
        shown_lines.append(f"    … and {len(lines) - limit} more")
    return shown_lines
