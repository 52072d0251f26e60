"""What a person can ask of the canvas, and the keys for it.

The window's menus, the palette and the key sheet read this table, and trigger commands through ``CanvasView.run``.
"""

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QCoreApplication, QKeyCombination, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QMouseEvent

from locstudio.ui.canvas.box_tool import Keys

translate = QCoreApplication.translate

ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class CanvasCommand(StrEnum):
    """A named act on the canvas or on the selected boxes."""

    DRAW = "draw"
    SEARCH = "search"
    REPEAT = "repeat"
    SELECT = "select"
    POINTS = "points"
    MASK = "mask"
    TIGHTEN = "tighten"
    ESCAPE = "escape"
    EDIT = "edit"
    DELETE = "delete"
    DUPLICATE = "duplicate"
    COPY = "copy"
    PASTE = "paste"
    SELECT_ALL = "select_all"
    NEXT = "next"
    PREVIOUS = "previous"
    HIDE = "hide"
    LOCK = "lock"
    ACCEPT = "accept"
    REJECT = "reject"
    VERIFY = "verify"
    ZOOM_IN = "zoom_in"
    ZOOM_OUT = "zoom_out"
    ZOOM_FULL = "zoom_full"
    FIT = "fit"
    FIT_WIDTH = "fit_width"
    HEAT = "heat"
    NEXT_HEAT = "next_heat"
    FAINTER = "fainter"
    STRONGER = "stronger"
    LOWER = "lower"
    HIGHER = "higher"
    EARLIER = "earlier"
    LATER = "later"
    PRESENT = "present"
    ABSENT = "absent"
    TAKE_HEAT = "take_heat"
    PAINT_IN = "paint_in"
    PAINT_OUT = "paint_out"
    ERASE = "erase"
    BRUSH_SMALLER = "brush_smaller"
    BRUSH_LARGER = "brush_larger"


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """Keys of a command (portable text, the first is shown in menus) and whether holding the key means "peek"."""

    keys: tuple[str, ...]
    is_held: bool = False


COMMANDS: dict[CanvasCommand, CommandInfo] = {
    CanvasCommand.DRAW: CommandInfo(("R", "W")),
    CanvasCommand.SEARCH: CommandInfo(("Q",)),
    CanvasCommand.REPEAT: CommandInfo(("N",)),
    CanvasCommand.SELECT: CommandInfo(("V",)),
    CanvasCommand.POINTS: CommandInfo(("P",)),
    CanvasCommand.MASK: CommandInfo(("G",)),
    CanvasCommand.TIGHTEN: CommandInfo(("Shift+G",)),
    CanvasCommand.ESCAPE: CommandInfo(("Esc",)),
    CanvasCommand.EDIT: CommandInfo(("Ctrl+E", "Return", "Enter")),
    CanvasCommand.DELETE: CommandInfo(("Del", "Backspace")),
    CanvasCommand.DUPLICATE: CommandInfo(("Ctrl+D",)),
    CanvasCommand.COPY: CommandInfo(("Ctrl+C",)),
    CanvasCommand.PASTE: CommandInfo(("Ctrl+V",)),
    CanvasCommand.SELECT_ALL: CommandInfo(("Ctrl+A",)),
    CanvasCommand.NEXT: CommandInfo(("Tab",)),
    CanvasCommand.PREVIOUS: CommandInfo(("Shift+Tab", "Shift+Backtab")),
    CanvasCommand.HIDE: CommandInfo(("H",), is_held=True),
    CanvasCommand.LOCK: CommandInfo(("L",)),
    CanvasCommand.ACCEPT: CommandInfo(("C",)),
    CanvasCommand.REJECT: CommandInfo(("X",)),
    CanvasCommand.VERIFY: CommandInfo(("Ctrl+Return", "Ctrl+Enter")),
    CanvasCommand.ZOOM_IN: CommandInfo(("Ctrl++", "Ctrl+=")),
    CanvasCommand.ZOOM_OUT: CommandInfo(("Ctrl+-",)),
    CanvasCommand.ZOOM_FULL: CommandInfo(("Ctrl+0",)),
    CanvasCommand.FIT: CommandInfo(("F",)),
    CanvasCommand.FIT_WIDTH: CommandInfo(("Shift+F",)),
    CanvasCommand.HEAT: CommandInfo(("E",), is_held=True),
    CanvasCommand.NEXT_HEAT: CommandInfo(("Shift+E",)),
    CanvasCommand.FAINTER: CommandInfo(("[",)),
    CanvasCommand.STRONGER: CommandInfo(("]",)),
    # A keyboard tells what the shifted key types, so both names of it are here.
    CanvasCommand.LOWER: CommandInfo(("Shift+[", "Shift+{")),
    CanvasCommand.HIGHER: CommandInfo(("Shift+]", "Shift+}")),
    CanvasCommand.EARLIER: CommandInfo(("Ctrl+[",)),
    CanvasCommand.LATER: CommandInfo(("Ctrl+]",)),
    CanvasCommand.PRESENT: CommandInfo(("Y",)),
    CanvasCommand.ABSENT: CommandInfo(("Shift+Y",)),
    CanvasCommand.TAKE_HEAT: CommandInfo(("T",)),
    CanvasCommand.PAINT_IN: CommandInfo(("B",)),
    CanvasCommand.PAINT_OUT: CommandInfo(("Shift+B",)),
    CanvasCommand.ERASE: CommandInfo(("U",)),
    CanvasCommand.BRUSH_SMALLER: CommandInfo((",",)),
    CanvasCommand.BRUSH_LARGER: CommandInfo((".",)),
}

