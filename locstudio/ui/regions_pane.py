"""The regions of the open image as a table, and below it, when it is wanted, where the selected one comes from."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QToolButton, QVBoxLayout, QWidget


class RegionsPane(QFrame):
    """Lays out what it is given.

    Signals:
        origin_toggled: whether the origin of the selected region is to be shown.
    """

    origin_toggled = Signal(bool)

    def __init__(self, table: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._origin: QWidget | None = None
        self.button = QToolButton(self)
        self.button.setText("Where it comes from")
        self.button.setToolTip("Show the caption, the model and the history of the selected region")
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setArrowType(Qt.ArrowType.RightArrow)
        self.button.setCheckable(True)
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.toggled.connect(self._on_toggled)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(table, 1)
        self._column.addWidget(self.button)
        self.setFocusProxy(table)

    def set_origin(self, panel: QWidget) -> None:
        """Show this where the origin is wanted."""
        self._origin = panel
        panel.setVisible(self.button.isChecked())
        self._column.addWidget(panel, 1)

    def _on_toggled(self, is_on: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if is_on else Qt.ArrowType.RightArrow)
        self.origin_toggled.emit(is_on)
        if self._origin is not None:
            self._origin.setVisible(is_on)
