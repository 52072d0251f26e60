"""The sheet of geometry rules: counts, thresholds, what breaks a rule, and its fix."""

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.ui.curation.geometry_sheet import GeometrySheet
from locstudio.ui.curation.rule_card import ShownRule
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.search.hits_model import HitItem

SLIVER = ShownRule(
    "sliver", "Slivers", "Much longer than wide.", "Reject", "Rejects them.", 3, 10.0, 2.0, 30.0, "1 : {value}", 0
)
OUTSIDE = ShownRule("outside", "Outside", "Beyond the picture.", "Clip", "Cuts them at the edge.", 0)
IMAGE = Image(7, 1, "boat.jpg", 640, 480)
HITS = tuple(HitItem.of(IMAGE, UnitBox(0.1, 0.1, 0.9, 0.15), 0.3, "a mast", n) for n in range(3))
ROWS = np.array([10, 20, 30])


@pytest.fixture
def sheet(qtbot):
    crops = PictureLoader(lambda key: QImage(16, 16, QImage.Format.Format_RGB32))
    made = GeometrySheet((OUTSIDE, SLIVER), crops)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    yield made
    crops.close()


def test_that_the_sheet_begins_with_a_rule_that_is_broken(sheet):
    assert sheet.rule == SLIVER
    assert sheet._threshold.text() == "1 : 10"
    assert not sheet.can_fix  # what breaks it is not there yet


def test_that_the_fix_says_what_it_does_and_leaves_out_what_was_vetoed(sheet, qtbot):
    sheet.show_items("sliver", HITS, ROWS)
    assert sheet._fix.text() == "Reject 3"
    sheet.grid.setFocus()
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Space)
    assert sheet.effect == "Rejects them. 1 tile left out."
    with qtbot.waitSignal(sheet.fix_wanted) as wanted:
        qtbot.keyClick(sheet.grid, Qt.Key.Key_Return)
    assert (wanted.args[0], wanted.args[1].tolist()) == ("sliver", [20, 30])
    assert sheet.isVisible()


def test_that_nothing_is_fixed_twice(sheet, qtbot):
    asked = []
    sheet.fix_wanted.connect(lambda *args: asked.append(args))
    sheet.show_items("sliver", HITS, ROWS)
    for _ in range(2):
        qtbot.keyClick(sheet, Qt.Key.Key_Return)
    assert len(asked) == 1


def test_that_the_threshold_is_moved_by_keys_and_the_fix_waits_for_what_it_finds(sheet, qtbot):
    sheet.show_items("sliver", HITS, ROWS)
    with qtbot.waitSignal(sheet.threshold_changed) as changed:
        qtbot.keyClick(sheet._slider, Qt.Key.Key_Home)
    assert changed.args == ["sliver", 2.0]
    assert sheet._threshold.text() == "1 : 2"
    assert not sheet.can_fix
    sheet.show_items("sliver", HITS[:1], ROWS[:1])
    assert sheet._fix.text() == "Reject 1"


def test_that_the_rules_are_walked_through_with_the_arrow_keys(sheet, qtbot):
    sheet.show_items("sliver", HITS, ROWS)
    chosen = []
    sheet.rule_chosen.connect(chosen.append)
    qtbot.keyClick(sheet._cards["sliver"].button, Qt.Key.Key_Up)
    assert chosen == ["outside"]
    assert sheet._slider.isHidden()
    sheet.show_items("sliver", HITS, ROWS)  # too late: another rule is chosen
    assert sheet.tiles.rowCount() == 0
    sheet.show_items("outside", (), np.zeros(0, np.int64))
    assert not sheet.can_fix
    assert sheet._fix.text() == "Clip"


def test_that_counts_follow_what_was_fixed(sheet):
    sheet.show_rules([replace(SLIVER, count=0), replace(OUTSIDE, count=None)])
    assert sheet._cards["sliver"]._count.text() == "0"
    assert sheet._cards["outside"].button.accessibleName() == "Outside: Beyond the picture. …"


def test_that_escape_closes(sheet, qtbot):
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Escape)
    assert sheet.isHidden()
