"""An evaluation: its numbers, and behind every number the regions it stands for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.plain_text import label, shown
from locstudio.ui.training.class_table import ClassColumn, ClassLine, ClassTable
from locstudio.ui.training.confusion_view import ConfusionView
from locstudio.ui.training.crops_view import CropsPane
from locstudio.ui.training.metric_cards import MetricCards
from locstudio.ui.training.overlap_bars import OverlapBars
from locstudio.ui.training.pr_view import Curve, PrView
from locstudio.ui.training.recall_bars import RecallBars, RecallGroup

_NOTHING = (
    "Nothing has been evaluated yet.\n\n"
    "An evaluation measures how well the model names, finds and retrieves the reviewed regions of this project, "
    "and shows the regions behind every number."
)

_SIDE = 96  # px of room beside a sentence that stands alone


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ShownEvaluation:
    """One evaluation as the view shows it; ``older`` are the metrics it is compared with.

    ``is_of_images``: the classes of whole images were measured; behind its numbers there are no regions, but images
    where ``counts_CC`` says what was taken for what.
    """

    metrics: Mapping[str, float]
    older: Mapping[str, float] = field(default_factory=dict)
    older_name: str = ""
    class_names: Sequence[str] = ()
    counts_CC: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    classes: Sequence[ClassLine] = ()
    recalls: Sequence[RecallGroup] = ()
    overlaps: Sequence[int] = ()
    note: str = ""
    is_of_images: bool = False


class EvaluationView(QWidget):
    """Shows one evaluation at a time.

    Signals:
        evaluation_chosen: key of the evaluation to show.
        older_chosen: key of the evaluation to compare with, empty for none.
        held_out_only_changed: whether only what the model has not learnt from is looked at.
        cell_chosen: row and column of the confusion matrix as given, and its ``Cell``.
        curve_wanted: number of a class, or None for all.
        threshold_chosen: number of a class or None, and the score from which on regions are taken.
        recall_chosen: key of the direction, k.
        overlap_chosen: lowest and highest overlap.
        place_wanted: a ``HitItem`` to open in its image.
        evaluate_wanted: measure the active model now.
    """

    evaluation_chosen = Signal(str)
    older_chosen = Signal(str)
    held_out_only_changed = Signal(bool)
    cell_chosen = Signal(int, int, object)
    curve_wanted = Signal(object)
    threshold_chosen = Signal(object, float)
    recall_chosen = Signal(str, int)
    overlap_chosen = Signal(float, float)
    place_wanted = Signal(object)
    evaluate_wanted = Signal()

    def __init__(
        self,
        crops: PictureLoader,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.cards = MetricCards(self)
        self.confusion = ConfusionView(self)
        self.classes = ClassTable(self)
        self.curve = PrView(self)
        self.recalls = RecallBars(self)
        self.overlaps = OverlapBars(self)
        self.crops = CropsPane(crops, self)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._make_nothing())
        self._pages.addWidget(self._make_body())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._make_head())
        column.addWidget(self._pages, 1)
        self._connect()
        self.set_choices((), "", "")

    def _make_head(self) -> QWidget:
        self._wants_held_out = True
        self._chosen = _combo("Evaluation")
        self._older = _combo("Compare with")
        self._held_out = QCheckBox("Held-out only", self)
        self._held_out.setToolTip("Count only images that the model has not learnt from")
        self._evaluate = QPushButton("Evaluate now", self)
        self._evaluate.setToolTip("Measure the active model on the reviewed regions, in the background")
        self._against = label("against", "muted")
        head = QWidget(self)
        row = QHBoxLayout(head)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(self._chosen, 3)
        row.addWidget(self._against)
        row.addWidget(self._older, 2)
        row.addWidget(self._held_out)
        row.addStretch(1)
        row.addWidget(self._evaluate)
        return head

    def _make_nothing(self) -> QWidget:
        self._nothing = label(_NOTHING, "muted")
        self._nothing.setWordWrap(True)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setContentsMargins(_SIDE, 0, _SIDE, 0)
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.addStretch(2)
        column.addWidget(self._nothing)
        column.addStretch(3)
        return page

    def _make_body(self) -> QWidget:
        self._note = label("", "muted")
        self._note.setContentsMargins(8, 0, 12, 6)
        self._tabs = QTabWidget(self)
        self._tabs.setDocumentMode(True)
        self._tabs.setAccessibleName("Views of the evaluation")
        self._tabs.addTab(self.confusion, "Confusions")
        self._tabs.addTab(self._make_curves(), "Precision and recall")
        self._tabs.addTab(self._make_searches(), "Search and grounding")
        self._tabs.setCornerWidget(self._note)
        split = QSplitter(Qt.Orientation.Horizontal, self)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(3)
        split.addWidget(self._tabs)
        split.addWidget(self.crops)
        split.setStretchFactor(0, 5)
        split.setStretchFactor(1, 2)
        self.crops.setMinimumWidth(230)
        split.setSizes([660, 330])
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        cards = QVBoxLayout()
        cards.setContentsMargins(12, 0, 12, 8)
        cards.addWidget(self.cards)
        column.addLayout(cards)
        column.addWidget(split, 1)
        return body

    def _make_curves(self) -> QWidget:
        split = QSplitter(Qt.Orientation.Horizontal, self)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(3)
        split.addWidget(self.classes)
        split.addWidget(self.curve)
        self.classes.setMinimumWidth(250)
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 3)
        split.setSizes([290, 370])
        return split

    def _make_searches(self) -> QWidget:
        inner = QFrame(self)
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 8, 0, 8)
        column.setSpacing(8)
        self._recall_title = label("How often a search finds the right one among its first k", "section")
        self._overlap_title = label("How well boxes of phrases were found (overlap with the true box)", "section")
        self._no_search = label("Neither search nor grounding was measured here.", "muted")
        for title in (self._recall_title, self._overlap_title, self._no_search):
            title.setContentsMargins(16, 0, 16, 0)
        for widget in (self._recall_title, self.recalls, self._overlap_title, self.overlaps, self._no_search):
            column.addWidget(widget)
        column.addStretch(1)
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setWidget(inner)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        inner.setBackgroundRole(QPalette.ColorRole.Base)
        inner.setAutoFillBackground(True)
        return area

    def _connect(self) -> None:
        self._chosen.activated.connect(lambda _: self.evaluation_chosen.emit(self._chosen.currentData()))
        self._older.activated.connect(lambda _: self.older_chosen.emit(self._older.currentData()))
        self._held_out.toggled.connect(self._on_held_out)
        self._evaluate.clicked.connect(self.evaluate_wanted)
        self.confusion.cell_chosen.connect(self.cell_chosen)
        self.classes.class_chosen.connect(self.curve_wanted)
        self.curve.threshold_chosen.connect(lambda score: self.threshold_chosen.emit(self.class_row, score))
        self.recalls.bar_chosen.connect(self.recall_chosen)
        self.overlaps.part_chosen.connect(self.overlap_chosen)
        self.crops.opened.connect(self.place_wanted)

    # what is shown ----------------------------------------------------------------------------------------------

    def set_choices(self, choices: Sequence[tuple[str, str]], chosen: str, older: str) -> None:
        """Offer evaluations, newest first: key and words; ``older`` empty compares with none."""
        _fill(self._chosen, choices, chosen)
        _fill(self._older, [("", "nothing"), *choices], older)
        for widget in (self._chosen, self._older, self._against, self._held_out):
            widget.setVisible(bool(choices))
        if not choices:
            self._pages.setCurrentIndex(0)

    def set_can_evaluate(self, can_evaluate: bool, why: str = "") -> None:
        """Offer to evaluate, or say why not."""
        self._evaluate.setEnabled(can_evaluate)
        self._evaluate.setToolTip(
            why or "Measure the active model on the reviewed regions of this project, in the background"
        )

    def show_evaluation(self, evaluation: ShownEvaluation) -> None:
        """Show an evaluation."""
        self._pages.setCurrentIndex(1)
        self.cards.set_metrics(evaluation.metrics, evaluation.older, shown(evaluation.older_name))
        self._note.setText(shown(evaluation.note))
        self._note.setVisible(bool(evaluation.note))
        what = "image" if evaluation.is_of_images else "region"
        self.crops.set_what(what)
        if evaluation.is_of_images:
            self.crops.clear("Choose a cell to see its images here.")
        else:
            self.crops.clear()
        self.confusion.set_confusion(evaluation.class_names, evaluation.counts_CC, what)
        self.curve.set_curve(None)
        self.classes.set_lines(evaluation.classes)
        self.recalls.set_groups(evaluation.recalls)
        self.overlaps.set_counts(evaluation.overlaps)
        self._recall_title.setVisible(bool(evaluation.recalls))
        self.recalls.setVisible(bool(evaluation.recalls))
        self._overlap_title.setVisible(bool(evaluation.overlaps))
        self.overlaps.setVisible(bool(evaluation.overlaps))
        self._no_search.setVisible(not (evaluation.recalls or evaluation.overlaps))
        has_cells = not evaluation.is_of_images or bool(evaluation.counts_CC.size)
        self._tabs.setTabVisible(0, has_cells)
        self._tabs.setTabVisible(2, not evaluation.is_of_images)
        self._tabs.setTabText(1, "Classes of images" if evaluation.is_of_images else "Precision and recall")
        for part in (self.curve, self._held_out):
            part.setVisible(not evaluation.is_of_images)
        self.crops.setVisible(has_cells)
        has_top1 = any(not math.isnan(line.top1) for line in evaluation.classes)
        has_precision = any(not math.isnan(line.average_precision) for line in evaluation.classes)
        self.classes.setColumnHidden(ClassColumn.TOP1, evaluation.is_of_images and not has_top1)
        self.classes.setColumnHidden(ClassColumn.PRECISION, evaluation.is_of_images and not has_precision)
        self.classes.rows.set_what("Images that show this class" if evaluation.is_of_images else "")

    def show_problem(self, sentence: str) -> None:
        """Say in place of an evaluation why there is none."""
        self._nothing.setText(shown(sentence))
        self._pages.setCurrentIndex(0)

    def show_curve(self, curve: Curve | None, older: Curve | None = None) -> None:
        """Show the curve of the class that was asked for."""
        self.curve.set_curve(curve, older)

    @property
    def class_row(self) -> int | None:
        """The class whose curve is shown; None for all."""
        index = self.classes.currentIndex()
        return self.classes.rows.line(index.row()).row if index.isValid() else None

    @property
    def is_held_out_only(self) -> bool:
        """Whether only what the model has not learnt from is to be looked at, where something was held out."""
        return self._wants_held_out

    def set_can_hold_out(self, can_hold_out: bool) -> None:
        """Offer to look only at what was held out, where something was; that is the first choice."""
        self._held_out.setEnabled(can_hold_out)
        with QSignalBlocker(self._held_out):
            self._held_out.setChecked(can_hold_out and self._wants_held_out)

    def _on_held_out(self, is_on: bool) -> None:
        self._wants_held_out = is_on
        self.held_out_only_changed.emit(is_on)

    def show_tab(self, number: int) -> None:
        """Show confusions (0), curves (1) or searches (2)."""
        self._tabs.setCurrentIndex(number)


def _combo(name: str) -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(14)
    combo.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
    return combo


def _fill(combo: QComboBox, choices: Sequence[tuple[str, str]], chosen: str) -> None:
    with QSignalBlocker(combo):
        combo.clear()
        for key, words in choices:
            combo.addItem(shown(words), key)
        combo.setCurrentIndex(max(0, combo.findData(chosen)))
