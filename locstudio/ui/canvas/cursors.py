"""The mouse cursor that says what a press would do."""

from PySide6.QtCore import Qt

from locstudio.ui.canvas.drag_geometry import Side

_DIAGONAL_DOWN = (Side.LEFT | Side.TOP, Side.RIGHT | Side.BOTTOM)
_DIAGONAL_UP = (Side.RIGHT | Side.TOP, Side.LEFT | Side.BOTTOM)


def cursor_for(sides: Side) -> Qt.CursorShape:
    """The cursor over a handle."""
    if sides in _DIAGONAL_DOWN:
        return Qt.CursorShape.SizeFDiagCursor
    if sides in _DIAGONAL_UP:
        return Qt.CursorShape.SizeBDiagCursor
    return Qt.CursorShape.SizeHorCursor if sides & (Side.LEFT | Side.RIGHT) else Qt.CursorShape.SizeVerCursor
