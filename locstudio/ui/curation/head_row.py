"""The head of the curation page: Propose, the run that goes on, how far the review is, and the tools for all of it."""

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.services.curation.progress import ReviewProgress
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.indexing import in_words
from locstudio.ui.plain_text import label, shown

_NOTHING_YET = "Nothing to review yet"


class HeadRow(QFrame):
    """Shows how far things are and emits wishes about the whole.

    Signals:
        stop_wanted: stop proposing after this image.
        command_wanted: a ``CurationCommand`` for the whole: phrases, geometry, canvas.
    """

    stop_wanted = Signal()
    command_wanted = Signal(object)

    def __init__(self, propose: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "head")
        self._propose = QToolButton(self)
        self._propose.setDefaultAction(propose)
        self._propose.setProperty("role", "button")
        self._propose.setAccessibleName("Propose regions")
        self._propose.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._propose.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._run = self._make_run()
        self._words = label(_NOTHING_YET, "heading", self)
        self._details = label("", "muted", self)
        self._details.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._bar = QProgressBar(self)
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Share of the items that are decided")
        first = QHBoxLayout()
        first.setSpacing(10)
        first.addWidget(self._words)
        first.addWidget(self._details, 1)
        progress = QVBoxLayout()
        progress.setSpacing(4)
        progress.addLayout(first)
        progress.addWidget(self._bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(16)
        row.addWidget(self._propose)
        row.addWidget(self._run)
        row.addLayout(progress, 1)
        tools = QHBoxLayout()
        tools.setSpacing(6)
        for command, text, hint in (
            (CurationCommand.PHRASES, "Phrases…", "Merge synonyms, and give phrases a class"),
            (CurationCommand.GEOMETRY, "Geometry…", "Slivers, tiny, nested and double boxes, fixed together"),
            (CurationCommand.CANVAS, "Canvas pass", "Go on image by image on the canvas"),
        ):
            button = QPushButton(text, self)
            button.setToolTip(hint)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(partial(self._want, command))
            tools.addWidget(button)
        row.addLayout(tools)

    def _want(self, command: CurationCommand, _is_checked: bool = False) -> None:
        self.command_wanted.emit(command)

    def _make_run(self) -> QWidget:
        part = QWidget(self)
        self._run_words = label("", "muted", part)
        self._run_bar = QProgressBar(part)
        self._run_bar.setTextVisible(False)
        self._run_bar.setFixedWidth(90)
        self._run_bar.setAccessibleName("Progress of the proposals")
        self._stop = QPushButton("Stop", part)
        self._stop.setProperty("role", "flat")
        self._stop.setAccessibleName("Stop proposing")
        self._stop.setToolTip("Stop after this image; what is proposed so far is kept")
        self._stop.clicked.connect(self.stop_wanted)
        row = QHBoxLayout(part)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for widget in (self._run_words, self._run_bar, self._stop):
            row.addWidget(widget)
        part.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        part.hide()
        return part

    def set_run(self, words: str, share: float) -> None:
        """Show the run that proposes and how far it is (negative: nobody knows); empty words hide it."""
        self._run.setVisible(bool(words))
        self._run_words.setText(shown(words.removeprefix("Proposing: ")))  # it stands beside the button
        if share < 0:
            self._run_bar.setRange(0, 0)
        else:
            self._run_bar.setRange(0, 1000)
            self._run_bar.setValue(round(1000 * share))

    def set_progress(self, progress: ReviewProgress) -> None:
        """Show how far the review is."""
        total, decided = progress.total, progress.decided
        self._bar.setValue(round(1000 * decided / total) if total else 0)
        if not total:
            self._words.setText(_NOTHING_YET)
            self._details.setText("")
            return
        self._words.setText(f"{decided:,} of {total:,} decided")
        parts = [f"{progress.accepted:,} accepted", f"{progress.rejected:,} rejected"]
        if progress.per_minute > 0:
            parts.append(f"{progress.per_minute:.0f} a minute")
        if decided < total and progress.seconds_left > 0:
            parts.append(f"about {in_words(progress.seconds_left)} left")
        self._details.setText(" · ".join(parts))

    @property
    def words(self) -> str:
        """What is said of the review."""
        return f"{self._words.text()} {self._details.text()}".strip()

    @property
    def run_words(self) -> str:
        """What is said of the run; empty when there is none."""
        return "" if self._run.isHidden() else self._run_words.text()
