"""The first page: recent projects, open something, or look at the demo."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label, shown, tip

_MAX_RECENT = 6


class WelcomePage(QFrame):
    """What is shown while no project is open.

    Signals:
        demo_wanted, project_wanted, folder_wanted: a person chose how to begin.
        recent_chosen: the path of a project she had open before.
    """

    demo_wanted = Signal()
    project_wanted = Signal()
    folder_wanted = Signal()
    recent_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Welcome")
        self._logo = QLabel(self)
        self._logo.setFixedSize(48, 48)
        theme.notifier.changed.connect(self._draw_logo)
        self._draw_logo()
        card = QFrame(self)
        card.setProperty("role", "card")
        card.setFixedWidth(560)
        card.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Maximum)
        column = QVBoxLayout(card)
        column.setContentsMargins(32, 28, 32, 28)
        column.setSpacing(8)
        head = QHBoxLayout()
        head.setSpacing(16)
        head.addWidget(self._logo)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(label("LocStudio", "title"))
        words.addWidget(label("Draw a box, find the same thing everywhere.", "muted"))
        head.addLayout(words, 1)
        column.addLayout(head)
        column.addSpacing(12)
        self._demo = QPushButton("Open the demo project", card)
        self._demo.setProperty("role", "primary")
        self._demo.setMinimumHeight(34)
        self._folder = QPushButton("Open a folder of images…", card)
        self._project = QPushButton("Open a project…", card)
        self._demo.clicked.connect(self.demo_wanted)
        self._folder.clicked.connect(self.folder_wanted)
        self._project.clicked.connect(self.project_wanted)
        column.addWidget(self._demo)
        row = QHBoxLayout()
        row.setSpacing(8)
        for button in (self._folder, self._project):
            button.setMinimumHeight(30)
            row.addWidget(button)
        column.addLayout(row)
        self._recent_title = label("Recent projects", "section")
        column.addSpacing(12)
        column.addWidget(self._recent_title)
        self._recent_buttons: list[QPushButton] = []
        self._recent = QVBoxLayout()
        self._recent.setSpacing(0)
        column.addLayout(self._recent)
        column.addSpacing(4)
        promise = label("Images stay where they are, unchanged. Everything is saved as you work.", "muted")
        promise.setWordWrap(True)
        column.addWidget(promise)
        page = QVBoxLayout(self)
        page.addStretch(2)
        page.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        page.addStretch(3)
        self.set_recent(())

    def set_recent(self, paths: Sequence[str]) -> None:
        """Show the projects that were open before, newest first."""
        for button in self._recent_buttons:
            button.deleteLater()
        self._recent_buttons = []
        for path in paths[:_MAX_RECENT]:
            place = Path(path)
            button = QPushButton(action_text(f"{shown(place.name, 40)}   –   {shown(str(place.parent), 48)}"), self)
            button.setProperty("role", "link")
            button.setToolTip(tip(path))
            drawn.follow(button, "folder")
            button.clicked.connect(lambda _=False, chosen=path: self.recent_chosen.emit(chosen))
            self._recent.addWidget(button)
            self._recent_buttons.append(button)
        self._recent_title.setVisible(bool(paths))

    def focus_first(self) -> None:
        """Give the keyboard to the first choice."""
        self._demo.setFocus()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.current().canvas))
        painter.end()
        super().paintEvent(event)

    def _draw_logo(self) -> None:
        self._logo.setPixmap(drawn.pixmap("logo", 48, theme.current().accent))
