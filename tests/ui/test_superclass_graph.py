"""The graph of superclasses by itself: what is under the mouse, what a drag asks for, and what keys reach."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from locstudio.domain.regions import LabelClass
from locstudio.jobs.confusions import Confusion, ConfusionHeader
from locstudio.services.routing.graph import ConfusionGraph
from locstudio.services.routing.graph_layout import WITHOUT, arranged
from locstudio.ui.routing.superclass_canvas import SuperclassCanvas
from locstudio.ui.routing.superclass_commands import KEYS, TITLES, SuperclassCommand
from locstudio.ui.routing.superclass_picture import NEW, GraphPicture, Group, without_group
from locstudio.ui.routing.superclass_rows import KEY_ROLE, SuperclassRows
from locstudio.ui.routing.superclass_scene import GraphScene
from locstudio.ui.routing.superclass_tree import SuperclassTree

NAMES = (
    "tabby",
    "Siamese",
    "collie",
    "school bus",
    "tractor",
    "a class with a very long name that no frame has room for",
)
COUNTS = [
    [6, 4, 0, 0, 0, 0],
    [2, 8, 0, 0, 0, 0],
    [0, 1, 9, 0, 0, 0],
    [0, 0, 0, 7, 3, 0],
    [0, 0, 0, 1, 9, 0],
    [0, 0, 0, 0, 0, 5],
]
LEFT = Qt.MouseButton.LeftButton


def picture_of(num=6, *, is_suggestion=False) -> GraphPicture:
    """Two cats and a dog, two cars, and a class without a superclass; a larger one has a class after the other."""
    names = NAMES if num == len(NAMES) else [f"class number {n}" for n in range(num)]
    classes = [LabelClass(n + 1, names[n], "#808080") for n in range(num)]
    counts = np.array(COUNTS, np.float32) if num == len(NAMES) else np.eye(num, dtype=np.float32) * 9 + 0.5
    ids = tuple(range(1, num + 1))
    header = ConfusionHeader(run_id="r", class_ids=ids, class_names=tuple(names), num_images=50)
    graph = ConfusionGraph.of(classes, Confusion(header, counts))
    half = num // 2
    groups = (
        Group(7, "pets", "#e69f00", ids[:half]),
        Group(8, "traffic", "#56b4e9", ids[half:-1]),
        without_group(ids[-1:]),
    )
    layout = arranged(graph, {group.key: group.class_ids for group in groups})
    keys = {class_id: group.key for group in groups for class_id in group.class_ids if group.key}
    pulls = {pull.class_id: pull for pull in graph.pulls(keys)}
    return GraphPicture(graph, groups, layout, graph.edges(), pulls, is_suggestion)


@pytest.fixture
def canvas(qtbot):
    made = SuperclassCanvas()
    qtbot.addWidget(made)
    made.resize(900, 560)
    made.show()
    made.set_picture(picture_of(), is_new=True)
    return made


def at_class(canvas, class_id) -> QPoint:
    place = canvas.picture.graph.position(class_id)
    return (canvas.scene.class_rect(place).center() + canvas._offset).toPoint()


def at_title(canvas, key) -> QPoint:
    rect = canvas.scene.title_rect(key).translated(canvas._offset)
    return QPoint(round(rect.left() + 30), round(rect.center().y()))


def in_area(canvas, key) -> QPoint:
    rect = canvas.scene.area_rect(key).translated(canvas._offset)
    return QPoint(round(rect.right() - 8), round(rect.bottom() - 8))


def drag(canvas, start, end, *, lets_go=True) -> None:
    QTest.mousePress(canvas, LEFT, Qt.KeyboardModifier.NoModifier, start)
    for share in (0.3, 0.7, 1.0):
        move(canvas, start + (end - start) * share)
    if lets_go:
        QTest.mouseRelease(canvas, LEFT, Qt.KeyboardModifier.NoModifier, end)


def move(canvas, to) -> None:
    where = QPointF(to)
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        where,
        QPointF(canvas.mapToGlobal(to)),
        Qt.MouseButton.NoButton,
        LEFT,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(canvas, event)


def test_that_no_two_names_of_200_classes_touch_at_any_zoom(qapp):
    picture = picture_of(200)
    for scale in (0.3, 0.7, 1.0, 2.0):
        scene = GraphScene(picture, scale)
        if scene.has_pills:
            rects = [scene.class_rect(place) for place in range(200)]
        else:
            rects = [label.rect for label in scene.labels]
        boxes = np.array([(r.left(), r.top(), r.right(), r.bottom()) for r in rects])
        first, second = boxes[:, None], boxes[None, :]
        touch = (first[..., 0] < second[..., 2]) & (second[..., 0] < first[..., 2])
        touch &= (first[..., 1] < second[..., 3]) & (second[..., 1] < first[..., 3])
        assert np.count_nonzero(touch) == len(boxes), scale
        assert len(rects) >= 8


def test_that_far_away_classes_are_dots_with_some_names_and_near_by_all_have_one(qapp):
    picture = picture_of(200)
    assert not GraphScene(picture, 0.3).has_pills
    assert GraphScene(picture, 1.0).has_pills
    place = GraphScene(picture_of(), 1.0).names[5]
    assert place.endswith("…")


def test_that_a_class_dropped_on_another_superclass_asks_to_be_moved(canvas, qtbot):
    with qtbot.waitSignal(canvas.move_wanted) as wanted:
        drag(canvas, at_class(canvas, 3), in_area(canvas, 8))
    assert wanted.args == [(3,), 8]


def test_that_several_chosen_classes_are_dragged_together(canvas, qtbot):
    canvas.choose((1, 2))
    with qtbot.waitSignal(canvas.move_wanted) as wanted:
        drag(canvas, at_class(canvas, 1), in_area(canvas, WITHOUT))
    assert set(wanted.args[0]) == {1, 2}
    assert wanted.args[1] == WITHOUT


def test_that_what_would_happen_is_seen_while_a_class_is_in_hand(canvas):
    drag(canvas, at_class(canvas, 3), in_area(canvas, 8), lets_go=False)
    assert canvas.marks.target == 8
    assert canvas.marks.dragged == (3,)
    assert len(canvas.marks.landing) == 1
    assert canvas._hand.words == "Move “collie” to “traffic” · kept inside 100 % → 91 %"  # one of eleven goes out
    canvas.grab()
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.marks.dragged == ()


def test_that_a_class_dropped_where_it_is_or_on_nothing_stays(canvas, qtbot):
    with qtbot.assertNotEmitted(canvas.move_wanted):
        drag(canvas, at_class(canvas, 3), in_area(canvas, 7))
        drag(canvas, at_class(canvas, 3), QPoint(2, 2))


def test_that_a_class_dropped_on_the_field_for_it_makes_a_superclass(canvas, qtbot):
    with qtbot.waitSignal(canvas.move_wanted) as wanted:
        drag(canvas, at_class(canvas, 1), canvas._new_rect().center().toPoint())
    assert wanted.args == [(1,), NEW]


def test_that_what_is_held_at_the_rim_brings_the_rest_into_sight(canvas, qtbot):
    canvas.zoom(2.5)
    canvas.show_class(1)
    before = canvas._offset.x()
    drag(canvas, at_class(canvas, 1), QPoint(canvas.width() - 4, canvas.height() // 2), lets_go=False)
    qtbot.waitUntil(lambda: canvas._offset.x() < before - 40)
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert not canvas._pan.isActive()


def test_that_a_superclass_dropped_on_another_asks_to_be_merged(canvas, qtbot):
    with qtbot.waitSignal(canvas.merge_wanted) as wanted:
        drag(canvas, at_title(canvas, 7), in_area(canvas, 8))
    assert wanted.args == [7, 8]


def test_that_a_superclass_is_named_in_place(canvas, qtbot):
    QTest.mouseDClick(canvas, LEFT, Qt.KeyboardModifier.NoModifier, at_title(canvas, 7))
    field = canvas.findChild(type(canvas._name))
    assert field.isVisible()
    assert field.text() == "pets"
    with qtbot.waitSignal(canvas.name_wanted) as wanted:
        QTest.keyClicks(field, "animals")
        QTest.keyClick(field, Qt.Key.Key_Return)
    assert wanted.args == [7, "animals"]
    assert not field.isVisible()


def test_that_esc_leaves_the_old_name(canvas, qtbot):
    canvas.edit_name(7)
    with qtbot.assertNotEmitted(canvas.name_wanted):
        QTest.keyClicks(canvas._name, "x")
        QTest.keyClick(canvas._name, Qt.Key.Key_Escape)
    assert not canvas._name.isVisible()


def test_that_a_click_on_a_confusion_chooses_it_and_the_mouse_over_it_says_its_numbers(canvas, qtbot):
    edges = canvas.picture.edges
    number = next(n for n in range(len(edges)) if canvas.scene.is_within_M[n] and edges.first[n] == 0)
    canvas.zoom(2.0)
    points = canvas.scene.points_MP2[number]
    free = [QPointF(*point.tolist()) for point in points if canvas.scene.class_at(QPointF(*point.tolist())) is None]
    where = (free[len(free) // 2] + canvas._offset).toPoint()
    assert (
        canvas.sentence_at(QPointF(where)) == "40 % of “tabby” is taken for “Siamese”, 20 % of “Siamese” for “tabby”."
    )
    with qtbot.waitSignal(canvas.edge_chosen) as chosen:
        QTest.mouseClick(canvas, LEFT, Qt.KeyboardModifier.NoModifier, where)
    assert chosen.args == [1, 2]


def test_that_the_mouse_over_a_class_and_a_superclass_says_what_is_known(canvas):
    words = canvas.sentence_at(QPointF(at_class(canvas, 1)))
    assert words == ("“tabby”, in “pets”: itself 60 % on average, confused most with “Siamese” (40 % is taken for it).")
    assert (
        canvas.sentence_at(QPointF(at_title(canvas, 7))) == "“pets”: 3 classes, 100 % of their confusion stays inside."
    )


def test_that_arrows_go_from_class_to_class_and_shift_keeps_them(canvas):
    canvas.choose((1,))
    reached = {1}
    for _ in range(30):
        for key in (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Right):
            QTest.keyClick(canvas, key)
            reached.add(canvas.chosen[-1])
    assert len(reached) >= 4
    canvas.choose((4,))
    QTest.keyClick(canvas, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(canvas, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert len(canvas.chosen) > 1


def test_that_shift_and_a_drag_over_nothing_choose_what_lies_inside(canvas):
    area = canvas.scene.area_rect(7).translated(canvas._offset)
    canvas._choose_in(QRectF(area))
    assert set(canvas.chosen) == {1, 2, 3}


def test_that_the_rest_of_the_picture_does_not_move_on_the_screen_after_an_edit(canvas):
    before = at_class(canvas, 4)
    canvas.set_picture(picture_of())
    assert at_class(canvas, 4) == before


def test_that_every_command_has_a_title_and_a_key_of_its_own():
    keys = [key for command in SuperclassCommand for key in KEYS[command]]
    assert set(TITLES) == set(KEYS) == set(SuperclassCommand)
    assert len(set(keys)) == len(keys)


# the tree -----------------------------------------------------------------------------------------------------------


def test_that_the_rows_keep_the_promises_of_models(qtmodeltester):
    rows = SuperclassRows()
    qtmodeltester.check(rows)
    rows.set_picture(picture_of())
    qtmodeltester.check(rows)
    rows.set_search("bus")
    qtmodeltester.check(rows)


def test_that_a_search_leaves_classes_and_superclasses_with_its_words(qapp):
    rows = SuperclassRows()
    rows.set_picture(picture_of())
    rows.set_search("TRAC")
    assert [rows.index(row, 0).data(KEY_ROLE) for row in range(rows.rowCount())] == [8]
    assert rows.rowCount(rows.index(0, 0)) == 1
    assert rows.first_class() == 5
    rows.set_search("traffic")
    assert rows.rowCount(rows.index(0, 0)) == 2
    rows.set_search("no such")
    assert rows.rowCount() == 0
    assert rows.first_class() is None


def test_that_the_tree_says_in_words_what_the_graph_shows(qapp):
    rows = SuperclassRows()
    rows.set_picture(picture_of())
    group = rows.index_of_group(7)
    assert group.data() == "pets · 3"
    assert group.siblingAtColumn(1).data() == "77 %"  # 23 of 30
    index = rows.index_of_class(1)
    assert (index.data(), index.siblingAtColumn(1).data()) == ("tabby", "60 %")
    assert "confused most with “Siamese”" in index.data(Qt.ItemDataRole.AccessibleTextRole)


def test_that_the_tree_keeps_what_is_open_and_chosen_when_it_is_filled_anew(qtbot):
    tree = SuperclassTree()
    qtbot.addWidget(tree)
    tree.show()
    tree.set_picture(picture_of())
    tree.setExpanded(tree.rows.index_of_group(8), False)
    tree.choose((1, 3))
    tree.set_picture(picture_of())
    assert tree.chosen_ids() == (1, 3)
    assert not tree.isExpanded(tree.rows.index_of_group(8))
    assert tree.isExpanded(tree.rows.index_of_group(7))


def test_that_letters_in_the_tree_are_commands(qtbot):
    tree = SuperclassTree()
    qtbot.addWidget(tree)
    tree.set_picture(picture_of())
    tree.choose((1,))
    with qtbot.waitSignal(tree.command_wanted) as wanted:
        QTest.keyClick(tree, Qt.Key.Key_M)
    assert wanted.args == [SuperclassCommand.MOVE]
