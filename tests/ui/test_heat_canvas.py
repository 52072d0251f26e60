"""Heat on the canvas under a real mouse and keyboard: the brush, the box of the heat, and what is repainted."""

import itertools

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QMouseEvent, QPolygonF, QWheelEvent
from PySide6.QtTest import QTest

from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.regions import Image, Origin, Region, Review
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.commands import COMMANDS, HEAT_COMMANDS, CanvasCommand
from locstudio.ui.heatmaps.brush_tool import BrushKind
from locstudio.ui.heatmaps.heat_layer import HeatLook
from locstudio.ui.heatmaps.shown_heat import ShownClass, ShownHeat

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO, ALT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
WIDTH, HEIGHT = 400, 300
LARGE, SMALL = UnitBox(0.1, 0.1, 0.9, 0.9), UnitBox(0.4, 0.4, 0.6, 0.6)
REGION = Region(11, 7, UnitBox(0.1, 0.1, 0.3, 0.3), "cup", None, Review.ACCEPTED, Origin.HUMAN)


def heat(**parts) -> ShownHeat:
    map_WW = np.zeros((14, 14), np.uint8)
    map_WW[5:9, 5:9] = 220
    values = {
        "classes": (ShownClass(3, "bus", map_WW, 0.8, "expected"),),
        "look": HeatLook(),
        "origin": "epoch 3 of 9",
        "outlines": (QPolygonF([QPointF(0.4, 0.4), QPointF(0.6, 0.4), QPointF(0.5, 0.6)]),),
        "boxes": (LARGE, SMALL),
        "can_paint": True,
    }
    return ShownHeat(**(values | parts))


@pytest.fixture
def canvas(qtbot):
    ids = itertools.count(100)
    view = CanvasView(lambda: next(ids))
    qtbot.addWidget(view)
    view.resize(800, 600)
    with qtbot.waitExposed(view):
        view.show()
    view.activateWindow()
    view.setFocus()
    view.set_image(Image(7, 1, "photo.png", WIDTH, HEIGHT))
    view.show_picture([np.full((HEIGHT, WIDTH, 3), 128, np.uint8)], (WIDTH, HEIGHT))
    view.zoom_full()
    view.set_heat(heat())
    return view


@pytest.fixture
def heard(canvas):
    kept = {"strokes": [], "asked": [], "pointed": [], "notices": [], "radius": []}
    canvas.stroke_drawn.connect(lambda kind, stroke: kept["strokes"].append((kind, stroke)))
    canvas.heat_asked.connect(kept["asked"].append)
    canvas.heat_pointed.connect(kept["pointed"].append)
    canvas.notice.connect(kept["notices"].append)
    canvas.brush_resized.connect(kept["radius"].append)
    return kept


def at(canvas, x: float, y: float) -> QPoint:
    left, top = canvas.view.to_screen(x * WIDTH, y * HEIGHT)
    return QPoint(round(left), round(top))


def move(canvas, x: float, y: float, held=LEFT) -> None:
    place = QPointF(at(canvas, x, y))
    event = QMouseEvent(QEvent.Type.MouseMove, place, canvas.mapToGlobal(place), Qt.MouseButton.NoButton, held, NO)
    QGuiApplication.sendEvent(canvas, event)


def stroke(canvas, *points, button=LEFT, held=NO) -> None:
    QTest.mousePress(canvas, button, held, at(canvas, *points[0]))
    for point in points[1:]:
        move(canvas, *point, button)
    QTest.mouseRelease(canvas, button, held, at(canvas, *points[-1]))


def color_at(canvas, x: float, y: float) -> QColor:
    return canvas.grab().toImage().pixelColor(at(canvas, x, y))


def test_that_heat_lies_on_the_picture_where_it_is_and_boxes_on_top(canvas):
    grey = QColor(128, 128, 128)
    assert color_at(canvas, 0.1, 0.95) == grey
    assert color_at(canvas, 0.47, 0.45) != grey
    canvas.set_regions([REGION])
    edge = color_at(canvas, 0.2, 0.1)
    canvas.set_heat(None)
    assert color_at(canvas, 0.47, 0.45) == grey
    assert color_at(canvas, 0.2, 0.1) == edge


def test_that_another_image_has_no_heat_at_first(canvas):
    canvas.set_image(Image(8, 1, "other.png", WIDTH, HEIGHT))
    assert canvas.heat is None


