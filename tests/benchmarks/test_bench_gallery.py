"""The gallery's budgets (PERF.md), in CPU time so that they hold on a busy machine."""

import statistics
import time

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication

from locstudio.domain.regions import Image
from locstudio.ui.gallery.gallery_model import GalleryItem, GalleryModel
from locstudio.ui.gallery.gallery_view import GalleryView
from locstudio.ui.gallery.picture_loader import PictureLoader


def tile(key) -> QImage:
    picture = QImage(256, 192, QImage.Format.Format_RGB32)
    picture.fill(QColor.fromHsv(key * 37 % 360, 120, 200))
    return picture


@pytest.fixture
def shown(qtbot):
    loader = PictureLoader(tile)
    model = GalleryModel()
    model.items_wanted.connect(
        lambda ids: model.put_items(GalleryItem(Image(int(i), 1, f"{i:012}.jpg", 640, 480), 3, 1) for i in ids)
    )
    view = GalleryView(model, loader)
    qtbot.addWidget(view)
    view.resize(1280, 800)
    view.set_side(148)
    view.show()
    qtbot.waitExposed(view)
    yield view
    loader.close()


def settle(view: GalleryView) -> None:
    QApplication.processEvents()
    view.viewport().repaint()


@pytest.mark.parametrize("num_rows", [10_000, 1_000_000])
def test_that_first_paint_takes_under_50_ms_of_cpu_at_any_size(shown, num_rows, record_property):
    ids = np.arange(1, num_rows + 1, dtype=np.int64)
    costs = []
    for _ in range(5):
        start = time.process_time()
        shown.model().set_ids(ids)
        settle(shown)
        costs.append((time.process_time() - start) * 1000)
    record_property("first_paint_cpu_ms", statistics.median(costs))
    print(f"first paint, {num_rows} rows: {statistics.median(costs):.1f} ms CPU")
    assert statistics.median(costs) < 50


def test_that_a_scroll_frame_takes_under_8_ms_of_cpu(shown, qtbot, record_property):
    shown.model().set_ids(np.arange(1, 1_000_001, dtype=np.int64))
    bar = shown.verticalScrollBar()
    for warm in range(0, 6000, 200):  # pages known, thumbnails in memory, as when scrolling back
        bar.setValue(warm)
        settle(shown)
    qtbot.waitUntil(lambda: not shown._loader._loading and not shown._loader._waiting)
    rounds = []
    for _ in range(3):
        costs = []
        for step in range(100):
            bar.setValue(step * 53)
            start = time.process_time()
            shown.viewport().repaint()
            costs.append((time.process_time() - start) * 1000)
        rounds.append(sorted(costs)[94])
    record_property("scroll_frame_p95_cpu_ms", min(rounds))
    print(f"scroll frame: p95 of three rounds {', '.join(f'{p95:.1f}' for p95 in rounds)} ms CPU")
    assert min(rounds) < 8
