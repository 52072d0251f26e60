"""The worklist of what changed: filtered, sorted, done by keys, each choice one step that undo takes back."""

from collections import Counter

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.jobs.predictions import Gate, GateCheck
from locstudio.services.changes import KINDS, Change
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.training.change_words import ChangeItem, effect_of
from locstudio.ui.training.changes_model import ChangeColumn, ChangesModel
from locstudio.ui.training.changes_view import ChangesView
from locstudio.ui.training.gate_card import GateCard, ShownGate

IMAGE = Image(7, 1, "harbour/boat.jpg", 640, 480)
BOX, OTHER = UnitBox(0.1, 0.1, 0.4, 0.5), UnitBox(0.3, 0.2, 0.6, 0.7)


def change(key, kind="fixed", size=0.5, **values):
    return Change(
        **{
            "key": key,
            "kind": kind,
            "image_id": 7,
            "region_id": 3,
            "box": BOX,
            "new_box": None if kind == "vanished" else OTHER if kind == "moved" else BOX,
            "true_box": BOX,
            "truth": "dog",
            "old_name": "" if kind == "new" else "cat",
            "old_score": None if kind == "new" else 0.25,
            "new_name": "" if kind == "vanished" else "dog",
            "new_score": None if kind == "vanished" else 0.75,
            "is_held_out": False,
            "size": size,
            **values,
        }
    )


def item(key, kind="fixed", size=0.5, chosen=None, **values):
    return ChangeItem.of(change(key, kind, size, **values), IMAGE, chosen)


ITEMS = (
    item("a", "fixed", 0.9),
    item("b", "broken", 0.7, is_held_out=True),
    item("c", "moved", 0.5, old_name="ape"),
    item("d", "vanished", 0.3),
)


def gate(passed=True, **values):
    check = GateCheck(name="metric", passed=passed, sentence="It names 3 boxes fewer.")
    return ShownGate(Gate(passed=passed, old_id="o", new_id="n", checks=(check,)), "old one", "new one", **values)


def keys_of(model):
    return [each.key for each in model.items]


@pytest.fixture
def crops(qapp):
    loader = PictureLoader(lambda key: QImage(16, 16, QImage.Format.Format_RGB32))
    yield loader
    loader.close()


@pytest.fixture
def view(qtbot, crops):
    """With the choices going back to it at once, as if they were on disk."""
    widget = ChangesView(crops)
    qtbot.addWidget(widget)
    widget.resize(1000, 640)
    with qtbot.waitExposed(widget):
        widget.show()
    widget.show_changes(ITEMS, gate())
    widget.choice_made.connect(lambda each, choice: widget.set_choices({each.key: choice}))
    return widget


def test_that_the_model_of_changes_keeps_qts_promises(qtmodeltester, qapp):
    model = ChangesModel()
    model.set_changes([*ITEMS, *(item(kind, kind) for kind in KINDS)])
    qtmodeltester.check(model)


def test_that_the_biggest_change_comes_first_until_a_person_sorts(qapp):
    model = ChangesModel()
    model.set_changes(reversed(ITEMS))
    assert keys_of(model) == ["a", "b", "c", "d"]
    model.sort(ChangeColumn.WAS, Qt.SortOrder.AscendingOrder)
    assert keys_of(model) == ["c", "a", "b", "d"]
    model.sort(ChangeColumn.KIND, Qt.SortOrder.DescendingOrder)
    assert keys_of(model) == ["d", "c", "b", "a"]


def test_that_a_filter_by_kind_and_held_out_keeps_what_passes_both(qapp):
    model = ChangesModel()
    model.set_changes(ITEMS)
    model.set_filter(["broken", "moved"], is_held_out_only=False, is_open_only=False)
    assert keys_of(model) == ["b", "c"]
    model.set_filter(["broken", "moved"], is_held_out_only=True, is_open_only=False)
    assert keys_of(model) == ["b"]
    assert model.counts() == Counter({"broken": 1})
    assert model.num_all == 4


def test_that_a_row_that_was_chosen_stays_until_the_filter_is_set_again(qapp):
    model = ChangesModel()
    model.set_changes(ITEMS)
    model.set_filter([], is_held_out_only=False, is_open_only=True)
    model.set_choices({"a": "new", "unknown": "old"})
    assert (keys_of(model), model.num_chosen) == (["a", "b", "c", "d"], 1)
    model.set_filter([], is_held_out_only=False, is_open_only=True)
    assert keys_of(model) == ["b", "c", "d"]
    model.set_choices({"a": None})
    assert model.num_chosen == 0


def test_that_a_change_is_said_in_words(qapp):
    assert ITEMS[1].sentence() == "Broken: cat 0.25 → dog 0.75, it is “dog”, in harbour/boat.jpg"
    assert item("x", "new", chosen="old").sentence().startswith("New: nothing → dog 0.75")
    assert item("x", chosen="old").sentence().endswith("old kept")


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("fixed", {}, "The data is right as it is; your choice is remembered."),
        ("broken", {}, "The region becomes “dog” and accepted."),
        ("moved", {}, "The box of the region moves to where the new model finds it."),
        ("vanished", {}, "The region is rejected."),
        ("vanished", {"region_id": None}, "Nothing is there to edit; remembered."),
        ("new", {}, "The region “dog” is accepted."),
        ("new", {"region_id": None}, "An accepted region “dog” is added."),
    ],
)
def test_that_what_taking_the_new_does_is_said_before(kind, values, words):
    assert effect_of(change("x", kind, **values), "new") == words
    assert effect_of(change("x", kind, **values), "old") == "Nothing is edited; your choice is remembered."


