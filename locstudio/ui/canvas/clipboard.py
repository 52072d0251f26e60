"""Boxes on the clipboard: they travel between images, windows and projects as JSON text under a type of our own."""

import json
from collections.abc import Iterable, Sequence

from PySide6.QtCore import QMimeData

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import LabelClass, Region

MIME_TYPE = "application/x-locstudio-boxes+json"
MAX_BYTES = 16_000_000
MAX_BOXES = 10_000


def to_mime(regions: Iterable[Region], classes: Iterable[LabelClass]) -> QMimeData:
    """The regions' boxes, phrases and class names; as plain text, their phrases."""
    names = {label.id: label.name for label in classes}
    rows = [
        {"box": list(r.box.as_tuple()), "phrase": r.phrase, "class": names.get(r.class_id or 0, "")} for r in regions
    ]
    mime = QMimeData()
    mime.setData(MIME_TYPE, json.dumps({"version": 1, "boxes": rows}).encode())
    mime.setText("\n".join(str(row["phrase"] or row["class"]) for row in rows))
    return mime


def from_mime(mime: QMimeData, classes: Sequence[LabelClass]) -> list[Region]:
    """The boxes on the clipboard, with identities 0; empty where there are none or they make no sense.

    Classes are found again by name, so that boxes of another project get this project's class, or none.
    """
    if not mime.hasFormat(MIME_TYPE):
        return []
    data = bytes(mime.data(MIME_TYPE).data())
    if len(data) > MAX_BYTES:
        return []
    ids = {label.name: label.id for label in classes if not label.is_retired}
    try:
        rows = json.loads(data)["boxes"][:MAX_BOXES]
        return [
            Region(0, 0, UnitBox(*map(float, row["box"])), str(row["phrase"]), ids.get(str(row["class"])))
            for row in rows
        ]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []  # any program may write anything under our type
