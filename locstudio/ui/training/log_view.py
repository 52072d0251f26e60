"""What a run has said, in sentences, and the log of its process."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QSplitter, QVBoxLayout, QWidget

from locstudio.domain.text import shown
from locstudio.ui.plain_text import label

_MAX_LINES = 2000
_EMPTY_SAID = "The run has not said anything yet."
_EMPTY_LOG = "The process has written nothing to its log, which is how it should be."


class LogView(QWidget):
    """Two texts that follow their ends unless a person has scrolled away from it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._said = _Text("What the run has said", _EMPTY_SAID, self)
        self._log = _Text("Log of the process", _EMPTY_LOG, self)
        self._log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        copy = QPushButton("Copy all", self)
        copy.setToolTip("Copy both texts, as for a report of a problem")
        copy.clicked.connect(self.copy_all)
        head = QHBoxLayout()
        head.setContentsMargins(16, 8, 12, 4)
        head.addWidget(label("What the run has said", "section", self))
        head.addStretch()
        head.addWidget(copy)
        upper = _column(head, self._said)
        below = QHBoxLayout()
        below.setContentsMargins(16, 8, 12, 4)
        below.addWidget(label("Log of the process", "section", self))
        lower = _column(below, self._log)
        split = QSplitter(Qt.Orientation.Vertical, self)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(3)
        split.addWidget(upper)
        split.addWidget(lower)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(split)

    def set_said(self, lines: Sequence[str]) -> None:
        """Show the sentences of a run; more of the same are added below."""
        self._said.set_lines([shown(line, 600) for line in lines])

    def set_log(self, text: str) -> None:
        """Show the newest lines of the log."""
        self._log.set_lines(text.splitlines())

    def copy_all(self) -> None:
        """Put both texts on the clipboard."""
        QGuiApplication.clipboard().setText(f"{self._said.toPlainText()}\n\n{self._log.toPlainText()}".strip() + "\n")


class _Text(QPlainTextEdit):
    def __init__(self, name: str, empty: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._lines: list[str] = []
        self.setReadOnly(True)
        self.setAccessibleName(name)
        self.setPlaceholderText(empty)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.setTabChangesFocus(True)
        self.setProperty("role", "log")
        self.setMinimumHeight(60)

    def set_lines(self, lines: list[str]) -> None:
        lines = lines[-_MAX_LINES:]
        if lines == self._lines:
            return
        bar = self.verticalScrollBar()
        is_at_end = bar.value() >= bar.maximum() - 4
        if self._lines and lines[: len(self._lines)] == self._lines:
            self.appendPlainText("\n".join(lines[len(self._lines) :]))
        else:
            self.setPlainText("\n".join(lines))
        self._lines = lines
        if is_at_end:
            bar.setValue(bar.maximum())


def _column(head: QHBoxLayout, text: QWidget) -> QWidget:
    part = QWidget()
    column = QVBoxLayout(part)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addLayout(head)
    column.addWidget(text, 1)
    return part
