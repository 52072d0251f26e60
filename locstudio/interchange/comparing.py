"""Reading an export as any importer would, and comparing every row with what was meant to be written."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import msgspec

from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Caption, LabelClass, Origin, Region, Review
from locstudio.interchange.report import ImportReport, Outcome
from locstudio.interchange.rows import AnnotationFile, AnyRow, CaptionRow, Key, LabelRow, RegionRow, Tables, clean
from locstudio.interchange.writing import Carries, Contents, Page

_BATCH = 200

_Rows = tuple[Key, type[AnyRow], list[AnyRow]]


class Comparison:
    """One comparison; `difference` says what differs first, or "".

    Args:
        pages_of: the pages of images by identity, in the order asked for.
    """

    def __init__(
        self, contents: Contents, carries: Carries, pages_of: Callable[[Sequence[int]], Sequence[Page]]
    ) -> None:
        self._carries = carries
        self._contents = contents
        self._pages_of = pages_of
        self._labels = {label.id: label for label in contents.classes}
        self._seen: set[tuple[int, type[AnyRow]]] = set()
        self.num_images = 0
        self.num_regions = 0
        self.num_captions = 0
        self.num_labels = 0

    def difference(self, reader: type[AnnotationFile], path: Path) -> str:
        """Read what stands at ``path`` and compare it; the counts are those of rows that are the same."""
        reading = ImportReport(str(path))
        file = reader(path, reading)
        tables = file.tables()
        found = self._image_ids(tables)
        if isinstance(found, str):
            return found
        groups = groupby(file.rows(), lambda row: (row.image_key, type(row)))
        rows = ((key, kind, list(group)) for (key, kind), group in groups)
        while batch := list(islice(rows, _BATCH)):
            if difference := self._compare(batch, found, tables):
                return difference
        lost = [note for note in reading.notes if note.outcome is not Outcome.KEPT]
        return lost[0].to_text() if lost else ""

    def _image_ids(self, tables: Tables) -> dict[Key, int] | str:
        """The images' identities by the file's keys, or what differs."""
        keys = {image.file_name: image for image in tables.images.values()}
        found: dict[Key, int] = {}
        for page in self._contents.images():
            row = keys.pop(page.file_name, None)
            size = (page.image.width, page.image.height)
            if row is None or (self._carries.sizes and (row.width, row.height) != size):
                return f"image {page.image.id}"
            found[row.key] = page.image.id
        if keys or len(found) != len(tables.images):
            return "images"
        self.num_images = len(found)
        names = {row.name for row in tables.classes.values() if not row.is_no_class}
        is_whole = names == {self._name(label) for label in self._labels.values()}
        if not is_whole and self._carries.all_classes:
            return "classes"
        if self._carries.superclasses:
            said = {(row.name, row.superclass) for row in tables.classes.values() if not row.is_no_class}
            groups = self._contents.superclasses
            group_of = {label.id: " ".join(clean(groups.get(label.id, "")).split()) for label in self._labels.values()}
            if said != {(self._name(label), group_of[label.id]) for label in self._labels.values()}:
                return "superclasses"
        return found

    def _compare(self, batch: list[_Rows], found: dict[Key, int], tables: Tables) -> str:
        ids = [found.get(key, 0) for key, _, _ in batch]
        pages = {page.image.id: page for page in self._pages_of([key for key in ids if key])}
        for image_id, (_, kind, rows) in zip(ids, batch, strict=True):
            if image_id not in pages or (image_id, kind) in self._seen:
                return f"rows of image {image_id}"
            self._seen.add((image_id, kind))
            page = pages[image_id]
            mine = _part_of(page, kind)
            if len(mine) != len(rows):
                return f"image {image_id} has {len(rows)} rows instead of {len(mine)}"
            for value, row in zip(mine, rows, strict=True):
                if not self._is_same(page, value, row, tables):
                    return f"row {row.row} of image {image_id}"
            self.num_regions += len(rows) if kind is RegionRow else 0
            self.num_captions += len(rows) if kind is CaptionRow else 0
            self.num_labels += len(rows) if kind is LabelRow else 0
        return ""

    def _is_same(self, page: Page, mine: Region | Caption | ImageLabel, row: AnyRow, tables: Tables) -> bool:
        carries = self._carries
        if isinstance(row, LabelRow):
            return isinstance(mine, ImageLabel) and self._is_same_label(mine, row, tables)
        if isinstance(mine, ImageLabel):
            return False
        if carries.ids and str(mine.id) != row.external_id:
            return False
        if isinstance(mine, Caption):
            origin = mine.origin if carries.origins else Origin.IMPORTED
            expected = (carries.text(mine.text).strip(), origin)
            return isinstance(row, CaptionRow) and expected == (row.text, row.origin or Origin.IMPORTED)
        return isinstance(row, RegionRow) and all(self._equalities(page, mine, row, tables))

    def _is_same_label(self, mine: ImageLabel, row: LabelRow, tables: Tables) -> bool:
        label = self._labels.get(mine.class_id)
        found = tables.classes.get(row.class_key)
        origin = mine.origin if self._carries.origins else Origin.IMPORTED
        expected = (self._name(label) if label else "", mine.presence, origin)
        is_same_score = not self._carries.scores or mine.score == row.score
        read = (found.name if found else "", row.presence, row.origin or Origin.IMPORTED)
        return is_same_score and expected == read

    def _equalities(self, page: Page, mine: Region, row: RegionRow, tables: Tables) -> Iterator[bool]:
        carries = self._carries
        width, height = page.image.width, page.image.height
        allowed = carries.tolerance_px + carries.tolerance_share * max(width, height)
        scale_x, scale_y = (width, height) if tables.images[row.image_key].is_unit else (1, 1)
        corners = [value * scale for value, scale in zip(row.box, (scale_x, scale_y) * 2, strict=True)]
        yield all(abs(a - b) <= allowed for a, b in zip(mine.box.to_pixels(width, height), corners, strict=True))
        label = self._labels.get(mine.class_id or 0)
        yield self._class_name(row, tables) == (self._name(label) if label else "")
        if carries.phrases:
            phrase = (label.name if label else "") if row.phrase is None else row.phrase
            yield carries.text(mine.phrase) == carries.text(phrase)
        mask = msgspec.json.decode(mine.mask) if mine.mask else None
        if mask is None or (carries.polygons if isinstance(mask, list) else carries.runs):
            yield self._is_same_mask(mask or None, row.segmentation, allowed)
        yield not carries.crowds or mine.is_crowd == row.is_crowd
        yield not carries.scores or mine.score == row.score
        yield not carries.reviews or mine.review is (row.review or Review.ACCEPTED)
        yield not carries.origins or mine.origin is (row.origin or Origin.IMPORTED)
        yield not carries.spans or _place_in_caption(page, mine) == (row.caption, row.span)

    @staticmethod
    def _is_same_mask(mine: Any, row: Any, allowed: float) -> bool:
        """Run lengths are the same or not; corners may have been rounded on their way."""
        if not (isinstance(mine, list) and isinstance(row, list)):
            return bool(mine == row)
        if [len(ring) for ring in mine] != [len(ring) for ring in row]:
            return False
        pairs = (pair for rings in zip(mine, row, strict=True) for pair in zip(*rings, strict=True))
        return all(abs(a - b) <= allowed for a, b in pairs)

    def _class_name(self, row: RegionRow, tables: Tables) -> str:
        found = None if row.class_key is None else tables.classes.get(row.class_key)
        return "" if found is None or found.is_no_class else found.name

    def _name(self, label: LabelClass) -> str:
        return self._carries.text(label.name).strip()


def _part_of(page: Page, kind: type[AnyRow]) -> Sequence[Region | Caption | ImageLabel]:
    if kind is RegionRow:
        return page.regions
    return page.captions if kind is CaptionRow else page.labels


def _place_in_caption(page: Page, region: Region) -> tuple[str | None, tuple[int, int] | None]:
    is_here = any(caption.id == region.caption_id for caption in page.captions)
    return (str(region.caption_id), region.caption_span) if is_here and region.caption_span else (None, None)
