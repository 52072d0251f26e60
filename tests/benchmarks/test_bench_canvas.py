"""The canvas against its budget: frames with 1000 boxes on a 12 MP picture, a hit among 10,000 boxes.

CPU time of the process, not of the clock, so that a busy machine does not decide; the bare ``drawImage`` of the same
picture is measured in the same run, for the ratio.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRect, QRectF
from PySide6.QtGui import QImage, QPainter, QPixmap

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image, LabelClass, Region, Review
from locstudio.ui.canvas.canvas_view import CanvasView
from locstudio.ui.canvas.overlay_boxes import BoxArrays
from locstudio.ui.canvas.phrase_editor import MAX_PHRASES, Completer

WIDTH, HEIGHT = 4000, 3000
FRAME_MS = 16.0  # QT.md section 9: 60 pictures a second, p95
HIT_MS = 0.1


def random_regions(count: int) -> list[Region]:
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 0.93, (count, 2))
    far = np.minimum(corner + rng.uniform(0.004, 0.07, (count, 2)), 1.0)
    reviews = list(Review)
    return [
        Region(i + 1, 1, UnitBox(*corner[i], *far[i]), f"phrase number {i}", int(i % 80) + 1, reviews[i % 3])
        for i in range(count)
    ]


def cpu_ms(act: Callable[[int], object], count: int) -> list[float]:
    times = []
    for number in range(count):
        before = time.process_time()
        act(number)
        times.append(1000 * (time.process_time() - before))
    return sorted(times)


def p95(times: list[float]) -> float:
    return times[int(0.95 * (len(times) - 1))]


@pytest.fixture(scope="module")
def pyramid() -> list[np.ndarray]:
    rgb = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return [np.ascontiguousarray(rgb[::step, ::step]) for step in (1, 2, 4)]


@pytest.fixture
def canvas(qtbot, pyramid):
    view = CanvasView(lambda: 1)
    qtbot.addWidget(view)
    view.resize(1280, 800)
    with qtbot.waitExposed(view):
        view.show()
    view.set_classes(
        [LabelClass(i + 1, f"class {i}", f"#{37 * (i + 1) % 256:02x}{91 * i % 256:02x}c0") for i in range(80)]
    )
    view.set_image(Image(1, 1, "large.jpg", WIDTH, HEIGHT))
    view.show_picture(pyramid, (WIDTH, HEIGHT))
    view.set_regions(random_regions(1000))
    return view


@pytest.mark.parametrize("where", ["fit", "100 %", "zoom"])
def test_bench_a_frame_with_1000_boxes_stays_within_budget(canvas, where, pyramid, record_property):
    target = QPixmap(canvas.size())
    bare = QImage(pyramid[1].data, 2000, 1500, 6000, QImage.Format.Format_RGB888).convertToFormat(
        QImage.Format.Format_RGB32
    )
    if where == "100 %":
        canvas.zoom_full()

    def frame(number: int) -> None:
        if where == "zoom":
            canvas.zoom_by(1.15 if number % 40 < 20 else 1 / 1.15, QPointF(500, 400))
        else:
            canvas.pan_by(7 if number % 2 else -7, 3)
        canvas.render(target)

    def bare_frame(_number: int) -> None:
        with QPainter(target) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.fillRect(QRect(0, 0, 1280, 800), 0)
            painter.drawImage(QRectF(107, 0, 1067, 800), bare)

    cpu_ms(frame, 5)
    frames, bares = cpu_ms(frame, 120), cpu_ms(bare_frame, 60)
    middle, base = frames[60], bares[30]
    print(
        f"\n{where}: p50 {middle:.1f} p95 {p95(frames):.1f} ms CPU, bare drawImage {base:.1f} ms, {middle / base:.1f}x"
    )
    record_property("p95_ms", p95(frames))
    assert p95(frames) < FRAME_MS


def test_bench_a_drag_of_a_box_repaints_little(canvas):
    target = QPixmap(canvas.size())
    canvas.select([1])
    canvas.editor.nudge(1, 0, False)
    canvas.render(target)

    def frame(_number: int) -> None:
        canvas.editor.nudge(1, 0, False)
        canvas.render(target)

    times = cpu_ms(frame, 100)
    print(f"\nfollowing one box: p50 {times[50]:.2f} p95 {p95(times):.2f} ms CPU")
    assert p95(times) < FRAME_MS / 2


def test_bench_a_hit_among_10000_boxes_is_found_at_once():
    boxes = BoxArrays.of(random_regions(10_000), WIDTH, HEIGHT)
    places = np.random.default_rng(1).uniform(0, 1, (2000, 2)) * (WIDTH, HEIGHT)
    before = time.process_time()
    for x, y in places:
        boxes.at(x, y, 4.0)
    each = 1000 * (time.process_time() - before) / len(places)
    print(f"\nhit test at 10,000 boxes: {1000 * each:.0f} us CPU")
    assert each < HIT_MS


def test_bench_completion_over_all_phrases_keeps_up_with_typing():
    completer = Completer()
    completer.set_phrases([(f"a {n % 97} coloured thing number {n}", n) for n in range(MAX_PHRASES)])
    for fragment in ("thing", "coluored", "number 19"):
        times = cpu_ms(lambda _n, f=fragment: completer.suggestions(f), 5)
        print(f"\ncompletion of {fragment!r}: {times[2]:.1f} ms CPU")
        assert times[2] < 100
