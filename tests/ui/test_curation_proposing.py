"""Asking for proposals: the sheet, and the run that is followed through its folder, also from an earlier window."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from locstudio.domain.edits import CaptionChange, ClassChange, Edit
from locstudio.domain.regions import Caption, LabelClass
from locstudio.jobs.configs import RunConfig, Vesl
from locstudio.jobs.messages import Failed, Finished, Progress, Started
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import claim_run
from locstudio.ui.curation.propose_sheet import ProposeMaterial, ProposeSheet
from locstudio.ui.curation.proposing import title_of
from locstudio.ui.top_bar import Page
from locstudio.ui.training.page import Tab

MATERIAL = ProposeMaterial(
    num_images=100, num_captioned=60, num_classes=3, selected_ids=(4, 7), open_id=9, open_name="boat.jpg"
)


@pytest.fixture
def sheet(qtbot):
    made = ProposeSheet(MATERIAL)
    qtbot.addWidget(made)
    made.show()
    return made


def test_that_what_is_selected_is_proposed_for_by_itself(sheet):
    assert sheet.choice == Vesl(image_ids=(4, 7))
    assert sheet._start.text() == "Propose in 2 images"


def test_that_all_images_or_the_open_one_can_be_chosen(sheet):
    sheet._all.button.setChecked(True)
    assert sheet.choice.image_ids == ()
    assert sheet._start.text() == "Propose in 100 images"
    sheet._open.button.setChecked(True)
    assert sheet.choice.image_ids == (9,)


def test_that_class_names_or_typed_words_take_the_place_of_captions(sheet):
    sheet._names.button.setChecked(True)
    assert sheet.choice.has_class_names
    sheet._typed.button.setChecked(True)
    assert not sheet.can_start
    QTest.keyClicks(sheet._words, "a red  car, a brown dog,, a red car")
    assert sheet.choice.phrases == ("a red car", "a brown dog")
    assert not sheet.choice.has_class_names
    assert sheet.can_start


def test_that_somebody_elses_model_needs_weights_and_says_so(sheet):
    sheet._all.button.setChecked(True)
    assert sheet._captioner.isVisible()
    sheet._captioner.setCurrentIndex(sheet._captioner.findData("blip"))
    assert not sheet.can_start
    assert sheet.problem == (
        "BLIP (transformers) needs its weights: name their folder, or the tag that the hub has them under."
    )
    sheet._captioner_model.setText("/weights/blip")
    assert sheet.can_start
    assert (sheet.choice.captioner, sheet.choice.captioner_model) == ("blip", "/weights/blip")
    sheet._detector.setCurrentIndex(sheet._detector.findData("owlv2"))
    assert "OWLv2" in sheet.problem


def test_that_a_reason_against_a_choice_is_shown(qtbot):
    made = ProposeSheet(MATERIAL, lambda vesl: "There is no folder /x." if vesl.detector == "owlv2" else "")
    qtbot.addWidget(made)
    made.show()
    made._detector.setCurrentIndex(made._detector.findData("owlv2"))
    made._detector_model.setText("/x")
    assert made.problem == "There is no folder /x."
    assert not made.can_start


def test_that_nobody_is_asked_to_describe_images_that_all_have_captions(qtbot):
    made = ProposeSheet(ProposeMaterial(num_images=2, num_captioned=2))
    qtbot.addWidget(made)
    made.show()
    assert not made._captioner.isVisible()
    assert not made._selected.isEnabled()
    assert not made._names.isEnabled()


def test_that_enter_starts_and_escape_does_not(sheet, qtbot):
    with qtbot.waitSignal(sheet.start_wanted) as wanted:
        QTest.keyClick(sheet, Qt.Key.Key_Return)
    assert wanted.args == [Vesl(image_ids=(4, 7))]


def test_that_a_run_is_called_after_what_it_looks_for():
    assert title_of(Vesl()) == "Captions"
    assert title_of(Vesl(has_class_names=True, image_ids=(3,))) == "Class names, 1 image"
    assert title_of(Vesl(phrases=("a cat", "a <b>dog</b>"))) == "Words: a cat, a <b>dog</b>"
    assert len(title_of(Vesl(phrases=("x" * 500,)))) < 80


# the run --------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(sample) -> RunFolder:
    """A run that is going on, in this very process as far as anybody can see."""
    folder = RunFolder.create(sample.project.runs, RunConfig(kind="vesl", checkpoint="/c", vesl=Vesl()))
    claim_run(folder)
    say(folder, lambda n: Started(sequence=n, device="CPU", num_images=8, num_regions=0, num_steps=8))
    return folder


def say(folder: RunFolder, make) -> None:
    log = EventLog(folder)
    log.append(make(log.next_sequence))
    log.close()


def finish(folder: RunFolder, make) -> None:
    say(folder, make)
    (folder.path / "state.json").unlink()


def test_that_a_run_of_an_earlier_window_is_followed_and_its_proposals_are_shown(
    run, studio, desk, proposed_for, qtbot
):
    studio.window.actions_by_name["show_curation"].trigger()
    page = studio.curation.desk.page
    say(run, lambda n: Progress(sequence=n, step=3, num_steps=8, images_per_second=1.0, seconds_left=5.0))
    qtbot.waitUntil(lambda: page.head.run_words == "3 of 8 images · 5 s left", timeout=10_000)
    assert studio.window.status._work_text.text() == "Proposing: 3 of 8 images · 5 s left"
    assert studio.curation.is_proposing
    qtbot.waitUntil(lambda: len(page.model.rows) == 16, timeout=10_000)
    proposed_for(run)
    finish(run, lambda n: Finished(sequence=n))
    qtbot.waitUntil(lambda: len(page.model.rows) == 40, timeout=10_000)
    assert page.head.run_words == ""
    assert studio.window.status.currentMessage().startswith("Proposals are there.")
    assert not studio.curation.is_proposing


def test_that_proposals_that_come_while_another_page_is_shown_are_offered(run, studio, desk, proposed_for, qtbot):
    qtbot.waitUntil(lambda: studio.curation.is_proposing, timeout=10_000)
    proposed_for(run)
    finish(run, lambda n: Finished(sequence=n))
    qtbot.waitUntil(lambda: studio.window.notice.text.startswith("Proposals are there."), timeout=10_000)
    studio.window.notice._button.click()
    assert studio.window.page is Page.CURATION
    assert not studio.window.notice.isVisible()


def test_that_a_run_that_fails_says_why(run, studio, desk, qtbot):
    qtbot.waitUntil(lambda: studio.curation.is_proposing, timeout=10_000)
    finish(run, lambda n: Failed(sequence=n, sentence="The disk is full.", exit_status=5))
    qtbot.waitUntil(lambda: studio.window.notice.text == "The disk is full.", timeout=10_000)
    assert not studio.curation.is_proposing


def test_that_stop_asks_the_run_to_stop(run, studio, desk, qtbot):
    studio.window.actions_by_name["show_curation"].trigger()
    page = studio.curation.desk.page
    qtbot.waitUntil(lambda: bool(page.head.run_words), timeout=10_000)
    page.head._stop.click()
    qtbot.waitUntil(lambda: page.head.run_words == "Stopping after this image", timeout=10_000)
    finish(run, lambda n: Finished(sequence=n, was_stopped=True))
    qtbot.waitUntil(lambda: not studio.curation.is_proposing, timeout=10_000)


def test_that_a_run_that_proposes_is_in_the_list_of_runs_and_is_told_of_once(run, studio, desk, proposed_for, qtbot):
    studio.window.actions_by_name["show_training"].trigger()
    page, notices = studio.retraining._made_desk().page, []
    studio.retraining.noticed.connect(lambda sentence, *_: notices.append(sentence))
    qtbot.waitUntil(lambda: page.head.text.startswith("Proposing"), timeout=10_000)
    say(run, lambda n: Progress(sequence=n, step=3, num_steps=8, images_per_second=1.0, seconds_left=5.0))
    qtbot.waitUntil(lambda: page.runs.model().rows[0].step == 3, timeout=10_000)
    row = page.runs.model().rows[0]
    assert row.title.startswith("Proposing · ")
    assert (row.num_steps, row.words()) == (8, "Proposing · 5 s left")
    assert studio.window.status.training_text == ""  # the other part of the line says it
    assert studio.retraining.book.trainings == []
    assert page.tab is Tab.LOG  # there is nothing to draw
    assert not page._tabs.isTabVisible(Tab.CURVES)
    proposed_for(run)
    finish(run, lambda n: Finished(sequence=n))
    qtbot.waitUntil(lambda: page.head.text == "Done", timeout=10_000)
    qtbot.waitUntil(lambda: studio.window.notice.text.startswith("Proposals are there."), timeout=10_000)
    assert notices == []


def test_that_a_stopped_run_that_the_list_resumes_is_followed_again(run, studio, desk, qtbot, monkeypatch):
    def start(folder):
        claim_run(folder)
        say(folder, lambda n: Started(sequence=n, device="CPU", num_images=8, num_regions=0, num_steps=8))
        return True

    qtbot.waitUntil(lambda: studio.curation.is_proposing, timeout=10_000)
    finish(run, lambda n: Finished(sequence=n, was_stopped=True))
    qtbot.waitUntil(lambda: not studio.curation.is_proposing, timeout=10_000)
    qtbot.waitUntil(lambda: studio.retraining.book.run(run.id).summary.can_resume, timeout=10_000)
    monkeypatch.setattr(studio.retraining.book, "start", start)
    studio.retraining.resume(run.id)
    assert studio.curation.is_proposing
    finish(run, lambda n: Finished(sequence=n))
    qtbot.waitUntil(lambda: not studio.curation.is_proposing, timeout=10_000)


def test_that_the_sheet_knows_what_there_is(studio, desk, qtbot):
    dataset = desk.opened.dataset
    image_ids = dataset.image_ids().tolist()
    caption = Caption(dataset.next_caption_id(), image_ids[0], "A dog and a car.")
    label_class = LabelClass(dataset.next_class_id(), "dog", "#ff0000")
    dataset.apply(Edit("Add", (CaptionChange(None, caption), ClassChange(None, label_class))))
    studio.window.actions_by_name["propose"].trigger()
    qtbot.waitUntil(lambda: studio.curation.sheet is not None, timeout=10_000)
    material = studio.curation.sheet._material
    assert (material.num_images, material.num_captioned, material.num_classes) == (8, 1, 1)
    assert material.open_id == desk.browsing.image.id
    sheet = studio.curation.sheet
    sheet._detector.setCurrentIndex(sheet._detector.findData("owlv2"))
    sheet._detector_model.setText("/nowhere/owlv2")
    assert sheet.problem == "There is no folder /nowhere/owlv2."
    sheet.reject()
    assert studio.curation.sheet is None
