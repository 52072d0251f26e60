"""The presets of a training side by side, one of them chosen."""

from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QWidget

from locstudio.jobs.configs import Preset
from locstudio.ui.training.preset_card import PresetCard


class PresetRow(QWidget):
    """Shows cards.

    Signals:
        chosen: the ``Preset`` that a person has gone to.
    """

    chosen = Signal(str)

    def __init__(self, words: Mapping[Preset, tuple[str, str, str]], parent: QWidget) -> None:
        """``words`` are title, sentence and detail of each preset."""
        super().__init__(parent)
        self.cards: dict[Preset, PresetCard] = {}
        group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for name, (title, sentence, detail) in words.items():
            card = PresetCard(title, sentence, detail, self)
            card.button.toggled.connect(lambda is_on, preset=name: self.chosen.emit(preset) if is_on else None)
            group.addButton(card.button)
            self.cards[name] = card
            row.addWidget(card, 1)

    @property
    def preset(self) -> Preset:
        """The preset that is chosen."""
        return next((name for name, card in self.cards.items() if card.button.isChecked()), "quick")

    def choose(self, preset: Preset) -> None:
        """Choose a preset."""
        self.cards[preset].button.setChecked(True)
