"""The bar at the top: menus, the search field, and how the engine is."""

from collections.abc import Sequence

from PySide6.QtCore import QStringListModel, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QCompleter, QHBoxLayout, QLineEdit, QMenuBar, QSizePolicy, QToolButton, QWidget

from locstudio.ui import theme
from locstudio.ui.engine_client import EngineState
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, shown, tip

_TYPING_PAUSE_MS = 350


class TopBar(QWidget):
    """Menus on the left, the search field in the middle, the engine's state on the right.

    Signals:
        words_typed: the words of the search field, after Enter or a short pause; empty when they were taken away.
        retry_wanted: start the engine again after it has failed.
    """

    words_typed = Signal(str)
    retry_wanted = Signal()

    def __init__(self, menus: QMenuBar, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "header")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.field = _SearchField(self)
        self._pause = QTimer(self, interval=_TYPING_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._announce)
        self._last = ""
        self.field.textEdited.connect(lambda: self._pause.start())
        self.field.returnPressed.connect(lambda: self._announce(is_confirmed=True))
        self.field.completer().activated.connect(lambda _: self._announce(is_confirmed=True))
        self.field.textChanged.connect(lambda text: None if text else self._announce())
        self._engine = QToolButton(self)
        self._engine.setProperty("role", "chip")
        self._engine.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._engine.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._engine.clicked.connect(self._on_engine_clicked)
        self._state = EngineState("off")
        theme.notifier.changed.connect(self._show_engine)
        menus.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 6, 12, 6)
        row.setSpacing(12)
        row.addWidget(menus)
        row.addStretch(1)
        row.addWidget(self.field, 6)
        row.addStretch(1)
        row.addWidget(self._engine)
        self.set_engine(self._state)

    def set_active(self, is_active: bool) -> None:
        """Show the search field and the engine's state only where there is something to search in."""
        self.field.setVisible(is_active)
        self._engine.setVisible(is_active)

    def set_engine(self, state: EngineState) -> None:
        """Show how the engine is: in a few words, and in its own sentence for the tip."""
        self._state = state
        text = {"off": "No model", "loading": "Loading model…", "failed": "Model failed – Retry"}.get(state.phase, "")
        if state.ready is not None:
            text = f"{shown(state.ready.name, 24)} on {shown(state.ready.device.split(',')[0], 24)}"
        self._engine.setText(action_text(text))
        self._engine.setToolTip(tip(state.text or text))
        self._engine.setAccessibleName(f"Model: {text}")
        self._show_engine()

    def set_phrases(self, phrases: Sequence[tuple[str, int]]) -> None:
        """Offer the phrases of the collection (with their counts) while a person types."""
        self.field.phrases.setStringList([phrase for phrase, _ in phrases])

    @property
    def engine_text(self) -> str:
        """What the chip says."""
        return self._engine.text()

    def set_words(self, text: str) -> None:
        """Show the words of a query that came from elsewhere, without announcing them."""
        self._pause.stop()
        self._last = text
        self.field.setText(text)

    def _announce(self, *, is_confirmed: bool = False) -> None:
        self._pause.stop()
        text = self.field.text().strip()
        if text != self._last or (is_confirmed and text):
            self._last = text
            self.words_typed.emit(text)

    def _on_engine_clicked(self) -> None:
        if self._state.phase == "failed":
            self.retry_wanted.emit()

    def _show_engine(self) -> None:
        look = theme.current()
        name, color = {
            "off": ("logo", look.muted),
            "loading": ("retry", look.warning),
            "ready": ("check", look.success),
            "failed": ("warning", look.danger),
        }[self._state.phase]
        self._engine.setIcon(drawn.icon(name, color))


class _SearchField(QLineEdit):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setPlaceholderText("Search regions by words: a red car -truck")
        self.setAccessibleName("Search regions by words")
        self.setClearButtonEnabled(True)
        self.setMinimumWidth(240)
        self.setMaximumWidth(860)
        self.setMinimumHeight(28)
        self.phrases = QStringListModel(self)
        completer = QCompleter(self.phrases, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setMaxVisibleItems(8)
        popup = completer.popup()
        assert popup is not None
        popup.setAccessibleName("Phrases of the collection")
        popup.setProperty("role", "popup")
        self.setCompleter(completer)
        lens = QAction(self)
        drawn.follow(lens, "search")
        self.addAction(lens, QLineEdit.ActionPosition.LeadingPosition)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.window().setFocus()
            event.accept()
            return
        super().keyPressEvent(event)
