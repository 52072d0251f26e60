"""Fields of the settings of a training, made alike for both kinds of model."""

from collections.abc import Sequence

from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget

MAX_SEED = 2**31 - 1
_WIDTH = 140


def name_field(parent: QWidget) -> QLineEdit:
    """Where a run is given a name."""
    line = QLineEdit(parent)
    line.setAccessibleName("Name of the run")
    line.setMaxLength(80)
    return line


def number_field(name: str, low: int, high: int, parent: QWidget) -> QSpinBox:
    """A whole number."""
    spin = QSpinBox(parent)
    spin.setRange(low, high)
    spin.setGroupSeparatorShown(True)
    _finish(spin, name)
    return spin


def share_field(name: str, low: float, high: float, step: float, parent: QWidget) -> QDoubleSpinBox:
    """A share with two digits."""
    spin = QDoubleSpinBox(parent)
    spin.setRange(low, high)
    spin.setSingleStep(step)
    spin.setDecimals(2)
    _finish(spin, name)
    return spin


def choice_field(name: str, entries: Sequence[tuple[str, str]], parent: QWidget) -> QComboBox:
    """One of several: (value, words)."""
    box = QComboBox(parent)
    box.setAccessibleName(name)
    for value, words in entries:
        box.addItem(words, value)
    return box


def _finish(spin: QSpinBox | QDoubleSpinBox, name: str) -> None:
    spin.setAccessibleName(name)
    spin.setMaximumWidth(_WIDTH)
    spin.lineEdit().setTextMargins(6, 0, 6, 0)  # a padding of the style sheet does not reach it
