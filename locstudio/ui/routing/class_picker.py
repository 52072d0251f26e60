"""The sheet on which the class of images is chosen: what the model would say first, then all classes by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.domain.text import counted
from locstudio.ui.canvas.signs import class_icon
from locstudio.ui.plain_text import label, shown

_ROLE = int(Qt.ItemDataRole.UserRole)
_SIZE = (420, 480)


@dataclass(frozen=True, slots=True)
class ClassChoice:
    """A class that can be chosen; ``note`` says why it stands where it does."""

    id: int
    name: str
    color: str
    note: str = ""


class ClassPicker(QDialog):
    """Asks for one class.  Typing narrows the list down, arrows move in it, Enter takes the marked one.

    Signals:
        chosen: the identity of a class.
    """

    chosen = Signal(int)

    def __init__(self, choices: Sequence[ClassChoice], num_images: int, parent: QWidget | None = None) -> None:
        """``choices`` are in the order in which they are shown."""
        super().__init__(parent)
        self.setWindowTitle("Change class")
        self.setAccessibleName("Change the class of images")
        self._choices = tuple(choices)
        self.field = QLineEdit(self)
        self.field.setPlaceholderText("Find a class")
        self.field.setAccessibleName("Find a class")
        self.field.setClearButtonEnabled(True)
        self.field.installEventFilter(self)
        self.list = QListWidget(self)
        self.list.setAccessibleName("Classes")
        self.list.setIconSize(QSize(12, 12))
        self.list.itemActivated.connect(lambda _: self.accept())
        self.list.itemDoubleClicked.connect(lambda _: self.accept())
        what = "this image" if num_images == 1 else counted(num_images, "image")
        words = label(
            f"Which class does {what} show? What was said before is denied; boxes of it become boxes of the new class. "
            "Undo takes it all back.",
            "muted",
        )
        words.setWordWrap(True)
        buttons = QDialogButtonBox(self)
        self._take = QPushButton("Change class", self)
        self._take.setProperty("role", "primary")
        buttons.addButton(self._take, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 12)
        column.setSpacing(10)
        column.addWidget(label("Change class", "subtitle"))
        column.addWidget(words)
        column.addWidget(self.field)
        column.addWidget(self.list, 1)
        column.addWidget(buttons)
        self.field.textChanged.connect(self._fill)
        self.resize(*_SIZE)
        self._fill()
        self.field.setFocus()

    @property
    def names(self) -> list[str]:
        """What the list shows."""
        return [self.list.item(row).text() for row in range(self.list.count())]

    def accept(self) -> None:
        """Take the marked class."""
        item = self.list.currentItem()
        if item is not None:
            self.chosen.emit(item.data(_ROLE))
            super().accept()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and Down in the field move in the list."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 9, Qt.Key.Key_PageUp: -9}.get(
                Qt.Key(event.key())
            )
            if step is not None and self.list.count():
                self.list.setCurrentRow(min(max(self.list.currentRow() + step, 0), self.list.count() - 1))
                return True
        return super().eventFilter(watched, event)

    def _fill(self) -> None:
        words = self.field.text().casefold().split()
        self.list.clear()
        for choice in self._choices:
            if all(word in choice.name.casefold() for word in words):
                text = f"{shown(choice.name)}   {choice.note}" if choice.note else shown(choice.name)
                item = QListWidgetItem(class_icon(choice.color), text)
                item.setData(_ROLE, choice.id)
                self.list.addItem(item)
        self.list.setCurrentRow(0)
        self._take.setEnabled(self.list.count() > 0)
