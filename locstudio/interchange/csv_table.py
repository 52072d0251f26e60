"""Regions as a CSV table, for a spreadsheet or a script: written, and read again to be compared.  Nobody imports it.

A row a region, and one without a box for an image on which a person has found nothing.  A cell that a spreadsheet would
take for a formula begins with an apostrophe, as spreadsheets know it.
"""

import csv
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Region
from locstudio.domain.text import shown
from locstudio.interchange.report import ImportReport
from locstudio.interchange.rows import (
    ORIGINS,
    REVIEWS,
    CaptionRow,
    ClassRow,
    ImageRow,
    Progress,
    RegionRow,
    Tables,
    pixel_box,
)
from locstudio.interchange.writing import Carries, Contents, Page

COLUMNS = (
    *("file_name", "image_width", "image_height", "region_id", "x0_px", "y0_px", "x1_px", "y1_px"),
    *("phrase", "class", "review", "origin", "score", "is_crowd", "source"),
)
CARRIES = Carries(
    ids=True, classless=True, phrases=True, crowds=True, scores=True, reviews=True, origins=True, sizes=True
)
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_HOW: Mapping[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


def write_csv(contents: Contents, target: Path) -> None:
    """Write the regions of an export as a table, and make it durable."""
    names = {label.id: label.name for label in contents.classes}
    with open(target, "x", **_HOW) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for page in contents.pages():
            about = [guarded(page.file_name), page.image.width, page.image.height]
            rows = [_cells(page, region, names) for region in page.regions] or [[""] * (len(COLUMNS) - len(about))]
            writer.writerows([*about, *row] for row in rows)
        file.flush()
        os.fsync(file.fileno())


def guarded(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; `plain` gives the text back."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain(cell: str) -> str:
    """The text of a guarded cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _cells(page: Page, region: Region, names: Mapping[int, str]) -> list[Any]:
    texts = (region.phrase, names.get(region.class_id or 0, ""))
    return [
        region.id,
        *(repr(corner) for corner in region.box.to_pixels(page.image.width, page.image.height)),
        *(guarded(CARRIES.text(text)) for text in texts),
        str(region.review),
        str(region.origin),
        "" if region.score is None else repr(region.score),
        int(region.is_crowd),
        guarded(CARRIES.text(region.source)),
    ]


class CsvTable:
    """A table of regions, read row by row."""

    def __init__(self, path: Path, _report: ImportReport, _progress: Progress | None = None) -> None:
        self._path = path

    def tables(self) -> Tables:
        """Images and classes that the rows name.

        Raises:
            BadInput: the table cannot be read.
        """
        tables = Tables()
        for number, row in enumerate(self._cells()):
            name, label = plain(row["file_name"]), plain(row["class"]).strip()
            size = int(row["image_width"]), int(row["image_height"])
            tables.images.setdefault(name, ImageRow(number, name, name, *size))
            if label:
                tables.classes.setdefault(label, ClassRow(label, label))
        return tables

    def rows(self) -> Iterator[RegionRow | CaptionRow]:
        """The regions.

        Raises:
            BadInput: the table cannot be read.
        """
        for number, row in enumerate(self._cells()):
            if row["region_id"]:
                yield RegionRow(
                    number,
                    row["region_id"],
                    plain(row["file_name"]),
                    plain(row["class"]).strip() or None,
                    pixel_box(*(float(row[f"{corner}_px"]) for corner in ("x0", "y0", "x1", "y1"))),
                    is_crowd=row["is_crowd"] == "1",
                    score=float(row["score"]) if row["score"] else None,
                    phrase=plain(row["phrase"]),
                    review=REVIEWS.get(row["review"]),
                    origin=ORIGINS.get(row["origin"]),
                )

    def _cells(self) -> Iterator[dict[str, str]]:
        try:
            with open(self._path, **_HOW) as file:
                yield from csv.DictReader(file)
        except (OSError, csv.Error) as error:
            raise BadInput(f"{shown(self._path.name)} cannot be read: {shown(str(error))}.") from error
