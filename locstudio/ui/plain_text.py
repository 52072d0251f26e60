"""Text from outside, shown literally: never as markup, never as a line break, never as half a character."""

import html

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget


def shown(text: str) -> str:
    """A name or a phrase as one line that every painter can draw.

    Bytes that are no UTF-8 (surrogate-escaped by the file system) and control characters become visible signs.
    """
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else _sign(c) for c in whole)


def _sign(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


def tip(text: str) -> str:
    """The same for a tool tip, which would otherwise guess whether it is markup."""
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
