"""How heat is shown: colours, how much of them, from where to where, and the brush that corrects it."""

from dataclasses import replace
from math import log

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QGridLayout, QHBoxLayout, QSlider, QToolButton, QWidget

from locstudio.services.heat.colormaps import COLORMAPS
from locstudio.ui.actions import native, with_key
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.commands import COMMANDS, CanvasCommand, title
from locstudio.ui.heatmaps.brush_tool import DEFAULT_RADIUS, MAX_RADIUS, MIN_RADIUS
from locstudio.ui.heatmaps.heat_layer import WHOLE_RANGE, HeatLook
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label

_STEPS = 100
_RANGES = ("0 to 1", "Of each map", "Locked")
_WHOLE, _OWN, _LOCKED = range(3)
_BRUSHES = (
    (CanvasCommand.PAINT_IN, Tool.PAINT_IN, "paint_in", "In"),
    (CanvasCommand.PAINT_OUT, Tool.PAINT_OUT, "paint_out", "Out"),
    (CanvasCommand.ERASE, Tool.ERASE, "eraser", "Erase"),
)


class HeatLookBox(QFrame):
    """Sliders and buttons; holds no heat.

    Signals:
        look_changed: a ``HeatLook``.
        lock_wanted: keep the range that the colours have now.
        command_wanted: a ``CanvasCommand`` of the brush.
        radius_changed: of the brush, as a share of the image's longer side.
    """

    look_changed = Signal(object)
    lock_wanted = Signal()
    command_wanted = Signal(object)
    radius_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = HeatLook()
        self.colormap = QComboBox(self)
        self.colormap.setAccessibleName("Colours of the heat")
        self.colormap.addItems([name.capitalize() for name in COLORMAPS])
        self.colormap.activated.connect(lambda place: self._change(colormap=COLORMAPS[place]))
        self.invert = QCheckBox("Invert", self)
        self.invert.setToolTip("Show where the class is not")
        self.invert.toggled.connect(lambda is_on: self._change(is_inverted=is_on))
        self.range = QComboBox(self)
        self.range.setAccessibleName("Range of the colours")
        self.range.setToolTip(
            "From 0 to 1 and locked, a colour means the same in every image, class and epoch; else each map uses all."
        )
        self.range.addItems(_RANGES)
        self.range.activated.connect(self._on_range)
        self.opacity = self._slider("Opacity of the heat", f"How strong the heat is ({native('[')} and {native(']')})")
        self.opacity.valueChanged.connect(lambda value: self._change(opacity=value / _STEPS))
        self.brush_size = self._slider("Size of the brush", f"How wide the brush is ({native(',')} and {native('.')})")
        self.brush_size.valueChanged.connect(lambda value: self.radius_changed.emit(_radius_of(value)))
        self.brushes: dict[Tool, QToolButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(10, 6, 10, 8)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(5)
        grid.addWidget(label("Colours", "muted", self), 0, 0)
        grid.addLayout(self._row(self.colormap, self.range, self.invert), 0, 1)
        grid.addWidget(label("Opacity", "muted", self), 1, 0)
        grid.addWidget(self.opacity, 1, 1)
        grid.addWidget(label("Brush", "muted", self), 2, 0)
        grid.addLayout(self._row(*(self._brush(*brush) for brush in _BRUSHES), self.brush_size), 2, 1)
        grid.setColumnStretch(1, 1)
        self.set_look(self._look)
        self.set_radius(DEFAULT_RADIUS)

    def set_look(self, look: HeatLook) -> None:
        """Show this look; emits nothing."""
        self._look = look
        with QSignalBlocker(self.colormap), QSignalBlocker(self.invert), QSignalBlocker(self.range):
            self.colormap.setCurrentIndex(COLORMAPS.index(look.colormap))
            self.invert.setChecked(look.is_inverted)
            is_whole = look.span == WHOLE_RANGE
            self.range.setCurrentIndex((_WHOLE if is_whole else _LOCKED) if look.is_locked else _OWN)
        with QSignalBlocker(self.opacity):
            self.opacity.setValue(round(look.opacity * _STEPS))

    def set_radius(self, radius: float) -> None:
        """Show this size of the brush; emits nothing."""
        with QSignalBlocker(self.brush_size):
            self.brush_size.setValue(_place_of(radius))

    def set_tool(self, tool: Tool) -> None:
        """Mark the brush in hand."""
        for other, button in self.brushes.items():
            button.setChecked(other is tool)

    def set_can_paint(self, can_paint: bool) -> None:
        """Offer the brush, or not."""
        for button in self.brushes.values():
            button.setEnabled(can_paint)
        self.brush_size.setEnabled(can_paint)

    def _on_range(self, place: int) -> None:
        if place == _LOCKED:
            self.lock_wanted.emit()
        else:
            self._change(is_locked=place == _WHOLE, span=WHOLE_RANGE)

    def _change(self, **parts: object) -> None:
        self._look = replace(self._look, **parts)  # type: ignore[arg-type]  # names of its own fields
        self.look_changed.emit(self._look)

    def _slider(self, name: str, tip: str) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal, self)
        slider.setRange(0, _STEPS)
        slider.setAccessibleName(name)
        slider.setToolTip(tip)
        return slider

    def _brush(self, command: CanvasCommand, tool: Tool, icon: str, words: str) -> QToolButton:
        button = QToolButton(self)
        button.setCheckable(True)
        button.setText(words)
        button.setIconSize(QSize(16, 16))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setToolTip(with_key(title(command), COMMANDS[command].keys))
        button.setAccessibleName(title(command))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        drawn.follow(button, icon)
        # A second click puts the brush away.
        button.clicked.connect(lambda is_on: self.command_wanted.emit(command if is_on else CanvasCommand.SELECT))
        self.brushes[tool] = button
        return button

    @staticmethod
    def _row(*widgets: QWidget) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        for widget in widgets:
            row.addWidget(widget, 1 if isinstance(widget, QSlider | QComboBox) else 0)
        return row


def _radius_of(place: int) -> float:
    """Even steps are even ratios, so that small brushes can be told apart."""
    return float(MIN_RADIUS * (MAX_RADIUS / MIN_RADIUS) ** (place / _STEPS))


def _place_of(radius: float) -> int:
    return round(_STEPS * log(radius / MIN_RADIUS) / log(MAX_RADIUS / MIN_RADIUS))
