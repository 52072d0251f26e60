"""The sheet of identical mistakes with ten thousand tiles: opened, scrolled, divided anew, fixed.

    pytest tests/benchmarks/test_bench_alike_sheet.py -s

Budgets are CPU time of this process, because the machine is shared.
"""

import statistics
import time

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.ui.curation.alike_sheet import AlikeSheet, ShownAlike
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.search.hits_model import HitItem

NUM_TILES = 10_000
BOX = UnitBox(0.1, 0.1, 0.4, 0.5)
MAX_OPEN_S = 0.35
MAX_STEP_S = 0.030


def picture(_key) -> QImage:
    image = QImage(256, 192, QImage.Format.Format_RGB32)
    image.fill(QColor("#4477aa"))
    return image


@pytest.fixture
def crops(qapp):
    loader = PictureLoader(picture)
    yield loader
    loader.close()


def alike() -> ShownAlike:
    scores = np.linspace(0.99, 0.3, NUM_TILES)
    hits = tuple(
        HitItem.of(Image(number + 1, 1, f"{number:09}.jpg", 640, 480), BOX, float(score), "cow", number)
        for number, score in enumerate(scores)
    )
    return ShownAlike(hits[0], hits, np.arange(NUM_TILES), 0.5, "cow", "horse")


def cpu_of(act) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


def test_that_ten_thousand_tiles_open_scroll_and_divide_at_once(crops, qtbot):
    shown = alike()
    sheets = []

    def open_sheet():
        sheet = AlikeSheet(shown, crops)
        qtbot.addWidget(sheet)
        sheet.show()
        sheet.grab()
        sheets.append(sheet)

    opened = cpu_of(open_sheet)
    sheet = sheets[0]
    bar = sheet.grid.verticalScrollBar()
    scrolled, divided, vetoed = [], [], []
    for step in range(20):
        value = bar.maximum() * (step + 1) // 20
        scrolled.append(cpu_of(lambda value=value: (bar.setValue(value), sheet.grid.viewport().grab())))
    for _ in range(20):
        divided.append(cpu_of(lambda: (qtbot.keyClick(sheet.histogram, Qt.Key.Key_Right), sheet.grab())))
    bar.setValue(0)
    for _ in range(20):
        vetoed.append(cpu_of(lambda: (qtbot.keyClick(sheet.grid, Qt.Key.Key_Space), sheet.grid.viewport().grab())))
    fixed = cpu_of(lambda: sheet._on_fix())
    print(
        f"\n10,000 tiles: opened {1000 * opened:.0f} ms, scroll {1000 * statistics.median(scrolled):.1f} ms, "
        f"cut {1000 * statistics.median(divided):.1f} ms, veto {1000 * statistics.median(vetoed):.1f} ms, "
        f"asked for {1000 * fixed:.1f} ms"
    )
    assert opened < MAX_OPEN_S
    assert max(statistics.median(times) for times in (scrolled, divided, vetoed)) < MAX_STEP_S
