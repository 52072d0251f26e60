"""The current item, large: the picture around its box, what it is said to be, what else it may be, and what to do."""

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from locstudio.services.curation.suggestions import Suggestion
from locstudio.ui import theme
from locstudio.ui.canvas.signs import class_icon
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.curation.crop_model import Crop
from locstudio.ui.curation.crop_tile import ORIGIN_SIGNS, paint_badge, paint_box, target_of
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.gallery.filter_bar import ORIGIN_WORDS
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label, shown, tip

_MAX_WORDS = 28
_MAX_HEADING = 56  # two lines of the narrowest pane
_NOBODY = "Choose an item to see it here."
_BUTTONS = {
    CurationCommand.ACCEPT: ("Accept · Enter", "Accept what is chosen (Enter or C)"),
    CurationCommand.REJECT: ("Reject · X", "Reject what is chosen (X)"),
    CurationCommand.SKIP: ("Skip · Space", "Go on without deciding (Space); Backspace goes back"),
    CurationCommand.RELABEL: ("Relabel… · Ctrl+E", "Write what is in the box (Ctrl+E or a double click)"),
    CurationCommand.LIKENESS: ("More like this", "Sort by likeness to this item (M)"),
    CurationCommand.ALIKE: ("Fix alike…", "Find items that carry the same mistake and fix them together (F)"),
    CurationCommand.OPEN: ("Open on canvas", "Go to this box in its image (G)"),
}
_LINKS = (CurationCommand.LIKENESS, CurationCommand.ALIKE, CurationCommand.OPEN)


