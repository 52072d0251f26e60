"""The crop gallery pass on a real small project: done by keys, shown at once, taken back by undo."""

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from locstudio.domain.edits import Edit, RegionChange
from locstudio.domain.errors import StorageFailed
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Origin, Review
from locstudio.services.curation.view import Order
from locstudio.store.dataset import Dataset
from locstudio.ui.curation import curating as curating_module
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.top_bar import Page

HTML = "<img src=x onerror=alert(1)>\n<b>cat</b>"


@pytest.fixture
def page(curation):
    """The page, its proposals sorted by falling score."""
    curation.page.filters.set_order(Order.SCORE)
    curation.page.grid.go_to(0)
    return curation.page


@pytest.fixture
def dataset(desk) -> Dataset:
    return desk.opened.dataset


def press(page, *keys, modifiers=Qt.KeyboardModifier.NoModifier):
    for key in keys:
        QTest.keyClick(page.grid, key, modifiers)


def settle(desk, qtbot):
    """Wait until every decision is on disk and told."""
    qtbot.waitUntil(lambda: desk.editing.is_idle, timeout=10_000)


def proposals_of(dataset):
    regions = dataset.region_page(limit=1000)
    return [region for region in regions if region.source.startswith("vesl:")]


def test_that_the_page_is_the_third_and_the_gallery_has_the_keys(studio, curation):
    assert studio.window.page is Page.CURATION
    assert studio.window.focusWidget() is curation.page.grid
    studio.window.actions_by_name["show_collection"].trigger()
    assert studio.window.page is Page.COLLECTION
    QTest.keyClick(studio.window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert studio.window.page is Page.CURATION


def test_that_what_is_proposed_is_shown_and_doubles_are_not(page):
    # 8 images with 4 proposals and 2 pending regions each; of the proposals one lies on another.
    assert page.filters.count_words == "40 of 48 items"
    assert page.thresholds.score_words == "32 of 32 proposals"
    assert page.thresholds.overlap_words == "8 doubles hidden"


def test_that_the_slider_of_confidence_acts_at_once(page):
    page.thresholds.score.setValue(50)
    assert page.thresholds.score_words == "16 of 32 proposals"
    assert page.filters.count_words == "32 of 48 items"
    page.thresholds.score.setValue(95)
    assert page.thresholds.score_words == "0 of 32 proposals"


def test_that_the_slider_of_overlap_acts_at_once(page):
    page.thresholds.overlap.setValue(100)
    assert page.thresholds.overlap_words == "0 doubles hidden"
    assert page.filters.count_words == "48 items"


@pytest.mark.parametrize(
    ("key", "review"),
    [
        (Qt.Key.Key_Return, Review.ACCEPTED),
        (Qt.Key.Key_C, Review.ACCEPTED),
        (Qt.Key.Key_Enter, Review.ACCEPTED),
        (Qt.Key.Key_X, Review.REJECTED),
    ],
)
def test_that_one_key_decides_and_goes_on(page, desk, dataset, qtbot, key, review):
    first = page.grid.current
    press(page, key)
    assert page.grid.place == 1  # before anything is on disk
    assert page.model.crop(0).review is review
    settle(desk, qtbot)
    region = proposals_of(dataset)[0]
    assert (region.review, region.origin, region.image_id) == (review, Origin.MODEL, first.item.image_id)
    assert page.model.crop(0).item.region_id == region.id


def test_that_what_is_decided_stays_in_its_place_until_the_view_is_tidied(page, desk, qtbot):
    keys = [page.model.crop(place).item.key for place in range(4)]
    press(page, Qt.Key.Key_C, Qt.Key.Key_X)
    settle(desk, qtbot)
    assert [page.model.crop(place).item.key for place in range(4)] == keys
    assert [page.model.crop(place).is_done for place in range(4)] == [True, True, False, False]
    press(page, Qt.Key.Key_F5)
    assert [page.model.crop(place).item.key for place in range(2)] == keys[2:]
    assert page.grid.current.item.key == keys[2]


def test_that_space_skips_and_backspace_goes_back(page):
    press(page, Qt.Key.Key_Space, Qt.Key.Key_Space)
    assert page.grid.place == 2
    press(page, Qt.Key.Key_C)
    assert page.grid.place == 3
    press(page, Qt.Key.Key_Backspace)
    assert page.grid.place == 2
    press(page, Qt.Key.Key_Backspace)
    assert page.grid.place == 1
    assert page.model.crop(0).review is Review.PENDING


def test_that_going_on_leaves_out_what_is_decided(page, desk, qtbot):
    page.grid.go_to(1)
    press(page, Qt.Key.Key_C)
    page.grid.go_to(0)
    press(page, Qt.Key.Key_X)
    assert page.grid.place == 2
    settle(desk, qtbot)


def test_that_the_selection_is_decided_in_one_step(page, desk, dataset, qtbot):
    press(page, Qt.Key.Key_Right, Qt.Key.Key_Right, modifiers=Qt.KeyboardModifier.ShiftModifier)
    assert page.filters.chosen_words == "3 selected" or page.grid.chosen().size == 3
    press(page, Qt.Key.Key_X)
    assert page.grid.place == 3
    settle(desk, qtbot)
    assert [region.review for region in proposals_of(dataset)] == [Review.REJECTED] * 3
    assert dataset.history(1)[0].title == "Reject 3 boxes"
    desk.undo()
    qtbot.waitUntil(lambda: proposals_of(dataset) == [], timeout=10_000)
    settle(desk, qtbot)
    assert [page.model.crop(place).review for place in range(3)] == [Review.PENDING] * 3
    assert page.grid.place == 0  # the view follows


def test_that_everything_can_be_selected_and_rejected(page, desk, dataset, qtbot):
    press(page, Qt.Key.Key_A, modifiers=Qt.KeyboardModifier.ControlModifier)
    assert len(page.grid.chosen()) == len(page.model.rows)
    press(page, Qt.Key.Key_X)
    settle(desk, qtbot)
    assert {region.review for region in dataset.region_page(limit=1000)} == {Review.REJECTED}
    assert page.filters.count_words == "40 items"  # the doubles of what was refused are not asked again


def test_that_undo_by_its_key_makes_the_item_raw_again_and_goes_to_it(page, desk, studio, dataset, qtbot):
    press(page, Qt.Key.Key_C, Qt.Key.Key_C)
    settle(desk, qtbot)
    QTest.keyClick(studio.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: len(proposals_of(dataset)) == 1, timeout=10_000)
    settle(desk, qtbot)
    assert page.grid.place == 1
    assert page.model.crop(1).item.is_raw
    assert studio.window.page is Page.CURATION
    QTest.keyClick(studio.window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: len(proposals_of(dataset)) == 2, timeout=10_000)
    settle(desk, qtbot)
    assert page.model.crop(1).review is Review.ACCEPTED


def test_that_undo_of_what_left_the_view_brings_it_back(page, desk, qtbot):
    key = page.grid.current.item.key
    press(page, Qt.Key.Key_C)
    settle(desk, qtbot)
    press(page, Qt.Key.Key_F5)
    assert all(page.model.crop(place).item.key != key for place in range(len(page.model.rows)))
    desk.undo()
    qtbot.waitUntil(lambda: page.grid.current.item.key == key, timeout=10_000)


def test_that_writing_another_phrase_accepts_it_so(page, desk, dataset, qtbot):
    press(page, Qt.Key.Key_E, modifiers=Qt.KeyboardModifier.ControlModifier)
    assert page.editor.isVisible()
    assert page.editor.line.text() == "a white cat"
    page.editor.line.selectAll()
    QTest.keyClicks(page.editor.line, "a polar bear")
    QTest.keyClick(page.editor.line, Qt.Key.Key_Return)
    settle(desk, qtbot)
    region = proposals_of(dataset)[0]
    assert (region.phrase, region.review, region.origin) == ("a polar bear", Review.ACCEPTED, Origin.EDITED)
    assert page.model.crop(0).words == "a polar bear"
    assert page.grid.place == 1
    assert page.window().focusWidget() is page.grid


def test_that_an_item_that_is_shown_by_a_decided_one_is_not_asked_again(page, desk, qtbot):
    """The fourth proposal lies on the first: once that is accepted, it is nothing to decide any more."""
    page.thresholds.overlap.setValue(100)
    crop = page.model.crop(0)
    twin = next(
        place
        for place in range(len(page.model.rows))
        if (other := page.model.crop(place).item).image_id == crop.item.image_id and other.score == pytest.approx(0.25)
    )
    page.grid.go_to(0)
    press(page, Qt.Key.Key_C)
    settle(desk, qtbot)
    assert page.model.crop(twin).is_done
    assert page.model.next_open(twin - 1) != twin


def test_that_an_edit_on_the_canvas_is_followed(page, desk, qtbot):
    image_id = desk.browsing.image.id
    region = desk.canvas.editor.boxes.regions[0]
    desk.canvas.select([region.id])
    desk.canvas.run("accept")
    settle(desk, qtbot)
    pool = page.model.pool
    row = int(np.flatnonzero(pool.region_ids == region.id)[0])
    assert pool.image_ids[row] == image_id
    assert page.model.review(page.model.place_of(row)) is Review.ACCEPTED


def test_that_the_phrases_narrow_the_gallery(page):
    names = {page.model.crop(place).words for place in range(len(page.model.rows))}
    assert {"a white cat", "a grey dog"} < names
    page.thresholds.phrases.set_wanted(frozenset({"a grey dog"}))
    assert {page.model.crop(place).words for place in range(len(page.model.rows))} == {"a grey dog"}
    assert page.filters.count_words == "8 of 48 items"


def test_that_a_filter_that_lets_nothing_pass_says_which_way_out(page):
    page.thresholds.score.setValue(95)
    page.thresholds.phrases.set_wanted(frozenset({"a grey dog"}))
    assert page.grid.empty_text.startswith("No proposal here is as sure as 0.95.")
    assert "the surest has 0.40" in page.grid.empty_text
    page.filters.choices()[1].tick(Origin.HUMAN)
    page.filters._announce()
    assert page.grid.empty_text.startswith("Nothing passes this filter.")


def test_that_a_key_pressed_on_a_button_or_slider_is_the_gallerys(page, desk, qtbot):
    page.thresholds.score.setFocus()
    QTest.keyClick(page.thresholds.score, Qt.Key.Key_X)
    assert page.model.crop(0).review is Review.REJECTED
    assert page.grid.hasFocus()
    settle(desk, qtbot)


def test_that_plus_and_minus_change_the_size_of_the_tiles(page):
    side = page.grid.side
    press(page, Qt.Key.Key_Plus)
    assert page.grid.side > side
    press(page, Qt.Key.Key_Minus)
    assert page.grid.side == side


def test_that_o_sorts_by_outlier(page):
    press(page, Qt.Key.Key_O)
    assert page.filters.wish.order is Order.OUTLIER


def test_that_the_menu_does_what_the_keys_do(page, studio, desk, qtbot):
    studio.window.curation_wanted.emit(CurationCommand.REJECT)
    assert page.model.crop(0).review is Review.REJECTED
    settle(desk, qtbot)


def test_that_opening_an_item_marks_its_box_on_the_canvas(page, studio, desk, qtbot):
    image_id = page.grid.current.item.image_id
    press(page, Qt.Key.Key_G)
    assert studio.window.page is Page.COLLECTION
    qtbot.waitUntil(lambda: desk.browsing.image.id == image_id, timeout=10_000)


def test_that_foreign_text_is_shown_literally(page, desk, dataset, qtbot, studio):
    page.relabelled.emit(HTML, None)
    settle(desk, qtbot)
    page.grid.go_to(0)
    qtbot.waitUntil(lambda: page.detail.crop is not None and page.detail.crop.item.phrase == HTML, timeout=5_000)
    for label in page.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText or not label.text()
    assert "<img" not in page.model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "\n" not in page.model.index(0, 0).data()


def test_that_a_missing_image_is_a_grey_tile_with_its_reason(page, sample, qtbot, curation, desk):
    for file in sample.images.iterdir():
        file.unlink()
    qtbot.waitUntil(lambda: not (curation.crops.is_busy or curation.large.is_busy), timeout=10_000)
    desk.pictures._sources.clear()
    curation.crops.clear()
    curation.large.clear()
    page.grid.go_to(3)
    key = page.grid.current.crop_key
    qtbot.waitUntil(lambda: curation.crops.failure(key) is not None, timeout=10_000)
    qtbot.waitUntil(lambda: curation.large.failure(key) is not None, timeout=10_000)
    assert not page.grid.grab().isNull()


def test_that_a_project_without_proposals_says_what_to_do(studio, desk, qtbot):
    studio.window.actions_by_name["show_curation"].trigger()
    page = studio.curation.desk.page
    qtbot.waitUntil(lambda: len(page.model.rows) == 16, timeout=10_000)  # the pending regions of the import
    page.filters.choices()[0].clear()
    assert page.thresholds.score_words == "No proposals"


def test_that_a_project_that_is_open_read_only_refuses_decisions_in_a_sentence(studio, sample, proposed, qtbot):
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(sample.project.path, read_only=True)
    studio.window.actions_by_name["show_curation"].trigger()
    page, flow = studio.curation.desk.page, studio.curation.desk.curating
    qtbot.waitUntil(lambda: flow.pool is not None, timeout=10_000)
    press(page, Qt.Key.Key_X)
    assert page.model.crop(0).review is Review.PENDING
    assert studio.window.status.currentMessage().startswith("This project is open read-only")
    for ask in (studio.window.actions_by_name["propose"].trigger, lambda: studio.curation.propose_again(1)):
        studio.window.status.clearMessage()
        ask()
        assert studio.window.status.currentMessage().endswith("nothing can be proposed here.")
    assert [run.name for run in sample.project.runs.iterdir()] == [proposed.id]


def test_that_a_decision_that_the_dataset_refuses_is_taken_off_its_tile(page, desk, studio, monkeypatch, qtbot):
    def refuse(*_, **__):
        raise StorageFailed("The disk is full.")

    monkeypatch.setattr(desk.opened.dataset, "apply", refuse)
    press(page, Qt.Key.Key_C)
    assert page.model.crop(0).review is Review.ACCEPTED
    qtbot.waitUntil(lambda: page.model.crop(0).review is Review.PENDING, timeout=10_000)
    assert studio.window.status.currentMessage() == "The disk is full."


def test_that_m_pins_the_current_item_and_sorts_by_likeness_to_it(page, curation, qtbot):
    measuring = curation.curating.measuring
    qtbot.waitUntil(lambda: measuring.vectors is not None, timeout=10_000)
    key = page.grid.current.item.key
    press(page, Qt.Key.Key_M)
    qtbot.waitUntil(lambda: curation.curating.wish.order is Order.LIKENESS, timeout=10_000)
    assert curation.curating.wish.pinned == key
    assert {page.model.crop(place).words for place in range(16)} == {"a white cat", "a grey dog"}
    assert page.filters._sort.text() == "Sort: likeness"


def test_that_a_digit_takes_the_suggestion_that_is_shown(page, curation, desk, dataset, qtbot):
    qtbot.waitUntil(lambda: bool(page.detail.suggestion_words), timeout=10_000)
    words = page.detail.suggestion_words[1].partition("  ")[2]
    press(page, Qt.Key.Key_2)
    settle(desk, qtbot)
    region = proposals_of(dataset)[0]
    assert (region.phrase, region.review, region.origin) == (words, Review.ACCEPTED, Origin.EDITED)
    assert page.grid.place == 1


def test_that_progress_is_told_while_it_is_made(page, desk, qtbot):
    press(page, Qt.Key.Key_C, Qt.Key.Key_X)
    settle(desk, qtbot)
    qtbot.waitUntil(lambda: page.head.words == "2 of 24 decided 1 accepted · 1 rejected", timeout=10_000)


def test_that_a_very_large_pool_is_looked_through_on_a_worker(page, curation, monkeypatch, qtbot):
    monkeypatch.setattr(curating_module, "MANY_ROWS", 0)
    page.thresholds.score.setValue(50)
    assert page.filters.count_words == "40 of 48 items"  # not yet
    qtbot.waitUntil(lambda: page.filters.count_words == "32 of 48 items", timeout=10_000)


def test_that_regions_that_came_in_from_a_file_are_shown(page, studio, curation, dataset, qtbot):
    region = dataset.regions_of(1)[0]
    new = replace(region, id=dataset.next_region_id(), box=UnitBox(0.0, 0.9, 0.1, 1.0), phrase="a late bird")
    dataset.apply(Edit("Import", (RegionChange(None, new),)), actor="import")
    studio._on_transfer_ended(True)
    qtbot.waitUntil(lambda: page.filters.count_words == "41 of 49 items", timeout=10_000)
