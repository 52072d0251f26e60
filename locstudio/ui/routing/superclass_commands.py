"""What a person can ask of the editor of superclasses, and the keys for it.

The key sheet reads this table; the editor's keys are these and no others, beside those that move in a list.
"""

from enum import StrEnum

from PySide6.QtCore import QKeyCombination, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence


class SuperclassCommand(StrEnum):
    """A named act on the classes or the superclass that are chosen, or on the view."""

    MOVE = "move"
    FOLLOW = "follow"
    NEW = "new"
    TAKE_OUT = "take_out"
    RENAME = "rename"
    MERGE = "merge"
    RETIRE = "retire"
    IMAGES = "images"
    FIND = "find"
    FIT = "fit"
    ZOOM_IN = "zoom_in"
    ZOOM_OUT = "zoom_out"
    ARRANGE = "arrange"


KEYS: dict[SuperclassCommand, tuple[str, ...]] = {
    SuperclassCommand.MOVE: ("M",),
    SuperclassCommand.FOLLOW: ("Y",),
    SuperclassCommand.NEW: ("N",),
    SuperclassCommand.TAKE_OUT: ("Backspace",),
    SuperclassCommand.RENAME: ("F2",),
    SuperclassCommand.MERGE: ("G",),
    SuperclassCommand.RETIRE: ("Delete",),
    SuperclassCommand.IMAGES: ("I",),
    SuperclassCommand.FIND: ("F",),
    SuperclassCommand.FIT: ("0",),
    SuperclassCommand.ZOOM_IN: ("+", "=", "Shift++"),
    SuperclassCommand.ZOOM_OUT: ("-",),
    SuperclassCommand.ARRANGE: ("F5",),
}
"""Portable text; the first is shown in menus."""

TITLES: dict[SuperclassCommand, str] = {
    SuperclassCommand.MOVE: "Move to a superclass…",
    SuperclassCommand.FOLLOW: "Move to where it is confused most",
    SuperclassCommand.NEW: "New superclass…",
    SuperclassCommand.TAKE_OUT: "Take out of its superclass",
    SuperclassCommand.RENAME: "Name the superclass…",
    SuperclassCommand.MERGE: "Merge into another superclass…",
    SuperclassCommand.RETIRE: "Retire the empty superclass",
    SuperclassCommand.IMAGES: "Images behind the confusion",
    SuperclassCommand.FIND: "Find a class",
    SuperclassCommand.FIT: "Show everything",
    SuperclassCommand.ZOOM_IN: "Closer",
    SuperclassCommand.ZOOM_OUT: "Farther",
    SuperclassCommand.ARRANGE: "Arrange anew",
}

MENU: tuple[SuperclassCommand | None, ...] = (
    SuperclassCommand.MOVE,
    SuperclassCommand.FOLLOW,
    SuperclassCommand.NEW,
    SuperclassCommand.TAKE_OUT,
    None,
    SuperclassCommand.RENAME,
    SuperclassCommand.MERGE,
    SuperclassCommand.RETIRE,
    None,
    SuperclassCommand.IMAGES,
)
"""What the menu at the mouse shows; None is a line."""

_BY_KEY = {QKeySequence(key).toString(): command for command, keys in KEYS.items() for key in keys}


def command_for(event: QKeyEvent) -> SuperclassCommand | None:
    """What a key press means in the editor, or None."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    try:
        pressed = QKeySequence(QKeyCombination(modifiers, Qt.Key(event.key())))
    except ValueError:  # a key that Qt has no name for
        return None
    return _BY_KEY.get(pressed.toString())
