"""What a person can ask of the page of the experts, and the keys for it.

The window's menu and the key sheet read this table; the page's keys are these and no others.
"""

from enum import StrEnum

from PySide6.QtCore import QKeyCombination, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence


class ExpertCommand(StrEnum):
    """A named act on what is chosen on the page, or on the page."""

    EXPERTS = "experts"
    MATRIX = "matrix"
    LOAD = "load"
    DRIFT = "drift"
    SUPERCLASSES = "superclasses"
    OPEN = "open"
    RELABEL = "relabel"
    DENY = "deny"
    SKIP = "skip"
    BACK = "back"
    NEXT = "next"
    PREVIOUS = "previous"
    ORDER = "order"
    TIDY = "tidy"
    LARGER = "larger"
    SMALLER = "smaller"


VIEWS = (
    ExpertCommand.EXPERTS,
    ExpertCommand.MATRIX,
    ExpertCommand.LOAD,
    ExpertCommand.DRIFT,
    ExpertCommand.SUPERCLASSES,
)
"""What the page can show."""

KEYS: dict[ExpertCommand, tuple[str, ...]] = {
    ExpertCommand.EXPERTS: ("1",),
    ExpertCommand.MATRIX: ("2",),
    ExpertCommand.LOAD: ("3",),
    ExpertCommand.DRIFT: ("4",),
    ExpertCommand.SUPERCLASSES: ("5",),
    ExpertCommand.OPEN: ("Return", "G", "Enter"),
    ExpertCommand.RELABEL: ("C", "F2"),
    ExpertCommand.DENY: ("N", "Delete"),
    ExpertCommand.SKIP: ("Space",),
    ExpertCommand.BACK: ("Backspace",),
    ExpertCommand.NEXT: ("D",),
    ExpertCommand.PREVIOUS: ("A",),
    ExpertCommand.ORDER: ("O",),
    ExpertCommand.TIDY: ("F5",),
    ExpertCommand.LARGER: ("+", "=", "Shift++"),
    ExpertCommand.SMALLER: ("-",),
}
"""Portable text; the first is shown in menus."""

TITLES: dict[ExpertCommand, str] = {
    ExpertCommand.EXPERTS: "Experts and their images",
    ExpertCommand.MATRIX: "Classes and experts",
    ExpertCommand.LOAD: "Load over the training",
    ExpertCommand.DRIFT: "What has moved between two models",
    ExpertCommand.SUPERCLASSES: "Superclasses",
    ExpertCommand.OPEN: "Open in the collection",
    ExpertCommand.RELABEL: "Change the class",
    ExpertCommand.DENY: "Deny the class, and next",
    ExpertCommand.SKIP: "Skip",
    ExpertCommand.BACK: "Back",
    ExpertCommand.NEXT: "Next expert",
    ExpertCommand.PREVIOUS: "Previous expert",
    ExpertCommand.ORDER: "Next order of the images",
    ExpertCommand.TIDY: "Read again",
    ExpertCommand.LARGER: "Larger tiles",
    ExpertCommand.SMALLER: "Smaller tiles",
}

MENU: tuple[ExpertCommand | None, ...] = (
    *VIEWS,
    None,
    ExpertCommand.OPEN,
    ExpertCommand.RELABEL,
    ExpertCommand.DENY,
    ExpertCommand.SKIP,
    ExpertCommand.BACK,
    None,
    ExpertCommand.NEXT,
    ExpertCommand.PREVIOUS,
    ExpertCommand.ORDER,
    ExpertCommand.TIDY,
    ExpertCommand.LARGER,
    ExpertCommand.SMALLER,
)
"""What the window's menu shows; None is a line."""

_BY_KEY = {QKeySequence(key).toString(): command for command, keys in KEYS.items() for key in keys}


def command_for(event: QKeyEvent) -> ExpertCommand | None:
    """What a key press means on the page, or None."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    try:
        pressed = QKeySequence(QKeyCombination(modifiers, Qt.Key(event.key())))
    except ValueError:  # a key that Qt has no name for
        return None
    return _BY_KEY.get(pressed.toString())
