"""The slim bar above the canvas while a pass is on: where it is, which key does what, and the way out."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown

_KEYS = (
    ("Enter", "accept"),
    ("X", "reject"),
    ("Shift+X", "reject the rest"),
    ("Space", "skip"),
    ("Backspace", "back"),
    ("1–5", "names"),
)


class PassBar(QFrame):
    """Says how far a pass is.

    Signals:
        leave_wanted: end the pass.
        zoom_toggled: whether small regions are shown from near.
    """

    leave_wanted = Signal()
    zoom_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "bar")
        self.setAccessibleName("Canvas pass")
        self._words = ""
        self._place = label("", "heading", self)
        self._detail = label("", "muted", self)
        self.zoom = QToolButton(self)
        self.zoom.setCheckable(True)
        self.zoom.setChecked(True)
        self.zoom.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.zoom.setAccessibleName("Show small regions from near")
        self.zoom.setToolTip("Show small regions from near (F)")
        drawn.follow(self.zoom, "zoom_in")
        self.zoom.toggled.connect(self.zoom_toggled)
        leave = QPushButton("Leave", self)
        leave.setToolTip("End the pass (Esc)")
        leave.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        leave.clicked.connect(self.leave_wanted)
        line = QHBoxLayout()
        line.setSpacing(10)
        line.addWidget(self._place)
        line.addWidget(self._detail, 1)
        line.addWidget(self.zoom)
        line.addWidget(leave)
        self._detail.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(12, 4, 8, 5)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self._make_keys())
        self.hide()

    def _make_keys(self) -> QWidget:
        holder = QWidget(self)
        flow = FlowLayout(holder, spacing=10)
        for key, words in _KEYS:
            pair = QWidget(holder)
            inner = QHBoxLayout(pair)
            inner.setContentsMargins(0, 0, 0, 0)
            inner.setSpacing(4)
            inner.addWidget(label(key, "heading", pair))
            inner.addWidget(label(words, "muted", pair))
            flow.addWidget(pair)
        policy = holder.sizePolicy()
        policy.setHeightForWidth(True)
        holder.setSizePolicy(policy)
        return holder

    @property
    def text(self) -> str:
        """Where the pass is, in words."""
        return self._place.text()

    def show_place(self, image: int, images: int, region: int, regions: int) -> None:
        """Say that it is at image ``image`` of ``images`` and there at region ``region`` of ``regions``, from 1."""
        at = f"Region {region:,} of {regions:,}" if region else "…"
        self._place.setText(f"Image {image:,} of {images:,}  ·  {at}")
        self._column.activate()
        self._cut()

    def show_detail(self, words: str) -> None:
        """Say what the region is said to be, cut to the room there is."""
        self._words = shown(words)
        self._cut()

    def _cut(self) -> None:
        metrics = self._detail.fontMetrics()
        self._detail.setText(metrics.elidedText(self._words, Qt.TextElideMode.ElideRight, self._detail.width()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._cut()