class DetailPane(QFrame):
    """Shows one item and emits what a person wants of it.

    Signals:
        command_wanted: a ``CurationCommand`` for what is chosen.
        suggestion_taken: the number, from 1, of a suggestion.
    """

    command_wanted = Signal(object)
    suggestion_taken = Signal(int)

    def __init__(self, large: PictureLoader, small: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(264)
        self._crop: Crop | None = None
        self._large = large
        self._picture = _Picture(large, small, self)
        self._words = label("", "subtitle")
        self._facts = label("", "muted")
        for words in (self._words, self._facts):
            words.setWordWrap(True)
            words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Maximum)
        self._origin, self._swatch = QLabel(self), QLabel(self)
        self._suggestions = QWidget(self)
        self._flow = FlowLayout(self._suggestions, spacing=4)
        self._chips: list[QPushButton] = []
        self._buttons = {command: self._make_button(command, *words) for command, words in _BUTTONS.items()}
        for command in _LINKS:
            self._buttons[command].setProperty("role", "flat")
        self._accept, self._reject = self._buttons[CurationCommand.ACCEPT], self._buttons[CurationCommand.REJECT]
        drawn.follow(self._accept, "check", "success")
        drawn.follow(self._reject, "close", "danger")
        self._lay_out()
        self.set_crop(None)
        theme.notifier.changed.connect(self._show)

    def _lay_out(self) -> None:
        facts = QHBoxLayout()
        facts.setSpacing(6)
        facts.addWidget(self._origin, 0, Qt.AlignmentFlag.AlignTop)
        facts.addWidget(self._swatch, 0, Qt.AlignmentFlag.AlignTop)
        facts.addWidget(self._facts, 1)
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
        item = QVBoxLayout()
        item.setContentsMargins(12, 12, 12, 8)
        item.setSpacing(6)
        item.addWidget(self._picture, 1)
        item.addWidget(self._words)
        item.addLayout(facts)
        item.addWidget(self._suggestions)
        item.addSpacing(2)
        item.addLayout(buttons)
        item.addWidget(links)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addLayout(item, 5)
        self._column.addStretch(1)

    def add_below(self, panel: QWidget) -> None:
        """Put a panel about the same item below the buttons."""
        self._column.takeAt(self._column.count() - 1)  # the empty room below
        self._column.addWidget(_line(self))
        below = QVBoxLayout()
        below.setContentsMargins(12, 4, 2, 0)
        below.addWidget(panel)
        self._column.addLayout(below, 3)

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def crop(self) -> Crop | None:
        """The item that is shown."""
        return self._crop

    def set_crop(self, crop: Crop | None) -> None:
        """Show an item; None shows that none is chosen."""
        self._crop = crop
        self._show()

    def set_num_chosen(self, count: int) -> None:
        """Say on the buttons what they act on."""
        many = f" {count:,}" if count > 1 else ""
        self._accept.setText(f"Accept{many} · Enter")
        self._reject.setText(f"Reject{many} · X")

    def set_suggestions(self, suggestions: Sequence[Suggestion]) -> None:
        """Offer what else the item may be, each under its digit."""
        for number, suggestion in enumerate(suggestions):
            if number == len(self._chips):
                self._chips.append(self._make_chip(number + 1))
            chip = self._chips[number]
            words = shown(suggestion.text)
            short = words if len(words) <= _MAX_WORDS else f"{words[: _MAX_WORDS - 1]}…"
            chip.setText(action_text(f"{number + 1}  {short}"))
            chip.setToolTip(tip(f"{words}, {suggestion.score:.2f}"))
            chip.setAccessibleName(f"Suggestion {number + 1}: {words}")
            chip.show()
        for chip in self._chips[len(suggestions) :]:
            chip.hide()
        self._suggestions.setVisible(bool(suggestions))
        self._suggestions.updateGeometry()

    @property
    def suggestion_words(self) -> list[str]:
        """What the chips say."""
        return [chip.text() for chip in self._chips if not chip.isHidden()]

    def _make_button(self, command: CurationCommand, text: str, hint: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(hint)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the gallery
        button.clicked.connect(lambda: self.command_wanted.emit(command))
        return button

    def _make_chip(self, number: int) -> QPushButton:
        chip = QPushButton(self._suggestions)
        chip.setProperty("role", "suggestion")
        chip.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        chip.clicked.connect(lambda: self.suggestion_taken.emit(number))
        self._flow.addWidget(chip)
        return chip

    def _show(self) -> None:
        crop = self._crop
        self._picture.set_crop(crop)
        for button in self._buttons.values():
            button.setEnabled(crop is not None)
        self._origin.setVisible(crop is not None)
        self._swatch.hide()
        if crop is None:
            self._words.setText("")
            self._facts.setText(_NOBODY)
            self._facts.setToolTip("")
            self.set_suggestions(())
            return
        self._words.setText(shown(crop.words, _MAX_HEADING) or "nothing said")
        self._words.setToolTip(tip(crop.words))
        look = theme.current()
        self._origin.setPixmap(drawn.pixmap(ORIGIN_SIGNS[crop.item.origin], 14, look.muted))
        self._swatch.setVisible(bool(crop.color))
        if crop.color:
            self._swatch.setPixmap(class_icon(crop.color).pixmap(12, 12))
        parts = (
            crop.item.class_name if crop.item.class_name != crop.words else "",
            f"score {crop.item.score:.2f}" if crop.item.score is not None else "",
            crop.path.rsplit("/", 1)[-1],
        )
        self._facts.setText(" · ".join(shown(part) for part in parts if part))
        self._origin.setToolTip(ORIGIN_WORDS[crop.item.origin])
        self._facts.setToolTip(tip(crop.sentence()))


class _Picture(QWidget):
    """The crop as large as there is room; the tile's picture until the large one is there."""

    def __init__(self, large: PictureLoader, small: PictureLoader, parent: QWidget) -> None:
        super().__init__(parent)
        self._large, self._small = large, small
        self._crop: Crop | None = None
        self.setMinimumHeight(140)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        large.arrived.connect(self.update)
        small.arrived.connect(self.update)
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(300, 300)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.setMaximumHeight(max(160, event.size().width()))

    def set_crop(self, crop: Crop | None) -> None:
        self._crop = crop
        self.setAccessibleName(shown(crop.sentence()) if crop else "No item chosen")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        painter = QPainter(self)
        look, crop = theme.current(), self._crop
        painter.fillRect(self.rect(), QColor(look.canvas))
        if crop is None:
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        target = target_of(self.rect(), crop)
        large = self._large.picture(crop.crop_key)
        picture = large if large is not None else self._small.picture(crop.crop_key)
        if picture is not None:
            painter.drawPixmap(target, picture)
        elif (why := self._large.failure(crop.crop_key)) is not None:
            painter.setPen(QColor(look.muted))
            flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
            painter.drawText(self.rect().adjusted(16, 16, -16, -16), flags, shown(str(why)))
            return
        paint_box(painter, QRectF(target), crop, width=2.5)
        paint_badge(painter, QPointF(self.width() - 18, 18), crop.review)


def _line(parent: QWidget) -> QFrame:
    line = QFrame(parent)
    line.setProperty("role", "line")
    return line
