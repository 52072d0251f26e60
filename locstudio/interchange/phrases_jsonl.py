"""Regions and their phrases, one JSON object a line (ODVG, as Grounding DINO learns from), read as checked values.

    {"filename": …, "height": …, "width": …, "grounding": {"caption": …, "regions": [{"bbox": …, "phrase": …}]}}
    {"filename": …, "height": …, "width": …, "detection": {"instances": [{"bbox": …, "category": …}]}}
    {"image": …, "phrase": …, "box": …}

Boxes are corners in pixels, ``[x0, y0, x1, y1]``, or a list of such for one phrase.  The name may stand under
``filename``, ``file_name`` or ``image``; sizes may be missing.  Where the phrase stands in its caption is told by
``tokens_positive``, in characters, or found when it stands there once.  Of an instance with a ``label`` and no
``category`` the class has no name.  What `phrases_jsonl_writer` adds (``id``, ``category``, ``review`` …) is read
again.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown
from locstudio.interchange.json_lines import BrokenLine, JsonLines
from locstudio.interchange.json_stream import DuplicateKey
from locstudio.interchange.masks import BadMask, PixelBox, mask_text
from locstudio.interchange.report import ImportReport, Outcome, RowNote
from locstudio.interchange.rows import (
    FAR,
    MAX_NAME,
    MAX_TEXT,
    ORIGINS,
    REVIEWS,
    BadRow,
    CaptionRow,
    ClassRow,
    ImageRow,
    Key,
    Progress,
    RegionRow,
    Tables,
    chosen,
    clean,
    pixel_box,
)

_NAMES = ("filename", "file_name", "image")
_MAX_PATH = 4096
_MAX_TOGETHER = 10_000
_Object = dict[str, Any]
_Row = RegionRow | CaptionRow


class PhrasesFile:
    """Lines, read twice from front to back: `tables` first, then `rows`.  What is wrong goes to the report."""

    def __init__(self, path: Path, report: ImportReport, progress: Progress | None = None) -> None:
        self._path = path
        self._report = report
        self._progress = progress

    def tables(self) -> Tables:
        """Images and classes that the lines name.

        Raises:
            BadInput: no line is of this format.
        """
        tables = Tables()
        is_it = False
        for number, raw in enumerate(JsonLines(self._path, self._progress)):
            try:
                line, name = _line_of(raw)
                is_it = True
                image = ImageRow(number, name, name, *_size_of(line))
            except BadRow as error:
                self._report.note(RowNote("lines", number, "", Outcome.DROPPED, error.reason, error.detail))
                continue
            self._add_image(tables, image)
            for region in _regions_of(line):
                category = _category_of(region)
                if isinstance(category, str):
                    tables.classes.setdefault(category, ClassRow(category, category))
        if not is_it:
            raise BadInput(f"{shown(self._path.name)} has no line with a picture and its phrases; is it ODVG?")
        return tables

    def rows(self) -> Iterator[_Row]:
        """Regions and captions that are sound in themselves; of lines of one image that follow each other, the
        captions come first.

        Raises:
            BadInput: the file cannot be read any further.
        """
        reading = _Reading(self._report)
        lines = enumerate(JsonLines(self._path, self._progress))
        sound = ((name, number, line) for number, raw in lines for line, name in _lines_of(raw))
        for name, group in groupby(sound, lambda line: line[0]):
            together: list[_Row] = []
            for _, number, line in group:
                together += reading.rows_of(number, name, line)
                if len(together) > _MAX_TOGETHER:
                    yield from _in_order(together)
                    together = []
            yield from _in_order(together)

    def _add_image(self, tables: Tables, image: ImageRow) -> None:
        known = tables.images.get(image.key)
        size = (image.width, image.height)
        if image.key in tables.ambiguous_images:
            return
        if known is None or not known.width:
            tables.images[image.key] = image if known is None else replace(known, width=size[0], height=size[1])
        elif image.width and size != (known.width, known.height):
            del tables.images[image.key]
            tables.ambiguous_images.add(image.key)
            reason = "its name stands there with another size too"
            self._report.note(RowNote("images", image.row, image.file_name[:64], Outcome.DROPPED, reason))


class _Reading:
    """One pass over the lines: what was counted and seen so far."""

    def __init__(self, report: ImportReport) -> None:
        self._report = report
        self._row = -1
        self._ids: Counter[str] = Counter()
        self._num_regions: Counter[str] = Counter()
        self._captions: dict[str, dict[tuple[str, str], str]] = {}

    def rows_of(self, number: int, name: str, line: _Object) -> Iterator[_Row]:
        """The captions and regions of a line."""
        caption, text = None, ""
        try:
            text = _caption_of(line)
        except BadRow as error:
            self._report.note(RowNote("captions", number, "", Outcome.DROPPED, error.reason, error.detail))
        if text.strip():
            known = self._captions.setdefault(name, {})
            own, origin = (line["grounding"].get(f"caption_{what}") for what in ("id", "origin"))
            key = str(own) if _is_id(own) else ""
            caption = known.get((key, text))
            if caption is None:
                caption = known[key, text] = key or f"{clean(name)}:{len(known) + 1}"
                yield CaptionRow(number, "captions", caption, name, text.strip(), chosen(ORIGINS, origin))
        for region in _regions_of(line):
            for box in _boxes_of(region):
                self._row += 1
                external_id = self._id_of(name, region)
                try:
                    yield self._region(external_id, name, region, box, caption, text)
                except (BadRow, BadMask) as error:
                    detail = error.detail if isinstance(error, BadRow) else ""
                    note = RowNote("regions", self._row, external_id[:64], Outcome.DROPPED, str(error), detail)
                    self._report.note(note)

    def _id_of(self, name: str, region: Any) -> str:
        self._num_regions[name] += 1
        own = region.get("id") if isinstance(region, dict) else None
        external_id = str(own) if _is_id(own) else f"{clean(name)}:{self._num_regions[name]}"
        self._ids[external_id] += 1
        again = self._ids[external_id]
        return external_id if again == 1 else f"{external_id}#{again}"

    def _region(self, external_id: str, name: str, region: Any, box: Any, caption: str | None, text: str) -> RegionRow:
        if not isinstance(region, dict):
            raise BadRow("it is no JSON object", type(region).__name__)
        category = _category_of(region)
        phrase = _phrase_of(region)
        if category is None and not (phrase and phrase.strip()):
            raise BadRow("it has neither a phrase nor a category")
        corners = _corners_of(box)
        segmentation = region.get("segmentation")
        mask = mask_text(segmentation)
        score: Any = region.get("score")
        span = _span_of(region, phrase or "", text) if caption else None
        return RegionRow(
            self._row,
            external_id,
            name,
            category,
            corners,
            segmentation if mask else None,
            mask,
            region.get("iscrowd") in (1, True),
            float(score) if type(score) in (int, float) and abs(score) < FAR else None,
            phrase,
            chosen(REVIEWS, region.get("review")),
            chosen(ORIGINS, region.get("origin")),
            caption if span else None,
            span,
        )


def _in_order(rows: list[_Row]) -> list[_Row]:
    """Captions first, and rows with numbers for ids as these go, so that an export comes back in its order."""

    def place(row: _Row) -> tuple[bool, int]:
        number = re.match("[0-9]{1,19}(?=#|$)", row.external_id)
        return isinstance(row, RegionRow), int(number[0]) if number else 0

    return sorted(rows, key=place)


def _lines_of(raw: Any) -> Iterator[tuple[_Object, str]]:
    """The line where it is sound, else nothing: it was noted with the images."""
    try:
        yield _line_of(raw)
    except BadRow:
        return


def _line_of(raw: Any) -> tuple[_Object, str]:
    """A line and the name of its image."""
    if isinstance(raw, BrokenLine):
        raise BadRow(str(raw))
    if isinstance(raw, DuplicateKey):
        raise BadRow("one key stands there twice", str(raw))
    if not isinstance(raw, dict):
        raise BadRow("it is no JSON object", type(raw).__name__)
    name = next((raw[key] for key in _NAMES if key in raw), None)
    if not isinstance(name, str) or not name or len(name) > _MAX_PATH:
        raise BadRow("it has no filename")
    if not any(isinstance(raw.get(key), dict) for key in ("grounding", "detection")) and "phrase" not in raw:
        raise BadRow("it has neither grounding nor detection nor a phrase")
    return raw, name


def _size_of(line: _Object) -> tuple[int, int]:
    sides = [line.get(name) for name in ("width", "height")]
    if sides == [None, None]:
        return 0, 0
    if not all(type(side) in (int, float) and 1 <= side < FAR and side == int(side) for side in sides):  # type: ignore[operator,arg-type]  # numbers, once their type is known
        raise BadRow("its width and height are no sizes")
    return int(sides[0]), int(sides[1])  # type: ignore[arg-type]  # checked above


def _regions_of(line: _Object) -> list[Any]:
    for key, rows in (("grounding", "regions"), ("detection", "instances")):
        if isinstance(line.get(key), dict):
            found = line[key].get(rows)
            return found if isinstance(found, list) else []
    return [line]


def _caption_of(line: _Object) -> str:
    grounding = line.get("grounding")
    text = grounding.get("caption") if isinstance(grounding, dict) else None
    if text is not None and not isinstance(text, str):
        raise BadRow("its caption is no text")
    if text and len(text) > MAX_TEXT:
        raise BadRow("its caption is too long", f"{len(text)} characters")
    return clean(text or "")


def _boxes_of(region: Any) -> list[Any]:
    """Every box of a region; one that is no box is told of when it is looked at."""
    box = region.get("bbox", region.get("box")) if isinstance(region, dict) else None
    is_several = isinstance(box, list) and bool(box) and all(isinstance(one, list) for one in box)
    return box if is_several and isinstance(box, list) else [box]


def _corners_of(box: Any) -> PixelBox:
    if not isinstance(box, list) or len(box) != 4:
        raise BadRow("its box is not a list of four numbers")
    if not all(type(value) in (int, float) for value in box):
        raise BadRow("its box has something in it that is no number")
    return pixel_box(*box)


def _category_of(region: Any) -> Key | None:
    """The name of its class; a number where the class has none."""
    if not isinstance(region, dict):
        return None
    name = region.get("category")
    if isinstance(name, str) and clean(name).strip() and len(name) <= MAX_NAME:
        return clean(name).strip()
    label = region.get("label")
    return label if type(label) is int and abs(label) < 1 << 31 and name is None else None


def _phrase_of(region: _Object) -> str | None:
    phrase = region.get("phrase")
    return clean(phrase) if isinstance(phrase, str) and len(phrase) <= MAX_TEXT else None


def _span_of(region: _Object, phrase: str, text: str) -> tuple[int, int] | None:
    """Where the phrase stands in the caption, whose margins are cut off."""
    caption, margin = text.strip(), len(text) - len(text.lstrip())
    spans = region.get("tokens_positive")
    if isinstance(spans, list) and len(spans) == 1 and isinstance(spans[0], list) and len(spans[0]) == 2:
        begin, end = spans[0]
        if type(begin) is int and type(end) is int and margin <= begin < end <= margin + len(caption):
            return begin - margin, end - margin
    if spans is not None or not phrase.strip():
        return None
    found = [match.span() for match in re.finditer(rf"(?<!\w){re.escape(phrase)}(?!\w)", caption, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 < value < 1 << 63
