"""Text from outside, shown literally: never as markup, never as a line break, never as half a character."""

import html

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from locstudio.domain.text import shown

__all__ = ["action_text", "label", "shown", "tip"]


def tip(text: str) -> str:
    """Foreign text for a tool tip, which would otherwise guess whether it is markup."""
    return f"<span>{html.escape(shown(text))}</span>"


def action_text(text: str) -> str:
    """The same for a menu entry or a button, where a lone ``&`` would underline a letter."""
    return shown(text).replace("&", "&&")


def label(text: str = "", role: str = "", parent: QWidget | None = None) -> QLabel:
    """A label that shows its text as it is; ``role`` is one of the style sheet's."""
    made = QLabel(parent)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setText(text)
    if role:
        made.setProperty("role", role)
    return made
