"""The Retrain sheet and the training page about experts: what is chosen, said, drawn, evaluated and compared."""

from dataclasses import replace
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QSize, Qt

from locstudio.jobs.checkpoint_folder import checkpoint_info
from locstudio.jobs.messages import Evaluated, Note, Progress, Started
from locstudio.jobs.routing import read_routing
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.vmoe_config import VmoeConfig
from locstudio.services.retrain_plan import Estimate, ExpertMaterial, ExpertsChoice, RetrainPlan
from locstudio.services.run_summary import describe_run
from locstudio.store.dataset import Dataset
from locstudio.store.thumbnails import ThumbnailStore
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.pictures import Pictures
from locstudio.ui.training.checkpoints_model import CheckpointColumn
from locstudio.ui.training.class_gains import moved_words
from locstudio.ui.training.curves_view import CurvesView, RunCurves, lines_of
from locstudio.ui.training.evaluation_reading import shown_of_images
from locstudio.ui.training.expert_words import experts_sentence, listed
from locstudio.ui.training.gains_table import GainColumn
from locstudio.ui.training.image_confusion import read_image_confusion
from locstudio.ui.training.lines import Curve
from locstudio.ui.training.plan_words import Drawn, experts_of, grouped_by, learns_from, left_out, made_from
from locstudio.ui.training.planning import _is_alike
from locstudio.ui.training.retrain_sheet import RetrainSheet
from locstudio.ui.training.reviewing import Reviewing
from locstudio.ui.training.run_book import KnownRun
from locstudio.ui.training.run_record import RunRecord, phase_after, sentence_of
from locstudio.ui.training.run_showing import facts_of, row_of

PLAN = RetrainPlan(
    choice=ExpertsChoice(),
    material=ExpertMaterial(
        num_images=150,
        num_unlabelled=30,
        num_classes=12,
        num_superclasses=3,
        superclass_names=("animals", "vehicles", "food"),
        num_experts=3,
    ),
    estimate=Estimate(seconds=200, source="guess"),
    free_bytes=48_000_000_000,
)


@pytest.fixture(scope="module")
def made(routing, tmp_path_factory):
    """A project with two trainings of experts, an evaluation and a comparison."""
    project = routing.make_routed_project(tmp_path_factory.mktemp("routed"), dead=(2,))
    return SimpleNamespace(
        project=project,
        run=RunFolder(project.runs / routing.SECOND_RUN),
        evaluated=routing.evaluate_run(project),
        compared=routing.compare_run(project),
    )


def planned(**fields):
    return replace(PLAN, material=replace(PLAN.material, **fields))


def test_that_a_plan_for_experts_says_which_superclasses_are_used():
    assert learns_from(PLAN) == "150 images with 12 classes"
    assert made_from(PLAN).startswith("A dense twin is trained first")
    assert experts_of(PLAN) == "3 experts, one for each superclass"
    assert grouped_by(PLAN) == "Your superclasses are used as they are: animals, vehicles and food."
    assert grouped_by(planned(num_without=1)).endswith(
        "1 class is in none, and put to the one with which the dense twin confuses them most."
    )
    found = planned(num_superclasses=0, superclass_names=(), num_experts=4)
    assert experts_of(found) == "4 experts, one for each superclass that is found"
    assert "no superclass yet" in grouped_by(found)
    free = replace(found, choice=ExpertsChoice(routing="image", num_experts=6))
    assert (experts_of(free), "not taught" in grouped_by(free)) == ("6 experts, not tied to superclasses", True)
    assert left_out(PLAN, Drawn(170, 120, 30)) == (
        "30 more labels are held out to measure the result. 30 images have no class yet."
    )


def test_that_the_sheet_offers_experts_and_asks_for_what_was_chosen(qtbot):
    sheet = RetrainSheet()
    qtbot.addWidget(sheet)
    asked = []
    sheet.choice_changed.connect(asked.append)
    sheet.models["vmoe"].click()
    assert asked == [ExpertsChoice()]
    sheet.show_plan(PLAN, is_measuring=False)
    assert sheet.fact("Experts").startswith("3 experts, one for each superclass Your superclasses")
    fields = sheet.experts
    assert fields.experts.text() == "As many as your superclasses (3)"
    fields.presets.cards["standard"].button.click()
    fields.routing.setCurrentIndex(fields.routing.findData("token"))
    fields.experts.setValue(6)
    fields.layers.setValue(3)
    fields.active.setValue(2)
    fields.upcycled.click()
    fields.shared.click()
    fields.on.click()
    fields.epochs.setValue(7)
    assert asked[-1] == ExpertsChoice(
        preset="standard",
        num_epochs=7,
        routing="token",
        num_experts=6,
        num_moe_layers=3,
        num_active=2,
        is_upcycled=False,
        has_shared_expert=True,
        goes_on=True,
    )
    sheet.models["cloc"].click()
    assert not sheet._facts["Experts"].isVisibleTo(sheet)


