"""One geometry rule as a card: what it is about and how many break it; the whole card can be clicked."""

from dataclasses import dataclass

from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QRadioButton, QVBoxLayout, QWidget

from locstudio.ui.plain_text import label


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule as a person reads it.

    Attributes:
        name: The service's name of the rule.
        title: "Slivers".
        words: What breaks it, without numbers.
        fix: What the fix does, "Reject": the word on the button.
        effect: What the fix does in a sentence.
        count: How many break it now; None while they are counted.
        value: The threshold as it stands; None for a rule that has none.
        low: The smallest threshold.
        high: The largest.
        unit: Of the threshold, with ``{value}`` in its place: "thinner than 1 : {value}".
        decimals: Of the threshold as it is written.
    """

    name: str
    title: str
    words: str
    fix: str
    effect: str
    count: int | None = None
    value: float | None = None
    low: float = 0.0
    high: float = 1.0
    unit: str = "{value}"
    decimals: int = 2

    def threshold_words(self, value: float) -> str:
        """A threshold with its unit."""
        return self.unit.format(value=f"{value:.{self.decimals}f}")


class RuleCard(QFrame):
    """A radio button with the number of regions that break the rule."""

    def __init__(self, rule: ShownRule, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.rule = rule
        self.button = QRadioButton(rule.title, self)
        self.button.toggled.connect(self._on_toggled)
        self._count: QLabel = label("", "heading", self)
        words = label(rule.words, "muted", self)
        words.setWordWrap(True)
        head = QHBoxLayout()
        head.addWidget(self.button, 1)
        head.addWidget(self._count)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(words)
        self.show_rule(rule)

    def show_rule(self, rule: ShownRule) -> None:
        """Show how many break the rule now."""
        self.rule = rule
        count = "…" if rule.count is None else f"{rule.count:,}"
        self._count.setText(count)
        self.button.setAccessibleName(f"{rule.title}: {rule.words} {count}")

    def _on_toggled(self, is_on: bool) -> None:
        self.setProperty("chosen", is_on)
        self.style().unpolish(self)
        self.style().polish(self)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.button.setChecked(True)
        self.button.setFocus()
        event.accept()
