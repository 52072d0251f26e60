"""Pictures of a project's images, as tiles and canvas need them.  All of it decodes: call it on worker threads."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Image
from locstudio.media.decode import decode_rgb
from locstudio.media.pyramid import mip_pyramid
from locstudio.media.thumbnails import thumbnail_jpeg
from locstudio.store.thumbnails import ThumbnailStore
from locstudio.store.view import DatasetView
from locstudio.ui.canvas.picture import Picture
from locstudio.ui.search.hits_model import CropKey

_CROP_SIDE = 256
_LARGE_SIDE = 768
_MAX_CROP_SOURCE = 2048
_NUM_SOURCES = 8


class Pictures:
    """Reads image files; keeps thumbnails on disk, and in memory the last few pictures that crops were cut from."""

    def __init__(self, dataset: DatasetView, thumbnails: ThumbnailStore) -> None:
        self._dataset = dataset
        self._thumbnails = thumbnails
        self._sources: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()
        self._guard = threading.Lock()

    def thumbnail(self, key: Hashable) -> QImage:
        """The thumbnail of the image with this identity.

        Raises:
            ImageProblem: its file cannot be used.
            BadInput: there is no such image.
        """
        return _from_jpeg(self._jpeg_of(self._image(cast(int, key))), QImage.Format.Format_RGB32)

    def crop(self, key: Hashable) -> QImage:
        """A part of an image, about as large as a tile.

        Raises:
            ImageProblem: its file cannot be used.
            BadInput: there is no such image.
        """
        return self._crop(key, _CROP_SIDE)

    def large_crop(self, key: Hashable) -> QImage:
        """The same, large enough to fill a pane.

        Raises:
            ImageProblem: its file cannot be used.
            BadInput: there is no such image.
        """
        return self._crop(key, _LARGE_SIDE)

    def _crop(self, key: Hashable, wanted: int) -> QImage:
        image_id, (x0, y0, x1, y1) = cast(CropKey, key)
        image = self._image(image_id)
        share = max((x1 - x0) * image.width, (y1 - y0) * image.height) / max(image.width, image.height, 1)
        side = wanted
        while side * share < wanted and side < min(_MAX_CROP_SOURCE, max(image.width, image.height)):
            side *= 2
        rgb = self._source(image, side)
        height, width = rgb.shape[:2]
        left, top = int(x0 * width), int(y0 * height)
        part = rgb[top : max(top + 1, round(y1 * height)), left : max(left + 1, round(x1 * width))]
        return as_qimage(part)

    def preview(self, image: Image) -> NDArray[np.uint8]:
        """The thumbnail as RGB8, to be shown until the picture itself is here.

        Raises:
            ImageProblem: the file cannot be used.
        """
        small = _from_jpeg(self._jpeg_of(image), QImage.Format.Format_RGB888)
        rows = np.frombuffer(small.constBits(), np.uint8).reshape(small.height(), small.bytesPerLine())
        return rows[:, : 3 * small.width()].reshape(small.height(), small.width(), 3).copy()

    def picture(self, image: Image) -> Picture:
        """The whole picture, ready to be painted at any zoom.

        Raises:
            ImageProblem: the file cannot be used.
        """
        rgb = decode_rgb(self._dataset.image_file(image))
        return Picture.from_arrays(mip_pyramid(rgb), (rgb.shape[1], rgb.shape[0]))

    def _image(self, image_id: int) -> Image:
        image = self._dataset.image(image_id)
        if image is None:
            raise BadInput(f"The project has no image {image_id}.")
        return image

    def _jpeg_of(self, image: Image) -> bytes:
        key = f"{image.root_id}:{image.size_bytes}:{image.mtime_ns}:{image.path}"
        jpeg = self._thumbnails.get(key)
        if jpeg is None:
            jpeg = thumbnail_jpeg(self._dataset.image_file(image))
            self._thumbnails.put(key, jpeg)
        return jpeg

    def _source(self, image: Image, side: int) -> NDArray[np.uint8]:
        key = (image.id, side)
        with self._guard:
            if key in self._sources:
                self._sources.move_to_end(key)
                return self._sources[key]
        rgb = decode_rgb(self._dataset.image_file(image), max_side=side)
        with self._guard:
            self._sources[key] = rgb
            if len(self._sources) > _NUM_SOURCES:
                self._sources.popitem(last=False)
        return rgb


def _from_jpeg(jpeg: bytes, wanted: QImage.Format) -> QImage:
    # Named, or Qt asks the reader of SVG first: that connects signals, which needs a lock of Qt while this thread holds
    # Python's; a window that disconnects something just then holds Qt's and waits for Python's, for ever.
    image = QImage.fromData(jpeg, "JPEG")  # type: ignore[arg-type]  # the stubs say bytes, which PySide itself refuses
    return image.convertToFormat(wanted)


def as_qimage(rgb_HW3: NDArray[np.uint8]) -> QImage:
    """RGB8 pixels as an image that paints fast; the array need not outlive the call."""
    rows = np.ascontiguousarray(rgb_HW3)
    height, width = rows.shape[:2]
    return QImage(rows.data, width, height, 3 * width, QImage.Format.Format_RGB888).convertToFormat(
        QImage.Format.Format_RGB32
    )
