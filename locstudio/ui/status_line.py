"""The status bar: where the mouse is, how large the box is, the tool, the device, and what runs in the background."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QStatusBar, QWidget

from locstudio.ui.plain_text import action_text, label, shown

_MESSAGE_MS = 6000


class StatusLine(QStatusBar):
    """Sentences on the left, facts on the right.

    Signals:
        cancel_wanted: stop what runs in the background.
        training_wanted: show the training that goes on.
    """

    cancel_wanted = Signal()
    training_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self._work = QWidget(self)
        self._work_text = label("", "", self._work)
        self._bar = QProgressBar(self._work)
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(120)
        self._bar.setAccessibleName("Progress of the background work")
        self._cancel = QPushButton("Cancel", self._work)
        self._cancel.setProperty("role", "flat")
        self._cancel.clicked.connect(self.cancel_wanted)
        row = QHBoxLayout(self._work)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (self._work_text, self._bar, self._cancel):
            row.addWidget(widget)
        self._work.hide()
        self._training = self._make_training()
        self._heat, self._position, self._size = label(), label(), label()
        self._zoom, self._tool, self._device = label(), label(), label()
        self.addPermanentWidget(self._training)
        self.addPermanentWidget(self._work)
        for part in (self._heat, self._position, self._size, self._zoom, self._tool, self._device):
            self.addPermanentWidget(part)

    def _make_training(self) -> QWidget:
        part = QWidget(self)
        self._training_text = QPushButton(part)
        self._training_text.setProperty("role", "flat")
        self._training_text.setToolTip("Show the training")
        self._training_text.clicked.connect(self.training_wanted)
        self._training_bar = QProgressBar(part)
        self._training_bar.setTextVisible(False)
        self._training_bar.setFixedWidth(72)
        self._training_bar.setAccessibleName("Progress of the training")
        row = QHBoxLayout(part)
        row.setContentsMargins(0, 0, 4, 0)
        row.setSpacing(4)
        row.addWidget(self._training_text)
        row.addWidget(self._training_bar)
        part.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        part.hide()
        return part

    @property
    def training_text(self) -> str:
        """What is said of the training that goes on; empty when there is none."""
        return "" if self._training.isHidden() else self._training_text.text()

    def set_training(self, text: str, share: float) -> None:
        """Show the training that goes on and how far it is (negative: nobody knows).  An empty text hides it."""
        self._training.setVisible(bool(text))
        self._training_text.setText(action_text(text))
        _set_share(self._training_bar, share if share >= 0 else None)

    def say(self, text: str) -> None:
        """Show a sentence for a few seconds."""
        self.showMessage(shown(text), _MESSAGE_MS)

    def set_position(self, pixel: tuple[int, int] | None) -> None:
        """The image pixel under the mouse, or none."""
        self._position.setText(f"{pixel[0]}, {pixel[1]}" if pixel else "")

    def set_heat(self, words: str) -> None:
        """What the heat under the mouse is, in words."""
        self._heat.setText(shown(words))

    def set_box_size(self, size: tuple[float, float] | None) -> None:
        """Width and height of the box in hand, in pixels."""
        self._size.setText(f"{size[0]:.0f} × {size[1]:.0f} px" if size else "")

    def set_zoom(self, zoom: float) -> None:
        """Device pixels per image pixel."""
        self._zoom.setText(f"{zoom:.0%}")

    def set_tool(self, name: str) -> None:
        """The tool in hand, in words."""
        self._tool.setText(name)

    def set_device(self, name: str) -> None:
        """Where the model runs, in words."""
        self._device.setText(shown(name))

    def show_canvas_facts(self, is_shown: bool) -> None:
        """Show or hide what is said of the canvas, which is not on every page."""
        for part in (self._heat, self._position, self._size, self._zoom, self._tool):
            part.setVisible(is_shown)

    def set_work(self, text: str, share: float | None = None, *, can_cancel: bool = True) -> None:
        """Show what runs and how far it is; ``share`` is None while nobody knows.  An empty text hides it."""
        self._work.setVisible(bool(text))
        self._work_text.setText(shown(text))
        self._cancel.setVisible(can_cancel)
        _set_share(self._bar, share)

    def show_share(self, text: str, share: float) -> None:
        """``set_work`` for signals: a negative share means that nobody knows."""
        self.set_work(text, share if share >= 0 else None)


def _set_share(bar: QProgressBar, share: float | None) -> None:
    if share is None:
        bar.setRange(0, 0)
    else:
        bar.setRange(0, 1000)
        bar.setValue(round(1000 * share))
