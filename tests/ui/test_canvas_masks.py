"""Masks on the canvas: the point tool under a real mouse, masks from boxes, and boxes from masks."""

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from locstudio.domain.geometry import UnitBox
from locstudio.domain.masks import mask_as_runs
from locstudio.domain.regions import Image, Origin, Region, Review
from locstudio.jobs.engine_messages import path_text
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.canvas.mask_tool import FoundMask, MaskPoint, MaskTool
from locstudio.ui.engine_client import EngineClient
from locstudio.ui.masking import Masking

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO, ALT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
WIDTH, HEIGHT = 400, 300
FAKE = Path(__file__).with_name("fake_engine.py")
BIG = Region(11, 7, UnitBox(0.1, 0.1, 0.6, 0.7), "cup", None, Review.PENDING, Origin.MODEL)
EDGE = Region(12, 7, UnitBox(0.0, 0.2, 0.4, 0.4), "spoon", None, Review.ACCEPTED, Origin.HUMAN)


def runs(x0, y0, x1, y1):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask_as_runs(mask)


FOUND = FoundMask(runs(100, 60, 200, 150), UnitBox(0.25, 0.2, 0.5, 0.5))


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
    return view


@pytest.fixture
def heard(canvas):
    kept = {"edits": [], "points": [], "notices": [], "wanted": []}
    canvas.edit_requested.connect(kept["edits"].append)
    canvas.points_changed.connect(kept["points"].append)
    canvas.notice.connect(kept["notices"].append)
    canvas.masks_requested.connect(kept["wanted"].append)
    return kept


def click(canvas, x, y, button=LEFT, held=NO):
    left, top = canvas.view.to_screen(x, y)
    QTest.mouseClick(canvas, button, held, QPoint(round(left), round(top)))


def test_that_clicks_are_points_inside_and_outside_the_thing(canvas, heard):
    QTest.keyClick(canvas, Qt.Key.Key_P)
    assert canvas.tool is Tool.POINTS
    click(canvas, 100, 75)
    click(canvas, 200, 150, RIGHT)
    click(canvas, 300, 225, held=ALT)
    asked = heard["points"][-1]
    assert [point.is_inside for point in asked.points] == [True, False, False]
    assert [point.x for point in asked.points] == pytest.approx([0.25, 0.5, 0.75], abs=0.01)
    assert [point.y for point in asked.points] == pytest.approx([0.25, 0.5, 0.75], abs=0.01)
    assert asked.box is None
    assert len(heard["points"]) == 3
    assert not heard["edits"]


def test_that_the_first_point_of_a_new_thing_is_inside_it(canvas, heard):
    canvas.set_tool(Tool.POINTS)
    click(canvas, 200, 150, RIGHT)
    assert heard["points"] == []
    assert "must be in the thing" in heard["notices"][0]


def test_that_a_click_beside_the_picture_is_no_point(canvas, heard):
    canvas.set_tool(Tool.POINTS)
    click(canvas, -20, 150)
    assert heard["points"] == []


def test_that_enter_makes_a_region_of_the_mask_in_one_edit(canvas, heard):
    canvas.set_tool(Tool.POINTS)
    click(canvas, 150, 100)
    canvas.show_mask(FOUND)
    canvas.grab()  # paints the preview
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    (edit,) = heard["edits"]
    (change,) = edit.changes
    assert change.before is None
    assert (change.after.box, change.after.mask) == (FOUND.box, FOUND.text)
    assert change.after.origin is Origin.HUMAN
    assert canvas.tool is Tool.SELECT
    assert heard["points"][-1] is None
    assert canvas.phrase_editor.isVisible()


def test_that_enter_gives_the_selected_region_the_mask(canvas, heard):
    canvas.set_regions([BIG])
    canvas.select([BIG.id])
    canvas.set_tool(Tool.POINTS)
    click(canvas, 150, 100)
    assert heard["points"][-1].box == BIG.box
    canvas.show_mask(FOUND)
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    (edit,) = heard["edits"]
    assert edit.title == "Mask from points"
    assert edit.changes[0].after == replace(BIG, mask=FOUND.text, origin=Origin.EDITED)


def test_that_enter_before_the_mask_is_here_changes_nothing(canvas, heard):
    canvas.set_tool(Tool.POINTS)
    click(canvas, 150, 100)
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    canvas.show_mask(FoundMask("", None))
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert not heard["edits"]
    assert "not here yet" in heard["notices"][0]
    assert "Nothing was found" in heard["notices"][1]


def test_that_escape_takes_the_points_away_and_then_the_tool(canvas, heard):
    canvas.set_tool(Tool.POINTS)
    click(canvas, 150, 100)
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert heard["points"][-1] is None
    assert canvas.tool is Tool.POINTS
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.tool is Tool.SELECT


def test_that_backspace_takes_the_newest_point_back(canvas, heard):
    canvas.set_tool(Tool.POINTS)
    click(canvas, 150, 100)
    click(canvas, 160, 100)
    QTest.keyClick(canvas, Qt.Key.Key_Backspace)
    assert heard["points"][2].points == heard["points"][0].points
    QTest.keyClick(canvas, Qt.Key.Key_Backspace)
    assert heard["points"][-1] is None


def test_that_points_are_forgotten_with_their_image(canvas, heard):
    canvas.set_tool(Tool.POINTS)
    click(canvas, 150, 100)
    canvas.set_image(Image(8, 1, "other.png", WIDTH, HEIGHT))
    assert heard["points"][-1] is None
    canvas.show_mask(FOUND)
    assert not canvas.mask_tool.is_busy


