"""A key that switches something when it is pressed, and switches it back when it was held to peek."""

from time import monotonic

from locstudio.ui.canvas.commands import CanvasCommand

PEEK_MS = 300  # a key held longer than this was held to peek, not pressed to switch


class Peek:
    """Which key of the kind is down, and since when."""

    def __init__(self) -> None:
        self._command: CanvasCommand | None = None
        self._pressed_at = 0.0

    def press(self, command: CanvasCommand) -> None:
        """The key of a command went down."""
        self._command, self._pressed_at = command, monotonic()

    def is_down(self, command: CanvasCommand | None) -> bool:
        """Whether it is this command's key that is down."""
        return command is not None and command is self._command

    def end(self) -> CanvasCommand | None:
        """The key came up, or will come up unseen: the command to run once more, if it was held to peek."""
        command, self._command = self._command, None
        was_held = command is not None and (monotonic() - self._pressed_at) * 1000 > PEEK_MS
        return command if was_held else None
