"""The Retrain sheet: what will be learnt from, where, how long and how much of it; then Start."""

from dataclasses import replace

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.jobs.configs import Preset
from locstudio.services.retraining import Estimate, RetrainChoice, RetrainPlan
from locstudio.services.starting import PRESETS
from locstudio.ui import theme
from locstudio.ui.icons import drawn
from locstudio.ui.indexing import in_words
from locstudio.ui.plain_text import label, shown
from locstudio.ui.training.plan_words import disk_words, how_known, learns_from, left_out, made_from, warnings_of
from locstudio.ui.training.preset_card import PresetCard
from locstudio.ui.training.wording import size_in_words

_WIDTH = 600
_MAX_STEPS = 1_000_000
_MAX_SEED = 2**31 - 1
_PRESET_WORDS: dict[Preset, tuple[str, str]] = {
    "quick": ("Quick", "After some corrections, to go on with a better model soon"),
    "standard": ("Standard", "After many, when the last bit counts and there is time"),
}


class RetrainSheet(QDialog):
    """Shows a plan, lets a person choose, and emits wishes.

    Signals:
        choice_changed: a ``RetrainChoice``, whenever it differs from the one before.
        start_wanted: the ``RetrainChoice`` to train with; the sheet closes itself.
    """

    choice_changed = Signal(object)
    start_wanted = Signal(object)

    def __init__(self, choice: RetrainChoice | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Retrain")
        self.setAccessibleName("Retrain")
        self._choice = choice or RetrainChoice()
        self._plan: RetrainPlan | None = None
        self._drawn: tuple[int, int, int] | None = None
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
        column.addWidget(label("Retrain", "title", self))
        column.addWidget(self._parent_name)
        column.addLayout(self._make_presets())
        column.addWidget(self._make_facts())
        column.addWidget(self._make_problems())
        column.addWidget(self._make_advanced())
        column.addStretch()
        column.addLayout(self._make_buttons())
        column.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # the height follows the words, see event
        self.setFixedWidth(_WIDTH)
        theme.notifier.changed.connect(self._draw_sign)
        self._show_choice()
        self._show()

    # building ---------------------------------------------------------------------------------------------------

    def _make_presets(self) -> QHBoxLayout:
        self._presets: dict[Preset, PresetCard] = {}
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(8)
        for name, (title, words) in _PRESET_WORDS.items():
            card = PresetCard(title, words, f"{PRESETS[name].num_steps:,} steps", self)
            card.button.toggled.connect(lambda is_on: self._on_changed() if is_on else None)
            self._group.addButton(card.button)
            self._presets[name] = card
            row.addWidget(card, 1)
        return row

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
        for number, name in enumerate(("Learns from", "Where", "Time", "Memory", "Disk")):
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
            self._facts[name], self._details[name] = fact, detail
            detail.setVisible(name in ("Learns from", "Time"))
        self._busy = QProgressBar(card)
        self._busy.setRange(0, 0)
        self._busy.setProperty("role", "thin")
        self._busy.setAccessibleName("Measuring how long it will take")
        policy = self._busy.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._busy.setSizePolicy(policy)
        grid.addWidget(self._busy, 5, 0, 1, 2)
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
        self._advanced = QWidget(holder)
        self._title = QLineEdit(self._advanced)
        self._title.setAccessibleName("Name of the run")
        self._title.setMaxLength(80)
        self._steps = _spin("Steps", 1, _MAX_STEPS, self._advanced)
        self._seed = _spin("Seed", 0, _MAX_SEED, self._advanced)
        self._seed.setToolTip("Two runs with the same seed and the same data end with the same model, on the CPU")
        self._pending = QCheckBox("Also learn from proposals that nobody has looked at", self._advanced)
        self._grounding = QCheckBox("Learn to find words in an image (grounding)", self._advanced)
        self._filter = QCheckBox("Do not push apart phrases that mean nearly the same (text filter)", self._advanced)
        grid = QGridLayout(self._advanced)
        grid.setContentsMargins(4, 4, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        for number, (name, widget) in enumerate((("Name", self._title), ("Steps", self._steps), ("Seed", self._seed))):
            grid.addWidget(label(name, "muted", self._advanced), number, 0)
            grid.addWidget(widget, number, 1)
        for number, box in enumerate((self._pending, self._grounding, self._filter), 3):
            grid.addWidget(box, number, 0, 1, 2)
            box.toggled.connect(self._on_changed)
        grid.setColumnStretch(1, 1)
        self._title.textChanged.connect(self._on_changed)
        self._steps.valueChanged.connect(self._on_changed)
        self._seed.valueChanged.connect(self._on_changed)
        self._advanced.hide()
        self._fold.toggled.connect(self._on_folded)
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._fold)
        column.addWidget(self._advanced)
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
    def choice(self) -> RetrainChoice:
        """What the person has chosen so far."""
        return self._choice

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

    def show_material(self, num_regions: int, num_images: int, num_held_out: int) -> None:
        """Say exactly what is learnt from, as the dry run has found."""
        self._drawn = (num_regions, num_images, num_held_out)
        self._show()

    def _show_material(self, plan: RetrainPlan) -> None:
        material = plan.material
        regions, images, held_out = self._drawn or (material.num_regions, material.num_images, material.num_held_out)
        self._facts["Learns from"].setText(learns_from(regions, images))
        self._details["Learns from"].setText(left_out(plan, held_out, is_drawn=self._drawn is not None))

    def _show(self) -> None:
        plan = self._plan
        self._busy.setVisible(plan is None or self._is_measuring)
        self._start.setEnabled(plan is not None and not plan.problems)
        if plan is None:
            self._facts["Learns from"].setText("Counting…")
            self._parent_name.setText(" ")
            self._problem_box.hide()
            return
        estimate = plan.estimate
        self._parent_name.setText(made_from(plan))
        self._show_material(plan)
        self._facts["Time"].setText(f"about {in_words(estimate.seconds)}")
        self._details["Time"].setText(how_known(estimate, is_measuring=self._is_measuring))
        self._facts["Memory"].setText(size_in_words(estimate.memory_bytes) if estimate.memory_bytes else "–")
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

    def _show_choice(self) -> None:
        choice = self._choice
        for name, card in self._presets.items():
            card.button.setChecked(name == choice.preset)
        self._title.setText(choice.title)
        self._title.setPlaceholderText(_PRESET_WORDS[choice.preset][0])
        self._steps.setValue(choice.num_steps or PRESETS[choice.preset].num_steps)
        self._seed.setValue(choice.seed)
        self._pending.setChecked(choice.include_pending)
        self._grounding.setChecked(choice.has_grounding)
        self._filter.setChecked(choice.has_text_filter)

    def _on_changed(self) -> None:
        preset: Preset = next((name for name, card in self._presets.items() if card.button.isChecked()), "quick")
        before = self._choice
        if preset != before.preset:  # the steps are the preset's until a person says otherwise
            self._steps.blockSignals(True)
            self._steps.setValue(PRESETS[preset].num_steps)
            self._steps.blockSignals(False)
            self._title.setPlaceholderText(_PRESET_WORDS[preset][0])
        num_steps = self._steps.value()
        self._choice = RetrainChoice(
            preset=preset,
            num_steps=0 if num_steps == PRESETS[preset].num_steps else num_steps,
            seed=self._seed.value(),
            has_grounding=self._grounding.isChecked(),
            has_text_filter=self._filter.isChecked(),
            include_pending=self._pending.isChecked(),
            title=self._title.text(),
        )
        if self._choice != before:
            self.choice_changed.emit(self._choice)

    def _on_folded(self, is_open: bool) -> None:
        self._fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._advanced.setVisible(is_open)

    def _on_start(self) -> None:
        self.start_wanted.emit(self._choice)
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


def _spin(name: str, low: int, high: int, parent: QWidget) -> QSpinBox:
    spin = QSpinBox(parent)
    spin.setRange(low, high)
    spin.setAccessibleName(name)
    spin.setGroupSeparatorShown(True)
    spin.setMaximumWidth(140)
    spin.lineEdit().setTextMargins(6, 0, 6, 0)  # a padding of the style sheet does not reach it
    return spin
