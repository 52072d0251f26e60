"""A bar across the window with one sentence and what can be done about it."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from locstudio.ui import theme
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label, shown


class NoticeBar(QFrame):
    """Hidden until there is something to say.

    Signals:
        accepted: a person pressed the button; carries the name given to ``say``.
    """

    accepted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "bar")
        self._name = ""
        self._sign_name, self._role = "layers", "accent"
        self._sign = QLabel(self)
        self._text = label("", "", self)
        self._text.setWordWrap(True)
        self._button = QPushButton(self)
        self._button.setProperty("role", "primary")
        self._button.clicked.connect(lambda: self.accepted.emit(self._name))
        self._close = QToolButton(self)
        self._close.setAccessibleName("Dismiss")
        self._close.setToolTip("Dismiss")
        self._close.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        drawn.follow(self._close, "close")
        self._close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        row.setSpacing(10)
        row.addWidget(self._sign)
        row.addWidget(self._text, 1)
        row.addWidget(self._button)
        row.addWidget(self._close)
        theme.notifier.changed.connect(self._draw_sign)
        self.hide()

    @property
    def name(self) -> str:
        """What the bar speaks of, as given to ``say``; empty when it is hidden."""
        return "" if self.isHidden() else self._name

    @property
    def text(self) -> str:
        """The sentence."""
        return self._text.text()

    def say(self, name: str, text: str, button: str = "", *, is_problem: bool = False) -> None:
        """Show a sentence under a name; without ``button`` it can only be dismissed."""
        self._name = name
        self._text.setText(shown(text, 400))
        self._button.setText(action_text(button))
        self._button.setVisible(bool(button))
        self._sign_name, self._role = ("warning", "warning") if is_problem else ("layers", "accent")
        self._draw_sign()
        self.show()

    def withdraw(self, name: str) -> None:
        """Hide the bar if it still speaks of this."""
        if self._name == name:
            self.hide()

    def _draw_sign(self) -> None:
        self._sign.setPixmap(drawn.pixmap(self._sign_name, 18, getattr(theme.current(), self._role)))
