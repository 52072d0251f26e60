"""What a key means while a canvas pass is on."""

from enum import StrEnum

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

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


_KEYS = {
    Qt.Key.Key_Return: PassCommand.ACCEPT,
    Qt.Key.Key_Enter: PassCommand.ACCEPT,
    Qt.Key.Key_C: PassCommand.ACCEPT,
    Qt.Key.Key_X: PassCommand.REJECT,
    Qt.Key.Key_Space: PassCommand.SKIP,
    Qt.Key.Key_Backspace: PassCommand.BACK,
    Qt.Key.Key_F: PassCommand.NEAR,
    Qt.Key.Key_Escape: PassCommand.LEAVE,
}
_KEYS_WITH = {
    Qt.KeyboardModifier.ShiftModifier: {Qt.Key.Key_X: PassCommand.REJECT_REST},
    Qt.KeyboardModifier.ControlModifier: {
        Qt.Key.Key_Return: PassCommand.VERIFY,
        Qt.Key.Key_Enter: PassCommand.VERIFY,
        Qt.Key.Key_Z: PassCommand.UNDO,
    },
}
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
        key = Qt.Key(event.key())
    except ValueError:  # a key that Qt has no name for
        return None
    if modifiers:
        return _KEYS_WITH.get(modifiers, {}).get(key)
    command = _KEYS.get(key)
    return command if not is_drawing or command in _WHILE_DRAWING else None
