"""The head of the experts' page: what is shown, whose routing it is, and how to get newer routing."""

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QButtonGroup, QComboBox, QFrame, QHBoxLayout, QMenu, QToolButton, QWidget

from locstudio.services.routing.runs import RoutingRun
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, shown, tip
from locstudio.ui.routing.elided import ElidedLabel
from locstudio.ui.routing.page_commands import KEYS, TITLES, VIEWS, ExpertCommand
from locstudio.ui.training.wording import when

VIEW_WORDS = {
    ExpertCommand.EXPERTS: "Experts",
    ExpertCommand.MATRIX: "Matrix",
    ExpertCommand.LOAD: "Load",
    ExpertCommand.DRIFT: "Drift",
    ExpertCommand.SUPERCLASSES: "Superclasses",
}
_MAX_RUN = 24
_NO_RUN = "No routing yet"


class ExpertHead(QFrame):
    """Shows how things are and emits wishes about the whole.

    Signals:
        view_wanted: one of ``VIEWS``.
        run_wanted: the identity of a run whose routing is to be shown.
        router_wanted: the number of a router, from 0, where each MoE layer has its own.
        wanted: "route" or "train".
    """

    view_wanted = Signal(object)
    run_wanted = Signal(str)
    router_wanted = Signal(int)
    wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "head")
        self._details = ElidedLabel("muted", self)
        self._menu = QMenu(self)
        self._runs = self._button("", "layers")
        self._runs.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._runs.setMenu(self._menu)
        self._routers = QComboBox(self)
        self._routers.setAccessibleName("Layer whose router is shown")
        self._routers.setToolTip("Each of these layers has a router of its own")
        self._routers.currentIndexChanged.connect(self.router_wanted)
        self._routers.hide()
        self._route = self._button("Route", "run")
        self._route.setToolTip("Ask the model with experts that is in use about every image of the collection")
        self._route.setAccessibleName("Route the collection")
        self._route.clicked.connect(lambda: self.wanted.emit("route"))
        self._train = self._button("Train experts…", "train")
        self._train.setToolTip("Train a model with experts on the classes of the images")
        self._train.clicked.connect(lambda: self.wanted.emit("train"))
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(10)
        row.addWidget(self._make_switch())
        row.addWidget(self._runs)
        row.addWidget(self._routers)
        row.addWidget(self._details, 1)
        row.addWidget(self._route)
        row.addWidget(self._train)
        self.set_runs((), "")

    def _button(self, text: str, icon: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setProperty("role", "button")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        drawn.follow(button, icon)
        return button

    def _make_switch(self) -> QWidget:
        switch = QFrame(self)
        switch.setProperty("role", "switch")
        row = QHBoxLayout(switch)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(2)
        group = QButtonGroup(switch)
        self._views: dict[ExpertCommand, QToolButton] = {}
        for view in VIEWS:
            button = QToolButton(switch)
            button.setText(VIEW_WORDS[view])
            button.setCheckable(True)
            button.setProperty("role", "segment")
            button.setAccessibleName(f"Show: {VIEW_WORDS[view]}")
            button.setToolTip(f"{TITLES[view]} ({KEYS[view][0]})")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, chosen=view: self.view_wanted.emit(chosen))
            group.addButton(button)
            row.addWidget(button)
            self._views[view] = button
        self.set_view(ExpertCommand.EXPERTS)
        return switch

    def set_view(self, view: ExpertCommand) -> None:
        """Mark what is shown."""
        self._views[view].setChecked(True)

    def view_button(self, view: ExpertCommand) -> QWidget:
        """The button of a view: it has the keys where the view itself has no use for them."""
        return self._views[view]

    def set_words(self, words: str) -> None:
        """Say what there is to say of the whole."""
        self._details.say(words)

    @property
    def words(self) -> str:
        """What is said of the whole."""
        return self._details.text()

    def set_can_train(self, can_train: bool, *, can_route: bool) -> None:
        """Offer to train, and to route where there is a model that could, or not."""
        self._route.setEnabled(can_train and can_route)
        self._train.setEnabled(can_train)

    def set_routers(self, layers: Sequence[int], router: int) -> None:
        """Offer these layers' routers; a single one needs no choice."""
        with QSignalBlocker(self._routers):
            self._routers.clear()
            self._routers.addItems([f"Layer {layer}" for layer in layers])
            self._routers.setCurrentIndex(router)
        self._routers.setVisible(len(layers) > 1)

    def set_runs(self, runs: Sequence[RoutingRun], run_id: str) -> None:
        """Offer the routing of these runs; the one with this identity is shown."""
        self._menu.clear()
        group = QActionGroup(self._menu)
        for run in runs:
            action = QAction(action_text(words_of(run)), self._menu)
            action.setCheckable(True)
            action.setChecked(run.id == run_id)
            action.triggered.connect(lambda _=False, chosen=run.id: self.run_wanted.emit(chosen))
            group.addAction(action)
            self._menu.addAction(action)
        chosen = next((run for run in runs if run.id == run_id), None)
        self._runs.setEnabled(bool(runs))
        self._runs.setText(action_text(_short(chosen)) if chosen is not None else _NO_RUN)
        self._runs.setToolTip(tip(f"Routing of {words_of(chosen)}") if chosen is not None else _NO_RUN)
        self._runs.setAccessibleName(f"Routing of {words_of(chosen)}" if chosen is not None else _NO_RUN)

    @property
    def run_words(self) -> str:
        """Whose routing is shown."""
        return self._runs.text()


def name_of(run: RoutingRun) -> str:
    """What a run is called: its title, else the model's name."""
    return run.title or run.name or when(run.id)


def _short(run: RoutingRun) -> str:
    return f"{shown(name_of(run), _MAX_RUN)} · {_how_far(run)}"


def words_of(run: RoutingRun) -> str:
    """A run in words: name, when, how far."""
    parts = [
        name_of(run),
        when(run.id) if run.when else "",
        _how_far(run),
        "running" if run.is_running else "",
        "in use" if run.is_adopted else "",
    ]
    return ", ".join(part for part in dict.fromkeys(parts) if part)


def _how_far(run: RoutingRun) -> str:
    if not run.num_epochs:
        return f"routed {when(run.id)}"
    return f"epoch {run.epoch} of {run.num_epochs}" if run.is_running or run.epoch < run.num_epochs else when(run.id)
