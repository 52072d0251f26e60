"""A chip that says what is ticked of one kind of condition, with the menu of what can be."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from locstudio.ui.plain_text import action_text, shown


class _Menu(QMenu):
    """Stays open while a person ticks several entries."""

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        action = self.activeAction()
        if action is not None and action.isCheckable() and action.isEnabled():
            action.trigger()
            event.accept()
            return
        super().mouseReleaseEvent(event)


class ChoiceChip(QToolButton):
    """One kind of condition: a button that says what is ticked, and a menu of what can be.

    Signals:
        changed: a person ticked or unticked something.
    """

    changed = Signal()

    def __init__(self, title: str, parent: QWidget, *, is_exclusive: bool = False) -> None:
        super().__init__(parent)
        self._title = title
        self._is_exclusive = is_exclusive
        self._ticked: list[Any] = []
        self._choices: Sequence[tuple[Any, str, int]] = ()
        self._menu = _Menu(self)
        self._menu.setStyleSheet("QMenu { menu-scrollable: 1; }")
        self._menu.aboutToShow.connect(self._fill_menu)
        self.setProperty("role", "chip")
        self.setCheckable(True)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() - 1)
        self.setFont(font)
        self.setMenu(self._menu)
        self._say()

    def set_choices(self, choices: Sequence[tuple[Any, str, int]]) -> None:
        """What can be ticked: value, words, number of images."""
        self._choices = [choice for choice in choices if choice[2] or choice[0] in self._ticked]
        self.setVisible(bool(self._choices))
        self._say()

    def ticked(self) -> list[Any]:
        """The values that are ticked."""
        return list(self._ticked)

    def tick(self, value: Any) -> None:
        """Tick one more value without announcing it."""
        self._ticked = [value] if self._is_exclusive else [*self._ticked, value]
        self._say()

    def clear(self) -> None:
        """Untick everything without announcing it."""
        self._ticked = []
        self._say()

    def _fill_menu(self) -> None:
        self._menu.clear()
        for value, words, count in self._choices:
            action = self._menu.addAction(f"{action_text(words)}\t{count:,}")
            action.setCheckable(True)
            action.setChecked(value in self._ticked)
            action.toggled.connect(lambda is_on, v=value: self._on_toggled(v, is_on))

    def _on_toggled(self, value: Any, is_on: bool) -> None:
        if is_on:
            self.tick(value)
        else:
            self._ticked = [ticked for ticked in self._ticked if ticked != value]
        if self._is_exclusive:
            for action, (choice, _, _) in zip(self._menu.actions(), self._choices, strict=True):
                action.blockSignals(True)
                action.setChecked(choice in self._ticked)
                action.blockSignals(False)
        self._say()
        self.changed.emit()

    def _say(self) -> None:
        words = [shown(text) for value, text, _ in self._choices if value in self._ticked]
        if not self._ticked:
            text = self._title
        elif len(self._ticked) == 1 and words:
            text = words[0] if len(words[0]) <= 18 else f"{words[0][:17]}…"
        else:
            text = f"{self._title}: {len(self._ticked)}"
        self.setText(action_text(text) + " ▾")
        self.setAccessibleName(f"Filter by {self._title.lower()}" + (f": {', '.join(words)}" if words else ""))
        self.setChecked(bool(self._ticked))
