"""The parts of the curation page by themselves: rows that stay, sliders, chips, phrases, the pane on the right."""

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QAction, QImage
from PySide6.QtTest import QTest

from locstudio.domain.regions import Image, LabelClass, Origin, Review
from locstudio.services.curation import deciding
from locstudio.services.curation.geometry import Rule
from locstudio.services.curation.pool import pool_after, read_pool
from locstudio.services.curation.progress import ReviewProgress
from locstudio.services.curation.suggestions import Suggestion
from locstudio.services.curation.view import Order, Wish
from locstudio.store.dataset import Dataset
from locstudio.ui.curation.counting import counts_of, phrases_of, thresholds_of, why_empty
from locstudio.ui.curation.crop_grid import CropGrid
from locstudio.ui.curation.crop_model import CROP_ROLE, CropModel
from locstudio.ui.curation.detail_pane import DetailPane
from locstudio.ui.curation.filter_row import Counts, FilterRow
from locstudio.ui.curation.head_row import HeadRow
from locstudio.ui.curation.phrase_list import PHRASE_ROLE, PhraseList
from locstudio.ui.curation.threshold_pane import ThresholdPane
from locstudio.ui.gallery.picture_loader import PictureLoader


@pytest.fixture
def dataset(sample, proposed):
    with Dataset.open(sample.project) as opened:
        yield opened


@pytest.fixture
def pool(sample, dataset):
    return read_pool(sample.project, dataset)


@pytest.fixture
def model(pool):
    made = CropModel()
    made.set_rows(pool, pool.rows)
    return made


@pytest.fixture
def crops(qapp):
    loader = PictureLoader(lambda key: QImage(16, 16, QImage.Format.Format_RGB32))
    yield loader
    loader.close()


# rows -----------------------------------------------------------------------------------------------------------


def test_that_the_model_keeps_qts_rules(model, qtmodeltester):
    qtmodeltester.check(model)


def test_that_a_mark_is_ahead_of_the_pool_and_goes_with_it(model, pool):
    position = int(model.rows[0])
    model.mark(np.array([position]), Review.ACCEPTED)
    assert model.crop(0).review is Review.ACCEPTED
    assert model.crop(0).item.review is Review.PENDING
    assert model.num_done() == 1
    model.set_pool(pool)  # another edit came back first
    assert model.crop(0).review is Review.ACCEPTED
    model.unmark(np.array([position]))
    assert model.crop(0).review is Review.PENDING
    assert model.num_done() == 0


def test_that_rows_stay_when_the_pool_is_another(model, pool, dataset):
    edit = deciding.reject(dataset, pool, model.rows[:2])
    dataset.apply(edit)
    before = [model.crop(place).item.key for place in range(len(model.rows))]
    model.set_pool(pool_after(pool, edit))
    assert [model.crop(place).item.key for place in range(len(model.rows))] == before
    assert [model.review(place) for place in range(3)] == [Review.REJECTED, Review.REJECTED, Review.PENDING]
    assert model.next_open(-1) == 2
    assert model.next_open(2, -1) == -1


def test_that_rows_that_are_no_more_are_shown_as_they_were(model, pool):
    gone = pool.is_there.copy()
    gone[model.rows[0]] = False
    words = model.crop(0).words
    model.set_pool(replace(pool, is_there=gone))
    assert model.crop(0).words == words
    assert model.crop(0).is_done
    assert model.next_open(-1) == 1


def test_that_paths_are_asked_for_once_and_told_when_they_come(model, qtbot):
    with qtbot.waitSignal(model.images_wanted) as wanted:
        model.want_images(0, 3)
    assert len(wanted.args[0]) == len(set(wanted.args[0]))
    with qtbot.assertNotEmitted(model.images_wanted):
        model.want_images(0, 3)
    model.put_images([Image(image_id, 1, f"farm/{image_id}.png", 96, 64) for image_id in wanted.args[0]])
    assert ", in farm/" in model.index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole)


def test_that_a_tile_says_everything_that_it_shows(model):
    sentence = model.crop(0).sentence()
    assert sentence.startswith("a white cat, score 0.90, to review, proposed by a model")


def test_that_the_colour_is_that_of_the_class(model, pool):
    class_ids = pool.class_ids.copy()
    class_ids[model.rows[0]] = 3
    model.set_pool(replace(pool, class_ids=class_ids, classes={3: LabelClass(3, "cat", "#123456")}))
    model.set_classes([LabelClass(3, "cat", "#123456")])
    crop = model.index(0, 0).data(CROP_ROLE)
    assert (crop.color, crop.item.class_name) == ("#123456", "cat")


# the gallery ----------------------------------------------------------------------------------------------------


@pytest.fixture
def grid(qtbot, model, crops):
    made = CropGrid(model, crops)
    qtbot.addWidget(made)
    made.resize(700, 500)
    with qtbot.waitExposed(made):
        made.show()
    made.go_to(0)
    return made


