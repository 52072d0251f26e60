"""The whole window on a small project: browse, edit, search, close."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from locstudio.domain.edits import delete_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Problem
from locstudio.services.collection import new_project
from locstudio.services.search import SearchService
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.canvas.box_tool import Tool
from locstudio.ui.project_loading import call_owner
from locstudio.ui.search.hits_model import HIT_ROLE
from locstudio.ui.workspace import Panel


def point(desk, x: float, y: float) -> QPoint:
    width, height = desk.canvas.image_size
    left, top = desk.canvas.view.to_screen(x * width, y * height)
    return QPoint(round(left), round(top))


def drag(desk, qtbot, start, end, *, steps=6, release=True):
    canvas = desk.canvas
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=point(desk, *start))
    for step in range(1, steps + 1):
        share = step / steps
        x, y = (a + (b - a) * share for a, b in zip(start, end, strict=True))
        qtbot.mouseMove(canvas, point(desk, x, y))
    if release:
        qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=point(desk, *end))


def regions_on_disk(sample, image_id):
    with Dataset.open(sample.project, read_only=True) as dataset:
        return dataset.regions_of(image_id)


def test_that_the_title_says_which_image_of_how_many_is_open(studio, desk):
    assert studio.window.windowTitle() == "picture_0.png (1 / 8) - farm - LocStudio"
    assert desk.filter_bar._count.text() == "8 images"


def test_that_keys_go_from_image_to_image_and_stop_at_the_ends(studio, desk, qtbot):
    qtbot.keyClick(studio.window, Qt.Key.Key_D)
    assert desk.browsing.place == (2, 8)
    qtbot.keyClick(studio.window, Qt.Key.Key_PageDown)
    assert desk.browsing.place == (3, 8)
    for _ in range(4):
        qtbot.keyClick(studio.window, Qt.Key.Key_A)
    assert desk.browsing.place == (1, 8)


def test_that_verifying_is_saved_and_goes_on(studio, desk, sample, qtbot):
    first = desk.browsing.image.id
    qtbot.keyClick(desk.canvas, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert desk.browsing.place == (2, 8)
    qtbot.waitUntil(lambda: desk.gallery.model().item_of(first).image.is_verified)
    with Dataset.open(sample.project, read_only=True) as dataset:
        assert dataset.image(first).is_verified


def test_that_the_next_unreviewed_image_skips_the_verified_ones(studio, desk, qtbot):
    for _ in range(2):
        desk.verify_and_next()
    qtbot.waitUntil(lambda: desk.editing._num_waiting == 0)
    desk.browsing.open_image(int(desk.gallery.model().ids[0]))
    desk.browsing.step_unreviewed(1)
    qtbot.waitUntil(lambda: desk.browsing.place == (3, 8))


def test_that_hits_follow_a_box_under_the_mouse_and_settle_on_release(desk, qtbot):
    results = []
    desk.searching._latest.arrived.connect(results.append)
    desk.canvas.set_tool(Tool.SEARCH)
    drag(desk, qtbot, (0.05, 0.1), (0.45, 0.75), release=False)
    qtbot.waitUntil(lambda: any(result.query.is_preview for result in results))
    with qtbot.waitSignal(desk.searching.searched):
        qtbot.mouseRelease(desk.canvas, Qt.MouseButton.LeftButton, pos=point(desk, 0.45, 0.75))
    hits = desk.search.hits
    assert hits
    assert hits[0].phrase == "a brown dog"
    assert desk.search._phrases.phrases[0][0] == "a brown dog"
    assert desk.search._title.text() == "Search box in picture_0.png"


def test_that_typed_words_find_regions(studio, desk, qtbot):
    with qtbot.waitSignal(desk.searching.searched):
        studio.window.top.field.setText("a red car")
        qtbot.keyClick(studio.window.top.field, Qt.Key.Key_Return)
    assert desk.search.hits
    assert desk.search._title.text() == "a red car"


def test_that_words_without_a_wanted_one_are_explained(desk):
    desk.search_words("-truck")
    assert "what to look for" in desk.search._hint.text()


def test_that_a_hit_opens_its_image_and_selects_its_region(desk, qtbot):
    with qtbot.waitSignal(desk.searching.searched):
        desk.searching.search_box(UnitBox(0.55, 0.3, 0.9, 0.8))
    hit = next(hit for hit in desk.search.hits if hit.image.id != desk.browsing.image.id)
    desk.search.hit_chosen.emit(hit)
    qtbot.waitUntil(lambda: desk.canvas.selection == [hit.region_id])
    assert desk.browsing.image.id == hit.image.id


def test_that_m_searches_for_more_like_the_selected_region(studio, desk, qtbot):
    desk.canvas.select([desk.canvas.editor.boxes.regions[1].id])
    with qtbot.waitSignal(desk.searching.searched) as searched:
        qtbot.keyClick(studio.window, Qt.Key.Key_M)
    assert searched.args[0].region_id == desk.canvas.selection[0]
    assert desk.canvas.selection[0] not in [hit.region_id for hit in desk.search.hits]


def test_that_m_on_a_hit_searches_for_more_like_it(studio, desk, qtbot):
    with qtbot.waitSignal(desk.searching.searched):
        desk.searching.search_box(UnitBox(0.1, 0.2, 0.4, 0.7))
    view = desk.search.hits_view
    view.setCurrentIndex(view.model().index(1, 0))
    view.setFocus()
    hit = view.currentIndex().data(HIT_ROLE)
    with qtbot.waitSignal(desk.searching.searched) as searched:
        desk.more()
    assert (searched.args[0].image, searched.args[0].box) == (hit.image, hit.box)


def test_that_a_search_can_be_bound_to_the_filter(desk, qtbot):
    with qtbot.waitSignal(desk.searching.searched):
        desk.search_words("a red car")
    assert len({hit.image.id for hit in desk.search._result.hits}) == 8
    desk.filter_bar._words.setText("picture_5")
    qtbot.waitUntil(lambda: desk.browsing.place == (1, 1))
    with qtbot.waitSignal(desk.searching.searched):
        desk.search._scope.click()
    assert {hit.image.name for hit in desk.search._result.hits} == {"picture_5.png"}
    with qtbot.waitSignal(desk.searching.searched):
        desk.filter_bar.clear()
    assert len({hit.image.id for hit in desk.search._result.hits}) == 8


def test_that_words_can_be_found_in_the_open_image(desk, qtbot):
    with qtbot.waitSignal(desk.searching.searched):
        desk.search_words("a dog")
    with qtbot.waitSignal(desk.searching.grounded) as grounded:
        desk.search._ground.click()
    assert grounded.args[0] == UnitBox(0.1, 0.2, 0.3, 0.4)
    assert desk.canvas._mark_texts == ("a dog 0.50",)


def test_that_earlier_searches_come_back(desk, qtbot):
    for words in ("a dog", "a red car"):
        with qtbot.waitSignal(desk.searching.searched):
            desk.search_words(words)
    with qtbot.waitSignal(desk.searching.searched) as searched:
        desk.search.history_chosen.emit(1)
    assert searched.args[0].text == "a dog"


def test_that_words_on_their_way_are_one_entry_of_the_history(desk, qtbot):
    for words in ("a", "a re", "a red car"):
        with qtbot.waitSignal(desk.searching.searched):
            desk.search_words(words)
    assert [action.text() for action in desk.search._history.menu().actions()] == ["a red car"]


def test_that_clearing_forgets_the_query(studio, desk, qtbot):
    with qtbot.waitSignal(desk.searching.searched):
        desk.search_words("a dog")
    studio.window.actions_by_name["clear_search"].trigger()
    assert desk.searching.query is None
    assert desk.search.hits == ()
    assert studio.window.top.field.text() == ""


def test_that_a_drawn_box_is_on_disk_and_in_the_index_at_once(desk, sample, qtbot):
    image_id = desk.browsing.image.id
    desk.canvas.set_tool(Tool.BOX)
    with qtbot.waitSignal(desk.following.followed, timeout=10_000):
        drag(desk, qtbot, (0.2, 0.1), (0.6, 0.9))
    assert len(regions_on_disk(sample, image_id)) == 3
    new = max(region.id for region in regions_on_disk(sample, image_id))
    vector = desk.searching._service.region_vector(new)
    expected = np.array(desk.opened.dataset.regions([new])[0].box.as_tuple())
    assert vector @ (expected / np.linalg.norm(expected)) == pytest.approx(np.linalg.norm(vector), rel=1e-3)


def test_that_an_index_in_step_is_not_compared_again(studio, desk, sample, qtbot, monkeypatch):
    compared = []
    original = SearchService.reconcile
    monkeypatch.setattr(SearchService, "reconcile", lambda self: compared.append(1) or original(self))
    qtbot.waitUntil(lambda: desk.following._num_open == 0)
    for expected in (0, 0, 1):
        studio.close_project()
        if expected:  # an edit that no window has seen
            with Dataset.open(sample.project) as dataset:
                dataset.apply(delete_regions(dataset.region_page(0, 1)))
        with qtbot.waitSignal(studio.ready, timeout=10_000):
            studio.open_path(sample.project.path)
        qtbot.waitUntil(lambda: studio.desk.following._num_open == 0)
        assert len(compared) == expected
    assert len(studio.search_state.service.index.region_ids()) == 15


def test_that_undo_takes_back_and_goes_to_the_image(studio, desk, sample, qtbot):
    first = desk.browsing.image.id
    desk.canvas.select([desk.canvas.editor.boxes.regions[0].id])
    with qtbot.waitSignal(desk.editing.applied):
        qtbot.keyClick(desk.canvas, Qt.Key.Key_Delete)
    assert len(regions_on_disk(sample, first)) == 1
    desk.browsing.step(1)
    with qtbot.waitSignal(desk.editing.applied):
        studio.window.actions_by_name["undo"].trigger()
    qtbot.waitUntil(lambda: desk.browsing.image.id == first)
    qtbot.waitUntil(lambda: len(desk.canvas.editor.boxes.regions) == 2)
    assert len(regions_on_disk(sample, first)) == 2
    with qtbot.waitSignal(desk.editing.applied):
        studio.window.actions_by_name["redo"].trigger()
    assert len(regions_on_disk(sample, first)) == 1


def test_that_an_edit_made_just_before_closing_is_kept(studio, desk, sample, qtbot):
    image_id = desk.browsing.image.id
    process = desk.engine.process_id
    desk.canvas.select([desk.canvas.editor.boxes.regions[0].id])
    before = desk.canvas.editor.selected_regions[0].box
    desk.canvas.setFocus()
    qtbot.keyClick(desk.canvas, Qt.Key.Key_Right)
    studio.window.close()
    assert studio.desk is None
    after = regions_on_disk(sample, image_id)[0].box
    assert after.x0 == pytest.approx(before.x0 + 1 / 96)
    assert process
    assert desk.engine.process_id == 0


def test_that_escape_never_closes_the_window(studio, desk, qtbot):
    for widget in (studio.window, desk.canvas, desk.gallery, desk.search.hits_view, studio.window.top.field):
        qtbot.keyClick(widget, Qt.Key.Key_Escape)
    assert studio.window.isVisible()
    assert studio.desk is desk


def test_that_saving_says_that_everything_is_saved(studio, desk):
    studio.window.actions_by_name["checkpoint"].trigger()
    assert studio.window.status.currentMessage().startswith("Everything is saved already")


def test_that_a_vanished_image_is_a_grey_tile_and_keeps_its_regions(desk, sample, qtbot):
    image_id = int(desk.gallery.model().ids[2])
    (sample.images / "picture_2.png").unlink()
    desk.browsing.open_image(image_id)
    qtbot.waitUntil(lambda: desk.gallery.model().item_of(image_id).image.problem is Problem.MISSING)
    qtbot.waitUntil(lambda: len(desk.canvas.editor.boxes.regions) == 2)
    assert len(regions_on_disk(sample, image_id)) == 2
    assert "missing" in desk.browsing.image.note


def test_that_row_41_a_moved_folder_is_relinked_and_its_images_are_back(studio, desk, sample, qtbot):
    image_id = int(desk.gallery.model().ids[2])
    moved = sample.images.with_name("moved")
    sample.images.rename(moved)
    with qtbot.waitSignal(studio.parts.transfers.ended):
        studio.window.actions_by_name["look_again"].trigger()
    assert desk.opened.dataset.image(image_id).problem is Problem.MISSING
    with qtbot.waitSignal(studio.parts.transfers.ended):
        studio.parts.transfers.relink(desk.opened.dataset.roots()[0].id, moved)
    assert desk.opened.dataset.image(image_id).problem is Problem.NONE
    qtbot.waitUntil(lambda: desk.gallery.model().item_of(image_id).image.problem is Problem.NONE)
    assert len(desk.opened.dataset.regions_of(image_id)) == 2


def test_that_a_project_in_use_is_offered_read_only(studio, sample, qtbot):
    with Dataset.open(sample.project):
        with qtbot.waitSignal(studio.not_opened):
            studio.open_path(sample.project.path)
        assert "is open in another LocStudio" in studio.window.notice.text
        with qtbot.waitSignal(studio.ready, timeout=10_000):
            studio.window.notice._button.click()
        assert studio.desk.opened.dataset.is_read_only
        qtbot.waitUntil(lambda: studio.desk.browsing.image is not None)
        region = studio.desk.opened.dataset.regions_of(studio.desk.browsing.image.id)[0]
        qtbot.waitUntil(lambda: len(studio.desk.canvas.editor.boxes.regions) == 2)
        studio.desk.canvas.select([region.id])
        qtbot.keyClick(studio.desk.canvas, Qt.Key.Key_Delete)
        qtbot.waitUntil(lambda: len(studio.desk.canvas.editor.boxes.regions) == 2)
        studio.close_project()


def test_that_row_14_a_second_start_calls_the_first_window_forward(studio, desk, qtbot):
    studio.window.showMinimized()
    qtbot.waitUntil(studio.window.isMinimized)
    call_owner(desk.opened.project.path / "dataset.sqlite")
    qtbot.waitUntil(lambda: not studio.window.isMinimized())


def test_that_a_project_without_an_index_is_offered_one(studio, tmp_path, qtbot, make_pictures):
    make_pictures(tmp_path / "more" / "<b>bold</b> & co", 3)
    new_project(tmp_path / "plain", [tmp_path / "more"])
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(Project(tmp_path / "plain").path)
    assert studio.window.notice.name == "index"
    assert "not indexed yet" in studio.window.notice.text or "no model" in studio.window.notice.text
    qtbot.waitUntil(lambda: studio.desk.browsing.image is not None)
    studio.desk.search_words("a dog")
    assert "not indexed" in studio.desk.search._hint.text()


def test_that_something_that_is_no_project_is_said_so(studio, tmp_path, qtbot):
    with qtbot.waitSignal(studio.not_opened):
        studio.open_path(tmp_path / "nothing")
    assert "There is no project" in studio.window.notice.text


def test_that_the_engines_failure_is_shown_and_can_be_retried(studio, sample, qtbot, make_checkpoint):
    damaged = make_checkpoint(sample.checkpoint.parent / "damaged")
    with Dataset.open(sample.project) as dataset:
        row = dataset.active_checkpoint()
        dataset.record_checkpoint(type(row)(id=row.id, model="cloc", name="fake", path=str(damaged)))
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(sample.project.path)
    qtbot.waitUntil(lambda: studio.desk.engine.state.phase == "failed", timeout=15_000)
    assert "Retry" in studio.window.top.engine_text
    studio.window.top._engine.click()
    assert studio.desk.engine.state.phase == "loading"


def test_that_closing_a_project_returns_to_the_first_page(studio, desk, sample):
    studio.close_project()
    assert studio.window.workspace is None
    assert studio.window.windowTitle() == "LocStudio"
    with Dataset.open(sample.project) as dataset:  # the lock is free again
        assert dataset.count_images() == 8


def test_that_the_filter_narrows_the_gallery_and_opens_what_is_left(desk, qtbot):
    desk.filter_bar._words.setText("picture_5")
    qtbot.waitUntil(lambda: desk.browsing.place == (1, 1))
    assert desk.browsing.image.name == "picture_5.png"
    assert desk.filter_bar._count.text() == "1 of 8 images"


def test_that_panels_are_reached_by_keys(studio, desk):
    for name, panel in (
        ("show_regions", Panel.REGIONS),
        ("show_history", Panel.HISTORY),
        ("show_search", Panel.SEARCH),
    ):
        studio.window.actions_by_name[name].trigger()
        assert desk.workspace.panel is panel


def test_that_typing_offers_the_phrases_of_the_collection(studio, desk, qtbot):
    field = studio.window.top.field
    qtbot.waitUntil(lambda: field.phrases.stringList() == ["a brown dog", "a red car"])
    field.completer().setCompletionPrefix("dog")
    assert field.completer().completionCount() == 1
    field.setText("a brown dog")
    with qtbot.waitSignal(desk.searching.searched) as searched:
        field.completer().activated[str].emit("a brown dog")
    assert searched.args[0].text == "a brown dog"


@pytest.mark.parametrize(("limit", "has_beginning"), [(1, False), (2, True)])
def test_that_the_beginning_is_offered_only_below_a_whole_history(desk, qtbot, monkeypatch, limit, has_beginning):
    monkeypatch.setattr("locstudio.ui.editing._NUM_HISTORY", limit)
    with qtbot.waitSignal(desk.editing.history_read):
        desk.editing.read_history()
    assert desk.history.steps.rowCount() == 1 + has_beginning  # the import, and the beginning
