"""The current tile of the heatmaps page, large: picture and heat, how the score went, why it is listed, what to do."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.canvas.signs import class_icon
from locstudio.ui.curation.crop_tile import paint_badge
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.heatmaps.epoch_slider import EpochSlider
from locstudio.ui.heatmaps.page_commands import HeatCommand
from locstudio.ui.heatmaps.page_model import PRESENCE_WORDS, HeatTile
from locstudio.ui.heatmaps.page_tile import REVIEWS, HeatInk, Photos, paint_cell, target_of
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown, tip

_MAX_HEADING = 56  # two lines of the narrowest pane
_NOBODY = "Choose a tile to see it here."
_BUTTONS = {
    HeatCommand.ADD: ("Add · Y", "The class is there: add it to the labels of the image (Y or Enter)"),
    HeatCommand.DENY: ("Deny · N", "The class is not there: say so (N or Delete)"),
    HeatCommand.SKIP: ("Skip · Space", "Go on without deciding (Space); Backspace goes back"),
    HeatCommand.UNSAY: ("Take back · U", "Say nothing of it any more (U)"),
    HeatCommand.ONE_CLASS: ("Class in all images", "This class in all images (C)"),
    HeatCommand.ONE_IMAGE: ("All its classes", "All classes of this image (I)"),
    HeatCommand.OPEN: ("Open on canvas", "Open the image in the collection with this heat on it (G or a double click)"),
}
_LINKS = (HeatCommand.ONE_CLASS, HeatCommand.ONE_IMAGE, HeatCommand.OPEN)


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What was read of the current tile besides.

    Attributes:
        heat: Its heat, fine enough for the pane; None where none is kept.
        trajectory_E: The score of each epoch, float32 (E,).
        epoch: Whose heat it is; None for the newest.
        newest: The last epoch that is whole, of ``num_epochs``.
        key_epochs: Epochs whose heat can be looked back at.
        why: A sentence on why it is listed, or on what is known of it.
    """

    heat: QImage | None = None
    trajectory_E: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    epoch: int | None = None
    newest: int = 0
    num_epochs: int = 0
    key_epochs: tuple[int, ...] = ()
    why: str = ""


