"""What narrows the gallery down: words, and one chip for every kind of condition, with counts."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QMouseEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from locstudio.domain.regions import LabelClass, Origin, Problem, Review
from locstudio.store.filters import Facets, ImageFilter
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label, shown

_TYPING_PAUSE_MS = 200

_REVIEW_WORDS = {Review.PENDING: "To review", Review.ACCEPTED: "Accepted", Review.REJECTED: "Rejected"}
_ORIGIN_WORDS = {
    Origin.HUMAN: "Drawn by hand",
    Origin.IMPORTED: "Imported",
    Origin.MODEL: "Proposed by a model",
    Origin.EDITED: "Edited",
}


class FilterBar(QFrame):
    """Makes an ``ImageFilter`` out of what a person ticks and types.

    Signals:
        filter_changed: the new filter; typing is announced after a short pause.
    """

    filter_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._filter = ImageFilter()
        self._words = QLineEdit(self)
        self._words.setPlaceholderText("Filter by name, phrase or caption")
        self._words.setAccessibleName("Filter images by words")
        self._words.setClearButtonEnabled(True)
        lens = QAction(self._words)
        drawn.follow(lens, "filter")
        self._words.addAction(lens, QLineEdit.ActionPosition.LeadingPosition)
        self._pause = QTimer(self, interval=_TYPING_PAUSE_MS, singleShot=True)
        self._pause.timeout.connect(self._announce)
        self._words.textChanged.connect(lambda: self._pause.start())
        self._words.returnPressed.connect(self._announce)

        self._review = _Chip("Review", self)
        self._origin = _Chip("Origin", self)
        self._class = _Chip("Class", self)
        self._problem = _Chip("Problem", self)
        self._verified = _Chip("Verified", self, is_exclusive=True)
        self._chips = (self._review, self._origin, self._class, self._problem, self._verified)
        chips = FlowLayout()
        for chip in self._chips:
            chip.changed.connect(self._announce)
            chips.addWidget(chip)

        self._count = label("", "heading", self)
        self._clear = QPushButton("Clear filter", self)
        self._clear.setProperty("role", "flat")
        self._clear.clicked.connect(self.clear)
        self._clear.hide()
        foot = QHBoxLayout()
        foot.addWidget(self._count)
        foot.addStretch()
        foot.addWidget(self._clear)

        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 4)
        column.setSpacing(8)
        column.addWidget(self._words)
        column.addLayout(chips)
        column.addLayout(foot)
        self.set_facets(Facets(0, 0, 0), [])

    @property
    def filter(self) -> ImageFilter:
        """The filter as it was last announced."""
        return self._filter

    def set_facets(self, facets: Facets, classes: Iterable[LabelClass]) -> None:
        """Show how many images meet each condition; ticks stay as they are."""
        self._review.set_choices([(r, _REVIEW_WORDS[r], facets.reviews.get(r, 0)) for r in Review])
        self._origin.set_choices([(o, _ORIGIN_WORDS[o], facets.origins.get(o, 0)) for o in Origin])
        names = {entry.id: entry.name for entry in classes}
        counted = sorted(((n, names[key], key) for key, n in facets.classes.items() if key in names), reverse=True)
        self._class.set_choices([(key, name, n) for n, name, key in counted])
        problems = [(p, p.capitalize(), facets.problems[p]) for p in Problem if p and facets.problems.get(p)]
        self._problem.set_choices(problems)
        num_open = facets.num_images - facets.num_verified
        self._verified.set_choices([(True, "Verified", facets.num_verified), (False, "Not verified", num_open)])

    def set_count(self, num_shown: int, num_all: int) -> None:
        """Say how many images pass."""
        word = "image" if num_all == 1 else "images"
        if num_shown == num_all:
            self._count.setText(f"{num_all:,} {word}")
        else:
            self._count.setText(f"{num_shown:,} of {num_all:,} {word}")

    def clear(self) -> None:
        """Let every image pass."""
        with QSignalBlocker(self._words):
            self._words.clear()
        for chip in self._chips:
            chip.clear()
        self._announce()

    def set_class(self, class_id: int) -> None:
        """Let only images with a region of this class pass, whatever else was chosen."""
        for chip in self._chips:
            chip.clear()
        self._class.tick(class_id)
        self._announce()

    def _announce(self) -> None:
        self._pause.stop()
        verified = self._verified.ticked()
        wanted = replace(
            self._filter,
            reviews=frozenset(self._review.ticked()),
            origins=frozenset(self._origin.ticked()),
            class_ids=frozenset(self._class.ticked()),
            problems=frozenset(self._problem.ticked()),
            is_verified=verified[0] if verified else None,
            words=self._words.text().strip(),
        )
        self._clear.setVisible(wanted != ImageFilter(order=wanted.order))
        if wanted != self._filter:
            self._filter = wanted
            self.filter_changed.emit(wanted)


class _Menu(QMenu):
    """Stays open while a person ticks several entries."""

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        action = self.activeAction()
        if action is not None and action.isCheckable() and action.isEnabled():
            action.trigger()
            event.accept()
            return
        super().mouseReleaseEvent(event)


class _Chip(QToolButton):
    """One kind of condition: a button that says what is ticked, and a menu of what can be.

    Signals:
        changed: a person ticked or unticked something.
    """

    changed = Signal()

    def __init__(self, title: str, parent: QWidget, *, is_exclusive: bool = False) -> None:
        super().__init__(parent)
        self._title = title
        self._is_exclusive = is_exclusive
        self._ticked: list[Any] = []
        self._choices: Sequence[tuple[Any, str, int]] = ()
        self._menu = _Menu(self)
        self._menu.setStyleSheet("QMenu { menu-scrollable: 1; }")
        self._menu.aboutToShow.connect(self._fill_menu)
        self.setProperty("role", "chip")
        self.setCheckable(True)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() - 1)
        self.setFont(font)
        self.setMenu(self._menu)
        self._say()

    def set_choices(self, choices: Sequence[tuple[Any, str, int]]) -> None:
        """What can be ticked: value, words, number of images."""
        self._choices = [choice for choice in choices if choice[2] or choice[0] in self._ticked]
        self.setVisible(bool(self._choices))
        self._say()

    def ticked(self) -> list[Any]:
        """The values that are ticked."""
        return list(self._ticked)

    def tick(self, value: Any) -> None:
        """Tick one more value without announcing it."""
        self._ticked = [value] if self._is_exclusive else [*self._ticked, value]
        self._say()

    def clear(self) -> None:
        """Untick everything without announcing it."""
        self._ticked = []
        self._say()

    def _fill_menu(self) -> None:
        self._menu.clear()
        for value, words, count in self._choices:
            action = self._menu.addAction(f"{action_text(words)}\t{count:,}")
            action.setCheckable(True)
            action.setChecked(value in self._ticked)
            action.toggled.connect(lambda is_on, v=value: self._on_toggled(v, is_on))

    def _on_toggled(self, value: Any, is_on: bool) -> None:
        if is_on:
            self.tick(value)
        else:
            self._ticked = [ticked for ticked in self._ticked if ticked != value]
        if self._is_exclusive:
            for action, (choice, _, _) in zip(self._menu.actions(), self._choices, strict=True):
                action.blockSignals(True)
                action.setChecked(choice in self._ticked)
                action.blockSignals(False)
        self._say()
        self.changed.emit()

    def _say(self) -> None:
        words = [shown(text) for value, text, _ in self._choices if value in self._ticked]
        if not self._ticked:
            text = self._title
        elif len(self._ticked) == 1 and words:
            text = words[0] if len(words[0]) <= 18 else f"{words[0][:17]}…"
        else:
            text = f"{self._title}: {len(self._ticked)}"
        self.setText(action_text(text) + " ▾")
        self.setAccessibleName(f"Filter by {self._title.lower()}" + (f": {', '.join(words)}" if words else ""))
        self.setChecked(bool(self._ticked))
