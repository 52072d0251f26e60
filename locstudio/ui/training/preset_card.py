"""One preset of the Retrain sheet, as a card that can be clicked anywhere."""

from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QRadioButton, QVBoxLayout, QWidget

from locstudio.ui.plain_text import label


class PresetCard(QFrame):
    """A radio button with a sentence; the whole card can be clicked."""

    def __init__(self, title: str, words: str, detail: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.button = QRadioButton(title, self)
        self.button.setAccessibleName(f"{title}: {words}, {detail}")
        self.button.toggled.connect(self._on_toggled)
        sentence = label(words, "muted", self)
        sentence.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 10)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(self.button, 1)
        head.addWidget(label(detail, "muted", self))
        column.addLayout(head)
        column.addWidget(sentence)
        column.addStretch()

    def _on_toggled(self, is_on: bool) -> None:
        self.setProperty("chosen", is_on)
        self.style().unpolish(self)
        self.style().polish(self)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.button.setChecked(True)
        self.button.setFocus()
        event.accept()