HEAT_COMMANDS = frozenset(
    {
        CanvasCommand.HEAT,
        CanvasCommand.NEXT_HEAT,
        CanvasCommand.FAINTER,
        CanvasCommand.STRONGER,
        CanvasCommand.LOWER,
        CanvasCommand.HIGHER,
        CanvasCommand.EARLIER,
        CanvasCommand.LATER,
        CanvasCommand.PRESENT,
        CanvasCommand.ABSENT,
        CanvasCommand.TAKE_HEAT,
    }
)
"""What the canvas passes on to whoever shows heat."""
ABOUT_HEAT = HEAT_COMMANDS | {
    CanvasCommand.PAINT_IN,
    CanvasCommand.PAINT_OUT,
    CanvasCommand.ERASE,
    CanvasCommand.BRUSH_SMALLER,
    CanvasCommand.BRUSH_LARGER,
}
"""What the key sheet shows in a group of its own."""


def title(command: CanvasCommand) -> str:
    """The command in words, in the person's language."""
    return {
        CanvasCommand.DRAW: translate("Canvas", "Draw box"),
        CanvasCommand.SEARCH: translate("Canvas", "Search box"),
        CanvasCommand.REPEAT: translate("Canvas", "Repeat last tool and label"),
        CanvasCommand.SELECT: translate("Canvas", "Select boxes"),
        CanvasCommand.POINTS: translate("Canvas", "Mask by points"),
        CanvasCommand.MASK: translate("Canvas", "Mask from box"),
        CanvasCommand.TIGHTEN: translate("Canvas", "Fit box to mask"),
        CanvasCommand.ESCAPE: translate("Canvas", "Cancel"),
        CanvasCommand.EDIT: translate("Canvas", "Edit phrase"),
        CanvasCommand.DELETE: translate("Canvas", "Delete"),
        CanvasCommand.DUPLICATE: translate("Canvas", "Duplicate"),
        CanvasCommand.COPY: translate("Canvas", "Copy boxes"),
        CanvasCommand.PASTE: translate("Canvas", "Paste boxes"),
        CanvasCommand.SELECT_ALL: translate("Canvas", "Select all boxes"),
        CanvasCommand.NEXT: translate("Canvas", "Next region"),
        CanvasCommand.PREVIOUS: translate("Canvas", "Previous region"),
        CanvasCommand.HIDE: translate("Canvas", "Hide boxes (hold to peek)"),
        CanvasCommand.LOCK: translate("Canvas", "Lock or unlock"),
        CanvasCommand.ACCEPT: translate("Canvas", "Accept"),
        CanvasCommand.REJECT: translate("Canvas", "Reject"),
        CanvasCommand.VERIFY: translate("Canvas", "Image verified"),
        CanvasCommand.ZOOM_IN: translate("Canvas", "Zoom in"),
        CanvasCommand.ZOOM_OUT: translate("Canvas", "Zoom out"),
        CanvasCommand.ZOOM_FULL: translate("Canvas", "Zoom to 100 %"),
        CanvasCommand.FIT: translate("Canvas", "Fit in window"),
        CanvasCommand.FIT_WIDTH: translate("Canvas", "Fit width"),
        CanvasCommand.HEAT: translate("Canvas", "Heat on or off (hold to peek)"),
        CanvasCommand.NEXT_HEAT: translate("Canvas", "Heat of the next class"),
        CanvasCommand.FAINTER: translate("Canvas", "Fainter heat"),
        CanvasCommand.STRONGER: translate("Canvas", "Stronger heat"),
        CanvasCommand.LOWER: translate("Canvas", "Lower threshold"),
        CanvasCommand.HIGHER: translate("Canvas", "Higher threshold"),
        CanvasCommand.EARLIER: translate("Canvas", "Heat of an earlier epoch"),
        CanvasCommand.LATER: translate("Canvas", "Heat of a later epoch"),
        CanvasCommand.PRESENT: translate("Canvas", "The class is in this image"),
        CanvasCommand.ABSENT: translate("Canvas", "The class is not in this image"),
        CanvasCommand.TAKE_HEAT: translate("Canvas", "Box around the heat"),
        CanvasCommand.PAINT_IN: translate("Canvas", "Paint heat in"),
        CanvasCommand.PAINT_OUT: translate("Canvas", "Paint heat out"),
        CanvasCommand.ERASE: translate("Canvas", "Erase what was painted"),
        CanvasCommand.BRUSH_SMALLER: translate("Canvas", "Smaller brush"),
        CanvasCommand.BRUSH_LARGER: translate("Canvas", "Larger brush"),
    }[command]


