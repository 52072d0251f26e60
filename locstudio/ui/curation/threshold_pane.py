"""The left of the curation page: two sliders that act at once on everything proposed, and the phrases that are left."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget

from locstudio.ui import theme
from locstudio.ui.curation.phrase_list import PhraseList
from locstudio.ui.plain_text import label

STEPS = 100
"""Steps of a slider: two digits after the point."""

_HANDLE = 12  # px, as in style.qss
_BARS = 50


class ThresholdPane(QFrame):
    """Shows what the thresholds let through and emits where they are put.

    Signals:
        min_score_changed: the least score of what is shown.
        max_overlap_changed: how much two boxes of one phrase may overlap before the better one hides the other.
        phrases_changed: the phrases that are ticked, as a frozenset; empty for all.
    """

    min_score_changed = Signal(float)
    max_overlap_changed = Signal(float)
    phrases_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(200)
        self.spread = ScoreSpread(self)
        self.score = _slider("Confidence", "Show only what the model is at least so sure of", self)
        self.overlap = _slider(
            "Overlap", "How much boxes of one phrase may overlap before only the best is shown", self
        )
        self._score_value, self._score_count = label("", "heading"), label("", "muted")
        self._overlap_value, self._overlap_count = label("", "heading"), label("", "muted")
        self.phrases = PhraseList(self)
        self.phrases.phrases_changed.connect(self.phrases_changed)
        self.score.valueChanged.connect(self._on_score)
        self.overlap.valueChanged.connect(self._on_overlap)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 12, 0, 0)
        column.setSpacing(0)
        for part in (
            self._make_part("Confidence", self._score_value, self.spread, self.score, self._score_count),
            self._make_part("Overlap", self._overlap_value, None, self.overlap, self._overlap_count),
        ):
            column.addLayout(part)
            column.addSpacing(12)
        column.addWidget(self.phrases, 1)
        self.set_thresholds(0.2, 0.6)
        self.set_counts(0, 0, 0)

    def _make_part(
        self, title: str, value: QLabel, picture: QWidget | None, slider: QSlider, count: QLabel
    ) -> QVBoxLayout:
        head = QHBoxLayout()
        head.addWidget(label(title, "section"))
        head.addStretch()
        head.addWidget(value)
        part = QVBoxLayout()
        part.setContentsMargins(12, 0, 12, 0)
        part.setSpacing(2)
        part.addLayout(head)
        if picture is not None:
            part.addWidget(picture)
        part.addWidget(slider)
        count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        part.addWidget(count)
        return part

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def min_score(self) -> float:
        """Where the slider of confidence is."""
        return self.score.value() / STEPS

    @property
    def max_overlap(self) -> float:
        """Where the slider of overlap is."""
        return self.overlap.value() / STEPS

    def set_thresholds(self, min_score: float, max_overlap: float) -> None:
        """Put the sliders without announcing it."""
        with QSignalBlocker(self.score), QSignalBlocker(self.overlap):
            self.score.setValue(round(min_score * STEPS))
            self.overlap.setValue(round(max_overlap * STEPS))
        self._say_values()

    def set_counts(self, num_above: int, num_proposals: int, num_doubles: int) -> None:
        """Say how many proposals are sure enough, of how many, and how many of those a better box hides."""
        self._score_count.setText(f"{num_above:,} of {num_proposals:,} proposals" if num_proposals else "No proposals")
        self._overlap_count.setText(f"{num_doubles:,} doubles hidden" if num_proposals else "")

    def set_scores(self, scores: NDArray[np.floating[Any]]) -> None:
        """Show how the scores of the proposals are spread."""
        counts, _ = np.histogram(scores, _BARS, (0.0, 1.0))
        self.spread.set_counts(counts.tolist())

    @property
    def score_words(self) -> str:
        """What is said of the confidence."""
        return self._score_count.text()

    @property
    def overlap_words(self) -> str:
        """What is said of the overlap."""
        return self._overlap_count.text()

    def _on_score(self) -> None:
        self._say_values()
        self.min_score_changed.emit(self.min_score)

    def _on_overlap(self) -> None:
        self._say_values()
        self.max_overlap_changed.emit(self.max_overlap)

    def _say_values(self) -> None:
        self._score_value.setText(f"{self.min_score:.2f}")
        self._overlap_value.setText(f"{self.max_overlap:.2f}")
        self.spread.set_cut(self.min_score)


class ScoreSpread(QWidget):
    """Bars of how many proposals have which score, above the slider that cuts them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: tuple[int, ...] = ()
        self._cut = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(180, 40)

    def set_counts(self, counts: Sequence[int]) -> None:
        """How many scores lie in each of the equal steps from 0 to 1."""
        self._counts = tuple(counts)
        self.update()

    def set_cut(self, cut: float) -> None:
        """From which score on the bars count."""
        self._cut = cut
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        look = theme.current()
        painter = QPainter(self)
        left, room, floor = _HANDLE / 2, self.width() - _HANDLE, self.height() - 3.0
        painter.setPen(QPen(QColor(look.border), 1))
        painter.drawLine(round(left), round(floor), round(left + room), round(floor))
        highest = max(self._counts, default=0)
        if not highest:
            return
        width = room / len(self._counts)
        painter.setPen(Qt.PenStyle.NoPen)
        for number, count in enumerate(self._counts):
            if not count:
                continue
            height = max(2.0, (floor - 2) * (count / highest) ** 0.5)  # root, so that the few sure ones are seen
            is_in = (number + 0.5) / len(self._counts) >= self._cut
            painter.setBrush(QColor(look.accent if is_in else theme.mixed(look.window, look.muted, 0.4)))
            painter.drawRect(QRectF(left + number * width + 0.5, floor - height, max(1.0, width - 1), height))


def _slider(name: str, hint: str, parent: QWidget) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal, parent)
    slider.setRange(0, STEPS)
    slider.setPageStep(STEPS // 10)
    slider.setAccessibleName(name)
    slider.setToolTip(hint)
    return slider
