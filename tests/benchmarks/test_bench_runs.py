"""A run beside the window: how soon its death is noticed, and that scrolling stays smooth while it computes on the CPU.

Scrolling is given in CPU time of the window's process, which a busy machine does not change, and in wall time, which is
what a person sees; both are held, the wall time in the best of the rounds.
"""

import os
import signal
import statistics
import time

import numpy as np
import pytest
from PIL import Image as Picture
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication

from locstudio.domain.edits import add_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, Region
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.configs import ClocTraining, Evaluation, RunConfig
from locstudio.jobs.messages import Progress
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import read_mark
from locstudio.services import runs
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project
from locstudio.ui.gallery.gallery_model import GalleryItem, GalleryModel
from locstudio.ui.gallery.gallery_view import GalleryView
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.job_process import JobProcess

NUM_DEATHS, NUM_ROUNDS, NUM_FRAMES = 10, 5, 120
MAX_FRAME_MS, MAX_NOTICE_S = 12.0, 1.0
STAND_IN = """
import sys, time
from pathlib import Path
from locstudio.jobs.messages import Note
from locstudio.jobs.run_folder import EventLog, RunFolder
from locstudio.jobs.run_state import claim_run
folder = RunFolder(Path(sys.argv[1]))
claim_run(folder)
log = EventLog(folder)
log.append(Note(sequence=log.next_sequence, text="at work"))
time.sleep(600)
"""


def test_that_a_dead_trainer_is_noticed_within_a_second(tmp_path, qtbot, monkeypatch, record_property):
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(runs, "TRAINER", (str(tmp_path / "stand_in.py"),))
    config = RunConfig(kind="evaluate", checkpoint="/c", evaluate=Evaluation(task="regions"))
    starts, notices = [], []
    for _ in range(NUM_DEATHS):
        folder = RunFolder.create(tmp_path / "runs", config)
        job = JobProcess()
        with qtbot.waitSignal(job.message, timeout=20_000):
            begun = time.perf_counter()
            job.start(folder)
            starts.append(time.perf_counter() - begun)
        with qtbot.waitSignal(job.ended, timeout=5_000):
            os.kill(read_mark(folder).pid, signal.SIGKILL)
            begun = time.perf_counter()
        notices.append(time.perf_counter() - begun)
        job.close()
    record_property("notice_ms", round(1e3 * statistics.median(notices), 1))
    print(
        f"dead trainer noticed after {1e3 * statistics.median(notices):.0f} ms (at most {1e3 * max(notices):.0f}); "
        f"start holds the window for {1e3 * statistics.median(starts):.0f} ms"
    )
    assert max(notices) < MAX_NOTICE_S


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
    model.set_ids(np.arange(1, 100_001, dtype=np.int64))
    for position in range(0, NUM_FRAMES * 53 + 1000, 200):  # as when scrolling back: pages and thumbnails are known
        view.verticalScrollBar().setValue(position)
        QApplication.processEvents()
    qtbot.waitUntil(lambda: not loader._loading and not loader._waiting)
    yield view
    loader.close()


@pytest.fixture
def training(tmp_path):
    """A run that trains the bundled model for ever, on as many threads as a person's run would take."""
    project = create_project(tmp_path / "project")
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    with Dataset.create(project) as dataset:
        root = dataset.add_root(photos)
        for number in range(12):
            noise = random.integers(0, 255, (12, 16, 3), np.uint8)
            Picture.fromarray(noise).resize((640, 480)).save(photos / f"{number}.jpg")
        ids = dataset.add_images([Image(0, root.id, f"{n}.jpg", 640, 480) for n in range(12)])
        for image_id in ids:
            corners = random.uniform(0, 0.6, (6, 2))
            boxes = [UnitBox(*corner, *(corner + 0.3)) for corner in corners]
            dataset.apply(
                add_regions(
                    [
                        Region(dataset.next_region_id(), image_id, box, f"thing {n} of {image_id}")
                        for n, box in enumerate(boxes)
                    ]
                )
            )
        steps = ClocTraining(num_steps=1_000_000, evaluate_every=1_000_000)
        yield runs.start_train(project, dataset, bundled_checkpoint(), training=steps, device="cpu")


def scrolled(view) -> tuple[list[float], list[float]]:
    """The 95th percentile of a frame, wall and CPU of this process, in milliseconds, in each round."""
    walls, cpus = [], []
    for _ in range(NUM_ROUNDS):
        wall, cpu = [], []
        for step in range(NUM_FRAMES):
            view.verticalScrollBar().setValue(step * 53)
            at_wall, at_cpu = time.perf_counter(), time.thread_time()
            view.viewport().repaint()
            wall.append(1e3 * (time.perf_counter() - at_wall))
            cpu.append(1e3 * (time.thread_time() - at_cpu))
            QApplication.processEvents()  # the run's words are heard between the frames
        walls.append(float(np.percentile(wall, 95)))
        cpus.append(float(np.percentile(cpu, 95)))
    return walls, cpus


@pytest.mark.slow
@pytest.mark.skipif(not bundled_checkpoint().is_dir(), reason="the bundled checkpoint is not in this checkout")
def test_that_scrolling_stays_smooth_while_a_training_computes_on_the_cpu(shown, training, qtbot, record_property):
    walls_before, cpus_before = scrolled(shown)
    job, words = JobProcess(), []
    job.message.connect(words.append)
    job.start(training)
    try:
        qtbot.waitUntil(
            lambda: sum(isinstance(word, Progress) and word.loss is not None for word in words) >= 3, timeout=110_000
        )
        num_words = len(words)
        walls, cpus = scrolled(shown)
        QApplication.processEvents()
    finally:
        os.kill(read_mark(training).pid, signal.SIGKILL)
        with qtbot.waitSignal(job.ended, timeout=5_000):
            pass
        job.close()
    record_property("scroll_wall_p95_ms", round(min(walls), 2))
    for name, before, during in (("wall", walls_before, walls), ("CPU", cpus_before, cpus)):
        print(
            f"scroll frame p95, {name}: alone {min(before):.1f} (median of rounds {statistics.median(before):.1f}), "
            f"beside a CPU training {min(during):.1f} (median {statistics.median(during):.1f}) ms"
        )
    assert len(words) >= num_words
    assert min(cpus) < MAX_FRAME_MS
    assert min(walls) < MAX_FRAME_MS
