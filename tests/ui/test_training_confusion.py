"""The confusion matrix: readable without colours, worked by keys, largest mistakes first."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from locstudio.ui import theme
from locstudio.ui.training.confusion_list import ConfusionListModel
from locstudio.ui.training.confusion_matrix import Cell, ConfusionMatrix
from locstudio.ui.training.confusion_view import ConfusionView
from locstudio.ui.training.matrix_view import MAX_SIDE, MIN_SIDE

NAMES = ("ant", "bee", "cow")
# Three bees were named ant and one cow bee; "cow" has fewer mistakes than "bee", so it stands last.
COUNTS_CC = np.array([[5, 0, 0], [3, 2, 0], [0, 1, 9]])


@pytest.fixture
def shown(qtbot):
    def show(widget, size=(520, 420)):
        qtbot.addWidget(widget)
        widget.resize(*size)
        with qtbot.waitExposed(widget):
            widget.show()
        return widget

    return show


@pytest.fixture
def matrix(shown):
    widget = shown(ConfusionMatrix())
    widget.set_confusion(NAMES, COUNTS_CC)
    return widget


@pytest.fixture
def view(shown):
    widget = shown(ConfusionView())
    widget.set_confusion(NAMES, COUNTS_CC)
    return widget


def pixels_of(widget):
    image = widget.viewport().grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(0, image.height(), 3)}


def test_that_a_cell_says_in_words_what_it_holds(matrix):
    assert matrix.cell(1, 0) == Cell(1, 0, 3, 5, "bee", "ant")
    assert matrix.cell(1, 0).sentence() == "3 of 5 “bee” named “ant” (60 %)"
    assert matrix.cell(0, 0).sentence() == "5 of 5 “ant” named right (100 %)"


def test_that_a_class_without_regions_has_no_share(matrix):
    matrix.set_confusion(("ant", "bee"), np.array([[1, 0], [0, 0]]))
    assert matrix.cell(1, 0).sentence() == "0 of 0 “bee” named “ant”"


def test_that_arrow_keys_walk_through_the_cells_and_stay_inside(matrix, qtbot):
    chosen = []
    matrix.cell_chosen.connect(lambda cell: chosen.append((cell.row, cell.column)))
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up):
        qtbot.keyClick(matrix, key)
    assert chosen == [(0, 0), (1, 0), (1, 0), (1, 1), (0, 1)]
    assert matrix.accessibleDescription() == matrix.cell(0, 1).sentence()


def test_that_a_click_chooses_the_cell_below_the_mouse(matrix, qtbot):
    with qtbot.waitSignal(matrix.cell_chosen) as chosen:
        where = matrix.rect_of(2, 1).center()
        qtbot.mouseClick(matrix.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert (chosen.args[0].truth, chosen.args[0].named, chosen.args[0].count) == ("cow", "bee", 1)
    assert matrix.place_at(QPoint(2, 2)) is None


def test_that_a_chosen_cell_far_away_is_brought_into_sight(shown):
    matrix = shown(ConfusionMatrix())
    matrix.set_confusion([f"class {n}" for n in range(80)], np.eye(80, dtype=int))
    matrix.choose(79, 79)
    assert matrix.viewport().rect().contains(matrix.rect_of(79, 79))
    matrix.choose(0, 0)
    left, top = matrix._margins
    assert matrix.rect_of(0, 0).topLeft() == QPoint(left, top)


def test_that_cells_too_small_for_numbers_show_dots(matrix):
    assert not matrix.has_dots
    matrix.set_side(12)
    assert matrix.has_dots
    matrix.set_side(1)
    assert matrix.side == MIN_SIDE
    matrix.set_side(1000)
    assert (matrix.side, matrix.has_dots) == (MAX_SIDE, False)


def test_that_the_whole_matrix_fits_when_it_is_asked_to(shown):
    matrix = shown(ConfusionMatrix(), (700, 700))
    matrix.set_confusion([f"class {n}" for n in range(40)], np.eye(40, dtype=int))
    matrix.fit()
    assert matrix.horizontalScrollBar().maximum() == matrix.verticalScrollBar().maximum() == 0


@pytest.mark.parametrize("choice", ["dark", "light"])
def test_that_right_and_wrong_are_told_apart_by_more_than_colour(qapp, matrix, choice):
    theme.apply(qapp, choice)
    matrix.set_dots(True)
    dots = matrix.viewport().grab().toImage()
    middle_right = dots.pixelColor(matrix.rect_of(0, 0).center()).name()
    middle_wrong = dots.pixelColor(matrix.rect_of(1, 0).center()).name()
    assert middle_right == theme.current().base  # a ring
    assert middle_wrong == theme.current().danger  # a disc
    theme.apply(qapp, "dark")


def test_that_classes_with_most_mistakes_stand_first_and_cells_keep_the_numbers_they_were_given(view, qtbot):
    assert view.matrix._rows == ("bee", "ant", "cow")
    with qtbot.waitSignal(view.cell_chosen) as chosen:
        view.matrix.choose(0, 1)
    row, column, cell = chosen.args
    assert (row, column) == (1, 0)
    assert cell.sentence() == "3 of 5 “bee” named “ant” (60 %)"


def test_that_the_list_holds_the_mistakes_alone_and_the_largest_first(view, qtbot):
    model = view.list.rows
    texts = [[model.index(row, column).data() for column in range(4)] for row in range(model.rowCount())]
    assert texts == [["bee", "ant", "3", "60 %"], ["cow", "bee", "1", "10 %"]]
    view.show_way(2)
    with qtbot.waitSignal(view.cell_chosen) as chosen:
        view.list.selectRow(1)
    assert chosen.args[:2] == [2, 1]
    assert view._says.text() == "4 of 20 regions named wrong"


def test_that_nothing_measured_is_said_in_words(view):
    view.set_confusion((), np.zeros((0, 0), int))
    assert view._pages.currentWidget() is view._none


def test_that_the_list_keeps_qts_promises(qtmodeltester, qapp):
    model = ConfusionListModel()
    model.set_cells([Cell(0, 1, 3, 5, "bee", "ant"), Cell(1, 0, 1, 5, "<b>", "x")])
    qtmodeltester.check(model)
