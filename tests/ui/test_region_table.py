"""The table beside the canvas, and the history."""

from dataclasses import dataclass, replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.canvas.history_panel import BEGINNING, HistoryModel, HistoryPanel
from locstudio.ui.canvas.region_table import REGION_ROLE, Column, RegionTable, RegionTableModel

BOX = UnitBox(0.1, 0.2, 0.5, 0.4)
REGIONS = [
    Region(5, 1, BOX, "<b>a dog</b> & <script>", 1, Review.ACCEPTED, Origin.HUMAN),
    Region(6, 1, BOX, "", None, Review.PENDING, Origin.MODEL, score=0.125),
    Region(7, 1, BOX, "x", 99, Review.REJECTED, Origin.EDITED, is_locked=True),
]
CLASSES = [LabelClass(1, "dog", "#ff8800")]


@dataclass(frozen=True)
class Entry:
    id: int
    title: str
    at: str = "2026-11-23T10:00:00+00:00"
    actor: str = "human"
    is_undone: bool = False
    num_changes: int = 1


STEPS = [
    Entry(3, "Move box", is_undone=True),
    Entry(2, "<b>Import</b>", actor="import", num_changes=900),
    Entry(1, "Draw box"),
]


@pytest.fixture
def table(qtbot):
    made = RegionTable()
    qtbot.addWidget(made)
    made.resize(700, 300)
    with qtbot.waitExposed(made):
        made.show()
    made.set_classes(CLASSES)
    made.set_regions(REGIONS, (200, 100))
    made.heard = []
    made.selection_changed.connect(lambda ids: made.heard.append(ids))
    return made


def texts(model: RegionTableModel, row: int) -> list[str]:
    return [model.data(model.index(row, column)) for column in Column]


def test_that_the_model_of_regions_keeps_qts_rules(qtmodeltester):
    model = RegionTableModel()
    model.set_regions(REGIONS, (200, 100))
    model.set_classes(CLASSES)
    qtmodeltester.check(model)
    model.set_regions([], (0, 0))
    qtmodeltester.check(model)


def test_that_the_model_of_steps_keeps_qts_rules(qtmodeltester):
    model = HistoryModel()
    qtmodeltester.check(model)
    model.set_steps(STEPS)
    qtmodeltester.check(model)


def test_that_rows_say_what_the_canvas_draws(table):
    assert texts(table.rows, 0) == [None, "dog", "<b>a dog</b> & <script>", "a person", "", "80 × 20"]
    assert texts(table.rows, 1) == [None, "–", "", "model", "0.12", "80 × 20"]
    spoken = table.rows.data(table.rows.index(2, Column.REVIEW), Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "Review: rejected, locked"
    tips = [table.rows.data(table.rows.index(0, c), Qt.ItemDataRole.ToolTipRole) for c in Column]
    assert tips[Column.PHRASE] == "<span>&lt;b&gt;a dog&lt;/b&gt; &amp; &lt;script&gt;</span>"
    assert table.rows.data(table.rows.index(1, 2), REGION_ROLE) is REGIONS[1]
    assert table.rows.data(table.rows.index(0, 2), Qt.ItemDataRole.AccessibleTextRole).startswith("Phrase: ")
    assert table.accessibleName()


def test_that_following_a_selection_emits_nothing_and_choosing_one_does(table):
    table.select([6, 7])
    assert table.selected_ids == [6, 7]
    assert table.heard == []
    table.selectRow(0)
    assert table.heard == [[5]]


def test_that_the_selection_survives_an_edit(table):
    table.select([6])
    table.set_regions([REGIONS[0], replace(REGIONS[1], phrase="new"), REGIONS[2]], (200, 100))
    assert table.selected_ids == [6]
    table.set_regions([REGIONS[1]], (200, 100))
    assert table.selected_ids == [6]
    assert table.heard == []


@pytest.mark.parametrize(
    ("which", "held", "command"),
    [
        (Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier, CanvasCommand.EDIT),
        (Qt.Key.Key_Delete, Qt.KeyboardModifier.NoModifier, CanvasCommand.DELETE),
        (Qt.Key.Key_L, Qt.KeyboardModifier.NoModifier, CanvasCommand.LOCK),
        (Qt.Key.Key_C, Qt.KeyboardModifier.NoModifier, CanvasCommand.ACCEPT),
        (Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier, CanvasCommand.DUPLICATE),
        (Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier, CanvasCommand.PASTE),
    ],
)
def test_that_the_canvas_acts_are_reachable_from_the_table(table, qtbot, which, held, command):
    with qtbot.waitSignal(table.command_requested) as asked:
        QTest.keyClick(table, which, held)
    assert asked.args == [command]


def test_that_digits_label_from_the_table(table, qtbot):
    with qtbot.waitSignal(table.class_requested) as asked:
        QTest.keyClick(table, Qt.Key.Key_3)
    assert asked.args == [3]


@pytest.fixture
def history(qtbot):
    made = HistoryPanel()
    qtbot.addWidget(made)
    made.resize(300, 200)
    with qtbot.waitExposed(made):
        made.show()
    made.set_steps(STEPS)
    return made


def test_that_the_present_step_is_the_newest_that_is_not_undone(history):
    assert history.steps.current_row == 1
    assert history.currentIndex().row() == 1
    assert not history.grab().isNull()
    history.set_steps([replace(step, is_undone=True) for step in STEPS])
    assert history.steps.id_at(history.steps.current_row) == BEGINNING


def test_that_a_click_asks_to_go_there_but_not_to_where_we_are(history, qtbot):
    def click(row: int) -> None:
        place: QPoint = history.visualRect(history.steps.index(row)).center()
        QTest.mouseClick(history.viewport(), Qt.MouseButton.LeftButton, pos=place)

    asked: list[int] = []
    history.go_to_requested.connect(asked.append)
    for row in (0, 1, 3):
        click(row)
    assert asked == [3, BEGINNING]


def test_that_enter_goes_to_the_step_under_the_keyboard(history, qtbot):
    QTest.keyClick(history, Qt.Key.Key_Down)
    with qtbot.waitSignal(history.go_to_requested) as asked:
        QTest.keyClick(history, Qt.Key.Key_Return)
    assert asked.args == [1]


def test_that_an_incomplete_history_offers_no_beginning(history):
    history.set_steps(STEPS, is_complete=False)
    assert history.steps.rowCount() == 3


def test_that_steps_are_spoken_with_their_state(history):
    def spoken(row: int) -> object:
        return history.steps.data(history.steps.index(row), Qt.ItemDataRole.AccessibleTextRole)

    assert [spoken(row) for row in range(4)] == ["Move box, undone", "<b>Import</b>, now", "Draw box", "Beginning"]
