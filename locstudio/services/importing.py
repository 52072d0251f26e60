"""Putting annotation files into a dataset: idempotent, undoable, never over what a person has corrected."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from locstudio.domain.edits import CaptionChange, Change, ClassChange, Edit, RegionChange
from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import UnitBox
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Caption, Origin, Region, Review
from locstudio.domain.text import shown
from locstudio.interchange.formats import Format, format_named, refuse_archive
from locstudio.interchange.masks import mask_text, scaled_polygons, size_of_mask
from locstudio.interchange.report import Conflict, ImportReport, Outcome, RowNote
from locstudio.interchange.rows import AnyRow, BadRow, CaptionRow, Key, LabelRow, RegionRow, Tables
from locstudio.services.import_known import Classes, Memory, row_name
from locstudio.services.import_labels import FoundLabel, LabelImport
from locstudio.services.import_places import ImagePlaces, Place
from locstudio.services.import_superclasses import group_changes, offer_of
from locstudio.store.dataset import Dataset
from locstudio.store.imported import captions_from, regions_from

BATCH = 2000
"""Rows of one edit; all edits of an import are one undo step."""

_EDGE_PX = 0.011
"""How far a box may lie outside without a word: files round to hundredths of a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """``review`` is what imported regions get: accepted for ground truth, pending for a model's predictions.

    ``rescale`` takes annotations that were made on a picture of another size; ``create_classes`` makes a class for a
    class id that the file does not name; ``group_classes`` puts classes without a superclass into the file's.
    """

    review: Review = Review.ACCEPTED
    rescale: bool = False
    create_classes: bool = False
    group_classes: bool = False


