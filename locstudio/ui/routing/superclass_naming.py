"""The field in which a superclass is named, right where its name stands."""

from PySide6.QtCore import QEvent, QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from locstudio.services.superclasses import MAX_NAME

_LEAST_WIDTH = 150


class NameField(QLineEdit):
    """Lies over a name while it is edited.  Enter or a click elsewhere takes it, Esc leaves the old one.

    Signals:
        named: the key of the superclass, and its new name.
    """

    named = Signal(int, str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._key = 0
        self._before = ""
        self._over = parent
        self.setMaxLength(MAX_NAME)
        self.setAccessibleName("Name of the superclass")
        self.hide()

    def edit(self, key: int, name: str, rect: QRectF) -> None:
        """Ask for the name of a superclass, over this rectangle."""
        self._key, self._before = key, name
        height = max(self.sizeHint().height(), round(rect.height()))
        width = max(_LEAST_WIDTH, round(rect.width()))
        left = max(2, min(round(rect.left()) - 4, self._over.width() - width - 2))
        self.setGeometry(left, round(rect.center().y() - height / 2), width, height)
        self.setText(name)
        self.selectAll()
        self.show()
        self.setFocus()

    def leave(self) -> None:
        """Keep the old name."""
        if not self.isHidden():
            self._key = 0
            self.hide()
            self._over.setFocus()

    def commit(self) -> None:
        """Take the new name."""
        key, name = self._key, self.text().strip()
        if self.isHidden():
            return
        self.leave()
        if key and name and name != self._before:
            self.named.emit(key, name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.commit()
        elif event.key() == Qt.Key.Key_Escape:
            self.leave()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()  # letters are the name's while it is edited, not the window's
            return True
        return super().event(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() is not Qt.FocusReason.PopupFocusReason:
            self.commit()
