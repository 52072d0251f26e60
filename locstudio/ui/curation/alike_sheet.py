"""Fix the identical mistakes together: what looks the same and is called the same wrong thing, with a veto per tile."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QColor, QPainter, QPaintEvent, QPen, QPixmap, QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.domain.text import counted
from locstudio.ui import theme
from locstudio.ui.curation.veto_grid import VetoGrid, VetoModel
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label, shown
from locstudio.ui.search.context import inside
from locstudio.ui.search.histogram import ScoreHistogram
from locstudio.ui.search.hits_model import HitItem

_SIZE = QSize(940, 660)
_NUM_BINS = 48
_PREVIEW = 76
_MAX_NAME = 48
SETTLE_MS = 400  # the Enter that was meant for the next crop must not fix a thousand regions


@dataclass(frozen=True, slots=True, eq=False)
class ShownAlike:
    """What looks like a corrected region and has the same wrong name.

    Attributes:
        example: The region that was corrected.
        hits: Those that look alike, the most alike first; their scores are the likeness.
        rows: Their rows in the pool, in the same order.
        cut: The likeness from which on they are taken, found for this region.
        old: The wrong name, a phrase or a class.
        new: The right one; empty where the region was rejected.
    """

    example: HitItem
    hits: tuple[HitItem, ...]
    rows: NDArray[np.int64]
    cut: float
    old: str
    new: str

    @property
    def scores(self) -> NDArray[np.float64]:
        """Likeness of each, falling."""
        return np.array([hit.score for hit in self.hits], np.float64)

    def question(self, num_above: int) -> str:
        """What is found, and what could be done about it."""
        many = num_above != 1
        called = f"{'are' if many else 'is'} called “{_short(self.old)}”" if self.old else "had no name"
        what = f"{num_above:,} {'regions look' if many else 'region looks'} the same and {called}."
        if num_above == 0:
            return "Nothing reaches this cut. Move it to the left to take what is less alike."
        them = "them" if many else "it"
        return f"{what} Reject {them} too?" if not self.new else f"{what} Call {them} “{_short(self.new)}”?"


class AlikeSheet(QDialog):
    """Shows what is alike, lets a person leave some out, and emits wishes; it decides nothing.

    Signals:
        fix_wanted: rows of the pool to be changed as the example was; the sheet closes itself.
        offer_wanted: whether the sheet is to open by itself after a correction; without, it closes itself.
        place_wanted: a ``HitItem`` to open in its image; the sheet closes itself.
    """

    fix_wanted = Signal(object)
    offer_wanted = Signal(bool)
    place_wanted = Signal(object)

    def __init__(
        self,
        alike: ShownAlike,
        crops: PictureLoader,
        thumbnail_of: Callable[[int], QPixmap | None] = lambda _: None,
        parent: QWidget | None = None,
        *,
        is_offered: bool = True,
    ) -> None:
        """``is_offered``: the sheet opens by itself in this session; else a person has asked for it."""
        super().__init__(parent)
        self._is_offered = is_offered
        self.setWindowTitle("Fix the identical mistakes")
        self.setAccessibleName("Fix the identical mistakes together")
        self._alike = alike
        self._scores = alike.scores
        self._model = VetoModel(self)
        self.grid = VetoGrid(self._model, crops, thumbnail_of, self)
        self.grid.opened.connect(self._on_opened)
        self._question = label("", "heading", self)
        self._question.setWordWrap(True)
        font = self._question.font()
        font.setPointSizeF(font.pointSizeF() * 1.25)
        self._question.setFont(font)
        self._count = label("", "muted", self)
        self._settle = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self._settle.timeout.connect(self._say)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(10)
        column.addLayout(self._make_head(crops))
        column.addWidget(self._make_frame(), 1)
        column.addLayout(self._make_buttons())
        self.resize(_SIZE)
        self._show()
        self._model.taken_changed.connect(self._say)
        self.grid.setFocus()

    # building ---------------------------------------------------------------------------------------------------

    def _make_head(self, crops: PictureLoader) -> QHBoxLayout:
        self.histogram = ScoreHistogram(self)
        self.histogram.setAccessibleName("Likeness; arrow keys move the cut")
        self.histogram.setToolTip("Drag to take only what is more alike")
        self.histogram.cut_changed.connect(self._divide)
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self._question)
        words.addWidget(self.histogram)
        row = QHBoxLayout()
        row.setSpacing(14)
        row.addWidget(_Example(self._alike.example, crops, self), 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        return row

    def _make_frame(self) -> QWidget:
        frame = QFrame(self)
        frame.setProperty("role", "plot")
        column = QVBoxLayout(frame)
        column.setContentsMargins(2, 2, 2, 2)
        column.addWidget(self.grid)
        return frame

    def _make_buttons(self) -> QHBoxLayout:
        self._menu = QToolButton(self)
        self._menu.setAccessibleName("More")
        self._menu.setToolTip("More")
        self._menu.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._menu.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        drawn.follow(self._menu, "menu")
        menu = QMenu(self._menu)
        words = "Do not offer again in this session" if self._is_offered else "Offer this after each correction"
        self.offer = QAction(words, menu)
        self.offer.triggered.connect(self._on_offer)
        menu.addAction(self.offer)
        self._menu.setMenu(menu)
        cancel = QPushButton("Cancel", self)
        cancel.setToolTip("Leave them as they are (Esc)")
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        self._fix = QPushButton(self)
        self._fix.setProperty("role", "primary")
        self._fix.setDefault(True)
        self._fix.clicked.connect(self._on_fix)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._menu)
        row.addWidget(self._count, 1)
        row.addWidget(cancel)
        row.addWidget(self._fix)
        return row

    # what is shown ----------------------------------------------------------------------------------------------

    @property
    def question(self) -> str:
        """What the sheet asks."""
        return self._question.text()

    @property
    def count(self) -> str:
        """What the sheet says of the tiles."""
        return self._count.text()

    @property
    def can_fix(self) -> bool:
        """Whether Enter would change something."""
        return self._fix.isEnabled()

    @property
    def tiles(self) -> VetoModel:
        """The tiles with what was said of each."""
        return self._model

    def showEvent(self, event: QShowEvent) -> None:
        """Take no Enter for a moment: it is still on its way to what was in front before."""
        super().showEvent(event)
        self._settle.start()
        self._say()

    def _show(self) -> None:
        low = float(self._scores.min(initial=1.0))
        high = float(self._scores.max(initial=0.0))
        low, high = min(low, self._alike.cut), max(high, self._alike.cut)
        counts, _ = np.histogram(self._scores, _NUM_BINS, (low, max(high, low + 1e-6)))
        self.histogram.set_scores(counts.tolist(), low, high, self._alike.cut)
        self._model.set_hits(self._alike.hits, self._num_above(self._alike.cut))
        self._say()

    def _num_above(self, cut: float) -> int:
        return int(np.count_nonzero(self._scores >= cut))

    def _divide(self, cut: float) -> None:
        self._model.set_num_above(self._num_above(cut))

    def _say(self) -> None:
        taken, vetoed = self._model.num_taken, self._model.num_vetoed
        self._question.setText(self._alike.question(self._model.num_above))
        self._fix.setText(f"{'Reject' if not self._alike.new else 'Fix'} {taken:,}")
        self._fix.setEnabled(taken > 0 and not self._settle.isActive())
        self._fix.setToolTip("One step, which Ctrl+Z takes back (Enter)")
        left_out = f"{counted(vetoed, 'tile')} left out. " if vetoed else ""
        self._count.setText(f"{left_out}Click or Space leaves a tile out or takes it.")

    # wishes -----------------------------------------------------------------------------------------------------

    def _on_fix(self) -> None:
        rows = self._alike.rows[self._model.taken()]
        self.accept()
        self.fix_wanted.emit(rows)

    def _on_offer(self) -> None:
        if self._is_offered:
            self.reject()
        self.offer_wanted.emit(not self._is_offered)

    def _on_opened(self, hit: HitItem) -> None:
        self.reject()
        self.place_wanted.emit(hit)


class _Example(QWidget):
    """The corrected region, small."""

    def __init__(self, hit: HitItem, crops: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hit = hit
        self._crops = crops
        self.setFixedSize(_PREVIEW, _PREVIEW)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"The region that was corrected: {shown(hit.sentence())}")
        self.setToolTip("The region that was corrected")
        crops.arrived.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - always painted as a whole
        look = theme.current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(look.raised))
        crop = self._crops.picture(self._hit.crop_key)
        target = QRectF(self.rect())
        if crop is not None:
            size = QSize(crop.size()).scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
            target = QRectF((_PREVIEW - size.width()) / 2, (_PREVIEW - size.height()) / 2, size.width(), size.height())
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(target, crop, QRectF(crop.rect()))
        x0, y0, x1, y1 = inside(self._hit.box, self._hit.view)
        width, height = target.width(), target.height()
        box = QRectF(target.left() + x0 * width, target.top() + y0 * height, (x1 - x0) * width, (y1 - y0) * height)
        for pen in (QPen(QColor(8, 12, 20, 190), 4), QPen(QColor(look.success), 2)):
            painter.setPen(pen)
            painter.drawRect(box.adjusted(1, 1, -1, -1))
        painter.end()


def _short(name: str) -> str:
    return shown(name, _MAX_NAME)
