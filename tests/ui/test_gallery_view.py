"""The gallery: rows by arithmetic, items by page, pictures from elsewhere."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QAbstractItemView

from locstudio.domain.errors import BadInput
from locstudio.domain.regions import Image, Problem
from locstudio.ui.gallery.gallery_model import PAGE, GalleryItem, GalleryModel
from locstudio.ui.gallery.gallery_view import GalleryView
from locstudio.ui.gallery.picture_loader import PictureLoader

MILLION = 1_000_000


def image(image_id: int, **fields) -> Image:
    return Image(image_id, 1, fields.pop("path", f"folder/{image_id:07}.jpg"), 640, 480, **fields)


def tile(key) -> QImage:
    picture = QImage(256, 192, QImage.Format.Format_RGB32)
    picture.fill(QColor.fromHsv(key * 37 % 360, 120, 200))
    return picture


@pytest.fixture
def loader(qapp):
    loader = PictureLoader(tile)
    yield loader
    loader.close()


@pytest.fixture
def gallery(qtbot, loader):
    model = GalleryModel()
    model.items_wanted.connect(lambda ids: model.put_items(GalleryItem(image(int(i)), 3, 1) for i in ids))
    view = GalleryView(model, loader)
    qtbot.addWidget(view)
    view.resize(420, 600)
    view.show()
    qtbot.waitExposed(view)
    return view


def fill(view: GalleryView, count: int) -> None:
    view.model().set_ids(np.arange(1, count + 1, dtype=np.int64))


def test_that_the_model_of_the_gallery_keeps_qts_promises(qtmodeltester, qapp):
    model = GalleryModel()
    model.set_ids(np.arange(1, 500, dtype=np.int64))
    model.put_items([GalleryItem(image(1))])
    qtmodeltester.check(model)


def test_that_every_cell_is_found_where_it_is_painted(gallery):
    fill(gallery, 500)
    for row in (0, 1, 2, 3, 7, 11):
        rect = gallery.visualRect(gallery.model().index(row))
        assert gallery.indexAt(rect.center()).row() == row
    assert not gallery.indexAt(QPoint(1, 1)).isValid()


def test_that_the_columns_fill_the_width(gallery):
    fill(gallery, 500)
    last = gallery.visualRect(gallery.model().index(gallery.num_columns - 1))
    assert 0 <= gallery.viewport().width() - last.right() <= gallery.GAP + gallery.num_columns


def test_that_the_last_of_a_million_rows_can_be_reached(gallery, qtbot):
    fill(gallery, MILLION)
    gallery.verticalScrollBar().setValue(gallery.verticalScrollBar().maximum())
    rect = gallery.visualRect(gallery.model().index(MILLION - 1))
    assert gallery.viewport().rect().contains(rect)


def test_that_only_pages_on_the_screen_are_asked_for(qtbot, loader):
    model, asked = GalleryModel(), []
    model.items_wanted.connect(asked.append)
    view = GalleryView(model, loader)
    qtbot.addWidget(view)
    view.resize(420, 600)
    view.show()
    fill(view, MILLION)
    qtbot.waitUntil(lambda: len(asked) == 1)
    assert asked[0].tolist() == list(range(1, PAGE + 1))
    view.scrollTo(model.index(500_000), QAbstractItemView.ScrollHint.PositionAtCenter)
    qtbot.waitUntil(lambda: len(asked) > 1)
    assert all(len(ids) == PAGE for ids in asked)
    assert any(500_001 in ids for ids in asked[1:])


def test_that_keys_walk_through_lines_and_stop_at_the_ends(gallery, qtbot):
    fill(gallery, 20)
    gallery.step(1)
    columns = gallery.num_columns
    qtbot.keyClick(gallery, Qt.Key.Key_Down)
    assert gallery.current_image_id == 1 + columns
    qtbot.keyClick(gallery, Qt.Key.Key_End)
    assert gallery.current_image_id == 20
    gallery.step(1)
    assert gallery.current_image_id == 20
    qtbot.keyClick(gallery, Qt.Key.Key_Home)
    gallery.step(-1)
    assert gallery.current_image_id == 1


def test_that_a_click_announces_the_image_and_showing_one_does_not(gallery, qtbot):
    fill(gallery, 20)
    said = []
    gallery.image_chosen.connect(said.append)
    assert gallery.show_image(5)
    assert (gallery.current_image_id, said) == (5, [])
    where = gallery.visualRect(gallery.model().index(1)).center()
    qtbot.mouseClick(gallery.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert said == [2]


def test_that_an_image_hidden_by_the_filter_is_not_current(gallery):
    gallery.model().set_ids(np.array([4, 9, 16], np.int64))
    assert not gallery.show_image(5)
    assert gallery.current_image_id is None


def test_that_rows_are_found_in_any_order_of_ids(qapp):
    model = GalleryModel()
    model.set_ids(np.array([30, 10, 20], np.int64))
    assert [model.row_of(i) for i in (30, 10, 20, 40)] == [0, 1, 2, -1]


def test_that_selecting_everything_costs_no_walk_over_the_rows(gallery):
    fill(gallery, MILLION)
    gallery.selectAll()
    ranges = gallery.selectionModel().selection()
    assert sum(ranges.at(i).height() for i in range(ranges.size())) == MILLION
    region = gallery.visualRegionForSelection(ranges)
    assert region.boundingRect().intersects(gallery.viewport().rect())


def test_that_a_rubber_band_selects_the_cells_it_touches(gallery):
    fill(gallery, 100)
    first, last = (
        gallery.visualRect(gallery.model().index(0)),
        gallery.visualRect(gallery.model().index(gallery.num_columns + 1)),
    )
    band = QRect(first.center(), last.center())
    gallery.setSelection(band, gallery.selectionModel().SelectionFlag.ClearAndSelect)
    rows = sorted(index.row() for index in gallery.selectionModel().selectedIndexes())
    assert rows == [0, 1, gallery.num_columns, gallery.num_columns + 1]


def test_that_ctrl_wheel_changes_the_size_of_the_tiles(gallery, qtbot):
    fill(gallery, 100)
    before = gallery.side
    with qtbot.waitSignal(gallery.side_changed):
        gallery.set_side(before + 40)
    assert gallery.side == before + 40
    gallery.set_side(5000)
    assert gallery.side == 256


def test_that_a_missing_image_is_a_tile_with_its_reason(qtbot):
    def refuse(key):
        raise BadInput("The file is missing.")

    loader = PictureLoader(refuse)
    model = GalleryModel()
    item = GalleryItem(image(1, path="a/<b>gone.jpg", problem=Problem.MISSING, note="The file is missing."), 2)
    model.set_ids(np.array([1], np.int64))
    model.put_items([item])
    view = GalleryView(model, loader)
    qtbot.addWidget(view)
    view.resize(300, 300)
    view.show()
    qtbot.waitUntil(lambda: str(loader.failure(1)) == "The file is missing.")
    assert "<b>" not in model.index(0).data(Qt.ItemDataRole.ToolTipRole)
    assert model.index(0).data(Qt.ItemDataRole.DisplayRole) == "<b>gone.jpg"
    view.grab()
    loader.close()


def test_that_a_changed_item_is_painted_again(gallery, qtbot):
    fill(gallery, 5)
    gallery.grab()
    with qtbot.waitSignal(gallery.model().dataChanged) as changed:
        gallery.model().put_items([GalleryItem(image(3, is_verified=True), 9, 0)])
    assert changed.args[0].row() == 2
    assert "verified" in gallery.model().index(2).data(Qt.ItemDataRole.AccessibleTextRole)


@pytest.mark.parametrize("divider", [0, 1, 5, 6, 19])
def test_that_rows_below_a_band_are_found_where_they_are_painted(gallery, divider):
    fill(gallery, 20)
    gallery.set_divider(divider)
    for row in range(20):
        gallery.scrollTo(gallery.model().index(row))
        rect = gallery.visualRect(gallery.model().index(row))
        assert gallery.viewport().rect().contains(rect)
        assert gallery.indexAt(rect.center()).row() == row
        assert not rect.intersects(gallery.band())
        first, last = gallery.rows_in(rect)
        assert first <= row <= last


def test_that_keys_walk_over_the_band(gallery, qtbot):
    fill(gallery, 20)
    columns = gallery.num_columns
    gallery.set_divider(columns + 1)
    gallery.setCurrentIndex(gallery.model().index(columns - 1))
    qtbot.keyClick(gallery, Qt.Key.Key_Down)
    assert gallery.currentIndex().row() == columns  # the only one of its line
    qtbot.keyClick(gallery, Qt.Key.Key_Down)
    assert gallery.currentIndex().row() == columns + 1
    qtbot.keyClick(gallery, Qt.Key.Key_Up)
    assert gallery.currentIndex().row() == columns
