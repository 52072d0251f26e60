"""The open image on the canvas: a preview at once, the picture from a worker, and its regions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QRect, Signal
from PySide6.QtGui import QImage

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Problem, Region
from locstudio.media.files import ImageProblem
from locstudio.store.view import DatasetView
from locstudio.ui.background import DatasetWorker, LatestOnly
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.picture import Picture
from locstudio.ui.pictures import Pictures


@dataclass(frozen=True, slots=True)
class Place:
    """A box of an image to show a person, with a text, and the region that it is, if it is one."""

    image_id: int
    box: UnitBox
    text: str
    region_id: int | None = None


_Preview = tuple[int, NDArray[np.uint8]]


class Opening(QObject):
    """Brings an image to the canvas.

    Signals:
        regions_shown: the regions of the open image, whenever they were read.
        problem_found: an ``Image`` as it was, its ``Problem`` and a sentence: its file cannot be shown.
        failed: a sentence.
    """

    regions_shown = Signal(list)
    problem_found = Signal(object, object, str)
    failed = Signal(str)

    def __init__(
        self,
        dataset: DatasetView,
        reads: DatasetWorker,
        pictures: Pictures,
        canvas: CanvasView,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._dataset = dataset
        self._reads = reads
        self._pictures = pictures
        self._canvas = canvas
        self._image: Image | None = None
        self._picture: Picture | None = None
        self._place: Place | None = None
        self._known: frozenset[int] = frozenset()
        self._shown_id = 0
        self._previews = LatestOnly(self)
        self._previews.arrived.connect(self._on_preview)
        self._previews.failed.connect(lambda _: None)  # the picture itself will say what is wrong
        self._wholes = LatestOnly(self)
        self._wholes.arrived.connect(self._on_picture)
        self._wholes.failed.connect(self._on_failed)

    @property
    def image(self) -> Image | None:
        """The open image."""
        return self._image

    @property
    def shown_id(self) -> int:
        """Identity of the open image once its regions are on the canvas; 0 until then."""
        return self._shown_id

    def open(self, image: Image) -> None:
        """Show an image; the same one again only takes its new fields."""
        if self._image is not None and image.id == self._image.id and image.mtime_ns == self._image.mtime_ns:
            self._image = image
            return
        self._image, self._picture, self._known, self._shown_id = image, None, frozenset(), 0
        self._canvas.set_image(image)
        self._mark()
        self._previews.submit(_with_id, image.id, self._pictures.preview, image)
        self._wholes.submit(_with_id, image.id, self._pictures.picture, image)
        self.read_regions()

    def read_regions(self) -> None:
        """Show the regions of the open image as the dataset has them."""
        if self._image is None:
            return
        image_id = self._image.id
        self._reads.ask(
            self._dataset.regions_of,
            image_id,
            on_result=lambda regions: self.show_regions(image_id, regions),
            on_error=lambda error: self.failed.emit(str(error)),
        )

    def show_regions(self, image_id: int, regions: list[Region]) -> None:
        """Show regions that were read elsewhere, if their image is still open."""
        if self._image is not None and image_id == self._image.id:
            self._canvas.set_regions(regions)
            self._known = frozenset(region.id for region in regions)
            self._shown_id = image_id
            self._mark()
            self.regions_shown.emit(regions)

    def show_place(self, place: Place) -> None:
        """Mark a box of an image and select its region, now or as soon as that image is open."""
        self._place = place
        self._mark()

    def _mark(self) -> None:
        place = self._place
        if place is None or self._image is None or place.image_id != self._image.id:
            return
        self._canvas.set_marks([place.box], [place.text])
        if place.region_id is None:
            self._place = None
        elif place.region_id in self._known:
            self._canvas.select([place.region_id])
            self._place = None

    def crop(self, box: UnitBox) -> QImage:
        """What is inside a box of the open image, small; a null image before the picture is here."""
        if self._picture is None:
            return QImage()
        level = self._picture.levels[-1]
        x0, y0, x1, y1 = box.to_pixels(level.width(), level.height())
        return level.copy(QRect(int(x0), int(y0), max(1, round(x1 - x0)), max(1, round(y1 - y0))))

    def close(self) -> None:
        """Wait for what is being decoded."""
        self._previews.close()
        self._wholes.close()

    def _on_preview(self, result: _Preview) -> None:
        image_id, rgb = result
        if self._image is not None and image_id == self._image.id and self._picture is None:
            self._canvas.show_preview(rgb, (self._image.width, self._image.height))

    def _on_picture(self, result: tuple[int, Picture]) -> None:
        image_id, picture = result
        if self._image is not None and image_id == self._image.id:
            self._picture = picture
            self._canvas.show_picture(picture, picture.size)

    def _on_failed(self, error: Exception) -> None:
        image = self._image
        if image is None:
            return
        if isinstance(error, ImageProblem) and error.problem is Problem.MISSING:
            self._canvas.show_missing(str(error))
        else:
            self._canvas.show_damaged(str(error))
        if isinstance(error, ImageProblem):
            self.problem_found.emit(image, error.problem, str(error))


def _with_id(image_id: int, make: Callable[[Image], object], image: Image) -> tuple[int, object]:
    return image_id, make(image)
