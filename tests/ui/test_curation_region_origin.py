"""Where the selected region comes from, below the table of regions in the collection."""

import pytest

from locstudio.ui.workspace import Panel


@pytest.fixture
def origin(studio, proposed, desk, qtbot):
    """The panel, opened by its button before anybody has seen the curation page."""
    desk.workspace.show_panel(Panel.REGIONS)
    desk.workspace.regions_pane.button.click()
    made = studio.curation.desk.origin
    qtbot.waitUntil(lambda: studio.curation.desk.curating.pool is not None, timeout=10_000)
    return made


def test_that_it_follows_the_selection_on_the_canvas(origin, desk, qtbot):
    assert origin.panel.isVisible()
    assert origin.panel.shown_now is None
    dog, car = (region.id for region in desk.canvas.editor.boxes.regions)
    desk.canvas.select([dog])
    qtbot.waitUntil(lambda: origin.panel.shown_now is not None and origin.panel.shown_now.name == "a brown dog")
    assert origin.panel.shown_now.origin == "Imported"
    desk.canvas.select([car])
    qtbot.waitUntil(lambda: origin.panel.shown_now is not None and origin.panel.shown_now.name == "a red car")
    desk.canvas.select([])
    assert origin.panel.shown_now is None


def test_that_a_phrase_of_the_caption_leads_to_its_box_also_in_another_image(origin, desk, qtbot):
    region = desk.opened.dataset.regions_of(3)[1]
    origin.panel.item_wanted.emit(f"region:{region.id}")
    qtbot.waitUntil(lambda: desk.browsing.image.id == 3 and desk.canvas.selection == [region.id])


def test_that_the_button_hides_it_again_and_nothing_is_read(origin, desk, qtbot):
    desk.workspace.regions_pane.button.click()
    assert not origin.panel.isVisible()
    desk.canvas.select([desk.canvas.editor.boxes.regions[0].id])
    assert origin.panel.shown_now is None
    desk.workspace.regions_pane.button.click()
    qtbot.waitUntil(lambda: origin.panel.shown_now is not None)
