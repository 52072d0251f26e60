"""Which images the gallery shows, and which of them is open."""

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from locstudio.domain.regions import Image, LabelClass, Review
from locstudio.services.heat.disagreeing import Disagreeing, HeatWish
from locstudio.services.heat.inconsistency import Disagreement
from locstudio.services.routing.wishes import RoutingCounts, Routings, RoutingsOf, RoutingWish
from locstudio.store.filters import Facets, ImageFilter
from locstudio.store.view import DatasetView
from locstudio.ui.background import DatasetWorker, LatestOnly
from locstudio.ui.gallery.filter_bar import FilterBar
from locstudio.ui.gallery.gallery_model import GalleryItem, GalleryModel
from locstudio.ui.gallery.gallery_view import GalleryView

_EMPTY = "No image passes the filter."
_NO_IMAGES = "No images yet. Add a folder of images, or drop it here."
_QUICK_S = 0.5
"""What heat and routing say is counted anew after an edit where that takes no longer."""


@dataclass(frozen=True, slots=True)
class _Listing:
    wanted: ImageFilter
    heat: HeatWish
    routing: RoutingWish
    ids: NDArray[np.int64]
    order: NDArray[np.int64]
    routings: RoutingsOf | None
    facets: Facets
    classes: list[LabelClass]

    @property
    def wishes(self) -> tuple[ImageFilter, HeatWish, RoutingWish]:
        """What was asked for."""
        return self.wanted, self.heat, self.routing

    @property
    def sort(self) -> str:
        """By what it is sorted; empty for the order of the dataset."""
        return self.routing.order or ("heat" if self.heat.is_sorted else "")


