"""The training page on a recorded run: curves, samples, sentences, rows, and what can be done about a run."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel, QWidget

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.jobs.messages import Evaluated
from locstudio.jobs.run_state import RunState
from locstudio.services.curves import Curves
from locstudio.services.run_summary import describe_run
from locstudio.ui import theme
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.training.curves_view import CurvesView, RunCurves
from locstudio.ui.training.log_view import LogView
from locstudio.ui.training.page import Tab, TrainingPage
from locstudio.ui.training.run_book import KnownRun
from locstudio.ui.training.run_head import RunFacts, RunHead
from locstudio.ui.training.run_list import RunList, RunRow, RunsModel
from locstudio.ui.training.run_record import RunRecord, named_curves, sentence_of
from locstudio.ui.training.run_showing import facts_of, result_of, row_of, title_of
from locstudio.ui.training.samples_view import Sample, SampleSheet, SamplesView

ROW = RunRow("20261124T031605Z-cloc-1e63ab", "Quick · 03:16", RunState.RUNNING, 0, 12, 30, 18.0)


class Images:
    """A dataset that knows eight images."""

    def images(self, ids):
        return [Image(key, 1, f"p/{key}.png", 96, 64) for key in sorted(set(ids)) if key <= 8]


@pytest.fixture
def record(tmp_path, recorded):
    return RunRecord(recorded.put(tmp_path / "runs"), Images())


@pytest.fixture
def crops(qapp):
    loader = PictureLoader(lambda key: QImage(8, 8, QImage.Format.Format_RGB32))
    yield loader
    loader.close()


def shown(view, qtbot, size=(900, 600)):
    qtbot.addWidget(view)
    view.resize(*size)
    view.show()
    qtbot.waitExposed(view)
    return view


# what a run has said --------------------------------------------------------------------------------------------


def test_that_a_record_has_the_curves_of_its_run(record):
    curves = record.read().curves
    assert list(curves)[:5] == ["loss", "part/clip", "part/region_text", "part/grounding", "rate"]
    assert curves["loss"].steps.tolist() == list(range(1, 31))
    assert curves["metric/macc"].steps.tolist() == [0, 10, 20, 30]
    assert curves["metric/macc"].last == pytest.approx(0.784, abs=1e-3)


def test_that_a_record_tells_the_run_in_sentences(record):
    said = record.read().said
    assert said[0] == "Waits for its turn: another run is going on."
    assert said[1] == "Begins on CPU, 2 cores: 636 regions of 136 images; 201 regions held out; 30 steps."
    assert said[2].startswith("Step 0: top 1 0.493, top 5 0.801, mean accuracy 0.446")
    assert said[-1] == "Finished."


def test_that_counts_are_told_as_counts_and_never_drawn():
    found = Evaluated(sequence=1, step=3, metrics={"n_captions": 1500.0, "top1": 0.5})
    assert sentence_of(found) == "Step 3: 1,500 captions, top 1 0.500."
    none, evaluated = np.empty(0), (np.array([3]), np.array([0.5]))
    curves = Curves(none.astype(int), none, {}, none, none, {"n_captions": evaluated, "top1": evaluated})
    assert [name for name in named_curves(curves) if name.startswith("metric/")] == ["metric/top1"]


def test_that_a_run_that_trains_nothing_has_no_curves_and_the_tab_comes_back(crops, qtbot):
    page = TrainingPage(crops, changes=QWidget(), evaluation=QWidget(), checkpoints=QWidget())
    qtbot.addWidget(page)
    page.show_tab(Tab.SAMPLES)
    page.set_has_curves(False)
    assert page.tab is Tab.LOG
    page.set_has_curves(True)
    assert page.tab is Tab.SAMPLES
    page.show_tab(Tab.CHECKPOINTS)
    page.set_has_curves(False)
    page.set_has_curves(True)
    assert page.tab is Tab.CHECKPOINTS


def test_that_samples_of_images_that_are_gone_are_left_out(record):
    sheets = record.read().sheets
    assert [sheet.step for sheet in sheets] == [0, 10, 20, 30]
    assert all(len(sheet.samples) == 8 for sheet in sheets)
    assert sheets[-1].num_right > sheets[0].num_right


def test_that_a_second_look_adds_only_what_is_new(tmp_path, recorded):
    folder = recorded.put(tmp_path / "runs", until='"progress","step":10,')
    record = RunRecord(folder, Images())
    assert len(record.read().curves["loss"].steps) == 10
    assert record.read().phase == ""
    folder.events.write_bytes(b"".join(recorded.lines()))
    assert len(record.read().curves["loss"].steps) == 30


@pytest.mark.parametrize(
    ("until", "phase"),
    [
        ("started", "Reading images"),
        ('"progress","step":3,', ""),
        ("embedded with", "Embedding the collection"),
        ("finished", ""),
    ],
)
def test_that_a_record_says_what_a_run_does_beside_its_steps(tmp_path, until, phase, recorded):
    assert RunRecord(recorded.put(tmp_path / "runs", until=until), Images()).read().phase == phase


def test_that_a_log_is_read_from_its_end_and_without_a_cut_line(tmp_path, recorded):
    folder = recorded.put(tmp_path / "runs")
    folder.log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    log = RunRecord(folder, Images()).read().log
    assert log.endswith("line 9999\n")
    assert log.startswith("line ")
    assert len(log) <= 64 * 1024


# curves ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def view(record, qtbot):
    view = shown(CurvesView(), qtbot)
    view.set_runs([RunCurves("a", "Quick · 03:16", 0, record.read().curves)])
    return view


def test_that_the_legend_follows_the_pointer_in_all_plots_at_once(view):
    assert view.plots["loss"].legend() == ["1.581"]
    view.plots["rate"].pointed.emit(10.0)
    assert view.plots["loss"].legend() == ["3.368"]
    assert "mean accuracy 0.6734" in view.plots["metric"].legend()
    view.plots["rate"].pointed.emit(None)
    assert view.plots["loss"].legend() == ["1.581"]


def test_that_arrow_keys_move_the_pointer(view, qtbot):
    plot = view.plots["loss"]._plot
    qtbot.keyClick(plot, Qt.Key.Key_Home)
    assert view.plots["loss"].legend() == ["6.613"]
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert view.plots["loss"].legend() == ["6.388"]
    assert plot.accessibleDescription() == "at step 2: 6.388"


def test_that_smoothing_changes_what_is_drawn_and_not_what_is_told(view):
    drawn = len(view.plots["loss"]._plot._items)
    view._smoothing.setValue(0)
    assert len(view.plots["loss"]._plot._items) == drawn - 1  # nothing raw behind the mean
    assert view.plots["loss"].legend() == ["1.581"]


def test_that_several_runs_share_a_colour_each_and_tell_quantities_by_dashes(view, record):
    curves = record.read().curves
    view.set_runs([RunCurves("a", "Quick · 03:16", 2, curves), RunCurves("b", "Standard · Mon", 0, curves)])
    assert {line.color for line in view.plots["part"].lines} == {0, 2}
    assert {line.dash for line in view.plots["part"].lines} == {0, 1, 2}
    assert view.plots["loss"].legend() == ["1.581 1.581"]
    assert view.plots["metric"].legend()[0] == "top 1 0.7761 0.7761"


def test_that_a_logarithmic_plot_leaves_out_what_is_not_above_zero(qtbot):
    from locstudio.ui.training.lines import Curve

    view = shown(CurvesView(), qtbot)
    view._log.setChecked(True)
    view.set_runs([RunCurves("a", "a", 0, {"loss": Curve.of([(1, 2.0), (2, 0.0), (3, -1.0), (4, 1.0)])})])
    _, values = view.plots["loss"]._plot._items[-1].getOriginalDataset()
    assert np.isfinite(values).tolist() == [True, False, False, True] or view.smoothing > 0


def test_that_a_plot_without_lines_says_what_will_be_there(qtbot):
    view = shown(CurvesView(), qtbot)
    assert view.plots["loss"]._hint.isVisible()
    assert not view.plots["loss"]._plot.isVisible()


def test_that_curves_are_exported_as_a_table_and_as_a_picture(view, tmp_path):
    said = []
    view.said.connect(said.append)
    view.export(tmp_path / "curves.csv")
    rows = list(csv.reader((tmp_path / "curves.csv").open(encoding="utf-8")))
    assert rows[0] == ["run", "curve", "step", "value"]
    assert ["a", "metric/macc", "0", "0.44599630892734343"] in rows
    view.export(tmp_path / "curves.png")
    assert QImage(str(tmp_path / "curves.png")).width() > 1500
    view.export(tmp_path / "missing" / "curves.csv")
    assert [text.split(" ")[0] for text in said] == ["Saved", "Saved", "The"]


@pytest.mark.parametrize("choice", ["light", "dark"])
def test_that_the_colours_of_a_plot_follow_the_theme(view, qapp, choice):
    theme.apply(qapp, choice)
    assert view.plots["loss"]._plot.backgroundBrush().color().name() == theme.current().base
    theme.apply(qapp, "dark")


# rows and heads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROW, "Training · 18 s left"),
        (replace(ROW, phase="Reading images"), "Reading images · 18 s left"),
        (replace(ROW, is_silent=True), "Not responding"),
        (replace(ROW, state=RunState.QUEUED, step=0, seconds_left=0.0), "Waiting"),
        (replace(ROW, state=RunState.STOPPED), "Stopped · at step 12 of 30"),
        (replace(ROW, state=RunState.DONE, result="top 1 0.78 (+0.28)"), "Done · top 1 0.78 (+0.28)"),
        (replace(ROW, state=RunState.DONE, is_in_use=True), "In use"),
        (replace(ROW, state=RunState.DONE, phase="Comparing with the model in use"), "Comparing with the model in use"),
    ],
)
def test_that_a_row_says_where_a_run_stands(row, words):
    assert row.words() == words


def test_that_a_finished_run_tells_what_it_has_gained(tmp_path, recorded):
    folder = recorded.put(tmp_path / "runs")
    run = KnownRun(folder.config(), describe_run(folder), {"macc": 0.446})
    assert row_of(run).result == "mean accuracy 0.78 (+0.34)"
    kept = KnownRun(folder.config(), describe_run(folder), {"macc": 0.446}, {"macc": 0.8})
    assert row_of(kept).result == "mean accuracy 0.80 (+0.35)"  # of the checkpoint it has made
    assert title_of(run).startswith("Quick · ")
    assert facts_of(run) == [
        "step 30 of 30",
        "epoch 8",
        "636 regions of 136 images",
        "201 regions held out",
        "CPU, 2 cores",
        "snapshot 28683b6b",
    ]
    assert result_of({}, {}) == ""


def test_that_a_run_is_overlaid_by_space_and_keeps_its_place(qtbot):
    model = RunsModel()
    view = shown(RunList(model), qtbot, (280, 300))
    chosen, overlaid = [], []
    view.run_chosen.connect(chosen.append)
    model.overlay_changed.connect(overlaid.append)
    other = replace(ROW, id="b", title="Standard")
    model.set_rows([ROW, other])
    assert chosen == [ROW.id]
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert chosen == [ROW.id, "b"]
    qtbot.keyClick(view, Qt.Key.Key_Space)
    assert overlaid == [["b"]]
    model.set_rows([replace(ROW, step=13), replace(other, is_overlaid=True)])
    assert view.chosen == "b"
    model.set_rows([replace(ROW, id="c"), ROW, other])
    assert view.chosen == "b"


def test_that_the_model_of_runs_keeps_its_promises(qtmodeltester):
    model = RunsModel()
    model.set_rows([ROW, replace(ROW, id="b", state=RunState.FAILED, sentence="The disk is full.")])
    qtmodeltester.check(model)
    text = model.data(model.index(1), Qt.ItemDataRole.AccessibleTextRole)
    assert text == "Quick · 03:16: Failed. The disk is full."


@pytest.mark.parametrize(
    ("row", "can_resume", "buttons"),
    [
        (ROW, False, {"Stop now"}),
        (replace(ROW, is_silent=True), False, {"End it"}),
        (replace(ROW, state=RunState.STOPPED), True, {"Resume"}),
        (replace(ROW, state=RunState.INTERRUPTED), True, {"Resume"}),
        (replace(ROW, state=RunState.DONE), False, set()),
    ],
)
def test_that_the_head_offers_what_can_be_done(row, can_resume, buttons, qtbot):
    head = shown(RunHead(), qtbot, (700, 120))
    head.show_run(RunFacts(row, ("CPU, 2 cores",), can_resume))
    every = (head._resume, head._stop, head._end_button)
    assert {button.text() for button in every if button.isVisible()} == buttons
    assert head._more.isVisible() == row.is_live


def test_that_wishes_of_the_head_are_heard(qtbot):
    head = shown(RunHead(), qtbot, (700, 120))
    head.show_run(RunFacts(ROW))
    for signal, act in (
        (head.stop_wanted, head._stop.click),
        (head.stop_after_epoch_wanted, head._epoch.trigger),
        (head.end_wanted, head._end.trigger),
    ):
        with qtbot.waitSignal(signal, timeout=1000):
            act()


# samples and log ------------------------------------------------------------------------------------------------


def sheet(step: int, name: str) -> SampleSheet:
    image = Image(3, 1, "p/3.png", 96, 64)
    return SampleSheet(step, (Sample(image, 5, UnitBox(0.1, 0.1, 0.5, 0.6), "a dog", ((name, 0.8), ("a cat", 0.1))),))


def test_that_samples_follow_the_newest_evaluation_until_a_person_goes_back(crops, qtbot):
    view = shown(SamplesView(crops), qtbot)
    view.set_sheets([sheet(0, "a fox")])
    assert view.text == "Step 0: 0 of 1 named right"
    view.set_sheets([sheet(0, "a fox"), sheet(10, "a dog")])
    assert view.text == "Step 10: 1 of 1 named right"
    view._earlier.click()
    view.set_sheets([sheet(0, "a fox"), sheet(10, "a dog"), sheet(20, "a dog")])
    assert view.text == "Step 0: 0 of 1 named right"
    view._slider.setValue(2)
    assert view.text == "Step 20: 1 of 1 named right"


def test_that_enter_opens_the_image_of_a_sample(crops, qtbot):
    view = shown(SamplesView(crops), qtbot)
    view.set_sheets([sheet(0, "a fox")])
    view._cards.setCurrentIndex(view._cards.model().index(0, 0))
    with qtbot.waitSignal(view.sample_wanted, timeout=1000) as wanted:
        qtbot.keyClick(view._cards, Qt.Key.Key_Return)
    assert wanted.args[0].region_id == 5
    text = view._cards.model().data(view._cards.model().index(0, 0), Qt.ItemDataRole.AccessibleTextRole)
    assert text == "“a dog” in p/3.png, named wrong: “a fox” 0.80, “a cat” 0.10"


def test_that_the_log_follows_its_end_unless_a_person_reads_above(qtbot):
    view = shown(LogView(), qtbot, (500, 300))
    view.set_said([f"Sentence {number}" for number in range(200)])
    bar = view._said.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.setValue(0)
    view.set_said([f"Sentence {number}" for number in range(220)])
    assert bar.value() == 0
    assert view._said.toPlainText().endswith("Sentence 219")


def test_that_foreign_text_of_a_run_is_shown_as_it_is(qtbot):
    head = shown(RunHead(), qtbot, (700, 120))
    head.show_run(RunFacts(replace(ROW, title="<img src=x>\nevil", state=RunState.FAILED, sentence="<b>no</b>")))
    for label in head.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText or not label.text()
    assert "\n" not in head._title.text()
