"""One change, large: the picture with both boxes, what the models say, and what each choice would do."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.plain_text import label, shown, tip
from locstudio.ui.training.change_words import (
    MEANINGS,
    ChangeItem,
    effect_of,
    kind_color,
    kind_sign,
    kind_word,
    now_words,
    was_words,
)
from locstudio.ui.training.changes_table import NEW_INK, OLD_INK, paint_crop


class ChangeDetail(QFrame):
    """Shows one change and offers the choices.

    Signals:
        choice_made: "old" or "new".
        skipped: go on without choosing.
        open_wanted: see the change in its image.
    """

    choice_made = Signal(str)
    skipped = Signal()
    open_wanted = Signal()

    def __init__(self, crops: PictureLoader, parent: QWidget | None = None, *, has_own_crops: bool = False) -> None:
        super().__init__(parent)
        self._own_crops = crops if has_own_crops else None
        self._picture = _ChangePicture(crops, self)
        self._title = label("", "heading")
        self._meaning = _wrapped("muted")
        self._old, self._new, self._truth = (_wrapped("") for _ in range(3))
        self._outdated = _wrapped("muted")
        self._effect_old, self._effect_new = _wrapped("muted"), _wrapped("muted")
        self._keep = _button("← Keep the old · K", "Keep the old (K or ←)")
        self._take = _button("Take the new · N →", "Take the new (N or →)")
        self._skip = _button("Skip", "Go on without choosing (Space)")
        self._open = _button("Open the image", "Open the image with this region (Enter)")
        self._open.setProperty("role", "flat")
        for button, signal in ((self._skip, self.skipped), (self._open, self.open_wanted)):
            button.clicked.connect(signal)
        self._keep.clicked.connect(lambda: self.choice_made.emit("old"))
        self._take.clicked.connect(lambda: self.choice_made.emit("new"))
        self._item: ChangeItem | None = None
        self._lay_out()
        self.set_item(None)
        theme.notifier.changed.connect(self._paint)

    def _lay_out(self) -> None:
        facts = QGridLayout()
        facts.setHorizontalSpacing(8)
        facts.setVerticalSpacing(3)
        facts.setColumnStretch(2, 1)
        for row, (words, value, ink) in enumerate(
            (("Old model", self._old, OLD_INK), ("New model", self._new, NEW_INK), ("It is", self._truth, ""))
        ):
            facts.addWidget(_Sample(ink, is_dashed=ink == OLD_INK), row, 0)
            facts.addWidget(label(words, "muted"), row, 1)
            facts.addWidget(value, row, 2)
        choices = QGridLayout()
        choices.setHorizontalSpacing(8)
        choices.setVerticalSpacing(3)
        choices.addWidget(self._keep, 0, 0)
        choices.addWidget(self._take, 0, 1)
        choices.addWidget(self._effect_old, 1, 0, Qt.AlignmentFlag.AlignTop)
        choices.addWidget(self._effect_new, 1, 1, Qt.AlignmentFlag.AlignTop)
        choices.setColumnStretch(0, 1)
        choices.setColumnStretch(1, 1)
        rest = QHBoxLayout()
        rest.addWidget(self._skip)
        rest.addStretch(1)
        rest.addWidget(self._open)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 10)
        column.setSpacing(6)
        column.addWidget(self._title)
        column.addWidget(self._meaning)
        column.addWidget(self._picture, 1)
        column.addLayout(facts)
        column.addWidget(self._outdated)
        column.addSpacing(4)
        column.addLayout(choices)
        column.addLayout(rest)

    def set_item(self, item: ChangeItem | None) -> None:
        """Show a change; None shows that none is chosen."""
        self._item = item
        if self._own_crops is not None:  # of those that were walked past, none is waited for
            self._own_crops.keep_only([item.crop_key] if item else [])
        self._picture.set_item(item)
        for widget in (self._keep, self._take, self._skip, self._open):
            widget.setEnabled(item is not None)
        if item is None:
            for text in (self._meaning, self._old, self._new, self._truth, self._effect_old, self._effect_new):
                text.setText("")
            self._title.setText("")
            self._outdated.hide()
            return
        change = item.change
        held_out = " · held out" if change.is_held_out else ""
        self._title.setText(f"{kind_sign(change.kind)} {kind_word(change.kind)}{held_out}")
        self._title.setStyleSheet(f"color: {kind_color(change.kind)};")
        self._meaning.setText(f"{MEANINGS[change.kind]}.")
        self._open.setToolTip(tip(f"Open {item.image.path} with this region (Enter)"))
        self._old.setText(shown(was_words(change)))
        self._new.setText(shown(now_words(change)))
        self._truth.setText(shown(change.truth) or "no reviewed region")
        self._outdated.setText("This region was edited after the models were compared.")
        self._outdated.setVisible(change.is_outdated)
        self._effect_old.setText(effect_of(change, "old"))
        self._effect_new.setText(shown(effect_of(change, "new")))

    def _paint(self) -> None:
        self.set_item(self._item)

    @property
    def sentences(self) -> tuple[str, str]:
        """What keeping the old and taking the new would do."""
        return self._effect_old.text(), self._effect_new.text()


class _ChangePicture(QWidget):
    def __init__(self, crops: PictureLoader, parent: QWidget) -> None:
        super().__init__(parent)
        self._crops = crops
        self._item: ChangeItem | None = None
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        crops.arrived.connect(self.update)
        theme.notifier.changed.connect(self.update)

    def set_item(self, item: ChangeItem | None) -> None:
        self._item = item
        self.setAccessibleName(shown(item.sentence()) if item else "No change chosen")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.current().canvas))
        if self._item is not None:
            paint_crop(painter, self.rect(), self._item, self._crops)


class _Sample(QWidget):
    """A little box in the stroke of one model's boxes."""

    def __init__(self, ink: str, *, is_dashed: bool) -> None:
        super().__init__()
        self._ink, self._is_dashed = ink, is_dashed

    def sizeHint(self) -> QSize:
        return QSize(16, 14)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        if self._ink:
            painter = QPainter(self)
            for pen in (QPen(QColor(8, 12, 20, 150), 4), QPen(QColor(self._ink), 2)):
                if self._is_dashed and pen.width() == 2:
                    pen.setDashPattern([2, 1.4])
                painter.setPen(pen)
                painter.drawRect(2, self.height() // 2 - 5, 11, 9)


def _wrapped(role: str) -> QLabel:
    made = label("", role)
    made.setWordWrap(True)
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return made


def _button(text: str, hint: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(hint)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the worklist
    return button
