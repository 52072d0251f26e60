"""Parts of the experts' page, each by itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from locstudio.services.routing.loads import LoadHistory
from locstudio.services.routing.runs import RoutingRun
from locstudio.ui import theme
from locstudio.ui.routing.class_picker import ClassChoice, ClassPicker
from locstudio.ui.routing.cross_model import AS_GIVEN, BY_NAME, Cross, CrossModel
from locstudio.ui.routing.cross_paint import shade_of
from locstudio.ui.routing.cross_table import CrossTable
from locstudio.ui.routing.load_plot import spread_out
from locstudio.ui.routing.page_cards import ExpertCard, ExpertCards
from locstudio.ui.routing.page_commands import KEYS, MENU, TITLES, ExpertCommand
from locstudio.ui.routing.page_head import ExpertHead, words_of
from locstudio.ui.routing.page_load import LoadPane
from locstudio.ui.routing.page_matrix import MatrixPane, ShownMatrix

HTML = "<b>dog</b> &amp; friends"
COUNTS = np.array([[8, 2, 0], [5, 5, 0], [0, 0, 0], [1, 1, 8]], np.int64)
CROSS = Cross(("wolf", "Ant", HTML, "cat"), ("1 · dogs", "2 · insects", "3 · cats"), COUNTS, (0, 1, 0, 2))


def rows_of(model):
    return [model.cross.row_names[row] for row in model.rows]


def test_that_spread_is_one_for_one_expert_and_all_for_evenly():
    # exp(ln 2) for two halves; exp(-(0.8 ln 0.8 + 0.2 ln 0.2)) = 1.649 for four fifths and one
    assert CROSS.spreads == pytest.approx([1.649, 2.0, 0.0, 1.895], abs=1e-3)
    assert CROSS.shares[0].tolist() == [0.8, 0.2, 0.0]
    assert CROSS.shares[2].tolist() == [0.0, 0.0, 0.0]


def test_that_rows_are_sorted_and_searched(qtmodeltester, qapp):
    model = CrossModel()
    model.set_cross(CROSS)
    qtmodeltester.check(model)
    assert model.order == AS_GIVEN
    assert rows_of(model) == ["wolf", "Ant", HTML, "cat"]
    model.set_order(BY_NAME, is_falling=False)
    assert rows_of(model) == [HTML, "Ant", "cat", "wolf"]
    model.set_order(2, is_falling=True)
    assert rows_of(model)[0] == "cat"
    model.set_order(4, is_falling=True)  # by spread
    assert rows_of(model) == ["Ant", "cat", "wolf", HTML]
    model.set_words("a T")
    assert rows_of(model) == ["Ant", "cat"]
    model.set_words("nothing like it")
    assert model.rowCount() == 0


def test_that_a_cell_is_told_in_words_with_its_home(qapp):
    model = CrossModel()
    model.set_cross(CROSS)
    first = "8 of 10 images of class “wolf” (80%) go to expert 1 · dogs, where it belongs"
    assert model.sentence(0, 0) == first
    assert model.sentence(0, 1).endswith("go to expert 2 · insects; it belongs to 1 · dogs")
    assert model.text(0, 2) == "·"
    assert model.text(2, 4) == "–"
    model.set_shares(True)
    assert model.text(0, 0) == "80%"
    moved = Cross(CROSS.column_names, CROSS.column_names, COUNTS[:3], (0, 1, 2), "expert", is_move=True)
    assert moved.sentence(0, 0) == "8 of 10 images of expert 1 · dogs (80%) stayed with expert 1 · dogs"


def test_that_a_table_is_walked_by_keys_and_opened(qtbot):
    table = CrossTable("Classes and experts")
    qtbot.addWidget(table)
    table.resize(500, 300)
    table.set_cross(CROSS)
    opened = []
    table.cell_opened.connect(lambda row, column: opened.append((row, column)))
    table.mark(0, 0)
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_Return):
        QTest.keyClick(table, key)
    assert opened == [(1, 1)]
    table.sort(BY_NAME, is_falling=False)
    assert table.marked == (1, 1)  # what is marked stays so
    QTest.keyClick(table, Qt.Key.Key_Home)
    QTest.keyClick(table, Qt.Key.Key_Return)
    assert opened[-1] == (1, -1)  # beside the experts: all of the row
    table.horizontalHeader().sectionClicked.emit(0)
    assert rows_of(table.cells)[0] == "wolf"
    table.horizontalHeader().sectionClicked.emit(0)
    assert rows_of(table.cells)[-1] == "wolf"
    assert not table.grab().isNull()


def test_that_two_hundred_classes_and_ten_experts_fit(qtbot):
    names = tuple(f"class with a rather long name {number}" for number in range(200))
    experts = tuple(f"{number} · superclass with a long name" for number in range(1, 11))
    counts = np.random.default_rng(0).integers(0, 1200, (200, 10))
    table = CrossTable("Classes and experts")
    qtbot.addWidget(table)
    table.resize(760, 500)
    table.show()
    table.set_cross(Cross(names, experts, counts, tuple(number % 10 for number in range(200))))
    assert table.horizontalScrollBar().maximum() == 0  # every expert is in sight
    table.mark(199, 9)
    top = table.horizontalHeader().height()
    assert table.rowViewportPosition(199) < table.viewport().height()
    assert table.horizontalHeader().height() == top > 80  # names stay in sight, turned
    assert table.verticalHeader().isVisible()


def test_that_the_pane_of_a_matrix_says_how_it_is_sorted(qtbot):
    pane = MatrixPane()
    qtbot.addWidget(pane)
    pane.set_matrix(ShownMatrix("truth", CROSS, (5, 3, 4, 1)))
    heard = []
    pane.cell_opened.connect(lambda *what: heard.append(what))
    pane.table.mark(3, 2)
    assert pane.sentence.startswith("8 of 10 images of class “cat”")
    QTest.keyClick(pane.table, Qt.Key.Key_Return)
    assert heard == [("truth", 1, 2)]
    pane.sort_by(4)
    assert pane.sort.text() == "Sort: Spread"
    assert rows_of(pane.table.cells)[0] == "Ant"
    pane.units.press("shares")
    assert pane.table.cells.text(3, 2) == "80%"
    pane.set_matrix(ShownMatrix("superclass", Cross((), CROSS.column_names, COUNTS[:0]), ()))
    assert pane.table.isHidden()


def test_that_cards_tell_what_is_odd_in_words(qtbot):
    cards = ExpertCards()
    qtbot.addWidget(cards)
    cards.resize(300, 400)
    dead = ExpertCard(1, "2 · nobody", 0, 0.0, 0.5, state="Dead: takes no image", is_warning=True)
    shown = ExpertCard(0, HTML, 12, 1.0, 0.5, (("dog", 7),), 0.625, 3, 0.5)
    cards.set_cards((shown, dead))
    assert shown.sentence() == (f"Expert {HTML}: 12 images, 100% of all; dog 7; margin 0.62 · 3 mismatched · top 1 50%")
    assert dead.sentence() == "Expert 2 · nobody: Dead: takes no image; 0 images, 0% of all; no image"
    with qtbot.waitSignal(cards.expert_chosen) as heard:
        QTest.keyClick(cards.view, Qt.Key.Key_Down)
    assert heard.args == [1]
    cards.step(1)
    assert cards.chosen == 1
    assert not cards.grab().isNull()


@pytest.mark.parametrize("look", [theme.DARK, theme.LIGHT], ids=["dark", "light"])
def test_that_numbers_are_read_on_every_shade(look):
    shades = [shade_of(look, share / 100) for share in range(101)]
    assert min(theme.contrast(look.text, shade) for shade in shades) >= 4.5
    contrasts = [theme.contrast(look.base, shade) for shade in shades]
    assert contrasts == sorted(contrasts)  # a larger share stands out more


def test_that_the_head_says_how_far_a_run_is(qtbot):
    head = ExpertHead()
    qtbot.addWidget(head)
    run = RoutingRun("20260801T100000Z-vmoe-aaaaaa", HTML, Path(), "c", "n", "2026", True, False, 7, 30, 3)
    routed = replace(run, id="20260802T100000Z-route-bbbbbb", title="", is_running=False, epoch=0, num_epochs=0)
    head.set_runs((routed, run), run.id)
    assert head.run_words == f"{HTML.replace('&', '&&')} · epoch 7 of 30"
    assert words_of(run).endswith("epoch 7 of 30, running")
    head.set_runs((routed, run), routed.id)
    assert head.run_words.startswith("n · routed ")
    head.set_routers((5, 6), 1)
    with qtbot.waitSignal(head.router_wanted) as heard:
        head._routers.setCurrentIndex(0)
    assert heard.args == [0]


def test_that_names_beside_lines_do_not_lie_on_each_other():
    found = spread_out([50.0, 52.0, 10.0, 99.0, 98.0], 12.0, 100.0)
    order = sorted(found)
    assert min(np.diff(order)) >= 12.0 - 1e-9
    assert max(found) <= 94.0
    assert found[2] == 10.0  # who has room stays
    assert spread_out([], 12.0, 100.0) == []


def test_that_a_routing_without_epochs_says_so(qtbot):
    pane = LoadPane()
    qtbot.addWidget(pane)
    none = np.zeros(0, np.float32)
    pane.set_history(("1", "2"), LoadHistory(np.zeros(0, np.int64), np.zeros((0, 1, 2)), *[none] * 5), 0)
    assert pane.is_empty
    one = np.ones(1, np.float32)
    load = np.array([[[0.25, 0.75]]], np.float32)
    pane.set_history(("1", "2"), LoadHistory(np.ones(1, np.int64), load, one, one, one, one * np.nan, one), 0)
    assert not pane.is_empty
    assert pane.load.words.startswith("Expert 1: 25% after the first epoch")
    assert [name for name, plot in pane.plots.items() if not plot.lines] == ["router_accuracy"]  # was not measured
    assert pane.plots["dead"].legend() == ["1"]


def test_that_a_class_is_picked_without_a_mouse(qtbot):
    choices = [ClassChoice(3, HTML, "#112233", "predicted (0.71)"), ClassChoice(1, "ant", "#445566")]
    choices += [ClassChoice(2, "antelope", "#445566")]
    picker = ClassPicker(choices, 2)
    qtbot.addWidget(picker)
    picker.show()
    QTest.keyClicks(picker.field, "ant")
    assert picker.names == ["ant", "antelope"]
    QTest.keyClick(picker.field, Qt.Key.Key_Down)
    with qtbot.waitSignal(picker.chosen) as heard:
        QTest.keyClick(picker.field, Qt.Key.Key_Return)
    assert heard.args == [2]
    picker.field.setText("no such class")
    picker.accept()  # nothing is marked, so nothing is taken
    assert picker.names == []


def test_that_every_command_has_a_title_a_place_and_keys_of_its_own():
    assert set(TITLES) == set(KEYS) == set(ExpertCommand) == set(MENU) - {None}
    keys = [key for of_command in KEYS.values() for key in of_command]
    assert len(keys) == len(set(keys))
