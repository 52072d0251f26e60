"""What has moved from one run to another: how many images went from which expert to which, and which ones."""

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from locstudio.services.routing.drifting import Drift
from locstudio.services.routing.runs import RoutingRun
from locstudio.ui.plain_text import label, shown
from locstudio.ui.routing.cross_model import Cross
from locstudio.ui.routing.cross_table import CrossTable
from locstudio.ui.routing.elided import ElidedLabel
from locstudio.ui.routing.page_empty import NothingPane
from locstudio.ui.routing.page_head import words_of

_ALONE = (
    "Only one run has routed this collection. Train experts again, or route "
    "the collection with another model; what has moved is shown here then."
)
_LEGEND = (
    "Rows: the expert that took an image before. Columns: the one that takes it now. Outlined, without a shade: stayed "
    "with the expert of the same superclass, or with the one that shares most images."
)


class DriftPane(QFrame):
    """Shows what has moved; emits which runs are compared and which images are wanted.

    Signals:
        older_wanted: the identity of the run to compare with.
        cell_opened: the old expert and the new one, -1 for any.
    """

    older_wanted = Signal(str)
    cell_opened = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.older = QComboBox(self)
        self.older.setAccessibleName("Run to compare with")
        self.older.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.older.currentIndexChanged.connect(self._on_older)
        self._newer = ElidedLabel("heading", self)
        self._words = label("", "", self)
        self._words.setWordWrap(True)
        self._all = QPushButton("All that moved", self)
        self._all.setProperty("role", "flat")
        self._all.setToolTip("Show every image that has moved, those that changed most first")
        self._all.clicked.connect(lambda: self.cell_opened.emit(-1, -1))
        self.table = CrossTable("Experts before and now", self)
        self.table.cell_opened.connect(self.cell_opened)
        self.table.cell_marked.connect(lambda *_: self._tell())
        self._sentence = label("", "", self)
        self._sentence.setWordWrap(True)
        self._sentence.setAccessibleName("The marked cell in words")
        legend = label(_LEGEND, "muted", self)
        legend.setWordWrap(True)
        self._nothing = NothingPane(self)
        self._nothing.say("Nothing to compare with", _ALONE)
        runs = QHBoxLayout()
        runs.setContentsMargins(8, 8, 8, 4)
        runs.setSpacing(8)
        runs.addWidget(label("From", "muted"))
        runs.addWidget(self.older, 1)
        runs.addWidget(label("to", "muted"))
        runs.addWidget(self._newer, 1)
        told = QHBoxLayout()
        told.setContentsMargins(10, 0, 8, 6)
        told.addWidget(self._words, 1)
        told.addWidget(self._all)
        foot = QFrame(self)
        foot.setProperty("role", "foot")
        lines = QVBoxLayout(foot)
        lines.setContentsMargins(10, 6, 10, 6)
        lines.setSpacing(2)
        lines.addWidget(self._sentence)
        lines.addWidget(legend)
        self._body = QWidget(self)
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        body.addLayout(runs)
        body.addLayout(told)
        body.addWidget(self.table, 1)
        body.addWidget(foot)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._body, 1)
        column.addWidget(self._nothing, 1)
        self.set_runs((), "", "")

    def set_runs(self, runs: Sequence[RoutingRun], newer_id: str, older_id: str) -> None:
        """Offer the other runs to compare with; the one with ``older_id`` is."""
        others = [run for run in runs if run.id != newer_id]
        newer = next((run for run in runs if run.id == newer_id), None)
        with QSignalBlocker(self.older):
            self.older.clear()
            for run in others:
                self.older.addItem(shown(words_of(run), 70), run.id)
            self.older.setCurrentIndex(next((n for n, run in enumerate(others) if run.id == older_id), -1))
        self._newer.say(words_of(newer) if newer is not None else "")
        self._body.setVisible(bool(others))
        self._nothing.setVisible(not others)

    def set_drift(self, found: Drift, old_names: Sequence[str], new_names: Sequence[str]) -> None:
        """Show what has moved between the experts of these names."""
        homes = tuple(int(place) for place in found.matched)
        self.table.set_cross(
            Cross(tuple(old_names), tuple(new_names), found.matrix, homes, "expert", is_move=True), has_extras=False
        )
        self._words.setText(told(found))
        self._tell()

    def say(self, words: str) -> None:
        """Say why the two cannot be compared."""
        self._words.setText(words)
        self.table.set_cross(Cross((), (), self.table.cells.cross.counts[:0, :0]))

    @property
    def words(self) -> str:
        """What is said of the whole."""
        return self._words.text()

    @property
    def is_alone(self) -> bool:
        """Whether there is nothing to compare with."""
        return self._body.isHidden()

    def _tell(self) -> None:
        self._sentence.setText(shown(self.table.sentence(), 300) or "Click a cell, or go there by arrows and Enter.")

    def _on_older(self, place: int) -> None:
        if place >= 0:
            self.older_wanted.emit(self.older.itemData(place))


def told(found: Drift) -> str:
    """What has moved, in a sentence or two."""
    num, moved = len(found.image_ids), int(found.is_moved.sum())
    if not num:
        return "The two runs have no image in common."
    share = f" ({moved / num:.0%})"
    words = f"{moved:,} of {num:,} images{share} moved to another expert"
    renamed = int(found.is_renamed.sum())
    both = int((found.is_renamed & found.is_moved).sum())
    words += f"; {renamed:,} are taken for another class now, {both:,} of them moved." if renamed else "."
    left = [
        f"{found.num_only_new:,} are new" if found.num_only_new else "",
        f"{found.num_only_old:,} are not routed any more" if found.num_only_old else "",
        f"{found.num_replaced:,} have another file" if found.num_replaced else "",
    ]
    rest = ", ".join(part for part in left if part)
    return f"{words} Left out: {rest}." if rest else words
