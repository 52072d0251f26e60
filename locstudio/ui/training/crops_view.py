"""Regions behind a number, as crops: a heading that says which, and a grid; a double click opens the image."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.plain_text import label, shown
from locstudio.ui.search.hits_model import HIT_ROLE, HitItem, HitsModel
from locstudio.ui.search.hits_view import HitsView


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the regions behind a number: "missed", how many there are, and those that are shown."""

    words: str
    count: int
    hits: tuple[HitItem, ...]


class CropGrid(HitsView):
    """Tiles of regions.  A click only selects; double click and Enter open.

    Signals:
        opened: the ``HitItem`` that a person wants to see in its image.
    """

    opened = Signal(object)

    def __init__(
        self,
        model: HitsModel,
        crops: PictureLoader,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(model, crops, lambda _: None, parent)
        self.clicked.disconnect()
        self.activated.disconnect()
        self.hit_chosen.connect(self.opened)
        self.activated.connect(lambda index: self.opened.emit(index.data(HIT_ROLE)))
        self.setAccessibleName("Regions; Enter opens the image")
        self._empty_text = ""

    def set_empty_text(self, text: str) -> None:
        """What to say where there is nothing to show."""
        self._empty_text = text
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Walking only selects."""
        super(HitsView, self).keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._empty_text and self.model().rowCount() == 0:
            painter = QPainter(self.viewport())
            painter.setPen(QColor(theme.current().muted))
            flags = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)
            painter.drawText(self.viewport().rect().adjusted(20, 40, -20, -20), flags, self._empty_text)

    def _open_menu(self, where: QPoint) -> None:
        index: QModelIndex = self.indexAt(where)
        if index.isValid():
            hit: HitItem = index.data(HIT_ROLE)
            menu = QMenu(self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.addAction("Open this image\tEnter").triggered.connect(lambda: self.opened.emit(hit))
            menu.popup(self.viewport().mapToGlobal(where))


class CropsPane(QFrame):
    """A heading, a line of detail, and the regions.

    Signals:
        opened: the ``HitItem`` that a person wants to see in its image.
    """

    opened = Signal(object)

    def __init__(
        self,
        crops: PictureLoader,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = HitsModel(self)
        self.grid = CropGrid(self._model, crops, self)
        self.grid.opened.connect(self.opened)
        self._heading = label("", "heading")
        self._heading.setWordWrap(True)
        self._heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._detail = label("", "muted")
        self._detail.setWordWrap(True)
        self._detail.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._heading)
        words.addWidget(self._detail)
        words.setContentsMargins(12, 10, 12, 6)
        self._parts: tuple[Part, ...] = ()
        self._chips = QButtonGroup(self)
        self._chips.idClicked.connect(self._show_part)
        self._chip_row = QHBoxLayout()
        self._chip_row.setContentsMargins(12, 0, 12, 6)
        self._chip_row.setSpacing(4)
        self._chip_row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(words)
        column.addLayout(self._chip_row)
        column.addWidget(self.grid, 1)
        self._what = "region"
        self.clear()

    def set_what(self, what: str) -> None:
        """Say what the tiles are: a region, or an image."""
        self._what = what

    def clear(self, hint: str = "Choose a cell, a bar or a point of a curve to see its regions here.") -> None:
        """Show that nothing has been chosen, and how to choose."""
        self._heading.hide()
        self._detail.hide()
        self.grid.set_empty_text(hint)
        self._drop_chips()
        self._model.set_hits((), 0)

    def set_busy(self, heading: str) -> None:
        """Say what is on its way."""
        self._say(heading, "")
        self.grid.set_empty_text("…")
        self._drop_chips()
        self._model.set_hits((), 0)

    def show_parts(self, heading: str, detail: str, parts: Sequence[Part], first: int = 0) -> None:
        """Show regions under a heading: one part of them, with a chip for each where there are several."""
        self._say(heading, detail)
        self._parts = tuple(parts)
        self._drop_chips()
        if len(self._parts) > 1:
            for number, part in enumerate(self._parts):
                chip = QToolButton(self)
                chip.setText(f"{part.words} {part.count:,}")
                chip.setCheckable(True)
                chip.setProperty("role", "chip")
                chip.setFocusPolicy(Qt.FocusPolicy.TabFocus)
                self._chips.addButton(chip, number)
                self._chip_row.insertWidget(number, chip)
            self._chips.button(first).setChecked(True)
        self._show_part(first)

    def _show_part(self, number: int) -> None:
        part = self._parts[number]
        self.grid.set_empty_text(f"No such {self._what}.")
        self._model.set_hits(part.hits, len(part.hits))

    def _drop_chips(self) -> None:
        for chip in self._chips.buttons():
            self._chips.removeButton(chip)
            self._chip_row.removeWidget(chip)
            chip.deleteLater()

    @property
    def hits(self) -> tuple[HitItem, ...]:
        """The regions on the screen."""
        return self._model.hits

    @property
    def heading(self) -> str:
        """What the regions have in common."""
        return self._heading.text()

    def _say(self, heading: str, detail: str) -> None:
        self._heading.setText(shown(heading))
        self._heading.show()
        self._detail.setText(shown(detail))
        self._detail.setVisible(bool(detail))
