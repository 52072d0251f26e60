"""What a person can ask of the heatmaps page, and the keys for it.

The window's menu and the key sheet read this table; the page's keys are these and no others.
"""

from enum import StrEnum

from PySide6.QtCore import QKeyCombination, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence


class HeatCommand(StrEnum):
    """A named act on what is chosen on the page, or on the page."""

    ADD = "add"
    DENY = "deny"
    UNSAY = "unsay"
    SKIP = "skip"
    BACK = "back"
    OPEN = "open"
    EXPECTED = "expected"
    ONE_CLASS = "one_class"
    ONE_IMAGE = "one_image"
    NEXT = "next"
    PREVIOUS = "previous"
    HEAT = "heat"
    STRONGER = "stronger"
    FAINTER = "fainter"
    TIDY = "tidy"
    LARGER = "larger"
    SMALLER = "smaller"


KEYS: dict[HeatCommand, tuple[str, ...]] = {
    HeatCommand.ADD: ("Return", "Y", "Enter"),
    HeatCommand.DENY: ("N", "Delete"),
    HeatCommand.UNSAY: ("U",),
    HeatCommand.SKIP: ("Space",),
    HeatCommand.BACK: ("Backspace",),
    HeatCommand.OPEN: ("G",),
    HeatCommand.EXPECTED: ("X", "1"),
    HeatCommand.ONE_CLASS: ("C", "2"),
    HeatCommand.ONE_IMAGE: ("I", "3"),
    HeatCommand.NEXT: ("D",),
    HeatCommand.PREVIOUS: ("A",),
    HeatCommand.HEAT: ("E",),
    HeatCommand.STRONGER: ("]",),
    HeatCommand.FAINTER: ("[",),
    HeatCommand.TIDY: ("F5",),
    HeatCommand.LARGER: ("+", "=", "Shift++"),
    HeatCommand.SMALLER: ("-",),
}
"""Portable text; the first is shown in menus."""

TITLES: dict[HeatCommand, str] = {
    HeatCommand.ADD: "Add the class, and next",
    HeatCommand.DENY: "Deny the class, and next",
    HeatCommand.UNSAY: "Take back what is said",
    HeatCommand.SKIP: "Skip",
    HeatCommand.BACK: "Back",
    HeatCommand.OPEN: "Open on the canvas, with heat",
    HeatCommand.EXPECTED: "Expected, but not labelled",
    HeatCommand.ONE_CLASS: "This class in all images",
    HeatCommand.ONE_IMAGE: "All classes of this image",
    HeatCommand.NEXT: "Next class or image",
    HeatCommand.PREVIOUS: "Previous class or image",
    HeatCommand.HEAT: "Heat on the tiles (hold: peek)",
    HeatCommand.STRONGER: "Stronger heat",
    HeatCommand.FAINTER: "Fainter heat",
    HeatCommand.TIDY: "Tidy: take out what is decided",
    HeatCommand.LARGER: "Larger tiles",
    HeatCommand.SMALLER: "Smaller tiles",
}

MENU: tuple[HeatCommand | None, ...] = (
    HeatCommand.EXPECTED,
    HeatCommand.ONE_CLASS,
    HeatCommand.ONE_IMAGE,
    None,
    HeatCommand.ADD,
    HeatCommand.DENY,
    HeatCommand.UNSAY,
    HeatCommand.SKIP,
    HeatCommand.BACK,
    HeatCommand.OPEN,
    None,
    HeatCommand.NEXT,
    HeatCommand.PREVIOUS,
    None,
    HeatCommand.HEAT,
    HeatCommand.STRONGER,
    HeatCommand.FAINTER,
    HeatCommand.TIDY,
    HeatCommand.LARGER,
    HeatCommand.SMALLER,
)
"""What the window's menu shows; None is a line."""

_BY_KEY = {QKeySequence(key).toString(): command for command, keys in KEYS.items() for key in keys}


_MOVES = frozenset(
    {
        Qt.Key.Key_Up,
        Qt.Key.Key_Down,
        Qt.Key.Key_Left,
        Qt.Key.Key_Right,
        Qt.Key.Key_PageUp,
        Qt.Key.Key_PageDown,
        Qt.Key.Key_Home,
        Qt.Key.Key_End,
    }
)


def is_move(event: QKeyEvent) -> bool:
    """Whether a key press moves in a list."""
    return event.key() in _MOVES


def command_for(event: QKeyEvent) -> HeatCommand | None:
    """What a key press or release means on the page, or None."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    try:
        pressed = QKeySequence(QKeyCombination(modifiers, Qt.Key(event.key())))
    except ValueError:  # a key that Qt has no name for
        return None
    return _BY_KEY.get(pressed.toString())
