"""The head of a run: what it is, where it stands, how far it is, and what can be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.jobs.run_state import RunState
from locstudio.ui import theme
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown, tip
from locstudio.ui.training.run_list import RunRow

_RESUMABLE = (RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED)
_SIGN_SIDE = 20
_SILENT = "It has not said a word for more than a minute. Wait, or end its process: it can be resumed."


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the head tells of a run: its row, and short facts such as "CPU, 2 cores" or "612 regions of 140 images".

    ``can_resume`` says whether there is a checkpoint or a beginning to go on from.
    """

    row: RunRow
    facts: Sequence[str] = ()
    can_resume: bool = True
    has_epochs: bool = True


class RunHead(QFrame):
    """Shows one run and emits wishes about it.

    Signals:
        stop_wanted, stop_after_epoch_wanted, end_wanted, resume_wanted: of the run that is shown.
    """

    stop_wanted = Signal()
    stop_after_epoch_wanted = Signal()
    end_wanted = Signal()
    resume_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "head")
        self._shown: RunFacts | None = None
        self._sign = QLabel(self)
        self._sign.setFixedSize(_SIGN_SIDE, _SIGN_SIDE)
        self._title = label("", "heading", self)
        self._words = label("", "", self)
        self._words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._facts = label("", "muted", self)
        self._facts.setWordWrap(True)
        self._facts.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._sentence = label("", "", self)
        self._sentence.setWordWrap(True)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Progress of the run")
        self._resume = self._button("Resume", "Go on exactly where the run has stopped", self.resume_wanted)
        self._resume.setProperty("role", "primary")
        self._stop = self._button("Stop now", "Stop after this step; the run can be resumed", self.stop_wanted)
        self._more = QToolButton(self)
        self._more.setAccessibleName("Other ways to stop")
        self._more.setToolTip("Other ways to stop")
        self._more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        drawn.follow(self._more, "menu")
        menu = QMenu(self._more)
        self._epoch = menu.addAction("Stop after this epoch")
        self._epoch.triggered.connect(self.stop_after_epoch_wanted)
        self._end = menu.addAction("End the process at once")
        self._end.triggered.connect(self.end_wanted)
        self._more.setMenu(menu)
        self._end_button = self._button(
            "End it", "The run has not said a word for a minute: end its process; it can be resumed", self.end_wanted
        )
        self._lay_out()
        theme.notifier.changed.connect(self._draw_sign)
        self.show_run(None)

    def _button(self, text: str, sentence: str, wish: SignalInstance) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(sentence)
        button.clicked.connect(wish)
        return button

    def _lay_out(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(3)
        words.addWidget(self._title)
        words.addWidget(self._words)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self._resume, self._stop, self._end_button, self._more):
            buttons.addWidget(button)
        top = QHBoxLayout()
        top.setSpacing(10)
        top.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        top.addLayout(words, 1)
        top.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 12, 8)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self._bar)
        column.addWidget(self._sentence)
        column.addWidget(self._facts)

    @property
    def text(self) -> str:
        """Where the run stands, as it reads now."""
        return self._words.text()

    def show_run(self, shown_run: RunFacts | None) -> None:
        """Show a run, or nothing."""
        self._shown = shown_run
        self.setVisible(shown_run is not None)
        if shown_run is None:
            return
        row = shown_run.row
        self._title.setText(shown(row.title))
        self._title.setToolTip(tip(f"{row.title} ({row.id})"))
        self._words.setText(shown(row.words(), 200))
        self._words.setToolTip(tip(row.words()))
        self._facts.setText("   ·   ".join(shown(fact, 80) for fact in shown_run.facts))
        self._facts.setVisible(bool(shown_run.facts))
        sentence = row.sentence or (_SILENT if row.is_live and row.is_silent else "")
        self._sentence.setText(shown(sentence, 600))
        self._sentence.setVisible(bool(sentence))
        self._sentence.setProperty("role", "danger" if row.state is RunState.FAILED else "")
        self._sentence.style().unpolish(self._sentence)
        self._sentence.style().polish(self._sentence)
        self._show_bar(row)
        is_running = row.state is RunState.RUNNING
        self._stop.setVisible(row.is_live and not row.is_silent)
        self._stop.setEnabled(row.state is not RunState.STOPPING)
        self._stop.setText("Stop now" if is_running else "Stopping…" if row.state is RunState.STOPPING else "Cancel")
        self._end_button.setVisible(row.is_live and row.is_silent)
        self._epoch.setEnabled(is_running)
        self._epoch.setVisible(shown_run.has_epochs)
        self._more.setVisible(row.is_live)
        self._resume.setVisible((row.state in _RESUMABLE or row.is_unstarted) and shown_run.can_resume)
        self._resume.setText("Start" if row.is_unstarted else "Resume")
        self._draw_sign()

    def _show_bar(self, row: RunRow) -> None:
        self._bar.setVisible(row.is_live)
        if row.share is None:
            self._bar.setRange(0, 0 if row.state is RunState.RUNNING else 1)
        else:
            self._bar.setRange(0, 1000)
            self._bar.setValue(round(1000 * row.share))

    def _draw_sign(self) -> None:
        if self._shown is not None:
            name, role = self._shown.row.sign()
            self._sign.setPixmap(drawn.pixmap(name, _SIGN_SIDE, getattr(theme.current(), role)))
