"""The gallery: images of the collection as tiles, one of them current."""

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractItemView, QWidget

from locstudio.ui import theme
from locstudio.ui.gallery.gallery_delegate import CAPTION_HEIGHT, GalleryDelegate
from locstudio.ui.gallery.gallery_model import GalleryModel
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.gallery.uniform_grid import AnyIndex, UniformGrid

_DEFAULT_SIDE = 116


class GalleryView(UniformGrid):
    """Tiles of the images that pass the filter.

    Signals:
        image_chosen: the id of the image that a person made the current one, by mouse or keys.
    """

    image_chosen = Signal(int)

    def __init__(self, model: GalleryModel, loader: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(_DEFAULT_SIDE, CAPTION_HEIGHT, parent)
        self._model = model
        self._loader = loader
        self._empty_text = ""
        self.setModel(model)
        self._delegate = GalleryDelegate(loader, self)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName("Gallery of images")
        self.shown_rows_changed.connect(self._on_shown_rows_changed)
        model.modelReset.connect(self._on_model_reset)
        loader.arrived.connect(self.viewport().update)
        theme.notifier.changed.connect(self.viewport().update)

    def set_empty_text(self, text: str) -> None:
        """What to say where there is no image to show."""
        self._empty_text = text
        self.viewport().update()

    @property
    def current_image_id(self) -> int | None:
        """The image that is current, if any."""
        index = self.currentIndex()
        return self._model.image_id(index.row()) if index.isValid() else None

    def selected_ids(self) -> tuple[int, ...]:
        """The images that are selected, in the order of the tiles."""
        selection = self.selectionModel().selection()
        ranges = (selection.at(number) for number in range(selection.size()))
        rows = sorted({row for part in ranges for row in range(part.top(), part.bottom() + 1)})
        return tuple(self._model.image_id(row) for row in rows)

    def show_image(self, image_id: int) -> bool:
        """Make an image current without announcing it; False when the filter hides it."""
        row = self._model.row_of(image_id)
        if row < 0:
            with QSignalBlocker(self.selectionModel()):
                self.selectionModel().clear()
            self.viewport().update()
            return False
        self._announces = False
        self.setCurrentIndex(self._model.index(row))
        self._announces = True
        return True

    def step(self, rows: int) -> None:
        """Go on by so many images (negative: back), and announce it; nothing happens at either end."""
        index = self.currentIndex()
        row = index.row() + rows if index.isValid() else 0
        if 0 <= row < self._model.rowCount():
            self.setCurrentIndex(self._model.index(row))

    _announces = True

    def currentChanged(self, current: AnyIndex, previous: AnyIndex) -> None:
        super().currentChanged(current, previous)
        self.viewport().update()
        if current.isValid():
            self.scrollTo(current, QAbstractItemView.ScrollHint.EnsureVisible)
            if self._announces:
                self.image_chosen.emit(self._model.image_id(current.row()))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._empty_text and self._model.rowCount() == 0:
            painter = QPainter(self.viewport())
            painter.setPen(QColor(theme.current().muted))
            flags = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)
            painter.drawText(self.viewport().rect().adjusted(16, 48, -16, -16), flags, self._empty_text)

    def _on_shown_rows_changed(self, first: int, last: int) -> None:
        if last < first:
            return
        self._model.want_rows(first, last)
        self._loader.keep_only(self._model.ids[first : last + 1].tolist())

    def _on_model_reset(self) -> None:
        self._shown_rows = (-1, -1)
        self.updateGeometries()
        self.viewport().update()
