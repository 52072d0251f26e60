"""An index that is made in the background: watched through its folder, taken over when it is whole."""

import json
import shutil
import threading

import pytest
from PySide6.QtWidgets import QApplication, QDialog, QPlainTextEdit

from locstudio.domain.errors import StorageFailed
from locstudio.jobs.configs import Embedding, RunConfig
from locstudio.jobs.messages import Failed, Finished, Progress, Started
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import claim_run
from locstudio.services.importing import ImportOptions
from locstudio.services.search import SearchService
from locstudio.store.dataset import Dataset
from locstudio.store.records import CheckpointRow
from locstudio.ui.import_sheet import ImportChoice
from locstudio.ui.indexing import in_words


@pytest.fixture
def run(sample) -> RunFolder:
    """A run that is going on, in this very process as far as anybody can see."""
    config = RunConfig(kind="embed", checkpoint=str(sample.checkpoint), embed=Embedding())
    folder = RunFolder.create(sample.project.runs, config)
    claim_run(folder)
    say(folder, lambda n: Started(sequence=n, device="CPU", num_images=8, num_regions=16, num_steps=8))
    return folder


def say(folder: RunFolder, make) -> None:
    log = EventLog(folder)
    log.append(make(log.next_sequence))
    log.close()


def finish(folder: RunFolder, make) -> None:
    say(folder, make)
    (folder.path / "state.json").unlink()


def open_project(studio, sample, qtbot):
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(sample.project.path)


def test_that_a_run_of_an_earlier_window_is_found_watched_and_taken_over(studio, sample, run, qtbot):
    open_project(studio, sample, qtbot)
    say(run, lambda n: Progress(sequence=n, step=3, num_steps=8, images_per_second=1.0, seconds_left=5.0))
    status = studio.window.status
    qtbot.waitUntil(lambda: status._work_text.text() == "Indexing: 3 of 8, 5 s left", timeout=10_000)
    shutil.copytree(sample.project.index, run.results / "index")
    service = studio.search_state.service
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        finish(run, lambda n: Finished(sequence=n))
    assert studio.search_state.service is not service
    assert status._work.isHidden()
    assert studio.desk.opened.dataset.runs()[0].id == run.id


def test_that_a_failed_run_says_why_and_leaves_the_old_index(studio, sample, run, qtbot):
    open_project(studio, sample, qtbot)
    service = studio.search_state.service
    finish(run, lambda n: Failed(sequence=n, sentence="The disk is full.", exit_status=5))
    qtbot.waitUntil(lambda: studio.window.notice.text == "The disk is full.", timeout=10_000)
    assert studio.search_state.service is service


def test_that_an_index_that_is_missing_is_said_so_and_offered(studio, sample, qtbot):
    shutil.rmtree(sample.project.index)
    open_project(studio, sample, qtbot)
    assert studio.search_state.service is None
    assert studio.window.notice.text == "8 images are not indexed yet. Search finds only what is indexed."
    assert studio.window.notice._button.text().startswith("Index now (about ")


def test_that_an_index_of_another_model_than_the_loaded_one_is_not_searched(studio, sample, make_checkpoint, qtbot):
    another = make_checkpoint(sample.checkpoint.parent / "another")
    with Dataset.open(sample.project) as dataset:
        row = dataset.active_checkpoint()
        dataset.record_checkpoint(CheckpointRow(id=row.id, model="cloc", name="fake", path=str(another)))
    open_project(studio, sample, qtbot)
    qtbot.waitUntil(lambda: "another model" in studio.window.notice.text, timeout=15_000)
    studio.desk.search_words("a dog")
    assert "not indexed" in studio.desk.search._hint.text()


def test_that_an_imported_file_is_shown_with_its_report(studio, desk, sample, tmp_path, qtbot):
    coco = {
        "images": [{"id": 1, "file_name": "picture_3.png", "width": 96, "height": 64}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 2, "bbox": [10, 10, 20, 20], "area": 400}],
        "categories": [{"id": 2, "name": "kite"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.parts.transfers.import_from(ImportChoice(tmp_path / "coco.json", sample.images, "coco", ImportOptions()))
    dialog = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible())
    assert "regions   1 new" in dialog.findChild(QPlainTextEdit).toPlainText()
    dialog.close()
    qtbot.waitUntil(lambda: "Class" in desk.filter_bar._class.text())
    assert desk.opened.dataset.count_regions() == 17


def test_that_an_edit_the_disk_refuses_is_kept_and_tried_again(studio, desk, sample, qtbot, monkeypatch):
    dataset = desk.opened.dataset
    original, image_id = dataset.apply, desk.browsing.image.id

    def refuse(*args, **kwargs):
        raise StorageFailed("Not saved: the disk is full.")

    monkeypatch.setattr(dataset, "apply", refuse)
    desk.canvas.select([desk.canvas.editor.boxes.regions[0].id])
    with qtbot.waitSignal(desk.editing.not_saved):
        desk.canvas.editor.delete()
    assert studio.window.notice.text == "Not saved: the disk is full."
    monkeypatch.setattr(dataset, "apply", original)
    with qtbot.waitSignal(desk.editing.applied):
        studio.window.notice._button.click()
    assert desk.editing.num_unsaved == 0
    assert len(dataset.regions_of(image_id)) == 1


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (40, "40 s"), (200, "3 min"), (7500, "2 h 5 min")])
def test_that_times_are_said_as_people_say_them(seconds, words):
    assert in_words(seconds) == words


def test_that_the_index_is_prepared_once_beside_window_and_edits(studio, sample, qtbot, monkeypatch):
    prepared = []
    monkeypatch.setattr(SearchService, "prepare", lambda service: prepared.append((service, threading.get_ident())))
    open_project(studio, sample, qtbot)
    qtbot.waitUntil(lambda: bool(prepared), timeout=5_000)
    others: list[int] = []
    for worker in (studio.desk.reads, studio.desk.edits, studio.desk.work):
        worker.ask(threading.get_ident, on_result=others.append)
    qtbot.waitUntil(lambda: len(others) == 3, timeout=5_000)
    [(service, thread)] = prepared
    assert service is studio.search_state.service
    assert thread not in {threading.get_ident(), *others}


def test_that_what_is_left_of_a_run_that_was_never_made_is_swept_and_runs_stay(studio, sample, run, qtbot):
    remains = RunFolder.prepare(sample.project.runs, "cloc")
    (remains.path / "snapshot.sqlite").write_bytes(b"half")
    open_project(studio, sample, qtbot)
    assert not remains.path.exists()
    assert run.path.exists()
