"""Boxes that break a rule of geometry: how many, which, from which threshold on, and the fix in one click."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from locstudio.domain.text import counted
from locstudio.ui.curation.rule_card import RuleCard, ShownRule
from locstudio.ui.curation.veto_grid import VetoGrid, VetoModel
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.plain_text import label, shown
from locstudio.ui.search.hits_model import HitItem

_SIZE = QSize(1060, 680)
_CARDS_WIDTH = 272
_STEPS = 200


class GeometrySheet(QDialog):
    """Shows the rules and what breaks the chosen one.  It stays open from fix to fix; each is a step of its own.

    Signals:
        rule_chosen: the name of the rule whose items are to be shown.
        threshold_changed: the name of a rule and its new threshold, at every step of a drag.
        fix_wanted: the name of the rule and rows of the pool.
        place_wanted: a ``HitItem`` to open in its image; the sheet closes itself.
    """

    rule_chosen = Signal(str)
    threshold_changed = Signal(str, float)
    fix_wanted = Signal(str, object)
    place_wanted = Signal(object)

    def __init__(
        self,
        rules: Sequence[ShownRule],
        crops: PictureLoader,
        thumbnail_of: Callable[[int], QPixmap | None] = lambda _: None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Geometry rules")
        self.setAccessibleName("Geometry rules")
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self._is_fresh = False
        self._model = VetoModel(self)
        self._model.taken_changed.connect(self._say)
        self.grid = VetoGrid(self._model, crops, thumbnail_of, self)
        self.grid.opened.connect(self._on_opened)
        self._group = QButtonGroup(self)
        self._cards = {rule.name: RuleCard(rule, self) for rule in rules}
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(10)
        column.addWidget(label("Geometry rules", "title", self))
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addLayout(self._make_cards())
        row.addLayout(self._make_items(), 1)
        column.addLayout(row, 1)
        column.addLayout(self._make_buttons())
        self.resize(_SIZE)
        first = next((card for card in self._cards.values() if card.rule.count), next(iter(self._cards.values())))
        first.button.setChecked(True)
        first.button.setFocus()

    # building ---------------------------------------------------------------------------------------------------

    def _make_cards(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(8)
        for card in self._cards.values():
            card.setFixedWidth(_CARDS_WIDTH)
            self._group.addButton(card.button)
            card.button.toggled.connect(lambda is_on: self._on_chosen() if is_on else None)
            column.addWidget(card)
        column.addStretch(1)
        return column

    def _make_items(self) -> QVBoxLayout:
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, _STEPS)
        self._slider.setAccessibleName("Threshold of the rule")
        self._slider.setMinimumWidth(160)
        self._slider.valueChanged.connect(self._on_slid)
        self._threshold = label("", "", self)
        self._threshold.setMinimumWidth(190)
        self._no_threshold = label("This rule has no threshold.", "muted", self)
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(self._threshold)
        top.addWidget(self._slider, 1)
        top.addWidget(self._no_threshold, 1)
        frame = QFrame(self)
        frame.setProperty("role", "plot")
        inner = QVBoxLayout(frame)
        inner.setContentsMargins(2, 2, 2, 2)
        inner.addWidget(self.grid)
        column = QVBoxLayout()
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(frame, 1)
        return column

    def _make_buttons(self) -> QHBoxLayout:
        self._effect = label("", "muted", self)
        self._effect.setWordWrap(True)
        self._effect.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        done = QPushButton("Close", self)
        done.setAutoDefault(False)
        done.clicked.connect(self.reject)
        self._fix = QPushButton(self)
        self._fix.setProperty("role", "primary")
        self._fix.setDefault(True)
        self._fix.setToolTip("One step, which Ctrl+Z takes back (Enter)")
        self._fix.clicked.connect(self._on_fix)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._effect, 1)
        row.addWidget(done)
        row.addWidget(self._fix)
        return row

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def rule(self) -> ShownRule:
        """The rule that is chosen."""
        return next(card.rule for card in self._cards.values() if card.button.isChecked())

    @property
    def tiles(self) -> VetoModel:
        """What breaks the rule, with what was said of each."""
        return self._model

    @property
    def effect(self) -> str:
        """What the sheet says that the fix would do."""
        return self._effect.text()

    @property
    def can_fix(self) -> bool:
        """Whether Enter would change something."""
        return self._fix.isEnabled()

    def choose_rule(self, name: str) -> None:
        """Show what breaks this rule."""
        self._cards[name].button.setChecked(True)

    def show_rules(self, rules: Sequence[ShownRule]) -> None:
        """Show how many break each rule now."""
        for rule in rules:
            self._cards[rule.name].show_rule(rule)
        self._say()

    def show_items(self, name: str, hits: Sequence[HitItem], rows: NDArray[np.int64]) -> None:
        """Show what breaks a rule, if it is still the chosen one."""
        if name != self.rule.name:
            return
        self._rows, self._is_fresh = rows, True
        self.grid.set_empty_text("Nothing breaks this rule.")
        self._model.set_hits(hits, len(hits))

    def set_busy(self) -> None:
        """What is shown is being read anew: nothing can be fixed until it is here."""
        self._is_fresh = False
        self._say()

    def _on_chosen(self) -> None:
        rule = self.rule
        has_threshold = rule.value is not None
        self._slider.setVisible(has_threshold)
        self._threshold.setVisible(has_threshold)
        self._no_threshold.setVisible(not has_threshold)
        if rule.value is not None:
            self._slider.blockSignals(True)
            self._slider.setValue(round(_STEPS * (rule.value - rule.low) / (rule.high - rule.low)))
            self._slider.blockSignals(False)
            self._threshold.setText(rule.threshold_words(rule.value))
        self._is_fresh = False
        self.grid.set_empty_text("…")
        self._model.set_hits((), 0)
        self._say()
        self.rule_chosen.emit(rule.name)

    def _on_slid(self, step: int) -> None:
        rule = self.rule
        value = rule.low + (rule.high - rule.low) * step / _STEPS
        self._threshold.setText(rule.threshold_words(value))
        self._is_fresh = False
        self._say()
        self.threshold_changed.emit(rule.name, value)

    def _say(self) -> None:
        rule, taken, vetoed = self.rule, self._model.num_taken, self._model.num_vetoed
        left_out = f" {counted(vetoed, 'tile')} left out." if vetoed else ""
        hint = " Click or Space leaves a tile out." if taken and not vetoed else ""
        self._effect.setText(f"{shown(rule.effect)}{left_out}{hint}")
        self._fix.setText(f"{rule.fix} {taken:,}" if taken else rule.fix)
        self._fix.setEnabled(self._is_fresh and taken > 0)

    # wishes -----------------------------------------------------------------------------------------------------

    def _on_fix(self) -> None:
        rows = self._rows[self._model.taken()]
        self.set_busy()
        self.fix_wanted.emit(self.rule.name, rows)

    def _on_opened(self, hit: HitItem) -> None:
        self.reject()
        self.place_wanted.emit(hit)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter fixes wherever the keys are; Esc closes."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._fix.click()
            return
        super().keyPressEvent(event)
