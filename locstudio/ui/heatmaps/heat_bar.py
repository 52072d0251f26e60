"""The bar below the canvas once heat was on: back through the epochs, and the threshold that makes a box.

It stays when heat is switched off, for a picture that jumps cannot be compared with and without heat.
"""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSlider, QToolButton, QWidget

from locstudio.ui.actions import native
from locstudio.ui.heatmaps.epoch_slider import EpochSlider
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label

DEFAULT_THRESHOLD = 128
MAX_HEAT = 255
_KEY_STEP = 8


class HeatBar(QFrame):
    """Holds no heat.

    Signals:
        threshold_changed: in [0, 255].
        box_wanted: take the box of the heat as a region.
        close_wanted: put heat and bar away.
    """

    threshold_changed = Signal(int)
    box_wanted = Signal()
    close_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "foot")
        self.setAccessibleName("Epoch and threshold of the heat")
        self.epochs = EpochSlider(self)
        self._epoch = label("", "muted", self)
        self._epoch.setContentsMargins(6, 0, 0, 0)
        self.threshold = QSlider(Qt.Orientation.Horizontal, self)
        self.threshold.setRange(1, MAX_HEAT)
        self.threshold.setSingleStep(_KEY_STEP)
        self.threshold.setPageStep(4 * _KEY_STEP)
        self.threshold.setFixedWidth(120)
        self.threshold.setAccessibleName("Threshold of the heat")
        self.threshold.setToolTip(f"Outline what is hotter than this ({native('Shift+[')} and {native('Shift+]')})")
        self.threshold.setValue(DEFAULT_THRESHOLD)
        self.threshold.valueChanged.connect(self._on_threshold)
        self._value = label("", "muted", self)
        self._value.setMinimumWidth(self._value.fontMetrics().horizontalAdvance("≥ 0.00"))
        self.box = QToolButton(self)
        self.box.setProperty("role", "button")
        self.box.setText("Take box")
        self.box.setIconSize(QSize(16, 16))
        self.box.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.box.setToolTip(f"Make a region of the box around the heat ({native('T')} or {native('Return')})")
        self.box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        drawn.follow(self.box, "draw")
        self.box.clicked.connect(self.box_wanted)
        close = QToolButton(self)
        close.setAccessibleName("Put the heat away")
        close.setToolTip("Put the heat away")
        close.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        drawn.follow(close, "close")
        close.clicked.connect(self.close_wanted)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 2, 6, 2)
        row.setSpacing(8)
        row.addWidget(self.epochs, 100)
        row.addWidget(self._epoch)
        row.addStretch(1)
        row.addSpacing(6)
        row.addWidget(self._value)
        row.addWidget(self.threshold)
        row.addWidget(self.box)
        row.addWidget(close)
        self._on_threshold(self.threshold.value())
        self.hide()

    def set_origin(self, text: str, *, has_epochs: bool) -> None:
        """Say what the heat is of, and whether there are epochs to go back to."""
        self._epoch.setText(text)
        self.epochs.setVisible(has_epochs)

    def set_active(self, is_on: bool, num_boxes: int) -> None:
        """Offer what works while heat is on, and the box where the threshold makes one."""
        self.epochs.setEnabled(is_on and len(self.epochs.stops) > 1)
        self.threshold.setEnabled(is_on)
        self.box.setEnabled(is_on and num_boxes > 0)

    def step_threshold(self, by: int) -> None:
        """Raise or lower the threshold by a step of the keyboard."""
        self.threshold.setValue(self.threshold.value() + by * _KEY_STEP)

    def _on_threshold(self, threshold: int) -> None:
        self._value.setText(f"≥ {threshold / MAX_HEAT:.2f}")
        self.threshold_changed.emit(threshold)