class KeyMap:
    """Which key means which command.  Starts with the keys of ``COMMANDS``; a person may change them."""

    def __init__(self) -> None:
        self._commands: dict[str, CanvasCommand] = {}
        for command, info in COMMANDS.items():
            self.set_keys(command, info.keys)

    def set_keys(self, command: CanvasCommand, keys: tuple[str, ...]) -> None:
        """Give a command these keys, and no others; a key that meant another command loses that meaning."""
        self._commands = {key: owner for key, owner in self._commands.items() if owner is not command}
        self._commands |= {_portable(QKeySequence(key)): command for key in keys}

    def command_for(self, event: QKeyEvent) -> CanvasCommand | None:
        """The command of a key press, or None."""
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        try:
            key = Qt.Key(event.key())
        except ValueError:  # a key that Qt has no name for
            return None
        pressed = QKeySequence(QKeyCombination(modifiers, key))
        return self._commands.get(_portable(pressed))


def _portable(sequence: QKeySequence) -> str:
    return sequence.toString(QKeySequence.SequenceFormat.PortableText)


def digit_of(event: QKeyEvent) -> int | None:
    """The class digit 1-9 that was pressed without Ctrl, Alt or Shift, or None."""
    if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
        return None
    digit = event.key() - ord("0")
    return digit if 1 <= digit <= 9 else None


def keys_of(event: QMouseEvent) -> Keys:
    """What the modifier keys of a mouse event mean to the tools."""
    held = event.modifiers()
    is_shift = bool(held & Qt.KeyboardModifier.ShiftModifier)
    return Keys(
        adds=is_shift or bool(held & Qt.KeyboardModifier.ControlModifier),
        is_square=is_shift,
        is_free=bool(held & Qt.KeyboardModifier.AltModifier),
    )
