"""The filter bar: what is ticked and typed becomes one value."""

import pytest
from PySide6.QtCore import Qt

from locstudio.domain.regions import LabelClass, Origin, Problem, Review
from locstudio.services.heat.disagreeing import HeatWish
from locstudio.services.heat.inconsistency import Disagreement
from locstudio.store.filters import Facets, ImageFilter
from locstudio.ui.gallery.filter_bar import FilterBar


@pytest.fixture
def bar(qtbot):
    bar = FilterBar()
    qtbot.addWidget(bar)
    facets = Facets(
        184, 10, 20, {Review.PENDING: 30}, {Origin.MODEL: 4}, {1: 12, 2: 40}, {Problem.NONE: 180, Problem.MISSING: 4}
    )
    bar.set_facets(facets, [LabelClass(1, "<b>cat</b>", "#ff0000"), LabelClass(2, "salt & pepper", "#00ff00")])
    bar.set_count(184, 184)
    bar.resize(300, 160)
    bar.show()
    return bar


def entries(chip):
    chip.menu().aboutToShow.emit()
    return {action.text(): action for action in chip.menu().actions()}


def test_that_ticking_a_class_makes_the_filter(bar, qtbot):
    with qtbot.waitSignal(bar.filter_changed) as changed:
        entries(bar._class)["<b>cat</b>\t12"].setChecked(True)
    assert changed.args == [ImageFilter(class_ids=frozenset({1}))]


def test_that_classes_are_listed_by_how_many_images_have_them(bar):
    assert list(entries(bar._class)) == ["salt && pepper\t40", "<b>cat</b>\t12"]


def test_that_verified_and_not_verified_exclude_each_other(bar):
    entries(bar._verified)["Verified\t20"].setChecked(True)
    entries(bar._verified)["Not verified\t164"].setChecked(True)
    assert bar.filter.is_verified is False


def test_that_typed_words_are_announced_once_after_a_pause(bar, qtbot):
    seen = []
    bar.filter_changed.connect(seen.append)
    with qtbot.waitSignal(bar.filter_changed):
        qtbot.keyClicks(bar._words, "red car")
    assert seen == [ImageFilter(words="red car")]


def test_that_clearing_takes_everything_back(bar, qtbot):
    entries(bar._review)["To review\t30"].setChecked(True)
    assert bar._clear.isVisible()
    qtbot.mouseClick(bar._clear, Qt.MouseButton.LeftButton)
    assert bar.filter == ImageFilter()
    assert not bar._clear.isVisible()


def test_that_the_count_says_how_many_of_how_many(bar):
    bar.set_count(1, 1)
    assert bar._count.text() == "1 image"
    bar.set_count(23, 1840)
    assert bar._count.text() == "23 of 1,840 images"


def test_that_heat_is_offered_only_where_there_is_some(bar):
    assert bar._heat.isHidden()
    assert bar._order.isHidden()
    bar.set_heat({Disagreement.ANY: 30, Disagreement.MISSING: 12}, 180)
    assert list(entries(bar._heat)) == ["Heat disagrees\t30", "Expected, no label\t12"]
    assert list(entries(bar._order)) == ["By disagreement\t180"]


def test_that_heat_is_announced_beside_the_filter_and_cleared_with_it(bar, qtbot):
    bar.set_heat({Disagreement.ANY: 30, Disagreement.MISSING: 12}, 180)
    filters = []
    bar.filter_changed.connect(filters.append)
    with qtbot.waitSignal(bar.heat_changed) as changed:
        entries(bar._heat)["Expected, no label\t12"].setChecked(True)
    assert changed.args == [HeatWish(Disagreement.MISSING)]
    with qtbot.waitSignal(bar.heat_changed) as changed:
        entries(bar._order)["By disagreement\t180"].setChecked(True)
    assert changed.args == [HeatWish(Disagreement.MISSING, is_sorted=True)]
    assert filters == []
    qtbot.mouseClick(bar._clear, Qt.MouseButton.LeftButton)
    assert not bar.heat
