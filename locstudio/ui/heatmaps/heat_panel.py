"""The panel of heat: which run, which class, how it looks; or one sentence that says how heat comes to be."""

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.services.heat.runs import HeatRun
from locstudio.ui.actions import native
from locstudio.ui.heatmaps.class_list import ClassList
from locstudio.ui.heatmaps.class_rows import ClassRow, Key
from locstudio.ui.heatmaps.heat_look_box import HeatLookBox
from locstudio.ui.heatmaps.heat_words import name_of
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label

_FILTER_FROM = 8  # classes; fewer need no field to find one
_NO_CLASSES = "This project has no classes yet. Import labels, or give regions a class; then train the heatmaps."


class HeatPanel(QFrame):
    """Shows what it is given.

    Signals:
        run_chosen: identity of a run, "" for whichever is newest.
        toggled: whether heat is to be over the picture.
        train_wanted: train the heatmaps.
    """

    run_chosen = Signal(str)
    toggled = Signal(bool)
    train_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.switch = QToolButton(self)
        self.switch.setCheckable(True)
        self.switch.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.switch.setAccessibleName("Heat over the picture")
        self.switch.setToolTip(f"Heat over the picture ({native('E')}; hold to peek)")
        drawn.follow(self.switch, "heat")
        self.switch.clicked.connect(self.toggled)
        self.runs = QComboBox(self)
        self.runs.setAccessibleName("Run whose heat is shown")
        self.runs.setMinimumContentsLength(12)
        self.runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.runs.activated.connect(lambda place: self.run_chosen.emit(str(self.runs.itemData(place))))
        self._told: tuple[tuple[HeatRun, ...], str, str] | None = None
        self._note = label("", "muted", self)
        self._note.setWordWrap(True)
        self.filter = QLineEdit(self)
        self.filter.setPlaceholderText("Find a class")
        self.filter.setClearButtonEnabled(True)
        self.classes = ClassList(self)
        self.filter.textChanged.connect(self.classes.rows.set_filter)
        self.look = HeatLookBox(self)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self._make_full())
        self._stack.addWidget(self._make_empty())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._stack)
        self.setFocusProxy(self.classes)
        self.show_nothing("")

    def _make_full(self) -> QWidget:
        page = QWidget(self)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self.switch)
        head.addWidget(self.runs, 1)
        top = QVBoxLayout()
        top.setContentsMargins(10, 8, 10, 6)
        top.setSpacing(6)
        top.addLayout(head)
        top.addWidget(self._note)
        top.addWidget(self.filter)
        line = QFrame(page)
        line.setProperty("role", "line")
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self.classes, 1)
        column.addWidget(line)
        column.addWidget(self.look)
        return page

    def _make_empty(self) -> QWidget:
        page = QWidget(self)
        self._empty = label("", "muted", page)
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._train = QPushButton("Train the heatmaps…", page)
        self._train.clicked.connect(self.train_wanted)
        column = QVBoxLayout(page)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        column.addStretch(1)
        column.addWidget(self._empty)
        column.addWidget(self._train, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(2)
        return page

    # What is shown

    def show_nothing(self, sentence: str, *, can_train: bool = False) -> None:
        """Show one sentence in place of classes, and whether training is what helps."""
        self._empty.setText(sentence)
        self._train.setVisible(can_train)
        self._stack.setCurrentIndex(1)

    def show_rows(self, rows: Sequence[ClassRow], chosen: Key | None, note: str, *, is_warning: bool = False) -> None:
        """Show the classes of an image, of which one is looked at, and what is to be said of the whole."""
        if not rows:
            self.show_nothing(_NO_CLASSES)
            return
        self._note.setText(note)
        self._note.setVisible(bool(note))
        self._note.setProperty("role", "danger" if is_warning else "muted")
        self._note.style().unpolish(self._note)
        self._note.style().polish(self._note)
        self.filter.setVisible(len(rows) > _FILTER_FROM or bool(self.filter.text()))
        self.classes.set_rows(rows, chosen)
        self._stack.setCurrentIndex(0)

    def set_hues(self, hues: Mapping[Key, str]) -> None:
        """Say which classes are over the picture, and in which colours."""
        self.classes.set_hues(hues)

    def set_runs(self, runs: Sequence[HeatRun], shown_id: str, fallback: str = "") -> None:
        """Offer these runs, newest first; ``fallback`` names what is shown where no run is."""
        told = (tuple(runs), shown_id, fallback)
        if told == self._told:
            return  # a list that is open stays open
        self._told = told
        with QSignalBlocker(self.runs):
            self.runs.clear()
            for run in runs:
                self.runs.addItem(action_text(run_words(run)), run.id)
            if not runs:
                self.runs.addItem(action_text(fallback), "")
            place = self.runs.findData(shown_id)
            self.runs.setCurrentIndex(max(place, 0))
        self.runs.setEnabled(len(runs) > 1)

    def set_on(self, is_on: bool) -> None:
        """Show whether heat is over the picture."""
        self.switch.setChecked(is_on)


def run_words(run: HeatRun) -> str:
    """A run in a line: its title, how far it is, and whether it goes on or is in use."""
    state = "running" if run.is_running else "in use" if run.is_adopted else ""
    return " · ".join(part for part in (name_of(run), f"epoch {run.epoch} of {run.num_epochs}", state) if part)