def test_that_a_dry_run_stands_for_trainings_that_only_take_longer():
    one = ExpertsChoice().training()
    assert _is_alike(one, ExpertsChoice(num_epochs=3).training())
    assert _is_alike(one, ExpertsChoice(preset="standard").training())
    assert not _is_alike(one, ExpertsChoice(num_active=2).training())


def test_that_names_are_listed_up_to_a_limit():
    assert listed(("a",)) == "a"
    assert listed(("a", "b", "c")) == "a, b and c"
    assert listed(("a", "b", "c", "d"), 2) == "a, b and 2 more"


def test_that_a_checkpoint_with_experts_is_described():
    config = VmoeConfig(name="x", classes=("a", "b"), num_experts=4, num_active=2, has_shared_expert=True)
    assert experts_sentence(config) == (
        "It names the class of an image, one of 2. Of 4 experts in the last 2 layers 2 compute, and a shared one "
        "always. Who chooses: a router that is taught superclasses."
    )
    assert experts_sentence(msgspec.structs.replace(config, num_moe_layers=0)).endswith("without experts.")


def test_that_the_stage_of_the_dense_twin_has_a_name():
    dense = Progress(sequence=0, step=1, num_steps=9, images_per_second=1, seconds_left=1, loss=1, parts={"dense": 1})
    assert phase_after(dense, "Reading images", has_index=False) == "Training the dense twin first"
    assert phase_after(msgspec.structs.replace(dense, parts={"class": 1, "router": 2}), "x", has_index=False) == ""


def test_that_the_loads_of_experts_are_drawn_and_not_said(made):
    said = Evaluated(sequence=0, step=3, metrics={"top1": 0.5, "dead_experts": 1.0, "expert_1": 0.7, "expert_2": 0.3})
    assert sentence_of(said, "label") == "Step 3: top 1 0.500, 1 expert with hardly any image."
    with Dataset.open(made.project, read_only=True) as dataset:
        curves = RunRecord(made.run, dataset, "label").read().curves
    assert [name for name in curves if name.startswith("load/")] == [
        "load/1 · animals",
        "load/2 · vehicles",
        "load/3 · food",
    ]
    assert curves["dead"].last == 1
    assert {"part/dense", "part/class", "part/router", "metric/dense_top1", "metric/top1"} <= set(curves)


def test_that_lines_of_experts_can_be_told_without_colours_and_many_go_by_number():
    curve = Curve.of([(1, 0.5), (2, 0.6)])
    few = {f"load/{number} · things": curve for number in range(1, 4)}
    assert [(line.quantity, line.dash) for line in lines_of([RunCurves("a", "A", 0, few)], "load")] == [
        ("1 · things", 0),
        ("2 · things", 1),
        ("3 · things", 2),
    ]
    many = {f"load/{number} · things": curve for number in range(1, 11)}
    assert [line.quantity for line in lines_of([RunCurves("a", "A", 0, many)], "load")] == list(map(str, range(1, 11)))
    twin = lines_of([RunCurves("a", "A", 0, {"metric/dense_top1": curve, "metric/top1": curve})], "metric")
    assert [(line.quantity, line.dash) for line in twin] == [("dense twin, top 1", 1), ("top 1", 0)]


def test_that_two_more_plots_are_there_for_experts_alone(qtbot):
    view = CurvesView()
    qtbot.addWidget(view)
    view.set_runs([RunCurves("a", "A", 0, {"loss": Curve.of([(1, 2)])})])
    assert [name for name, plot in view.plots.items() if not plot.isHidden()] == ["loss", "part", "metric", "rate"]
    view.set_runs([RunCurves("a", "A", 0, {"loss": Curve.of([(1, 2)])}, has_experts=True)])
    assert not any(plot.isHidden() for plot in view.plots.values())


