"""The Retrain sheet on plain values: what it says, what it refuses, what it asks for."""

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from locstudio.services.retrain_plan import (
    ClassesChoice,
    ClassMaterial,
    Estimate,
    Material,
    RetrainChoice,
    RetrainPlan,
)
from locstudio.services.starting import CONSISTENCY_PRESETS, PRESETS
from locstudio.ui.training.plan_words import Drawn, learns_from, left_out, made_from
from locstudio.ui.training.retrain_sheet import RetrainSheet

PLAN = RetrainPlan(
    choice=RetrainChoice(),
    material=Material(num_regions=837, num_images=180, num_pending=18),
    estimate=Estimate(seconds=200, source="guess"),
    free_bytes=48_000_000_000,
    parent="cloc-lite",
)
OF_CLASSES = replace(
    PLAN,
    choice=ClassesChoice(),
    material=ClassMaterial(num_images=150, num_unlabelled=30, num_classes=12, num_positives=212),
    parent="consistency-lite",
)


@pytest.fixture
def sheet(qtbot):
    made = RetrainSheet()
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_that_nothing_can_be_started_before_the_plan_is_there(sheet):
    assert not sheet.can_start
    assert sheet.fact("Learns from") == "Counting…"


def test_that_a_plan_is_said_in_words(sheet):
    sheet.show_plan(PLAN, is_measuring=True)
    assert sheet.fact("Learns from") == (
        "837 reviewed regions of 180 images About 20% of the images are held out to measure the result. "
        "18 proposals not looked at yet: left out."
    )
    assert sheet.fact("Time") == "about 3 min a guess; it is being measured on this computer"
    assert sheet.fact("Disk") == "48 GB free"
    assert sheet.can_start


def test_that_a_split_that_is_held_out_is_named(sheet):
    material = replace(PLAN.material, held_out_split="val", num_held_out=1, num_pending=0)
    sheet.show_plan(replace(PLAN, material=material), is_measuring=False)
    assert sheet.fact("Learns from").endswith("1 region is held out to measure the result (split “val”).")


def test_that_too_few_regions_to_measure_are_said(sheet):
    sheet.show_plan(replace(PLAN, material=Material(num_regions=5, num_images=2)), is_measuring=False)
    sheet.show_material(Drawn(5, 2, 0))
    assert "Too few regions to hold any out" in sheet.fact("Learns from")


def test_that_a_problem_forbids_the_start(sheet):
    sheet.show_plan(replace(PLAN, problems=("There is nothing to learn from yet.",)), is_measuring=False)
    assert not sheet.can_start
    assert sheet.problem == "There is nothing to learn from yet."


def test_that_a_run_in_the_way_is_named_and_does_not_forbid_the_start(sheet):
    sheet.show_plan(replace(PLAN, waits_for="Standard"), is_measuring=False)
    assert sheet.problem.startswith("“Standard” is going on; this run begins by itself")
    assert sheet.can_start


def test_that_a_reason_why_nothing_was_measured_stands_beside_the_guess(sheet):
    sheet.show_plan(PLAN, is_measuring=True)
    sheet.stop_measuring("a guess; it could not be measured: the disk is full.")
    assert sheet.fact("Time") == "about 3 min a guess; it could not be measured: the disk is full."


def test_that_every_choice_is_told_once(sheet):
    told = []
    sheet.choice_changed.connect(told.append)
    sheet.regions.presets.cards["standard"].button.click()
    assert [choice.preset for choice in told] == ["standard"]
    assert sheet.regions.steps.value() == PRESETS["standard"].num_steps
    sheet._fold.click()
    sheet.regions.steps.setValue(555)
    sheet.regions.pending.click()
    assert (told[-1].num_steps, told[-1].include_pending) == (555, True)
    sheet.regions.presets.cards["quick"].button.click()
    assert (told[-1].preset, told[-1].num_steps, told[-1].include_pending) == ("quick", 0, True)
    assert len(told) == 4


def test_that_a_card_is_chosen_by_a_click_anywhere_on_it(sheet, qtbot):
    qtbot.mouseClick(sheet.regions.presets.cards["standard"], Qt.MouseButton.LeftButton)
    assert sheet.choice.preset == "standard"


