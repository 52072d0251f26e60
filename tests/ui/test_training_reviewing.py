"""Evaluations, changes and checkpoints of a real project, from disk to the screen and back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractScrollArea, QComboBox, QTabWidget, QWidget

from locstudio.domain.edits import ClassChange, Edit, change_regions
from locstudio.domain.regions import LabelClass, Review
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.configs import ClocTraining, Comparison, RunConfig
from locstudio.jobs.messages import Finished, Saved
from locstudio.jobs.predictions import (
    Gate,
    GateCheck,
    PredictionFolder,
    Predictions,
    RegionPredictions,
    RetrievalPredictions,
    Summary,
    write_gate,
)
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.store.dataset import Dataset
from locstudio.store.records import CheckpointRow
from locstudio.store.thumbnails import ThumbnailStore
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.pictures import Pictures
from locstudio.ui.training.reviewing import Reviewing

DOG, CAR = 0, 1


def other_checkpoint(folder):
    """A checkpoint with an identity of its own; it is never loaded."""
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    tower = {"model": "stand-in", "input_px": 32, "num_tokens": 17}
    (partial / "config.json").write_text(json.dumps({"name": "newer", "dim": 4, "token_width": 4, "tower": tower}))
    (partial / "weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (partial / "card.md").write_text("# newer\n")
    (partial / "metrics.json").write_text("{}")
    seal_checkpoint(partial, folder)
    return folder


def finished(project, config):
    """The folder of a run that said it has finished."""
    folder = RunFolder.create(project.runs, config)
    log = EventLog(folder)
    if config.kind == "cloc":
        log.append(Saved(sequence=0, step=6, path="checkpoints/step_6"))
    log.append(Finished(sequence=log.next_sequence))
    log.close()
    return folder


def give_classes(dataset):
    """Let every "dog" and "car" of the sample have a class; returns the regions in their order."""
    labels = [LabelClass(dataset.next_class_id(), name, "#123456") for name in ("dog", "car")]
    dataset.apply(Edit("Add classes", tuple(ClassChange(None, label) for label in labels)), actor="import")
    regions = sorted(dataset.regions(range(1, 17)), key=lambda region: region.id)
    pairs = [(r, replace(r, class_id=labels[r.phrase.endswith("car")].id)) for r in regions]
    dataset.apply(change_regions(pairs, "Classes"), actor="import")
    return labels, sorted(dataset.regions(range(1, 17)), key=lambda region: region.id)


def predictions(checkpoint_id, name, labels, regions, found):
    """Predictions that name region ``n`` as class row ``found[n]``; the first four are held out."""
    count = len(regions)
    ids, images = (np.array([getattr(r, k) for r in regions], np.int64) for k in ("id", "image_id"))
    rows = np.array([int(r.class_id == labels[CAR].id) for r in regions], np.int64)
    found_rows = np.array(found, np.int64)
    scores = np.where(np.arange(2)[None] == found_rows[:, None], 0.9 - 0.01 * np.arange(count)[:, None], 0.1)
    held_out = np.arange(count) < 4
    ranks = (rows != found_rows).astype(np.int64)
    metrics = {"top1": float((ranks == 0).mean()), "macc": float((ranks == 0).mean())}
    return Predictions(
        summary=Summary(
            checkpoint_id=checkpoint_id,
            name=name,
            num_images=8,
            num_held_out_images=2,
            logit_scale=10.0,
            metrics=metrics,
            held_out_metrics={"top1": float((ranks[:4] == 0).mean())},
        ),
        classes=tuple((label.id, label.name) for label in labels),
        phrases=("a brown dog", "a red car"),
        regions=RegionPredictions(
            ids,
            images,
            np.array([r.box.as_tuple() for r in regions], np.float32),
            rows,
            found_rows,
            ranks,
            held_out,
            scores.astype(np.float16),
        ),
        retrieval=RetrievalPredictions(ids, images, rows, ranks, held_out, np.zeros(2, np.int64)),
    )


def compared(project, dataset, old, new, *, passed=True):
    """A training whose model ``new`` was compared with ``old``: it fixes the first dog and breaks the first car.

    Returns:
        Ids of the training and of the comparison.
    """
    labels, regions = give_classes(dataset)
    training = finished(project, RunConfig(kind="cloc", checkpoint=str(old), title="Quick", cloc=ClocTraining()))
    config = RunConfig(
        kind="compare", checkpoint=str(old), parent_run=training.id, compare=Comparison(new=str(new), held_out="")
    )
    folder = finished(project, config)
    true = [int(r.class_id == labels[CAR].id) for r in regions]
    before, after = list(true), list(true)
    before[0], after[1] = CAR, DOG
    ids = [checkpoint_info(path).id for path in (old, new)]
    for part, checkpoint_id, found in (("old", ids[0], before), ("new", ids[1], after)):
        PredictionFolder(folder.results / part).write(predictions(checkpoint_id, part, labels, regions, found))
    check = GateCheck(name="metric", passed=passed, sentence="It names as many boxes right.", old=0.5, new=0.5)
    write_gate(folder.results, Gate(passed=passed, old_id=ids[0], new_id=ids[1], checks=(check,)))
    return training.id, folder.id


class Bench:
    """The three views on the sample project, with its workers."""

    def __init__(self, sample, new, *, is_compared=True):
        self.project, self.new = sample.project, new
        self.dataset = Dataset.open(sample.project)
        self.old_id, self.new_id = checkpoint_info(sample.checkpoint).id, checkpoint_info(new).id
        self.dataset.record_checkpoint(
            CheckpointRow(
                self.new_id, "cloc", "newer", str(new), parent_id=self.old_id, metrics=json.dumps({"top1": 0.5})
            )
        )
        if is_compared:
            self.run_id, self.compare_id = compared(sample.project, self.dataset, sample.checkpoint, new)
        self.edits, self.work = DatasetWorker(), DatasetWorker()
        self.editing = Editing(self.dataset, self.edits)
        pictures = Pictures(self.dataset, ThumbnailStore(sample.project.cache / "thumbnails.sqlite"))
        self.crops = PictureLoader(pictures.crop)
        self.reviewing = Reviewing(sample.project, self.dataset, self.editing, self.work, self.crops, pictures=pictures)
        self.said = []
        self.reviewing.said.connect(self.said.append)

    @property
    def is_idle(self):
        workers = (self.edits, self.work, self.reviewing._reads)
        return not any(worker.num_pending for worker in workers)

    def close(self):
        self.reviewing.close()
        for each in (self.crops, self.edits, self.work, self.dataset):
            each.close()


@pytest.fixture
def make_bench(sample, tmp_path, qtbot):
    made = []

    def make(**values):
        bench = Bench(sample, other_checkpoint(tmp_path / "models" / "newer"), **values)
        made.append(bench)
        for view in (bench.reviewing.changes, bench.reviewing.evaluation, bench.reviewing.checkpoints):
            qtbot.addWidget(view)
            view.resize(1000, 640)
        return bench

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench, qtbot):
    made = make_bench()
    made.reviewing.show_run(made.run_id)
    qtbot.waitUntil(lambda: made.is_idle)
    return made


def chosen(bench):
    return {each.change.kind: each.chosen for each in bench.reviewing.changes.model.items}


def test_that_the_changes_of_a_training_are_those_of_its_comparison(bench):
    items = {each.change.kind: each for each in bench.reviewing.changes.model.items}
    assert set(items) == {"fixed", "broken"}
    assert (items["fixed"].change.old_name, items["fixed"].change.new_name) == ("car", "dog")
    assert items["broken"].change.region_id == 2
    assert bench.reviewing.changes.gate.isVisibleTo(bench.reviewing.changes)
    assert bench.reviewing.comparison.compare_id == bench.compare_id


def test_that_taking_the_new_edits_the_region_and_undo_takes_edit_and_choice_back(bench, qtbot):
    view = bench.reviewing.changes
    view.go_to("name:2")
    view.table.choose("new")
    qtbot.waitUntil(lambda: bench.is_idle)
    (region,) = bench.dataset.regions([2])
    dog = next(label for label in bench.dataset.classes() if label.name == "dog")
    assert (region.class_id, region.review) == (dog.id, Review.ACCEPTED)
    assert bench.dataset.choices(bench.old_id, bench.new_id) == {"name:2": "new"}
    bench.editing.undo()
    qtbot.waitUntil(lambda: bench.is_idle)
    assert bench.dataset.regions([2])[0].class_id != dog.id
    assert bench.dataset.choices(bench.old_id, bench.new_id) == {}
    assert chosen(bench)["broken"] is None
    bench.editing.redo()
    qtbot.waitUntil(lambda: bench.is_idle)
    assert chosen(bench)["broken"] == "new"


def test_that_keeping_the_old_is_one_step_in_the_history_as_well(bench, qtbot):
    bench.reviewing.changes.go_to("name:1")
    bench.reviewing.changes.table.choose("old")
    qtbot.waitUntil(lambda: bench.is_idle)
    assert bench.dataset.history(1)[0].title == "Keep the old: dog"
    bench.editing.undo()
    qtbot.waitUntil(lambda: bench.is_idle)
    assert chosen(bench)["fixed"] is None


def test_that_a_choice_that_cannot_be_made_is_taken_back_and_says_why(bench, qtbot):
    (region,) = bench.dataset.regions([2])
    bench.dataset.apply(change_regions([(region, replace(region, is_locked=True))], "Lock"))
    bench.reviewing.changes.go_to("name:2")
    bench.reviewing.changes.table.choose("new")
    qtbot.waitUntil(lambda: bench.is_idle)
    assert chosen(bench)["broken"] is None
    assert "locked" in bench.said[-1]


def test_that_choices_are_there_when_the_project_is_opened_again(bench, qtbot):
    bench.reviewing.changes.go_to("name:1")
    bench.reviewing.changes.table.choose("old")
    qtbot.waitUntil(lambda: bench.is_idle)
    bench.reviewing.show_run("")
    qtbot.waitUntil(lambda: bench.is_idle)
    assert chosen(bench) == {"fixed": "old", "broken": None}


def test_that_opening_a_change_leads_to_its_region(bench, qtbot):
    bench.reviewing.changes.go_to("name:2")
    with qtbot.waitSignal(bench.reviewing.place_wanted) as wanted:
        bench.reviewing.changes._open_current()
    place = wanted.args[0]
    assert (place.image_id, place.region_id) == (1, 2)


def test_that_the_evaluation_of_the_new_model_is_shown_against_the_old_over_what_was_held_out(bench):
    view = bench.reviewing.evaluation
    assert view._chosen.currentData() == f"{bench.compare_id}/new"
    assert view._older.currentData() == f"{bench.compare_id}/old"
    assert view.cards.sentences == ["Naming regions, right: 75.0 %, = against fake"]
    assert view._note.text() == "2 images not learnt from"


def test_that_a_cell_of_the_matrix_shows_its_regions_and_the_curve_its_three_parts(bench, qtbot):
    view = bench.reviewing.evaluation
    view.confusion.list.selectRow(0)
    qtbot.waitUntil(lambda: bench.is_idle)
    assert view.crops.heading == "“car” named “dog”"
    assert [(hit.region_id, hit.phrase) for hit in view.crops.hits] == [(2, "car → dog")]
    view.curve.choose(0)
    qtbot.waitUntil(lambda: bench.is_idle)
    parts = [(part.words, part.count) for part in view.crops._parts]
    assert parts == [("Right", 1), ("Wrong", 0), ("Missed", 3)]


def test_that_a_bar_of_recall_shows_what_was_missed(bench, qtbot):
    view = bench.reviewing.evaluation
    view._held_out.click()
    qtbot.waitUntil(lambda: bench.is_idle)
    assert [group.title for group in view.recalls.groups] == [
        "A region finds its phrase",
        "A phrase finds a region of it",
    ]
    view.recalls.choose(0)
    qtbot.waitUntil(lambda: bench.is_idle)
    assert [hit.region_id for hit in view.crops.hits] == [2]
    assert view.crops._detail.text() == "1 region"


def test_that_a_training_without_comparison_offers_one(make_bench, qtbot):
    bench = make_bench(is_compared=False)
    training = finished(
        bench.project, RunConfig(kind="cloc", checkpoint=str(bench.new), title="Quick", cloc=ClocTraining())
    )
    bench.reviewing.show_run(training.id)
    qtbot.waitUntil(lambda: bench.is_idle)
    view = bench.reviewing.changes
    assert "not compared" in view._nothing.text()
    assert not view._compare.isHidden()
    assert bench.reviewing.evaluation._pages.currentIndex() == 0


def test_that_a_damaged_evaluation_is_a_sentence(make_bench, qtbot):
    bench = make_bench()
    results = bench.project.runs / bench.compare_id / "results"
    (results / "new" / "regions.npz").write_bytes(b"no archive")
    bench.reviewing.show_run(bench.run_id)
    qtbot.waitUntil(lambda: bench.is_idle)
    assert "damaged" in bench.reviewing.evaluation._nothing.text()
    assert "damaged" in bench.reviewing.changes._nothing.text()


def test_that_two_checkpoints_are_compared_on_the_images_that_neither_has_learnt_from(bench):
    view = bench.reviewing.checkpoints
    assert [entry.id for entry in view.model.entries][:2] == [bench.new_id, bench.old_id]
    lines = [line.what for line in view.diff.rows.lines]
    assert lines[:2] == ["Measured on 2 images not learnt from", "Top 1"]
    assert "How they were trained" in lines


def test_that_a_name_given_in_the_registry_is_shown(bench, qtbot):
    view = bench.reviewing.checkpoints
    view.rename_wanted.emit(bench.new_id, "after lunch")
    qtbot.waitUntil(lambda: bench.is_idle and view.model.entries[0].name == "after lunch")
    assert view.model.name_of(bench.new_id) == "after lunch"


def test_that_activating_from_the_worklist_changes_the_model_in_use(bench, qtbot):
    view = bench.reviewing.changes
    with qtbot.waitSignal(bench.reviewing.activated) as activated:
        view.gate._activate.click()
    assert activated.args[0]["checkpoint"] == bench.new_id
    assert activated.args[0]["is_again"] is False
    qtbot.waitUntil(lambda: bench.is_idle)
    assert bench.dataset.active_checkpoint().id == bench.new_id
    assert "is the model in use" in view.gate.heading
    assert len(view.model.items) == 2  # what is on the screen stays


def test_that_evaluating_makes_a_run_that_waits_to_be_started(bench, qtbot):
    with qtbot.waitSignal(bench.reviewing.run_made) as made:
        bench.reviewing.evaluation._evaluate.click()
    config = made.args[0].config()
    assert (config.kind, config.evaluate.task) == ("evaluate", "all")
    assert bench.reviewing.evaluation._evaluate.isEnabled()


def test_that_everything_that_takes_the_focus_has_a_name(bench):
    for view in (bench.reviewing.changes, bench.reviewing.evaluation, bench.reviewing.checkpoints):
        for widget in view.findChildren(QWidget):
            parents = (widget.parent(), widget.parent().parent())
            is_part = any(isinstance(parent, QComboBox | QAbstractScrollArea | QTabWidget) for parent in parents)
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and not is_part:
                assert widget.accessibleName() or widget.text(), widget


def test_that_a_comparison_that_is_there_comes_to_the_front_and_another_one_is_made(bench, qtbot):
    view = bench.reviewing.checkpoints
    with qtbot.waitSignal(bench.reviewing.changes_wanted):
        view.compare_wanted.emit(bench.old_id, bench.new_id)
    qtbot.waitUntil(lambda: bench.is_idle)
    assert bench.reviewing.comparison.compare_id == bench.compare_id
    with qtbot.waitSignal(bench.reviewing.run_made) as made:
        view.compare_wanted.emit(bench.new_id, bench.old_id)
    assert made.args[0].config().compare.new == str(next(e.folder for e in view.model.entries if e.id == bench.old_id))


def test_that_looking_again_leaves_what_a_person_looks_at(bench, qtbot):
    view = bench.reviewing.evaluation
    view._chosen.setCurrentIndex(1)
    view.evaluation_chosen.emit(view._chosen.currentData())
    qtbot.waitUntil(lambda: bench.is_idle)
    view.confusion.matrix.choose(0, 0)
    qtbot.waitUntil(lambda: bench.is_idle)
    heading = view.crops.heading
    bench.reviewing.refresh()
    qtbot.waitUntil(lambda: bench.is_idle)
    assert view._chosen.currentData() == f"{bench.compare_id}/old"
    assert view.crops.heading == heading