def import_annotations(
    dataset: Dataset,
    path: Path,
    image_root: Path,
    *,
    format: str,
    review: Review = Review.ACCEPTED,
    rescale: bool = False,
    create_classes: bool = False,
    group_classes: bool = False,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ImportReport:
    """Import a file or folder; images it names inside ``image_root`` come into the dataset where they are new.

    A second import of the same file adds nothing.  A row is known by the file's name, its own id and its image; when
    the file says something new of it, the region follows, unless a person has corrected or deleted it since: that is a
    conflict, and hers stays.  What was imported when ``cancel`` said yes stays, and importing again goes on from there.

    Args:
        format: a name of `locstudio.interchange.formats`.
        review: see `ImportOptions`; an export of our own says it row by row.
        progress: called with what is done and what there is, in thousandths.

    Raises:
        BadInput: it is not in this format, or broken (rows before the break may be in).
        StorageFailed: the dataset cannot be written.
    """
    kind = format_named(format)
    if kind.is_out_only:
        raise BadInput(f"{kind.title} files are written here and not imported.")
    refuse_archive(path)
    options = ImportOptions(review=review, rescale=rescale, create_classes=create_classes, group_classes=group_classes)
    return _Import(dataset, path, image_root, kind, options, progress or _silent, cancel or _never).run()


def default_image_root(path: Path) -> Path:
    """Where the file names of an annotation file start when nobody says: in its own folder."""
    return path if path.is_dir() else path.parent


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


def _never() -> bool:
    return False


class _Import:
    def __init__(
        self,
        dataset: Dataset,
        path: Path,
        image_root: Path,
        kind: Format,
        options: ImportOptions,
        progress: Callable[[int, int], None],
        cancel: Callable[[], bool],
    ) -> None:
        self._dataset = dataset
        self._path = path
        self._kind = kind
        self._options = options
        self._progress = progress
        self._cancel = cancel
        name = shown(path.name or path.resolve().name)
        self._report = ImportReport(str(path), f"{kind.name}:{name}")
        self._places = ImagePlaces(dataset, image_root, self._report, rescale=options.rescale)
        self._title = f"Import {name}"
        self._group = f"import-{secrets.token_hex(6)}"
        self._tables = Tables()
        self._classes = Classes(dataset)
        self._memory = Memory(dataset, self._report.source)
        self._labels = LabelImport(dataset, self._report, self._memory)
        self._caption_ids: dict[tuple[int, str], int] = {}
        self._other_names = ""
        self._stretch = (0, 100)
        self._is_cancelled_at_once = True
        self._writing: tuple[Edit, Future[Edit]] | None = None

    def run(self) -> ImportReport:
        """All of it."""
        file = self._kind.reader(self._path, self._report, self._file_progress)
        try:
            self._tables = file.tables()
        except CancelledError:
            self._report.is_cancelled = True
            return self._report
        self._is_cancelled_at_once = False
        num_images = max(1, len(self._tables.images))
        images = self._tables.images.values()
        self._places.find(images, lambda done: self._progress(100 + 300 * done // num_images, 1000), self._cancel)
        for start in range(0, len(self._places.splits), BATCH):
            self._apply([*self._places.splits[start : start + BATCH]])
        self._add_classes()
        self._stretch = (400, 1000)
        try:
            self._put_all(file.rows())
        finally:
            try:
                self._finish_writing()
            finally:
                self._memory.save()
        if self._places.num_other_size:
            self._report.offers.append(
                f"Images with another size than the file says: {self._places.num_other_size}; import again with "
                "rescaling if the annotations were made on smaller or larger copies."
            )
        self._progress(1000, 1000)
        return self._report

    def _put_all(self, rows: Iterator[AnyRow]) -> None:
        while batch := list(islice(rows, BATCH)):
            self._report.is_cancelled = self._cancel()
            if self._report.is_cancelled:
                return
            self._put(batch)

    def _file_progress(self, done: int, total: int) -> None:
        if self._is_cancelled_at_once and self._cancel():
            raise CancelledError
        begin, end = self._stretch
        self._progress(begin + (end - begin) * done // max(1, total), 1000)

    def _add_classes(self) -> None:
        rows = self._tables.classes.values()
        if self._tables.is_class_key_a_position:
            self._other_names = self._memory.other_names({str(row.key): row.name for row in rows})
            if self._other_names:
                self._report.offers.append(
                    f"The list of classes is another than at the last import ({self._other_names}). Regions that were "
                    "here keep the class they had; if they should follow the new list, undo that import first."
                )
        for number, row in enumerate(rows):
            _, name = self._classes.find_or_make(row.key, "" if row.is_no_class else row.name)
            if name not in ("", row.name):
                reason = "it differs only in case or spaces from another class, and is taken for it"
                self._report.note(
                    RowNote("classes", number, str(row.key), Outcome.KEPT, reason, f"{row.name} is {name}")
                )
        self._apply_classes()
        if self._options.group_classes:
            self._finish_writing()
            self._apply(group_changes(self._dataset, rows, self._classes.by_key, self._report))
        elif offer := offer_of(rows):
            self._report.offers.append(offer)

    def _apply_classes(self) -> None:
        made = self._classes.take_made()
        if made:
            self._apply([ClassChange(None, label) for label in made])
            self._report.num_classes_added += len(made)

    def _apply(self, changes: list[Change]) -> None:
        """Write while the next rows are read; an error of the last write comes out here."""
        self._finish_writing()
        if changes:
            edit = Edit(self._title, tuple(changes))
            self._writing = edit, self._dataset.apply_async(edit, actor="import", group=self._group)

    def _finish_writing(self) -> None:
        if self._writing is not None:
            (edit, writing), self._writing = self._writing, None
            writing.result()
            values = (change.after for change in edit.changes if change.before is None)
            kept = (value for value in values if isinstance(value, Region | Caption | ImageLabel))
            self._memory.remember(map(row_name, kept))

    def _put(self, batch: list[AnyRow]) -> None:
        captions: list[Caption] = []
        for row in batch:
            if isinstance(row, CaptionRow):
                with self._noted(row):
                    captions.append(_caption_value(row, self._place_of(row.image_key), self._report.source))
        changes = self._caption_changes(captions)
        regions: list[Region] = []
        labels: list[FoundLabel] = []
        for row in batch:
            with self._noted(row):
                if isinstance(row, RegionRow):
                    regions.append(self._region_value(row, self._place_of(row.image_key)))
                elif isinstance(row, LabelRow):
                    labels.append(self._label_found(row, self._place_of(row.image_key)))
        self._apply_classes()
        self._apply([*changes, *self._region_changes(regions), *self._labels.changes(labels)])
        last = self._places.places.get(batch[-1].image_key)  # the next batch may go on with regions of this image
        self._caption_ids = {key: found for key, found in self._caption_ids.items() if last and key[0] == last.image_id}

    @contextmanager
    def _noted(self, row: AnyRow) -> Iterator[None]:
        """A row that turns out to be of no use here goes to the report."""
        try:
            yield
        except BadRow as error:
            table = "annotations" if isinstance(row, RegionRow) else row.table
            name = shown(str(row.image_key)) if isinstance(row, LabelRow) else row.external_id
            note = RowNote(table, row.row, name, Outcome.DROPPED, error.reason, error.detail)
            self._report.note(note)

    def _place_of(self, key: Key) -> Place:
        place = self._places.places.get(key)
        if place is not None:
            return place
        if key in self._tables.ambiguous_images:
            raise BadRow("its image id belongs to several images", str(key))
        raise BadRow(self._places.refusals.get(key, "its image is not in the file"), str(key))

    def _region_value(self, row: RegionRow, place: Place) -> Region:
        class_id, class_name = self._class_of(row.class_key)
        box, is_clamped = _unit_box(row, place)
        mask = self._mask_of(row, place)
        caption_id = self._caption_ids.get((place.image_id, row.caption)) if row.caption else None
        if is_clamped:
            reason = "its box was cut at the edge of the image"
            self._report.note(RowNote("annotations", row.row, row.external_id, Outcome.CLAMPED, reason))
        return Region(
            0 if self._memory.is_second_time else self._dataset.next_region_id(),
            place.image_id,
            box,
            class_name if row.phrase is None else row.phrase,
            class_id,
            row.review or self._options.review,
            row.origin or Origin.IMPORTED,
            row.score,
            self._report.source,
            row.external_id,
            caption_id=caption_id,
            caption_span=row.span if caption_id else None,
            mask=mask,
            is_crowd=row.is_crowd,
        )

    def _label_found(self, row: LabelRow, place: Place) -> FoundLabel:
        class_id, class_name = self._class_of(row.class_key)
        if class_id is None:
            raise BadRow("it names no class")
        origin = row.origin or Origin.IMPORTED
        value = ImageLabel(place.image_id, class_id, row.presence, origin, row.score, self._report.source)
        return FoundLabel(row, value, f"{row.image_key}, {class_name}")

    def _class_of(self, key: Key | None) -> tuple[int | None, str]:
        if key is None:
            return None, ""
        if key in self._tables.ambiguous_classes:
            raise BadRow("its class id belongs to several classes", str(key))
        found = self._classes.by_key.get(key)
        if found is None and self._options.create_classes:
            found = self._classes.find_or_make(key, f"class {shown(str(key), 60)}")
        if found is None:
            offer = "Some classes have no name in the file; import again and let classes be made for them."
            if offer not in self._report.offers:
                self._report.offers.append(offer)
            raise BadRow("its class is not in the file", str(key))
        return found

    def _mask_of(self, row: RegionRow, place: Place) -> str | None:
        if row.mask is None or (place.scale_x == place.scale_y == 1.0 and not isinstance(row.segmentation, dict)):
            return row.mask
        if isinstance(row.segmentation, list):
            return mask_text(scaled_polygons(row.segmentation, place.scale_x, place.scale_y))
        if size_of_mask(row.segmentation) == (place.width, place.height):
            return row.mask
        reason, detail = "its mask was left out", "the mask has another size than the picture"
        self._report.note(RowNote("annotations", row.row, row.external_id, Outcome.KEPT, reason, detail))
        return None

    def _region_changes(self, regions: list[Region]) -> list[Change]:
        known: dict[tuple[str, int], Region] = {}
        if self._memory.is_second_time:
            found = regions_from(self._dataset, self._report.source, [region.external_id for region in regions])
            known = {(region.external_id, region.image_id): region for region in found}
        changes: list[Change] = []
        for region in regions:
            old = known.get((region.external_id, region.image_id))
            if old is None and self._memory.was_here(row_name(region)):
                self._report.conflict(Conflict(region.external_id, 0, "you have deleted this region"))
            elif old is None:
                new = region if region.id else replace(region, id=self._dataset.next_region_id())
                changes.append(RegionChange(None, new))
                self._report.num_regions_added += 1
            else:
                changes += self._update(old, region)
        return changes

    def _update(self, old: Region, region: Region) -> list[Change]:
        new = replace(
            old,
            box=region.box,
            phrase=region.phrase,
            class_id=region.class_id,
            score=region.score,
            caption_id=region.caption_id or old.caption_id,
            caption_span=region.caption_span or old.caption_span,
            mask=region.mask,
            is_crowd=region.is_crowd,
        )
        if new == old:
            self._report.num_regions_known += 1
            return []
        if self._other_names and new.class_id != old.class_id:
            reason = "its class would change, because the list of classes is another than before"
            self._report.conflict(Conflict(region.external_id, old.id, reason))
            return []
        is_untouched = old.origin is region.origin and old.origin in (Origin.IMPORTED, Origin.MODEL)
        if not is_untouched or old.is_locked or old.review is not region.review:
            self._report.conflict(Conflict(region.external_id, old.id, "you have corrected this region"))
            return []
        self._report.num_regions_updated += 1
        return [RegionChange(old, new)]

    def _caption_changes(self, captions: list[Caption]) -> list[Change]:
        known: dict[tuple[str, int], Caption] = {}
        if self._memory.is_second_time:
            images = sorted({caption.image_id for caption in captions})
            found = captions_from(self._dataset, self._report.source, images)
            known = {(caption.external_id, caption.image_id): caption for caption in found}
        changes: list[Change] = []
        for caption in captions:
            old = known.get((caption.external_id, caption.image_id))
            if old is not None:
                self._caption_ids[caption.image_id, caption.external_id] = old.id
            if old is None and self._memory.was_here(row_name(caption)):
                self._report.conflict(Conflict(caption.external_id, 0, "you have deleted this caption"))
            elif old is None:
                new = replace(caption, id=self._dataset.next_caption_id())
                self._caption_ids[caption.image_id, caption.external_id] = new.id
                changes.append(CaptionChange(None, new))
                self._report.num_captions_added += 1
            elif old.text == caption.text:
                self._report.num_captions_known += 1
            elif old.origin is not caption.origin or old.origin not in (Origin.IMPORTED, Origin.MODEL):
                self._report.conflict(Conflict(caption.external_id, 0, "you have corrected this caption"))
            else:
                changes.append(CaptionChange(old, replace(old, text=caption.text)))
        return changes


def _caption_value(row: CaptionRow, place: Place, source: str) -> Caption:
    return Caption(0, place.image_id, row.text, row.origin or Origin.IMPORTED, source, row.external_id)


def _unit_box(row: RegionRow, place: Place) -> tuple[UnitBox, bool]:
    """The box in the ``unit`` frame, and whether more of it than rounding lay outside."""
    x0, y0, x1, y1 = row.box
    x0, x1, y0, y1 = x0 * place.scale_x, x1 * place.scale_x, y0 * place.scale_y, y1 * place.scale_y
    try:
        box = UnitBox.from_pixels(x0, y0, x1, y1, place.width, place.height)
    except ValueError as error:
        is_outside = x1 <= 0 or y1 <= 0 or x0 >= place.width or y0 >= place.height
        reason = "its box lies outside the image" if is_outside else "its box has no area"
        detail = f"{x0:g}, {y0:g}, {x1:g}, {y1:g} in {place.width} x {place.height}"
        raise BadRow(reason, detail) from error
    outside = max(-x0, -y0, x1 - place.width, y1 - place.height)
    return box, outside > _EDGE_PX
