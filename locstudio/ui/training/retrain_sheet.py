"""The Retrain sheet: which model, what it will learn from, where, how long and how much of it; then Start."""

from dataclasses import replace

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.jobs.checkpoint_folder import ModelKind
from locstudio.services.retrain_plan import (
    Choice,
    ClassesChoice,
    Estimate,
    ExpertMaterial,
    ExpertsChoice,
    RetrainChoice,
    RetrainPlan,
)
from locstudio.ui import theme
from locstudio.ui.icons import drawn
from locstudio.ui.indexing import in_words
from locstudio.ui.plain_text import label, shown
from locstudio.ui.training.class_settings import ClassSettings
from locstudio.ui.training.expert_settings import ExpertSettings
from locstudio.ui.training.plan_words import (
    Drawn,
    disk_words,
    experts_of,
    grouped_by,
    how_known,
    learns_from,
    left_out,
    made_from,
    warnings_of,
)
from locstudio.ui.training.region_settings import RegionSettings
from locstudio.ui.training.wording import size_in_words

_WIDTH = 600
_EXPERTS = "Experts"
_MODEL_WORDS: dict[ModelKind, tuple[str, str]] = {
    "cloc": ("Regions", "The model that searches, names and proposes regions (CLOC)"),
    "consistency": ("Classes and heatmaps", "The model that says which classes an image shows, and where"),
    "vmoe": ("Experts", "The model that sends each image to an expert, which names its class (Mobile V-MoE)"),
}


