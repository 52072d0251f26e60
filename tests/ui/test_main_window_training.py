"""Retraining in the window, from the click to the comparison, with a trainer that replays a recorded run."""

import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from PySide6.QtCore import Qt

from locstudio.jobs.run_state import RunState, living_mark
from locstudio.services import runs
from locstudio.services.retrain_plan import RetrainChoice
from locstudio.services.retraining import start_retraining
from locstudio.services.runs import list_runs
from locstudio.services.starting import PRESETS
from locstudio.store.dataset import Dataset
from locstudio.store.records import CheckpointRow
from locstudio.ui.top_bar import Page

REPLAYING = Path(__file__).with_name("replaying_trainer.py")


@pytest.fixture(autouse=True)
def trainer(monkeypatch, sample):
    """The replaying trainer in the place of the real one; what it leaves running is ended."""
    monkeypatch.setattr(runs, "TRAINER", (str(REPLAYING),))
    yield
    for run in list_runs(sample.project):
        mark = living_mark(run.folder)
        if mark is not None:
            psutil.Process(mark.pid).kill()


@pytest.fixture
def retraining(studio, desk):
    return studio.retraining


def go_on(sample):
    (sample.project.path / "go_on").touch()


def start(studio, qtbot):
    """Press Retrain, wait for the plan, and start."""
    studio.window.actions_by_name["retrain"].trigger()
    sheet = studio.retraining.planning.sheet
    qtbot.waitUntil(lambda: sheet.can_start, timeout=30_000)
    sheet._start.click()
    book = studio.retraining.book
    qtbot.waitUntil(lambda: bool(book.trainings), timeout=30_000)
    return book.trainings[0].id


def wait_for_step(retraining, run_id, step, qtbot):
    qtbot.waitUntil(lambda: retraining.book.run(run_id).summary.step >= step, timeout=30_000)


def wait_for_end(retraining, run_id, qtbot):
    qtbot.waitUntil(lambda: retraining.book.run(run_id).is_over, timeout=30_000)
    return retraining.book.run(run_id).summary


def test_that_the_sheet_says_first_a_guess_and_then_what_was_measured(studio, retraining, sample, qtbot):
    studio.window.actions_by_name["retrain"].trigger()
    sheet = retraining.planning.sheet
    qtbot.waitUntil(lambda: "is being measured" in sheet.fact("Time"), timeout=30_000)
    assert sheet.fact("Learns from").startswith("16 reviewed regions of 8 images About 20%")
    qtbot.waitUntil(lambda: "measured on this computer just now" in sheet.fact("Time"), timeout=30_000)
    assert sheet.fact("Time") == "about 4 min measured on this computer just now"
    assert sheet.fact("Learns from") == (
        "14 reviewed regions of 7 images 2 more regions are held out to measure the result."
    )
    assert sheet.fact("Memory") == "1.3 GB"
    assert sheet.fact("Where") == "CPU, 2 cores"
    sheet.regions.steps.setValue(PRESETS["quick"].num_steps + 100)  # half a second each
    qtbot.waitUntil(lambda: sheet.fact("Time").startswith("about 5 min"), timeout=30_000)
    sheet.reject()
    qtbot.waitUntil(lambda: list_runs(sample.project) == [], timeout=30_000)
    assert retraining.planning.sheet is None


def test_that_a_training_is_watched_compared_and_shown(studio, retraining, sample, qtbot):
    run = start(studio, qtbot)
    assert studio.window.page is Page.TRAINING
    wait_for_step(retraining, run, 10, qtbot)
    qtbot.waitUntil(lambda: studio.window.status.training_text.startswith("Training 33%"), timeout=30_000)
    page = retraining._desk.page
    qtbot.waitUntil(lambda: page.curves.plots["loss"].legend() == ["3.368"], timeout=30_000)
    qtbot.waitUntil(lambda: page.samples.text.startswith("Step 10: "), timeout=30_000)
    qtbot.waitUntil(lambda: "mean accuracy 0.67" in page.head.text, timeout=30_000)
    go_on(sample)
    assert wait_for_end(retraining, run, qtbot).state is RunState.DONE
    qtbot.waitUntil(lambda: "compared with the model in use" in studio.window.notice.text, timeout=30_000)
    comparison = retraining.book.comparison_of(run)
    assert comparison.config.compare.held_out == run
    assert studio.window.status.training_text == ""
    studio.window.actions_by_name["show_collection"].trigger()
    studio.window.notice.accepted.emit("training")
    assert studio.window.page is Page.TRAINING
    assert page.tab.name == "CHANGES"
    assert page.runs.chosen == run
    assert any(row.run_id == run and not row.is_active for row in studio.desk.opened.dataset.checkpoints())
    qtbot.waitUntil(lambda: bool(studio.desk.opened.dataset.events_of(run)), timeout=30_000)  # with the next list


