"""What stands in the middle of the heatmaps page while there is no heat to show: why, and what helps."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from locstudio.ui.plain_text import label

_WIDTH = 460


class EmptyPane(QWidget):
    """Says why there is nothing, with the one button that helps.

    Signals:
        wanted: the name of the window's action that the button stands for.
    """

    wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._action = ""
        self._title = label("", "subtitle", self)
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._words = label("", "muted", self)
        self._words.setWordWrap(True)
        self._words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._words.setFixedWidth(_WIDTH)
        self._button = QPushButton(self)
        self._button.setProperty("role", "primary")
        self._button.clicked.connect(lambda: self.wanted.emit(self._action))
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        column.addStretch(2)
        column.addWidget(self._title)
        for widget in (self._words, self._button):
            row = QHBoxLayout()  # and no alignment: in a row a label is as high as its words need
            row.addStretch()
            row.addWidget(widget)
            row.addStretch()
            column.addLayout(row)
        column.addStretch(3)

    def say(self, title: str, words: str, button: str = "", action: str = "") -> None:
        """Show this; without words for a button there is none."""
        self._title.setText(title)
        self._words.setText(words)
        self._button.setText(button)
        self._button.setVisible(bool(button))
        self._action = action

    @property
    def words(self) -> str:
        """What is said."""
        return f"{self._title.text()} {self._words.text()}".strip()

    @property
    def button(self) -> QPushButton:
        """What helps; hidden where nothing does."""
        return self._button
