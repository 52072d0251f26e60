"""The sheet of all keys (F1 or ?), built from the table of actions."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui.actions import key_table
from locstudio.ui.plain_text import label

_NUM_COLUMNS = 2


class KeySheet(QDialog):
    """Every key and what it does, by group."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.setAccessibleName("Keys of LocStudio")
        sheet = QWidget()
        columns = QHBoxLayout(sheet)
        columns.setContentsMargins(24, 20, 24, 20)
        columns.setSpacing(40)
        stacks = [QVBoxLayout() for _ in range(_NUM_COLUMNS)]
        lengths = [0] * _NUM_COLUMNS
        for group, rows in sorted(key_table(), key=lambda entry: -len(entry[1])):
            shortest = lengths.index(min(lengths))
            lengths[shortest] += len(rows) + 2
            stacks[shortest].addWidget(_group(group, rows))
        for stack in stacks:
            stack.addStretch()
            columns.addLayout(stack, 1)
        scroll = QScrollArea(self)
        scroll.setWidget(sheet)
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        scroll.setAccessibleName("List of keys")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.button(QDialogButtonBox.StandardButton.Close).setIcon(QIcon())
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 12)
        column.addWidget(scroll, 1)
        row = QHBoxLayout()
        row.setContentsMargins(24, 0, 24, 0)
        row.addWidget(buttons)
        column.addLayout(row)
        self.resize(880, 680)


def _group(title: str, rows: list[tuple[str, str]]) -> QWidget:
    group = QWidget()
    group.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
    grid = QGridLayout(group)
    grid.setContentsMargins(0, 0, 0, 20)
    grid.setHorizontalSpacing(16)
    grid.setVerticalSpacing(5)
    grid.addWidget(label(title, "section"), 0, 0, 1, 2)
    for number, (keys, words) in enumerate(rows, 1):
        key = label(keys, "heading")
        grid.addWidget(key, number, 0, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        text = label(words, "muted")
        text.setWordWrap(True)
        grid.addWidget(text, number, 1)
    grid.setColumnMinimumWidth(0, 150)
    grid.setColumnStretch(1, 1)
    return group