def test_that_a_stopped_run_is_resumed_where_it_was(studio, retraining, sample, qtbot):
    run = start(studio, qtbot)
    wait_for_step(retraining, run, 10, qtbot)
    head = retraining._desk.page.head
    head._stop.click()
    assert wait_for_end(retraining, run, qtbot).state is RunState.STOPPED
    qtbot.waitUntil(lambda: "Stopped · at step 10 of 30" in head.text, timeout=30_000)
    assert retraining.book.comparison_of(run) is None
    go_on(sample)
    head._resume.click()
    qtbot.waitUntil(lambda: retraining.book.run(run).summary.state is RunState.DONE, timeout=30_000)
    assert retraining.book.run(run).summary.step == 30


def test_that_a_training_outlives_the_window_and_is_found_again(studio, retraining, sample, qtbot):
    run = start(studio, qtbot)
    wait_for_step(retraining, run, 10, qtbot)
    folder = retraining.book.run(run).folder
    studio.close_project()
    assert living_mark(folder) is not None
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(sample.project.path)
    again = studio.retraining
    qtbot.waitUntil(lambda: [live.id for live in again.book.live] == [run], timeout=30_000)
    qtbot.waitUntil(lambda: studio.window.status.training_text.startswith("Training 33%"), timeout=30_000)
    studio.window.top._pages[Page.TRAINING].click()
    go_on(sample)
    assert wait_for_end(again, run, qtbot).state is RunState.DONE
    qtbot.waitUntil(lambda: "compared" in studio.window.notice.text, timeout=30_000)


def test_that_a_training_that_ended_without_a_window_is_compared_by_the_next(studio, sample, recorded, qtbot):
    go_on(sample)
    folder = recorded.put(sample.project.runs, until='"progress","step":10,', checkpoint=str(sample.checkpoint))
    runs.launch(folder, is_heard=False).wait()
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(sample.project.path)
    qtbot.waitUntil(lambda: "compared with the model in use" in studio.window.notice.text, timeout=30_000)


def test_that_a_run_whose_window_closed_before_its_process_was_made_is_started_by_the_next(studio, sample, qtbot):
    go_on(sample)
    with Dataset.open(sample.project) as dataset:
        folder = start_retraining(sample.project, dataset, sample.checkpoint, RetrainChoice())
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(sample.project.path)
    book = studio.retraining.book
    qtbot.waitUntil(lambda: book.run(folder.id) is not None and book.run(folder.id).is_over, timeout=30_000)
    assert book.run(folder.id).summary.state is RunState.DONE
    qtbot.waitUntil(lambda: "compared" in studio.window.notice.text, timeout=30_000)


def test_that_the_window_calls_a_model_as_the_project_does(studio, sample, qtbot):
    with Dataset.open(sample.project) as dataset:
        dataset.record_checkpoint(replace(dataset.active_checkpoint(), name="after the birds"))
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(sample.project.path)
    # Said whole here: in a narrow window the chip shortens it.
    called = lambda: studio.window.top._engine.accessibleName()  # noqa: E731
    qtbot.waitUntil(lambda: called().startswith("Model: after the birds"), timeout=30_000)
    studio.window.actions_by_name["retrain"].trigger()
    sheet = studio.retraining.planning.sheet
    qtbot.waitUntil(lambda: sheet.can_start, timeout=30_000)
    assert "made from “after the birds”," in sheet._parent_name.text()


