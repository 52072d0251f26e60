"""The canvas pass in a real window: pending regions one after another by one key each, image after image."""

from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, QPoint, QRect, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QWidget

from locstudio.domain.edits import Edit, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Origin, Region, Review
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.canvas.view import Fit
from locstudio.ui.curation.canvas_pass import CanvasPass
from locstudio.ui.curation.pass_bar import PassBar
from locstudio.ui.curation.pass_source import TAKE_IN, Suggested, taken
from locstudio.ui.curation.suggestion_chips import SuggestionChips

RAW = UnitBox(0.42, 0.42, 0.47, 0.48)  # small enough to be shown from near


class Source:
    """What a pool would say, read from the dataset: one raw proposal waits in every image of ``raw``."""

    def __init__(self, dataset, raw=()):
        self.dataset = dataset
        self.raw = set(raw)
        self.taken = []

    def pending_images(self):
        ids = self.dataset.image_ids().tolist()
        regions = self.dataset.regions_of_images(ids)
        return [i for i in ids if i in self.raw or any(r.review is Review.PENDING for r in regions[i])]

    def take_in(self, image_id):
        if image_id not in self.raw:
            return None

        def make():
            self.taken.append(image_id)
            region = Region(
                self.dataset.next_region_id(), image_id, RAW, "a small bird", None, Review.PENDING, Origin.MODEL, 0.4
            )
            return Edit(TAKE_IN, (RegionChange(None, region),))

        return make

    def in_order(self, regions):
        return [region.id for region in regions]

    def suggestions(self, region):
        return [Suggested("a horse", None, 0.8), Suggested(region.phrase, None, 0.7), Suggested("a <b>cow</b>", 1, 0.1)]


@pytest.fixture
def started(desk, qtbot):
    """The pass on the desk, begun in the first image."""
    source = Source(desk.opened.dataset)
    bar = PassBar()
    desk.workspace.set_canvas_bar(bar)
    made = CanvasPass(desk.canvas, desk.browsing, desk.opening, desk.editing, bar, source, desk)
    made.source = source
    made.start()
    qtbot.waitUntil(lambda: made.current is not None and desk.canvas.has_picture)
    yield made
    made.close()