def test_that_points_left_outside_alone_mean_nothing():
    tool = MaskTool()
    assert tool.add(MaskPoint(0.5, 0.5, True), 0)
    assert tool.add(MaskPoint(0.1, 0.5, False), 0)
    tool.points = tool.points[1:] + tool.points[:1]
    tool.take_back()
    assert not tool.is_busy


def test_that_g_asks_for_masks_of_the_selection_that_is_not_locked(canvas, heard):
    locked = replace(EDGE, is_locked=True)
    canvas.set_regions([BIG, locked])
    QTest.keyClick(canvas, Qt.Key.Key_G)
    assert "Select a box first" in heard["notices"][0]
    canvas.select([BIG.id, locked.id])
    QTest.keyClick(canvas, Qt.Key.Key_G)
    assert heard["wanted"] == [[BIG]]


def test_that_masks_of_several_boxes_are_one_edit(canvas, heard):
    canvas.set_regions([BIG, EDGE])
    canvas.take_masks({BIG.id: FOUND.text, EDGE.id: FOUND.text, 99: FOUND.text})
    (edit,) = heard["edits"]
    assert edit.title == "Masks from 2 boxes"
    assert [change.after.mask for change in edit.changes] == [FOUND.text] * 2


def test_that_shift_g_fits_the_box_to_the_mask_and_keeps_it(canvas, heard):
    canvas.set_regions([replace(BIG, mask=FOUND.text)])
    canvas.select([BIG.id])
    QTest.keyClick(canvas, Qt.Key.Key_G, Qt.KeyboardModifier.ShiftModifier)
    (edit,) = heard["edits"]
    assert edit.title == "Fit box to mask"
    assert edit.changes[0].after == replace(BIG, box=FOUND.box, mask=FOUND.text, origin=Origin.EDITED)
    QTest.keyClick(canvas, Qt.Key.Key_G, Qt.KeyboardModifier.ShiftModifier)
    assert len(heard["edits"]) == 1


@pytest.mark.parametrize("mask", [None, "", "{", "[[1]]", json.dumps([[900, 900, 950, 900, 950, 950]])])
def test_that_a_mask_that_is_none_fits_nothing(canvas, heard, mask):
    canvas.set_regions([replace(BIG, mask=mask)])
    canvas.select([BIG.id])
    canvas.run(CanvasCommand.TIGHTEN)
    canvas.grab()
    assert not heard["edits"]


def test_that_a_mask_is_seen_where_it_lies(canvas):
    canvas.set_regions([replace(BIG, mask=FOUND.text)])
    picture = canvas.grab().toImage()
    ratio = canvas.devicePixelRatioF()

    def color_at(x, y):
        left, top = canvas.view.to_screen(x, y)
        return picture.pixelColor(round(left * ratio), round(top * ratio)).getRgb()[:3]

    assert color_at(150, 100) != (128, 128, 128)
    assert color_at(350, 250) == (128, 128, 128)
    canvas.run(CanvasCommand.HIDE)
    picture = canvas.grab().toImage()
    assert color_at(150, 100) == (128, 128, 128)


# With the engine


@pytest.fixture
def masking(canvas, qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FAKE.parents[2]))
    client = EngineClient(tmp_path / "well", tmp_path, command=(sys.executable, str(FAKE)))
    flow = Masking(client, canvas)
    image = Image(7, 1, "photo.png", WIDTH, HEIGHT)
    client.start()
    client.set_image("7", tmp_path / "photo.png")
    flow.set_image(image)
    qtbot.waitUntil(lambda: client.state.phase == "ready" and not client.num_pending, timeout=10_000)
    yield flow, client
    client.stop()


def test_that_a_box_gets_the_mask_that_the_engine_has_found(canvas, heard, masking, qtbot):
    flow, client = masking
    said = []
    flow.said.connect(said.append)
    client.use_sam(Path("/models/sam_vit_b.pth"))
    canvas.set_regions([BIG])
    canvas.select([BIG.id])
    canvas.run(CanvasCommand.MASK)
    qtbot.waitUntil(lambda: bool(heard["edits"]), timeout=10_000)
    assert json.loads(heard["edits"][0].changes[0].after.mask) == [[0.1, 0.1, 0.6, 0.7, 0.6, 0.1]]
    assert said[-1] == "Mask by fake sam_vit_b.pth, expected overlap 0.50."
    assert client.sam == Path("/models/sam_vit_b.pth")


def test_that_a_mask_of_a_box_that_has_moved_is_dropped(canvas, heard, masking, qtbot):
    flow, client = masking
    said = []
    flow.said.connect(said.append)
    canvas.set_regions([BIG, EDGE])
    canvas.select([BIG.id, EDGE.id])
    canvas.run(CanvasCommand.MASK)
    canvas.set_regions([replace(BIG, box=UnitBox(0.2, 0.2, 0.5, 0.5)), EDGE])
    qtbot.waitUntil(lambda: not client.num_pending, timeout=10_000)
    assert not heard["edits"]
    assert said[-1] == "2 boxes got no mask."  # one has moved, in the other nothing was found


def test_that_points_show_the_newest_mask(canvas, masking, qtbot):
    canvas.set_tool(Tool.POINTS)
    click(canvas, 150, 100)
    qtbot.waitUntil(lambda: canvas.mask_tool.found is not None, timeout=10_000)
    assert canvas.mask_tool.found.box == UnitBox(0.25, 0.25, 0.75, 0.75)


def test_that_a_segment_anything_file_travels_with_the_request():
    assert path_text(Path("/a b/sam.pth")) == "/a%20b/sam.pth"
