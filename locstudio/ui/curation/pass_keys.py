"""What a key means while a canvas pass is on.  The key sheet reads this table; the keys of the pass are these."""

from enum import StrEnum

from PySide6.QtCore import QKeyCombination, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence

from locstudio.ui.canvas.commands import digit_of
from locstudio.ui.curation.commands import NUM_SUGGESTIONS


class PassCommand(StrEnum):
    """A named act of the pass."""

    ACCEPT = "accept"
    REJECT = "reject"
    REJECT_REST = "reject rest"
    SKIP = "skip"
    BACK = "back"
    SUGGESTION = "suggestion"
    NEAR = "near"
    VERIFY = "verify"
    UNDO = "undo"
    LEAVE = "leave"


KEYS: dict[PassCommand, tuple[str, ...]] = {
    PassCommand.ACCEPT: ("Return", "C", "Enter"),
    PassCommand.REJECT: ("X",),
    PassCommand.REJECT_REST: ("Shift+X",),
    PassCommand.SKIP: ("Space",),
    PassCommand.BACK: ("Backspace",),
    PassCommand.NEAR: ("F",),
    PassCommand.VERIFY: ("Ctrl+Return", "Ctrl+Enter"),
    PassCommand.UNDO: ("Ctrl+Z",),
    PassCommand.LEAVE: ("Esc",),
}
"""Portable text; the first two are shown."""

TITLES: dict[PassCommand, str] = {
    PassCommand.ACCEPT: "Accept, and next",
    PassCommand.REJECT: "Reject, and next",
    PassCommand.REJECT_REST: "Reject what is left in the image",
    PassCommand.SKIP: "Skip",
    PassCommand.BACK: "Back, also into the image before",
    PassCommand.NEAR: "Small regions from near, or not",
    PassCommand.VERIFY: "The image is verified: next image",
    PassCommand.UNDO: "Undo, and go where that was",
    PassCommand.LEAVE: "Leave the pass",
}

_BY_KEY = {QKeySequence(key).toString(): command for command, keys in KEYS.items() for key in keys}
_WHILE_DRAWING = {PassCommand.REJECT, PassCommand.BACK, PassCommand.NEAR}


def pass_command(event: QKeyEvent, *, is_drawing: bool) -> PassCommand | None:
    """What a key means; None where it means what it always does on the canvas.

    While a box is drawn, Enter puts it, Space pans and Esc takes one step back.
    """
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    digit = digit_of(event)
    if digit is not None:
        return PassCommand.SUGGESTION if digit <= NUM_SUGGESTIONS else None
    try:
        pressed = QKeySequence(QKeyCombination(modifiers, Qt.Key(event.key())))
    except ValueError:  # a key that Qt has no name for
        return None
    command = _BY_KEY.get(pressed.toString())
    return command if modifiers or not is_drawing or command in _WHILE_DRAWING else None
