"""The Retrain sheet on plain values: what it says, what it refuses, what it asks for."""

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from locstudio.services.retraining import Estimate, Material, RetrainChoice, RetrainPlan
from locstudio.services.starting import PRESETS
from locstudio.ui.training.plan_words import made_from
from locstudio.ui.training.retrain_sheet import RetrainSheet

PLAN = RetrainPlan(
    choice=RetrainChoice(),
    material=Material(num_regions=837, num_images=180, num_pending=18),
    estimate=Estimate(seconds=200, source="guess"),
    free_bytes=48_000_000_000,
    parent="cloc-lite",
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
    sheet.show_material(5, 2, 0)
    assert "Too few regions to hold any out" in sheet.fact("Learns from")


def test_that_a_problem_forbids_the_start(sheet):
    sheet.show_plan(replace(PLAN, problems=("There is nothing to learn from yet.",)), is_measuring=False)
    assert not sheet.can_start
    assert sheet.problem == "There is nothing to learn from yet."


def test_that_a_run_in_the_way_is_named_and_does_not_forbid_the_start(sheet):
    sheet.show_plan(replace(PLAN, waits_for="Standard"), is_measuring=False)
    assert sheet.problem.startswith("“Standard” is going on. This run waits")
    assert sheet.can_start


def test_that_a_reason_why_nothing_was_measured_stands_beside_the_guess(sheet):
    sheet.show_plan(PLAN, is_measuring=True)
    sheet.stop_measuring("a guess; it could not be measured: the disk is full.")
    assert sheet.fact("Time") == "about 3 min a guess; it could not be measured: the disk is full."


def test_that_every_choice_is_told_once(sheet):
    told = []
    sheet.choice_changed.connect(told.append)
    sheet._presets["standard"].button.click()
    assert [choice.preset for choice in told] == ["standard"]
    assert sheet._steps.value() == PRESETS["standard"].num_steps
    sheet._fold.click()
    sheet._steps.setValue(555)
    sheet._pending.click()
    assert (told[-1].num_steps, told[-1].include_pending) == (555, True)
    sheet._presets["quick"].button.click()
    assert (told[-1].preset, told[-1].num_steps, told[-1].include_pending) == ("quick", 0, True)
    assert len(told) == 4


def test_that_a_card_is_chosen_by_a_click_anywhere_on_it(sheet, qtbot):
    qtbot.mouseClick(sheet._presets["standard"], Qt.MouseButton.LeftButton)
    assert sheet.choice.preset == "standard"


def test_that_control_and_return_start_from_anywhere(sheet, qtbot):
    qtbot.keyClick(sheet, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert sheet.isVisible()  # there is no plan yet
    sheet.show_plan(PLAN, is_measuring=True)
    sheet._fold.click()
    sheet._title.setText("after the birds")
    with qtbot.waitSignal(sheet.start_wanted, timeout=1000) as wanted:
        qtbot.keyClick(sheet._title, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert wanted.args[0] == RetrainChoice(title="after the birds")
    assert not sheet.isVisible()


def test_that_corrections_newer_than_the_model_in_use_are_counted():
    assert made_from(PLAN).endswith("until you activate the new one.")
    assert made_from(replace(PLAN, num_newer=0)) == made_from(PLAN)
    assert made_from(replace(PLAN, num_newer=1)).endswith("1 correction is newer than it.")
    assert made_from(replace(PLAN, num_newer=12)).endswith("12 corrections are newer than it.")
