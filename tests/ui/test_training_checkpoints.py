"""The registry on the screen: which model is in use, names that tell them apart, and two of them side by side."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from locstudio.services.promotion import Promotion
from locstudio.services.registry import CheckpointEntry
from locstudio.store.diff import RowCounts, SnapshotDiff
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.training.checkpoint_names import names_of
from locstudio.ui.training.checkpoint_review import _data_lines, _metric_lines
from locstudio.ui.training.checkpoints_model import CheckpointColumn, CheckpointsModel
from locstudio.ui.training.checkpoints_view import CheckpointFacts, CheckpointsView
from locstudio.ui.training.diff_view import DiffLine, DiffModel, DiffView

NEW = CheckpointEntry(
    "cloc-2",
    "cloc-lite",
    Path("new"),
    parent_id="cloc-1",
    run_id="20201124T031330Z-cloc-d729d4",
    created_at="2020-11-24T03:16:00.000+00:00",
    metrics={"top1": 0.5, "macc": 0.25},
    snapshot_sha256="0123456789abcdef",
)
GONE = CheckpointEntry("cloc-3", "night", Path("gone"), is_present=False, promotion=Promotion())
BUNDLED = CheckpointEntry("cloc-1", "cloc-lite", Path("bundled"), is_active=True, is_bundled=True)
ENTRIES = (NEW, GONE, BUNDLED)


def texts(model, column):
    return [model.index(row, column).data() for row in range(model.rowCount())]


@pytest.fixture
def view(qtbot, qapp):
    crops = PictureLoader(lambda key: QImage(8, 8, QImage.Format.Format_RGB32))
    widget = CheckpointsView(crops)
    qtbot.addWidget(widget)
    widget.resize(1000, 600)
    with qtbot.waitExposed(widget):
        widget.show()
    widget.set_entries(ENTRIES)
    yield widget
    crops.close()


def test_that_the_models_keep_qts_promises(qtmodeltester, qapp):
    entries, lines = CheckpointsModel(), DiffModel()
    entries.set_entries(ENTRIES)
    lines.set_lines([DiffLine("Measured", is_heading=True), DiffLine("Top 1", "50 %", "60 %", "▲ 10", 1)], "a", "b")
    qtmodeltester.check(entries)
    qtmodeltester.check(lines)


def test_that_of_two_with_one_name_the_trained_one_says_when_it_was_made():
    names = names_of(ENTRIES)
    assert names["cloc-1"] == "cloc-lite"
    assert names["cloc-2"].startswith("cloc-lite · 24 Nov ")
    assert names["cloc-3"] == "night"


def test_that_the_row_in_use_has_a_mark_and_says_so_in_words(qapp):
    model = CheckpointsModel()
    model.set_entries(ENTRIES)
    assert texts(model, CheckpointColumn.USE) == ["", "", "●"]
    spoken = model.index(0, CheckpointColumn.USE).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "In use: no"
    assert texts(model, CheckpointColumn.TOP1) == ["50.0 %", "–", "–"]
    assert texts(model, CheckpointColumn.PARENT)[0] == "cloc-lite"
    assert texts(model, CheckpointColumn.NAME)[1] == "night (files removed)"


def test_that_the_newest_is_in_front_first_and_is_compared_with_the_one_in_use(qtbot, qapp, view):
    assert (view.current, view.against) == (NEW, "cloc-1")
    view.table.selectRow(2)
    view.set_entries(ENTRIES)
    assert view.current == BUNDLED


def test_that_the_button_says_what_it_would_do(view, qtbot):
    assert (view._activate.text(), view._activate.isEnabled()) == ("Activate", True)
    with qtbot.waitSignal(view.activate_wanted) as wanted:
        view._activate.click()
    assert wanted.args == ["cloc-2"]
    view.set_busy(True)
    assert not view._activate.isEnabled()
    view.set_busy(False)
    view.table.selectRow(1)
    assert (view._activate.text(), view._activate.isEnabled()) == ("Roll back to this", False)  # its files are gone
    view.table.selectRow(2)
    assert (view._activate.text(), view._activate.isEnabled()) == ("In use", False)
    assert not view._delete.isEnabled()


def test_that_region_by_region_names_the_old_one_first(view, qtbot):
    with qtbot.waitSignal(view.compare_wanted) as wanted:
        view._compare.click()
    assert wanted.args == ["cloc-1", "cloc-2"]


def test_that_a_card_is_shown_as_it_is_and_never_as_markup(view):
    view.show_facts(CheckpointFacts(("From <b>x</b>.",), "# card\n<img src=http://example.org>"))
    assert view._card.toPlainText() == "# card\n<img src=http://example.org>"
    assert view._facts.textFormat() == Qt.TextFormat.PlainText


def test_that_metrics_are_compared_in_points_and_counts_are_left_out():
    lines = _metric_lines({"top1": 0.5, "n_regions": 4.0, "box_ms": 3.0}, {"top1": 0.475, "hit50": 0.25})
    assert [(line.what, line.old, line.new, line.difference, line.verdict) for line in lines] == [
        ("Top 1", "50.0 %", "47.5 %", "▼ 2.5", -1),
        ("Grounding hits", "–", "25.0 %", "", 0),
    ]


def test_that_an_edit_between_two_data_sets_can_be_looked_at(qtbot, qapp):
    diff = SnapshotDiff(
        Path("a"), Path("b"), {"added": 0, "moved": 3, "removed": 1}, 4, images=RowCounts(added=2, changed=1)
    )
    lines = _data_lines(diff)
    assert [(line.what, line.difference, line.edited) for line in lines] == [
        ("Regions removed", "1", "removed"),
        ("Regions moved or resized", "3", "moved"),
        ("Images added", "2", ""),
        ("Images changed", "1", ""),
    ]
    view = DiffView()
    qtbot.addWidget(view)
    view.set_lines([DiffLine("Data", is_heading=True), *lines], "a", "b")
    with qtbot.waitSignal(view.edited_wanted) as wanted:
        view.selectRow(2)
    assert wanted.args == ["moved"]
    assert _data_lines(SnapshotDiff(Path("a"), Path("b")))[0].what == "Both were trained on the same data."


def test_that_every_kind_of_edit_between_two_data_sets_is_told():
    one = RowCounts(changed=1)
    kinds = ("images", "classes", "superclasses", "captions", "labels", "heat_corrections")
    for kind in kinds:
        (line,) = _data_lines(SnapshotDiff(Path("a"), Path("b"), **{kind: one}))
        assert line.difference == "1"
    lines = _data_lines(SnapshotDiff(Path("a"), Path("b"), superclasses=RowCounts(added=2)))
    assert [line.what for line in lines] == ["Superclasses added"]