def test_that_the_worklist_is_done_by_keys_alone(view, qtbot):
    view.focus_list()
    qtbot.keyClick(view.table, Qt.Key.Key_K)
    qtbot.keyClick(view.table, Qt.Key.Key_N)
    qtbot.keyClick(view.table, Qt.Key.Key_Left)
    assert view.progress == "3 of 4 chosen"
    qtbot.keyClick(view.table, Qt.Key.Key_Right)
    assert [each.chosen for each in view.model.items] == ["old", "new", "old", "new"]
    assert view.table.currentIndex().row() == 3  # nothing is open any more


def test_that_keys_of_the_list_also_work_from_a_chip(view, qtbot):
    view._chips["fixed"].setFocus()
    qtbot.keyClick(view._chips["fixed"], Qt.Key.Key_K)
    assert view.model.items[0].chosen == "old"
    assert view.table.hasFocus()


def test_that_space_skips_and_backspace_goes_back(view, qtbot):
    for key, row in (
        (Qt.Key.Key_Space, 1),
        (Qt.Key.Key_Space, 2),
        (Qt.Key.Key_Backspace, 1),
        (Qt.Key.Key_Down, 2),
        (Qt.Key.Key_N, 3),
        (Qt.Key.Key_K, 0),
    ):
        qtbot.keyClick(view.table, key)
        assert view.table.currentIndex().row() == row
    assert [each.chosen for each in view.model.items] == [None, None, "new", "old"]


def test_that_enter_and_a_double_click_open_the_image(view, qtbot):
    opened = []
    view.place_wanted.connect(lambda each: opened.append(each.key))
    view.table.go_to(1)
    qtbot.keyClick(view.table, Qt.Key.Key_Return)
    where = view.table.visualRect(view.model.index(2, ChangeColumn.WAS)).center()
    qtbot.mouseClick(view.table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.mouseDClick(view.table.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert opened == ["b", "c"]


def test_that_the_buttons_do_what_the_keys_do_and_leave_the_keys_with_the_list(view, qtbot):
    view.focus_list()
    qtbot.mouseClick(view.detail._take, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(view.detail._skip, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(view.detail._keep, Qt.MouseButton.LeftButton)
    assert [each.chosen for each in view.model.items] == ["new", None, "old", None]
    assert view.table.hasFocus()


def test_that_chips_count_and_filter(view):
    texts = {kind: chip.text() for kind, chip in view._chips.items() if chip.isVisible()}
    assert texts == {
        "fixed": "✓ Fixed 1",
        "broken": "✗ Broken 1",
        "moved": "↔ Moved 1",
        "vanished": "− Vanished 1",
    }
    view._chips["moved"].click()
    assert keys_of(view.model) == ["c"]
    view._held_out.click()
    assert view._list.currentWidget() is view._none
    assert view._none.text() == "Nothing passes this filter."
    assert not view.detail._take.isEnabled()


def test_that_two_models_that_agree_say_so(view):
    view.show_changes((), gate())
    assert view._none.text() == "The two models agree on everything."


def test_that_of_ten_thousand_changes_only_those_on_the_screen_ask_for_a_picture(qtbot, crops, monkeypatch):
    widget = ChangesView(crops)
    qtbot.addWidget(widget)
    widget.resize(1000, 640)
    asked = set()
    monkeypatch.setattr(type(crops), "picture", lambda _, key: asked.add(key))
    many = [item(f"k{n}", size=n / 10_000, image_id=n) for n in range(10_000)]
    many = [ChangeItem(each.change, Image(n, 1, "x.jpg", 64, 48), each.view) for n, each in enumerate(many)]
    widget.show_changes(many, gate())
    with qtbot.waitExposed(widget):
        widget.show()
    widget.table.viewport().repaint()
    assert 0 < len(asked) < 30
    widget.table.go_to(9_000)
    assert widget.table.current_item.key == "k999"


@pytest.fixture
def card(qtbot):
    made = GateCard()
    qtbot.addWidget(made)
    made.resize(900, 120)
    return made


def test_that_a_gate_that_passed_offers_to_activate(card, qtbot):
    card.set_gate(gate(passed=True))
    card.show()
    assert card.heading == "new one may take the place of old one."
    assert not card._reasons.isVisible()
    card._more.click()
    assert card._reasons.isVisible()
    with qtbot.waitSignal(card.activate_wanted) as wanted:
        card._activate.click()
    assert wanted.args == [False]


def test_that_a_gate_that_failed_shows_its_reasons_and_activates_only_against_it(card, qtbot):
    card.set_gate(gate(passed=False))
    card.show()
    assert card.reasons == ["✗  It names 3 boxes fewer."]
    assert card._reasons.isVisible()
    assert card._activate.text() == "Activate it all the same"
    with qtbot.waitSignal(card.activate_wanted) as wanted:
        card._activate.click()
    assert wanted.args == [True]


def test_that_a_model_in_use_offers_nothing(card):
    card.set_gate(gate(is_active=True))
    card.show()
    assert card.heading == "new one is the model in use."
    assert not card._activate.isVisible()
    assert not card._keep.isVisible()


def test_that_two_models_of_which_the_old_is_not_in_use_offer_no_change_of_models(card):
    card.set_gate(gate(is_old_active=False))
    card.show()
    assert card.heading == "new one against old one, which is not in use."
    assert not card._activate.isVisible()