def test_that_control_and_return_start_from_anywhere(sheet, qtbot):
    qtbot.keyClick(sheet, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert sheet.isVisible()  # there is no plan yet
    sheet.show_plan(PLAN, is_measuring=True)
    sheet._fold.click()
    sheet.regions.title.setText("after the birds")
    with qtbot.waitSignal(sheet.start_wanted, timeout=1000) as wanted:
        qtbot.keyClick(sheet.regions.title, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert wanted.args[0] == RetrainChoice(title="after the birds")
    assert not sheet.isVisible()


def test_that_corrections_newer_than_the_model_in_use_are_counted():
    assert made_from(PLAN).endswith("until you activate the new one.")
    assert made_from(replace(PLAN, num_newer=0)) == made_from(PLAN)
    assert made_from(replace(PLAN, num_newer=1)).endswith("1 correction is newer than it.")
    assert made_from(replace(PLAN, num_newer=12)).endswith("12 corrections are newer than it.")


def test_that_a_person_chooses_between_regions_and_classes(sheet):
    told = []
    sheet.choice_changed.connect(told.append)
    sheet.show_plan(PLAN, is_measuring=False)
    sheet.models["consistency"].click()
    assert told == [ClassesChoice()]
    assert not sheet.can_start  # until the plan of that one is there
    assert sheet.classes.presets.isVisible()
    assert not sheet.regions.presets.isVisible()
    sheet.show_plan(OF_CLASSES, is_measuring=False)
    assert sheet.can_start
    sheet.models["consistency"].click()  # it is chosen already
    assert len(told) == 1
    sheet.models["cloc"].click()
    assert told[-1] == RetrainChoice()


def test_that_what_is_known_of_images_is_said_in_words():
    assert learns_from(OF_CLASSES) == "150 images with 12 classes"
    assert left_out(OF_CLASSES) == (
        "A class is said to be there 212 times. About 20% of the images are held out to measure the result. "
        "30 images have no class yet."
    )
    more = replace(OF_CLASSES.material, num_negatives=1_034, num_corrections=1, num_unlabelled=1)
    assert left_out(replace(OF_CLASSES, material=more), Drawn(180, 120, 30)) == (
        "A class is said to be there 180 times, not to be there 1,034 times; 1 correction is painted on heatmaps. "
        "30 more labels are held out to measure the result. 1 image has no class yet."
    )
    assert learns_from(OF_CLASSES, Drawn(180, 120, 30)) == "120 images with 12 classes"
    assert "Too few labels to hold any out" in left_out(OF_CLASSES, Drawn(3, 3, 0))
    assert made_from(replace(OF_CLASSES, parent="")).startswith("A new model is made; there is none yet")


def test_that_every_choice_about_classes_is_told_once(sheet):
    sheet.choose_model("consistency")
    told = []
    sheet.choice_changed.connect(told.append)
    fields = sheet.classes
    fields.presets.cards["standard"].button.click()
    assert [choice.preset for choice in told] == ["standard"]
    assert fields.epochs.value() == CONSISTENCY_PRESETS["standard"].num_epochs
    fields.epochs.setValue(7)
    fields.crop.setValue(0.5)
    fields.loss.setCurrentIndex(fields.loss.findData("an"))
    fields.memory.setCurrentIndex(fields.memory.findData("none"))
    fields.one.click()
    assert told[-1] == ClassesChoice(
        preset="standard", num_epochs=7, min_scale=0.5, loss="an", memory="none", keeps_one=True
    )
    assert len(told) == 6
    fields.presets.cards["quick"].button.click()
    assert told[-1] == ClassesChoice(keeps_one=True)


def test_that_heatmaps_are_gone_on_from_only_where_there_are_some(sheet):
    sheet.choose_model("consistency")
    sheet._fold.click()
    sheet.show_plan(OF_CLASSES, is_measuring=False)
    assert not sheet.classes.known.isVisible()
    sheet.show_plan(replace(OF_CLASSES, remembered="/runs/1/results/heatmaps"), is_measuring=False)
    assert sheet.classes.known.isVisible()
    sheet.classes.known.click()
    assert sheet.choice.known == "/runs/1/results/heatmaps"
