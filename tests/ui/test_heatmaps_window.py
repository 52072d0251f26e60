"""The heatmaps page in the window: its key, its menu, the way to the collection and to the training."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from locstudio.domain.edits import ClassChange, Edit
from locstudio.domain.regions import LabelClass
from locstudio.services.curation.view import Order
from locstudio.services.heat.inconsistency import Disagreement
from locstudio.store.dataset import Dataset
from locstudio.ui.gallery.filter_bar import HEAT_ORDER
from locstudio.ui.heatmaps.page_commands import HeatCommand
from locstudio.ui.top_bar import Page
from locstudio.ui.workspace import Panel

DOG = 1


@pytest.fixture
def opened(studio, sample, heat, request, qtbot):
    """The heatmaps page of the whole window, with a dog expected in every image."""
    with Dataset.open(sample.project) as dataset:
        dataset.apply(Edit("Class", (ClassChange(None, LabelClass(DOG, "dog", "#56b4e9")),)))
        image_ids = dataset.image_ids().tolist()
    averages = np.linspace(0.3, 0.9, 8)
    spots = [heat.spot(14, 4, 6, peak=round(255 * average)) for average in averages]
    maps = {(image_id, DOG): spot for image_id, spot in zip(image_ids, spots, strict=True)}
    heat.heat_run(sample.project, image_ids, [(DOG, "dog")], averages[:, None], maps=maps)
    request.getfixturevalue("desk")
    studio.window.actions_by_name["show_heatmaps"].trigger()
    shown = studio.heatmaps.desk
    qtbot.waitUntil(lambda: len(shown.page.model.rows) == 8, timeout=10_000)
    return shown


def test_that_the_page_is_the_fourth_and_the_gallery_has_the_keys(studio, opened, qtbot):
    window = studio.window
    assert window.page is Page.HEATMAPS
    assert window.focusWidget() is opened.page.grid
    QTest.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert window.page is Page.COLLECTION
    QTest.keyClick(window, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)
    assert window.page is Page.HEATMAPS
    window.heat_wanted.emit(HeatCommand.ONE_CLASS)  # as the menu does
    qtbot.waitUntil(lambda: opened.page.filters.count_words == "8 images", timeout=5_000)


def test_that_a_tile_is_opened_in_the_collection_with_its_heat(studio, opened, qtbot):
    desk = studio.desk
    opened.page.grid.go_to(4)
    image_id = opened.page.grid.current.image_id
    QTest.keyClick(opened.page.grid, Qt.Key.Key_G)
    assert studio.window.page is Page.COLLECTION
    assert desk.workspace.panel is Panel.HEAT
    qtbot.waitUntil(lambda: desk.browsing.image.id == image_id, timeout=5_000)
    qtbot.waitUntil(lambda: desk.heat.showing.chosen == (DOG, "dog"), timeout=5_000)


def test_that_the_button_of_the_page_asks_what_to_train(studio, opened, qtbot):
    opened.page.head._train.click()
    qtbot.waitUntil(lambda: studio.retraining.planning.sheet is not None, timeout=5_000)
    assert studio.retraining.planning.sheet.choice.model == "consistency"


def test_that_the_collection_is_narrowed_down_and_sorted_by_what_disagrees(studio, opened, qtbot):
    desk = studio.desk
    bar, model = desk.filter_bar, desk.browsing._model
    qtbot.waitUntil(lambda: not bar._heat.isHidden(), timeout=5_000)
    bar._order.tick(HEAT_ORDER)
    bar._announce()
    qtbot.waitUntil(lambda: model.ids.tolist() == list(range(8, 0, -1)), timeout=5_000)
    bar._heat.tick(Disagreement.MISSING)
    bar._announce()
    qtbot.waitUntil(lambda: model.ids.tolist() == [8, 7, 6, 5, 4], timeout=5_000)  # the fourth has 0.56
    bar.clear()
    qtbot.waitUntil(lambda: model.ids.tolist() == list(range(1, 9)), timeout=5_000)


def test_that_curation_is_sorted_by_the_heat_of_its_images(studio, opened, qtbot):
    studio.window.actions_by_name["show_curation"].trigger()
    curation = studio.curation.desk
    qtbot.waitUntil(lambda: curation.curating.pool is not None, timeout=10_000)
    page = curation.page
    page.filters.set_order(Order.HEAT)
    qtbot.waitUntil(lambda: page.model.crop(0).item.image_id == 8, timeout=10_000)
    image_ids = [page.model.crop(place).item.image_id for place in range(len(page.model.rows))]
    assert image_ids == sorted(image_ids, reverse=True)
