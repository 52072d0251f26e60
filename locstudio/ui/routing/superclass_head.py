"""The line above the graph of superclasses: whose confusions are shown, and what can be done with the whole."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QWidget

from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown, tip
from locstudio.ui.routing.superclass_commands import KEYS, TITLES, SuperclassCommand
from locstudio.ui.routing.superclass_reading import SuperclassRun
from locstudio.ui.training.wording import when

_ICONS = {
    SuperclassCommand.ARRANGE: "retry",
    SuperclassCommand.ZOOM_OUT: "zoom_out",
    SuperclassCommand.FIT: "fit",
    SuperclassCommand.ZOOM_IN: "zoom_in",
}


class SuperclassHead(QFrame):
    """Run, take over, compare, import, export, zoom.

    Signals:
        run_chosen: the identity of the run whose confusions shall be shown.
        take_wanted: the superclasses that are shown shall be the project's own.
        compare_toggled: before and after side by side, or not.
        import_wanted: superclasses from a file.
        export_wanted: the superclasses into a file.
        command_wanted: a ``SuperclassCommand``.
    """

    run_chosen = Signal(str)
    take_wanted = Signal()
    compare_toggled = Signal(bool)
    import_wanted = Signal()
    export_wanted = Signal()
    command_wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "head")
        self._words = label("", "muted", self)
        self._words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._runs = QComboBox(self)
        self._runs.setAccessibleName("Run whose confusions are shown")
        self._runs.setToolTip("Run whose confusions are shown")
        self._runs.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._runs.setMinimumContentsLength(20)
        self._runs.activated.connect(lambda place: self.run_chosen.emit(str(self._runs.itemData(place))))
        self._take = QPushButton("Take these superclasses", self)
        self._take.setProperty("role", "primary")
        self._take.setToolTip("Make what the run suggests the project's own superclasses")
        self._take.clicked.connect(self.take_wanted)
        self._new = QPushButton("New superclass", self)
        self._new.setToolTip(tip(f"A superclass of the classes that are chosen ({KEYS[SuperclassCommand.NEW][0]})"))
        self._new.clicked.connect(lambda: self.command_wanted.emit(SuperclassCommand.NEW))
        self._compare = QToolButton(self)
        self._compare.setText("Before and after")
        self._compare.setCheckable(True)
        self._compare.setProperty("role", "button")
        self._compare.setToolTip("The superclasses of two runs side by side, with what each was worth")
        self._compare.toggled.connect(self.compare_toggled)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        row.setSpacing(6)
        row.addWidget(self._runs)
        row.addWidget(self._take)
        row.addWidget(self._words, 1)
        row.addWidget(self._new)
        row.addWidget(self._compare)
        self._tools = [
            self._tool("import", "Import superclasses…", self.import_wanted.emit),
            self._tool("export", "Export superclasses…", self.export_wanted.emit),
        ]
        for command, icon in _ICONS.items():
            title = f"{TITLES[command]} ({KEYS[command][0]})"
            self._tools.append(self._tool(icon, title, lambda c=command: self.command_wanted.emit(c)))
        for tool in self._tools:
            row.addWidget(tool)

    def _tool(self, icon: str, title: str, act: object) -> QToolButton:
        tool = QToolButton(self)
        drawn.follow(tool, icon)
        tool.setToolTip(title)
        tool.setAccessibleName(title.split(" (")[0].rstrip("…"))
        tool.setFocusPolicy(tool.focusPolicy().TabFocus)
        tool.clicked.connect(act)
        return tool

    def set_runs(self, runs: Sequence[SuperclassRun], run_id: str) -> None:
        """Offer these runs, of which one is shown."""
        self._runs.clear()
        for run in runs:
            self._runs.addItem(run_name(run), run.id)
        self._runs.setCurrentIndex(next((n for n, run in enumerate(runs) if run.id == run_id), -1))
        self._runs.setVisible(bool(runs))
        self._compare.setVisible(bool(runs))

    def set_words(self, words: str, *, can_take: bool, has_classes: bool) -> None:
        """Say how good the superclasses are; ``can_take`` offers to take them over."""
        self._words.setText(words)
        self._words.setToolTip(tip(words))
        self._take.setVisible(can_take)
        self._new.setVisible(has_classes and not can_take)
        for tool in self._tools:
            tool.setEnabled(has_classes)

    def set_comparing(self, is_comparing: bool) -> None:
        """Show whether before and after stand side by side."""
        self._compare.setChecked(is_comparing)
        for widget in (*self._tools, self._runs, self._new, self._take):
            widget.setEnabled(not is_comparing)

    @property
    def words(self) -> str:
        """What is said."""
        return self._words.text()

    @property
    def take(self) -> QPushButton:
        """Takes the suggestion over; hidden where there is none."""
        return self._take


def run_name(run: SuperclassRun) -> str:
    """What a run is called in a list: its title, and when it was."""
    moment = when(run.id)
    return f"{shown(run.title, 60)} · {moment}" if run.title else moment
