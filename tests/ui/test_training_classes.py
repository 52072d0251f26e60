"""The training page about models of classes: what they gained, their evaluation, their checkpoints, and the notices."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QSize, Qt

from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.class_results import ClassPrecision, ClassResults, write_class_results
from locstudio.jobs.configs import Comparison, ConsistencyTraining, RunConfig
from locstudio.jobs.messages import Evaluated, Finished, Saved, Started
from locstudio.jobs.predictions import Gate, GateCheck, write_gate
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.services.adoption import register_checkpoint
from locstudio.services.run_summary import describe_run
from locstudio.store.dataset import Dataset
from locstudio.store.records import CheckpointRow
from locstudio.store.thumbnails import ThumbnailStore
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.pictures import Pictures
from locstudio.ui.top_bar import Page
from locstudio.ui.training.checkpoints_model import CheckpointColumn
from locstudio.ui.training.class_gains import ClassGain
from locstudio.ui.training.gains_table import GainColumn, GainsTable
from locstudio.ui.training.page import Tab, TrainingPage
from locstudio.ui.training.reviewing import Reviewing
from locstudio.ui.training.run_book import KnownRun, RunBook
from locstudio.ui.training.run_showing import RunShowing, facts_of, row_of


def classifier(folder, name):
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True)
    config = {"model": "consistency", "name": name, "classes": ["dog"], "backbone": "stand-in"}
    config |= {"input_px": 32, "width": 4, "cell_grid": 4}
    (partial / "config.json").write_text(json.dumps(config))
    (partial / "weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (partial / "card.md").write_text(f"# {name}\n")
    (partial / "metrics.json").write_text('{"map": 0.5}')
    seal_checkpoint(partial, folder)
    return folder


def say(folder, *messages):
    log = EventLog(folder)
    for kind, fields in messages:
        log.append(kind(sequence=log.next_sequence, **fields))
    log.close()


def results(checkpoint, name, **precisions):
    classes = tuple(
        ClassPrecision(class_id=number, name=each, num_positives=number, num_negatives=4, average_precision=value)
        for number, (each, value) in enumerate(precisions.items(), 1)
    )
    mean = sum(precisions.values()) / len(precisions)
    return ClassResults(
        checkpoint_id=checkpoint_info(checkpoint).id,
        name=name,
        num_images=9,
        num_held_out=9,
        metrics={"map": mean, "n": 9},
        classes=classes,
    )


@pytest.fixture
def trained(sample, tmp_path):
    """A training of classes that was compared with an older model, which the project uses."""
    old = classifier(tmp_path / "models" / "classes", "before")
    with Dataset.open(sample.project) as dataset:
        row = CheckpointRow(checkpoint_info(old).id, "consistency", "before", str(old), metrics='{"map": 0.4}')
        dataset.record_checkpoint(row)
        dataset.activate_checkpoint(row.id)
    config = RunConfig(
        kind="consistency", checkpoint=str(old), title="Night", consistency=ConsistencyTraining(), snapshot_sha256="ab"
    )
    run = RunFolder.create(sample.project.runs, config)
    new = classifier(run.checkpoints / "step_6", "after")
    begun = {"device": "CPU", "num_images": 7, "num_regions": 14, "num_steps": 6, "num_held_out": 2}
    say(run, (Started, begun), (Evaluated, {"step": 6, "metrics": {"map": 0.5}}))
    say(run, (Saved, {"step": 6, "path": "checkpoints/step_6"}), (Finished, {}))
    config = RunConfig(kind="compare", checkpoint=str(old), parent_run=run.id, compare=Comparison(new=str(new)))
    compared = RunFolder.create(sample.project.runs, config)
    write_class_results(compared.results / "old", results(old, "before", dog=0.4, cat=0.5))
    write_class_results(compared.results / "new", results(new, "after", dog=0.6, cat=0.45, bird=0.2))
    check = GateCheck(name="metric", passed=True, sentence="It finds 2 classes better.", old=0.45, new=0.525)
    ids = [checkpoint_info(path).id for path in (old, new)]
    write_gate(compared.results, Gate(passed=True, old_id=ids[0], new_id=ids[1], checks=(check,)))
    say(compared, (Finished, {}))
    return SimpleNamespace(run=run, compared=compared, old_id=ids[0], new_id=ids[1], project=sample.project)


@pytest.fixture
def bench(trained, qtbot):
    dataset = Dataset.open(trained.project)
    edits, work = DatasetWorker(), DatasetWorker()
    crops = PictureLoader(Pictures(dataset, ThumbnailStore(trained.project.cache / "thumbnails.sqlite")).crop)
    reviewing = Reviewing(trained.project, dataset, Editing(dataset, edits), work, crops)
    for view in (reviewing.changes, reviewing.evaluation, reviewing.checkpoints):
        qtbot.addWidget(view)
        view.resize(QSize(1000, 640))
    register_checkpoint(trained.project, dataset, trained.run)
    reviewing.show_run(trained.run.id)
    workers = (edits, work, reviewing._reads)
    qtbot.waitUntil(lambda: not any(worker.num_pending for worker in workers))
    made = SimpleNamespace(reviewing=reviewing, dataset=dataset, work=work, crops=crops, workers=workers)
    yield made
    reviewing.close()
    for each in (crops, edits, work, dataset):
        each.close()


def idle(bench, qtbot):
    qtbot.waitUntil(lambda: not any(worker.num_pending for worker in bench.workers))


def test_that_what_a_model_of_classes_has_gained_is_shown_class_by_class(bench):
    view = bench.reviewing.changes
    assert view.gains.isVisibleTo(view)
    assert view.gate.heading == "Night may take the place of before."
    model = view.gains.model()
    rows = [[model.index(row, column).data() for column in GainColumn] for row in range(model.rowCount())]
    assert rows == [
        ["bird", "3", "–", "20.0 %", ""],
        ["cat", "2", "50.0 %", "45.0 %", "▼ 5.0"],
        ["dog", "1", "40.0 %", "60.0 %", "▲ 20.0"],
    ]


def test_that_a_model_of_classes_is_activated_and_the_model_of_regions_stays(bench, trained, qtbot):
    in_use = bench.dataset.active_checkpoint()
    with qtbot.waitSignal(bench.reviewing.activated) as activated:
        bench.reviewing.changes.gate._activate.click()
    assert (activated.args[0]["model"], activated.args[0]["is_again"]) == ("consistency", False)
    idle(bench, qtbot)
    assert bench.dataset.active_checkpoint("consistency").id == trained.new_id
    assert bench.dataset.active_checkpoint() == in_use
    assert bench.reviewing.changes.gate.heading == "Night is the model in use."


def test_that_an_evaluation_of_classes_has_no_confusions_and_stands_against_the_older_one(bench, qtbot):
    view = bench.reviewing.evaluation
    assert view.cards.sentences == ["Classes of images, mean precision: 41.7 %, ▼3.3 against before"]
    assert [view._tabs.isTabVisible(number) for number in range(3)] == [False, True, False]
    lines = [view.classes.rows.line(row) for row in range(view.classes.rows.rowCount())]
    assert [(line.name, line.count) for line in lines] == [("All classes", 6), ("bird", 3), ("cat", 2), ("dog", 1)]
    assert view._note.text() == "9 images not learnt from"


def test_that_evaluate_now_measures_the_kind_of_model_that_is_in_front(bench, trained, qtbot):
    with qtbot.waitSignal(bench.reviewing.run_made) as made:
        bench.reviewing.evaluate()
    config = made.args[0].config()
    assert (config.evaluate.task, checkpoint_info(Path(config.checkpoint)).id) == ("multilabel", trained.old_id)


def test_that_checkpoints_say_what_they_name_and_are_set_against_their_own_kind(bench, trained):
    view = bench.reviewing.checkpoints
    model = view.model
    row = model.row_of(trained.new_id)
    assert model.index(row, CheckpointColumn.MODEL).data() == "classes"
    assert model.index(row, CheckpointColumn.MACC).data() == "50.0 %"
    view.table.setCurrentIndex(model.index(row, CheckpointColumn.NAME))
    against = {view._against.itemData(number) for number in range(view._against.count())}
    assert trained.old_id in against
    assert all(identity.startswith("consistency-") for identity in against)
    assert view._compare.text() == "Class by class"
    in_use = [entry.model for entry in model.entries if entry.is_active]
    assert sorted(set(in_use) - {"vmoe"}) == ["cloc", "consistency"]


def test_that_a_run_of_classes_counts_labels_and_has_no_samples(bench, trained, qtbot):
    run = KnownRun(trained.run.config(), describe_run(trained.run), {"map": 0.4}, {"map": 0.5})
    assert facts_of(run)[1:3] == ["14 labels of 7 images", "2 labels held out"]
    assert row_of(run).result == "mean precision 0.50 (+0.10)"
    page = TrainingPage(bench.crops, changes=GainsTable(), evaluation=GainsTable(), checkpoints=GainsTable())
    qtbot.addWidget(page)
    book = RunBook(trained.project, bench.dataset, bench.work)
    showing = RunShowing(page, book, bench.dataset, bench.work)
    book.read()
    qtbot.waitUntil(lambda: showing.shown is not None)
    assert showing.shown.name == "Night"
    assert [page._tabs.isTabVisible(tab) for tab in (Tab.CURVES, Tab.SAMPLES)] == [True, False]
    idle(bench, qtbot)
    book.close()


def test_that_gains_are_sorted_by_any_column_and_what_is_not_known_stands_last(qtbot):
    table = GainsTable()
    qtbot.addWidget(table)
    table.set_gains([ClassGain("a", 5, 0.2, 0.3), ClassGain("b", 3, None, 0.9), ClassGain("c", 1, 0.6, 0.1)])
    model = table.model()

    def names():
        return "".join(model.index(row, 0).data() for row in range(model.rowCount()))

    for column, order, wanted in (
        (GainColumn.GAIN, Qt.SortOrder.DescendingOrder, "acb"),
        (GainColumn.GAIN, Qt.SortOrder.AscendingOrder, "cab"),
        (GainColumn.IMAGES, Qt.SortOrder.AscendingOrder, "cba"),
        (GainColumn.NAME, Qt.SortOrder.DescendingOrder, "cba"),
    ):
        table.sortByColumn(column, order)
        assert names() == wanted


def test_that_new_heatmaps_are_told_with_a_way_to_look_at_them(studio, trained, qtbot):
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(trained.project.path)
    retraining = studio.retraining
    qtbot.waitUntil(lambda: retraining.book.run(trained.compared.id) is not None, timeout=30_000)
    retraining._on_compared(retraining.book.run(trained.compared.id))
    assert studio.window.notice.text == "“Night” is trained and compared with the model in use: its heatmaps are ready."
    with qtbot.waitSignal(retraining.heatmaps_wanted) as wanted:
        retraining.show_news()
    assert wanted.args == [trained.run.id]
    assert studio.window.page is Page.HEATMAPS
    assert not studio.window.notice.isVisible()
    with qtbot.waitSignal(retraining.classes_changed):
        retraining._on_activated({"model": "consistency", "is_again": False})