def test_that_the_chosen_rows_are_told_in_the_order_of_the_tiles(grid, model):
    for place in (5, 2, 9):
        grid.selectionModel().select(model.index(place, 0), QItemSelectionModel.SelectionFlag.Select)
    assert grid.chosen().tolist() == model.rows[[0, 2, 5, 9]].tolist()


def test_that_shift_selects_what_lies_between_as_tiles_are_read(grid, model):
    columns = grid.num_columns
    grid.go_to(columns - 1)
    QTest.keyClick(grid, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(grid, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert grid.chosen().tolist() == model.rows[columns - 1 : columns + 2].tolist()
    QTest.keyClick(grid, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert len(grid.chosen()) == 2
    QTest.mouseClick(
        grid.viewport(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.ShiftModifier,
        grid.visualRect(model.index(columns - 3, 0)).center(),
    )
    assert grid.chosen().tolist() == model.rows[columns - 3 : columns].tolist()
    assert grid.place == columns - 3


def test_that_the_keys_of_a_held_ctrl_mean_nothing_here(grid, qtbot):
    with qtbot.assertNotEmitted(grid.decided, wait=50):
        QTest.keyClick(grid, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClick(grid, Qt.Key.Key_X, Qt.KeyboardModifier.AltModifier)


@pytest.mark.parametrize("number", [1, 5])
def test_that_digits_take_suggestions(grid, qtbot, number):
    with qtbot.waitSignal(grid.suggestion_taken) as taken:
        QTest.keyClick(grid, Qt.Key(ord("0") + number))
    assert taken.args == [number]


def test_that_six_is_no_suggestion(grid, qtbot):
    with qtbot.assertNotEmitted(grid.suggestion_taken, wait=50):
        QTest.keyClick(grid, Qt.Key.Key_6)


def test_that_what_is_on_the_screen_and_the_next_is_loaded(grid, crops, model, qtbot):
    qtbot.waitUntil(lambda: not crops.is_busy and bool(crops._pictures), timeout=5_000)
    first, last = grid.rows_in(grid.viewport().rect())
    assert all(crops.picture(model.crop(place).crop_key) is not None for place in range(first, last + 1))


# thresholds -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pane(qtbot):
    made = ThresholdPane()
    qtbot.addWidget(made)
    return made


def test_that_the_sliders_say_where_they_are_put(pane, qtbot):
    with qtbot.waitSignal(pane.min_score_changed) as changed:
        QTest.keyClick(pane.score, Qt.Key.Key_Right)
    assert changed.args == [pytest.approx(0.21)]
    with qtbot.waitSignal(pane.max_overlap_changed) as changed:
        QTest.keyClick(pane.overlap, Qt.Key.Key_PageDown)
    assert changed.args == [pytest.approx(0.5)]
    with qtbot.assertNotEmitted(pane.min_score_changed):
        pane.set_thresholds(0.7, 0.3)
    assert (pane.min_score, pane.max_overlap) == (0.7, 0.3)


def test_that_thresholds_are_counted_over_everything_proposed(pool):
    found = thresholds_of(pool, Wish(min_score=0.5))
    assert (found.num_proposals, found.num_above, found.num_doubles) == (32, 16, 0)
    found = thresholds_of(pool, Wish(min_score=0.2))
    assert (found.num_proposals, found.num_above, found.num_doubles) == (32, 32, 8)


def test_that_the_reason_for_an_empty_view_is_the_nearest_way_out(pool):
    assert "the surest has 0.90" in why_empty(pool, Wish(min_score=0.95, origins=frozenset({Origin.MODEL})))
    assert why_empty(pool, Wish(words="zebra")).startswith("Nothing passes this filter.")
    decided = replace(pool, reviews=np.full(len(pool), 1, np.int8))
    assert why_empty(decided, Wish()).startswith("Everything is decided.")
    nothing = replace(pool, is_there=np.zeros(len(pool), bool))
    assert why_empty(nothing, Wish()).startswith("Nothing to review yet.")


# phrases --------------------------------------------------------------------------------------------------------


@pytest.fixture
def phrases(qtbot):
    made = PhraseList()
    qtbot.addWidget(made)
    made.set_phrases([("a cat", 9), ("a dog", 4), ("<b>", 1)])
    return made


def shown_phrases(phrases):
    return [phrases.view.model().index(row, 0).data(PHRASE_ROLE) for row in range(phrases.view.model().rowCount())]


def test_that_the_phrase_model_keeps_qts_rules(phrases, qtmodeltester):
    qtmodeltester.check(phrases._model)


def test_that_a_chosen_phrase_stays_chosen_while_counts_change(phrases, qtbot):
    with qtbot.waitSignal(phrases.phrases_changed) as changed:
        phrases.view.setCurrentIndex(phrases.view.model().index(1, 0))
    assert changed.args == [frozenset({"a dog"})]
    with qtbot.assertNotEmitted(phrases.phrases_changed):
        phrases.set_phrases([("a cat", 9)])
    assert phrases.wanted == {"a dog"}
    assert shown_phrases(phrases) == ["a dog", "a cat"]  # nothing of it is left, but it narrows still
    phrases._all.click()
    assert phrases.wanted == frozenset()


def test_that_finding_a_phrase_hides_the_others_and_chooses_nothing(phrases, qtbot):
    with qtbot.assertNotEmitted(phrases.phrases_changed):
        phrases._find.setText("DOG")
    assert shown_phrases(phrases) == ["a dog"]


def test_that_phrases_are_counted_most_frequent_first(pool):
    found = phrases_of(pool, pool.rows)
    assert found[0] == ("a white cat", 24)
    assert sorted(found[1:]) == [("a brown dog", 8), ("a grey dog", 8), ("a red car", 8)]


# filters --------------------------------------------------------------------------------------------------------


@pytest.fixture
def row(qtbot, pool):
    made = FilterRow()
    qtbot.addWidget(made)
    made.set_counts(counts_of(pool, Wish()), [])
    return made


def test_that_chips_make_a_wish_and_clearing_asks_for_what_is_open(row, qtbot):
    row.choices()[1].tick(Origin.MODEL)
    with qtbot.waitSignal(row.wish_changed) as changed:
        row._announce()
    assert changed.args[0].origins == {Origin.MODEL}
    assert changed.args[0].reviews == {Review.PENDING}
    with qtbot.waitSignal(row.wish_changed) as changed:
        row.clear()
    assert changed.args == [Wish()]


def test_that_the_order_is_said_on_its_button(row, qtbot):
    with qtbot.waitSignal(row.wish_changed) as changed:
        row.set_order(Order.OUTLIER)
    assert changed.args[0].order is Order.OUTLIER
    assert row._sort.text() == "Sort: outlier"
    row._reversed.trigger()
    assert not row.wish.is_descending
    assert row._sort.text() == "Sort: outlier ↑"


def test_that_typed_words_are_announced_after_a_pause(row, qtbot):
    with qtbot.waitSignal(row.wish_changed, timeout=2_000) as changed:
        row._words.setText("white cat")
    assert changed.args[0].words == "white cat"


def test_that_counts_speak_of_what_the_thresholds_let_through(pool):
    counts = counts_of(pool, Wish())
    assert counts.reviews == {Review.PENDING: 40, Review.ACCEPTED: 0, Review.REJECTED: 0}
    assert counts.origins[Origin.MODEL] == 24
    assert counts.origins[Origin.IMPORTED] == 16
    assert set(counts.rules) == set(Rule)
    assert Counts().reviews == {}


# head and detail ------------------------------------------------------------------------------------------------


@pytest.fixture
def head(qtbot):
    action = QAction("Propose regions…")
    made = HeadRow(action)
    qtbot.addWidget(made)
    yield made
    action.deleteLater()


def test_that_the_head_says_how_far_the_review_is_and_how_long_it_takes(head):
    head.set_progress(ReviewProgress(2410, 132, 98, 34, 41.2, 3300.0, {}))
    assert head.words == "132 of 2,410 decided 98 accepted · 34 rejected · 41 a minute · about 55 min left"
    head.set_progress(ReviewProgress(3, 3, 3, 0, 0.0, 0.0, {}))
    assert head.words == "3 of 3 decided 3 accepted · 0 rejected"
    head.set_progress(ReviewProgress(0, 0, 0, 0, 0.0, 0.0, {}))
    assert head.words == "Nothing to review yet"


def test_that_the_head_shows_a_run_only_while_it_goes_on(head):
    head.show()
    head.set_run("3 of 8 images", 0.4)
    assert head.run_words == "3 of 8 images"
    head.set_run("", -1.0)
    assert head.run_words == ""


def test_that_suggestions_are_shown_literally_under_their_digits(qtbot, crops):
    pane = DetailPane(crops, crops)
    qtbot.addWidget(pane)
    pane.set_suggestions([Suggestion("a <b>cat</b> & dog", None, 0.5), Suggestion("x" * 90, 3, 0.25)])
    assert pane.suggestion_words[0] == "1  a <b>cat</b> && dog"
    assert len(pane.suggestion_words[1]) < 40
    pane.set_suggestions([])
    assert pane.suggestion_words == []


def test_that_the_detail_says_what_the_buttons_act_on(qtbot, model, crops):
    pane = DetailPane(crops, crops)
    qtbot.addWidget(pane)
    pane.show()
    pane.set_crop(model.crop(0))
    pane.set_num_chosen(3)
    assert [button.text() for button in pane._buttons.values()][:2] == ["Accept 3 · Enter", "Reject 3 · X"]
    pane.set_num_chosen(1)
    assert pane._accept.text() == "Accept · Enter"
    pane.set_crop(None)
    assert not pane._accept.isEnabled()
