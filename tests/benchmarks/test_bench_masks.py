"""A mask from a box: what it costs with cached tokens.  Run with ``--benchmark-enable``.

    pytest tests/benchmarks/test_bench_masks.py --benchmark-enable

The checks are of CPU times, because the machine is shared.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from locstudio.domain.geometry import UnitBox
from locstudio.jobs.assets import bundled_checkpoint, bundled_masks

NUM_BOXES = 20


def cpu_ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e3


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    if not bundled_masks().is_dir():
        pytest.skip("no mask head is bundled")
    import torch

    from locstudio.engine.session import EngineSession
    from locstudio.models.segmenter import MaskPrompt

    folder = tmp_path_factory.mktemp("masks")
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    for name in ("first", "second"):
        Image.fromarray(pixels).resize((1600, 1200), Image.Resampling.BICUBIC).save(folder / f"{name}.jpg")
        pixels = 255 - pixels
    session = EngineSession(bundled_checkpoint(), cache=folder / "cache", device="cpu")
    torch.set_num_threads(1)
    for name in ("first", "second"):
        session.set_image(folder / f"{name}.jpg", key=name)
    session.segment([MaskPrompt(UnitBox(0.1, 0.1, 0.5, 0.5))], key="first")  # loads the head
    return session


@pytest.mark.slow
def test_that_a_mask_follows_a_key_press(session, record_property):
    from locstudio.models.segmenter import MaskPrompt, PointPrompt

    random = np.random.default_rng(1)
    low = random.uniform(0, 0.6, (NUM_BOXES, 2))
    boxes = [UnitBox(x, y, x + 0.3, y + 0.35) for x, y in low.tolist()]
    first = cpu_ms(lambda: session.segment([MaskPrompt(boxes[0])], key="second"))
    further = [cpu_ms(lambda box=box: session.segment([MaskPrompt(box)], key="second")) for box in boxes]
    together = cpu_ms(lambda: session.segment([MaskPrompt(box) for box in boxes], key="second")) / NUM_BOXES
    clicks = [
        cpu_ms(lambda at=at: session.segment([MaskPrompt(None, (PointPrompt(*at),))], key="second"))
        for at in low.tolist()
    ]
    record_property("first_ms", round(first, 1))
    record_property("further_ms", round(float(np.median(further)), 1))
    record_property("together_ms", round(together, 1))
    record_property("click_ms", round(float(np.median(clicks)), 1))
    print(
        f"\nmask from a box, CPU ms: first of an image {first:.0f}, further {np.median(further):.1f}, "
        f"of {NUM_BOXES} together {together:.1f}; from a click {np.median(clicks):.1f}"
    )
    assert first < 600
    assert np.median(further) < 60
