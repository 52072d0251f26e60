"""The training page: runs on the left; curves, samples, what changed, evaluation, log and checkpoints on the right."""

from collections.abc import Sequence
from enum import IntEnum

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import label
from locstudio.ui.training.curves_view import CurvesView, RunCurves
from locstudio.ui.training.log_view import LogView
from locstudio.ui.training.run_head import RunFacts, RunHead
from locstudio.ui.training.run_list import RunList, RunRow, RunsModel
from locstudio.ui.training.samples_view import SampleSheet, SamplesView

_LIST_WIDTH = 288
_EMPTY = (
    "No training yet.\n\n"
    "Correct and accept some regions in the collection, then press Retrain: a new model learns from them in the "
    "background while you go on."
)


class Tab(IntEnum):
    """The tabs of a run."""

    CURVES = 0
    SAMPLES = 1
    CHANGES = 2
    EVALUATION = 3
    LOG = 4
    CHECKPOINTS = 5


class TrainingPage(QWidget):
    """Lays out what it is given and emits wishes about the run in front.

    Signals:
        retrain_wanted: a person wants to train.
        run_chosen: the id of the run in front.
        overlay_changed: ids of the runs whose curves are drawn besides.
        tab_changed: the ``Tab`` in front.
        said: a sentence for the status line.
    """

    retrain_wanted = Signal()
    run_chosen = Signal(str)
    overlay_changed = Signal(list)
    tab_changed = Signal(object)
    said = Signal(str)

    def __init__(
        self,
        crops: PictureLoader,
        *,
        changes: QWidget,
        evaluation: QWidget,
        checkpoints: QWidget,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName("Training")
        self._model = RunsModel(self)
        self.runs = RunList(self._model, self)
        self.head = RunHead(self)
        self.curves = CurvesView(self)
        self.samples = SamplesView(crops, self)
        self.log = LogView(self)
        self._tabs = QTabWidget(self)
        self._tabs.setAccessibleName("Parts of the training page")
        self._tabs.setDocumentMode(True)
        self._tabs.tabBar().setExpanding(False)
        for tab, view, title in (
            (Tab.CURVES, self.curves, "Curves"),
            (Tab.SAMPLES, self.samples, "Samples"),
            (Tab.CHANGES, changes, "What changed"),
            (Tab.EVALUATION, evaluation, "Evaluation"),
            (Tab.LOG, self.log, "Log"),
            (Tab.CHECKPOINTS, checkpoints, "Checkpoints"),
        ):
            self._tabs.insertTab(tab, view, title)
        self._lay_out()
        self._model.overlay_changed.connect(self.overlay_changed)
        self.runs.run_chosen.connect(self.run_chosen)
        self.curves.said.connect(self.said)
        self._tabs.currentChanged.connect(lambda number: self.tab_changed.emit(Tab(number)))
        self._left: Tab | None = None  # for the log, until there are curves again
        self.setFocusProxy(self.runs)
        self.set_runs(())

    def _lay_out(self) -> None:
        empty = label(_EMPTY, "muted", self)
        empty.setWordWrap(True)
        empty.setAlignment(Qt.AlignmentFlag.AlignTop)
        empty.setContentsMargins(16, 16, 16, 16)
        self._list_pages = QStackedWidget(self)
        self._list_pages.addWidget(empty)
        self._list_pages.addWidget(self.runs)
        retrain = QPushButton("Retrain…", self)
        retrain.setToolTip("Train a new model on what has been reviewed (Ctrl+R)")
        drawn.follow(retrain, "train")
        retrain.clicked.connect(self.retrain_wanted)
        title = QHBoxLayout()
        title.setContentsMargins(16, 10, 12, 8)
        title.addWidget(label("Runs", "heading", self))
        title.addStretch()
        title.addWidget(retrain)
        left = QFrame(self)
        left.setMinimumWidth(220)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(title)
        column.addWidget(self._list_pages, 1)
        right = QFrame(self)
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.head)
        column.addWidget(self._tabs, 1)
        self._split = QSplitter(Qt.Orientation.Horizontal, self)
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(3)
        self._split.addWidget(left)
        self._split.addWidget(right)
        self._split.setStretchFactor(1, 1)
        self._is_sized = False
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._split)

    @property
    def tab(self) -> Tab:
        """The tab in front."""
        return Tab(self._tabs.currentIndex())

    def show_tab(self, tab: Tab) -> None:
        """Bring a tab to the front."""
        self._tabs.setCurrentIndex(tab)

    def set_has_curves(self, has_curves: bool, *, has_samples: bool = True) -> None:
        """Offer curves and samples of the run in front, or not, as of one that trains nothing, or no regions."""
        has_samples = has_samples and has_curves
        if (has_curves, has_samples) == tuple(self._tabs.isTabVisible(tab) for tab in (Tab.CURVES, Tab.SAMPLES)):
            return
        before = self.tab
        self._tabs.setTabVisible(Tab.CURVES, has_curves)
        self._tabs.setTabVisible(Tab.SAMPLES, has_samples)
        if has_curves and before is Tab.SAMPLES and not has_samples:
            self.show_tab(Tab.CURVES)
        if has_curves and self._left is not None and self.tab is Tab.LOG:
            self.show_tab(self._left if has_samples else Tab.CURVES)
        self._left = None if has_curves or before not in (Tab.CURVES, Tab.SAMPLES) else before
        if self._left is not None:
            self.show_tab(Tab.LOG)

    def set_runs(self, rows: Sequence[RunRow]) -> None:
        """Show the list of runs, newest first."""
        self._model.set_rows(rows)
        self._list_pages.setCurrentIndex(1 if rows else 0)

    def show_run(self, facts: RunFacts | None) -> None:
        """Show where the run in front stands."""
        self.head.show_run(facts)

    def show_curves(self, runs: Sequence[RunCurves]) -> None:
        """Show the curves of the run in front, and of those drawn besides."""
        self.curves.set_runs(runs)

    def show_samples(self, sheets: Sequence[SampleSheet]) -> None:
        """Show the samples of the run in front."""
        self.samples.set_sheets(sheets)

    def show_log(self, said: Sequence[str], log: str) -> None:
        """Show what the run in front has said and logged."""
        self.log.set_said(said)
        self.log.set_log(log)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not self._is_sized and event.size().width() > 600:
            left = round(min(max(event.size().width() * 0.2, _LIST_WIDTH - 20), 380))
            self._split.setSizes([left, event.size().width() - left])
