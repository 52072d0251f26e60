"""What stands in the middle of the experts' page while there is no routing to show: why, and what helps."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from locstudio.ui.plain_text import label

_WIDTH = 480
_NUM_BUTTONS = 2


class NothingPane(QWidget):
    """Says why there is nothing, with the buttons that help.

    Signals:
        wanted: the wish that a button stands for.
    """

    wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = label("", "subtitle", self)
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._words = label("", "muted", self)
        self._words.setWordWrap(True)
        self._words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._words.setFixedWidth(_WIDTH)
        self._wishes: list[str] = [""] * _NUM_BUTTONS
        self._buttons = [self._make_button(number) for number in range(_NUM_BUTTONS)]
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(14)
        column.addStretch(2)
        column.addWidget(self._title)
        words = QHBoxLayout()  # and no alignment: in a row a label is as high as its words need
        words.addStretch()
        words.addWidget(self._words)
        words.addStretch()
        column.addLayout(words)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch()
        for button in self._buttons:
            row.addWidget(button)
        row.addStretch()
        column.addLayout(row)
        column.addStretch(3)

    def _make_button(self, number: int) -> QPushButton:
        button = QPushButton(self)
        if number == 0:
            button.setProperty("role", "primary")
        button.clicked.connect(lambda: self.wanted.emit(self._wishes[number]))
        return button

    def say(self, title: str, words: str, wishes: Sequence[tuple[str, str]] = ()) -> None:
        """Show this, with up to two buttons: their words, and the wish that each stands for."""
        self._title.setText(title)
        self._words.setText(words)
        padded = [*wishes, *[("", "")] * _NUM_BUTTONS][:_NUM_BUTTONS]
        for number, (button, (text, wish)) in enumerate(zip(self._buttons, padded, strict=True)):
            button.setText(text)
            button.setVisible(bool(text))
            self._wishes[number] = wish

    @property
    def words(self) -> str:
        """What is said."""
        return f"{self._title.text()} {self._words.text()}".strip()

    @property
    def buttons(self) -> list[QPushButton]:
        """What helps."""
        return [button for button in self._buttons if not button.isHidden()]
