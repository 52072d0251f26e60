"""What a person can ask of the crop gallery, and the keys for it.

The window's menus and the key sheet read this table; the gallery's keys are these and no others.
"""

from enum import StrEnum

from PySide6.QtCore import QKeyCombination, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence

NUM_SUGGESTIONS = 5
"""Suggestions have the digits from 1 to this one."""


class CurationCommand(StrEnum):
    """A named act on what is chosen in the gallery, or on the gallery."""

    ACCEPT = "accept"
    REJECT = "reject"
    SKIP = "skip"
    BACK = "back"
    RELABEL = "relabel"
    LIKENESS = "likeness"
    OUTLIERS = "outliers"
    TIDY = "tidy"
    LARGER = "larger"
    SMALLER = "smaller"
    ALIKE = "alike"
    OPEN = "open"
    PHRASES = "phrases"
    GEOMETRY = "geometry"
    CANVAS = "canvas"


KEYS: dict[CurationCommand, tuple[str, ...]] = {
    CurationCommand.ACCEPT: ("Return", "C", "Enter"),
    CurationCommand.REJECT: ("X",),
    CurationCommand.SKIP: ("Space",),
    CurationCommand.BACK: ("Backspace",),
    CurationCommand.RELABEL: ("Ctrl+E", "F2"),
    CurationCommand.LIKENESS: ("M",),
    CurationCommand.OUTLIERS: ("O",),
    CurationCommand.TIDY: ("F5",),
    CurationCommand.LARGER: ("+", "=", "Shift++"),
    CurationCommand.SMALLER: ("-",),
    CurationCommand.ALIKE: ("F",),
    CurationCommand.OPEN: ("G",),
}
"""Portable text; the first is shown in menus."""

TITLES: dict[CurationCommand, str] = {
    CurationCommand.ACCEPT: "Accept, and next",
    CurationCommand.REJECT: "Reject, and next",
    CurationCommand.SKIP: "Skip",
    CurationCommand.BACK: "Back",
    CurationCommand.RELABEL: "Relabel",
    CurationCommand.LIKENESS: "Sort by likeness to this",
    CurationCommand.OUTLIERS: "Sort by outlier",
    CurationCommand.TIDY: "Tidy: take out what is decided",
    CurationCommand.LARGER: "Larger crops",
    CurationCommand.SMALLER: "Smaller crops",
    CurationCommand.ALIKE: "Fix alike",
    CurationCommand.OPEN: "Go to this box on the canvas",
    CurationCommand.PHRASES: "Phrases",
    CurationCommand.GEOMETRY: "Geometry",
    CurationCommand.CANVAS: "Canvas pass",
}

MENU: tuple[CurationCommand | None, ...] = (
    CurationCommand.ACCEPT,
    CurationCommand.REJECT,
    CurationCommand.SKIP,
    CurationCommand.BACK,
    CurationCommand.RELABEL,
    CurationCommand.ALIKE,
    CurationCommand.OPEN,
    None,
    CurationCommand.OUTLIERS,
    CurationCommand.LIKENESS,
    CurationCommand.TIDY,
    CurationCommand.LARGER,
    CurationCommand.SMALLER,
    None,
    CurationCommand.PHRASES,
    CurationCommand.GEOMETRY,
    CurationCommand.CANVAS,
)
"""What the window's menu shows; None is a line."""

_BY_KEY = {QKeySequence(key).toString(): command for command, keys in KEYS.items() for key in keys}


def command_for(event: QKeyEvent) -> CurationCommand | None:
    """What a key press means in the gallery, or None."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    try:
        pressed = QKeySequence(QKeyCombination(modifiers, Qt.Key(event.key())))
    except ValueError:  # a key that Qt has no name for
        return None
    return _BY_KEY.get(pressed.toString())


def suggestion_for(event: QKeyEvent) -> int | None:
    """The number of a suggestion that was pressed without Ctrl, Alt or Shift, or None."""
    number = event.key() - ord("0")
    is_plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    return number if is_plain and 1 <= number <= NUM_SUGGESTIONS else None
