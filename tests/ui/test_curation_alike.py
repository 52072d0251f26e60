"""Fix the identical mistakes together: the tiles with their vetoes, the cut, and what is asked for."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QPushButton, QWidget

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.ui.curation.alike_sheet import AlikeSheet, ShownAlike
from locstudio.ui.curation.veto_grid import VetoModel
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.search.hits_model import HitItem

IMAGE = Image(7, 1, "harbour/<b>boat</b>.jpg", 640, 480)
BOX = UnitBox(0.1, 0.1, 0.4, 0.5)


def hit(score, phrase="cow", region_id=3):
    return HitItem.of(IMAGE, BOX, score, phrase, region_id)


def alike(count=40, cut=0.5, old="cow", new="horse"):
    """``count`` hits from 0.99 on down in equal steps to 0.01; every second reaches a cut of 0.5."""
    scores = np.linspace(0.99, 0.01, count)
    return ShownAlike(hit(1.0), tuple(hit(float(s)) for s in scores), np.arange(100, 100 + count), cut, old, new)


@pytest.fixture
def crops(qapp):
    loader = PictureLoader(lambda key: QImage(16, 16, QImage.Format.Format_RGB32))
    yield loader
    loader.close()


@pytest.fixture
def open_sheet(qtbot, crops):
    def make(shown):
        sheet = AlikeSheet(shown, crops)
        qtbot.addWidget(sheet)
        with qtbot.waitExposed(sheet):
            sheet.show()
        qtbot.waitUntil(lambda: sheet.can_fix or sheet.tiles.num_taken == 0)
        return sheet

    return make


def test_that_the_model_of_tiles_keeps_qts_promises(qtmodeltester, qapp):
    model = VetoModel()
    model.set_hits(alike().hits, 20)
    model.toggle([1, 30])
    qtmodeltester.check(model)


def test_that_the_sheet_asks_in_a_sentence_and_the_button_says_how_many(open_sheet):
    sheet = open_sheet(alike())
    assert sheet.question == "20 regions look the same and are called “cow”. Call them “horse”?"
    assert sheet._fix.text() == "Fix 20"


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (alike(new=""), "20 regions look the same and are called “cow”. Reject them too?"),
        (alike(cut=0.98), "1 region looks the same and is called “cow”. Call it “horse”?"),
        (alike(cut=0.98, new=""), "1 region looks the same and is called “cow”. Reject it too?"),
        (alike(cut=1.5), "Nothing reaches this cut. Move it to the left to take what is less alike."),
        (alike(old=""), "20 regions look the same and had no name. Call them “horse”?"),
        (alike(old="<i>cow</i>"), "20 regions look the same and are called “<i>cow</i>”. Call them “horse”?"),
    ],
)
def test_that_every_case_has_its_sentence(open_sheet, shown, words):
    assert open_sheet(shown).question == words


def test_that_space_and_a_click_leave_a_tile_out_and_the_rest_is_asked_for_with_enter(open_sheet, qtbot):
    sheet = open_sheet(alike())
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Right)
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Space)
    where = sheet.grid.visualRect(sheet.tiles.index(4, 0)).center()
    qtbot.mouseClick(sheet.grid.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert sheet._fix.text() == "Fix 18"
    assert sheet.count.startswith("2 tiles left out.")
    assert sheet.tiles.index(1, 0).data(Qt.ItemDataRole.AccessibleTextRole).endswith("left out")
    with qtbot.waitSignal(sheet.fix_wanted) as wanted:
        qtbot.keyClick(sheet.grid, Qt.Key.Key_Return)
    assert wanted.args[0].tolist() == [100 + row for row in range(20) if row not in (1, 4)]
    assert sheet.isHidden()


def test_that_a_second_press_takes_a_tile_again(open_sheet, qtbot):
    sheet = open_sheet(alike())
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Space)
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Space)
    assert sheet._fix.text() == "Fix 20"


def test_that_many_tiles_are_selected_by_keys_and_left_out_at_once(open_sheet, qtbot):
    sheet = open_sheet(alike())
    for _ in range(3):
        qtbot.keyClick(sheet.grid, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Space)
    assert sheet.tiles.num_vetoed == 4
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Space)
    assert sheet.tiles.num_vetoed == 0


def test_that_the_cut_is_moved_by_keys_and_a_veto_outlives_it(open_sheet, qtbot):
    sheet = open_sheet(alike())
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Space)
    qtbot.keyClick(sheet.histogram, Qt.Key.Key_Home)
    assert sheet._fix.text() == "Fix 39"
    assert sheet.grid.divider is None
    qtbot.keyClick(sheet.histogram, Qt.Key.Key_End)
    assert sheet.grid.divider == 1
    assert not sheet.can_fix
    qtbot.keyClick(sheet.histogram, Qt.Key.Key_Home)
    assert sheet.tiles.num_vetoed == 1


def test_that_a_tile_below_the_cut_can_be_taken_by_itself(open_sheet, qtbot):
    sheet = open_sheet(alike())
    sheet.tiles.toggle([30])
    assert sheet._fix.text() == "Fix 21"
    assert sheet.tiles.taken().tolist() == [*range(20), 30]
    qtbot.keyClick(sheet.histogram, Qt.Key.Key_Home)  # now it is above the cut, like all others
    assert sheet.tiles.num_taken == 40


def test_that_a_tile_that_is_taken_from_below_the_cut_is_bright_and_a_vetoed_one_is_not(qtbot):
    white = QImage(64, 64, QImage.Format.Format_RGB32)
    white.fill(QColor("#ffffff"))
    loader = PictureLoader(lambda key: white)
    sheet = AlikeSheet(alike(), loader)
    qtbot.addWidget(sheet)
    with qtbot.waitExposed(sheet):
        sheet.show()
    sheet.grid.grab()
    qtbot.waitUntil(lambda: not loader.is_busy)

    def brightness(row):
        tile = sheet.grid.visualRect(sheet.tiles.index(row, 0))
        shot = sheet.grid.viewport().grab().toImage()
        return shot.pixelColor(tile.center() + QPoint(0, -tile.height() // 4)).lightness()

    plain, below = brightness(2), brightness(20)
    sheet.tiles.toggle([20])
    assert brightness(20) == plain > below
    sheet.tiles.toggle([2])
    assert brightness(2) < plain / 2
    loader.close()


def test_that_an_enter_on_its_way_to_the_gallery_fixes_nothing(qtbot, crops):
    sheet = AlikeSheet(alike(), crops)
    qtbot.addWidget(sheet)
    with qtbot.waitExposed(sheet):
        sheet.show()
    asked = []
    sheet.fix_wanted.connect(asked.append)
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Return)
    assert not asked
    assert sheet.isVisible()
    qtbot.waitUntil(lambda: sheet.can_fix)
    qtbot.keyClick(sheet.grid, Qt.Key.Key_Return)
    assert len(asked) == 1


def test_that_escape_and_cancel_ask_for_nothing(open_sheet, qtbot):
    asked = []
    for leave in (lambda s: qtbot.keyClick(s.grid, Qt.Key.Key_Escape), lambda s: _button(s, "Cancel").click()):
        sheet = open_sheet(alike())
        sheet.fix_wanted.connect(asked.append)
        leave(sheet)
        assert sheet.isHidden()
    assert not asked


def test_that_the_offer_can_be_silenced_for_the_session(open_sheet, qtbot):
    sheet = open_sheet(alike())
    assert sheet.offer.text() == "Do not offer again in this session"
    with qtbot.waitSignal(sheet.offer_wanted) as wanted:
        sheet.offer.trigger()
    assert wanted.args == [False]
    assert sheet.isHidden()


def test_that_a_sheet_that_was_asked_for_can_be_offered_again(qtbot, crops):
    sheet = AlikeSheet(alike(), crops, is_offered=False)
    qtbot.addWidget(sheet)
    with qtbot.waitExposed(sheet):
        sheet.show()
    assert sheet.offer.text() == "Offer this after each correction"
    with qtbot.waitSignal(sheet.offer_wanted) as wanted:
        sheet.offer.trigger()
    assert wanted.args == [True]
    assert sheet.isVisible()


def test_that_everything_that_takes_the_keys_has_a_name(open_sheet):
    sheet = open_sheet(alike())
    unnamed = [
        type(part).__name__
        for part in sheet.findChildren(QWidget)
        if part.focusPolicy() != Qt.FocusPolicy.NoFocus
        and part.isVisible()
        and not (part.accessibleName() or (isinstance(part, QPushButton) and part.text()))
    ]
    assert not unnamed


def test_that_ten_thousand_tiles_paint_only_what_is_seen(open_sheet, qtbot):
    sheet = open_sheet(alike(10_000, cut=0.2))
    first, last = sheet.grid.rows_in(sheet.grid.viewport().rect())
    assert last - first < 100
    bar = sheet.grid.verticalScrollBar()
    bar.setValue(bar.maximum())
    sheet.grid.grab()
    assert sheet.grid.rows_in(sheet.grid.viewport().rect())[1] == 9_999


def _button(sheet, text):
    return next(button for button in sheet.findChildren(QPushButton) if button.text() == text)
