"""What narrows the gallery down: words, and one chip for every kind of condition, with counts."""

from collections.abc import Iterable
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from locstudio.domain.regions import LabelClass, Origin, Problem, Review
from locstudio.store.filters import Facets, ImageFilter
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.gallery.choice_chip import ChoiceChip
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label

_TYPING_PAUSE_MS = 200

REVIEW_WORDS = {Review.PENDING: "To review", Review.ACCEPTED: "Accepted", Review.REJECTED: "Rejected"}
ORIGIN_WORDS = {
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

        self._review = ChoiceChip("Review", self)
        self._origin = ChoiceChip("Origin", self)
        self._class = ChoiceChip("Class", self)
        self._problem = ChoiceChip("Problem", self)
        self._verified = ChoiceChip("Verified", self, is_exclusive=True)
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
        self._review.set_choices([(r, REVIEW_WORDS[r], facets.reviews.get(r, 0)) for r in Review])
        self._origin.set_choices([(o, ORIGIN_WORDS[o], facets.origins.get(o, 0)) for o in Origin])
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
