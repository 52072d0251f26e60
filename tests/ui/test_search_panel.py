"""The search panel: the query, the cut, the hits and the phrases."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.search.context import context_of, inside
from locstudio.ui.search.histogram import ScoreHistogram
from locstudio.ui.search.hits_model import HIT_ROLE, HitItem, HitsModel
from locstudio.ui.search.search_panel import SearchPanel, ShownResult

IMAGE = Image(7, 1, "harbour/<i>boat</i>.jpg", 640, 480)


def grey(_key) -> QImage:
    picture = QImage(64, 64, QImage.Format.Format_RGB32)
    picture.fill(QColor("#777777"))
    return picture


def hit(score: float, phrase: str = "a dog") -> HitItem:
    return HitItem.of(IMAGE, UnitBox(0.2, 0.2, 0.4, 0.5), score, phrase, round(score * 100))


def result(cut: float, scores=(0.9, 0.8, 0.5, 0.2)) -> ShownResult:
    return ShownResult(tuple(hit(score) for score in scores), cut, (5, 9, 4, 1), 0.0, 1.0)


@pytest.fixture
def panel(qtbot):
    crops = PictureLoader(grey)
    panel = SearchPanel(crops, lambda _: None)
    qtbot.addWidget(panel)
    panel.resize(360, 720)
    panel.show()
    yield panel
    crops.close()


def test_that_the_view_of_a_hit_is_square_around_the_box_and_inside_the_image():
    view = context_of(UnitBox(0.4, 0.4, 0.5, 0.5), 640, 480)  # 64 x 48 px, so the side is 1.5 * 64 = 96
    assert ((view.x1 - view.x0) * 640, (view.y1 - view.y0) * 480) == pytest.approx((96, 96))
    corner = context_of(UnitBox(0.0, 0.0, 0.05, 0.05), 640, 480)
    assert (corner.x0, corner.y0) == (0, 0)
    whole = context_of(UnitBox(0, 0, 1, 1), 640, 480)
    assert whole.as_tuple() == (0, 0, 1, 1)


def test_that_a_box_is_placed_inside_its_view():
    assert inside(UnitBox(0.25, 0.25, 0.75, 0.5), UnitBox(0.0, 0.0, 1.0, 0.5)) == (0.25, 0.5, 0.75, 1.0)


def test_that_the_model_of_the_hits_keeps_qts_promises(qtmodeltester, qapp):
    model = HitsModel()
    model.set_hits([hit(0.9), hit(0.5)], 1)
    qtmodeltester.check(model)


def test_that_hits_below_the_cut_come_after_a_line_that_divides_them(panel):
    panel.show_result(result(0.6))
    assert (len(panel.hits), panel.num_above, panel.hits_view.divider) == (4, 2, 2)
    assert panel._count.text() == "2 regions stand out"
    view = panel.hits_view
    above, below = (view.visualRect(view.model().index(row, 0)) for row in (1, 2))
    assert above.bottom() < view.band().top() < view.band().bottom() < below.top()
    assert below.left() == view.GAP


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (0.85, "1 region stands out"),
        (0.4, "3 regions stand out"),
        (0.97, "Nothing stands out"),
        (0.1, "At least 4 regions stand out"),
    ],
)
def test_that_the_count_is_said_in_words(panel, cut, words):
    panel.show_result(result(cut))
    assert panel._count.text() == words


def test_that_moving_the_cut_divides_the_same_hits_anew(panel, qtbot):
    panel.show_result(result(0.6))
    shown = panel.hits
    qtbot.keyClick(panel._histogram, Qt.Key.Key_Home)
    assert (panel.num_above, panel.hits_view.divider) == (4, None)
    qtbot.keyClick(panel._histogram, Qt.Key.Key_End)
    assert (panel.num_above, panel.hits_view.divider) == (0, 0)
    assert panel.hits is shown


def test_that_a_hit_below_the_cut_says_so(panel):
    panel.show_result(result(0.6))
    words = [panel.hits_view.model().index(row, 0).data(Qt.ItemDataRole.AccessibleTextRole) for row in (1, 2)]
    assert not words[0].endswith("below the cut")
    assert words[1].endswith("below the cut")


def test_that_a_click_goes_to_the_hit(panel, qtbot):
    panel.show_result(result(0.1))
    view = panel.hits_view
    with qtbot.waitSignal(panel.hit_chosen) as chosen:
        where = view.visualRect(view.model().index(2, 0)).center()
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert chosen.args[0].score == 0.5


def test_that_the_keys_walk_through_the_hits_and_go_to_each(panel, qtbot):
    panel.show_result(result(0.1))
    view = panel.hits_view
    view.setCurrentIndex(view.model().index(0, 0))
    with qtbot.waitSignal(panel.hit_chosen) as chosen:
        qtbot.keyClick(view, Qt.Key.Key_Right)
    assert chosen.args[0].score == 0.8


def test_that_a_phrase_can_be_searched_for(panel, qtbot):
    panel.set_phrases([("a <b>dog</b>", 0.8), ("a cat", 0.4)])
    panel.show_result(result(0.1))
    with qtbot.waitSignal(panel.phrase_chosen) as chosen:
        qtbot.mouseClick(panel._phrases.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(40, 12))
    assert chosen.args == ["a <b>dog</b>"]


def test_that_names_in_tips_are_text_not_markup(panel):
    panel.show_result(result(0.1))
    tip = panel.hits_view.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "<i>" not in tip
    assert "&lt;i&gt;" in tip


def test_that_the_handle_can_be_dragged(qtbot):
    histogram = ScoreHistogram()
    qtbot.addWidget(histogram)
    histogram.resize(216, 52)
    histogram.set_scores((1, 2, 3, 4), 0.0, 1.0, 0.2)
    histogram.show()
    with qtbot.waitSignal(histogram.cut_changed):
        qtbot.mousePress(histogram, Qt.MouseButton.LeftButton, pos=QPoint(108, 20))
    qtbot.mouseRelease(histogram, Qt.MouseButton.LeftButton)
    assert histogram.cut == pytest.approx(0.5, abs=0.01)


def test_that_the_tile_shows_the_thumbnail_until_the_crop_is_sharp(panel, qtbot):
    panel.show_result(result(0.1))
    panel.hits_view.grab()
    with qtbot.waitSignal(panel.hits_view._crops.arrived):
        pass
    assert panel.hits_view._crops.picture(panel.hits[0].crop_key) is not None


def test_that_clearing_takes_everything_away(panel):
    panel.set_query("a dog", "", can_ground=True)
    panel.set_phrases([("a dog", 0.8)])
    panel.show_result(result(0.1))
    panel.clear()
    assert panel.hits == ()
    assert panel.hits_view.currentIndex().data(HIT_ROLE) is None
    assert panel._pages.currentIndex() == 0


def test_that_a_tile_is_scaled_once_however_often_it_is_painted(panel, qtbot):
    panel.show_result(result(0.1))
    panel.hits_view.grab()
    qtbot.waitUntil(lambda: not panel.hits_view._crops.is_busy)
    panel.hits_view.grab()
    tiles = panel.hits_view.itemDelegate()._tiles
    kept = dict(tiles)
    assert kept
    panel.show_result(result(0.6))
    panel.hits_view.grab()
    assert {key: tile.cacheKey() for key, tile in tiles.items()} == {k: tile.cacheKey() for k, tile in kept.items()}