class RetrainSheet(QDialog):
    """Shows a plan, lets a person choose, and emits wishes.

    Signals:
        choice_changed: a ``Choice``, whenever it differs from the one before.
        start_wanted: the ``Choice`` to train with; the sheet closes itself.
    """

    choice_changed = Signal(object)
    start_wanted = Signal(object)

    def __init__(self, choice: Choice | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Retrain")
        self.setAccessibleName("Retrain")
        choice = choice or RetrainChoice()
        self.regions = RegionSettings(choice if isinstance(choice, RetrainChoice) else RetrainChoice(), self)
        self.classes = ClassSettings(choice if isinstance(choice, ClassesChoice) else ClassesChoice(), self)
        self.experts = ExpertSettings(choice if isinstance(choice, ExpertsChoice) else ExpertsChoice(), self)
        self._settings: dict[ModelKind, RegionSettings | ClassSettings | ExpertSettings] = {
            "cloc": self.regions,
            "consistency": self.classes,
            "vmoe": self.experts,
        }
        self._model: ModelKind = choice.model
        self._plan: RetrainPlan | None = None
        self._drawn: Drawn | None = None
        self._is_measuring = False
        self._parent_name = label("", "muted", self)
        self._parent_name.setWordWrap(True)
        self._start = QPushButton("Start training", self)
        self._start.setProperty("role", "primary")
        self._start.setDefault(True)
        self._start.clicked.connect(self._on_start)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 16)
        column.setSpacing(12)
        title = QHBoxLayout()
        title.addWidget(label("Retrain", "title", self), 1)
        title.addWidget(self._make_switch())
        column.addLayout(title)
        column.addWidget(self._parent_name)
        for settings in self._settings.values():
            column.addWidget(settings.presets)
            settings.changed.connect(lambda: self.choice_changed.emit(self.choice))
        column.addWidget(self._make_facts())
        column.addWidget(self._make_problems())
        column.addWidget(self._make_advanced())
        column.addStretch()
        column.addLayout(self._make_buttons())
        column.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # the height follows the words, see event
        self.setFixedWidth(_WIDTH)
        theme.notifier.changed.connect(self._draw_sign)
        self.choose_model(choice.model)
        self._show()

    # building ---------------------------------------------------------------------------------------------------

    def _make_switch(self) -> QWidget:
        switch = QFrame(self)
        switch.setProperty("role", "switch")
        row = QHBoxLayout(switch)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(2)
        group = QButtonGroup(switch)
        self.models: dict[ModelKind, QToolButton] = {}
        for model, (words, hint) in _MODEL_WORDS.items():
            button = QToolButton(switch)
            button.setText(words)
            button.setToolTip(hint)
            button.setCheckable(True)
            button.setProperty("role", "segment")
            button.setAccessibleName(f"Train: {words}")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, chosen=model: self.choose_model(chosen))
            group.addButton(button)
            row.addWidget(button)
            self.models[model] = button
        return switch

    def _make_facts(self) -> QWidget:
        card = QFrame(self)
        card.setProperty("role", "card")
        grid = QGridLayout(card)
        grid.setContentsMargins(16, 12, 16, 12)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        self._facts: dict[str, QLabel] = {}
        self._details: dict[str, QLabel] = {}
        self._titles: dict[str, QLabel] = {}
        names = ("Learns from", _EXPERTS, "Where", "Time", "Memory", "Disk")
        for number, name in enumerate(names):
            title, fact, detail = label(name, "muted", card), label("", "heading", card), label("", "muted", card)
            for part in (fact, detail):
                part.setWordWrap(True)
                part.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
            words = QVBoxLayout()
            words.setSpacing(1)
            words.addWidget(fact)
            words.addWidget(detail)
            grid.addWidget(title, number, 0, Qt.AlignmentFlag.AlignTop)
            grid.addLayout(words, number, 1)
            self._titles[name], self._facts[name], self._details[name] = title, fact, detail
            detail.setVisible(name in ("Learns from", "Time"))
        self._busy = QProgressBar(card)
        self._busy.setRange(0, 0)
        self._busy.setProperty("role", "thin")
        self._busy.setAccessibleName("Measuring how long it will take")
        policy = self._busy.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._busy.setSizePolicy(policy)
        grid.addWidget(self._busy, len(names), 0, 1, 2)
        return card

    def _make_problems(self) -> QWidget:
        self._problem_box = QFrame(self)
        self._problem_box.setProperty("role", "bar")
        self._sign = QLabel(self._problem_box)
        self._problems = label("", "", self._problem_box)
        self._problems.setWordWrap(True)
        row = QHBoxLayout(self._problem_box)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(10)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._problems, 1)
        return self._problem_box

    def _make_advanced(self) -> QWidget:
        holder = QWidget(self)
        self._fold = QToolButton(holder)
        self._fold.setText("Advanced")
        self._fold.setCheckable(True)
        self._fold.setProperty("role", "fold")
        self._fold.setAccessibleName("Advanced settings")
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setArrowType(Qt.ArrowType.RightArrow)
        self._fold.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._fold.toggled.connect(self._on_folded)
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._fold)
        for settings in self._settings.values():
            column.addWidget(settings.advanced)
        return holder

    def _make_buttons(self) -> QHBoxLayout:
        promise = label("Go on correcting meanwhile, or close the window.", "muted", self)
        promise.setWordWrap(True)
        cancel = QPushButton("Cancel", self)
        cancel.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(promise, 1)
        row.addWidget(cancel)
        row.addWidget(self._start)
        return row

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def choice(self) -> Choice:
        """What the person has chosen so far."""
        return self._settings[self._model].choice

    @property
    def can_start(self) -> bool:
        """Whether nothing speaks against it."""
        return self._start.isEnabled()

    @property
    def is_settled(self) -> bool:
        """Whether nothing that the sheet says is still on its way."""
        return self._plan is not None and not self._is_measuring

    def fact(self, name: str) -> str:
        """What the sheet says under a heading, with the explanation."""
        return f"{self._facts[name].text()} {self._details[name].text()}".strip()

    @property
    def problem(self) -> str:
        """What speaks against it, or what the person should know; empty for nothing."""
        return self._problems.text()

    def show_device(self, words: str) -> None:
        """Say on what it will be trained."""
        self._facts["Where"].setText(shown(words))

    def show_plan(self, plan: RetrainPlan, *, is_measuring: bool) -> None:
        """Show what would happen; ``is_measuring`` says that a better estimate is on its way."""
        self._plan, self._is_measuring, self._drawn = plan, is_measuring, None
        self.classes.set_remembered(plan.remembered)
        if isinstance(plan.material, ExpertMaterial):
            self.experts.set_material(plan.material)
        self._show()

    def show_estimate(self, estimate: Estimate) -> None:
        """Show what a dry run has found."""
        if self._plan is not None:
            self._plan, self._is_measuring = replace(self._plan, estimate=estimate), False
            self._show()

    def stop_measuring(self, sentence: str = "") -> None:
        """Nothing better than the guess will come, for this reason."""
        self._is_measuring = False
        self._show()
        if sentence:
            self._details["Time"].setText(shown(sentence, 300))

    def show_material(self, drawn: Drawn) -> None:
        """Say exactly what is learnt from, as the dry run has found."""
        self._drawn = drawn
        self._show()

    def _show(self) -> None:
        plan = self._plan
        self._busy.setVisible(plan is None or self._is_measuring)
        self._start.setEnabled(plan is not None and not plan.problems)
        has_experts = plan is not None and isinstance(plan.material, ExpertMaterial)
        for part in (self._titles[_EXPERTS], self._facts[_EXPERTS], self._details[_EXPERTS]):
            part.setVisible(has_experts)
        if plan is None:
            self._facts["Learns from"].setText("Counting…")
            self._details["Learns from"].setText("")
            self._parent_name.setText(" ")
            self._problem_box.hide()
            return
        estimate = plan.estimate
        self._parent_name.setText(made_from(plan))
        self._facts["Learns from"].setText(learns_from(plan, self._drawn))
        self._details["Learns from"].setText(left_out(plan, self._drawn))
        self._facts[_EXPERTS].setText(experts_of(plan))
        self._details[_EXPERTS].setText(grouped_by(plan))
        self._facts["Time"].setText(f"about {in_words(estimate.seconds)}")
        self._details["Time"].setText(how_known(estimate, is_measuring=self._is_measuring))
        self._facts["Memory"].setText(size_in_words(estimate.memory_bytes) if estimate.memory_bytes else "–")
        for part in (self._titles["Memory"], self._facts["Memory"]):
            part.setVisible(bool(estimate.memory_bytes) or self._is_measuring)
        self._facts["Disk"].setText(disk_words(plan))
        self._show_problems(plan)

    def _show_problems(self, plan: RetrainPlan) -> None:
        words = warnings_of(plan)
        self._problems.setText("\n".join(words))
        self._problem_box.setVisible(bool(words))
        self._draw_sign()

    def _draw_sign(self) -> None:
        is_problem = self._plan is not None and bool(self._plan.problems)
        look = theme.current()
        name, color = ("warning", look.warning) if is_problem else ("history", look.accent)
        self._sign.setPixmap(drawn.pixmap(name, 18, color))

    # choosing ---------------------------------------------------------------------------------------------------

    def choose_model(self, model: ModelKind) -> None:
        """Let a person choose how this model is trained."""
        self.models[model].setChecked(True)
        is_other = model != self._model
        self._model = model
        for name, settings in self._settings.items():
            settings.presets.setVisible(name == model)
        self._on_folded(self._fold.isChecked())
        if is_other:
            self._plan = self._drawn = None
            self._show()
            self.choice_changed.emit(self.choice)

    def _on_folded(self, is_open: bool) -> None:
        self._fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        for name, settings in self._settings.items():
            settings.advanced.setVisible(is_open and name == self._model)

    def _on_start(self) -> None:
        self.start_wanted.emit(self.choice)
        self.accept()

    def event(self, event: QEvent) -> bool:
        """The sheet is as high as what it says, and shrinks with it."""
        is_laid_out = event.type() == QEvent.Type.LayoutRequest  # asked before: another event may end the sheet
        is_done = super().event(event)
        if is_laid_out:
            self.resize(_WIDTH, self._column.totalHeightForWidth(_WIDTH))
        return is_done

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Return starts from anywhere in the sheet."""
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier and self._start.isEnabled():
            self._on_start()
        else:
            super().keyPressEvent(event)