class HeatDetail(QFrame):
    """Shows one tile and emits what a person wants of it.

    Signals:
        command_wanted: a ``HeatCommand`` for what is chosen.
        epoch_chosen: an epoch whose heat is to be shown large; None for the newest.
    """

    command_wanted = Signal(object)
    epoch_chosen = Signal(object)

    def __init__(self, large: PictureLoader, photos: Photos, ink: HeatInk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(264)
        self._tile: HeatTile | None = None
        self._picture = _Picture(large, photos, ink, self)
        self._words, self._facts, self._why = label("", "subtitle"), label("", "muted"), label("", "muted")
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        for words in (self._words, self._facts, self._why):
            words.setWordWrap(True)
            words.setSizePolicy(policy)
        self._swatch = QLabel(self)
        self._epochs = EpochSlider(self)
        self._epochs.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._epochs.epoch_chosen.connect(self.epoch_chosen)
        self._buttons = {command: self._make_button(command, *words) for command, words in _BUTTONS.items()}
        for command in _LINKS:
            self._buttons[command].setProperty("role", "flat")
        drawn.follow(self._buttons[HeatCommand.ADD], "check", "success")
        drawn.follow(self._buttons[HeatCommand.DENY], "close", "danger")
        self._lay_out()
        self.set_tile(None)
        theme.notifier.changed.connect(self._show)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._swatch, 0, Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self._words, 1)
        buttons = QGridLayout()
        buttons.setHorizontalSpacing(8)
        buttons.setVerticalSpacing(6)
        for number, command in enumerate(command for command in _BUTTONS if command not in _LINKS):
            buttons.addWidget(self._buttons[command], number // 2, number % 2)
        buttons.setColumnStretch(0, 1)
        buttons.setColumnStretch(1, 1)
        links = QWidget(self)
        flow = FlowLayout(links, spacing=2)
        for command in _LINKS:
            flow.addWidget(self._buttons[command])
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 8)
        column.setSpacing(6)
        column.addWidget(self._picture, 6)
        column.addLayout(head)
        column.addWidget(self._facts)
        column.addWidget(self._epochs)
        column.addWidget(self._why)
        column.addSpacing(2)
        column.addLayout(buttons)
        column.addWidget(links)
        column.addStretch(1)

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def tile(self) -> HeatTile | None:
        """The tile that is shown."""
        return self._tile

    @property
    def why(self) -> str:
        """The sentence below the curve."""
        return self._why.text()

    def set_tile(self, tile: HeatTile | None) -> None:
        """Show a tile; None shows that none is chosen.  What was read of another one is forgotten."""
        is_other = tile is None or self._tile is None or _pair(tile) != _pair(self._tile)
        self._tile = tile
        if is_other:
            self.set_facts(Facts())
        self._show()

    def set_facts(self, facts: Facts) -> None:
        """Show what was read of the tile."""
        self._picture.set_heat(facts.heat)
        self._epochs.setVisible(bool(len(facts.trajectory_E)))
        self._epochs.set_epochs(facts.key_epochs, facts.newest, facts.num_epochs, facts.epoch)
        self._epochs.set_curve(facts.trajectory_E)
        self._why.setText(shown(facts.why))
        self._why.setVisible(bool(facts.why))

    def set_num_chosen(self, count: int) -> None:
        """Say on the buttons what they act on."""
        many = f" {count:,}" if count > 1 else ""
        self._buttons[HeatCommand.ADD].setText(f"Add{many} · Y")
        self._buttons[HeatCommand.DENY].setText(f"Deny{many} · N")

    def show_ink(self) -> None:
        """Heat is stronger or fainter now."""
        self._picture.update()

    def _make_button(self, command: HeatCommand, text: str, hint: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(hint)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the gallery
        button.clicked.connect(lambda: self.command_wanted.emit(command))
        return button

    def _show(self) -> None:
        tile = self._tile
        self._picture.set_tile(tile)
        for button in self._buttons.values():
            button.setEnabled(tile is not None)
        self._swatch.setVisible(tile is not None and bool(tile.color))
        if tile is None:
            self._words.setText("")
            self._facts.setText(_NOBODY)
            self._facts.setToolTip("")
            return
        if tile.color:
            self._swatch.setPixmap(class_icon(tile.color).pixmap(12, 12))
        self._words.setText(shown(tile.class_name, _MAX_HEADING))
        self._words.setToolTip(tip(tile.class_name))
        cell = tile.cell
        parts = (
            PRESENCE_WORDS[tile.presence],
            f"{tile.score_name} {tile.score:.2f}",
            "" if tile.agreement is None else f"agreement {tile.agreement:.0%}",
            "" if tile.own is None else f"own heat {tile.own:.0%}",
            "" if tile.inconsistency is None else f"inconsistency {tile.inconsistency:.2f}",
            cell.image.path.rsplit("/", 1)[-1] if cell is not None else "",
            "heat of an older file" if cell is not None and cell.is_stale else "",
        )
        self._facts.setText(" · ".join(shown(part) for part in parts if part))
        self._facts.setToolTip(tip(tile.sentence()))


class _Picture(QWidget):
    """The tile as large as there is room; the tile's own picture until the large one is there."""

    def __init__(self, large: PictureLoader, photos: Photos, ink: HeatInk, parent: QWidget) -> None:
        super().__init__(parent)
        self._large, self._photos, self._ink = large, photos, ink
        self._tile: HeatTile | None = None
        self._heat: QPixmap | None = None
        self.setMinimumHeight(140)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        for loader in (large, *photos.loaders):
            loader.arrived.connect(self.update)
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(300, 300)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.setMaximumHeight(max(160, event.size().width()))

    def set_tile(self, tile: HeatTile | None) -> None:
        self._tile = tile
        self.setAccessibleName(shown(tile.sentence()) if tile else "No tile chosen")
        self.update()

    def set_heat(self, heat: QImage | None) -> None:
        self._heat = QPixmap.fromImage(heat) if heat is not None else None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        painter = QPainter(self)
        look, tile = theme.current(), self._tile
        painter.fillRect(self.rect(), QColor(look.canvas))
        if tile is None or tile.cell is None:
            return
        cell = tile.cell
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        target = target_of(self.rect(), cell)
        key = cell.image.id, cell.view.as_tuple()
        large = self._large.picture(key)
        picture = large if large is not None else self._photos.picture(cell)
        if picture is not None:
            painter.drawPixmap(target, picture)
        elif (why := self._large.failure(key)) is not None:
            painter.setPen(QColor(look.muted))
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(self.rect().adjusted(16, 16, -16, -16), flags, shown(str(why)))
            return
        heat = self._heat if self._heat is not None else cell.heat
        paint_cell(painter, QRectF(target), tile, cell, heat, self._ink.strength, width=2.5)
        paint_badge(painter, QPointF(self.width() - 18, 18), REVIEWS[tile.presence])


def _pair(tile: HeatTile) -> tuple[int, int]:
    return tile.image_id, tile.class_id
