"""Heat without a window: its picture, the brush, rows of classes, what is looked at first, and its widgets alone."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPixmap
from PySide6.QtTest import QTest

from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke, corrected
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Image
from locstudio.services.heat.colormaps import COLORMAPS, color_table
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.canvas.view import View
from locstudio.ui.heatmaps.brush_tool import MAX_RADIUS, MIN_RADIUS, BrushKind, BrushTool
from locstudio.ui.heatmaps.class_list import ClassList, _Places
from locstudio.ui.heatmaps.class_rows import ClassRow, ClassRowModel, Word, most_telling
from locstudio.ui.heatmaps.epoch_slider import EpochSlider
from locstudio.ui.heatmaps.heat_bar import HeatBar
from locstudio.ui.heatmaps.heat_layer import HUES, MAX_SHOWN, HeatLook, finer, heat_image, paint_heat, warm_parts
from locstudio.ui.heatmaps.heat_look_box import HeatLookBox
from locstudio.ui.heatmaps.heat_reading import ReadHeat, with_found_heat
from locstudio.ui.heatmaps.heat_showing import HeatShowing

LEFT = Qt.MouseButton.LeftButton
COLD, WARM = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)


def ramp() -> np.ndarray:
    return np.tile(np.linspace(0, 255, 8).astype(np.uint8), (8, 1))


def row(class_id: int, name: str, score: float, presence=Presence.UNKNOWN, heat=WARM, **others) -> ClassRow:
    return ClassRow(class_id, name, score, presence, heat, heat, **others)


class TestPicture:
    def test_that_a_finer_map_keeps_constants_and_the_middles_of_its_cells(self):
        assert np.array_equal(finer(WARM, 64), np.full((64, 64), 255))
        fine = finer(ramp(), 8 * 9)
        assert np.array_equal(fine[4::9, 4::9], ramp())

    def test_that_cold_places_are_clear_and_the_hottest_have_the_whole_opacity(self):
        picture = heat_image([ramp()], HeatLook(opacity=0.5), side=64)
        assert picture.pixelColor(0, 30).alpha() == 0
        assert picture.pixelColor(63, 30).alpha() == 128
        for name in COLORMAPS:
            last = heat_image([WARM], HeatLook(colormap=name, opacity=1.0)).pixelColor(5, 5)
            assert (last.red(), last.green(), last.blue()) == tuple(color_table(name)[255])

    def test_that_an_inverted_look_shows_where_there_is_no_heat(self):
        picture = heat_image([ramp()], HeatLook(is_inverted=True))
        assert picture.pixelColor(0, 30).alpha() > 150
        assert picture.pixelColor(picture.width() - 1, 30).alpha() == 0

    def test_that_of_several_classes_the_warmest_is_seen_in_its_hue(self):
        left, right = ramp()[:, ::-1].copy(), ramp()
        picture = heat_image([left, right], HeatLook(opacity=1.0), [QColor(HUES[0]), QColor(HUES[1])])
        assert picture.pixelColor(0, 9).name() == HUES[0]
        assert picture.pixelColor(picture.width() - 1, 9).name() == HUES[1]

    def test_that_an_unlocked_range_is_each_maps_own_and_makes_no_fire_of_nothing(self):
        free = HeatLook(is_locked=False)
        assert free.span_of([np.array([[10, 200]], np.uint8)]) == (10, 200)
        assert free.span_of([np.array([[3, 4]], np.uint8)]) == (3, 29)
        assert HeatLook(span=(20, 60)).span_of([WARM]) == (20, 60)

    @pytest.mark.parametrize("view", [View(4, 0, 0), View(64, -900, -500), View(0.1, 30, 30), View(1, -5000, 0)])
    def test_that_heat_is_painted_where_the_picture_is(self, view):
        target = QPixmap(200, 160)
        target.fill(QColor("black"))
        with QPainter(target) as painter:
            picture = heat_image([WARM], HeatLook(opacity=1.0))
            paint_heat(painter, picture, warm_parts(picture), (40, 30), view, 200, 160)
        seen = target.toImage()
        for x, y in ((50, 40), (10, 10), (195, 100)):
            px, py = view.to_px(x + 0.5, y + 0.5)
            is_inside = 1 / view.scale < px < 40 - 1 / view.scale and 1 / view.scale < py < 30 - 1 / view.scale
            is_outside = px < 0 or py < 0 or px > 40 or py > 30
            assert is_inside <= (seen.pixelColor(x, y) != QColor("black"))
            assert is_outside <= (seen.pixelColor(x, y) == QColor("black"))

    def test_that_warm_parts_hold_all_heat_and_leave_out_what_is_clear(self):
        spot = np.zeros((14, 14), np.uint8)
        spot[6, 9] = 255
        picture = heat_image([spot], HeatLook(opacity=1.0))
        warm = warm_parts(picture)
        side = picture.width()
        for y in range(side):
            for x in range(side):
                if picture.pixelColor(x, y).alpha() > 0:
                    assert any(band.contains(x, y) for band in warm)
        assert 0 < sum(band.width() * band.height() for band in warm) < side * side / 8
        assert warm_parts(heat_image([np.zeros((14, 14), np.uint8)], HeatLook())) == ()


class TestBrush:
    def test_that_a_stroke_keeps_points_apart_and_inside_the_image(self):
        brush = BrushTool(radius=0.1)
        brush.press(BrushKind.ADD, (0.5, 0.5), (200, 100))
        assert not brush.move((0.501, 0.5))
        assert brush.move((1.7, -3.0))
        stroke = brush.release()
        assert stroke == Stroke(((0.5, 0.5), (1.0, 0.0)), 0.1)
        assert not brush.is_busy

    def test_that_the_preview_is_what_the_stroke_will_have_made(self):
        heat = np.random.default_rng(2).integers(0, 256, (14, 14), np.uint8)
        for kind, evidence in ((BrushKind.ADD, Evidence.ADD), (BrushKind.REMOVE, Evidence.REMOVE)):
            brush = BrushTool(radius=0.08)
            brush.press(kind, (0.2, 0.2), (120, 90))
            for place in np.linspace(0.2, 0.8, 9):
                brush.move((place, 0.3))
                seen = brush.preview(heat)
            made = corrected(heat, [HeatCorrection(1, 1, 1, evidence, (brush.release(),))], (120, 90))
            # Piece by piece a cell is covered by the most that one piece covers, so at the seams by a little less.
            assert np.abs(seen.astype(int) - made).mean() < 4
            assert (np.abs(seen.astype(int) - heat) > 0).any()

    def test_that_an_eraser_changes_nothing_before_it_is_lifted(self):
        brush = BrushTool()
        brush.press(BrushKind.ERASE, (0.5, 0.5), (10, 10))
        assert brush.preview(WARM) is WARM
        assert BrushKind.ERASE.opposite is BrushKind.ERASE
        assert BrushKind.ADD.opposite is BrushKind.REMOVE

    def test_that_the_brush_has_a_smallest_and_a_largest_size(self):
        brush = BrushTool()
        brush.resize(-100)
        assert brush.radius == MIN_RADIUS
        brush.resize(100)
        assert brush.radius == MAX_RADIUS


class TestLookingAt:
    def test_that_what_is_expected_but_not_labelled_is_looked_at_first(self):
        bus, bicycle = row(1, "bus", 0.9, Presence.POSITIVE), row(2, "bicycle", 0.5, is_expected=True)
        truck, cold = row(3, "truck", 0.6, is_expected=True), row(4, "cup", 0.99, heat=None, is_expected=True)
        assert most_telling([bus, bicycle, truck, cold], [1]) is truck
        assert most_telling([bus, row(5, "cat", 0.95)], [5]).name == "cat"
        assert most_telling([bus, row(5, "cat", 0.95)], []) is bus
        assert most_telling([row(5, "cat", 0.1), row(6, "dog", 0.2)]).name == "dog"
        assert most_telling([cold]) is None

    def test_that_a_chosen_class_stays_where_it_has_heat_and_comes_back(self):
        showing = HeatShowing()
        bus, bicycle = row(1, "bus", 0.9, Presence.POSITIVE), row(2, "bicycle", 0.5, is_expected=True)
        showing.take([bus, bicycle])
        assert showing.chosen == (2, "bicycle")
        assert showing.choose((1, "bus"))
        showing.take([bus, bicycle])
        assert showing.chosen == (1, "bus")
        showing.take([row(1, "bus", 0.9, heat=None), bicycle])
        assert showing.chosen == (2, "bicycle")

    def test_that_no_more_classes_are_shown_than_can_be_told_apart(self):
        showing = HeatShowing()
        showing.take([row(i, f"class {i}", 1 - i / 10) for i in range(1, 9)])
        added = [showing.toggle_other((i, f"class {i}")) for i in range(2, 9)]
        assert added == [True] * (MAX_SHOWN - 1) + [False, False]
        shown = showing.shown(ReadHeat(Image(1, 1, "a", 10, 10)), can_paint=True)
        assert [one.color.name() for one in shown.classes] == list(HUES)
        showing.toggle_other((1, "class 1"))
        assert showing.chosen == (2, "class 2")

    def test_that_a_locked_range_is_the_one_that_was_seen(self):
        showing = HeatShowing(look=HeatLook(is_locked=False))
        showing.take([row(1, "bus", 0.9, heat=np.array([[40, 140]] * 2, np.uint8))])
        showing.lock()
        assert (showing.look.is_locked, showing.look.span) == (True, (40, 140))

    def test_that_heat_that_was_found_just_now_meets_what_was_said(self):
        said = [row(1, "Bus", 0.0, Presence.POSITIVE, None), row(2, "cat", 0.0, heat=None), row(3, "sea", 0, heat=None)]
        found = {"bus": (0.8, WARM), "cat": (0.7, WARM), "zebra": (0.4, COLD)}
        rows = with_found_heat(said, found, (40, 30))
        assert [(one.class_id, one.name, one.word) for one in rows] == [
            (1, "Bus", Word.PRESENT),
            (2, "cat", Word.EXPECTED),
            (3, "sea", Word.UNKNOWN),
            (0, "zebra", Word.UNKNOWN),
        ]
        assert [one.map_WW is not None for one in rows] == [True, True, False, True]


class TestClassList:
    @pytest.fixture
    def classes(self, qtbot):
        view = ClassList()
        qtbot.addWidget(view)
        view.resize(340, 200)
        view.show()
        qtbot.waitExposed(view)
        curve = np.linspace(0, 0.9, 12, dtype=np.float32)
        view.set_rows(
            [
                row(1, "bus", 0.9, Presence.POSITIVE, trajectory_E=curve),
                row(2, "<b>bicycle</b>\n", 0.5, is_expected=True),
                row(3, "sea", 0.0, Presence.NEGATIVE, None),
            ],
            (2, "<b>bicycle</b>\n"),
        )
        view.heard = []
        view.class_chosen.connect(lambda key: view.heard.append(("chosen", key[0])))
        view.shown_toggled.connect(lambda key: view.heard.append(("toggled", key[0])))
        view.presence_wanted.connect(lambda key, presence: view.heard.append((presence.value, key[0])))
        return view

    def test_that_rows_are_a_proper_model(self, qtmodeltester):
        model = ClassRowModel()
        model.set_rows([row(1, "bus", 0.9), row(2, "cat", 0.1)])
        qtmodeltester.check(model)
        model.set_filter(" CA")
        assert [one.name for one in model.rows] == ["cat"]
        assert model.row_of((1, "bus")) is None

    def test_that_following_tells_nothing(self, classes):
        assert classes.heard == []
        assert classes.currentIndex().row() == 1

    def test_that_a_click_chooses_lays_over_or_says(self, classes):
        places = _Places.of(classes.visualRect(classes.rows.index(0)), classes.fontMetrics())
        QTest.mouseClick(classes.viewport(), LEFT, pos=places.name.center().toPoint())
        QTest.mouseClick(classes.viewport(), LEFT, pos=places.dot.center().toPoint())
        QTest.mouseClick(classes.viewport(), LEFT, pos=places.word.center().toPoint())
        assert classes.heard == [("chosen", 1), ("toggled", 1), ("negative", 1)]

    def test_that_keys_say_whether_the_class_is_there(self, classes):
        for key in (Qt.Key.Key_Y, Qt.Key.Key_N, Qt.Key.Key_Delete, Qt.Key.Key_Space, Qt.Key.Key_Return):
            QTest.keyClick(classes, key)
        QTest.keyClick(classes, Qt.Key.Key_Down)
        assert classes.heard == [
            ("positive", 2),
            ("negative", 2),
            ("unknown", 2),
            ("toggled", 2),
            ("chosen", 2),
            ("chosen", 3),
        ]

    def test_that_every_row_can_be_painted_in_a_narrow_panel_too(self, classes):
        classes.set_hues({(1, "bus"): HUES[0]})
        for width in (340, 180, 60):
            classes.resize(width, 200)
            assert not classes.grab().isNull()

    def test_that_a_row_is_read_aloud(self, classes):
        spoken = classes.rows.index(1).data(Qt.ItemDataRole.AccessibleTextRole)
        assert spoken.endswith("expected, score 0.50")
        assert "\n" not in spoken


class TestEpochs:
    @pytest.fixture
    def slider(self, qtbot):
        slider = EpochSlider()
        qtbot.addWidget(slider)
        slider.resize(318, slider.height())
        slider.show()
        slider.set_epochs((5, 10, 20), 24, 30)
        slider.set_curve(np.linspace(0, 1, 24, dtype=np.float32))
        slider.heard = []
        slider.epoch_chosen.connect(slider.heard.append)
        return slider

    def test_that_it_stands_only_at_epochs_that_were_kept_and_at_the_newest(self, slider):
        assert (slider.stops, slider.epoch) == ((5, 10, 20, 24), 24)
        for x in (9 + 50, 9 + 108, 9 + 300 * 24 // 30):  # of 300 px for 30 epochs
            QTest.mouseClick(slider, LEFT, pos=QPoint(x, 20))
        assert slider.heard == [5, 10, None]

    def test_that_keys_go_from_epoch_to_epoch(self, slider):
        QTest.keyClick(slider, Qt.Key.Key_Left)
        QTest.keyClick(slider, Qt.Key.Key_Left)
        QTest.keyClick(slider, Qt.Key.Key_End)
        assert slider.heard == [20, 10, None]
        assert "Epoch 24 of 30" in slider.accessibleDescription()

    def test_that_what_is_told_is_not_told_back(self, slider):
        slider.set_epochs((5, 10), 12, 30, 5)
        assert slider.epoch == 5
        assert slider.heard == []
        slider.set_epochs((), 0, 0)
        assert not slider.isEnabled()
        assert not slider.grab().isNull()


class TestControls:
    def test_that_the_threshold_goes_by_keys_and_says_its_value(self, qtbot):
        bar = HeatBar()
        qtbot.addWidget(bar)
        heard = []
        bar.threshold_changed.connect(heard.append)
        bar.step_threshold(1)
        bar.step_threshold(-100)
        assert heard == [136, 1]

    def test_that_a_look_is_shown_and_told(self, qtbot):
        box = HeatLookBox()
        qtbot.addWidget(box)
        looks, wishes, sizes = [], [], []
        box.look_changed.connect(looks.append)
        box.command_wanted.connect(wishes.append)
        box.radius_changed.connect(sizes.append)
        box.set_look(HeatLook("magma", 0.3, True, False))
        box.set_radius(0.1)
        assert (looks, sizes) == ([], [])
        assert (box.colormap.currentText(), box.range.currentText(), box.opacity.value()) == (
            "Magma",
            "Of each map",
            30,
        )
        box.opacity.setValue(80)
        box.invert.click()
        box.range.activated.emit(0)
        assert looks[-1] == HeatLook("magma", 0.8, False, True)
        button = box.brushes[Tool.PAINT_OUT]
        button.click()
        button.click()
        assert wishes == [CanvasCommand.PAINT_OUT, CanvasCommand.SELECT]
        box.set_can_paint(False)
        assert not button.isEnabled()
        box.brush_size.setValue(0)
        assert sizes == [pytest.approx(MIN_RADIUS)]


def test_that_a_point_outside_every_row_chooses_nothing(qtbot):
    view = ClassList()
    qtbot.addWidget(view)
    heard = []
    view.class_chosen.connect(heard.append)
    QTest.mouseClick(view.viewport(), LEFT, pos=QPointF(5, 5).toPoint())
    QTest.keyClick(view, Qt.Key.Key_Y)
    assert heard == []