class Browsing(QObject):
    """Keeps filter, gallery and the open image in step.

    Signals:
        image_opened: the ``Image`` that is open now; also when its own fields have changed.
        classes_known: the vocabulary, whenever it was read.
        listed: number of images that pass, and of all.
        failed: a sentence.
    """

    image_opened = Signal(object)
    classes_known = Signal(list)
    listed = Signal(int, int)
    failed = Signal(str)

    def __init__(
        self,
        dataset: DatasetView,
        reads: DatasetWorker,
        model: GalleryModel,
        gallery: GalleryView,
        filter_bar: FilterBar,
        disagreeing: Disagreeing,
        routings: Routings,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._reads = reads
        self._model = model
        self._gallery = gallery
        self._filter_bar = filter_bar
        self._image: Image | None = None
        self._wanted_image = 0
        self._is_filtering, self._sort = False, ""
        self._disagreeing, self._routings = disagreeing, routings
        self._counting = LatestOnly(self)
        self._counting.arrived.connect(self._on_counted)
        self._counting.failed.connect(lambda error: self.failed.emit(str(error)))
        self._is_quick = True
        model.items_wanted.connect(self._on_items_wanted)
        gallery.image_chosen.connect(self.open_image)
        filter_bar.filter_changed.connect(self._on_filter_changed)
        for changed in (filter_bar.heat_changed, filter_bar.routing_changed):
            changed.connect(lambda _: self._on_filter_changed(filter_bar.filter))

    @property
    def image(self) -> Image | None:
        """The open image."""
        return self._image

    @property
    def place(self) -> tuple[int, int]:
        """Number of the open image among those shown, from 1 (0 when the filter hides it), and how many are shown."""
        row = self._model.row_of(self._image.id) if self._image else -1
        return row + 1, self._model.rowCount()

    def start(self, image_id: int = 0) -> None:
        """Read the collection and open an image: this one, or the first."""
        self._wanted_image = image_id
        self._list(self._filter_bar.filter)
        self.count_models()

    def refresh(self) -> None:
        """Read the list again, as after an import; the open image stays open."""
        self._model.forget_items()
        self._list(self._filter_bar.filter)
        self.count_models()
        if self._image is not None:
            self.refresh_images([self._image.id])

    def open_image(self, image_id: int) -> None:
        """Open an image, whether the filter shows it or not."""
        self._wanted_image = image_id
        item = self._model.item_of(image_id)
        if item is not None:
            self._open(item.image)
        else:
            self._ask(self._dataset.image, image_id, on_result=self._on_image_read)

    def refresh_images(self, image_ids: list[int]) -> None:
        """Read some images again, because their regions or their own fields have changed."""
        self._ask(load_items, self._dataset, image_ids, on_result=self._on_items_changed)

    def step(self, by: int) -> None:
        """Open the next (1) or previous (-1) image of those shown."""
        row = self._model.row_of(self._image.id) if self._image else -1
        if row < 0:
            row = -1 if by > 0 else self._model.rowCount()
        if 0 <= row + by < self._model.rowCount():
            self.open_image(self._model.image_id(row + by))

    def step_unreviewed(self, by: int) -> None:
        """Open the next (1) or previous (-1) image that is not verified."""
        row = self._model.row_of(self._image.id) if self._image else -1
        wanted = replace(self._filter_bar.filter, is_verified=False)
        self._ask(find_next, self._dataset, wanted, self._model.ids, row, by, on_result=self._on_next_found)

    def forget_facets(self) -> None:
        """Count again what the chips show; the list itself stays as it is."""
        self._ask(self._dataset.facets, on_result=self._on_facets)
        if self._is_quick:
            self.count_models()

    def count_models(self) -> None:
        """Count what the chips of heat and routing show, as after another epoch of a training."""
        self._counting.submit(count_models, self._disagreeing, self._routings)

    def close(self) -> None:
        """Wait for what is being counted."""
        self._counting.close()

    def _ask(self, function: object, *args: object, on_result: object) -> None:
        self._reads.ask(function, *args, on_result=on_result, on_error=lambda e: self.failed.emit(str(e)))  # type: ignore[arg-type]  # handed on as it came

    def _list(self, wanted: ImageFilter) -> None:
        bar, sources = self._filter_bar, (self._dataset, self._disagreeing, self._routings)
        self._ask(load_listing, *sources, wanted, bar.heat, bar.routing, on_result=self._on_listed)

    def _on_filter_changed(self, wanted: ImageFilter) -> None:
        self._is_filtering = True
        self._list(wanted)

    def _on_listed(self, listing: _Listing) -> None:
        bar = self._filter_bar
        if listing.wishes != (bar.filter, bar.heat, bar.routing):
            return
        self._model.set_ids(listing.ids, listing.order, listing.routings)
        self._filter_bar.set_facets(listing.facets, listing.classes)
        self._filter_bar.set_count(len(listing.ids), listing.facets.num_images)
        self._gallery.set_empty_text(_EMPTY if listing.facets.num_images else _NO_IMAGES)
        self.classes_known.emit(listing.classes)
        self.listed.emit(len(listing.ids), listing.facets.num_images)
        current = self._image.id if self._image else self._wanted_image
        is_shown = self._gallery.show_image(current) if current else False
        if self._image is None and len(listing.ids):
            self.open_image(current if is_shown else self._model.image_id(0))
        elif self._is_filtering and len(listing.ids) and (not is_shown or listing.sort not in ("", self._sort)):
            self.open_image(self._model.image_id(0))
        elif self._image is not None:
            self.image_opened.emit(self._image)
        self._is_filtering, self._sort = False, listing.sort

    def _on_facets(self, facets: Facets) -> None:
        self._ask(self._dataset.classes, on_result=lambda classes: self._filter_bar.set_facets(facets, classes))

    def _on_counted(self, counted: "_Counts") -> None:
        self._is_quick = counted.seconds < _QUICK_S
        self._filter_bar.set_heat(counted.disagreeing, counted.num_heated)
        self._filter_bar.set_routing(counted.routing)

    def _on_items_wanted(self, ids: NDArray[np.int64]) -> None:
        self._ask(load_items, self._dataset, ids.tolist(), on_result=self._model.put_items)

    def _on_items_changed(self, items: list[GalleryItem]) -> None:
        self._model.put_items(items)
        for item in items:
            if self._image is not None and item.image.id == self._image.id and item.image != self._image:
                self._image = item.image
                self.image_opened.emit(item.image)

    def _on_image_read(self, image: Image | None) -> None:
        if image is not None and image.id == self._wanted_image:
            self._open(image)

    def _on_next_found(self, image_id: int) -> None:
        if image_id:
            self.open_image(image_id)
        else:
            self.failed.emit("Every image from here on is verified.")

    def _open(self, image: Image) -> None:
        self._image = image
        self._gallery.show_image(image.id)
        self.image_opened.emit(image)


def load_listing(
    dataset: DatasetView,
    disagreeing: Disagreeing,
    routings: Routings,
    wanted: ImageFilter,
    heat: HeatWish,
    routing: RoutingWish,
) -> _Listing:
    """Everything that a change of the filter shows."""
    ids = disagreeing.chosen(dataset.image_ids(wanted), heat, wanted.class_ids)
    ids = routings.chosen(ids, routing)
    told = routings.of_images(ids) if routing else None
    return _Listing(wanted, heat, routing, ids, np.argsort(ids), told, dataset.facets(), dataset.classes())


@dataclass(frozen=True, slots=True)
class _Counts:
    disagreeing: dict[Disagreement, int]
    num_heated: int
    routing: RoutingCounts | None
    seconds: float


def count_models(disagreeing: Disagreeing, routings: Routings) -> _Counts:
    """How many images disagree in each way, of how many that have heat, who took them, and how long that took."""
    start = time.perf_counter()
    counts = disagreeing.counts()
    found = disagreeing.read()
    num_heated = len(found.heatmaps.image_ids) if found is not None else 0
    routing = routings.counts()
    return _Counts(counts, num_heated, routing, time.perf_counter() - start)


def load_items(dataset: DatasetView, image_ids: list[int]) -> list[GalleryItem]:
    """Images with the counts of their regions."""
    regions = dataset.regions_of_images(image_ids)
    return [
        GalleryItem(
            image,
            len(regions[image.id]),
            sum(region.review is Review.PENDING for region in regions[image.id]),
        )
        for image in dataset.images(image_ids)
    ]


def find_next(dataset: DatasetView, wanted: ImageFilter, ids: NDArray[np.int64], row: int, by: int) -> int:
    """The image nearest after (before, when ``by`` is negative) a row that meets a filter, or 0."""
    ahead = ids[row + 1 :] if by > 0 else ids[: max(row, 0)][::-1]
    found = ahead[np.isin(ahead, dataset.image_ids(wanted))]
    return int(found[0]) if found.size else 0
