"""The sheets of curation on a real project with raw proposals, in the real window: from the key to the dataset."""

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from locstudio.domain.edits import ClassChange, Edit, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.phrase_rules import PhraseRule
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.services.curation import deciding
from locstudio.services.curation.pool import read_pool
from locstudio.store.dataset import Dataset
from locstudio.ui.curation.commands import CurationCommand
from locstudio.ui.curation.phrase_flow import phrases_edit
from locstudio.ui.curation.phrase_sheet import PhraseWishes
from locstudio.ui.curation.provenance_flow import caption_edit

NUM_IMAGES = 8


@pytest.fixture
def sheets(curation, qtbot):
    """The sheets of the curation page, when it is known what every item looks like."""
    curating = curation.curating
    qtbot.waitUntil(lambda: curating.measuring.vectors is not None, timeout=10_000)
    return curation.sheets


@pytest.fixture
def dataset(desk) -> Dataset:
    return desk.opened.dataset


def go_to(curation, phrase, number=0):
    """Make the item with this phrase the current one of the gallery."""
    model = curation.page.model
    pool = curation.curating.pool
    places = [
        place
        for place, row in enumerate(model.rows.tolist())
        if pool.phrases[pool.phrase_rows[row]] == phrase and pool.is_there[row]
    ]
    curation.page.grid.go_to(places[number])
    assert curation.page.grid.current.item.phrase == phrase


def regions_of(dataset, origin=None):
    found = dataset.regions_of_images(dataset.image_ids().tolist())
    return [region for regions in found.values() for region in regions if origin in (None, region.origin)]


# identical mistakes ---------------------------------------------------------------------------------------------


def relabel_one(curation, sheets, qtbot):
    go_to(curation, "a grey dog")
    curation.curating.relabel(curation.page.grid.chosen(), "a white cat", None)
    qtbot.waitUntil(lambda: sheets.alike.sheet is not None, timeout=10_000)
    sheet = sheets.alike.sheet
    qtbot.waitUntil(lambda: sheet.can_fix)
    return sheet


def test_that_one_relabelled_item_shows_its_identical_mistakes_and_the_rest_is_one_step(
    curation, sheets, dataset, desk, qtbot
):
    sheet = relabel_one(curation, sheets, qtbot)
    assert sheet.question == "7 regions look the same and are called “a grey dog”. Call them “a white cat”?"
    num_raw = int(curation.curating.pool.is_raw.sum())
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Space)
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: desk.editing.is_idle and len(regions_of(dataset, Origin.EDITED)) == 7)
    fixed = regions_of(dataset, Origin.EDITED)
    assert {(region.phrase, region.review) for region in fixed} == {("a white cat", Review.ACCEPTED)}
    assert dataset.history()[0].title == "Fix 6 identical mistakes"
    assert sheets.alike.sheet is None
    desk.undo()
    qtbot.waitUntil(lambda: len(regions_of(dataset, Origin.EDITED)) == 1)
    qtbot.waitUntil(lambda: int(curation.curating.pool.is_raw.sum()) == num_raw)


def test_that_after_a_rejection_the_same_is_asked_for_with_one_key(curation, sheets, dataset, desk, qtbot):
    go_to(curation, "a grey dog")
    row = curation.page.grid.current.item.row
    curation.curating.decide(curation.page.grid.chosen(), Review.REJECTED)
    qtbot.waitUntil(lambda: desk.editing.is_idle)
    assert sheets.alike.sheet is None  # a rejection alone opens nothing
    curation.page.grid.go_to(curation.page.model.place_of(row))
    assert sheets.run(CurationCommand.ALIKE)
    qtbot.waitUntil(lambda: sheets.alike.sheet is not None and sheets.alike.sheet.can_fix, timeout=10_000)
    sheet = sheets.alike.sheet
    assert sheet.question == "7 regions look the same and are called “a grey dog”. Reject them too?"
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: desk.editing.is_idle)
    qtbot.waitUntil(lambda: [r.review for r in regions_of(dataset, Origin.MODEL)] == [Review.REJECTED] * 8)


