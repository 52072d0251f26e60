"""Writing a dataset's annotations to a file or folder that has been read again and compared before it has its name."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from locstudio.domain.errors import BadInput, StorageFailed
from locstudio.domain.regions import Image, LabelClass, Region, Review
from locstudio.domain.text import shown
from locstudio.interchange.comparing import Comparison
from locstudio.interchange.formats import Format, format_named
from locstudio.interchange.report import ExportReport
from locstudio.interchange.writing import Carries, Fitted, Page
from locstudio.services.region_vectors import RegionVectors
from locstudio.store.dataset import Dataset, ImageFilter

_PAGE = 500
_ATTEMPTS = 3


def export_annotations(
    dataset: Dataset,
    destination: Path,
    *,
    format: str,
    reviews: frozenset[Review] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ExportReport | None:
    """Write images, what is on and said of them, and classes to a new file or folder; None when it was cancelled.

    It has its name only once it was read again and every row compared with the dataset, in all that the format can
    hold; what it cannot hold is counted in the report.

    Args:
        format: a name of `locstudio.interchange.formats`.
        reviews: regions with these go out; by default all but the rejected where the format tells accepted and pending
            apart, else the accepted.
        progress: called with what is done and what there is, in thousandths.

    Raises:
        BadInput: there is something at ``destination`` already, the format cannot be written, or there is nothing that
            it could hold.
        StorageFailed: the file cannot be written, or does not hold what the dataset holds.
    """
    kind = format_named(format)
    if kind.writer is None:
        raise BadInput(f"{kind.title} files are read here and not written.")
    name = shown(str(destination))
    if os.path.lexists(destination):
        raise BadInput(f"{name} is there already; an export never overwrites. Choose another name.")
    partial = destination.with_name(f"{destination.name}.{secrets.token_hex(4)}.partial")
    try:
        for _ in range(_ATTEMPTS):
            revision = dataset.revision()
            _remove(partial)
            contents = _Contents(dataset, kind, reviews, progress, cancel)
            kind.writer(contents, partial)
            contents.refuse_nothing()
            difference = _difference(contents, kind, partial)
            if dataset.revision() != revision:
                continue
            report = contents.report(destination)
            if difference:
                raise StorageFailed(f"{name} was not written: read again, it differs from the dataset ({difference}).")
            _give_name(partial, destination)
            return report
        raise StorageFailed(f"{name} was not written: the dataset was changed meanwhile. Try again.")
    except CancelledError:
        return None
    except OSError as error:
        raise StorageFailed(f"{name} was not written: {(error.strerror or str(error)).lower()}.") from error
    finally:
        with suppress(OSError):  # what kept it from being written keeps it from being removed, and was said already
            _remove(partial)


def _difference(contents: "_Contents", kind: Format, partial: Path) -> str:
    """What is in the file otherwise than in the dataset, the first of it; empty where nothing is."""
    comparison = Comparison(contents, kind.carries, contents.pages_of)
    difference = comparison.difference(kind.reader, partial)
    if kind.check and not difference:
        difference = kind.check(contents, partial)
    found = (comparison.num_images, comparison.num_regions, comparison.num_captions, comparison.num_labels)
    report = contents.report(partial)
    written = (report.num_images, report.num_regions, report.num_captions, report.num_labels)
    return difference or ("" if found == written else "a row is missing")


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial)
    elif os.path.lexists(partial):
        partial.unlink()


def _give_name(partial: Path, destination: Path) -> None:
    """Rename, but never over what has come meanwhile."""
    is_folder = partial.is_dir()
    try:
        if is_folder:
            os.mkdir(destination)  # a folder may be renamed over an empty one only, and this one is ours
        else:
            os.link(partial, destination)
    except FileExistsError as error:
        raise BadInput(f"{shown(str(destination))} is there already; an export never overwrites.") from error
    except OSError:
        if is_folder:
            raise
        os.rename(partial, destination)  # a file system without links
    if is_folder:
        os.sync()  # its files are many
        os.rename(partial, destination)
    handle = os.open(destination.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Contents:
    """What an export writes, and what it is compared with."""

    def __init__(
        self,
        dataset: Dataset,
        kind: Format,
        reviews: frozenset[Review] | None,
        progress: Callable[[int, int], None] | None,
        cancel: Callable[[], bool] | None,
    ) -> None:
        self._dataset = dataset
        self._kind = kind
        self._reviews = reviews if reviews is not None else _reviews_of(kind.carries)
        self._progress = progress
        self._cancel = cancel
        self.classes: list[LabelClass] = dataset.classes()
        self._names = {label.id: label.name for label in self.classes}
        groups = {each.id: each.name for each in dataset.superclasses()}
        self.superclasses = {x.id: groups[x.superclass_id] for x in self.classes if x.superclass_id in groups}
        self.image_root = _common_root([root.path for root in dataset.roots()])
        self._has_captions = bool(dataset.captions_page(0, 1))
        self.has_labels = len(dataset.label_columns()) > 0
        num_passes = 3 + (self._has_captions and kind.carries.captions) + (self.has_labels and kind.carries.labels)
        self._num_steps = num_passes * max(1, dataset.count_images())
        self._done = 0
        self._counted_up_to = 0
        self._report = ExportReport("", self.image_root)

    def report(self, destination: Path) -> ExportReport:
        """What was written, once the pages have been gone through."""
        self._report.file = str(destination)
        self._report.num_classes = len(self.classes)
        if not self._kind.carries.superclasses:
            num_superclasses = len(set(self.superclasses.values()))
            self._report.left_out[f"superclasses: {self._kind.title} does not hold them"] = num_superclasses
        self._report.precision = self._kind.carries.precision
        self._report.left_out = +self._report.left_out
        return self._report

    def refuse_nothing(self) -> None:
        """Say why, when there is no image to write in a format that lists only images with something on them.

        Raises:
            BadInput: there is none.
        """
        if not self._report.num_images and not self._kind.carries.empty_images:
            reasons = "".join(f"; {count} {what}" for what, count in self._report.left_out.most_common() if count)
            raise BadInput(f"There is nothing here that a {self._kind.title} export could hold{reasons}.")

    @cached_property
    def embeddings(self) -> RegionVectors | None:
        """The embeddings that the project's index has of its regions."""
        return RegionVectors.open(self._dataset)

    def images(self) -> Iterator[Page]:
        """The images alone."""
        if self._kind.carries.empty_images and self._kind.carries.fit is None:
            for images in self._image_pages():
                yield from (Page(image, self._file_name(image)) for image in images if image.width)
        else:
            yield from (Page(page.image, page.file_name) for page in self.pages())

    def pages(self) -> Iterator[Page]:
        """The images with what is on them."""
        for images in self._image_pages():
            self._step(len(images))
            for page in self._made(images):
                kept = self._kept(page)
                if page.image.id > self._counted_up_to:
                    self._counted_up_to = page.image.id
                    self._count(page, kept)
                if kept.page is not None:
                    yield kept.page

    def pages_of(self, image_ids: Sequence[int]) -> list[Page]:
        """The pages of these images, for the comparison."""
        self._step(len(image_ids))
        images = self._dataset.images(sorted(set(image_ids)))
        return [kept.page for kept in map(self._kept, self._made(images)) if kept.page is not None]

    def _image_pages(self) -> Iterator[list[Image]]:
        after = 0
        while page := self._dataset.image_page(ImageFilter(order="id"), after, _PAGE):
            after = page[-1].id
            yield page

    def _made(self, images: list[Image]) -> Iterator[Page]:
        ids = [image.id for image in images]
        regions = self._dataset.regions_of_images(ids)
        labels = self._dataset.labels_of_images(ids) if self.has_labels else {}
        for image in images:
            captions = self._dataset.captions_of(image.id) if self._has_captions else []
            sound = tuple(caption for caption in captions if caption.text.strip())
            said = tuple(labels.get(image.id, ()))
            yield Page(image, self._file_name(image), tuple(regions[image.id]), sound, said)

    def _kept(self, page: Page) -> Fitted:
        """What of a page goes out."""
        carries = self._kind.carries
        regions = tuple(region for region in page.regions if not self._reason_against(region))
        captions = page.captions if carries.captions else ()
        labels = page.labels if carries.labels else ()
        # Of a verified image without boxes a list of boxes says that there are none.
        is_empty = not (regions or captions or labels or (page.image.is_verified and carries.regions))
        if not page.image.width:
            return Fitted(None)
        if is_empty and not carries.empty_images:
            reason = "that nobody has verified and that have nothing to write" if carries.regions else "without a label"
            return Fitted(None, (f"images {reason}",))
        kept = replace(page, regions=regions, captions=captions, labels=labels)
        return carries.fit(kept, self._names) if carries.fit else Fitted(kept)

    def _count(self, page: Page, kept: Fitted) -> None:
        report, title, carries = self._report, self._kind.title, self._kind.carries
        if not page.image.width:
            report.left_out["regions of unreadable images"] += len(page.regions)
            report.left_out["labels of unreadable images"] += len(page.labels) if carries.labels else 0
            return
        if not carries.captions:
            report.left_out[f"captions: {title} does not hold them"] += len(page.captions)
        if not carries.labels:
            report.left_out[f"labels of images: {title} does not hold them"] += len(page.labels)
        report.left_out.update(filter(None, map(self._reason_against, page.regions)))
        report.left_out.update(kept.lost)
        if kept.page is None:
            return
        report.num_images += 1
        report.num_regions += len(kept.page.regions)
        report.num_captions += len(kept.page.captions)
        report.num_labels += len(kept.page.labels)
        for region in kept.page.regions:
            report.left_out.update(f"{what}: {title} does not hold them" for what in self._lost_of(region))
        if not self._dataset.image_file(page.image).exists():
            report.missing.append(page.image.path)

    def _reason_against(self, region: Region) -> str:
        title, carries = self._kind.title, self._kind.carries
        if not carries.regions:
            return f"regions: {title} does not hold them"
        if region.review not in self._reviews:
            is_unsayable = region.review is Review.PENDING and not carries.reviews
            return f"{region.review} regions" + (f": {title} cannot say that they are" if is_unsayable else "")
        if region.class_id not in self._names and not carries.classless:
            return f"regions without a class: {title} wants one for each"
        if region.is_crowd and not carries.crowds:
            return f"crowd regions: {title} does not hold them"
        return ""

    def _lost_of(self, region: Region) -> Iterator[str]:
        """What the format does not say of a region that goes out."""
        carries = self._kind.carries
        if region.mask and not (carries.polygons if region.mask.startswith("[") else carries.runs):
            yield "masks of run lengths" if carries.polygons else "masks"
        if region.score is not None and not carries.scores:
            yield "scores"
        if not carries.phrases and region.phrase != self._names.get(region.class_id or 0, ""):
            yield "phrases that differ from the class"

    def _file_name(self, image: Image) -> str:
        return os.path.relpath(self._dataset.image_file(image), self.image_root).replace(os.sep, "/")

    def _step(self, count: int) -> None:
        if self._cancel and self._cancel():
            raise CancelledError
        self._done += count
        if self._progress:
            self._progress(min(1000, 1000 * self._done // self._num_steps), 1000)


def _reviews_of(carries: Carries) -> frozenset[Review]:
    return frozenset({Review.ACCEPTED, Review.PENDING}) if carries.reviews else frozenset({Review.ACCEPTED})


def _common_root(paths: list[str]) -> str:
    return os.path.commonpath(paths) if paths else os.getcwd()
