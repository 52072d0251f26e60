"""What a person can choose of a training of classes and their heatmaps: a preset, and behind Advanced the rest."""

from dataclasses import replace
from typing import cast

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QWidget

from locstudio.jobs.configs import Loss, Memory, Preset
from locstudio.services.retrain_plan import ClassesChoice
from locstudio.services.starting import CONSISTENCY_PRESETS
from locstudio.ui.plain_text import label
from locstudio.ui.training.preset_row import PresetRow
from locstudio.ui.training.setting_fields import MAX_SEED, choice_field, name_field, number_field, share_field

_MAX_EPOCHS = 10_000
_WORDS: dict[Preset, tuple[str, str]] = {
    "quick": ("Quick", "For a first look at the heatmaps, or after some corrections"),
    "standard": ("Standard", "When missing labels shall be found as surely as can be"),
}
_LOSSES = (
    ("en", "Expected negatives: some of what is not said may be there"),
    ("an", "Assume negatives: what is not said is not there"),
    ("ls", "Assume negatives, with smoothed labels"),
    ("em", "Stay undecided about what is not said"),
    ("ll_r", "Assume negatives, leave out what contradicts most"),
)
_MEMORIES = (
    ("maps", "Scores and heatmaps of every image"),
    ("scores", "Scores of every image"),
    ("none", "Nothing"),
)


class ClassSettings(QObject):
    """Makes the widgets of one choice and reads them.

    Attributes:
        presets: The row of presets.
        advanced: Everything else.

    Signals:
        changed: ``choice`` differs from the one before.
    """

    changed = Signal()

    def __init__(self, choice: ClassesChoice, parent: QWidget) -> None:
        super().__init__(parent)
        self._choice = choice
        self._remembered = ""
        words = {name: (*both, f"{CONSISTENCY_PRESETS[name].num_epochs:,} epochs") for name, both in _WORDS.items()}
        self.presets = PresetRow(words, parent)
        self.advanced = QWidget(parent)
        self._make_fields()
        self._lay_out()
        self.set_remembered("")
        self._show(choice)
        self.presets.chosen.connect(self._on_preset)
        self.title.textChanged.connect(self._on_changed)
        for spin in (self.epochs, self.seed, self.crop):
            spin.valueChanged.connect(self._on_changed)
        for combo in (self.loss, self.memory):
            combo.currentIndexChanged.connect(self._on_changed)
        for box in (self.known, self.one):
            box.toggled.connect(self._on_changed)

    def _make_fields(self) -> None:
        page = self.advanced
        self.title = name_field(page)
        self.epochs = number_field("Epochs", 1, _MAX_EPOCHS, page)
        self.epochs.setToolTip("How often each image is seen; the heatmaps are averages over epochs")
        self.crop = share_field("Smallest crop", 0.05, 1.0, 0.05, page)
        self.crop.setToolTip("A view shows at least this share of the image; 1 for no crop")
        self.seed = number_field("Seed", 0, MAX_SEED, page)
        self.seed.setToolTip("Two runs with the same seed and the same data end with the same model, on the CPU")
        self.loss = choice_field("What is not said", _LOSSES, page)
        self.memory = choice_field("What is remembered", _MEMORIES, page)
        self.known = QCheckBox("Go on from the heatmaps of the last run", page)
        self.known.setToolTip("Else every heatmap begins empty")
        self.one = QCheckBox("Learn from one known class an image, to try the method", page)
        self.one.setToolTip("Drawn by the seed; the others are as if nobody had said them")

    def _lay_out(self) -> None:
        page = self.advanced
        grid = QGridLayout(page)
        grid.setContentsMargins(4, 4, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(3, 1)
        wide = (("Name", self.title), ("Not said", self.loss), ("Remembers", self.memory))
        for number, (name, widget) in zip((0, 2, 3), wide, strict=True):
            grid.addWidget(label(name, "muted", page), number, 0)
            grid.addWidget(widget, number, 1, 1, 3)
        for column, name, spin in ((0, "Epochs", self.epochs), (2, "Smallest crop", self.crop)):
            grid.addWidget(label(name, "muted", page), 1, column)
            grid.addWidget(spin, 1, column + 1)
        grid.addWidget(label("Seed", "muted", page), 4, 0)
        grid.addWidget(self.seed, 4, 1)
        for number, box in enumerate((self.known, self.one), 5):
            grid.addWidget(box, number, 0, 1, 4)

    @property
    def choice(self) -> ClassesChoice:
        """What is chosen."""
        return self._choice

    def set_remembered(self, folder: str) -> None:
        """Say which heatmaps can be gone on from; empty for none."""
        self._remembered = folder
        self.known.setVisible(bool(folder))

    def _show(self, choice: ClassesChoice) -> None:
        training = choice.training()
        self.presets.choose(choice.preset)
        self.title.setText(choice.title)
        self.title.setPlaceholderText(f"Heatmaps, {choice.preset}")
        self.epochs.setValue(training.num_epochs)
        self.crop.setValue(training.min_scale)
        self.seed.setValue(choice.seed)
        self.loss.setCurrentIndex(self.loss.findData(training.loss))
        self.memory.setCurrentIndex(self.memory.findData(training.memory))
        self.known.setChecked(bool(choice.known))
        self.one.setChecked(choice.keeps_one)

    def _on_preset(self, preset: Preset) -> None:
        fields = (self.epochs, self.crop, self.loss, self.memory)  # the preset's until a person says otherwise
        for field in fields:
            field.blockSignals(True)
        self._show(replace(self._choice, preset=preset, num_epochs=0, loss=None, memory=None, min_scale=None))
        for field in fields:
            field.blockSignals(False)
        self._on_changed()

    def _on_changed(self) -> None:
        before, preset = self._choice, CONSISTENCY_PRESETS[self.presets.preset]
        epochs, crop = self.epochs.value(), round(self.crop.value(), 2)
        loss, memory = cast(Loss, self.loss.currentData()), cast(Memory, self.memory.currentData())
        self._choice = ClassesChoice(
            preset=self.presets.preset,
            num_epochs=0 if epochs == preset.num_epochs else epochs,
            seed=self.seed.value(),
            loss=None if loss == preset.loss else loss,
            memory=None if memory == preset.memory else memory,
            min_scale=None if crop == round(preset.min_scale, 2) else crop,
            keeps_one=self.one.isChecked(),
            known=self._remembered if self.known.isChecked() else "",
            title=self.title.text(),
        )
        if self._choice != before:
            self.changed.emit()
