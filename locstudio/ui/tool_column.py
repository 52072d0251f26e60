"""The slim column beside the canvas: tools and what the view can do."""

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QToolButton, QVBoxLayout, QWidget

from locstudio.ui.actions import CANVAS_ICONS, canvas_action
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.commands import CanvasCommand, title

_TOOLS = {
    CanvasCommand.SELECT: Tool.SELECT,
    CanvasCommand.DRAW: Tool.BOX,
    CanvasCommand.SEARCH: Tool.SEARCH,
}
_VIEW = (CanvasCommand.FIT, CanvasCommand.ZOOM_IN, CanvasCommand.ZOOM_OUT, CanvasCommand.HIDE, CanvasCommand.HEAT)
_ICON_SIDE = 20


class ToolColumn(QFrame):
    """Buttons for the canvas; the tool in hand is marked."""

    def __init__(self, run: Callable[[CanvasCommand], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "column")
        self._tools: dict[Tool, QToolButton] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 8, 4, 8)
        column.setSpacing(4)
        for command, tool in _TOOLS.items():
            button = self._button(command, run)
            button.setCheckable(True)
            # A click on the tool in hand must not unmark it.
            button.clicked.connect(lambda _=False, b=button: b.setChecked(True))
            self._tools[tool] = button
            column.addWidget(button)
        line = QFrame(self)
        line.setProperty("role", "line")
        column.addSpacing(4)
        column.addWidget(line)
        column.addSpacing(4)
        self._views = {command: self._button(command, run) for command in _VIEW}
        for button in self._views.values():
            column.addWidget(button)
        column.addStretch()
        self._views[CanvasCommand.HEAT].setCheckable(True)
        self.mark(Tool.SELECT)

    def mark(self, tool: Tool) -> None:
        """Show which tool is in hand."""
        for other, button in self._tools.items():
            button.setChecked(other is tool)

    def mark_heat(self, is_on: bool) -> None:
        """Show whether heat is over the picture."""
        self._views[CanvasCommand.HEAT].setChecked(is_on)

    def _button(self, command: CanvasCommand, run: Callable[[CanvasCommand], None]) -> QToolButton:
        assert command in CANVAS_ICONS
        action = canvas_action(command, run, self)
        button = QToolButton(self)
        button.setIconSize(QSize(_ICON_SIDE, _ICON_SIDE))
        button.setFixedSize(34, 34)
        button.setToolTip(action.toolTip())
        button.setAccessibleName(title(command))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setIcon(action.icon())
        action.changed.connect(lambda: button.setIcon(action.icon()))
        button.clicked.connect(action.trigger)
        return button
