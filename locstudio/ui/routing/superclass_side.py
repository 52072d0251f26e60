"""Beside the graph: a search, the list of superclasses and classes, and what is chosen in words."""

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.routing.superclass_detail import SuperclassDetail
from locstudio.ui.routing.superclass_images import ConfusedImages
from locstudio.ui.routing.superclass_picture import GraphPicture
from locstudio.ui.routing.superclass_reading import Behind
from locstudio.ui.routing.superclass_tree import SuperclassTree


class SuperclassSide(QWidget):
    """Lays out search, list and words.

    Signals:
        class_found: the id of the class that the search has found, when Enter is pressed.
    """

    class_found = Signal(int)

    def __init__(self, thumbnails: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = QLineEdit(self)
        self.search.setPlaceholderText("Find a class (F)")
        self.search.setAccessibleName("Find a class")
        self.search.setClearButtonEnabled(True)
        self.tree = SuperclassTree(self)
        self.search.textChanged.connect(self.tree.set_search)
        self.search.returnPressed.connect(self._on_found)
        self.search.installEventFilter(self)
        self.detail = SuperclassDetail(self)
        self.images = ConfusedImages(thumbnails, self)
        self._low = QStackedWidget(self)
        self._low.addWidget(self.detail)
        self._low.addWidget(self.images)
        self.detail.emptied.connect(self.tree.setFocus)
        self.images.left.connect(lambda: self.leave_images())
        top = QWidget(self)
        column = QVBoxLayout(top)
        column.setContentsMargins(8, 8, 8, 0)
        column.setSpacing(6)
        column.addWidget(self.search)
        column.addWidget(self.tree, 1)
        self._split = QSplitter(Qt.Orientation.Vertical, self)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(3)
        self._split.addWidget(top)
        self._split.addWidget(self._low)
        self._split.setStretchFactor(0, 3)
        self._split.setStretchFactor(1, 4)
        self._split.setSizes([300, 360])
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._split)
        self.setMinimumWidth(260)

    def _on_found(self) -> None:
        found = self.tree.rows.first_class()
        if found is not None and self.search.text().strip():
            self.class_found.emit(found)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Down goes from the search into the list, Esc empties it."""
        if watched is self.search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Down:
                self.tree.setFocus()
                return True
            if event.key() == Qt.Key.Key_Escape and self.search.text():
                self.search.clear()
                return True
        return super().eventFilter(watched, event)

    def show_images(self, picture: GraphPicture, found: Behind) -> None:
        """Show the images behind a confusion in place of the words."""
        self.images.show_behind(picture, found)
        self._low.setCurrentWidget(self.images)
        self.images.tiles.setFocus()

    def leave_images(self, *, takes_focus: bool = True) -> None:
        """Show the words again."""
        if self._low.currentWidget() is self.images:
            if not takes_focus and self.images.tiles.hasFocus():
                self.tree.setFocus()
            self._low.setCurrentWidget(self.detail)
            if takes_focus:
                self.detail.table.setFocus()

    @property
    def shows_images(self) -> bool:
        """Whether images are shown in place of the words."""
        return self._low.currentWidget() is self.images
