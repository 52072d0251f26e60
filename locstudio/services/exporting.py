"""Writing a dataset's annotations to a file that has been read again and compared before it has its name."""

import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import msgspec

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.regions import Caption, Image, Region, Review
from locstudio.domain.text import shown
from locstudio.interchange.coco import CocoCaption, CocoFile, CocoRegion, clean
from locstudio.interchange.coco_writer import (
    CocoWriter,
    caption_row,
    category_ids,
    category_row,
    image_row,
    no_class_row,
    region_row,
)
from locstudio.interchange.report import ExportReport, ImportReport
from locstudio.store.dataset import Dataset, ImageFilter

_PAGE = 1000
_ATTEMPTS = 3
_TOLERANCE_PX = 1e-5


def export_coco(
    dataset: Dataset,
    destination: Path,
    *,
    reviews: frozenset[Review] = frozenset({Review.ACCEPTED, Review.PENDING}),
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ExportReport | None:
    """Write images, regions, captions and classes to a new COCO file; None when it was cancelled.

    Regions keep their masks as they came; pending ones say so under ``review``.  The file has its name only once it
    was read again and every row compared with the dataset.

    Args:
        progress: called with what is done and what there is, in thousandths.

    Raises:
        BadInput: there is something at ``destination`` already.
        StorageFailed: the file cannot be written, or does not hold what the dataset holds.
    """
    name = shown(str(destination))
    if os.path.lexists(destination):
        raise BadInput(f"{name} is there already; an export never overwrites. Choose another name.")
    partial = destination.with_name(f"{destination.name}.{secrets.token_hex(4)}.partial")
    try:
        for _ in range(_ATTEMPTS):
            revision = dataset.revision()
            partial.unlink(missing_ok=True)
            export = _CocoExport(dataset, destination, reviews, progress, cancel)
            export.write(partial)
            difference = export.difference(partial)
            if dataset.revision() != revision:
                continue
            if difference:
                raise StorageFailed(f"{name} was not written: read again, it differs from the dataset ({difference}).")
            _give_name(partial, destination)
            return export.report
        raise StorageFailed(f"{name} was not written: the dataset was changed meanwhile. Try again.")
    except CancelledError:
        return None
    except OSError as error:
        raise StorageFailed(f"{name} was not written: {(error.strerror or str(error)).lower()}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _give_name(partial: Path, destination: Path) -> None:
    try:
        os.link(partial, destination)  # unlike a rename, never over what has come meanwhile
    except FileExistsError as error:
        raise BadInput(f"{shown(str(destination))} is there already; an export never overwrites.") from error
    except OSError:  # a file system without links
        os.rename(partial, destination)
    handle = os.open(destination.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class _Exported:
    """A region with what its row needs of its image and class."""

    region: Region
    width: int
    height: int
    category_id: int
    class_name: str


class _CocoExport:
    """One export: what it writes and what it compares come from the same iterators."""

    def __init__(
        self,
        dataset: Dataset,
        destination: Path,
        reviews: frozenset[Review],
        progress: Callable[[int, int], None] | None,
        cancel: Callable[[], bool] | None,
    ) -> None:
        self._dataset = dataset
        self._reviews = reviews
        self._progress = progress
        self._cancel = cancel
        self._labels = {label.id: label for label in dataset.classes()}
        self._category_ids = category_ids(self._labels.values())
        self._no_class_id = max(self._category_ids.values(), default=0) + 1
        self._root = _common_root([root.path for root in dataset.roots()])
        self._num_steps = 2 * max(1, dataset.count_images() + dataset.count_regions())
        self._done = 0
        self.report = ExportReport(str(destination), self._root)

    def write(self, partial: Path) -> None:
        """Write everything and make it durable."""
        with open(partial, "x", encoding="ascii") as file:
            writer = CocoWriter(file)
            self.report.num_classes = len(self._labels)
            writer.array("categories", self._category_rows())
            self.report.num_images = writer.array("images", self._image_rows())
            rows = (
                region_row(e.region, e.width, e.height, e.category_id, e.class_name) for e in self._regions(self.report)
            )
            self.report.num_regions = writer.array("annotations", rows)
            self.report.num_captions = writer.array("captions", (caption_row(c) for c in self._captions()))
            writer.end()
            file.flush()
            os.fsync(file.fileno())

    def difference(self, partial: Path) -> str:
        """Read the file as any importer would and compare every row; the first thing that differs, or ""."""
        reading = ImportReport(str(partial))
        file = CocoFile(partial, reading)
        tables = file.tables()
        written = {key: image.file_name for key, image in tables.images.items()}
        for image in self._images():
            if written.pop(image.id, None) != self._file_name(image):
                return f"image {image.id}"
        names = {key: category.name for key, category in tables.categories.items() if not category.is_no_class}
        expected = {self._category_ids[key]: clean(label.name).strip() for key, label in self._labels.items()}
        if written or names != expected:
            return "images" if written else "classes"
        for mine, row in zip_longest(self._everything(), file.rows()):
            if not _is_same(mine, row):
                return f"row {row.row} after {row.external_id}" if row else "a row is missing"
        return reading.notes[0].to_text() if reading.notes else ""

    def _everything(self) -> Iterator[_Exported | Caption]:
        yield from self._regions(None)
        yield from self._captions()

    def _category_rows(self) -> Iterator[str]:
        for label in self._labels.values():
            yield category_row(label, self._category_ids[label.id])
        if self._dataset.count_regions():
            yield no_class_row(self._no_class_id)

    def _images(self) -> Iterator[Image]:
        after = 0
        while page := self._dataset.image_page(ImageFilter(order="id"), after, _PAGE):
            after = page[-1].id
            self._step(len(page))
            yield from (image for image in page if image.width)

    def _image_rows(self) -> Iterator[str]:
        for image in self._images():
            if not self._dataset.image_file(image).exists():
                self.report.missing.append(image.path)
            yield image_row(image, self._file_name(image))

    def _file_name(self, image: Image) -> str:
        return os.path.relpath(self._dataset.image_file(image), self._root).replace(os.sep, "/")

    def _regions(self, report: ExportReport | None) -> Iterator[_Exported]:
        """Regions that are exported, by identity; the others are counted in ``report``."""
        after = 0
        while page := self._dataset.region_page(after, _PAGE):
            after = page[-1].id
            self._step(len(page))
            images = {image.id: image for image in self._dataset.images(sorted({r.image_id for r in page}))}
            for region in page:
                image = images[region.image_id]
                reason = f"{region.review} regions" if region.review not in self._reviews else ""
                reason = reason or ("" if image.width else "regions of unreadable images")
                if reason:
                    if report:
                        report.left_out[reason] += 1
                    continue
                label = self._labels.get(region.class_id or 0)
                category_id = self._category_ids[label.id] if label else self._no_class_id
                yield _Exported(region, image.width, image.height, category_id, label.name if label else "")

    def _captions(self) -> Iterator[Caption]:
        after = 0
        while page := self._dataset.captions_page(after, _PAGE):
            after = page[-1].id
            images = {image.id: image for image in self._dataset.images(sorted({c.image_id for c in page}))}
            yield from (caption for caption in page if images[caption.image_id].width and caption.text.strip())

    def _step(self, count: int) -> None:
        if self._cancel and self._cancel():
            raise CancelledError
        self._done += count
        if self._progress:
            self._progress(min(1000, 1000 * self._done // self._num_steps), 1000)


def _is_same(mine: _Exported | Caption | None, row: CocoRegion | CocoCaption | None) -> bool:
    if isinstance(mine, Caption) and isinstance(row, CocoCaption):
        return (str(mine.id), mine.image_id, clean(mine.text).strip()) == (row.external_id, row.image_key, row.text)
    if not isinstance(mine, _Exported) or not isinstance(row, CocoRegion):
        return False
    region = mine.region
    phrase = mine.class_name if row.phrase is None else row.phrase
    corners = region.box.to_pixels(mine.width, mine.height)
    return (
        (str(region.id), region.image_id, mine.category_id) == (row.external_id, row.image_key, row.category_key)
        and all(abs(a - b) <= _TOLERANCE_PX for a, b in zip(corners, row.box, strict=True))
        and (msgspec.json.decode(region.mask) if region.mask else None) == row.segmentation
        and (region.is_crowd, region.score, clean(region.phrase)) == (row.is_crowd, row.score, phrase)
        and region.review is (row.review or Review.ACCEPTED)
    )


def _common_root(paths: list[str]) -> str:
    return os.path.commonpath(paths) if paths else os.getcwd()
