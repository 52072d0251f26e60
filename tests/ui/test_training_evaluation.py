"""An evaluation on the screen: every number leads to its regions, by mouse and by keys."""

import math

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.search.hits_model import HitItem
from locstudio.ui.training.class_table import ClassColumn, ClassLine, ClassTableModel
from locstudio.ui.training.crops_view import CropsPane, Part
from locstudio.ui.training.evaluation_view import EvaluationView, ShownEvaluation
from locstudio.ui.training.metric_cards import MetricCards
from locstudio.ui.training.overlap_bars import OverlapBars
from locstudio.ui.training.pr_view import Curve, PrView
from locstudio.ui.training.recall_bars import RecallBars, RecallGroup

IMAGE = Image(7, 1, "harbour/boat.jpg", 640, 480)
LINES = (
    ClassLine(None, "All classes", 12, 0.5, 0.6),
    ClassLine(0, "ant", 7, 0.9, 0.4),
    ClassLine(2, "Bee", 4, 0.1, math.nan),
    ClassLine(5, "cow", 1, 0.5, 0.8),
)
CURVE = Curve("ant", np.array([0.25, 0.5, 1.0]), np.array([1.0, 0.8, 0.5]), np.array([0.9, 0.6, 0.1]), 0.7)


def hits(count):
    return tuple(HitItem.of(IMAGE, UnitBox(0.2, 0.2, 0.4, 0.5), 0.5, "ant → bee", n + 1) for n in range(count))


@pytest.fixture
def crops(qapp):
    def grey(_key):
        picture = QImage(16, 16, QImage.Format.Format_RGB32)
        picture.fill(QColor("#777777"))
        return picture

    loader = PictureLoader(grey)
    yield loader
    loader.close()


@pytest.fixture
def shown(qtbot):
    def show(widget, size=(900, 600)):
        qtbot.addWidget(widget)
        widget.resize(*size)
        with qtbot.waitExposed(widget):
            widget.show()
        return widget

    return show


@pytest.fixture
def view(shown, crops):
    widget = shown(EvaluationView(crops))
    widget.set_choices([("a", "new"), ("b", "old")], "a", "b")
    widget.show_evaluation(
        ShownEvaluation(
            metrics={"top1": 0.5, "macc": 0.25, "n_regions": 12.0},
            older={"top1": 0.4},
            older_name="old",
            class_names=("ant", "bee"),
            counts_CC=np.array([[3, 1], [0, 2]]),
            classes=LINES,
            recalls=(RecallGroup("r2t", "A region finds its phrase", 12, {1: 0.5, 5: 0.75}),),
            overlaps=(1, 2, 3, 4),
        )
    )
    return widget


def names_of(model):
    return [model.index(row, ClassColumn.NAME).data() for row in range(model.rowCount())]


def test_that_the_table_of_classes_keeps_qts_promises(qtmodeltester, qapp):
    model = ClassTableModel()
    model.set_lines(LINES)
    qtmodeltester.check(model)


def test_that_all_classes_stay_on_top_however_it_is_sorted(qapp):
    model = ClassTableModel()
    model.set_lines(LINES)
    assert names_of(model) == ["All classes", "ant", "Bee", "cow"]
    model.sort(ClassColumn.TOP1, Qt.SortOrder.AscendingOrder)
    assert names_of(model) == ["All classes", "Bee", "cow", "ant"]
    model.sort(ClassColumn.NAME, Qt.SortOrder.DescendingOrder)
    assert names_of(model) == ["All classes", "cow", "Bee", "ant"]


def test_that_what_was_not_measured_is_a_dash_and_sorts_last_both_ways(qapp):
    model = ClassTableModel()
    model.set_lines(LINES)
    for order in Qt.SortOrder:
        model.sort(ClassColumn.PRECISION, order)
        assert names_of(model)[-1] == "Bee"
    assert model.index(3, ClassColumn.PRECISION).data() == "–"


def test_that_the_sorted_column_says_so_in_its_title(qapp):
    model = ClassTableModel()
    assert model.headerData(ClassColumn.COUNT, Qt.Orientation.Horizontal) == "N ▾"
    model.sort(ClassColumn.NAME, Qt.SortOrder.AscendingOrder)
    assert model.headerData(ClassColumn.NAME, Qt.Orientation.Horizontal) == "Class ▴"


def test_that_a_class_asks_for_its_curve(view, qtbot):
    with qtbot.waitSignal(view.curve_wanted) as wanted:
        view.classes.selectRow(2)
    assert wanted.args == [2]
    assert view.class_row == 2


def test_that_cards_say_the_difference_in_a_sign_as_well(shown):
    cards = shown(MetricCards())
    cards.set_metrics({"top1": 0.5, "macc": 0.25, "hit50": 0.3}, {"top1": 0.4, "macc": 0.3, "hit50": 0.3}, "old")
    assert cards.sentences == [
        "Naming regions, right: 50.0 %, ▲10.0 against old",
        "Naming regions, mean of classes: 25.0 %, ▼5.0 against old",
        "Finding the box of a phrase, found: 30.0 %, = against old",
    ]