def test_that_a_run_of_experts_counts_labels_and_has_a_name(made):
    config = msgspec.structs.replace(made.run.config(), title="")
    run = KnownRun(config, describe_run(made.run), {"top1": 0.2}, {"top1": 0.5})
    assert run.name == "Experts, quick"
    assert run.is_training
    assert row_of(run).result == "top 1 0.50 (+0.30)"
    assert any(fact.endswith("labels of 24 images") for fact in facts_of(run))
    assert sentence_of(Note(sequence=0, text="The dense twin is trained first (5 epochs).")).startswith("The dense")
    assert isinstance(next(made.run.read_events()), Started)


def test_that_an_evaluation_of_experts_has_cells_with_images_behind_them(made):
    place = made.evaluated.results / "predictions"
    table, confused = read_routing(made.evaluated.results), read_image_confusion(place)
    assert confused.counts_CC.sum() == 24
    assert np.trace(confused.counts_CC) == (table.truth == table.predicted).sum()
    for row, column in zip(*np.nonzero(confused.counts_CC), strict=True):
        image_ids, scores = confused.images_in_cell(int(row), int(column))
        assert len(image_ids) == confused.counts_CC[row, column]
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
    shown = shown_of_images(place, confused=confused)
    assert shown.metrics["image_top1"] == pytest.approx(np.trace(confused.counts_CC) / 24)
    assert shown.classes[0].top1 == shown.metrics["image_top1"]
    assert read_image_confusion(made.project.runs) is None


def test_that_the_page_shows_what_a_model_with_experts_gained_and_how_many_images_moved(made, qtbot):
    dataset = Dataset.open(made.project)
    edits, work = DatasetWorker(), DatasetWorker()
    crops = PictureLoader(Pictures(dataset, ThumbnailStore(made.project.cache / "thumbnails.sqlite")).crop)
    reviewing = Reviewing(made.project, dataset, Editing(dataset, edits), work, crops)
    changes, evaluation, checkpoints = views = (reviewing.changes, reviewing.evaluation, reviewing.checkpoints)
    for view in views:
        qtbot.addWidget(view)
        view.resize(QSize(1000, 640))
    idle = lambda: not any(each.num_pending for each in (edits, work, reviewing._reads))  # noqa: E731 - asked thrice
    reviewing.show_run(made.run.id)
    qtbot.waitUntil(idle)
    assert changes.gains.model().rowCount() == 6
    assert changes._moved.text() == moved_words(made.compared.results / "old", made.compared.results / "new")
    assert "images went to another expert" in changes._moved.text()
    header = changes.gains.model().headerData(GainColumn.NEW, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert header == "Images named right by the new model"
    with qtbot.waitSignal(reviewing.experts_wanted) as wanted:
        changes.experts_wanted.emit()
    assert wanted.args == [made.run.id]
    assert [evaluation._tabs.isTabVisible(number) for number in range(3)] == [True, True, False]
    evaluation.confusion.matrix.place_chosen.emit(0, 0)
    qtbot.waitUntil(idle)
    assert evaluation.crops.heading.startswith("“")
    row = checkpoints.model.row_of(checkpoint_info(made.run.checkpoints / "best").id)
    assert checkpoints.model.index(row, CheckpointColumn.MODEL).data() == "experts"
    assert checkpoints.model.index(row, CheckpointColumn.TOP1).data() == "50.0 %"
    with qtbot.waitSignal(reviewing.run_made) as run:
        reviewing.evaluate()
    assert run.args[0].config().evaluate.task == "classes"
    reviewing.close()
    for each in (crops, edits, work, dataset):
        each.close()


def test_that_new_experts_are_told_with_a_way_to_look_at_them(studio, made, qtbot):
    with qtbot.waitSignal(studio.ready, timeout=30_000):
        studio.open_path(made.project.path)
    retraining = studio.retraining
    qtbot.waitUntil(lambda: retraining.book.run(made.compared.id) is not None, timeout=30_000)
    retraining._on_compared(retraining.book.run(made.compared.id))
    assert studio.window.notice.text.endswith("is trained and compared with the model in use.")
    with qtbot.waitSignal(retraining.experts_wanted) as wanted:
        retraining.show_news()
    assert wanted.args == [made.run.id]
    with qtbot.waitSignal(retraining.experts_changed):
        retraining._on_activated({"model": "vmoe", "is_again": False})
    assert studio.window.notice.text == "The new model with experts is in use."
