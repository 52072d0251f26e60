"""What the sheets of import and export have in common: rows, and a bar that says what speaks against starting."""

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui import theme
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown

_WIDTH = 640
_NUM_COLUMNS = 4
"""A name, what grows, and up to two buttons."""


class TransferSheet(QDialog):
    """A dialog that is as high as its words, and that can be started while nothing speaks against it."""

    def __init__(self, title: str, words: str, promise: str, act: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.start = QPushButton(act, self)
        self.start.setProperty("role", "primary")
        self.start.setDefault(True)
        sentence = label(words, "muted", self)
        sentence.setWordWrap(True)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(24, 20, 24, 16)
        self.column.setSpacing(10)
        self.column.addWidget(label(title, "title", self))
        self.column.addWidget(sentence)
        self.column.addSpacing(4)
        self.grid = QGridLayout()
        self.grid.setHorizontalSpacing(8)
        self.grid.setVerticalSpacing(8)
        self.grid.setColumnStretch(1, 1)
        self.column.addLayout(self.grid)
        self._problem_box = self._make_problem()
        self._buttons = self._make_buttons(promise)
        self.column.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # the height follows the words, see event
        self.setFixedWidth(_WIDTH)
        theme.notifier.changed.connect(self._draw_sign)
        self._draw_sign()

    def finish(self) -> None:
        """Put what stands below the rows, once they are there."""
        self.column.addWidget(self._problem_box)
        self.column.addStretch()
        self.column.addLayout(self._buttons)

    def add_row(self, name: str, *widgets: QWidget) -> None:
        """A row of the grid: a name, a widget that grows, and up to two buttons behind it."""
        number = self.grid.rowCount()
        field, *buttons = widgets
        self.grid.addWidget(label(name, "muted", self), number, 0)
        self.grid.addWidget(field, number, 1, 1, _NUM_COLUMNS - 1 - len(buttons))
        for place, button in enumerate(buttons, _NUM_COLUMNS - len(buttons)):
            self.grid.addWidget(button, number, place)

    def add_words(self) -> QLabel:
        """A line of words under the row above."""
        words = label("", "muted", self)
        words.setWordWrap(True)
        self.grid.addWidget(words, self.grid.rowCount(), 1, 1, _NUM_COLUMNS - 1)
        return words

    @property
    def problem(self) -> str:
        """What speaks against it; empty for nothing."""
        return "" if self._problem_box.isHidden() else self._problem.text()

    @property
    def can_start(self) -> bool:
        """Whether nothing speaks against it."""
        return self.start.isEnabled()

    def show_problem(self, problem: str, *, is_said: bool = True) -> None:
        """Allow to start, or say why not; ``is_said`` is False for what the person can see herself."""
        self._problem.setText(shown(problem, 400))
        self._problem_box.setVisible(bool(problem) and is_said)
        self.start.setEnabled(not problem)

    def _make_problem(self) -> QWidget:
        box = QFrame(self)
        box.setProperty("role", "bar")
        box.hide()
        self._sign = label("", "", box)
        self._problem = label("", "", box)
        self._problem.setWordWrap(True)
        row = QHBoxLayout(box)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(10)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._problem, 1)
        return box

    def _make_buttons(self, promise: str) -> QHBoxLayout:
        words = label(promise, "muted", self)
        words.setWordWrap(True)
        cancel = QPushButton("Cancel", self)
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(words, 1)
        row.addWidget(cancel)
        row.addWidget(self.start)
        return row

    def _draw_sign(self) -> None:
        self._sign.setPixmap(drawn.pixmap("warning", 18, theme.current().warning))

    def event(self, event: QEvent) -> bool:
        """The sheet is as high as what it says, and shrinks with it."""
        is_laid_out = event.type() == QEvent.Type.LayoutRequest  # asked before: another event may end the sheet
        is_done = super().event(event)
        if is_laid_out:
            self.resize(_WIDTH, self.column.totalHeightForWidth(_WIDTH))
        return is_done
