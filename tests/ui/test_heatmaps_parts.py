"""Parts of the heatmaps page, each by itself."""

import threading

import numpy as np
import pytest
from PySide6.QtCore import QAbstractItemModel
from PySide6.QtGui import QImage

from locstudio.domain.regions import Image, LabelClass
from locstudio.services.heat.runs import HeatRun
from locstudio.ui.heatmaps.page_cells import HeatCells, Read
from locstudio.ui.heatmaps.page_classes import ALL, ClassPane, ClassRow
from locstudio.ui.heatmaps.page_head import HeatHead
from locstudio.ui.heatmaps.page_model import HeatModel
from locstudio.ui.heatmaps.page_table import HeatOrder, HeatTable
from locstudio.ui.training.wording import when

NAN = np.float32(np.nan)


def table(scores, inconsistency=None, class_ids=None) -> HeatTable:
    num = len(scores)
    measures = {HeatOrder.SCORE: np.array(scores, np.float32)}
    if inconsistency is not None:
        measures[HeatOrder.INCONSISTENCY] = np.array(inconsistency, np.float32)
    classes = np.array(class_ids or [1] * num, np.int64)
    return HeatTable(np.arange(10, 10 + num), classes, np.full(num, -1, np.int8), measures)


@pytest.fixture
def cells(qtbot):
    made = HeatCells()
    yield made
    made.close()


def test_that_rows_without_a_measure_come_last_and_equal_ones_by_score():
    rows = table([0.1, 0.9, 0.5, 0.7], [0.4, NAN, 0.4, 0.8]).rows_of(frozenset(), 0.0, HeatOrder.INCONSISTENCY)
    assert rows.tolist() == [3, 2, 0, 1]


def test_that_an_order_that_was_not_measured_is_that_of_the_score():
    assert table([0.1, 0.9, 0.5]).rows_of(frozenset(), 0.0, HeatOrder.OWN).tolist() == [1, 2, 0]


def test_that_rows_are_narrowed_down_by_class_and_score():
    found = table([0.1, 0.9, 0.5, 0.7], class_ids=[1, 2, 1, 2])
    assert found.rows_of(frozenset({2}), 0.0, HeatOrder.SCORE).tolist() == [1, 3]
    assert found.rows_of(frozenset(), 0.5, HeatOrder.NAME).tolist() == [2, 1, 3]
    assert found.rows_of(frozenset({1}), 0.6, HeatOrder.SCORE).tolist() == []


def test_that_the_model_keeps_the_promises_of_models(cells, qtmodeltester):
    model = HeatModel(cells)
    assert isinstance(model, QAbstractItemModel)
    qtmodeltester.check(model)
    model.set_rows(table([0.1, 0.9]), np.array([1, 0]))
    model.set_classes([LabelClass(1, "dog", "#112233")])
    qtmodeltester.check(model)
    assert [model.tile(place).score for place in range(2)] == pytest.approx([0.9, 0.1])


def test_that_a_mark_is_shown_until_the_table_says_so_itself(cells):
    model = HeatModel(cells)
    found = table([0.9, 0.1])
    model.set_rows(found, np.array([0, 1]))
    model.mark(np.array([0]), 1)
    model.set_table(found.with_presence(np.array([-1, 0], np.int8)))  # something else came in meanwhile
    assert [model.presence(0), model.presence(1)] == [1, 0]
    assert model.num_said() == (1, 1)
    model.unmark(np.array([0]))
    assert model.presence(0) == -1
    assert model.next_open(-1) == 0


def test_that_what_left_the_screen_before_its_turn_is_not_read(cells, qtbot):
    gate, read = threading.Event(), []

    def reader(keys):
        gate.wait(5)
        read.extend(keys)
        return {key: Read(Image(key[0], 1, "a.jpg", 4, 3), QImage(), None) for key in keys}

    cells.set_reader(reader)
    cells.want([(number, 1, False) for number in range(40)])  # the first twelve are on their way
    cells.want([(number, 1, False) for number in range(100, 104)])
    gate.set()
    qtbot.waitUntil(lambda: not cells.is_busy, timeout=5_000)
    assert [key[0] for key in read] == [*range(12), *range(100, 104)]
    assert cells.cell((101, 1, False)) is not None
    assert cells.cell((20, 1, False)) is None


def test_that_a_failure_is_told_once_and_not_tried_again_and_again(cells, qtbot):
    def reader(_keys):
        raise OSError("The disk is gone.")

    cells.set_reader(reader)
    with qtbot.waitSignal(cells.failed) as failed:
        cells.want([(1, 1, False)])
    assert failed.args == ["The disk is gone."]
    cells.want([(1, 1, False)])
    assert not cells.is_busy
    cells.forget([1])
    with qtbot.waitSignal(cells.failed):
        cells.want([(1, 1, False)])


def test_that_the_list_of_classes_finds_by_words_and_shows_names_literally(qtbot):
    pane = ClassPane()
    qtbot.addWidget(pane)
    pane.set_classes([ClassRow(1, "<b>big dog</b>", "", 3), ClassRow(2, "small cat", "", 5)], has_all=True)
    assert pane.names == ["All classes", "<b>big dog</b>", "small cat"]
    qtbot.keyClicks(pane._find, "cat sm")
    assert pane.names == ["small cat"]
    with qtbot.waitSignal(pane.class_chosen) as chosen:
        pane.view.setCurrentIndex(pane.view.model().index(0, 0))
    assert chosen.args == [2]
    pane._find.clear()
    assert pane.chosen == 2
    pane.set_chosen(ALL)
    assert pane.view.currentIndex().row() == 0


def test_that_the_run_whose_heat_is_shown_is_said_and_another_can_be_chosen(qtbot, tmp_path):
    head = HeatHead()
    qtbot.addWidget(head)
    fields = {
        "folder": tmp_path,
        "num_epochs": 12,
        "checkpoint_id": "",
        "num_images": 3,
        "num_classes": 2,
        "key_epochs": (),
    }
    named = "20241128T060000Z-consistency-b"  # whose title nobody has given
    runs = [
        HeatRun(id=named, title="", epoch=3, is_running=True, when="2024-11-28T06:00:00", is_adopted=False, **fields),
        HeatRun(id="a", title="R&D", epoch=12, is_running=False, when="", is_adopted=True, **fields),
    ]
    head.set_runs(runs, "a")
    assert head.run_words == "R&&D · epoch 12 of 12"
    actions = head._menu.actions()
    assert [action.text() for action in actions] == [
        f"Heatmaps, {when(named)}, epoch 3 of 12, running",
        "R&&D, epoch 12 of 12, in use",
    ]
    with qtbot.waitSignal(head.run_wanted) as wanted:
        actions[0].trigger()
    assert wanted.args == [named]
    head.set_runs((), "")
    assert not head._runs.isEnabled()
