"""A change of heat on the canvas against its budget: another class, epoch, opacity or colour map, up to the last pixel.

CPU time of the process, not of the clock.  Others slow even that down, by the caches and the memory, so the least busy
of many short rounds counts; the bare passes over the pixels, of a picture, of heat upscaled smoothly and of a clear
layer for the boxes, are told beside it.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Picture
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPixmap

from locstudio.domain.edits import ClassChange, Edit
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Region, Review
from locstudio.services.collection import new_project
from locstudio.services.heat.colormaps import COLORMAPS
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.heatmaps.brush_tool import BrushKind
from locstudio.ui.heatmaps.class_rows import ClassRow
from locstudio.ui.heatmaps.heat_layer import MAX_SHOWN, HeatLook, heat_image
from locstudio.ui.heatmaps.heat_panel import HeatPanel
from locstudio.ui.heatmaps.heat_reading import HeatReader, ReadHeat
from locstudio.ui.heatmaps.heat_showing import HeatShowing

WIDTH, HEIGHT = 4000, 3000
CHANGE_MS = 3.0
TRACING_MS = 1.2  # outlines and boxes of a map that was not looked at before
NEXT_MS = 50.0
NUM_IMAGES = 40
IMAGE = Image(1, 1, "large.jpg", WIDTH, HEIGHT)


def cpu_ms(act: Callable[[int], object], count: int) -> list[float]:
    return sorted(1000 * _cpu(act, number) for number in range(count))


def _cpu(act: Callable[[int], object], number: int) -> float:
    before = time.process_time()
    act(number)
    return time.process_time() - before


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
    ground, top = QPixmap(canvas.size()), QPixmap(canvas.size())
    ground.fill(Qt.GlobalColor.gray)
    top.fill(Qt.GlobalColor.transparent)
    picture = heat_image([hills(1)], HeatLook())

    rows = showing.rows

    def change(number: int) -> None:
        if num_classes == 1:
            showing.choose((number % 8 + 1, f"class {number % 8 + 1}"))
        showing.look = HeatLook(COLORMAPS[number % 3], 0.4 + number % 5 / 10)
        canvas.set_heat(showing.shown(read, can_paint=True))
        canvas.render(target)

    def first(number: int) -> None:
        showing.keep([replace(row, map_WW=row.map_WW.copy()) for row in rows])  # nothing is known of these maps
        change(number)
        showing.keep(rows)

    def look(number: int) -> None:
        showing.look = HeatLook(COLORMAPS[number % 3], 0.4 + number % 5 / 10)
        canvas.set_heat(showing.shown(read, can_paint=True))
        canvas.render(target)

    def bare(_number: int) -> None:
        with QPainter(target) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(0, 0, ground)
            painter.drawImage(QRectF(107, 0, 1067, 800), picture)
            painter.drawPixmap(0, 0, top)

    cpu_ms(change, 30)
    acts = (change, first, look, bare)
    rounds = [[float(np.median(cpu_ms(act, 8))) for act in acts] for _ in range(30)]
    classes, firsts, looks, base = np.min(rounds, axis=0)  # the round with the least of other people's work in it
    words = f"another class {classes:.2f}, one not seen before {firsts:.2f}, another look {looks:.2f}, bare {base:.2f}"
    print(f"\n{num_classes} shown: {words} ms CPU")
    record_property("p50_ms", looks)
    assert looks < CHANGE_MS
    assert classes < CHANGE_MS
    assert firsts < classes + TRACING_MS


def test_bench_a_change_of_the_threshold_stays_within_budget(canvas, showing):
    read = ReadHeat(IMAGE)

    def change(number: int) -> None:
        showing.threshold = 60 + number % 120
        canvas.set_heat(showing.shown(read, can_paint=True))

    cpu_ms(change, 20)
    times = cpu_ms(change, 120)
    print(f"\nthreshold: p50 {times[60]:.2f} p95 {times[114]:.2f} ms CPU")
    assert times[60] < CHANGE_MS


def test_bench_the_next_image_with_heat_is_there_at_once(tmp_path, heat, canvas, qtbot):
    """From the wish to the last pixel: reading, what was said, 80 rows of the panel, and the canvas."""
    (tmp_path / "images").mkdir()
    for number in range(NUM_IMAGES):
        Picture.new("RGB", (64, 48), (number, 90, 90)).save(tmp_path / "images" / f"{number}.png")
    new_project(tmp_path / "p", [tmp_path / "images"])
    project = Project(tmp_path / "p")
    classes = [LabelClass(i + 1, f"class {i}", "#44aa88") for i in range(80)]
    with Dataset.open(project) as dataset:
        dataset.apply(Edit("Classes", tuple(ClassChange(None, one) for one in classes)))
        images = list(dataset.images(dataset.image_ids().tolist()))
        averages = np.random.default_rng(1).uniform(0, 1, (NUM_IMAGES, 80)).astype(np.float32)
        maps = np.tile(hills(1), (NUM_IMAGES, 80, 1, 1))
        heat.heat_run(project, [one.id for one in images], [(one.id, one.name) for one in classes], averages, maps=maps)
        reader, panel, showing = HeatReader(project, dataset), HeatPanel(), HeatShowing()
        qtbot.addWidget(panel)
        panel.resize(340, 700)
        panel.show()
        target = QPixmap(canvas.size())

        def show(number: int) -> None:
            read = reader.read(images[number % NUM_IMAGES], "", None)
            showing.take(read.rows)
            panel.show_rows(read.rows, showing.chosen, "")
            panel.grab()
            canvas.set_heat(showing.shown(read, can_paint=True))
            canvas.render(target)

        cpu_ms(show, 10)
        times = cpu_ms(show, 60)
    print(f"\nnext image with heat: p50 {times[30]:.1f} p95 {times[57]:.1f} ms CPU")
    assert times[30] < NEXT_MS


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