def test_that_an_interrupted_training_is_said_once_and_can_be_resumed(studio, sample, recorded, qtbot):
    folder = recorded.put(sample.project.runs, until='"progress","step":10,', checkpoint=str(sample.checkpoint))
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(sample.project.path)
    qtbot.waitUntil(lambda: "was interrupted" in studio.window.notice.text, timeout=30_000)
    studio.window.notice.accepted.emit("training")
    head = studio.retraining._desk.page.head
    qtbot.waitUntil(lambda: head._resume.isVisible(), timeout=30_000)
    assert "Interrupted" in head.text
    go_on(sample)
    head._resume.click()
    book = studio.retraining.book
    qtbot.waitUntil(lambda: book.run(folder.id).summary.state is RunState.DONE, timeout=30_000)


def test_that_the_canvas_keeps_its_state_and_its_keys_to_itself(studio, desk, retraining, qtbot):
    window, image = studio.window, desk.browsing.image
    desk.canvas.select([desk.canvas.editor.boxes.regions[0].id])
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert window.page is Page.TRAINING
    qtbot.keyClick(window, Qt.Key.Key_D)
    qtbot.keyClick(window, Qt.Key.Key_Delete)
    assert desk.browsing.image == image
    assert len(desk.canvas.editor.boxes.regions) == 2
    qtbot.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert window.page is Page.COLLECTION
    assert desk.canvas.selection == [desk.canvas.editor.boxes.regions[0].id]


def test_that_words_typed_on_the_training_page_are_searched_in_the_collection(studio, retraining):
    retraining.show()
    studio.search_for("a red car")
    assert studio.window.page is Page.COLLECTION


def test_that_nothing_is_trained_in_a_project_that_is_open_read_only(studio, sample, qtbot):
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(sample.project.path, read_only=True)
    studio.window.actions_by_name["retrain"].trigger()
    assert studio.retraining.planning.sheet is None
    assert "read-only" in studio.window.status.currentMessage()


def test_that_another_model_in_use_is_loaded_and_its_index_asked_for(
    studio, retraining, sample, make_checkpoint, qtbot
):
    from locstudio.jobs.checkpoint_folder import checkpoint_info

    another = make_checkpoint(sample.checkpoint.parent / "another")
    dataset = studio.desk.opened.dataset
    info = checkpoint_info(another)
    dataset.record_checkpoint(CheckpointRow(id=info.id, model="cloc", name="another", path=str(another)))
    dataset.activate_checkpoint(info.id)
    before = studio.desk.engine.process_id
    said: list[str] = []
    retraining.said.connect(said.append)
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        retraining._on_activated({"is_again": True})
    assert said[0] == "This model is in use again."
    assert studio.desk.opened.checkpoint == another
    qtbot.waitUntil(lambda: studio.desk.engine.state.phase == "ready", timeout=30_000)
    assert studio.desk.engine.process_id != before


def test_that_the_window_starts_without_pyqtgraph(studio, desk):
    import subprocess

    code = "import sys, locstudio.app; print('pyqtgraph' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_that_a_run_that_vanishes_from_disk_vanishes_from_the_list(studio, sample, recorded, qtbot):
    folder = recorded.put(sample.project.runs, checkpoint=str(sample.checkpoint))
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(sample.project.path)
    retraining = studio.retraining
    qtbot.waitUntil(lambda: len(retraining.book.trainings) == 1, timeout=30_000)
    retraining.show()
    (folder.path / "config.json").unlink()
    folder.path.rename(sample.project.path / "elsewhere")
    qtbot.waitUntil(lambda: retraining.book.trainings == [], timeout=30_000)
    assert retraining._desk.page.runs.model().rowCount() == 0


def test_that_events_of_a_run_are_in_the_project_once(studio, retraining, sample, qtbot):
    go_on(sample)
    run = start(studio, qtbot)
    wait_for_end(retraining, run, qtbot)
    dataset = studio.desk.opened.dataset
    folder = retraining.book.run(run).folder
    num_lines = len(folder.events.read_bytes().splitlines())
    qtbot.waitUntil(lambda: len(dataset.events_of(run)) == num_lines, timeout=30_000)
    retraining.book.read()
    retraining.book.read()
    qtbot.waitUntil(lambda: "compared" in studio.window.notice.text, timeout=30_000)
    assert len(dataset.events_of(run)) == num_lines
    assert isinstance(dataset, Dataset)