def test_that_a_change_of_heat_paints_neither_picture_nor_boxes_anew(canvas):
    canvas.set_regions([REGION])
    canvas.grab()
    painted = []
    canvas.paint_layer = lambda painter: painted.append("boxes")
    canvas._paint_ground = lambda painter: painted.append("picture")
    for opacity in (0.2, 0.5, 0.9):
        canvas.set_heat(heat(look=HeatLook(opacity=opacity)))
        canvas.grab()
    assert painted == []


def test_that_a_stroke_is_told_when_it_ends_and_seen_while_it_goes_on(canvas, heard):
    QTest.keyClick(canvas, Qt.Key.Key_B)
    assert canvas.tool is Tool.PAINT_IN
    before = color_at(canvas, 0.2, 0.8)
    QTest.mousePress(canvas, LEFT, NO, at(canvas, 0.15, 0.8))
    for x in (0.2, 0.25, 0.3):
        move(canvas, x, 0.8)
    assert color_at(canvas, 0.2, 0.8) != before
    assert heard["strokes"] == []
    QTest.mouseRelease(canvas, LEFT, NO, at(canvas, 0.3, 0.8))
    ((kind, made),) = heard["strokes"]
    assert kind is BrushKind.ADD
    assert made.points[0] == pytest.approx((0.15, 0.8), abs=0.004)
    assert made.points[-1] == pytest.approx((0.3, 0.8), abs=0.004)
    assert canvas.heat.chosen.map_WW[11, 3] > 100  # until what was stored is shown
    assert color_at(canvas, 0.2, 0.8) != before


@pytest.mark.parametrize(
    ("key", "modifier", "button", "held", "kind"),
    [
        (Qt.Key.Key_B, SHIFT, LEFT, NO, BrushKind.REMOVE),
        (Qt.Key.Key_U, NO, LEFT, NO, BrushKind.ERASE),
        (Qt.Key.Key_B, NO, RIGHT, NO, BrushKind.REMOVE),
        (Qt.Key.Key_B, SHIFT, LEFT, ALT, BrushKind.ADD),
    ],
)
def test_that_key_and_button_say_what_the_brush_does(canvas, heard, key, modifier, button, held, kind):
    QTest.keyClick(canvas, key, modifier)
    stroke(canvas, (0.5, 0.5), (0.6, 0.5), button=button, held=held)
    assert [told for told, _ in heard["strokes"]] == [kind]


def test_that_esc_forgets_the_stroke_first_and_the_brush_second(canvas, heard):
    QTest.keyClick(canvas, Qt.Key.Key_B)
    QTest.mousePress(canvas, LEFT, NO, at(canvas, 0.5, 0.5))
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    QTest.mouseRelease(canvas, LEFT, NO, at(canvas, 0.5, 0.5))
    assert (heard["strokes"], canvas.tool) == ([], Tool.PAINT_IN)
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.tool is Tool.SELECT


