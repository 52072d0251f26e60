"""The images behind a confusion: those of one class that were taken for another."""

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from locstudio.ui.gallery.gallery_model import GalleryModel
from locstudio.ui.gallery.gallery_view import GalleryView
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.routing.superclass_reading import Behind
from locstudio.ui.routing.superclass_words import percent, quoted

_SIDE = 84


class _Tiles(GalleryView):
    """Esc and Backspace go back; what opens an image is Enter."""

    left = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Backspace):
            self.left.emit()
        else:
            super().keyPressEvent(event)


class ConfusedImages(QWidget):
    """A gallery with a title and a way back.

    Signals:
        left: back to what is chosen.
        turned: ids of two classes, the other way round.
        image_wanted: the image to be opened in the collection.
    """

    left = Signal()
    turned = Signal(int, int)
    image_wanted = Signal(int)

    def __init__(self, thumbnails: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pair = (0, 0)
        self.model = GalleryModel(self)
        self.tiles = _Tiles(self.model, thumbnails, self)
        self.tiles.setAccessibleName("Images behind the confusion")
        self.tiles.setFrameShape(QFrame.Shape.NoFrame)
        self.tiles.set_side(_SIDE)
        self.tiles.left.connect(self.left)
        self.tiles.activated.connect(lambda index: self.image_wanted.emit(self.model.image_id(index.row())))
        self._back = QToolButton(self)
        drawn.follow(self._back, "previous")
        self._back.setToolTip("Back (Esc)")
        self._back.setAccessibleName("Back to what is chosen")
        self._back.clicked.connect(self.left)
        self._title = label("", "heading", self)
        self._title.setWordWrap(True)
        self._words = label("", "muted", self)
        self._words.setWordWrap(True)
        self._turn = QPushButton(self)
        self._turn.setProperty("role", "suggestion")
        self._turn.clicked.connect(lambda: self.turned.emit(self._pair[1], self._pair[0]))
        top = QHBoxLayout()
        top.setSpacing(6)
        top.addWidget(self._back, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self._title, 1)
        low = QHBoxLayout()
        low.addWidget(self._turn)
        low.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self._words)
        column.addLayout(low)
        column.addWidget(self.tiles, 1)

    def show_behind(self, picture: GraphPicture, found: Behind) -> None:
        """Show these images."""
        self._pair = found.first, found.second
        one, other = quoted(picture.name_of(found.first)), quoted(picture.name_of(found.second))
        self._title.setText(f"{one} taken for {other}")
        there, _ = picture.graph.between(found.first, found.second)
        num = len(found.ids)
        if found.sentence:
            words = found.sentence
        elif num:
            words = f"{num:,} of the {found.num_seen:,} images of {one}, by the model with experts, surest first."
        else:
            words = (
                f"The dense twin took {percent(there)} of {one} for {other}; the model with experts "
                f"did so with none of the {found.num_seen:,} images that it has looked at."
            )
        self._words.setText(words)
        self._turn.setText(action_text(f"The other way: {found.num_back:,}"))
        self._turn.setVisible(not found.sentence)
        self._turn.setEnabled(found.num_back > 0)
        self.model.set_ids(np.asarray(found.ids, np.int64))

    @property
    def words(self) -> str:
        """What is said."""
        return f"{self._title.text()}: {self._words.text()}"
