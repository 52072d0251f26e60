"""What a person can choose of a training of experts: a preset, and behind Advanced the rest."""

from dataclasses import replace
from typing import cast

from PySide6.QtCore import QObject, QSignalBlocker, Signal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QWidget

from locstudio.jobs.configs import Preset
from locstudio.jobs.vmoe_config import RoutingMode
from locstudio.services.retrain_plan import ExpertMaterial, ExpertsChoice
from locstudio.services.starting import VMOE_PRESETS
from locstudio.ui.plain_text import label
from locstudio.ui.training.expert_words import ROUTINGS
from locstudio.ui.training.preset_row import PresetRow
from locstudio.ui.training.setting_fields import MAX_SEED, choice_field, name_field, number_field

_MAX_EPOCHS = 10_000
_MAX_EXPERTS = 64
_WORDS: dict[Preset, tuple[str, str]] = {
    "quick": ("Quick", "For a first look at the experts, or after moving classes"),
    "standard": ("Standard", "When they shall come to rest, and name classes well"),
}
_CHOSEN_HERE: tuple[RoutingMode, ...] = ("superclass", "image", "token", "oracle", "random")


class ExpertSettings(QObject):
    """Makes the widgets of one choice and reads them.

    Attributes:
        presets: The row of presets.
        advanced: Everything else.

    Signals:
        changed: ``choice`` differs from the one before.
    """

    changed = Signal()

    def __init__(self, choice: ExpertsChoice, parent: QWidget) -> None:
        super().__init__(parent)
        self._choice = choice
        words = {name: (*both, _epochs_words(name)) for name, both in _WORDS.items()}
        self.presets = PresetRow(words, parent)
        self.advanced = QWidget(parent)
        self._make_fields()
        self._lay_out()
        self.set_material(ExpertMaterial())
        self._show(choice)
        self.presets.chosen.connect(self._on_preset)
        self.title.textChanged.connect(self._on_changed)
        for spin in (self.epochs, self.seed, self.experts, self.layers, self.active):
            spin.valueChanged.connect(self._on_changed)
        self.routing.currentIndexChanged.connect(self._on_changed)
        for box in (self.upcycled, self.shared, self.on):
            box.toggled.connect(self._on_changed)

    def _make_fields(self) -> None:
        page = self.advanced
        self.title = name_field(page)
        self.routing = choice_field("Who chooses the expert", [(mode, ROUTINGS[mode]) for mode in _CHOSEN_HERE], page)
        self.experts = number_field("Number of experts", 0, _MAX_EXPERTS, page)
        self.experts.setMaximumWidth(16_777_215)
        self.experts.setToolTip("Superclasses of the project have one expert each; more experts are for those found")
        self.layers = number_field("Layers with experts", 1, VMOE_PRESETS["quick"].depth - 1, page)
        self.layers.setToolTip("The last ones of the model; they share one choice an image")
        self.active = number_field("Experts that compute", 1, 4, page)
        self.active.setToolTip("For each image; every one more costs as much as the first")
        self.epochs = number_field("Epochs", 1, _MAX_EPOCHS, page)
        self.epochs.setToolTip("How often each image is seen by the experts; the dense twin sees it less often before")
        self.seed = number_field("Seed", 0, MAX_SEED, page)
        self.seed.setToolTip("Two runs with the same seed and the same data end with the same model, on the CPU")
        self.upcycled = QCheckBox("Begin each expert as a copy of the dense twin's (upcycling)", page)
        self.shared = QCheckBox("A shared expert that always computes", page)
        self.shared.setToolTip("One more expert, whoever is chosen besides")
        self.on = QCheckBox("Go on from the experts in use", page)
        self.on.setToolTip("Without a new dense twin; else everything begins anew")

    def _lay_out(self) -> None:
        page = self.advanced
        grid = QGridLayout(page)
        grid.setContentsMargins(4, 4, 0, 0)
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(3, 1)
        wide = (("Name", self.title), ("Who chooses", self.routing), ("Experts", self.experts))
        for number, (name, widget) in enumerate(wide):
            grid.addWidget(label(name, "muted", page), number, 0)
            grid.addWidget(widget, number, 1, 1, 3)
        narrow = (("In layers", self.layers), ("An image", self.active), ("Epochs", self.epochs), ("Seed", self.seed))
        for place, (name, spin) in enumerate(narrow):
            row, column = 3 + place // 2, 2 * (place % 2)
            grid.addWidget(label(name, "muted", page), row, column)
            grid.addWidget(spin, row, column + 1)
        self.layers.setPrefix("the last ")
        self.active.setSuffix(" compute")
        boxes = QHBoxLayout()
        boxes.setSpacing(24)
        boxes.addWidget(self.shared)
        boxes.addWidget(self.on)
        boxes.addStretch()
        grid.addWidget(self.upcycled, 5, 0, 1, 4)
        grid.addLayout(boxes, 6, 0, 1, 4)

    @property
    def choice(self) -> ExpertsChoice:
        """What is chosen."""
        return self._choice

    def set_material(self, material: ExpertMaterial) -> None:
        """Say how many experts there will be where nobody says how many."""
        if material.num_superclasses:
            words = f"As many as your superclasses ({material.num_superclasses})"
        elif material.num_experts:
            words = f"As many as the classes ask for ({material.num_experts})"
        else:
            words = "As many as your superclasses"
        self.experts.setSpecialValueText(words)

    def _show(self, choice: ExpertsChoice) -> None:
        training = choice.training()
        self.presets.choose(choice.preset)
        self.title.setText(choice.title)
        self.title.setPlaceholderText(f"Experts, {choice.preset}")
        self.routing.setCurrentIndex(self.routing.findData(choice.routing))
        self.experts.setValue(choice.num_experts)
        self.layers.setValue(training.num_moe_layers)
        self.active.setValue(training.num_active)
        self.epochs.setValue(training.num_epochs)
        self.seed.setValue(choice.seed)
        self.upcycled.setChecked(training.is_upcycled)
        self.shared.setChecked(training.has_shared_expert)
        self.on.setChecked(choice.goes_on)

    def _on_preset(self, preset: Preset) -> None:
        with QSignalBlocker(self.epochs):  # the preset's until a person says otherwise
            self._show(replace(self._choice, preset=preset, num_epochs=0))
        self._on_changed()

    def _on_changed(self) -> None:
        before, preset = self._choice, VMOE_PRESETS[self.presets.preset]
        epochs, layers, active = self.epochs.value(), self.layers.value(), self.active.value()
        is_upcycled, has_shared = self.upcycled.isChecked(), self.shared.isChecked()
        self._choice = ExpertsChoice(
            preset=self.presets.preset,
            num_epochs=0 if epochs == preset.num_epochs else epochs,
            seed=self.seed.value(),
            routing=cast(RoutingMode, self.routing.currentData()),
            num_experts=self.experts.value(),
            num_moe_layers=0 if layers == preset.num_moe_layers else layers,
            num_active=0 if active == preset.num_active else active,
            is_upcycled=None if is_upcycled == preset.is_upcycled else is_upcycled,
            has_shared_expert=None if has_shared == preset.has_shared_expert else has_shared,
            goes_on=self.on.isChecked(),
            title=self.title.text(),
        )
        if self._choice != before:
            self.changed.emit()


def _epochs_words(preset: Preset) -> str:
    training = VMOE_PRESETS[preset]
    return f"{training.num_dense_epochs:,} + {training.num_epochs:,} epochs"