def test_that_a_task_that_was_not_measured_has_no_card(shown):
    cards = shown(MetricCards())
    cards.set_metrics({"mean_iou": 0.5}, {})
    assert [card.isVisible() for card in cards._cards] == [False, False, False, True, False, False]
    cards.set_metrics({"recall_100": 0.5, "ap50": 0.25}, {})
    assert cards.sentences == ["Proposing boxes, found by 100: 50.0 %", "Proposing boxes, by class name: 25.0 %"]


def test_that_arrow_keys_walk_along_the_curve_and_say_where_they_are(shown, qtbot):
    curve = shown(PrView())
    curve.set_curve(CURVE)
    told = []
    curve.threshold_chosen.connect(told.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_End, Qt.Key.Key_Right, Qt.Key.Key_Home):
        qtbot.keyClick(curve._plot, key)
    assert told == [0.9, 0.6, 0.1, 0.1, 0.9]
    assert curve.sentence == "From score 0.900 on: recall 25 %, precision 100 %."


def test_that_a_click_takes_the_nearest_point_of_the_curve(shown, qtbot):
    curve = shown(PrView())
    curve.set_curve(CURVE)
    box = curve._plot.getViewBox()
    where = curve._plot.mapFromScene(box.mapViewToScene(box.viewRect().center()))  # recall and precision 0.5
    with qtbot.waitSignal(curve.threshold_chosen) as chosen:
        qtbot.mouseClick(curve._plot.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert chosen.args == [0.6]


def test_that_a_class_without_regions_has_no_curve(shown, qtbot):
    curve = shown(PrView())
    curve.set_curve(None)
    qtbot.keyClick(curve._plot, Qt.Key.Key_Right)
    assert "No region" in curve.sentence


def test_that_bars_of_recall_are_chosen_by_keys_and_tell_direction_and_k(shown, qtbot):
    bars = shown(RecallBars())
    bars.set_groups(
        [RecallGroup("r2t", "There", 9, {5: 0.6, 1: 0.2}), RecallGroup("i2t", "Back", 3, {1: 0.4}, has_regions=False)]
    )
    told = []
    bars.bar_chosen.connect(lambda key, k: told.append((key, k)))
    for _ in range(4):
        qtbot.keyClick(bars, Qt.Key.Key_Down)
    assert told == [("r2t", 1), ("r2t", 5)]
    assert bars.accessibleDescription() == "Back: the right one is first for 40.0 % of 3."
    assert not any(bars.rect_of(a).intersects(bars.rect_of(b)) for a in range(3) for b in range(a))


def test_that_bars_of_overlap_tell_the_part_they_stand_for(shown, qtbot):
    bars = shown(OverlapBars(), (400, 140))
    bars.set_counts((1, 2, 3, 4))
    with qtbot.waitSignal(bars.part_chosen) as chosen:
        qtbot.mouseClick(bars, Qt.MouseButton.LeftButton, pos=bars.column_of(2).center().toPoint())
    assert chosen.args == [0.5, 0.75]


def test_that_several_parts_have_a_chip_each_and_one_is_shown(shown, crops, qtbot):
    pane = shown(CropsPane(crops), (300, 400))
    pane.show_parts("ant, from 0.5 on", "", [Part("Right", 3, hits(3)), Part("Missed", 1200, hits(2))])
    assert [chip.text() for chip in pane._chips.buttons()] == ["Right 3", "Missed 1,200"]
    assert len(pane.hits) == 3
    pane._chips.button(1).click()
    assert len(pane.hits) == 2
    pane.show_parts("one", "", [Part("", 1, hits(1))])
    assert pane._chips.buttons() == []


def test_that_a_click_on_a_crop_selects_and_a_double_click_opens(shown, crops, qtbot):
    pane = shown(CropsPane(crops), (300, 400))
    pane.show_parts("some", "", [Part("", 3, hits(3))])
    opened = []
    pane.opened.connect(opened.append)
    where = pane.grid.visualRect(pane.grid.model().index(1, 0)).center()
    qtbot.mouseClick(pane.grid.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.keyClick(pane.grid, Qt.Key.Key_Right)
    assert opened == []
    qtbot.mouseDClick(pane.grid.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert [hit.region_id for hit in opened] == [2]


def test_that_the_view_says_what_to_do_before_anything_was_evaluated(shown, crops):
    view = shown(EvaluationView(crops))
    assert view._pages.currentIndex() == 0
    assert not view._chosen.isVisible()


def test_that_the_view_passes_choices_on_with_their_keys(view, qtbot):
    with qtbot.waitSignal(view.older_chosen) as chosen:
        view._older.setCurrentIndex(0)
        view._older.activated.emit(0)
    assert chosen.args == [""]
    with qtbot.waitSignal(view.threshold_chosen) as told:
        view.show_curve(CURVE)
        view.curve.choose(1)
    assert told.args == [None, 0.6]


def test_that_what_was_held_out_is_the_first_choice_and_is_asked_for_only_where_something_was(view, qtbot):
    view.set_can_hold_out(False)
    assert (view._held_out.isEnabled(), view._held_out.isChecked()) == (False, False)
    view.set_can_hold_out(True)
    assert (view._held_out.isEnabled(), view._held_out.isChecked()) == (True, True)
    with qtbot.waitSignal(view.held_out_only_changed) as changed:
        view._held_out.click()
    assert changed.args == [False]
    view.set_can_hold_out(True)
    assert not view.is_held_out_only