def test_that_an_offer_that_was_silenced_comes_no_more_unless_it_is_asked_for(curation, sheets, desk, qtbot):
    sheet = relabel_one(curation, sheets, qtbot)
    with qtbot.waitSignal(sheets.alike.offer_changed):
        sheet.offer.trigger()
    assert sheets.alike.sheet is None
    go_to(curation, "a grey dog", 1)
    row = curation.page.grid.current.item.row
    with qtbot.waitSignal(curation.curating.relabelled):
        curation.curating.relabel(curation.page.grid.chosen(), "a white cat", None)
    assert not sheets.alike._reads.is_busy
    curation.page.grid.go_to(curation.page.model.place_of(row))
    sheets.run(CurationCommand.ALIKE)
    qtbot.waitUntil(lambda: sheets.alike.sheet is not None, timeout=10_000)
    assert sheets.alike.sheet.question.startswith("6 regions look the same")
    sheets.alike.sheet.offer.trigger()
    assert sheets.alike.is_offering


def test_that_an_item_nobody_has_corrected_has_no_identical_mistakes(curation, sheets, qtbot):
    go_to(curation, "a grey dog")
    with qtbot.waitSignal(sheets.said) as said:
        sheets.run(CurationCommand.ALIKE)
    assert said.args[0].startswith("Correct this item first")


def test_that_a_name_that_was_set_right_in_the_canvas_pass_shows_its_identical_mistakes(
    curation, sheets, dataset, desk, qtbot
):
    sheets.run(CurationCommand.CANVAS)
    walk = sheets.canvas_pass
    for _ in range(2):
        qtbot.waitUntil(lambda: walk.current is not None and desk.canvas.has_picture, timeout=10_000)
        qtbot.keyClick(desk.canvas, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: walk.current is not None and walk.current.phrase == "a grey dog", timeout=10_000)
    qtbot.waitUntil(lambda: bool(walk.suggested), timeout=10_000)
    assert walk.suggested[0].text == "a white cat"
    qtbot.keyClick(desk.canvas, Qt.Key.Key_1)
    qtbot.waitUntil(lambda: sheets.alike.sheet is not None, timeout=10_000)
    assert sheets.alike.sheet.question.startswith("7 regions look the same and are called “a grey dog”")


# geometry -------------------------------------------------------------------------------------------------------


def test_that_a_rule_is_broken_from_its_threshold_on_and_fixed_in_one_step(curation, sheets, dataset, desk, qtbot):
    sheets.run(CurationCommand.GEOMETRY)
    sheet = sheets.geometry.sheet
    qtbot.waitUntil(lambda: sheet._cards["tiny"].rule.count == 0, timeout=10_000)
    sheet.choose_rule("tiny")
    # The third box of each image is 14.7 px high, all others are higher; the slider goes from 2 to 64 px.
    sheet._slider.setValue(round(200 * (16 - 2) / 62))
    qtbot.waitUntil(lambda: sheet.can_fix and sheet.tiles.num_taken == NUM_IMAGES, timeout=10_000)
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: sheet._cards["tiny"].rule.count == 0, timeout=10_000)
    rejected = regions_of(dataset, Origin.MODEL)
    assert [region.review for region in rejected] == [Review.REJECTED] * NUM_IMAGES
    assert dataset.history()[0].title == "Reject 8 tiny boxes"
    assert sheet.isVisible()
    assert not sheet.can_fix
    desk.undo()
    qtbot.waitUntil(lambda: sheet._cards["tiny"].rule.count == NUM_IMAGES, timeout=10_000)
    sheet.reject()
    assert sheets.geometry.sheet is None


def test_that_what_a_person_drew_is_not_fixed_behind_her_back(curation, sheets, dataset, desk, qtbot):
    image_id = int(dataset.image_ids()[0])
    own = Region(
        dataset.next_region_id(),
        image_id,
        UnitBox(0.5, 0.5, 0.52, 0.52),
        "a fly",
        None,
        Review.ACCEPTED,
        Origin.HUMAN,
    )
    with qtbot.waitSignal(curation.curating.pool_changed):
        desk.editing.apply(Edit("Draw box", (RegionChange(None, own),)))
    sheets.run(CurationCommand.GEOMETRY)
    sheet = sheets.geometry.sheet
    qtbot.waitUntil(lambda: sheet._cards["tiny"].rule.count is not None, timeout=10_000)
    assert sheet._cards["tiny"].rule.count == 0


# phrases --------------------------------------------------------------------------------------------------------


def with_class(dataset, *names):
    classes = [LabelClass(dataset.next_class_id(), name, "#aa0000") for name in names]
    dataset.apply(Edit("Add classes", tuple(ClassChange(None, each) for each in classes)))
    return [each.id for each in classes]


