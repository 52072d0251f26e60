"""Whether the new model may take the old one's place: the answer, its reasons, and the two buttons."""

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from locstudio.jobs.predictions import Gate
from locstudio.ui import theme
from locstudio.ui.plain_text import label, shown


@dataclass(frozen=True, slots=True)
class ShownGate:
    """A gate with the names of the two models, which of them is in use, if either is, and what uses it."""

    gate: Gate
    old_name: str
    new_name: str
    is_active: bool = False
    is_old_active: bool = True
    does: str = "Search, grounding and proposals use"


class GateCard(QFrame):
    """Shows one gate.

    Signals:
        activate_wanted: take the new model into use; True if against the gate.
        keep_wanted: the old model stays.
    """

    activate_wanted = Signal(bool)
    keep_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self._gate: ShownGate | None = None
        self._sign = QLabel(self)
        self._heading = label("", "heading")
        self._heading.setWordWrap(True)
        self._reasons = QWidget(self)
        self._reasons_column = QVBoxLayout(self._reasons)
        self._reasons_column.setContentsMargins(0, 0, 0, 0)
        self._reasons_column.setSpacing(3)
        self._lines: list[QLabel] = []
        self._more = QPushButton("Checks")
        self._more.setProperty("role", "flat")
        self._more.setCheckable(True)
        self._more.toggled.connect(lambda _: self._show_reasons())
        self._keep = QPushButton("Keep the old model")
        self._keep.setToolTip("Go on with the model in use; the new one stays in the list of checkpoints")
        self._keep.clicked.connect(self.keep_wanted)
        self._activate = QPushButton("Activate the new model")
        self._activate.clicked.connect(self._on_activate)
        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self._heading, 1)
        for button in (self._more, self._keep, self._activate):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            top.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 8)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self._reasons)
        theme.notifier.changed.connect(self._paint)
        self.hide()

    def set_gate(self, shown_gate: ShownGate | None) -> None:
        """Show a gate; what failed is always in sight, the rest is folded away."""
        self._gate = shown_gate
        self.setVisible(shown_gate is not None)
        if shown_gate is None:
            return
        gate, new = shown_gate.gate, shown(shown_gate.new_name, 32)
        if shown_gate.is_active:
            heading = f"{new} is the model in use."
        elif not shown_gate.is_old_active:
            heading = f"{new} against {shown(shown_gate.old_name, 32)}, which is not in use."
        elif gate.passed:
            heading = f"{new} may take the place of {shown(shown_gate.old_name, 32)}."
        else:
            heading = f"{new} should not take the place of {shown(shown_gate.old_name, 32)}."
        self._heading.setText(heading)
        can_change = shown_gate.is_old_active and not shown_gate.is_active
        self._keep.setVisible(can_change)
        self._activate.setVisible(can_change)
        self._activate.setText("Activate the new model" if gate.passed else "Activate it all the same")
        self._activate.setProperty("role", "primary" if gate.passed else "")
        self._activate.setToolTip(f"{shown_gate.does} the new model; you can roll back at any time")
        self._activate.style().polish(self._activate)
        self._fill_reasons()
        self._more.setChecked(False)
        self._show_reasons()
        self._paint()

    @property
    def heading(self) -> str:
        """The answer in words."""
        return self._heading.text()

    @property
    def reasons(self) -> list[str]:
        """What was checked, in words, each with its sign."""
        return [line.text() for line in self._lines]

    def set_busy(self, is_busy: bool) -> None:
        """While the model is being changed, neither button can be pressed."""
        self._activate.setEnabled(not is_busy)
        self._keep.setEnabled(not is_busy)

    def _fill_reasons(self) -> None:
        for line in self._lines:
            self._reasons_column.removeWidget(line)
            line.deleteLater()
        self._lines = []
        assert self._gate is not None
        for check in self._gate.gate.checks:
            sign, role = ("✓", "muted") if check.passed else ("✗", "danger")
            line = label(f"{sign}  {shown(check.sentence)}", role, self._reasons)
            line.setWordWrap(True)
            self._reasons_column.addWidget(line)
            self._lines.append(line)

    def _show_reasons(self) -> None:
        assert self._gate is not None
        is_open = self._more.isChecked()
        gate = self._gate.gate
        self._more.setText("Hide checks" if is_open else f"All {len(gate.checks)} checks")
        for line, check in zip(self._lines, gate.checks, strict=True):
            line.setVisible(is_open or not (check.passed or self._gate.is_active))
        self._reasons.setVisible(is_open or not (gate.passed or self._gate.is_active))

    def _on_activate(self) -> None:
        assert self._gate is not None
        self.activate_wanted.emit(not self._gate.gate.passed)

    def _paint(self) -> None:
        if self._gate is not None:
            look, passed = theme.current(), self._gate.gate.passed or self._gate.is_active
            self._sign.setText("✓" if passed else "✗")
            self._sign.setStyleSheet(
                f"color: {look.success if passed else look.danger}; font-weight: 600; font-size: 17px;"
            )
