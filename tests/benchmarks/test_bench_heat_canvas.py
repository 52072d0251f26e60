"""A change of heat on the canvas against its budget: another class, epoch, opacity or colour map, up to the last pixel.

CPU time of the process, not of the clock, so that a busy machine does not decide; a bare smooth upscale of heat over a
picture of the canvas is measured in the same run.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter, QPixmap

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Region, Review
from locstudio.services.heat.colormaps import COLORMAPS
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.heatmaps.brush_tool import BrushKind
from locstudio.ui.heatmaps.class_rows import ClassRow
from locstudio.ui.heatmaps.heat_layer import MAX_SHOWN, HeatLook, heat_image
from locstudio.ui.heatmaps.heat_reading import ReadHeat
from locstudio.ui.heatmaps.heat_showing import HeatShowing

WIDTH, HEIGHT = 4000, 3000
CHANGE_MS = 3.0
IMAGE = Image(1, 1, "large.jpg", WIDTH, HEIGHT)


def cpu_ms(act: Callable[[int], object], count: int) -> list[float]:
    times = []
    for number in range(count):
        before = time.process_time()
        act(number)
        times.append(1000 * (time.process_time() - before))
    return sorted(times)


def hills(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:14, :14]
    heat = np.zeros((14, 14))
    for row, column, width in zip(rng.uniform(0, 14, 4), rng.uniform(0, 14, 4), rng.uniform(1, 3, 4), strict=True):
        heat = np.maximum(heat, np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / width**2))
    return np.rint(255 * heat).astype(np.uint8)


@pytest.fixture
def showing():
    showing = HeatShowing()
    showing.take([ClassRow(i, f"class {i}", 1 - i / 10, map_WW=hills(i), raw_WW=hills(i)) for i in range(1, 9)])
    return showing


@pytest.fixture
def canvas(qtbot):
    rgb = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    view = CanvasView(lambda: 1)
    qtbot.addWidget(view)
    view.resize(1280, 800)
    with qtbot.waitExposed(view):
        view.show()
    view.set_classes([LabelClass(i + 1, f"class {i}", f"#{37 * (i + 1) % 256:02x}a0c0") for i in range(8)])
    view.set_image(IMAGE)
    view.show_picture([np.ascontiguousarray(rgb[::step, ::step]) for step in (1, 2, 4)], (WIDTH, HEIGHT))
    rng = np.random.default_rng(5)
    corners = rng.uniform(0, 0.9, (100, 2))
    boxes = [UnitBox(x, y, x + 0.08, y + 0.06) for x, y in corners.tolist()]
    view.set_regions([Region(i + 1, 1, box, "thing", i % 8 + 1, Review.ACCEPTED) for i, box in enumerate(boxes)])
    return view


@pytest.mark.parametrize("num_classes", [1, MAX_SHOWN])
def test_bench_a_change_of_heat_stays_within_budget(canvas, showing, num_classes, record_property):
    for class_id in range(2, num_classes + 1):
        showing.toggle_other((class_id, f"class {class_id}"))
    read = ReadHeat(IMAGE)
    target = QPixmap(canvas.size())
    blank = QPixmap(canvas.size())
    picture = heat_image([hills(1)], HeatLook())

    def change(number: int) -> None:
        if num_classes == 1:
            showing.choose((number % 8 + 1, f"class {number % 8 + 1}"))
        showing.look = HeatLook(COLORMAPS[number % 3], 0.4 + number % 5 / 10)
        canvas.set_heat(showing.shown(read, can_paint=True))
        canvas.render(target)

    def bare(_number: int) -> None:
        with QPainter(target) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(0, 0, blank)
            painter.drawImage(QRectF(107, 0, 1067, 800), picture)

    cpu_ms(change, 30)
    times, bares = cpu_ms(change, 120), cpu_ms(bare, 120)
    middle, base = times[60], bares[60]
    print(f"\n{num_classes} class(es): p50 {middle:.2f} p95 {times[114]:.2f} ms CPU, bare upscale {base:.2f} ms")
    record_property("p50_ms", middle)
    assert middle < max(CHANGE_MS, 3.5 * base)  # where others use the memory too, the bare upscale is slow as well


def test_bench_a_change_of_the_threshold_stays_within_budget(canvas, showing):
    read = ReadHeat(IMAGE)

    def change(number: int) -> None:
        showing.threshold = 60 + number % 120
        canvas.set_heat(showing.shown(read, can_paint=True))

    cpu_ms(change, 20)
    times = cpu_ms(change, 120)
    print(f"\nthreshold: p50 {times[60]:.2f} p95 {times[114]:.2f} ms CPU")
    assert times[60] < CHANGE_MS


def test_bench_heat_follows_the_brush(canvas, showing):
    canvas.set_heat(showing.shown(ReadHeat(IMAGE), can_paint=True))
    target = QPixmap(canvas.size())
    canvas.brush.press(BrushKind.ADD, (0.1, 0.1), (WIDTH, HEIGHT))
    canvas.mouse = QPointF(300, 300)

    def stroke(number: int) -> None:
        canvas.brush.move((0.1 + 0.006 * (number % 120), 0.1 + 0.004 * number % 0.8))
        canvas._heat_image = None
        canvas.render(target)

    times = cpu_ms(stroke, 120)
    print(f"\na step of the brush: p50 {times[60]:.2f} p95 {times[114]:.2f} ms CPU")
    assert times[114] < 16
