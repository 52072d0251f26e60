"""What a person can choose of a training of regions: a preset, and behind Advanced the rest."""

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QWidget

from locstudio.jobs.configs import Preset
from locstudio.services.retrain_plan import RetrainChoice
from locstudio.services.starting import PRESETS
from locstudio.ui.plain_text import label
from locstudio.ui.training.preset_row import PresetRow
from locstudio.ui.training.setting_fields import MAX_SEED, name_field, number_field

_MAX_STEPS = 1_000_000
_WORDS: dict[Preset, tuple[str, str]] = {
    "quick": ("Quick", "After some corrections, to go on with a better model soon"),
    "standard": ("Standard", "After many, when the last bit counts and there is time"),
}


class RegionSettings(QObject):
    """Makes the widgets of one choice and reads them.

    Attributes:
        presets: The row of presets.
        advanced: Everything else.

    Signals:
        changed: ``choice`` differs from the one before.
    """

    changed = Signal()

    def __init__(self, choice: RetrainChoice, parent: QWidget) -> None:
        super().__init__(parent)
        self._choice = choice
        words = {name: (*both, f"{PRESETS[name].num_steps:,} steps") for name, both in _WORDS.items()}
        self.presets = PresetRow(words, parent)
        self.advanced = QWidget(parent)
        self.title = name_field(self.advanced)
        self.steps = number_field("Steps", 1, _MAX_STEPS, self.advanced)
        self.seed = number_field("Seed", 0, MAX_SEED, self.advanced)
        self.seed.setToolTip("Two runs with the same seed and the same data end with the same model, on the CPU")
        self.pending = QCheckBox("Also learn from proposals that nobody has looked at", self.advanced)
        self.grounding = QCheckBox("Learn to find words in an image (grounding)", self.advanced)
        self.filter = QCheckBox("Do not push apart phrases that mean nearly the same (text filter)", self.advanced)
        grid = QGridLayout(self.advanced)
        grid.setContentsMargins(4, 4, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        for number, (name, widget) in enumerate((("Name", self.title), ("Steps", self.steps), ("Seed", self.seed))):
            grid.addWidget(label(name, "muted", self.advanced), number, 0)
            grid.addWidget(widget, number, 1)
        for number, box in enumerate((self.pending, self.grounding, self.filter), 3):
            grid.addWidget(box, number, 0, 1, 2)
        grid.setColumnStretch(1, 1)
        self._show(choice)
        self.presets.chosen.connect(self._on_preset)
        self.title.textChanged.connect(self._on_changed)
        for spin in (self.steps, self.seed):
            spin.valueChanged.connect(self._on_changed)
        for box in (self.pending, self.grounding, self.filter):
            box.toggled.connect(self._on_changed)

    @property
    def choice(self) -> RetrainChoice:
        """What is chosen."""
        return self._choice

    def _show(self, choice: RetrainChoice) -> None:
        self.presets.choose(choice.preset)
        self.title.setText(choice.title)
        self.title.setPlaceholderText(_WORDS[choice.preset][0])
        self.steps.setValue(choice.num_steps or PRESETS[choice.preset].num_steps)
        self.seed.setValue(choice.seed)
        self.pending.setChecked(choice.include_pending)
        self.grounding.setChecked(choice.has_grounding)
        self.filter.setChecked(choice.has_text_filter)

    def _on_preset(self, preset: Preset) -> None:
        self.steps.blockSignals(True)  # the steps are the preset's until a person says otherwise
        self.steps.setValue(PRESETS[preset].num_steps)
        self.steps.blockSignals(False)
        self.title.setPlaceholderText(_WORDS[preset][0])
        self._on_changed()

    def _on_changed(self) -> None:
        preset, num_steps = self.presets.preset, self.steps.value()
        before = self._choice
        self._choice = RetrainChoice(
            preset=preset,
            num_steps=0 if num_steps == PRESETS[preset].num_steps else num_steps,
            seed=self.seed.value(),
            has_grounding=self.grounding.isChecked(),
            has_text_filter=self.filter.isChecked(),
            include_pending=self.pending.isChecked(),
            title=self.title.text(),
        )
        if self._choice != before:
            self.changed.emit()
