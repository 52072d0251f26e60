"""The curation page at a hundred thousand raw proposals: sliders, decisions, and the first screen.

    pytest tests/benchmarks/test_bench_curation_window.py -s

Budgets are CPU time of this process, because the machine is shared; of the window's thread alone where the rest of the
work (the edit on its way to the disk) is not waited for.  The pictures of the tiles are made, not decoded:
what decoding costs is measured with the search window.
"""

import statistics
import time

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from locstudio.domain.regions import Image, Review
from locstudio.jobs.configs import RunConfig, Vesl
from locstudio.jobs.raw_proposals import Manifest, RawProposals, quantised, write_raw_proposals
from locstudio.jobs.run_folder import RunFolder
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project
from locstudio.ui.background import DatasetWorker
from locstudio.ui.curation.curating import Curating
from locstudio.ui.curation.curation_page import CurationPage
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader

NUM_IMAGES, PER_IMAGE, NUM_PHRASES = 1_000, 100, 500
NUM_RAW = NUM_IMAGES * PER_IMAGE


def picture(_key) -> QImage:
    image = QImage(256, 256, QImage.Format.Format_RGB32)
    image.fill(QColor("#4477aa"))
    return image


def proposals(image_ids) -> RawProposals:
    """Boxes that lie on each other as a detector's do: twenty things an image, about five boxes of each."""
    rng = np.random.default_rng(0)
    centers = rng.uniform(0.15, 0.85, (NUM_IMAGES, 20, 1, 2))
    centers = (centers + rng.normal(0, 0.02, (NUM_IMAGES, 20, PER_IMAGE // 20, 2))).reshape(-1, 2)
    sides = rng.uniform(0.05, 0.2, (NUM_RAW, 2))
    things = rng.integers(0, NUM_PHRASES, (NUM_IMAGES, 20, 1)).repeat(PER_IMAGE // 20, axis=2)
    scores = np.sort(rng.beta(1.2, 2.5, (NUM_IMAGES, PER_IMAGE)), axis=1)[:, ::-1].reshape(-1)
    return RawProposals(
        manifest=Manifest(checkpoint_id="c", detector="made", dim=8, num_rows=NUM_RAW, num_images=NUM_IMAGES),
        phrases=tuple(f"a thing of kind {number}" for number in range(NUM_PHRASES)),
        captions=(),
        image_ids=np.repeat(np.array(image_ids, np.int64), PER_IMAGE),
        boxes_q=quantised(np.concatenate([centers - sides, centers + sides], axis=1)),
        phrase_rows=things.reshape(-1).astype(np.int32),
        scores=scores.astype(np.float16),
        objectness=scores.astype(np.float16),
        caption_rows=np.full(NUM_RAW, -1, np.int32),
        spans=np.zeros((NUM_RAW, 2), np.uint16),
        vectors=np.zeros((NUM_RAW, 8), np.float16),
        seen_image_ids=np.array(image_ids, np.int64),
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = create_project(tmp_path_factory.mktemp("bench") / "project")
    with Dataset.create(made) as dataset:
        root = dataset.add_root(made.path)
        dataset.add_images([Image(0, root.id, f"{number:06}.jpg", 640, 480) for number in range(NUM_IMAGES)])
        image_ids = dataset.image_ids().tolist()
    folder = RunFolder.create(made.runs, RunConfig(kind="vesl", checkpoint="/c", vesl=Vesl()))
    write_raw_proposals(folder.results, proposals(image_ids))
    return made


class Bench:
    """The page on the project, without the window around it."""

    def __init__(self, project, qtbot):
        self.dataset = Dataset.open(project)
        self.edits = DatasetWorker()
        self.editing = Editing(self.dataset, self.edits)
        self.small, self.large = PictureLoader(picture), PictureLoader(picture, num_threads=1)
        self.propose = QAction("Propose")
        self.page = CurationPage(self.propose, self.small, self.large)
        self.curating = Curating(project, self.dataset, self.editing, self.page)
        self.page.resize(1280, 760)
        self.page.show()
        qtbot.waitExposed(self.page)

    def read(self, qtbot):
        self.curating.read()
        qtbot.waitUntil(lambda: self.curating.pool is not None, timeout=60_000)
        self.settle(qtbot)

    def settle(self, qtbot):
        """Until nothing is on its way: pictures, counts, edits."""
        busy = (self.small, self.large)
        qtbot.waitUntil(lambda: not any(loader.is_busy for loader in busy) and self.editing.is_idle, timeout=30_000)
        qtbot.wait(200)

    def paint(self):
        QApplication.processEvents()
        self.page.grid.viewport().repaint()
        self.page.detail.repaint()

    def close(self):
        self.curating.close()
        self.edits.close()
        self.small.close()
        self.large.close()
        self.dataset.close()


@pytest.fixture
def bench(project, qtbot):
    made = Bench(project, qtbot)
    qtbot.addWidget(made.page)
    yield made
    made.close()


def cpu_ms(act) -> float:
    start = time.process_time()
    act()
    return (time.process_time() - start) * 1000


def test_that_a_slider_redraws_the_gallery_in_under_50_ms(bench, qtbot, record_property):
    bench.read(qtbot)
    page = bench.page
    costs = {"score": [], "overlap": []}
    for step in range(30):
        costs["score"].append(cpu_ms(lambda step=step: (page.thresholds.score.setValue(20 + step), bench.paint())))
    for step in range(8):
        costs["overlap"].append(cpu_ms(lambda step=step: (page.thresholds.overlap.setValue(60 - step), bench.paint())))
    for name, found in costs.items():
        record_property(f"{name}_cpu_ms", statistics.median(found))
        print(f"slider of {name}: median {statistics.median(found):.1f}, worst {max(found):.1f} ms CPU")
    assert statistics.median(costs["score"]) < 50
    assert statistics.median(costs["overlap"]) < 50


def test_that_the_next_crop_is_painted_in_under_30_ms_of_cpu_after_a_decision(bench, qtbot, record_property):
    bench.read(qtbot)
    page, grid = bench.page, bench.page.grid
    costs = []
    for number in range(25):
        place = grid.place
        key = Qt.Key.Key_C if number % 3 else Qt.Key.Key_X
        start = time.thread_time()
        QTest.keyClick(grid, key)
        bench.paint()
        costs.append((time.thread_time() - start) * 1000)
        assert grid.place == place + 1
        assert page.model.review(place) is not Review.PENDING
        assert page.detail.crop == grid.current
        bench.settle(qtbot)
    while bench.dataset.undo() is not None:
        pass
    record_property("advance_cpu_ms", statistics.median(costs))
    print(f"decide and go on: median {statistics.median(costs):.1f}, worst {max(costs):.1f} ms CPU of the window")
    assert statistics.median(costs) < 30


def test_that_the_first_screen_of_crops_takes_under_300_ms(bench, qtbot, record_property):
    bench.read(qtbot)
    pool, costs, walls = bench.curating.pool, [], []
    for _ in range(5):
        bench.small.clear()
        rows = np.arange(len(pool), dtype=np.int64)
        start, wall = time.process_time(), time.perf_counter()
        bench.page.model.set_rows(pool, rows)
        bench.page.grid.go_to(0)
        bench.paint()
        while bench.small.is_busy:
            bench.paint()
        bench.paint()
        costs.append((time.process_time() - start) * 1000)
        walls.append((time.perf_counter() - wall) * 1000)
    record_property("first_screen_cpu_ms", statistics.median(costs))
    print(
        f"first screen of {len(pool):,}: {statistics.median(costs):.0f} ms CPU, {statistics.median(walls):.0f} ms wall"
    )
    assert statistics.median(costs) < 300
