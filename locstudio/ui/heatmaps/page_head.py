"""The head of the heatmaps page: what is shown, how far it is decided, whose heat it is, and how to get newer heat."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.services.heat.runs import HeatRun
from locstudio.ui.heatmaps.heat_words import name_of
from locstudio.ui.heatmaps.page_commands import KEYS, HeatCommand
from locstudio.ui.heatmaps.page_table import HeatView
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label, shown, tip
from locstudio.ui.training.wording import when

VIEW_WORDS = {HeatView.EXPECTED: "Expected", HeatView.ONE_CLASS: "One class", HeatView.ONE_IMAGE: "One image"}
_VIEW_HINTS = {
    HeatView.EXPECTED: "What a training has come to see where nobody has said a word",
    HeatView.ONE_CLASS: "One class in all images",
    HeatView.ONE_IMAGE: "All classes of one image",
}
_MAX_RUN = 26
_MAX_WORDS = 40
_NO_RUN = "No heatmaps yet"


class HeatHead(QFrame):
    """Shows how things are and emits wishes about the whole.

    Signals:
        view_wanted: a ``HeatView``.
        run_wanted: the identity of a run whose heat is to be shown.
        train_wanted: train heatmaps.
    """

    view_wanted = Signal(object)
    run_wanted = Signal(str)
    train_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "head")
        self._words = label("", "heading", self)
        self._details = label("", "muted", self)
        self._details.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._bar = QProgressBar(self)
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Share of what is listed that is decided")
        self._menu = QMenu(self)
        self._runs = QToolButton(self)
        self._runs.setProperty("role", "button")
        self._runs.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._runs.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._runs.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._runs.setMenu(self._menu)
        drawn.follow(self._runs, "layers")
        self._train = QToolButton(self)
        self._train.setText("Train heatmaps…")
        self._train.setProperty("role", "button")
        self._train.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._train.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._train.setToolTip("Train the classes on what is labelled; heat comes with every epoch")
        self._train.clicked.connect(lambda: self.train_wanted.emit())
        drawn.follow(self._train, "train")
        first = QHBoxLayout()
        first.setSpacing(10)
        first.addWidget(self._words)
        first.addWidget(self._details, 1)
        progress = QVBoxLayout()
        progress.setSpacing(4)
        progress.addLayout(first)
        progress.addWidget(self._bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(16)
        row.addWidget(self._make_switch())
        row.addLayout(progress, 1)
        row.addWidget(self._runs)
        row.addWidget(self._train)
        self.set_runs((), "")

    def _make_switch(self) -> QWidget:
        switch = QFrame(self)
        switch.setProperty("role", "switch")
        row = QHBoxLayout(switch)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(2)
        group = QButtonGroup(switch)
        self._views: dict[HeatView, QToolButton] = {}
        for view, words in VIEW_WORDS.items():
            button = QToolButton(switch)
            button.setText(words)
            button.setCheckable(True)
            button.setProperty("role", "segment")
            button.setAccessibleName(f"Show: {words}")
            button.setToolTip(f"{_VIEW_HINTS[view]} ({KEYS[HeatCommand(view.value)][0]})")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, chosen=view: self.view_wanted.emit(chosen))
            group.addButton(button)
            row.addWidget(button)
            self._views[view] = button
        self.set_view(HeatView.EXPECTED)
        return switch

    def set_view(self, view: HeatView) -> None:
        """Mark what is shown."""
        self._views[view].setChecked(True)

    def set_words(self, words: str, details: str, share: float) -> None:
        """Say what is listed and how far it is decided; a negative ``share`` hides the bar."""
        self._words.setText(shown(words, _MAX_WORDS))
        self._words.setToolTip(tip(words))
        self._details.setText(details)
        self._bar.setVisible(share >= 0)
        self._bar.setValue(round(1000 * max(share, 0.0)))

    @property
    def words(self) -> str:
        """What is said of what is listed."""
        return f"{self._words.text()} {self._details.text()}".strip()

    def set_runs(self, runs: Sequence[HeatRun], run_id: str) -> None:
        """Offer the heat of these runs; the one with this identity is shown."""
        self._menu.clear()
        group = QActionGroup(self._menu)
        for run in runs:
            action = QAction(action_text(_words_of(run)), self._menu)
            action.setCheckable(True)
            action.setChecked(run.id == run_id)
            action.triggered.connect(lambda _=False, chosen=run.id: self.run_wanted.emit(chosen))
            group.addAction(action)
            self._menu.addAction(action)
        chosen = next((run for run in runs if run.id == run_id), None)
        self._runs.setEnabled(bool(runs))
        self._runs.setText(action_text(_short(chosen)) if chosen is not None else _NO_RUN)
        self._runs.setToolTip(tip(f"Heat of {_words_of(chosen)}") if chosen is not None else _NO_RUN)
        self._runs.setAccessibleName(f"Heat of {_words_of(chosen)}" if chosen is not None else _NO_RUN)

    @property
    def run_words(self) -> str:
        """Whose heat is shown."""
        return self._runs.text()


def _short(run: HeatRun) -> str:
    return f"{shown(name_of(run), _MAX_RUN)} · epoch {run.epoch} of {run.num_epochs}"


def _words_of(run: HeatRun) -> str:
    parts = [
        name_of(run),
        when(run.id) if run.title and run.when else "",
        f"epoch {run.epoch} of {run.num_epochs}",
        "running" if run.is_running else "",
        "in use" if run.is_adopted else "",
    ]
    return ", ".join(part for part in parts if part)
