"""The heatmaps page at a hundred thousand images: its first screen, the next tile, and the slider.

    pytest tests/benchmarks/test_bench_heat_window.py -s

Budgets are CPU time of this process, because the machine is shared; of the window's thread alone where the rest of the
work (the edit on its way to the disk) is not waited for.  The pictures of the tiles are made, not decoded; heat is read
from the files of a run.
"""

import statistics
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from locstudio.domain.edits import ClassChange, Edit
from locstudio.domain.regions import Image, LabelClass
from locstudio.services.heat.known import UNKNOWN
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.heatmaps.page_desk import HeatDesk

NUM_IMAGES, NUM_CLASSES, GRID = 100_000, 8, 14


def picture(_key) -> QImage:
    image = QImage(256, 256, QImage.Format.Format_RGB32)
    image.fill(QColor("#4477aa"))
    return image


@pytest.fixture(scope="module")
def project(tmp_path_factory, heat):
    made = create_project(tmp_path_factory.mktemp("bench") / "project")
    classes = [LabelClass(number, f"class {number}", "#56b4e9") for number in range(1, NUM_CLASSES + 1)]
    with Dataset.create(made) as dataset:
        root = dataset.add_root(made.path)
        dataset.add_images([Image(0, root.id, f"{number:06}.jpg", 640, 480) for number in range(NUM_IMAGES)])
        dataset.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in classes)))
        image_ids = dataset.image_ids()
    rng = np.random.default_rng(0)
    averages = rng.beta(1, 6, (NUM_IMAGES, NUM_CLASSES)).astype(np.float32)
    maps = np.zeros((NUM_IMAGES, NUM_CLASSES, GRID, GRID), np.uint8)
    maps[:, :, 4:8, 5:9] = np.rint(255 * averages)[:, :, None, None]
    named = [(entry.id, entry.name) for entry in classes]
    heat.heat_run(made, image_ids, named, averages, maps=maps, grid=GRID, title="Bench")
    return made


class Bench:
    """The page on the project, without the window around it."""

    def __init__(self, project):
        self.dataset = Dataset.open(project)
        self.edits = DatasetWorker()
        self.editing = Editing(self.dataset, self.edits)
        self.thumbnails = PictureLoader(picture)
        self.pictures = SimpleNamespace(crop=picture, large_crop=picture)
        self.opened = SimpleNamespace(project=project, dataset=self.dataset)
        self.desk = HeatDesk(self)
        self.page = self.desk.page
        self.page.resize(1280, 760)
        self.page.show()

    def settle(self, qtbot):
        """Until nothing is on its way: heat, pictures, edits."""
        desk = self.desk

        def is_idle() -> bool:
            loaders = (self.thumbnails, desk.parts, desk.large, desk.cells)
            return not any(loader.is_busy for loader in loaders) and not desk.reviewing.deciding.is_busy

        qtbot.waitUntil(lambda: is_idle() and self.editing.is_idle, timeout=30_000)
        qtbot.wait(200)

    def paint(self):
        QApplication.processEvents()
        self.page.grid.viewport().repaint()
        self.page.detail.repaint()

    def close(self):
        self.desk.close()
        self.edits.close()
        self.thumbnails.close()
        self.dataset.close()


@pytest.fixture
def bench(project, qtbot):
    made = Bench(project)
    qtbot.addWidget(made.page)
    try:
        qtbot.waitUntil(lambda: len(made.page.model.rows) > 0, timeout=60_000)
        made.settle(qtbot)
        yield made
    finally:
        made.close()


def show_class(bench, qtbot):
    """All images of one class: a table of 100,000 rows."""
    bench.desk.reviewing.show_class(1)
    qtbot.waitUntil(lambda: len(bench.page.model.rows) == NUM_IMAGES, timeout=60_000)
    bench.settle(qtbot)


def test_that_the_first_screen_of_a_hundred_thousand_takes_under_300_ms(bench, qtbot, record_property):
    show_class(bench, qtbot)
    model, desk, costs, walls = bench.page.model, bench.desk, [], []
    for _ in range(5):
        bench.thumbnails.clear()
        desk.cells.set_reader(desk.cells._reader)  # which forgets what was read
        start, wall = time.process_time(), time.perf_counter()
        model.set_rows(model.table, model.rows)
        bench.page.grid.go_to(0)
        bench.paint()
        while desk.cells.is_busy or bench.thumbnails.is_busy:
            QTest.qSleep(2)  # lets the workers have the lock
            bench.paint()
        bench.paint()
        costs.append((time.process_time() - start) * 1000)
        walls.append((time.perf_counter() - wall) * 1000)
    record_property("first_screen_cpu_ms", statistics.median(costs))
    print(f"first screen: {statistics.median(costs):.0f} ms CPU, {statistics.median(walls):.0f} ms wall")
    assert model.tile(0).cell is not None
    assert statistics.median(costs) < 300


def test_that_the_next_tile_is_painted_in_under_30_ms_of_cpu_after_a_decision(bench, qtbot, record_property):
    page, grid = bench.page, bench.page.grid
    print(f"{len(page.model.rows):,} expected")
    costs = []
    for number in range(25):
        place = grid.place
        key = Qt.Key.Key_Y if number % 3 else Qt.Key.Key_N
        start = time.thread_time()
        QTest.keyClick(grid, key)
        bench.paint()
        costs.append((time.thread_time() - start) * 1000)
        assert grid.place == place + 1
        assert page.model.presence(place) != UNKNOWN
        assert page.detail.tile == grid.current
        bench.settle(qtbot)
    for _ in range(25):
        bench.dataset.undo()
    record_property("advance_cpu_ms", statistics.median(costs))
    print(f"decide and go on: median {statistics.median(costs):.1f}, worst {max(costs):.1f} ms CPU of the window")
    assert statistics.median(costs) < 30


def test_that_the_slider_of_the_least_score_acts_in_under_50_ms(bench, qtbot, record_property):
    page, costs = bench.page, []
    for step in range(30):
        start = time.thread_time()
        page.classes.score.setValue(20 + step)
        bench.paint()
        costs.append((time.thread_time() - start) * 1000)
    record_property("slider_cpu_ms", statistics.median(costs))
    print(f"slider: median {statistics.median(costs):.1f}, worst {max(costs):.1f} ms CPU of the window")
    assert statistics.median(costs) < 50


def test_that_a_scroll_through_a_hundred_thousand_paints_a_frame_in_under_16_ms(bench, qtbot, record_property):
    show_class(bench, qtbot)
    bar, costs = bench.page.grid.verticalScrollBar(), []
    for _ in range(40):
        start = time.thread_time()
        bar.setValue(bar.value() + 60)
        bench.paint()
        costs.append((time.thread_time() - start) * 1000)
        qtbot.wait(20)
    record_property("scroll_cpu_ms", statistics.median(costs))
    print(f"scroll: median {statistics.median(costs):.1f}, worst {max(costs):.1f} ms CPU of the window")
    assert statistics.median(costs) < 16