def test_that_the_brush_has_keys_and_a_wheel_for_its_size(canvas, heard):
    QTest.keyClick(canvas, Qt.Key.Key_B)
    first = canvas.brush.radius
    QTest.keyClick(canvas, Qt.Key.Key_Period)
    assert canvas.brush.radius == pytest.approx(first * 1.25)
    QTest.keyClick(canvas, Qt.Key.Key_Comma)
    zoom = canvas.zoom
    place = QPointF(at(canvas, 0.5, 0.5))
    for held, turn in ((CTRL, 120), (NO, 120)):
        event = QWheelEvent(
            place, canvas.mapToGlobal(place), QPoint(), QPoint(0, turn), Qt.MouseButton.NoButton, held,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QGuiApplication.sendEvent(canvas, event)
    assert canvas.brush.radius == pytest.approx(first * 1.25)
    assert canvas.zoom > zoom
    assert heard["radius"] == pytest.approx([first * 1.25, first, first * 1.25])


def test_that_nobody_paints_on_heat_that_cannot_be_corrected(canvas, heard):
    QTest.keyClick(canvas, Qt.Key.Key_B)
    canvas.set_heat(None)
    stroke(canvas, (0.5, 0.5), (0.6, 0.5))
    canvas.set_heat(heat(can_paint=False))
    stroke(canvas, (0.5, 0.5), (0.6, 0.5))
    assert heard["strokes"] == []
    assert "no heat here" in heard["notices"][0]
    assert "cannot be painted" in heard["notices"][-1]


def test_that_the_brush_draws_no_box_and_selects_nothing(canvas, heard):
    canvas.set_regions([REGION])
    QTest.keyClick(canvas, Qt.Key.Key_B)
    stroke(canvas, (0.2, 0.2), (0.5, 0.5))
    assert canvas.selection == []
    assert len(canvas.editor.boxes.regions) == 1


def test_that_enter_means_the_box_of_the_heat_only_where_nothing_is_selected(canvas, heard):
    canvas.set_regions([REGION])
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert heard["asked"] == [CanvasCommand.TAKE_HEAT]
    canvas.select([11])
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert canvas.phrase_editor.isVisible()
    assert heard["asked"] == [CanvasCommand.TAKE_HEAT]
    canvas.phrase_editor.leave()
    canvas.select([])
    canvas.set_heat(heat(boxes=()))
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert heard["asked"] == [CanvasCommand.TAKE_HEAT]


def test_that_the_box_under_the_mouse_is_the_one_that_is_taken(canvas):
    assert canvas.aimed_box is LARGE
    move(canvas, 0.5, 0.5, Qt.MouseButton.NoButton)
    assert canvas.aimed_box is SMALL
    move(canvas, 0.2, 0.2, Qt.MouseButton.NoButton)
    assert canvas.aimed_box is LARGE
    canvas.set_heat(None)
    assert canvas.aimed_box is None


def test_that_keys_of_heat_are_passed_on(canvas, heard):
    keys = {
        CanvasCommand.FAINTER: (Qt.Key.Key_BracketLeft, NO),
        CanvasCommand.STRONGER: (Qt.Key.Key_BracketRight, NO),
        CanvasCommand.LOWER: (Qt.Key.Key_BraceLeft, SHIFT),
        CanvasCommand.HIGHER: (Qt.Key.Key_BraceRight, SHIFT),
        CanvasCommand.EARLIER: (Qt.Key.Key_BracketLeft, CTRL),
        CanvasCommand.LATER: (Qt.Key.Key_BracketRight, CTRL),
        CanvasCommand.PRESENT: (Qt.Key.Key_Y, NO),
        CanvasCommand.ABSENT: (Qt.Key.Key_Y, SHIFT),
        CanvasCommand.NEXT_HEAT: (Qt.Key.Key_E, SHIFT),
        CanvasCommand.TAKE_HEAT: (Qt.Key.Key_T, NO),
        CanvasCommand.HEAT: (Qt.Key.Key_E, NO),
    }
    for key, held in keys.values():
        QTest.keyClick(canvas, key, held)
    assert heard["asked"] == list(keys)
    assert set(keys) == HEAT_COMMANDS


def test_that_e_held_is_a_peek(canvas, heard, monkeypatch):
    now = itertools.count(100.0, 0.5)
    monkeypatch.setattr("locstudio.ui.canvas.peek.monotonic", lambda: next(now))
    QTest.keyPress(canvas, Qt.Key.Key_E)
    QTest.keyRelease(canvas, Qt.Key.Key_E)
    assert heard["asked"] == [CanvasCommand.HEAT, CanvasCommand.HEAT]
    QTest.keyPress(canvas, Qt.Key.Key_E)
    canvas.clearFocus()
    assert heard["asked"] == [CanvasCommand.HEAT] * 4
    assert [command for command, info in COMMANDS.items() if info.is_held] == [CanvasCommand.HIDE, CanvasCommand.HEAT]


def test_that_the_heat_under_the_mouse_is_told(canvas, heard):
    move(canvas, 0.5, 0.5, Qt.MouseButton.NoButton)
    assert heard["pointed"][-1] == pytest.approx(220)
    move(canvas, 0.05, 0.05, Qt.MouseButton.NoButton)
    assert heard["pointed"][-1] == pytest.approx(0)
    move(canvas, -0.05, 0.5, Qt.MouseButton.NoButton)
    assert heard["pointed"][-1] is None


def test_that_every_look_can_be_painted(canvas):
    painted = HeatCorrection(
        1, 7, 3, Evidence.REMOVE, (Stroke(((0.2, 0.2), (0.4, 0.3)), 0.05), Stroke(((0.9, 0.9),), 0.1))
    )
    long = ShownClass(4, "a <b>long</b>\nname " * 9, heat().chosen.map_WW, 1.0, color=QColor("#009e73"))
    many = (heat().chosen, long)
    for shown in (
        heat(warning="of the file as it was", corrections=(painted,)),
        heat(classes=many, origin=""),
        heat(look=HeatLook("cividis", 1.0, True, False), outlines=(), boxes=()),
    ):
        canvas.set_heat(shown)
        for tool in (Tool.SELECT, Tool.PAINT_IN, Tool.ERASE):
            canvas.set_tool(tool)
            move(canvas, 0.3, 0.3, Qt.MouseButton.NoButton)
            for size in ((800, 600), (200, 140)):
                canvas.resize(*size)
                assert not canvas.grab().isNull()