def press(desk, qtbot, key, modifiers=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(desk.canvas, key, modifiers)


def wait_for(started, desk, qtbot, *, image, phrase):
    """Until the keys are about the region with this phrase in the image with this number."""
    qtbot.waitUntil(
        lambda: (
            desk.browsing.image.name == f"picture_{image}.png"
            and started.current is not None
            and started.current.phrase == phrase
            and desk.canvas.has_picture
            and desk.editing.is_idle
        )
    )


def reviews_of(desk, image_id=None):
    regions = desk.opened.dataset.regions_of(image_id or desk.browsing.image.id)
    return [region.review for region in regions]


def test_that_one_key_decides_and_goes_on_to_the_next_region_and_then_the_next_image(started, desk, qtbot):
    first = desk.browsing.image.id
    assert started.bar.text == "Image 1 of 8  ·  Region 1 of 2"
    assert desk.canvas.selection == [started.current.id]
    press(desk, qtbot, Qt.Key.Key_Return)
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    assert started.bar.text == "Image 1 of 8  ·  Region 2 of 2"
    press(desk, qtbot, Qt.Key.Key_X)
    wait_for(started, desk, qtbot, image=1, phrase="a brown dog")
    assert started.bar.text == "Image 2 of 8  ·  Region 1 of 2"
    assert reviews_of(desk, first) == [Review.ACCEPTED, Review.REJECTED]


def test_that_c_accepts_as_enter_does_and_space_leaves_a_region_as_it_is(started, desk, qtbot):
    first = desk.browsing.image.id
    press(desk, qtbot, Qt.Key.Key_Space)
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    press(desk, qtbot, Qt.Key.Key_C)
    wait_for(started, desk, qtbot, image=1, phrase="a brown dog")
    assert reviews_of(desk, first) == [Review.PENDING, Review.ACCEPTED]


def test_that_backspace_goes_back_also_into_the_image_before_and_deletes_nothing(started, desk, qtbot):
    first = desk.browsing.image.id
    press(desk, qtbot, Qt.Key.Key_C)
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    press(desk, qtbot, Qt.Key.Key_C)
    wait_for(started, desk, qtbot, image=1, phrase="a brown dog")
    press(desk, qtbot, Qt.Key.Key_Backspace)
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    assert started.bar.text == "Image 1 of 8  ·  Region 2 of 2"
    press(desk, qtbot, Qt.Key.Key_X)  # she has thought better of it
    wait_for(started, desk, qtbot, image=1, phrase="a brown dog")
    assert reviews_of(desk, first) == [Review.ACCEPTED, Review.REJECTED]


def test_that_a_digit_takes_the_suggestion_and_accepts_in_one_step(started, desk, qtbot):
    qtbot.waitUntil(lambda: len(started.chips.texts) == 3)
    assert started.chips.texts[2] == "3  a <b>cow</b>  0.10"
    region_id = started.current.id
    corrected = []
    started.corrected.connect(lambda old, new: corrected.append((old.phrase, new.phrase)))
    press(desk, qtbot, Qt.Key.Key_1)
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    (region,) = desk.opened.dataset.regions([region_id])
    assert (region.phrase, region.review, region.origin) == ("a horse", Review.ACCEPTED, Origin.EDITED)
    assert corrected == [("a brown dog", "a horse")]
    assert desk.opened.dataset.history()[0].title == "Relabel box: a horse"
    qtbot.waitUntil(lambda: len(started.chips.texts) == 3)
    press(desk, qtbot, Qt.Key.Key_5)  # there is no fifth
    assert started.current.phrase == "a red car"


def test_that_an_image_on_its_way_is_not_skipped_unseen(started, desk, qtbot):
    press(desk, qtbot, Qt.Key.Key_C)
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    press(desk, qtbot, Qt.Key.Key_C)
    for _ in range(3):  # she is faster than the disk
        if started.current is None:
            press(desk, qtbot, Qt.Key.Key_Space)
    wait_for(started, desk, qtbot, image=1, phrase="a brown dog")


def test_that_a_locked_box_keeps_its_name(started, desk, qtbot):
    qtbot.waitUntil(lambda: bool(started.suggested))
    press(desk, qtbot, Qt.Key.Key_L)
    with qtbot.waitSignal(started.said) as said:
        press(desk, qtbot, Qt.Key.Key_1)
    assert said.args[0].startswith("A locked box keeps its name.")
    assert started.current.phrase == "a brown dog"


def test_that_a_chip_can_be_clicked(started, desk, qtbot):
    qtbot.waitUntil(lambda: len(started.chips.texts) == 3)
    region_id = started.current.id
    qtbot.mouseClick(started.chips, Qt.MouseButton.LeftButton, pos=started.chips.row_rect(0).center())
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    assert desk.opened.dataset.regions([region_id])[0].phrase == "a horse"
    assert desk.canvas.hasFocus()


def test_that_entering_an_image_takes_its_proposals_in_as_no_persons_work(desk, qtbot):
    ids = desk.opened.dataset.image_ids().tolist()
    source = Source(desk.opened.dataset, raw=ids[:2])
    bar = PassBar()
    desk.workspace.set_canvas_bar(bar)
    made = CanvasPass(desk.canvas, desk.browsing, desk.opening, desk.editing, bar, source, desk)
    made.start()
    wait_for(made, desk, qtbot, image=0, phrase="a brown dog")
    qtbot.waitUntil(lambda: bar.text == "Image 1 of 8  ·  Region 1 of 3")
    step = desk.opened.dataset.history()[0]
    assert (step.title, step.actor) == (TAKE_IN, "vesl")
    for key in (Qt.Key.Key_C, Qt.Key.Key_C):
        press(desk, qtbot, key)
    wait_for(made, desk, qtbot, image=0, phrase="a small bird")
    assert desk.canvas._fit is Fit.FREE  # a small one is shown from near
    rect = desk.canvas.screen_rect(made.current.id)
    assert max(rect.width(), rect.height()) > 100
    assert desk.canvas.rect().contains(rect.center())
    press(desk, qtbot, Qt.Key.Key_F)
    assert desk.canvas._fit is Fit.WHOLE
    press(desk, qtbot, Qt.Key.Key_X)
    wait_for(made, desk, qtbot, image=1, phrase="a brown dog")
    assert source.taken == ids[:2]
    made.close()


def test_that_undo_takes_back_what_she_did_and_not_what_the_pass_took_in(desk, qtbot):
    ids = desk.opened.dataset.image_ids().tolist()
    source = Source(desk.opened.dataset, raw=[ids[1]])
    bar = PassBar()
    desk.workspace.set_canvas_bar(bar)
    made = CanvasPass(desk.canvas, desk.browsing, desk.opening, desk.editing, bar, source, desk)
    made.start()
    wait_for(made, desk, qtbot, image=0, phrase="a brown dog")
    press(desk, qtbot, Qt.Key.Key_C)
    wait_for(made, desk, qtbot, image=0, phrase="a red car")
    press(desk, qtbot, Qt.Key.Key_X)
    wait_for(made, desk, qtbot, image=1, phrase="a brown dog")
    qtbot.waitUntil(lambda: bar.text.endswith("of 3"))
    press(desk, qtbot, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    wait_for(made, desk, qtbot, image=0, phrase="a red car")
    assert reviews_of(desk, ids[0]) == [Review.ACCEPTED, Review.PENDING]
    assert len(desk.opened.dataset.regions_of(ids[1])) == 2  # raw again
    press(desk, qtbot, Qt.Key.Key_C)
    wait_for(made, desk, qtbot, image=1, phrase="a brown dog")
    qtbot.waitUntil(lambda: bar.text.endswith("of 3"))
    made.close()


def test_that_the_rest_of_an_image_is_rejected_in_one_step(started, desk, qtbot):
    first = desk.browsing.image.id
    press(desk, qtbot, Qt.Key.Key_X, Qt.KeyboardModifier.ShiftModifier)
    wait_for(started, desk, qtbot, image=1, phrase="a brown dog")
    assert reviews_of(desk, first) == [Review.REJECTED, Review.REJECTED]
    assert desk.opened.dataset.history()[0].title == "Reject 2 boxes"
    press(desk, qtbot, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    wait_for(started, desk, qtbot, image=0, phrase="a brown dog")
    assert reviews_of(desk, first) == [Review.PENDING, Review.PENDING]
    press(desk, qtbot, Qt.Key.Key_C)
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    press(desk, qtbot, Qt.Key.Key_X, Qt.KeyboardModifier.ShiftModifier)  # what is decided stays
    wait_for(started, desk, qtbot, image=1, phrase="a brown dog")
    assert reviews_of(desk, first) == [Review.ACCEPTED, Review.REJECTED]


def test_that_a_click_on_another_region_that_waits_makes_it_the_current_one(started, desk, qtbot):
    canvas = desk.canvas
    other = next(region for region in canvas.editor.boxes.regions if region.phrase == "a red car")
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas.screen_rect(other.id).center())
    assert started.current.id == other.id
    press(desk, qtbot, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: desk.editing.is_idle)
    assert desk.opened.dataset.regions([other.id])[0].review is Review.ACCEPTED


def test_that_a_held_key_decides_once(started, desk, qtbot):
    for _ in range(5):
        repeat = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier, "\r", autorep=True)
        QApplication.sendEvent(desk.canvas, repeat)
    assert set(reviews_of(desk)) == {Review.PENDING}


def test_that_nothing_is_decided_of_what_is_not_on_the_screen(started, desk, qtbot):
    desk.canvas.begin(desk.canvas.showing.MISSING, (96, 64), "gone")
    assert not desk.canvas.has_picture
    press(desk, qtbot, Qt.Key.Key_X)
    press(desk, qtbot, Qt.Key.Key_1)
    assert set(reviews_of(desk)) == {Review.PENDING}
    press(desk, qtbot, Qt.Key.Key_Space)  # but it can be skipped
    assert started.current.phrase == "a red car"


def test_that_escape_goes_one_step_back_at_a_time_and_gives_the_canvas_back(started, desk, qtbot):
    press(desk, qtbot, Qt.Key.Key_R)
    assert desk.canvas.tool is Tool.BOX
    press(desk, qtbot, Qt.Key.Key_Escape)
    assert desk.canvas.tool is Tool.SELECT
    assert started.is_on
    press(desk, qtbot, Qt.Key.Key_Escape)
    assert not started.is_on
    assert started.bar.isHidden()
    assert started.chips.isHidden()
    press(desk, qtbot, Qt.Key.Key_Return)  # the canvas's own meaning again
    assert desk.canvas.phrase_editor.isVisible()
    desk.canvas.phrase_editor.cancel()


def test_that_a_box_that_was_drawn_in_the_pass_is_kept_and_the_pass_goes_on(started, desk, qtbot):
    press(desk, qtbot, Qt.Key.Key_R)
    canvas = desk.canvas
    (x0, y0), (x1, y1) = canvas.view.to_screen(20, 5), canvas.view.to_screen(40, 25)
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(round(x0), round(y0)))
    qtbot.mouseMove(canvas, QPoint(round(x1), round(y1)))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(round(x1), round(y1)))
    assert canvas.phrase_editor.isVisible()
    qtbot.keyClicks(canvas.phrase_editor.line, "a cow")
    qtbot.keyClick(canvas.phrase_editor.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(reviews_of(desk)) == 3 and desk.editing.is_idle)
    press(desk, qtbot, Qt.Key.Key_C)
    wait_for(started, desk, qtbot, image=0, phrase="a red car")
    assert Review.ACCEPTED in reviews_of(desk)


