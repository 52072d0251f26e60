"""The bar at the top: menus, the switch between pages, the search field, Retrain, and how the engine is."""

from collections.abc import Sequence
from enum import Enum, IntEnum

from PySide6.QtCore import QStringListModel, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QCompleter,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenuBar,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from locstudio.ui import theme
from locstudio.ui.engine_client import EngineState
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, shown, tip

_TYPING_PAUSE_MS = 350
_FIELD = 190  # pixels: room for a few words
_LEAST_FIELD = 90
_SHORT = 11  # letters
_WORDS = {
    "off": ("No model", "No model"),
    "loading": ("Loading model…", "Loading…"),
    "failed": ("Model failed – Retry", "Retry"),
}


class Page(Enum):
    """The pages of a project."""

    COLLECTION = "collection"
    TRAINING = "training"
    CURATION = "curation"
    HEATMAPS = "heatmaps"
    EXPERTS = "experts"


_PAGE_ICONS = {
    Page.COLLECTION: "grid",
    Page.TRAINING: "curves",
    Page.CURATION: "review",
    Page.HEATMAPS: "heat",
    Page.EXPERTS: "experts",
}


class _Form(IntEnum):
    """How much the bar says: less and less, until menus and field have room."""

    WHOLE = 0
    NO_DEVICE = 1
    ICONS = 2
    BARE = 3


class TopBar(QWidget):
    """Menus and pages on the left, the search field in the middle, Retrain and the engine's state on the right.

    Where the window is narrow the device goes first, then the names of the pages that are not shown, then Retrain's.

    Signals:
        words_typed: the words of the search field, after Enter or a short pause; empty when they were taken away.
        retry_wanted: start the engine again after it has failed.
        page_wanted: the ``Page`` that a person wants to see.
    """

    words_typed = Signal(str)
    retry_wanted = Signal()
    page_wanted = Signal(object)

    def __init__(self, menus: QMenuBar, retrain: QAction, parent: QWidget | None = None) -> None:
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
        self._whole = self._short = ""
        self._form: _Form | None = None
        self._needs: dict[_Form, int] = {}
        theme.notifier.changed.connect(self._show_engine)
        menus.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._menus = menus
        row = self._row = QHBoxLayout(self)
        row.setContentsMargins(4, 6, 8, 6)
        row.setSpacing(8)
        row.addWidget(menus)
        row.addWidget(self._make_switch())
        row.addStretch(1)
        row.addWidget(self.field, 6)
        row.addStretch(1)
        row.addWidget(self._make_retrain(retrain))
        row.addWidget(self._engine)
        self.set_engine(self._state)

    def _make_switch(self) -> QWidget:
        self._switch = QFrame(self)
        self._switch.setProperty("role", "switch")
        row = QHBoxLayout(self._switch)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(2)
        group = QButtonGroup(self._switch)
        self._pages: dict[Page, QToolButton] = {}
        for number, page in enumerate(Page, 1):
            text = page.value.capitalize()
            button = QToolButton(self._switch)
            button.setText(text)
            button.setCheckable(True)
            button.setProperty("role", "segment")
            drawn.follow(button, _PAGE_ICONS[page])
            button.setAccessibleName(f"Page: {text}")
            button.setToolTip(f"{text} (Ctrl+{number})")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, chosen=page: self.page_wanted.emit(chosen))
            group.addButton(button)
            row.addWidget(button)
            self._pages[page] = button
        self._pages[Page.COLLECTION].setChecked(True)
        return self._switch

    def _make_retrain(self, action: QAction) -> QWidget:
        self._retrain = QToolButton(self)
        self._retrain.setDefaultAction(action)
        self._retrain.setText("Retrain")
        self._retrain.setAccessibleName("Retrain")
        self._retrain.setProperty("role", "button")
        self._retrain.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._retrain.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return self._retrain

    def set_page(self, page: Page) -> None:
        """Mark the page that is shown."""
        self._pages[page].setChecked(True)
        self._measure()

    def set_active(self, is_active: bool) -> None:
        """Show what needs a project, as search, pages and the engine's state, only where there is one."""
        self.field.setVisible(is_active)
        self._switch.setVisible(is_active)
        self._retrain.setVisible(is_active)
        self._engine.setVisible(is_active)
        self._measure()

    def set_engine(self, state: EngineState, model: str = "") -> None:
        """Show how the engine is: in a few words, and in its own sentence for the tip.

        ``model`` is what the project calls the model, where that is not the name it carries itself.
        """
        self._state = state
        text, self._short = _WORDS.get(state.phase, ("", ""))
        if state.ready is not None:
            self._short = shown(model or state.ready.name, 24)
            text = f"{self._short} on {shown(state.ready.device.split(',')[0], 24)}"
        self._whole = text
        self._engine.setToolTip(tip(state.text or text))
        self._engine.setAccessibleName(f"Model: {text}")
        self._show_engine()
        self._measure()

    def _measure(self) -> None:
        """Take the room that each form needs anew, as after another word, and fit."""
        self._form = None
        for form in _Form:
            self._show_form(form)
            self._needs[form] = self._room()
        self._fit()

    def _room(self) -> int:
        parts = (self._menus, self._switch, self._retrain, self._engine)
        margins = self._row.contentsMargins()
        gaps = self._row.spacing() * (self._row.count() - 1)
        return sum(part.sizeHint().width() for part in parts) + _FIELD + gaps + margins.left() + margins.right()

    def _fit(self) -> None:
        fitting = (form for form in _Form if self._needs.get(form, 0) <= self.width())
        self._show_form(next(fitting, _Form.BARE))

    def _show_form(self, form: _Form) -> None:
        if form is self._form:
            return
        self._form = form
        short = shown(self._short, _SHORT) if self._state.ready is not None else self._short
        words = {_Form.WHOLE: self._whole, _Form.NO_DEVICE: self._short}.get(form, short)
        self._engine.setText(action_text(words))
        is_narrow = form >= _Form.ICONS
        if self.property("is_narrow") != is_narrow:
            self.setProperty("is_narrow", is_narrow)
            self._row.setSpacing(4 if is_narrow else 8)
            for widget in (self, self._menus, self._switch, *self._pages.values()):
                widget.style().unpolish(widget)
                widget.style().polish(widget)
            self._menus.updateGeometry()
        style = Qt.ToolButtonStyle
        for button in self._pages.values():
            is_named = not is_narrow or button.isChecked()
            button.setToolButtonStyle(style.ToolButtonTextOnly if is_named else style.ToolButtonIconOnly)
        is_bare = form is _Form.BARE
        self.field.setMinimumWidth(_LEAST_FIELD if is_bare else _FIELD)
        self._retrain.setToolButtonStyle(style.ToolButtonIconOnly if is_bare else style.ToolButtonTextBesideIcon)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

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
        self.setMinimumWidth(_LEAST_FIELD)
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
