"""The canvas under a real mouse and keyboard: every gesture, and what it asks for."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest

from locstudio.domain.edits import Edit
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Origin, Problem, Region, Review
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.commands import CanvasCommand
from locstudio.ui.canvas.picture import Picture

LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton
NO, ALT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
WIDTH, HEIGHT = 400, 300

CLASSES = [
    LabelClass(1, "dog", "#ff8800"),
    LabelClass(2, "old", "#888888", is_retired=True),
    LabelClass(3, "cat", "#00aaff"),
]
BIG = Region(11, 7, UnitBox(0.1, 0.1, 0.6, 0.7), "a big <b>box</b>", 1, Review.PENDING, Origin.MODEL)
SMALL = Region(12, 7, UnitBox(0.2, 0.2, 0.4, 0.4), "small", 3, Review.ACCEPTED, Origin.IMPORTED)
FAR = Region(13, 7, UnitBox(0.7, 0.7, 0.9, 0.9), "", None, Review.REJECTED)


class Shell:
    """Plays the window: applies what the canvas asks for, and remembers it."""

    def __init__(self, canvas: CanvasView) -> None:
        self.canvas = canvas
        self.regions: dict[int, Region] = {}
        self.edits: list[Edit] = []
        self.heard: list[tuple[str, object]] = []
        canvas.edit_requested.connect(self._apply)
        canvas.box_dragging.connect(lambda box, i: self.heard.append(("dragging", (box, i))))
        canvas.box_released.connect(lambda box, i: self.heard.append(("released", (box, i))))
        canvas.query_box_requested.connect(lambda box: self.heard.append(("query", box)))
        canvas.query_box_cleared.connect(lambda: self.heard.append(("cleared", None)))
        canvas.selection_changed.connect(lambda ids: self.heard.append(("selection", ids)))
        canvas.verified_requested.connect(lambda: self.heard.append(("verified", None)))
        canvas.notice.connect(lambda text: self.heard.append(("notice", text)))

    def show(self, *regions: Region) -> None:
        self.regions = {region.id: region for region in regions}
        self.canvas.set_regions(regions)

    def all(self, kind: str) -> list:
        return [value for what, value in self.heard if what == kind]

    def _apply(self, edit: Edit) -> None:
        self.edits.append(edit)
        for change in edit.changes:
            if change.before is not None:
                assert self.regions.pop(change.before.id) == change.before
            if change.after is not None:
                assert change.after.id not in self.regions
                self.regions[change.after.id] = change.after
        self.canvas.set_regions(list(self.regions.values()))


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
    view.set_classes(CLASSES)
    view.set_image(Image(7, 1, "folder/photo.png", WIDTH, HEIGHT))
    view.show_picture([np.full((HEIGHT, WIDTH, 3), 128, np.uint8)], (WIDTH, HEIGHT))
    view.zoom_full()
    return view


@pytest.fixture
def shell(canvas):
    return Shell(canvas)


def at(canvas: CanvasView, x: float, y: float) -> QPoint:
    """Screen position of an image pixel."""
    left, top = canvas.view.to_screen(x, y)
    return QPoint(round(left), round(top))


def move(
    canvas: CanvasView, x: float, y: float, held: Qt.KeyboardModifier = NO, buttons: Qt.MouseButton = LEFT
) -> None:
    """A mouse move with modifiers and buttons, which QTest.mouseMove cannot send."""
    place = QPointF(at(canvas, x, y))
    event = QMouseEvent(QEvent.Type.MouseMove, place, canvas.mapToGlobal(place), Qt.MouseButton.NoButton, buttons, held)
    QGuiApplication.sendEvent(canvas, event)


def drag(canvas: CanvasView, start: tuple, *stops: tuple, held: Qt.KeyboardModifier = ALT, button=LEFT) -> None:
    """Press, move over the stops, release.  Without snapping unless told otherwise."""
    QTest.mousePress(canvas, button, held, at(canvas, *start))
    for stop in stops:
        move(canvas, *stop, held, button)
    QTest.mouseRelease(canvas, button, held, at(canvas, *stops[-1]))


def key(canvas: CanvasView, which: Qt.Key, held: Qt.KeyboardModifier = NO) -> None:
    QTest.keyClick(canvas, which, held)


def px(box: UnitBox) -> tuple[int, ...]:
    return tuple(round(v) for v in box.to_pixels(WIDTH, HEIGHT))


def wheel(canvas: CanvasView, x: float, y: float, delta: int) -> None:
    place = QPointF(at(canvas, x, y))
    event = QWheelEvent(
        place, canvas.mapToGlobal(place), QPoint(), QPoint(0, delta), Qt.MouseButton.NoButton, NO,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QGuiApplication.sendEvent(canvas, event)


class TestDrawing:
    def test_that_a_drag_with_r_asks_for_an_accepted_human_region(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        drag(canvas, (50, 60), (80, 90), (150, 160))
        (edit,) = shell.edits
        region = edit.changes[0].after
        assert px(region.box) == (50, 60, 150, 160)
        assert (region.id, region.image_id, region.origin, region.review) == (100, 7, Origin.HUMAN, Review.ACCEPTED)
        assert canvas.tool is Tool.SELECT
        assert canvas.selection == [100]

    def test_that_hits_can_follow_the_drawn_edge(self, canvas, shell):
        key(canvas, Qt.Key.Key_W)
        drag(canvas, (50, 60), (80, 90), (150, 160))
        boxes = [px(box) for box, region_id in shell.all("dragging") if region_id == 0]
        assert boxes == [(50, 60, 80, 90), (50, 60, 150, 160)]
        assert [(px(box), i) for box, i in shell.all("released")] == [((50, 60, 150, 160), 100)]

    def test_that_two_clicks_draw_too(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        QTest.mouseClick(canvas, LEFT, ALT, at(canvas, 50, 60))
        move(canvas, 100, 100, ALT, Qt.MouseButton.NoButton)
        QTest.mouseClick(canvas, LEFT, ALT, at(canvas, 120, 130))
        assert [px(edit.changes[0].after.box) for edit in shell.edits] == [(50, 60, 120, 130)]

    def test_that_a_right_to_left_drag_is_put_in_order(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        drag(canvas, (150, 160), (50, 60))
        assert px(shell.edits[0].changes[0].after.box) == (50, 60, 150, 160)

    def test_that_shift_draws_a_square(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        drag(canvas, (50, 60), (150, 70), held=SHIFT)
        assert px(shell.edits[0].changes[0].after.box) == (50, 60, 150, 160)

    def test_that_a_box_ends_at_the_image(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        drag(canvas, (350, 250), (WIDTH + 90, HEIGHT + 90))
        assert px(shell.edits[0].changes[0].after.box) == (350, 250, WIDTH, HEIGHT)

    def test_that_escape_forgets_a_half_drawn_box_then_the_tool_and_never_the_window(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        QTest.mousePress(canvas, LEFT, NO, at(canvas, 50, 60))
        move(canvas, 100, 100)
        key(canvas, Qt.Key.Key_Escape)
        QTest.mouseRelease(canvas, LEFT, NO, at(canvas, 100, 100))
        assert not shell.edits
        assert canvas.tool is Tool.BOX
        for _ in range(3):
            key(canvas, Qt.Key.Key_Escape)
        assert canvas.tool is Tool.SELECT
        assert canvas.isVisible()

    def test_that_a_half_drawn_box_survives_zoom_and_pan(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        QTest.mousePress(canvas, LEFT, ALT, at(canvas, 50, 60))
        move(canvas, 100, 100, ALT)
        wheel(canvas, 100, 100, 240)
        assert canvas.zoom == pytest.approx(1.44)
        QTest.keyPress(canvas, Qt.Key.Key_Space)
        move(canvas, 90, 90, ALT)
        move(canvas, 80, 70, ALT)
        QTest.keyRelease(canvas, Qt.Key.Key_Space)
        move(canvas, 150, 160, ALT)
        QTest.mouseRelease(canvas, LEFT, ALT, at(canvas, 150, 160))
        assert px(shell.edits[0].changes[0].after.box) == (50, 60, 150, 160)

    def test_that_n_repeats_tool_and_label_without_asking(self, canvas, shell):
        shell.show(SMALL)
        canvas.select([12])
        canvas.editor.relabel("striped", 3)
        key(canvas, Qt.Key.Key_N)
        drag(canvas, (200, 200), (260, 260))
        region = shell.edits[-1].changes[0].after
        assert (region.phrase, region.class_id) == ("striped", 3)
        assert canvas.phrase_editor.isHidden()

    def test_that_a_digit_labels_the_next_box(self, canvas, shell):
        key(canvas, Qt.Key.Key_2)  # the second class in use; the retired one has no digit
        key(canvas, Qt.Key.Key_R)
        drag(canvas, (200, 200), (260, 260))
        assert shell.edits[0].changes[0].after.class_id == 3

    def test_that_enter_puts_a_box_without_a_mouse(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        key(canvas, Qt.Key.Key_Return)
        assert px(shell.edits[0].changes[0].after.box) == (100, 75, 300, 225)

    def test_that_nobody_draws_on_a_picture_she_cannot_see(self, canvas, shell):
        canvas.show_missing()
        key(canvas, Qt.Key.Key_R)
        drag(canvas, (50, 60), (150, 160))
        assert not shell.edits
        assert shell.all("notice")

    def test_that_the_phrase_is_asked_for_after_drawing(self, canvas, shell):
        key(canvas, Qt.Key.Key_R)
        drag(canvas, (50, 60), (150, 160))
        assert canvas.phrase_editor.isVisible()
        QTest.keyClicks(canvas.phrase_editor.line, "a kite")
        QTest.keyClick(canvas.phrase_editor.line, Qt.Key.Key_Return)
        assert shell.regions[100].phrase == "a kite"
        assert canvas.hasFocus()


class TestSearchBox:
    def test_that_a_search_box_is_asked_for_and_not_stored(self, canvas, shell):
        key(canvas, Qt.Key.Key_Q)
        drag(canvas, (50, 60), (150, 160))
        assert [px(box) for box in shell.all("query")] == [(50, 60, 150, 160)]
        assert [px(box) for box, i in shell.all("released") if i == 0] == [(50, 60, 150, 160)]
        assert not shell.edits
        assert canvas.tool is Tool.SEARCH

    def test_that_hits_follow_its_edge(self, canvas, shell):
        canvas.set_query_box(UnitBox.from_pixels(50, 60, 150, 160, WIDTH, HEIGHT))
        key(canvas, Qt.Key.Key_Q)
        drag(canvas, (150, 110), (170, 110), (200, 120))
        assert [px(box) for box, _ in shell.all("dragging")] == [(50, 60, 170, 160), (50, 60, 200, 160)]
        assert [px(box) for box in shell.all("query")] == [(50, 60, 200, 160)]

    def test_that_arrows_move_it_and_ask_once(self, canvas, shell, qtbot):
        canvas.set_query_box(UnitBox.from_pixels(50, 60, 150, 160, WIDTH, HEIGHT))
        for _ in range(3):
            key(canvas, Qt.Key.Key_Right)
        with qtbot.waitSignal(canvas.query_box_requested, timeout=3000):
            key(canvas, Qt.Key.Key_Down, CTRL)
        assert [px(box) for box in shell.all("query")] == [(53, 60, 153, 161)]

    def test_that_escape_takes_it_away_after_the_tool(self, canvas, shell):
        key(canvas, Qt.Key.Key_Q)
        drag(canvas, (50, 60), (150, 160))
        key(canvas, Qt.Key.Key_Escape)
        assert canvas.query_box is not None
        key(canvas, Qt.Key.Key_Escape)
        assert canvas.query_box is None
        assert shell.all("cleared")

    def test_that_another_image_has_no_search_box(self, canvas):
        canvas.set_query_box(UnitBox(0.1, 0.1, 0.5, 0.5))
        canvas.set_image(Image(8, 1, "other.png", 50, 50))
        assert canvas.query_box is None


class TestSelecting:
    def test_that_the_smallest_box_wins_and_empty_space_selects_nothing(self, canvas, shell):
        shell.show(BIG, SMALL, FAR)
        QTest.mouseClick(canvas, LEFT, NO, at(canvas, 120, 90))
        assert canvas.selection == [12]
        QTest.mouseClick(canvas, LEFT, NO, at(canvas, 200, 180))
        assert canvas.selection == [11]
        QTest.mouseClick(canvas, LEFT, NO, at(canvas, 380, 20))
        assert canvas.selection == []
        assert shell.all("selection") == [[12], [11], []]

    def test_that_ctrl_and_shift_add_and_take_away(self, canvas, shell):
        shell.show(BIG, SMALL, FAR)
        QTest.mouseClick(canvas, LEFT, NO, at(canvas, 120, 90))
        QTest.mouseClick(canvas, LEFT, CTRL, at(canvas, 320, 240))
        assert canvas.selection == [12, 13]
        QTest.mouseClick(canvas, LEFT, SHIFT, at(canvas, 120, 90))
        assert canvas.selection == [13]

    def test_that_a_rubber_band_selects_what_lies_in_it(self, canvas, shell):
        shell.show(BIG, SMALL, FAR)
        drag(canvas, (250, 190), (390, 295), held=NO)
        assert canvas.selection == [13]
        drag(canvas, (30, 20), (250, 220), held=SHIFT)
        assert set(canvas.selection) == {11, 12, 13}

    def test_that_tab_goes_round(self, canvas, shell):
        shell.show(BIG, SMALL, FAR)
        seen = []
        for _ in range(4):
            key(canvas, Qt.Key.Key_Tab)
            seen += canvas.selection
        key(canvas, Qt.Key.Key_Backtab, SHIFT)
        assert seen + canvas.selection == [11, 12, 13, 11, 13]

    def test_that_selection_stays_by_identity(self, canvas, shell):
        shell.show(BIG, SMALL, FAR)
        canvas.select([12])
        shell.show(FAR, replace(SMALL, phrase="other"))
        assert canvas.selection == [12]
        shell.show(FAR)
        assert canvas.selection == []

    def test_that_hidden_boxes_cannot_be_hit(self, canvas, shell):
        shell.show(BIG)
        key(canvas, Qt.Key.Key_H)
        QTest.mouseClick(canvas, LEFT, NO, at(canvas, 200, 180))
        assert canvas.selection == []
        key(canvas, Qt.Key.Key_H)
        QTest.mouseClick(canvas, LEFT, NO, at(canvas, 200, 180))
        assert canvas.selection == [11]

    def test_that_holding_h_only_peeks(self, canvas, shell, monkeypatch):
        shell.show(BIG)
        now = iter([100.0, 100.9])
        monkeypatch.setattr("locstudio.ui.canvas.peek.monotonic", lambda: next(now))
        QTest.keyPress(canvas, Qt.Key.Key_H)
        assert canvas.is_hidden
        QTest.keyRelease(canvas, Qt.Key.Key_H)
        assert not canvas.is_hidden


class TestChanging:
    def test_that_a_drag_moves_and_the_machine_s_region_becomes_edited(self, canvas, shell):
        shell.show(BIG)
        drag(canvas, (200, 180), (220, 170))
        after = shell.edits[0].changes[0].after
        assert px(after.box) == (60, 20, 260, 200)
        assert after.origin is Origin.EDITED
        assert shell.edits[0].title == "Move box"

    def test_that_several_move_together_in_one_step(self, canvas, shell):
        shell.show(BIG, FAR)
        canvas.select([11, 13])
        drag(canvas, (200, 180), (600, 180))
        (edit,) = shell.edits
        assert edit.title == "Move 2 boxes"
        assert px(shell.regions[13].box) == (320, 210, 400, 270)  # stops at the edge
        assert px(shell.regions[11].box) == (80, 30, 280, 210)

    @pytest.mark.parametrize(
        ("start", "stop", "expected"),
        [
            ((280, 210), (300, 240), (300, 240, 360, 270)),
            ((320, 210), (300, 180), (280, 180, 360, 270)),
            ((360, 210), (380, 190), (280, 190, 380, 270)),
            ((360, 240), (380, 250), (280, 210, 380, 270)),
            ((360, 270), (370, 290), (280, 210, 370, 290)),
            ((320, 270), (300, 260), (280, 210, 360, 260)),
            ((280, 270), (260, 290), (260, 210, 360, 290)),
            ((280, 240), (250, 200), (250, 210, 360, 270)),
        ],
    )
    def test_that_eight_handles_resize(self, canvas, shell, start, stop, expected):
        shell.show(FAR)
        canvas.select([13])
        drag(canvas, start, stop)
        assert px(shell.regions[13].box) == expected
        assert shell.edits[0].title == "Resize box"

    def test_that_handles_have_cursors(self, canvas, shell):
        shell.show(FAR)
        canvas.select([13])
        for place, cursor in (
            ((280, 210), Qt.CursorShape.SizeFDiagCursor),
            ((360, 210), Qt.CursorShape.SizeBDiagCursor),
            ((280, 240), Qt.CursorShape.SizeHorCursor),
            ((320, 270), Qt.CursorShape.SizeVerCursor),
            ((320, 240), Qt.CursorShape.SizeAllCursor),
            ((20, 20), Qt.CursorShape.ArrowCursor),
        ):
            move(canvas, *place, NO, Qt.MouseButton.NoButton)
            assert canvas.cursor().shape() is cursor

    def test_that_edges_snap_to_other_boxes_unless_alt_is_held(self, canvas, shell):
        shell.show(BIG, FAR)  # the right edge of BIG is at 240, the left of FAR at 280
        canvas.select([13])
        drag(canvas, (280, 240), (243, 240), held=NO)
        assert shell.regions[13].box.x0 == pytest.approx(0.6)

    def test_that_escape_puts_a_dragged_box_back(self, canvas, shell):
        shell.show(FAR)
        QTest.mousePress(canvas, LEFT, NO, at(canvas, 320, 240))
        move(canvas, 200, 100)
        key(canvas, Qt.Key.Key_Escape)
        QTest.mouseRelease(canvas, LEFT, NO, at(canvas, 200, 100))
        assert not shell.edits

    def test_that_nudges_are_one_step(self, canvas, shell, qtbot):
        shell.show(FAR)
        canvas.select([13])
        key(canvas, Qt.Key.Key_Left)
        key(canvas, Qt.Key.Key_Up)
        assert not shell.edits
        with qtbot.waitSignal(canvas.edit_requested, timeout=3000):
            key(canvas, Qt.Key.Key_Up, SHIFT)
        assert len(shell.edits) == 1
        assert px(shell.regions[13].box) == (279, 199, 359, 259)
        assert [i for _, i in shell.all("dragging")] == [13, 13, 13]
        assert [px(box) for box, _ in shell.all("released")] == [(279, 199, 359, 259)]

    def test_that_ctrl_arrows_resize(self, canvas, shell):
        shell.show(FAR)
        canvas.select([13])
        key(canvas, Qt.Key.Key_Right, CTRL)
        key(canvas, Qt.Key.Key_Up, CTRL | SHIFT)
        canvas.flush()
        assert px(shell.regions[13].box) == (280, 210, 361, 260)
        assert shell.edits[0].title == "Resize box"

    def test_that_pending_nudges_are_asked_for_before_the_next_image(self, canvas, shell):
        shell.show(FAR)
        canvas.select([13])
        key(canvas, Qt.Key.Key_Left)
        canvas.set_image(Image(8, 1, "other.png", 50, 50))
        assert px(shell.regions[13].box) == (279, 210, 359, 270)

    def test_that_a_click_asks_for_nothing(self, canvas, shell):
        shell.show(FAR)
        QTest.mouseClick(canvas, LEFT, NO, at(canvas, 320, 240))
        QTest.mouseClick(canvas, LEFT, NO, at(canvas, 360, 270))
        assert not shell.edits

    def test_that_delete_spares_the_locked_and_says_so(self, canvas, shell):
        shell.show(BIG, replace(SMALL, is_locked=True))
        canvas.select([11, 12])
        key(canvas, Qt.Key.Key_Delete)
        assert list(shell.regions) == [12]
        assert any("locked" in text for text in shell.all("notice"))

    def test_that_l_locks_and_unlocks(self, canvas, shell):
        shell.show(BIG)
        canvas.select([11])
        key(canvas, Qt.Key.Key_L)
        assert shell.regions[11].is_locked
        assert shell.regions[11].origin is Origin.MODEL
        drag(canvas, (200, 180), (220, 200))
        assert len(shell.edits) == 1
        key(canvas, Qt.Key.Key_L)
        assert not shell.regions[11].is_locked

    def test_that_ctrl_d_duplicates_aside(self, canvas, shell):
        shell.show(SMALL)
        canvas.select([12])
        key(canvas, Qt.Key.Key_D, CTRL)
        copy = shell.regions[100]
        assert px(copy.box) == (90, 70, 170, 130)
        assert (copy.phrase, copy.class_id, copy.origin) == ("small", 3, Origin.HUMAN)
        assert canvas.selection == [100]

    def test_that_copies_go_to_another_image_at_the_same_place(self, canvas, shell):
        shell.show(BIG, SMALL)
        canvas.select([11, 12])
        key(canvas, Qt.Key.Key_C, CTRL)
        canvas.set_image(Image(8, 1, "other.png", 50, 50))
        shell.show()
        canvas.show_picture([np.zeros((50, 50, 3), np.uint8)], (50, 50))
        key(canvas, Qt.Key.Key_V, CTRL)
        assert [(r.image_id, r.box, r.phrase, r.class_id) for r in shell.regions.values()] == [
            (8, BIG.box, BIG.phrase, 1),
            (8, SMALL.box, SMALL.phrase, 3),
        ]

    def test_that_foreign_text_on_the_clipboard_is_no_box(self, canvas, shell):
        QGuiApplication.clipboard().setText("[1, 2, 3]")
        key(canvas, Qt.Key.Key_V, CTRL)
        assert not shell.edits
        assert shell.all("notice")

    def test_that_digits_relabel_the_selection(self, canvas, shell):
        shell.show(BIG, SMALL)
        canvas.select([11, 12])
        key(canvas, Qt.Key.Key_2)
        assert [r.class_id for r in shell.regions.values()] == [3, 3]
        key(canvas, Qt.Key.Key_9)
        assert "no class 9" in shell.all("notice")[-1]

    def test_that_c_and_x_give_a_verdict_and_take_it_back(self, canvas, shell):
        shell.show(BIG)
        canvas.select([11])
        verdicts = []
        for which in (Qt.Key.Key_C, Qt.Key.Key_X, Qt.Key.Key_X):
            key(canvas, which)
            verdicts.append(shell.regions[11].review)
        assert verdicts == [Review.ACCEPTED, Review.REJECTED, Review.PENDING]
        assert shell.regions[11].origin is Origin.MODEL

    def test_that_ctrl_enter_says_verified(self, canvas, shell):
        key(canvas, Qt.Key.Key_Return, CTRL)
        assert shell.all("verified")

    @pytest.mark.parametrize("how", ["return", "ctrl_e", "double_click"])
    def test_that_the_phrase_editor_opens(self, canvas, shell, how):
        shell.show(SMALL)
        canvas.select([12])
        if how == "double_click":
            QTest.mouseDClick(canvas, LEFT, NO, at(canvas, 120, 90))
        else:
            key(canvas, *((Qt.Key.Key_Return, NO) if how == "return" else (Qt.Key.Key_E, CTRL)))
        assert canvas.phrase_editor.isVisible()
        canvas.phrase_editor.line.setText("<i>new</i>")
        QTest.keyClick(canvas.phrase_editor.line, Qt.Key.Key_Return)
        assert shell.regions[12].phrase == "<i>new</i>"

    def test_that_a_typed_phrase_reaches_its_box_when_she_turns_elsewhere(self, canvas, shell, qtbot):
        shell.show(SMALL, FAR)
        canvas.select([12])
        key(canvas, Qt.Key.Key_Return)
        QTest.keyClicks(canvas.phrase_editor.line, "typed")
        canvas.editor.select([13])
        canvas.phrase_editor.line.clearFocus()
        assert canvas.phrase_editor.isHidden()
        assert (shell.regions[12].phrase, shell.regions[13].phrase) == ("typed", "")

    def test_that_a_refused_edit_disappears(self, canvas):
        canvas.set_regions([FAR])
        canvas.edit_requested.connect(lambda _edit: canvas.set_regions([FAR]))
        canvas.select([13])
        key(canvas, Qt.Key.Key_Delete)
        assert canvas.editor.boxes.regions == (FAR,)


class TestLooking:
    def test_that_keys_zoom(self, canvas):
        zooms = []
        for which, held in (
            (Qt.Key.Key_Plus, CTRL),
            (Qt.Key.Key_Minus, CTRL),
            (Qt.Key.Key_F, NO),
            (Qt.Key.Key_0, CTRL),
        ):
            key(canvas, which, held)
            zooms.append(canvas.zoom)
        assert zooms == pytest.approx([1.25, 1.0, min(768 / 400, 568 / 300), 1.0])
        key(canvas, Qt.Key.Key_F, SHIFT)
        assert canvas.zoom == pytest.approx(768 / 400)

    def test_that_a_fitted_picture_follows_the_window(self, canvas):
        canvas.fit()
        canvas.resize(432, 332)
        assert canvas.zoom == pytest.approx(1.0)

    def test_that_the_wheel_zooms_at_the_cursor(self, canvas):
        before = at(canvas, 300, 200)
        wheel(canvas, 300, 200, 360)
        assert at(canvas, 300, 200) == before
        assert canvas.zoom == pytest.approx(1.2**3)

    @pytest.mark.parametrize("button", [LEFT, MIDDLE])
    def test_that_middle_drag_and_space_drag_pan(self, canvas, shell, button):
        shell.show(BIG)
        before = at(canvas, 0, 0)
        if button is LEFT:
            QTest.keyPress(canvas, Qt.Key.Key_Space)
        QTest.mousePress(canvas, button, NO, QPoint(400, 300))
        QTest.mouseMove(canvas, QPoint(430, 280))
        place = QPointF(430, 280)
        QGuiApplication.sendEvent(
            canvas,
            QMouseEvent(QEvent.Type.MouseMove, place, place, Qt.MouseButton.NoButton, button, NO),
        )
        QTest.mouseRelease(canvas, button, NO, QPoint(430, 280))
        QTest.keyRelease(canvas, Qt.Key.Key_Space)
        assert at(canvas, 0, 0) - before == QPoint(30, -20)
        assert canvas.selection == []
        assert not canvas.is_panning

    def test_that_the_pointer_is_told_in_image_pixels(self, canvas, qtbot):
        told = []
        canvas.pointer_moved.connect(told.append)
        move(canvas, 12.5, 34.5, NO, Qt.MouseButton.NoButton)
        move(canvas, -20, 5, NO, Qt.MouseButton.NoButton)
        assert told == [(12, 34), None]

    @pytest.mark.parametrize("size", [(1, 1), (30_000, 1), (1, 30_000)])
    def test_that_extreme_shapes_open_zoom_and_take_a_box(self, canvas, shell, size):
        width, height = size
        canvas.set_image(Image(9, 1, "thin.png", width, height))
        shell.show()
        canvas.show_preview(np.zeros((1, 1, 3), np.uint8), size)
        canvas.show_picture([np.full((height, width, 3), 200, np.uint8)], size)
        for command in (
            CanvasCommand.FIT_WIDTH,
            CanvasCommand.FIT,
            CanvasCommand.ZOOM_FULL,
            *[CanvasCommand.ZOOM_IN] * 30,
        ):
            canvas.run(command)
            assert not canvas.grab().isNull()
        for _ in range(60):
            canvas.run(CanvasCommand.ZOOM_OUT)
        assert not canvas.grab().isNull()
        canvas.run(CanvasCommand.FIT)
        canvas.run(CanvasCommand.DRAW)
        drag(canvas, (0, 0), (width + 200, height + 200))
        assert shell.edits[0].changes[0].after.box == UnitBox(0, 0, 1, 1)
        assert not canvas.grab().isNull()

    def test_that_a_thin_picture_is_seen_at_fit(self, canvas):
        canvas.set_image(Image(9, 1, "thin.png", 30_000, 1))
        canvas.show_picture([np.full((1, 30_000, 3), (255, 0, 0), np.uint8)], (30_000, 1))
        shot = canvas.grab().toImage()
        column = [shot.pixelColor(400, y).red() for y in range(shot.height())]
        assert max(column) > 200

    def test_that_pixels_are_squares_above_200_percent(self, canvas):
        rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        rgb[:, ::2] = 255
        canvas.show_picture([rgb], (WIDTH, HEIGHT))
        canvas.zoom_by(8.0)
        shot = canvas.grab().toImage()
        levels = {shot.pixelColor(x, 300).red() for x in range(100, 700)}
        assert levels == {0, 255}

    def test_that_the_colours_of_the_picture_arrive_unchanged_at_100_percent(self, canvas):
        rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        canvas.show_picture([rgb], (WIDTH, HEIGHT))
        shot, corner = canvas.grab().toImage(), at(canvas, 0, 0)
        for x, y in ((0, 0), (17, 5), (399, 299)):
            color = shot.pixelColor(corner.x() + x, corner.y() + y)
            assert (color.red(), color.green(), color.blue()) == tuple(rgb[y, x])

    def test_that_a_pyramid_made_elsewhere_is_taken_as_it_is(self, canvas):
        levels = [np.zeros((300 // k, 400 // k, 3), np.uint8) for k in (1, 2, 4)]
        canvas.show_picture(Picture.from_arrays(levels, (WIDTH, HEIGHT)), (WIDTH, HEIGHT))
        assert canvas.has_picture

    def test_that_a_late_preview_does_not_cover_the_picture(self, canvas):
        canvas.show_picture([np.full((HEIGHT, WIDTH, 3), 255, np.uint8)], (WIDTH, HEIGHT))
        canvas.show_preview(np.zeros((2, 2, 3), np.uint8), (WIDTH, HEIGHT))
        assert canvas.grab().toImage().pixelColor(400, 300).red() == 255

    def test_that_boxes_stay_in_place_when_the_true_size_differs(self, canvas, shell):
        shell.show(BIG)
        canvas.set_query_box(UnitBox(0.5, 0.5, 1, 1))
        canvas.show_picture([np.zeros((600, 800, 3), np.uint8)], (800, 600))
        assert canvas.editor.boxes.boxes_px[0] == pytest.approx([80, 60, 480, 420])
        assert canvas.query_box == UnitBox(0.5, 0.5, 1, 1)

    @pytest.mark.parametrize("problem", [Problem.MISSING, Problem.UNREADABLE, Problem.TOO_LARGE, Problem.DAMAGED])
    def test_that_images_with_problems_are_shown_honestly(self, canvas, problem):
        for width, height in ((WIDTH, HEIGHT), (0, 0)):
            canvas.set_image(Image(9, 1, "x.png", width, height, problem=problem, note="<b>Why</b>"))
            canvas.set_regions([BIG])
            assert not canvas.has_picture
            assert not canvas.grab().isNull()

    def test_that_all_looks_can_be_painted(self, canvas, shell):
        shell.show(BIG, SMALL, FAR, replace(FAR, id=14, is_locked=True, phrase="<script>\n\x07" + "long " * 80))
        canvas.set_marks([BIG.box, SMALL.box], ["0.91 <i>hit</i>", ""])
        canvas.set_query_box(SMALL.box)
        for ids in ([], [14], [11, 12, 13]):
            canvas.select(ids)
            assert not canvas.grab().isNull()
        with pytest.raises(ValueError):
            canvas.set_marks([BIG.box], ["a", "b"])

    def test_that_hovering_repaints_no_layer(self, canvas, shell):
        shell.show(BIG, SMALL, FAR)
        canvas.grab()
        layers = []
        canvas.paint_layer = layers.append
        for x, y in ((120, 90), (200, 180), (320, 240), (390, 290)):
            move(canvas, x, y, NO, Qt.MouseButton.NoButton)
            canvas.select([11])
            canvas.grab()
        assert not layers

    def test_that_the_canvas_says_what_it_shows(self, canvas, shell):
        shell.show(BIG, SMALL)
        canvas.select([12])
        assert canvas.accessibleName() == "Image canvas"
        assert "photo.png: 2 boxes, 1 selected. small" in canvas.accessibleDescription()

    def test_that_held_keys_are_not_the_windows(self, canvas):
        for which in (Qt.Key.Key_Space, Qt.Key.Key_H, Qt.Key.Key_Left, Qt.Key.Key_5):
            event = QKeyEvent(QEvent.Type.ShortcutOverride, which, NO)
            event.ignore()
            QGuiApplication.sendEvent(canvas, event)
            assert event.isAccepted()
        event = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_R, NO)
        event.ignore()
        QGuiApplication.sendEvent(canvas, event)
        assert not event.isAccepted()
