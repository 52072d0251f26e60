"""Routing in the whole window: the panel of the open image, a drawn region, and the collection sorted by it."""

import shutil

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from locstudio.domain.edits import Edit, LabelChange, RegionChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import Origin, Region, Review
from locstudio.services.curation.view import Order
from locstudio.ui.gallery.gallery_model import TOLD_ROLE
from locstudio.ui.workspace import Panel


@pytest.fixture(scope="module")
def routed_folder(routing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("routed")
    routing.make_routed_project(folder, num_images=12, num_classes=6, num_experts=3)
    return folder


@pytest.fixture
def desk(studio, routed_folder, tmp_path, qtbot):
    """The desk of a project whose images went to experts; the pictures stay where they are."""
    shutil.copytree(routed_folder / "project", tmp_path / "project")
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(tmp_path / "project")
    desk = studio.desk
    qtbot.waitUntil(lambda: desk.canvas.has_picture, timeout=10_000)
    qtbot.waitUntil(lambda: desk.engine.state.phase == "ready", timeout=15_000)
    return desk


def answered(desk, qtbot, image_id=None):
    def is_there():
        read = desk.routing.read
        return read is not None and read.is_answered and (image_id is None or read.image.id == image_id)

    qtbot.waitUntil(is_there, timeout=5_000)
    return desk.routing.read


def test_that_the_panel_shows_the_table_at_once_and_asks_the_model_what_others_would_have_said(studio, desk, qtbot):
    assert desk.routing.read is None  # nobody looks
    studio.window.actions_by_name["show_experts_panel"].trigger()
    assert desk.workspace.panel is Panel.EXPERTS
    read = answered(desk, qtbot)
    assert (read.is_in_table, read.run.title) == (True, "Experts, again")
    assert len(read.found.what_if_E) == 3
    asked = []
    desk.routing.expert_wanted.disconnect()
    desk.routing.expert_wanted.connect(lambda run_id, expert: asked.append((run_id, expert)))
    QTest.keyClick(desk.routing_panel.experts, Qt.Key.Key_End)
    QTest.keyClick(desk.routing_panel.experts, Qt.Key.Key_Return)
    assert asked == [(read.run.id, 2)]


def test_that_the_next_image_and_undo_are_followed(desk, qtbot):
    desk.workspace.show_panel(Panel.EXPERTS)
    first = answered(desk, qtbot)
    (was,) = desk.opened.dataset.labels_of(first.image.id)
    denied = ImageLabel(was.image_id, was.class_id, Presence.NEGATIVE)
    desk.editing.apply(Edit("Deny", (LabelChange(was, denied),)))
    qtbot.waitUntil(lambda: desk.routing.read.truth == (), timeout=5_000)
    assert "Nobody has said" in desk.routing_panel._truth.text()
    desk.undo()
    qtbot.waitUntil(lambda: desk.routing.read.truth == first.truth, timeout=5_000)
    desk.browsing.step(1)
    second = answered(desk, qtbot, desk.browsing.image.id)
    assert second.image.id != first.image.id


def test_that_the_collection_is_filtered_and_sorted_by_experts_and_says_so_on_its_tiles(desk, qtbot):
    bar, model = desk.filter_bar, desk._model
    qtbot.waitUntil(lambda: not bar._expert.isHidden(), timeout=5_000)
    assert model.index(0).data(TOLD_ROLE) == ""
    bar._order.tick("margin")
    bar._announce()
    qtbot.waitUntil(lambda: bool(model.index(0).data(TOLD_ROLE)), timeout=5_000)
    margins = [float(model.index(row).data(TOLD_ROLE).split()[-1]) for row in range(model.rowCount())]
    assert margins == sorted(margins)
    assert desk.browsing.image.id == model.image_id(0)
    expert = int(desk.routings.of_images(model.ids[:1]).experts[0])
    desk.routing.filter_wanted.emit(expert)
    qtbot.waitUntil(lambda: 0 < model.rowCount() < 12, timeout=5_000)
    assert set(desk.routings.of_images(model.ids).experts.tolist()) == {expert}
    place = desk.browsing.place
    desk.browsing.step(1)
    qtbot.waitUntil(lambda: desk.browsing.place != place, timeout=5_000)


def test_that_a_region_is_looked_at_once_it_rests_and_no_longer_with_the_search(desk, qtbot):
    box, look = UnitBox(0, 0, 0.5, 0.5), desk.search.look
    desk._on_box_dragging(box, 0)
    assert desk.looking.place is None
    desk._on_box_released(box, 0)
    qtbot.waitUntil(lambda: bool(look.routing_seen.bars) and bool(look.heat_seen.bars), timeout=5_000)
    assert look.isVisible()
    assert look.routing_seen.bars[0].key == 1  # of a box the second expert, says the engine
    assert look.heat_seen.bars[0].name == "person"
    desk._on_box_dragging(UnitBox(0.2, 0.1, 0.6, 0.7), 0)
    assert not look._body.isEnabled()
    desk.searching.clear()
    assert not look.isVisible()


def test_that_the_window_closes_while_everything_is_being_asked(studio, desk):
    desk.workspace.show_panel(Panel.EXPERTS)
    desk._on_box_released(UnitBox(0.1, 0.1, 0.6, 0.7), 0)
    desk.browsing.step(1)
    assert studio.window.close()
    assert studio.parts is None
    assert not studio.window.isVisible()


def test_that_what_waits_for_review_is_filtered_and_sorted_by_the_routing_of_its_image(studio, desk, qtbot):
    dataset = desk.opened.dataset
    said = ("a thing", None, Review.PENDING, Origin.IMPORTED)
    box = UnitBox(0.1, 0.1, 0.5, 0.5)
    regions = [Region(dataset.next_region_id(), int(image_id), box, *said) for image_id in dataset.image_ids()]
    dataset.apply(Edit("Import", tuple(RegionChange(None, region) for region in regions)), actor="import")
    studio.window.actions_by_name["show_curation"].trigger()
    page, curating = studio.curation.desk.page, studio.curation.desk.curating
    qtbot.waitUntil(lambda: not page.filters._expert.isHidden(), timeout=10_000)
    of = desk.routings.of_images(curating.pool.image_ids)
    page.filters.set_order(Order.MARGIN)
    qtbot.waitUntil(lambda: len(page.model.rows) == 12, timeout=5_000)
    qtbot.waitUntil(lambda: page.model.rows[0] == of.margins.argmin(), timeout=5_000)
    page.filters._expert.tick(0)
    page.filters._announce()
    qtbot.waitUntil(lambda: len(page.model.rows) == int((of.experts == 0).sum()), timeout=5_000)
    assert page.filters._clear.isVisible()