def test_that_phrases_are_mapped_by_digit_and_the_raw_ones_follow(curation, sheets, dataset, desk, qtbot):
    (cat,) = with_class(dataset, "cat")
    sheets.run(CurationCommand.PHRASES)
    sheet = sheets.phrases.sheet
    qtbot.waitUntil(lambda: sheet.phrases.rowCount() > 0, timeout=10_000)
    assert sheet.phrases.line(0).phrase == "a white cat"
    qtbot.keyClick(sheet.table, Qt.Key.Key_1)
    with qtbot.waitSignal(curation.curating.pool_changed, timeout=10_000):
        qtbot.keyClick(sheet.table, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    pool = curation.curating.pool
    white = pool.phrases.index("a white cat")
    assert set(pool.class_ids[(pool.phrase_rows == white) & pool.is_there].tolist()) == {cat}
    assert dataset.phrase_rules() == {"a white cat": PhraseRule("a white cat", "", cat)}
    assert sheets.phrases.sheet is None


def test_that_mapping_and_merging_at_once_is_one_step_in_which_each_sees_the_other(sample):
    with Dataset.open(sample.project) as dataset:
        (animal,) = with_class(dataset, "animal")
        edit = phrases_edit(dataset, {"a red car": animal}, {"a brown dog": "a red car"})
        dataset.apply(edit)
        assert edit.title == "Tidy 2 phrases"
        assert {(r.phrase, r.class_id) for r in regions_of(dataset)} == {("a red car", animal)}
        assert dataset.phrase_rules()["a brown dog"].becomes == "a red car"
        dataset.undo()
        assert {r.phrase for r in regions_of(dataset)} == {"a red car", "a brown dog"}
        assert not dataset.phrase_rules()
        dataset.redo()
        assert phrases_edit(dataset, {"a red car": animal}, {}) is None


def test_that_wishes_say_what_they_are():
    assert PhraseWishes({"a": 1}, {"b": "c", "d": "c"}).sentence().startswith("1 phrase mapped anew, 2 phrases merged")
    assert not PhraseWishes()


# provenance -----------------------------------------------------------------------------------------------------


def test_that_the_current_item_says_where_it_comes_from(curation, sheets, dataset, desk, qtbot):
    panel = sheets.provenance.panel
    go_to(curation, "a grey dog")
    qtbot.waitUntil(lambda: panel.shown_now is not None and panel.shown_now.name == "a grey dog", timeout=10_000)
    shown = panel.shown_now
    assert shown.caption == "I see a white cat and a grey dog."
    assert shown.origin == "Proposed"
    assert (panel.fact("Detector"), panel.fact("Score"), panel.fact("Caption")) == ("a detector", "0.40", "a captioner")
    assert panel.fact("Run").startswith("VESL, ")
    current = next(phrase for phrase in shown.phrases if phrase.is_current)
    assert shown.caption[current.start : current.end] == "a grey dog"
    assert shown.steps == ()
    curation.curating.decide(curation.page.grid.chosen(), Review.REJECTED)
    curation.page.grid.go_to(curation.page.grid.place - 1)
    qtbot.waitUntil(
        lambda: panel.shown_now is not None and bool(panel.shown_now.steps) and desk.editing.is_idle, timeout=10_000
    )
    assert panel.shown_now.steps[0].what == "Reject box: rejected, “a grey dog”"


def test_that_another_phrase_of_the_caption_leads_to_its_box(curation, sheets, qtbot):
    panel = sheets.provenance.panel
    go_to(curation, "a grey dog")
    qtbot.waitUntil(lambda: panel.shown_now is not None and panel.shown_now.name == "a grey dog", timeout=10_000)
    image_id = curation.page.grid.current.item.image_id
    panel.caption.setFocus()
    qtbot.keyClick(panel.caption, Qt.Key.Key_Right)
    qtbot.keyClick(panel.caption, Qt.Key.Key_Return)
    item = curation.page.grid.current.item
    assert (item.phrase, item.image_id) == ("a white cat", image_id)


def test_that_an_edited_caption_comes_into_the_dataset_and_the_later_steps_are_wished_for(
    curation, sheets, dataset, qtbot
):
    panel = sheets.provenance.panel
    go_to(curation, "a grey dog")
    qtbot.waitUntil(lambda: panel.shown_now is not None and panel.shown_now.name == "a grey dog", timeout=10_000)
    image_id = curation.page.grid.current.item.image_id
    curation.propose_again_wanted.disconnect()  # no model here that could
    panel.caption.edit()
    qtbot.keyClicks(panel.caption, " And a red ball.")
    with qtbot.waitSignal(sheets.propose_again_wanted, timeout=10_000) as wanted:
        qtbot.keyClick(panel.caption, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert wanted.args == [image_id]
    (caption,) = dataset.captions_of(image_id)
    assert caption.text == "I see a white cat and a grey dog. And a red ball."
    assert caption.origin is Origin.EDITED
    assert dataset.history()[0].title == "Edit caption"


def test_that_a_caption_that_a_decision_brings_while_it_is_edited_is_not_brought_twice(sample, proposed):
    with Dataset.open(sample.project) as dataset:
        pool = read_pool(sample.project, dataset)
        dataset.apply(deciding.accept(dataset, pool, [0]))
        assert [caption.origin for caption in dataset.captions_of(1)] == [Origin.MODEL]
        edit = caption_edit(dataset, pool, 1, 0, "I see a grey dog.")  # shown before the decision was on disk
        dataset.apply(edit)
        (caption,) = dataset.captions_of(1)
        assert (caption.text, caption.origin) == ("I see a grey dog.", Origin.EDITED)
        assert caption_edit(dataset, pool, 1, 0, "I see a grey dog.") is None


# the canvas pass ------------------------------------------------------------------------------------------------


def test_that_the_canvas_pass_begins_with_the_surest_of_the_page_and_follows_its_thresholds(
    curation, sheets, dataset, desk, studio, qtbot
):
    curating = curation.curating
    curating.set_wish(replace(curating.wish, min_score=0.5))
    sheets.run(CurationCommand.CANVAS)
    walk = sheets.canvas_pass
    qtbot.waitUntil(lambda: walk.current is not None and desk.canvas.has_picture, timeout=10_000)
    assert studio.window.page.name == "COLLECTION"
    assert (walk.current.phrase, walk.current.score) == ("a white cat", pytest.approx(0.9, abs=1e-3))
    taken = regions_of(dataset, Origin.MODEL)
    assert [round(region.score, 1) for region in taken] == [0.9, 0.6]
    image_id = desk.browsing.image.id
    qtbot.keyClick(desk.canvas, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: walk.current is not None and walk.current.score < 0.7, timeout=10_000)
    qtbot.keyClick(desk.canvas, Qt.Key.Key_X)
    for _ in range(2):  # what was imported without a score waits as well, and comes last
        qtbot.waitUntil(lambda: walk.current is not None and walk.current.origin is Origin.IMPORTED, timeout=10_000)
        qtbot.keyClick(desk.canvas, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: desk.browsing.image.id != image_id and desk.editing.is_idle, timeout=10_000)
    found = {round(r.score, 1): r.review for r in dataset.regions_of(image_id) if r.origin is Origin.MODEL}
    assert found == {0.9: Review.ACCEPTED, 0.6: Review.REJECTED}


def test_that_a_suggestion_of_the_canvas_pass_takes_the_class_of_the_old_words_away(
    curation, sheets, dataset, desk, qtbot
):
    cat = LabelClass(dataset.next_class_id(), "white cat", "#cc3333")
    with qtbot.waitSignal(curation.curating.pool_changed, timeout=10_000):
        desk.editing.apply(Edit("Class", (ClassChange(None, cat),)))
    pool = curation.curating.pool
    row, other = (next(r for r in range(8) if pool.phrases[pool.phrase_rows[r]] == words) for words in
                  ("a white cat", "a grey dog"))  # fmt: skip
    assert (pool.class_ids[row], pool.class_ids[other]) == (cat.id, 0)
    classes = {each.text: each.class_id for each in sheets._suggest(pool, row)}
    assert classes["a grey dog"] == 0
    classes = {each.text: each.class_id for each in sheets._suggest(pool, other)}
    assert classes["a white cat"] == cat.id


def test_that_the_page_stays_where_nothing_waits(curation, sheets, desk, studio, qtbot):
    curating = curation.curating
    curating.decide(curation.page.model.rows, Review.REJECTED)
    qtbot.waitUntil(lambda: desk.editing.is_idle and not sheets.canvas_pass._source.pending_images(), timeout=10_000)
    with qtbot.waitSignal(sheets.said) as said:
        sheets.run(CurationCommand.CANVAS)
    assert said.args == ["Nothing waits for review."]
    assert studio.window.page.name == "CURATION"


def test_that_the_menu_offers_identical_mistakes_or_not_and_hears_of_it_from_the_sheet(studio, desk, qtbot):
    offer = studio.window.actions_by_name["offer_alike"]
    assert offer.isChecked()
    offer.trigger()  # before anybody has seen the page
    alike = studio.curation.desk.sheets.alike
    assert not alike.is_offering
    offer.trigger()
    assert alike.is_offering
    alike.set_offering(False)  # as the sheet does
    assert not offer.isChecked()