def test_that_the_image_is_verified_and_the_next_one_follows(started, desk, qtbot):
    first = desk.browsing.image.id
    press(desk, qtbot, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    wait_for(started, desk, qtbot, image=1, phrase="a brown dog")
    assert desk.opened.dataset.image(first).is_verified


def test_that_the_pass_ends_by_itself_and_says_what_was_skipped(started, desk, qtbot):
    said = []
    started.said.connect(said.append)
    press(desk, qtbot, Qt.Key.Key_Space)
    for number in range(1, 16):
        wait_for(started, desk, qtbot, image=number // 2, phrase="a red car" if number % 2 else "a brown dog")
        press(desk, qtbot, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: not started.is_on)
    assert said == ["The pass is through. 1 image still have something to review."]


def test_that_nothing_to_review_is_said(desk, qtbot):
    source = Source(desk.opened.dataset)
    source.pending_images = list
    made = CanvasPass(desk.canvas, desk.browsing, desk.opening, desk.editing, PassBar(desk.canvas), source, desk)
    with qtbot.waitSignal(made.said) as said:
        made.start()
    assert said.args == ["Nothing waits for review."]
    assert not made.is_on
    made.close()


def test_that_a_suggestion_of_a_class_alone_keeps_the_class_where_it_names_none():
    region = Region(3, 1, RAW, "a dog", 2, caption_id=5, caption_span=(0, 5))
    assert taken(region, Suggested("a dog", 4, 0.5)) == replace(region, class_id=4, review=Review.ACCEPTED)
    other = taken(region, Suggested("a cat", None, 0.5))
    assert (other.class_id, other.caption_id, other.caption_span) == (2, None, None)


@pytest.mark.parametrize(
    ("box", "side"), [((10, 10, 40, 40), "right"), ((540, 10, 50, 50), "left"), ((5, 5, 590, 390), "inside")]
)
def test_that_the_chips_stand_beside_the_box_and_never_outside_the_canvas(qtbot, desk, box, side):
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.resize(600, 400)
    chips = SuggestionChips(parent)
    chips.place_beside(QRect(*box))
    chips.set_suggestions([("a horse", 0.5), ("a very long phrase that goes on and on and on and on", 0.2)])
    rect = QRect(*box)
    assert parent.rect().contains(chips.geometry())
    assert {
        "right": chips.x() > rect.right(),
        "left": chips.geometry().right() < rect.left(),
        "inside": rect.contains(chips.geometry()),
    }[side]


def test_that_a_long_phrase_is_cut_to_the_room_of_the_bar(qtbot):
    bar = PassBar()
    qtbot.addWidget(bar)
    bar.resize(520, 60)
    bar.show()
    bar.show_place(3, 1_000, 12, 40)
    bar.show_detail("an extremely <b>long</b> phrase " * 6)
    assert bar._detail.text().startswith("an extremely <b>")
    assert bar._detail.text().endswith("…")
    bar.show_detail("a dog")
    assert bar._detail.text() == "a dog"
